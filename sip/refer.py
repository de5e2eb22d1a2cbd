"""REFER, as text: whom we are to call, in whose place, and how that fares (RFC 3515, RFC 3891). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sip.headers import name_and_uri

NOTIFY_EXPIRES_S = 180
"How long the referrer may expect news; a final NOTIFY ends it before."
SIPFRAG = "message/sipfrag;version=2.0"
"RFC 3420, and RFC 3515, 2.4.5."

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
