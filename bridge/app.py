"""Builds the bridge from its settings, starts it and stops it. The only file that knows all the rooms.

Started from the bottom up (workers before the line, so that no call comes before it can be carried), stopped from the
top down: new calls refused, calls that stand hung up and recorded, then the line, the workers, the platforms.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from bridge.calls.desk import Desk
from bridge.calls.inbound import InboundSession
from bridge.calls.lines import SipLine
from bridge.calls.routes import candidates, pick, user_of
from bridge.calls.session import CallSettings
from bridge.calls.words import LineLost
from bridge.calls.workers import WorkerPool
from bridge.config import Config, MediaSection, SipSection, TrunkSection, api_key, secret
from bridge.config.toml_lines import Path as Key
from bridge.errors import PlatformDenied, StoreError
from bridge.metrics import Metrics
from bridge.platforms import PLATFORMS, Platform
from bridge.records import CallRecord
from bridge.routing.price import cost, price_of
from bridge.store import Address, Forgetful, Keeper, Store
from bridge.web.api import application
from bridge.web.house import House
from bridge.web.server import WebServer
from media import wire
from sip import messages as sip

log = logging.getLogger(__name__)

DIALECTS = "bridge.platforms.dialects:DIALECTS"
"Where a worker finds its table: the dialects alone, without adapters and HTTP client."


class Routing:
    """The desk's switchboard: from INVITE and settings to a session."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._caps = {section.name: section.max_calls for section in config.platforms}
        self._srtp = {section.name: section.srtp for section in config.trunks}

    def inbound(self, incoming: sip.Incoming, now: float, started_at: str) -> InboundSession:
        media = self._config.media
        route = pick(self._config.routes, user_of(incoming.request_uri))
        recording = str(Path(media.recording_dir, f"{incoming.call}.wav").absolute()) if media.recording_dir else ""
        settings = CallSettings(
            codecs=media.codecs,
            public_host=media.public_host,
            srtp=self._srtp.get(incoming.trunk, "off"),
            recording=recording,
        )
        if route is None:
            return InboundSession(incoming, [], settings, now, started_at)
        session = InboundSession(
            incoming,
            candidates(self._config, route),
            replace(settings, ring_timeout_ms=route.ring_timeout_ms),
            now,
            started_at,
            answer=route.answer,
            context=route.context,
        )
        session.record.route = route.number
        return session

    def max_calls(self, platform: str) -> int:
        return self._caps.get(platform, 0)


class CountedRecords:
    """Where the desk writes: the store first, then the figures."""

    def __init__(self, store: Keeper, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics

    def begin(self, record: CallRecord) -> asyncio.Future[None]:
        return self._store.begin(record)

    def end(self, record: CallRecord) -> asyncio.Future[None]:
        durable = self._store.end(record)
        self._metrics.on_record(record)
        return durable


class Bridge:
    """The whole of it. `async with Bridge(config)`: up inside, nothing left behind outside."""

    def __init__(self, config: Config, environ: Mapping[str, str] = os.environ) -> None:
        self.config = config
        self.platforms = build_platforms(config, environ)
        self.store = build_store(config, environ)
        self.pool = WorkerPool(worker_count(config.media), worker_options(config.media), dialects=DIALECTS)
        self.line = SipLine(endpoint_options(config.sip), trunk_accounts(config, environ))
        self.metrics = Metrics()
        self.desk = Desk(
            self.line,
            self.pool,
            self.platforms,
            CountedRecords(self.store, self.metrics),
            Routing(config),
            watch=lambda call, received: self.metrics.on_worker(received),
        )
        self.house = House(self.desk, self.line, self.pool, self.store)
        self.metrics.at_scrape(self.house.processes, self.house.in_progress)
        token = secret(config.web.token_env, config.web.token_file, environ)
        self.web = WebServer(config.web, application(self.house, self.metrics.exposition, token))

    async def __aenter__(self) -> Bridge:
        try:
            await self.web.start()  # first: it says "not yet" while the rest comes up, and a taken port is told at once
            await self.store.start()
            await self.pool.start(self.desk.on_worker)
            await self.line.start(self._on_sip)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """May be called twice."""
        await self.web.stop()
        await self.desk.close()
        await self.line.stop()
        await self.pool.stop()
        await asyncio.gather(*(platform.close() for platform in self.platforms.values()))
        await self.store.close()

    def _on_sip(self, event: sip.AnyEvent | LineLost) -> None:
        self.metrics.on_sip(event)
        self.desk.on_sip(event)

    def describe(self) -> list[str]:
        """What a person wants to see at the start."""
        config, started = self.config, self.line.started
        assert started is not None
        media, host = config.media, config.sip.host
        listens = [
            f"{host}:{port} {name}"
            for name, port in (("udp", started.udp_port), ("tcp", started.tcp_port))
            if port >= 0
        ]
        platforms = [f"{one.name} ({one.kind}{f', {one.url}' if one.url else ''})" for one in config.platforms]
        trunks = [f"{one.name} ({one.kind}, {one.registrar or ' '.join(one.sources)})" for one in config.trunks]
        workers = f"{len(self.pool)} worker{'s' if len(self.pool) > 1 else ''}"
        return [
            f"sip        {', '.join(listens)}",
            f"media      {workers}, RTP {media.host}:{media.rtp_first_port}-{media.rtp_last_port}",
            f"platforms  {', '.join(platforms)}",
            f"trunks     {', '.join(trunks)}",
            *([f"records    {self.store.address}"] if isinstance(self.store, Store) else []),
            *([f"web        {self.web.url}"] if self.web.url else []),
            "ready",
        ]


async def serve(config: Config, environ: Mapping[str, str] = os.environ) -> None:
    """Runs until SIGTERM or SIGINT. Raises ChildFailed, WebFailed or ConfigError when it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Bridge(config, environ) as bridge:
        print(*bridge.describe(), sep="\n", flush=True)
        await stop.wait()
        log.info("= stopping, %d calls stand", len(bridge.desk))


# --- from settings to the rooms' own option types -------------------------------------------------------------------


def endpoint_options(section: SipSection) -> sip.EndpointOptions:
    return sip.EndpointOptions(
        host=section.host,
        public_host=section.public_host,
        udp_port=section.udp_port,
        tcp_port=section.tcp_port,
        max_calls=section.max_calls,
        transaction_timeout_ms=section.transaction_timeout_ms,
        user_agent=section.user_agent,
        name_servers=section.name_servers,
        log_level=section.log_level,
    )


def trunk_accounts(config: Config, environ: Mapping[str, str]) -> list[sip.TrunkAccount]:
    return [_trunk_account(trunk, environ) for trunk in config.trunks]


def _trunk_account(trunk: TrunkSection, environ: Mapping[str, str]) -> sip.TrunkAccount:
    return sip.TrunkAccount(
        name=trunk.name,
        kind=trunk.kind,
        sources=trunk.sources,
        domain=trunk.domain,
        registrar=trunk.registrar,
        username=trunk.username,
        password=secret(trunk.password_env, trunk.password_file, environ),
        realm=trunk.realm,
        proxy=trunk.proxy,
        expires_s=trunk.expires_s,
        retry_s=trunk.retry_s,
    )


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


def build_store(config: Config, environ: Mapping[str, str]) -> Store | Forgetful:
    """Raises StoreError."""
    address = store_address(config, environ)
    if address is None:
        return Forgetful()
    prices = {trunk.name: price_of(trunk.price_per_minute, trunk.currency, trunk.billing) for trunk in config.trunks}

    def bill(record: CallRecord) -> None:
        price = prices.get(record.trunk)
        if price is not None and record.answered_at:
            record.cost = cost(record.duration_s, price)

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
    for place, section in enumerate(config.platforms):
        try:
            PLATFORMS[section.kind](section, api_key(section, environ))
        except PlatformDenied as denied:
            yield ("platforms", place), denied.detail


def known_secrets(config: Config, environ: Mapping[str, str]) -> list[str]:
    """For the log's mask."""
    keys = [api_key(section, environ) for section in config.platforms]
    keys += [account.password for account in trunk_accounts(config, environ)]
    address = store_address(config, environ)
    keys += [str(address.url.password)] if address and address.url.password else []
    token = secret(config.web.token_env, config.web.token_file, environ)
    return [*keys, *([token] if token else [])]
