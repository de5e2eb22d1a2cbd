"""What is wrong with settings that no single field can tell. Pure, but for a look at secrets and directories."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config.secrets import SecretMissing, is_address, is_local, secret
from bridge.config.sections import Config, PlatformSection, RouteSection, SipSection, TrunkSection, WebSection
from bridge.config.toml_lines import Path as Key
from bridge.config.toml_reader import nearest

Found = Iterator[tuple[Key, str]]

RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("sip", "udp_port"): (-1, 65535),
    ("sip", "tcp_port"): (-1, 65535),
    ("sip", "max_calls"): (1, 2048),
    ("sip", "transaction_timeout_ms"): (500, 64000),
    ("sip", "log_level"): (0, 5),
    ("media", "rtp_first_port"): (1024, 65535),
    ("media", "rtp_last_port"): (1024, 65535),
    ("media", "port_rest_s"): (0, 3600),
    ("media", "quiet_after_ms"): (1000, 3_600_000),
    ("media", "drain_ms"): (0, 120_000),
    ("trunks", "expires_s"): (30, 86400),
    ("trunks", "retry_s"): (1, 3600),
    ("platforms", "rate_hz"): (8000, 48000),
    ("platforms", "client_buffer_ms"): (0, 120_000),
    ("platforms", "max_duration_s"): (10, 43200),
    ("platforms", "create_timeout_ms"): (100, 30000),
    ("platforms", "connect_timeout_ms"): (100, 30000),
    ("platforms", "max_calls"): (0, 100_000),
    ("routes", "ring_timeout_ms"): (1000, 180_000),
    ("web", "port"): (-1, 65535),
}
"Section and key: smallest and largest. 2048 calls is what our build of PJSIP is made for."


def check(config: Config, environ: Mapping[str, str]) -> Found:
    yield from _check_ranges(config)
    yield from _check_sip(config.sip)
    yield from _check_media(config)
    for place, trunk in enumerate(config.trunks):
        yield from _check_trunk(("trunks", place), trunk, environ)
    for place, platform in enumerate(config.platforms):
        yield from _check_platform(("platforms", place), platform, environ)
    yield from _check_names("trunks", config.trunks)
    yield from _check_names("platforms", config.platforms)
    if not config.trunks:
        yield ("trunks",), "no trunk: calls from unknown addresses are dropped, so nobody could call"
    if not config.platforms:
        yield ("platforms",), "no platform: there is nobody to take a call"
    yield from _check_routes(config)
    if config.records.path:
        yield from _check_directory(("records", "path"), Path(config.records.path).parent)
    yield from _check_web(config.web, environ)


def _check_ranges(config: Config) -> Found:
    for (section, key), (low, high) in RANGES.items():
        part = getattr(config, section)
        for where, one in enumerate(part) if isinstance(part, tuple) else [(-1, part)]:
            value = getattr(one, key)
            if not low <= value <= high:
                path: Key = (section, key) if where < 0 else (section, where, key)
                yield path, f"must be from {low:g} to {high:g}, not {value:g}"


def _check_sip(sip: SipSection) -> Found:
    if sip.udp_port == sip.tcp_port == -1:
        yield ("sip", "udp_port"), "UDP and TCP are both off"
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
        yield from _check_directory(("media", "recording_dir"), Path(media.recording_dir))
    first, last = media.rtp_first_port, media.rtp_last_port
    if first > last:
        yield ("media", "rtp_last_port"), f"is below rtp_first_port ({first})"
    elif (room := (last + 1) // 2 - (first + 1) // 2) < max(1, media.workers):
        yield ("media", "rtp_last_port"), f"{first}-{last} has {room} even ports for {media.workers} workers"
    if first <= config.sip.udp_port <= last:
        yield ("sip", "udp_port"), f"lies within the RTP ports {first}-{last}"


def _check_trunk(path: Key, trunk: TrunkSection, environ: Mapping[str, str]) -> Found:
    yield from _check_secret((*path, "password"), trunk.password_env, trunk.password_file, environ)
    for source in trunk.sources:
        try:
            ipaddress.ip_network(source, strict=False)
        except ValueError:
            yield (*path, "sources"), f"`{source}` is neither an address nor a CIDR range"
    if trunk.kind == "peer":
        if not trunk.sources:
            yield (*path, "sources"), "a peer is known by its source address: name at least one"
        return
    if not trunk.registrar.startswith(("sip:", "sips:")):
        yield (*path, "registrar"), "a registering trunk needs a registrar, e.g. `sip:sip.partner.example:5060`"
    if not trunk.username:
        yield (*path, "username"), "a registering trunk needs a user name"
    if not (trunk.password_env or trunk.password_file):
        yield (*path, "password_env"), "a registering trunk needs password_env or password_file"


def _check_platform(path: Key, platform: PlatformSection, environ: Mapping[str, str]) -> Found:
    yield from _check_secret((*path, "api_key"), platform.api_key_env, platform.api_key_file, environ)
    if not (platform.api_key_env or platform.api_key_file or is_local(platform.url)):
        yield (*path, "api_key_env"), "needs api_key_env or api_key_file"
    if platform.url and urlsplit(platform.url).scheme not in ("http", "https"):
        yield (*path, "url"), "must begin with https:// (or http://)"
    elif urlsplit(platform.url).scheme == "http" and not is_local(platform.url):
        yield (*path, "url"), "http:// would send the API key in the clear; only a platform on this machine may have it"
    if platform.kind == "ultravox" and platform.encoding == "mulaw":
        yield (*path, "encoding"), "Ultravox knows s16le only"
    if platform.encoding == "mulaw" and platform.rate_hz != 8000:
        yield (*path, "rate_hz"), "mulaw has 8000 Hz"
    if platform.kind == "ultravox" and not (platform.agent or platform.prompt or platform.options):
        yield (*path, "agent"), "Ultravox needs an agent or a prompt"
    if platform.kind == "vapi" and not (platform.agent or platform.options):
        yield (*path, "agent"), "VAPI needs the id of an assistant"


def _check_routes(config: Config) -> Found:
    names = {platform.name for platform in config.platforms}
    earlier: list[RouteSection] = []
    for place, route in enumerate(config.routes):
        path: Key = ("routes", place)
        for name in route.platforms:
            if name not in names:
                yield (*path, "platforms"), f"no platform is called `{name}`{nearest(name, names)}"
        if "*" in route.number[:-1] or not route.number:
            yield (*path, "number"), "must be a number, or its beginning and one `*`"
        elif any(_covers(one.number, route.number) for one in earlier):
            yield (*path, "number"), f"`{route.number}` is never reached: a route above takes these numbers"
        earlier.append(route)


def _check_web(web: WebSection, environ: Mapping[str, str]) -> Found:
    yield from _check_secret(("web", "token"), web.token_env, web.token_file, environ)
    if not is_address(web.host):
        yield ("web", "host"), f"`{web.host}` is no IP address"
    elif web.port >= 0 and not (ipaddress.ip_address(web.host).is_loopback or web.token_env or web.token_file):
        yield ("web", "host"), f"{web.host} would show the calls to the network: set token_env or token_file"


def _covers(above: str, below: str) -> bool:
    return below.startswith(above[:-1]) if above.endswith("*") else above == below


def _check_names(section: str, parts: Sequence[TrunkSection | PlatformSection]) -> Found:
    seen: set[str] = set()
    for place, part in enumerate(parts):
        if not part.name:
            yield (section, place, "name"), "is empty"
        elif part.name in seen:
            yield (section, place, "name"), f"`{part.name}` is there twice"
        seen.add(part.name)


def _check_secret(path: Key, env: str, file: str, environ: Mapping[str, str]) -> Found:
    """`path` without its ending: both `..._env` and `..._file` belong to it."""
    *table, stem = path
    if env and file:
        yield (*table, f"{stem}_file"), f"is there beside {stem}_env: which one counts?"
        return
    try:
        secret(env, file, environ)
    except SecretMissing as error:
        yield (*table, f"{stem}_env" if env else f"{stem}_file"), str(error)


def _check_directory(path: Key, directory: Path) -> Found:
    if not directory.is_dir():
        yield path, f"{directory} is no directory"
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield path, f"{directory} cannot be written to"
