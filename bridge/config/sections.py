"""Settings, as they stand in the TOML file: typed, with a sentence for every field, frozen.

Secrets are never in the file: a field `..._env` names an environment variable, a field `..._file` a file.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. An unknown key is an error: most are typing mistakes."""


class SipSection(Section, frozen=True):
    host: str = "127.0.0.1"
    "Address the SIP sockets are bound to."
    public_host: str = ""
    "Written into Contact, Via and SDP when it differs from `host` (NAT). Empty: `host`."
    udp_port: int = 5060
    "0 takes any free port, -1 switches UDP off."
    tcp_port: int = 5060
    max_calls: int = 1024
    transaction_timeout_ms: int = 8000
    user_agent: str = "Puente"
    name_servers: tuple[str, ...] = ()
    "Needed when trunks are given by name: PJSIP's own look-up blocks."
    log_level: int = 2


class MediaSection(Section, frozen=True):
    workers: int = -1
    "Media worker processes. -1: one per core."
    host: str = "127.0.0.1"
    "Address the RTP sockets are bound to."
    public_host: str = ""
    "Written into SDP when it differs from `host`."
    rtp_first_port: int = 20000
    rtp_last_port: int = 21999
    "The range is split among the workers; RTP takes the even ports."
    port_rest_s: float = 30.0
    "How long a port is left alone after a call."
    quiet_after_ms: int = 15000
    "A caller who sends no RTP for this long, not being on hold, is gone."
    inband_dtmf: bool = False
    "Listen for digits in the caller's audio too, for trunks that send no telephone-events. Costs CPU on every call."
    drain_ms: int = 10000
    "How long the agent's last words may play after the platform has hung up."
    codecs: tuple[Literal["PCMU", "PCMA", "G722", "opus", "L16/8000", "L16/16000"], ...] = ("PCMU", "PCMA")
    "What we accept; the order is the offerer's. In our own offers: this order."
    recording_dir: str = ""
    "Stereo WAV of every call goes here. Empty: no recording."


class TrunkSection(Section, frozen=True):
    name: str
    kind: Literal["peer", "register"] = "peer"
    sources: tuple[str, ...] = ()
    "Addresses or CIDR ranges INVITEs may come from."
    domain: str = ""
    registrar: str = ""
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    realm: str = "*"
    proxy: str = ""
    srtp: Literal["off", "optional", "required"] = "off"
    "Encrypted audio with keys in SDP (RFC 4568). required: a call in the clear is refused with 488."
    expires_s: int = 300
    retry_s: int = 5


class PlatformSection(Section, frozen=True):
    """One voice platform account. Which of the optional fields apply depends on `kind`."""

    name: str
    kind: Literal["ultravox", "vapi"]
    url: str = ""
    "Base URL of the REST API. Empty: the vendor's public one."
    api_key_env: str = ""
    api_key_file: str = ""
    agent: str = ""
    "Ultravox agent id, VAPI assistant id. Empty: `prompt` makes an agent for the call (Ultravox only)."
    prompt: str = ""
    voice: str = ""
    model: str = ""
    language: str = ""
    greeting: str = ""
    "First words of the agent. Empty: as the agent is set up at the platform."
    encoding: Literal["s16le", "mulaw"] = "s16le"
    "VAPI: mulaw passes PCMU through byte for byte. Ultravox knows s16le only."
    rate_hz: int = 8000
    client_buffer_ms: int = 30000
    "Ultravox clientBufferSizeMs: how far it may send ahead."
    max_duration_s: int = 3600
    create_timeout_ms: int = 3000
    "Budget for the REST call; a caller is listening to ringing meanwhile."
    connect_timeout_ms: int = 5000
    "Budget for the media socket to come up and the dialect to be ready."
    max_calls: int = 0
    "Our own cap on calls at once. 0: none."
    options: dict[str, object] = {}
    "Merged into the create request as it stands: what the vendor has and we have no name for."


class RouteSection(Section, frozen=True):
    """Which platforms take a call. The first route whose `number` matches wins."""

    number: str = "*"
    "The dialled number (user part of the request URI); `*` at the end matches any rest."
    platforms: tuple[str, ...] = ()
    "Names, in order: the next is tried when one refuses. Empty: all, in the order of the file."
    answer: Literal["when-ready", "immediately"] = "when-ready"
    ring_timeout_ms: int = 20000
    "How long a caller is let ring while platforms are tried."
    context: dict[str, str] = {}
    "Handed to the agent (Ultravox templateContext / metadata, VAPI variableValues / metadata)."


class RecordsSection(Section, frozen=True):
    path: str = ""
    "One JSON line per ended call is appended here. Empty: only logged."


class WebSection(Section, frozen=True):
    """HTTP: /metrics, /healthz, and /v1 for the calls that stand."""

    host: str = "127.0.0.1"
    port: int = -1
    "-1: off. 0: any free port."
    token_env: str = ""
    token_file: str = ""
    "The bearer token that /v1 asks for. None: everybody who reaches the port sees who is calling whom."


class LogSection(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"
    "auto: text on a terminal, JSON otherwise."


class Config(Section, frozen=True):
    sip: SipSection = SipSection()
    media: MediaSection = MediaSection()
    trunks: tuple[TrunkSection, ...] = ()
    platforms: tuple[PlatformSection, ...] = ()
    routes: tuple[RouteSection, ...] = ()
    "None: every number goes to all platforms, in the order of the file."
    records: RecordsSection = RecordsSection()
    web: WebSection = WebSection()
    log: LogSection = LogSection()
