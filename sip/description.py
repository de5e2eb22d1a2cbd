"""What an SDP body says: the types, and the parser. `sip.sdp` chooses and writes; import from there.

Only what one audio call needs is looked at (RFC 4566/8866, RFC 3264, RFC 3605, RFC 4733, RFC 5761). Lines that are no
SDP, unknown attributes and other kinds of media are passed over; what makes the audio unusable raises `SdpError` with
the line.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from sip.formats import STATIC, Format

MAX_SDP_BYTES = 8000
"As PJSIP_MAX_PKT_LEN: nothing longer can have come in one piece."
MAX_MEDIA = 16
RTP_PROFILES = ("RTP/AVP", "RTP/AVPF")
"Plain RTP. AVPF only adds RTCP feedback that nobody has to send (RFC 4585)."
SRTP_PROFILES = ("RTP/SAVP", "RTP/SAVPF")
"The same encrypted (RFC 3711, RFC 5124), with keys in a=crypto lines; with DTLS it would be `UDP/TLS/RTP/SAVP`."

HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.?")


class SdpError(ValueError):
    """The body cannot be used; `str()` is one sentence for log and Warning header."""


class Direction(StrEnum):
    """Seen from whoever wrote the SDP."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def mirrored(self) -> Direction:
        return MIRRORED[self]

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)


MIRRORED = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}
ON_HOLD = {Direction.SENDRECV: Direction.SENDONLY, Direction.RECVONLY: Direction.INACTIVE}
"What the old hold, `c=0.0.0.0`, takes away: whoever writes it does not receive (RFC 3264, 8.4)."


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line: which session, and which state of its description (RFC 4566, 5.2)."""

    user: str
    session_id: int
    version: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One m= section. Of kinds other than audio only the line itself is kept."""

    kind: str
    port: int
    protocol: str
    tokens: tuple[str, ...]
    "The formats as they stand on the m= line."
    formats: tuple[Format, ...] = ()
    host: str = ""
    direction: Direction = Direction.SENDRECV
    ptime_ms: int = 0
    "0: not said."
    maxptime_ms: int = 0
    rtcp_host: str = ""
    "Of an a=rtcp line (RFC 3605). Empty: where the audio goes."
    rtcp_port: int = 0
    "0: not said, so the one after the audio's (RFC 3550, 11)."
    rtcp_mux: bool = False
    "RTCP may come and go on the audio's own port (RFC 5761)."
    crypto: tuple[str, ...] = ()
    "a=crypto lines as text (RFC 4568). They hold keys: never log them."

    @property
    def is_plain(self) -> bool:
        return self.protocol in RTP_PROFILES

    @property
    def is_rtp_audio(self) -> bool:
        return self.kind == "audio" and self.port != 0 and self.protocol in RTP_PROFILES + SRTP_PROFILES

    def __repr__(self) -> str:  # no keys
        return f"<Media {self.kind} {self.host}:{self.port} {self.protocol} {' '.join(self.tokens)} {self.direction}>"


@dataclass(frozen=True, slots=True)
class Session:
    origin: Origin | None
    "None when the line is missing or unreadable: nothing of ours depends on theirs."
    media: tuple[Media, ...]


# --- parse ----------------------------------------------------------------------------------------------------------


def parse(text: str) -> Session:
    """Reads an offer or an answer that must carry audio."""
    if len(text) > MAX_SDP_BYTES:
        raise SdpError(f"SDP is too long: {len(text)} characters, at most {MAX_SDP_BYTES}")
    head, *sections = _sections(text)
    session_host, session_direction, origin = "", Direction.SENDRECV, None
    for line in head:
        match line.key:
            case "c":
                session_host = _connection(line)
            case "o":
                origin = parse_origin(line.value)
            case "a":
                session_direction = _direction(line.value, session_direction)
    media = tuple(_media(section, session_host, session_direction) for section in sections)
    audio = [one for one in media if one.kind == "audio"]
    if not audio:
        raise SdpError("SDP has no m=audio line")
    if not any(one.port for one in audio):
        raise SdpError("SDP has no audio: the port of every m=audio line is 0")
    return Session(origin, media)


def parse_origin(value: str) -> Origin | None:
    words = value.split()
    if len(words) != 6 or not (_is_number(words[1]) and _is_number(words[2])):
        return None
    return Origin(words[0], int(words[1]), int(words[2]), words[5])


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    key: str
    value: str

    def error(self, problem: str) -> SdpError:
        return SdpError(f"line {self.number}: {self.key}= {problem}: {self.value[:60]!r}")

    def integer(self, word: str, low: int, high: int, what: str) -> int:
        if not _is_number(word) or not low <= int(word) <= high:
            raise self.error(f"has a {what} that is no number from {low} to {high}")
        return int(word)


def _is_number(word: str) -> bool:
    """Stricter than int(), which takes signs, underscores and the digits of other scripts. At most 64 bits' worth."""
    return word.isascii() and word.isdigit() and len(word) <= 20


def _sections(text: str) -> list[list[_Line]]:
    """The session's lines, then the lines of each m= section. What does not look like `x=...` is passed over."""
    sections: list[list[_Line]] = [[]]
    for number, raw in enumerate(text.split("\n"), 1):
        if len(raw) < 2 or raw[1] != "=" or not raw[0].islower():
            continue
        line = _Line(number, raw[0], raw[2:].strip())
        if line.key == "m":
            sections.append([])
            if len(sections) > MAX_MEDIA + 1:
                raise SdpError(f"line {number}: more than {MAX_MEDIA} m= lines")
        sections[-1].append(line)
    return sections


def _media(section: list[_Line], session_host: str, session_direction: Direction) -> Media:
    first, *rest = section
    media = _media_line(first)
    if media.kind != "audio":
        return media
    host, direction, ptime_ms, maxptime_ms = session_host, session_direction, 0, 0
    rtpmaps: dict[int, Format] = {}
    fmtps: dict[int, str] = {}
    crypto: list[str] = []
    rtcp: tuple[str, int] = ("", 0)
    rtcp_mux = False
    for line in rest:
        if line.key == "c":
            host = _connection(line)
        if line.key != "a":
            continue
        name, _, value = line.value.partition(":")
        match name:
            case "rtpmap":
                mapped = _rtpmap(line, value)
                rtpmaps[mapped.payload_type] = mapped
            case "fmtp":
                number, _, parameters = value.partition(" ")
                fmtps[line.integer(number, 0, 127, "payload type")] = parameters.strip()
            case "ptime":
                ptime_ms = _milliseconds(line, value)
            case "maxptime":
                maxptime_ms = _milliseconds(line, value)
            case "crypto":
                crypto.append(value)
            case "rtcp":
                rtcp = _rtcp(value)
            case "rtcp-mux":
                rtcp_mux = True
            case _:
                direction = _direction(name, direction)
    if media.port and not host:
        raise first.error("has no c= line, neither of its own nor of the session")
    types = [first.integer(token, 0, 127, "payload type") for token in media.tokens] if _is_rtp(media) else []
    formats = (rtpmaps.get(number) or STATIC.get(number) or Format(number, "", 0) for number in types)
    return replace(
        media,
        formats=tuple(replace(one, fmtp=fmtps.get(one.payload_type, "")) for one in formats),
        host=host,
        direction=ON_HOLD.get(direction, direction) if _is_unspecified(host) else direction,
        ptime_ms=ptime_ms,
        maxptime_ms=maxptime_ms,
        rtcp_host=rtcp[0],
        rtcp_port=rtcp[1],
        rtcp_mux=rtcp_mux,
        crypto=tuple(crypto),
    )


def _media_line(line: _Line) -> Media:
    words = line.value.split()
    if len(words) < 2:
        raise line.error("has no port")
    if len(words) < 4:
        raise line.error("has no protocol or no format")
    port = line.integer(words[1].partition("/")[0], 0, 65535, "port")
    return Media(kind=words[0].lower(), port=port, protocol=words[2].upper(), tokens=tuple(words[3:]))


def _is_rtp(media: Media) -> bool:
    return "RTP/" in media.protocol


def _rtpmap(line: _Line, value: str) -> Format:
    number, _, encoding = value.partition(" ")
    name, _, rate = encoding.strip().partition("/")
    clock, _, channels = rate.partition("/")
    if not name or not clock:
        raise line.error("maps to no name/clock")
    return Format(
        line.integer(number, 0, 127, "payload type"),
        name,
        line.integer(clock, 1, 1_000_000, "clock rate"),
        line.integer(channels or "1", 1, 255, "channel count"),
    )


def _rtcp(value: str) -> tuple[str, int]:
    """Host and port of an a=rtcp line (RFC 3605, 2.1). Unreadable, it says nothing: reports are not worth a call."""
    port, *address = value.split()[:4] or [""]
    if not _is_number(port) or not 0 < int(port) <= 65535:
        return "", 0
    if len(address) == 3 and address[0].upper() == "IN" and _is_usable_address(address[2]):
        return address[2], int(port)
    return "", int(port)


def _is_usable_address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or host == "255.255.255.255")


def _milliseconds(line: _Line, value: str) -> int:
    """Some phones write `20.0`; the RFC wants digits (RFC 8866, 6.4) and a fraction never means anything."""
    return line.integer(value.strip().partition(".")[0], 0, 10_000, "duration")


def _direction(word: str, otherwise: Direction) -> Direction:
    return Direction(word) if word in Direction.__members__.values() else otherwise


def _connection(line: _Line) -> str:
    """The host of a c= line: an address of its family, or a name. 0.0.0.0 and :: are the old way to say hold."""
    words = line.value.split()
    if len(words) != 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
        raise line.error("is not `IN IP4|IP6 address`")
    host = words[2].partition("/")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not HOST_NAME.fullmatch(host) or host.rstrip(".").rpartition(".")[2].isdigit():
            raise line.error("has no usable address") from None
        return host
    if f"IP{address.version}" != words[1].upper():
        raise line.error("has an address of the other family")
    if address.is_multicast or host == "255.255.255.255":
        raise line.error("names more than one receiver")
    return host


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
