"""Settings, as they stand in the TOML file: typed, with a sentence for every field, frozen.

Secrets are never in the file: a field `..._env` names an environment variable, a field `..._file` a file.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Codec = Literal["PCMU", "PCMA", "G722", "opus", "L16/8000", "L16/16000"]


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
    tls_port: int = -1
    "-1: no TLS, neither way."
    tls_certificate_file: str = ""
    "PEM: our certificate and its chain. Without it we can call by TLS, and not be called."
    tls_key_file: str = ""
    tls_ca_file: str = ""
    "PEM: whose certificates we believe. Empty: the system's."
    tls_verify: bool = True
    "Check name, date and issuer of the partners we call."
    tls_require_client: bool = False
    "Those who call us by TLS must show a certificate that we believe."
    max_calls: int = 1024
    transaction_timeout_ms: int = 8000
    user_agent: str = "Puente"
    name_servers: tuple[str, ...] = ()
    "`192.0.2.53` or `192.0.2.53:5353`, asked for the names of partners. Empty: those of the system."
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
    "Listen for digits in the audio of calls in which no telephone-events were agreed on. Costs CPU on each of them."
    drain_ms: int = 10000
    "How long the agent's last words may play after the platform has hung up."
    codecs: tuple[Codec, ...] = ("PCMU", "PCMA")
    "What we accept; the order is the offerer's. In our own offers: this order."
    recording_dir: str = ""
    "Stereo WAV of every call goes here. Empty: no recording."


class CallerIdSection(Section, frozen=True):
    """Who is calling, as a trunk wants to be told (RFC 3261 From, RFC 3325, RFC 3323)."""

    number: str = ""
    "Shown when the call itself brings none. A trunk usually takes only numbers that it has given us."
    name: str = ""
    format: Literal["e164", "national", "as-given"] = "e164"
    "`+525512345678`, `5512345678`, or what the call brings, untouched."
    header: Literal["from", "p-asserted-identity", "both"] = "from"
    "Where the number stands. With `p-asserted-identity` From has our account instead."
    privacy: bool = False
    "Ask the trunk to withhold it: an anonymous From, `Privacy: id`, the number only in P-Asserted-Identity."


class TrunkSection(Section, frozen=True):
    """One SIP partner: who calls in over it, and which calls go out over it."""

    name: str
    kind: Literal["peer", "register"] = "peer"
    region: str = ""
    "Any name: `latam`. Routes can ask for it, records and reports group by it."
    countries: tuple[str, ...] = ()
    "ISO 3166 codes of the countries it carries calls to. The first is also where its national numbers are at home."
    prefixes: tuple[str, ...] = ()
    'Beginnings of numbers it carries calls to: "+52". With neither it carries calls to anywhere.'
    role: Literal["primary", "backup"] = "primary"
    "A backup is used only when no primary for the same number can be."
    order: int = 0
    "Among trunks of one role the lower comes first; equals are ranked by health, price and load."
    sources: tuple[str, ...] = ()
    "Addresses or CIDR ranges INVITEs may come from."
    inbound_username: str = ""
    "For a peer without fixed addresses: it proves itself by digest under this name."
    inbound_password_env: str = ""
    inbound_password_file: str = ""
    contact_user: str = ""
    "User part of our Contact at the registrar. Empty: made up."
    domain: str = ""
    host: str = ""
    "Where calls and probes go: a name or an address, perhaps with `:port`. Empty: the proxy's or the registrar's."
    dial_format: Literal["e164", "digits", "national"] = "e164"
    "How it wants the called number: `+525512345678`, `525512345678`, `5512345678`."
    transport: Literal["udp", "tcp", "tls"] = "udp"
    "Unless the URI of proxy or registrar says another."
    srv: bool = True
    "A host without a port is looked up as RFC 3263 says: NAPTR, SRV, then addresses. false: addresses alone."
    registrar: str = ""
    username: str = ""
    password_env: str = ""
    password_file: str = ""
    realm: str = "*"
    proxy: str = ""
    codecs: tuple[Codec, ...] = ()
    "In this order. Empty: those of `[media]`."
    srtp: Literal["off", "optional", "required"] = "off"
    "Encrypted audio with keys in SDP (RFC 4568). required: a call in the clear is refused with 488."
    price_per_minute: str = ""
    'A decimal number, as text so that nothing is rounded: "0.0080". Empty: not known.'
    currency: str = "USD"
    billing: str = "60/60"
    "Seconds charged at least, then charged in steps of: `60/60`, `30/6`, `1/1`."
    max_calls: int = 0
    "Calls at once, both directions together. 0: no limit."
    calls_per_s: float = 0.0
    "New calls per second, each direction by itself. 0: no limit."
    caller_id: CallerIdSection = CallerIdSection()
    public_host: str = ""
    "What this partner is told as our address. Empty: that of `[sip]`."
    keep_alive_s: int = 15
    "A newline as often, so that a NAT keeps the way open (UDP). 0: never."
    probe_every_s: float = 2.0
    "OPTIONS to each of its addresses; sooner again after a loss. 0: never, and its death is found by calls alone."
    expires_s: int = 300
    retry_s: int = 5
    session_timer: Literal["off", "optional", "required"] = "optional"
    session_expires_s: int = 1800
    min_se_s: int = 90
    prack: Literal["off", "optional", "required"] = "optional"
    allow_refer: bool = True
    "It may ask us to transfer its calls: we then place a call that somebody pays for."
    ring_timeout_ms: int = 0
    "How long it may let ring. 0: as `[outbound]` says."


class PlatformSection(Section, frozen=True):
    """One voice platform account. Which of the optional fields apply depends on `kind`."""

    name: str
    kind: Literal["ultravox", "vapi", "twilio"]
    "twilio: an agent of anybody's that speaks Twilio Media Streams."
    url: str = ""
    "Base URL of the REST API. Empty: the vendor's public one. twilio: the agent's own ws:// or wss:// address."
    api_key_env: str = ""
    api_key_file: str = ""
    auth: Literal["bearer", "url", "signature"] = "bearer"
    "twilio: where the key goes: `Authorization: Bearer`, in place of {api_key} in `url`, or X-Twilio-Signature."
    agent: str = ""
    "Ultravox agent id, VAPI assistant id. Empty: `prompt` makes an agent for the call (Ultravox only)."
    prompt: str = ""
    voice: str = ""
    model: str = ""
    language: str = ""
    greeting: str = ""
    "First words of the agent. Empty: as the agent is set up at the platform."
    encoding: Literal["s16le", "mulaw"] = "s16le"
    "VAPI: mulaw passes PCMU through byte for byte. Ultravox knows s16le only. twilio: always mulaw."
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
    "Merged into the create request as it stands: what the vendor has and we have no name for. twilio: into `start`."


class RouteSection(Section, frozen=True):
    """Whose call it is and which platforms take it. The first route that matches wins."""

    name: str = ""
    "For records and logs. Empty: what matched."
    number: str = "*"
    "The dialled number, as it came or in E.164; `+5255*` matches any rest, `~^\\+52(55|33)` is a pattern."
    numbers: tuple[str, ...] = ()
    "A table: any of these, each as in `number`. Instead of `number`."
    trunks: tuple[str, ...] = ()
    "Only calls that come over these. Empty: over any."
    regions: tuple[str, ...] = ()
    "Only calls that come over trunks of these regions. Empty: of any."
    company: str = ""
    flow: str = ""
    call_type: str = ""
    "Whose number it is, what is to be done, and what kind of call that is: noted in the record, told to the agent."
    platforms: tuple[str, ...] = ()
    "Names, in order: the next is tried when one refuses. Empty: all, in the order of the file."
    answer: Literal["when-ready", "immediately"] = "when-ready"
    ring_timeout_ms: int = 20000
    "How long a caller is let ring while platforms are tried."
    context: dict[str, str] = {}
    "Handed to the agent (Ultravox templateContext, VAPI variableValues, both metadata; twilio customParameters)."


class OutboundSection(Section, frozen=True):
    """Calls that we place."""

    country: str = ""
    "ISO 3166 code: where a number without `+` is at home. Empty: such numbers are refused."
    platforms: tuple[str, ...] = ()
    "Names, in order, when the request names none. Empty: all, in the order of the file."
    connect: Literal["when-answered", "while-ringing"] = "when-answered"
    "When the platform's call is made: the first costs the callee a pause, the second a call that nobody may take."
    ring_timeout_ms: int = 45000
    setup_timeout_ms: int = 4000
    "A trunk that has not even said that it rings by then has lost the call to the next one."
    attempts: int = 4
    "Trunks and addresses tried for one call, at most."


class CostsSection(Section, frozen=True):
    """What `puente report cost` compares the trunks with."""

    single_provider_per_minute: str = "0.015"
    single_provider_billing: str = "60/60"
    currency: str = "USD"


class RecordsSection(Section, frozen=True):
    """Where calls and trunk events are remembered."""

    url: str = "sqlite:///puente.db"
    "`sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user@host/name`. Empty: the last calls in memory."
    password_env: str = ""
    password_file: str = ""
    "PostgreSQL's, so that it need not stand in the URL."
    spool: str = ""
    "File in which records wait while the database is away. Empty: beside SQLite's file, else `puente.spool`."


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
    outbound: OutboundSection = OutboundSection()
    costs: CostsSection = CostsSection()
    records: RecordsSection = RecordsSection()
    web: WebSection = WebSection()
    log: LogSection = LogSection()
