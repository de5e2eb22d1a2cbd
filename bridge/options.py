"""From settings to the rooms' own option types, secrets included; and what the rooms have against the settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bridge.config import Config, MediaSection, SipSection, api_key, secret
from bridge.config.toml_lines import Path as Key
from bridge.errors import PlatformDenied, StoreError
from bridge.platforms import PLATFORMS, Platform
from bridge.records import CallRecord, Cost
from bridge.store import Address, Forgetful, Store
from bridge.trunks.accounts import account
from media import wire
from sip import messages as sip
from sip.border import SipError
from sip.trunks import check


def endpoint_options(section: SipSection) -> sip.EndpointOptions:
    return sip.EndpointOptions(
        host=section.host,
        public_host=section.public_host,
        udp_port=section.udp_port,
        tcp_port=section.tcp_port,
        tls_port=section.tls_port,
        tls_certificate=section.tls_certificate_file,
        tls_key=section.tls_key_file,
        tls_ca=section.tls_ca_file,
        tls_verify=section.tls_verify,
        tls_require_client=section.tls_require_client,
        max_calls=section.max_calls,
        transaction_timeout_ms=section.transaction_timeout_ms,
        user_agent=section.user_agent,
        log_level=section.log_level,
    )


def trunk_accounts(config: Config, environ: Mapping[str, str]) -> list[sip.TrunkAccount]:
    """Without targets: these are the keeper's business. Raises SecretMissing."""
    return [account(trunk, environ) for trunk in config.trunks]


def worker_count(section: MediaSection) -> int:
    return section.workers if section.workers > 0 else len(os.sched_getaffinity(0))


def worker_options(section: MediaSection) -> wire.WorkerOptions:
    return wire.WorkerOptions(
        host=section.host,
        first_port=section.rtp_first_port,
        last_port=section.rtp_last_port,
        rest_s=section.port_rest_s,
        quiet_after_ms=section.quiet_after_ms,
        inband_dtmf=section.inband_dtmf,
        drain_ms=section.drain_ms,
    )


def store_address(config: Config, environ: Mapping[str, str]) -> Address | None:
    """None: nothing is kept. Raises StoreError."""
    section = config.records
    password = secret(section.password_env, section.password_file, environ)
    return Address.parse(section.url, password) if section.url else None


def build_store(
    config: Config, environ: Mapping[str, str], cost: Callable[[str, float], Cost | None]
) -> Store | Forgetful:
    """`cost`: of a trunk's call, by its length. Raises StoreError."""
    address = store_address(config, environ)
    if address is None:
        return Forgetful()

    def bill(record: CallRecord) -> None:
        if record.answered_at:
            record.cost = cost(record.trunk, record.duration_s)

    return Store(address, spool=Path(config.records.spool) if config.records.spool else None, bill=bill)


def build_platforms(config: Config, environ: Mapping[str, str]) -> dict[str, Platform]:
    """Raises PlatformDenied for a section its vendor would refuse in every call."""
    return {section.name: PLATFORMS[section.kind](section, api_key(section, environ)) for section in config.platforms}


def adapter_problems(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[Key, str]]:
    """What the adapters themselves have against their sections, for `examine`."""
    try:
        store_address(config, environ)
    except StoreError as error:
        yield ("records", "url"), str(error)
    for place, one in enumerate(trunk_accounts(config, environ)):
        try:
            check(one)
        except SipError as error:
            yield ("trunks", place), str(error).removeprefix(f"trunk {one.name}: ")
    for place, section in enumerate(config.platforms):
        try:
            PLATFORMS[section.kind](section, api_key(section, environ))
        except PlatformDenied as denied:
            yield ("platforms", place), denied.detail


def known_secrets(config: Config, environ: Mapping[str, str]) -> list[str]:
    """For the log's mask."""
    keys = [api_key(section, environ) for section in config.platforms]
    for one in trunk_accounts(config, environ):
        keys += [password for password in (one.password, one.inbound_password) if password]
    address = store_address(config, environ)
    keys += [str(address.url.password)] if address and address.url.password else []
    token = secret(config.web.token_env, config.web.token_file, environ)
    return [*keys, *([token] if token else [])]
