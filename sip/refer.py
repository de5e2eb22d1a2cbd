"""REFER, as text: whom we are to call, in whose place, and how that fares (RFC 3515, RFC 3891). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from sip.headers import name_and_uri

NOTIFY_EXPIRES_S = 180
"How long the referrer may expect news; a final NOTIFY ends it before."
SIPFRAG = "message/sipfrag;version=2.0"
"RFC 3420, and RFC 3515, 2.4.5."

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_UNCLEAN = re.compile(r'[\x00-\x20"<>\x7f-\uffff]')
_TAG = re.compile(r";\s*(to-tag|from-tag)\s*=\s*([^;\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog whose place is to be taken, as its UA names it who is asked (RFC 3891, 3)."""

    header: str
    sip_call_id: str
    to_tag: str
    "The tag of who is asked."
    from_tag: str
    "The tag of the other side."


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Whom to call."""

    uri: str
    "Without URI headers."
    replaces: Replaces | None = None


def parse_refer_to(value: str) -> ReferTo:
    """A Refer-To header: a URI, perhaps with a Replaces among its headers (RFC 3261, 19.1.1; RFC 5589, 7.3)."""
    uri, _, headers = name_and_uri(value)[1].partition("?")
    pairs = (pair.partition("=") for pair in headers.split("&"))
    header = next((unquote(text) for name, _, text in pairs if name.lower() == "replaces"), "")
    return ReferTo(uri, parse_replaces(header))


def why_no_target(values: Sequence[str]) -> int:
    """The status for Refer-To headers that name nobody to be called: 400, or 416 for other schemes than SIP's and tel.
    0: there is one, and it is right (RFC 3515, 2.4.2).
    """
    uri = parse_refer_to(values[0]).uri if len(values) == 1 else ""
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme) or not is_clean(uri):
        return 400
    return 0 if scheme.lower() in ("sip", "sips", "tel") else 416


def is_clean(uri: str) -> bool:
    """It can stand between angle brackets in a header, and nothing else comes of it."""
    return not _UNCLEAN.search(uri)


def parse_replaces(header: str) -> Replaces | None:
    """None when it names no dialog."""
    sip_call_id = header.partition(";")[0].strip()
    tags = {name.lower(): tag for name, tag in _TAG.findall(header)}
    if not sip_call_id or len(tags) != 2:
        return None
    return Replaces(header, sip_call_id, tags["to-tag"], tags["from-tag"])


def sipfrag(status: int, reason: str) -> str:
    """The body of a NOTIFY: the status line that the referred call has got."""
    return f"SIP/2.0 {status} {reason or default_reason(status)}\r\n"


def default_reason(status: int) -> str:
    return REASONS.get(status) or REASONS[status // 100 * 100]


REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    300: "Multiple Choices",
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
}


def subscription_state(status: int) -> str:
    """A final answer ends the subscription (RFC 3515, 2.4.7)."""
    return "terminated;reason=noresource" if status >= 200 else f"active;expires={NOTIFY_EXPIRES_S}"
