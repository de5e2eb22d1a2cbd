"""What is wrong with settings that no single field can tell. Pure, but for a look at secrets and directories.

Trunks and routes have files of their own beside this one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config.parts import (
    Found,
    check_billing,
    check_currency,
    check_directory,
    check_file,
    check_price,
    check_secret,
)
from bridge.config.route_checks import check_platform_names, check_routes
from bridge.config.secrets import KEYED, is_address, is_local
from bridge.config.sections import Config, PlatformSection, RecordsSection, SipSection, TrunkSection, WebSection
from bridge.config.toml_lines import Path as Key
from bridge.config.trunk_checks import check_country, check_trunk, check_trunks_together, is_server

RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("sip", "udp_port"): (-1, 65535),
    ("sip", "tcp_port"): (-1, 65535),
    ("sip", "tls_port"): (-1, 65535),
    ("sip", "max_calls"): (1, 2048),
    ("sip", "transaction_timeout_ms"): (500, 64000),
    ("sip", "log_level"): (0, 5),
    ("media", "rtp_first_port"): (1024, 65535),
    ("media", "rtp_last_port"): (1024, 65535),
    ("media", "port_rest_s"): (0, 3600),
    ("media", "quiet_after_ms"): (1000, 3_600_000),
    ("media", "drain_ms"): (0, 120_000),
    ("trunks", "order"): (0, 1000),
    ("trunks", "max_calls"): (0, 100_000),
    ("trunks", "calls_per_s"): (0, 10_000),
    ("trunks", "keep_alive_s"): (0, 600),
    ("trunks", "probe_every_s"): (0, 300),
    ("trunks", "expires_s"): (30, 86400),
    ("trunks", "retry_s"): (1, 3600),
    ("trunks", "session_expires_s"): (90, 86400),
    ("trunks", "min_se_s"): (90, 86400),
    ("trunks", "ring_timeout_ms"): (0, 180_000),
    ("platforms", "rate_hz"): (8000, 48000),
    ("platforms", "client_buffer_ms"): (0, 120_000),
    ("platforms", "max_duration_s"): (10, 43200),
    ("platforms", "create_timeout_ms"): (100, 30000),
    ("platforms", "connect_timeout_ms"): (100, 30000),
    ("platforms", "max_calls"): (0, 100_000),
    ("routes", "ring_timeout_ms"): (1000, 180_000),
    ("outbound", "ring_timeout_ms"): (1000, 180_000),
    ("outbound", "setup_timeout_ms"): (500, 30_000),
    ("outbound", "attempts"): (1, 20),
    ("web", "port"): (-1, 65535),
}
"""Section and key: smallest and largest. 2048 calls is what our build of PJSIP is made for; 90 s is the least that a
session timer may have (RFC 4028, 5)."""


def check(config: Config, environ: Mapping[str, str]) -> Found:
    yield from _check_ranges(config)
    yield from _check_sip(config.sip)
    yield from _check_media(config)
    for place, trunk in enumerate(config.trunks):
        yield from check_trunk(("trunks", place), trunk, config.sip, environ)
    yield from check_trunks_together(config.trunks)
    for place, platform in enumerate(config.platforms):
        yield from _check_platform(("platforms", place), platform, environ)
    yield from _check_names("trunks", config.trunks)
    yield from _check_names("platforms", config.platforms)
    if not config.trunks:
        yield ("trunks",), "no trunk: calls from unknown addresses are dropped, so nobody could call"
    if not config.platforms:
        yield ("platforms",), "no platform: there is nobody to take a call"
    yield from check_routes(config)
    if config.outbound.country:
        yield from check_country(("outbound", "country"), config.outbound.country)
    yield from check_platform_names(("outbound", "platforms"), config.outbound.platforms, config.platforms)
    yield from check_price(("costs", "single_provider_per_minute"), config.costs.single_provider_per_minute)
    yield from check_billing(("costs", "single_provider_billing"), config.costs.single_provider_billing)
    yield from check_currency(("costs", "currency"), config.costs.currency)
    yield from _check_records(config.records, environ)
    yield from _check_web(config.web, environ)


def _check_records(records: RecordsSection, environ: Mapping[str, str]) -> Found:
    yield from check_secret(("records", "password"), records.password_env, records.password_file, environ)
    if records.url.startswith("sqlite:///"):
        yield from check_directory(("records", "url"), Path(records.url.removeprefix("sqlite:///")).parent)
    if records.spool:
        yield from check_directory(("records", "spool"), Path(records.spool).parent)


def _check_ranges(config: Config) -> Found:
    for (section, key), (low, high) in RANGES.items():
        part = getattr(config, section)
        for where, one in enumerate(part) if isinstance(part, tuple) else [(-1, part)]:
            value = getattr(one, key)
            if not low <= value <= high:
                path: Key = (section, key) if where < 0 else (section, where, key)
                yield path, f"must be from {low:g} to {high:g}, not {value:g}"


def _check_sip(sip: SipSection) -> Found:
    if sip.udp_port == sip.tcp_port == sip.tls_port == -1:
        yield ("sip", "udp_port"), "UDP, TCP and TLS are all off"
    if bool(sip.tls_certificate_file) != bool(sip.tls_key_file):
        there, missing = ("certificate", "key") if sip.tls_certificate_file else ("key", "certificate")
        yield ("sip", f"tls_{there}_file"), f"is there without tls_{missing}_file"
    for key in ("tls_certificate_file", "tls_key_file", "tls_ca_file"):
        yield from check_file(("sip", key), getattr(sip, key))
    for server in sip.name_servers:
        if not is_server(server):
            yield ("sip", "name_servers"), f"`{server}` is no IP address, nor one with a port"
    for key in ("host", "public_host"):
        if (value := getattr(sip, key)) and not is_address(value):
            yield ("sip", key), f"`{value}` is no IP address"


def _check_media(config: Config) -> Found:
    media = config.media
    if media.workers != -1 and not 1 <= media.workers <= 64:
        yield ("media", "workers"), "must be -1 (one per core) or from 1 to 64"
    for key in ("host", "public_host"):
        if (value := getattr(media, key)) and not is_address(value):
            yield ("media", key), f"`{value}` is no IP address"
    if is_address(media.host) and ipaddress.ip_address(media.host).is_unspecified and not media.public_host:
        # RFC 3264, 8.4: an address of 0.0.0.0 in SDP means hold.
        yield ("media", "host"), f"{media.host} cannot stand in SDP: set public_host"
    if not media.codecs:
        yield ("media", "codecs"), "no codec at all"
    if len(set(media.codecs)) < len(media.codecs):
        yield ("media", "codecs"), "names a codec twice"
    if media.recording_dir:
        yield from check_directory(("media", "recording_dir"), Path(media.recording_dir))
    first, last = media.rtp_first_port, media.rtp_last_port
    if first > last:
        yield ("media", "rtp_last_port"), f"is below rtp_first_port ({first})"
    elif (room := (last + 1) // 2 - (first + 1) // 2) < max(1, media.workers):
        yield ("media", "rtp_last_port"), f"{first}-{last} has {room} even ports for {media.workers} workers"
    if first <= config.sip.udp_port <= last:
        yield ("sip", "udp_port"), f"lies within the RTP ports {first}-{last}"


def _check_platform(path: Key, platform: PlatformSection, environ: Mapping[str, str]) -> Found:
    yield from check_secret((*path, "api_key"), platform.api_key_env, platform.api_key_file, environ)
    has_key = bool(platform.api_key_env or platform.api_key_file)
    if platform.kind in KEYED and not (has_key or is_local(platform.url)):
        yield (*path, "api_key_env"), "needs api_key_env or api_key_file"
    plain, secure = ("ws", "wss") if platform.kind == "twilio" else ("http", "https")
    scheme = urlsplit(platform.url).scheme
    if platform.url and scheme not in (plain, secure):
        yield (*path, "url"), f"must begin with {secure}:// (or {plain}://)"
    elif scheme == plain and not is_local(platform.url) and (has_key or platform.kind in KEYED):
        problem = f"{plain}:// would send the API key in the clear; only a platform on this machine may have it"
        yield (*path, "url"), problem
    if platform.encoding == "mulaw" and platform.rate_hz != 8000:
        yield (*path, "rate_hz"), "mulaw has 8000 Hz"
    yield from KINDS[platform.kind](path, platform)


def _check_ultravox(path: Key, platform: PlatformSection) -> Found:
    if platform.encoding == "mulaw":
        yield (*path, "encoding"), "Ultravox knows s16le only"
    if not (platform.agent or platform.prompt or platform.options):
        yield (*path, "agent"), "Ultravox needs an agent or a prompt"


def _check_vapi(path: Key, platform: PlatformSection) -> Found:
    if not (platform.agent or platform.options):
        yield (*path, "agent"), "VAPI needs the id of an assistant"


def _check_twilio(path: Key, platform: PlatformSection) -> Found:
    if not platform.url:
        yield (*path, "url"), "the agent's own ws:// or wss:// address is needed"
    if ("{api_key}" in platform.url) != (platform.auth == "url"):
        yield (*path, "auth"), '{api_key} in the url and auth = "url" belong together'
    elif not (platform.api_key_env or platform.api_key_file) and platform.auth != "bearer":
        yield (*path, "auth"), f"`{platform.auth}` needs api_key_env or api_key_file"
    if platform.rate_hz != 8000:
        yield (*path, "rate_hz"), "Twilio Media Streams has 8000 Hz"
    for key in ("agent", "prompt", "voice", "model", "greeting"):
        if getattr(platform, key):
            problem = "such an agent knows that itself; what it shall be told goes into options.customParameters"
            yield (*path, key), problem


KINDS: dict[str, Callable[[Key, PlatformSection], Found]] = {
    "ultravox": _check_ultravox,
    "vapi": _check_vapi,
    "twilio": _check_twilio,
}
"What only one kind of platform asks for."


def _check_web(web: WebSection, environ: Mapping[str, str]) -> Found:
    yield from check_secret(("web", "token"), web.token_env, web.token_file, environ)
    if not is_address(web.host):
        yield ("web", "host"), f"`{web.host}` is no IP address"
    elif web.port >= 0 and not (ipaddress.ip_address(web.host).is_loopback or web.token_env or web.token_file):
        yield ("web", "host"), f"{web.host} would show the calls to the network: set token_env or token_file"


def _check_names(section: str, parts: Sequence[TrunkSection | PlatformSection]) -> Found:
    seen: set[str] = set()
    for place, part in enumerate(parts):
        if not part.name:
            yield (section, place, "name"), "is empty"
        elif part.name in seen:
            yield (section, place, "name"), f"`{part.name}` is there twice"
        seen.add(part.name)
