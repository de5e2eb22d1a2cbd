"""SIP messages and SDP as text: the little that a load caller and its test peer need (RFC 3261, RFC 4566)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CRLF = "\r\n"

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
"RFC 3261, 7.3.3."

Header = tuple[str, str]


class NotSip(ValueError):
    """A datagram that is no SIP message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response. `headers` keeps order; names are lower case and long."""

    method: str
    "Empty for a response."
    uri: str
    status: int
    "0 for a request."
    reason: str
    headers: tuple[Header, ...]
    body: str

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def first(self, name: str) -> str:
        """The first value, empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.first("cseq").partition(" ")
        return (int(number) if number.isdigit() else -1), method.strip()


def parse(data: bytes) -> Message:
    text = data.decode("utf-8", "replace")
    head, _, body = text.partition(CRLF + CRLF)
    start, *lines = head.split(CRLF)
    first, _, rest = start.partition(" ")
    second, _, third = rest.partition(" ")
    headers = tuple(_header(line) for line in lines if ":" in line)
    if first == "SIP/2.0" and second.isdigit():
        return Message("", "", int(second), third, headers, body)
    if third == "SIP/2.0":
        return Message(first, second, 0, "", headers, body)
    raise NotSip(f"starts with {start[:40]!r}")


def _header(line: str) -> Header:
    name, _, value = line.partition(":")
    name = name.strip().lower()
    return COMPACT.get(name, name), value.strip()


def request(method: str, uri: str, headers: Iterable[Header], body: str = "") -> bytes:
    return _serialize(f"{method} {uri} SIP/2.0", headers, body)


def response(
    to: Message, status: int, reason: str, headers: Iterable[Header] = (), body: str = "", tag: str = ""
) -> bytes:
    """An answer with what RFC 3261, 8.2.6.2 wants copied. `tag` is added to a To that has none yet."""
    copied = [(name, value) for name, value in to.headers if name in {"via", "from", "call-id", "cseq", "record-route"}]
    callee = to.first("to")
    if tag and ";tag=" not in callee:
        callee += f";tag={tag}"
    return _serialize(f"SIP/2.0 {status} {reason}", [*copied, ("to", callee), *headers], body)


def _serialize(start: str, headers: Iterable[Header], body: str) -> bytes:
    content = [("content-type", "application/sdp")] if body else []
    length = len(body.encode())
    lines = [start, *(f"{_spelt(n)}: {v}" for n, v in [*headers, *content, ("content-length", str(length))])]
    return (CRLF.join(lines) + CRLF + CRLF + body).encode()


SPELLING = {"call-id": "Call-ID", "cseq": "CSeq"}


def _spelt(name: str) -> str:
    return SPELLING.get(name, name.title())


def uri_of(value: str) -> str:
    """The URI of a Contact, From, To, Route: with or without angle brackets (RFC 3261, 20.10)."""
    if "<" in value:
        return value.partition("<")[2].partition(">")[0]
    return value.partition(";")[0].strip()


# --- SDP ------------------------------------------------------------------------------------------------------------


G711 = {0: "PCMU/8000", 8: "PCMA/8000"}
"By payload type (RFC 3551, 6)."


def g711(host: str, port: int, types: Sequence[int] = (0,)) -> str:
    """An offer or answer with PCMU, PCMA or both in 20 ms packets and nothing else."""
    lines = (
        "v=0",
        f"o=- {port} 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, types))}",
        *(f"a=rtpmap:{one} {G711[one]}" for one in types),
        "a=ptime:20",
        "a=sendrecv",
    )
    return CRLF.join(lines) + CRLF


def offered_g711(sdp: str) -> list[int]:
    """Payload types of the first audio stream that we know, in its order."""
    line = next((line for line in sdp.splitlines() if line.startswith("m=audio ")), "")
    return [int(word) for word in line.split()[3:] if word.isdigit() and int(word) in G711]


def audio_address(sdp: str) -> tuple[str, int] | None:
    """Where the first audio stream is to be sent. None: refused (port 0), or no audio at all."""
    session_host = media_host = ""
    port = 0
    for line in sdp.splitlines():
        if line.startswith("m="):
            if port:
                break
            kind, number, *_ = line[2:].split(" ")
            port = int(number.partition("/")[0]) if kind == "audio" else 0
            media_host = ""
        elif line.startswith("c=IN IP4 "):
            host = line.removeprefix("c=IN IP4 ").partition("/")[0].strip()
            if port:
                media_host = host
            else:
                session_host = host
    host = media_host or session_host
    return (host, port) if host and port else None
