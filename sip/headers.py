"""What we need to know of a SIP message that PJSIP hands us as text. Pure, and lenient: PJSIP has parsed it before."""

from __future__ import annotations

import re
from dataclasses import dataclass

COMPACT = {
    "f": "from",
    "t": "to",
    "i": "call-id",
    "c": "content-type",
    "m": "contact",
    "v": "via",
    "l": "content-length",
    "r": "refer-to",
    "b": "referred-by",
}
"Short forms of header names (RFC 3261, 7.3.3; RFC 3515, 2.1; RFC 3892, 3)."

TOLD_HEADERS = (
    "p-asserted-identity",
    "p-preferred-identity",
    "remote-party-id",
    "privacy",
    "diversion",
    "history-info",
    "user-agent",
)
MAX_TOLD_HEADERS = 32
MAX_TOLD_CHARACTERS = 1024

_FOLD = re.compile(r"\r?\n[ \t]+")
_QUOTED_NAME = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_BOUNDARY = re.compile(r'boundary="?([^";]+)', re.IGNORECASE)
_LIST_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<])+')
_Q = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)
_LEADING_NUMBER = re.compile(r"\d{1,9}")
_SIGNAL = re.compile(r"^\s*Signal\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^\s*Duration\s*=\s*(\d{1,5})", re.IGNORECASE | re.MULTILINE)
_DIGITS = {str(number): digit for number, digit in enumerate("0123456789*#ABCD")}
"RFC 4733 event numbers: some senders write `Signal=10` for the star."
DEFAULT_DIGIT_MS = 160


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response, taken apart."""

    first_line: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def first(self, name: str) -> str:
        """The first header called `name` (long form, any case); empty if there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if _long(key) == wanted), "")

    def all(self, name: str) -> tuple[str, ...]:
        wanted = name.lower()
        return tuple(value for key, value in self.headers if _long(key) == wanted)

    @property
    def request_uri(self) -> str:
        words = self.first_line.split(" ")
        return words[1] if len(words) == 3 else ""


def _long(name: str) -> str:
    name = name.lower()
    return COMPACT.get(name, name)


def parse_message(text: str) -> Message:
    head, _, body = text.partition("\r\n\r\n")
    first_line, _, rest = head.partition("\r\n")
    pairs = (line.partition(":") for line in _FOLD.sub(" ", rest).split("\r\n"))
    return Message(first_line, tuple((name.strip(), value.strip()) for name, colon, value in pairs if colon), body)


def name_and_uri(value: str) -> tuple[str, str]:
    """Display name and URI of a From, To or Contact (RFC 3261, 20.10), without header parameters."""
    quoted = _QUOTED_NAME.match(value)
    name = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    rest = value[quoted.end() :] if quoted else value
    before, bracket, after = rest.partition("<")
    if bracket:
        return name or before.strip(), after.partition(">")[0].strip()
    return name, rest.partition(";")[0].strip()


def contacts(message: Message) -> tuple[str, ...]:
    """URIs of the Contacts, best q first; of equals the first (RFC 3261, 8.1.3.4 and 20.10)."""
    values = (value for name, text in message.headers if _long(name) == "contact" for value in _listed(text))
    rated = [(_quality(value), name_and_uri(value)[1]) for value in values]
    return tuple(uri for _, uri in sorted(rated, key=lambda pair: -pair[0]) if uri)


def retry_after_s(message: Message) -> int:
    """Seconds; 0 when nothing was said (RFC 3261, 20.33)."""
    found = _LEADING_NUMBER.match(message.first("retry-after"))
    return int(found[0]) if found else 0


def _listed(value: str) -> list[str]:
    """The values of a header that may hold several, cut at the commas outside quotes and angle brackets."""
    return [one.strip() for one in _LIST_ITEM.findall(value)]


def _quality(value: str) -> float:
    found = _Q.search(value.rpartition(">")[2])
    return float(found[1]) if found else 1.0


def told_headers(message: Message) -> tuple[tuple[str, str], ...]:
    """X-* and the few others that routing may want."""
    wanted = (
        (name, value[:MAX_TOLD_CHARACTERS])
        for name, value in message.headers
        if name.lower().startswith("x-") or name.lower() in TOLD_HEADERS
    )
    return tuple(wanted)[:MAX_TOLD_HEADERS]


def sdp_of(message: Message) -> str:
    """The SDP body, also out of multipart/mixed as some trunks send it (RFC 5621, 3); empty if there is none."""
    kind = message.first("content-type")
    if kind.lower().startswith("application/sdp"):
        return message.body
    boundary = _BOUNDARY.search(kind)
    if not kind.lower().startswith("multipart/") or boundary is None:
        return ""
    for part in message.body.split("--" + boundary[1]):
        head, _, body = part.lstrip("\r\n").partition("\r\n\r\n")
        if "application/sdp" in head.lower():
            return body
    return ""


def info_digit(message: Message) -> tuple[str, int] | None:
    """Digit and duration of a SIP INFO; None when it carries something else.

    `application/dtmf-relay` holds `Signal=5` and `Duration=160`, `application/dtmf` just the digit.
    """
    kind = message.first("content-type").partition(";")[0].strip().lower()
    match kind:
        case "application/dtmf-relay":
            signal, duration = _SIGNAL.search(message.body), _DURATION.search(message.body)
            digit = _digit(signal[1]) if signal else None
            return (digit, int(duration[1]) if duration else DEFAULT_DIGIT_MS) if digit else None
        case "application/dtmf":
            digit = _digit(message.body.strip())
            return (digit, DEFAULT_DIGIT_MS) if digit else None
    return None


def _digit(word: str) -> str | None:
    if len(word) == 1 and word.upper() in "0123456789*#ABCD":
        return word.upper()
    return _DIGITS.get(word)
