"""Our requests outside of calls, REGISTER and OPTIONS, as text, and what their answers say. Pure.

The stack adds the Via, sends them (native/courier.c) and answers challenges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sip.headers import Message, name_and_uri, parse_message
from sip.messages import Target, TrunkAccount
from sip.registrar import LONGEST_EXPIRES_S, Answer
from sip.trunks import contact_user, in_uri, is_secure, our_uri

METHODS = "PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, NOTIFY, REFER, OPTIONS"
_BETWEEN_CONTACTS = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)(?![^<]*>)')
_EXPIRES = re.compile(r";\s*expires\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_TAGS_AND_PARAMETERS = re.compile(r"[;?].*$")


@dataclass(frozen=True, slots=True)
class Thread:
    """What all requests of one purpose have in common (RFC 3261, 10.2: Call-ID; CSeq grows)."""

    call_id: str
    tag: str
    cseq: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one request."""

    number: int
    status: int
    took_ms: float
    is_answered: bool
    "A response has come. Else status and reason are the stack's own: a time-out, a transport error."
    reason: str
    message: Message


def contact(trunk: TrunkAccount, host: str, port: int, target: Target) -> str:
    """The URI under which a registrar's target is to reach us."""
    scheme = "sips" if is_secure(trunk.registrar) else "sip"
    parameter = "" if target.transport == "udp" or scheme == "sips" else f";transport={target.transport}"
    return f"{scheme}:{contact_user(trunk) or 'puente'}@{in_uri(host)}:{port}{parameter}"


def register(trunk: TrunkAccount, thread: Thread, *, host: str, contact: str, expires_s: int, agent: str) -> str:
    identity = our_uri(trunk, host)
    return _request(
        f"REGISTER {trunk.registrar.strip().strip('<>')} SIP/2.0",
        *_identity(thread, "REGISTER", identity, identity),
        *([f"Route: <{trunk.proxy if ';lr' in trunk.proxy else trunk.proxy + ';lr'}>"] if trunk.proxy else []),
        f"Contact: <{contact}>",
        f"Expires: {expires_s}",
        f"Allow: {METHODS}",
        f"User-Agent: {agent}",
    )


def options(trunk: TrunkAccount, thread: Thread, *, host: str, target: Target, agent: str) -> str:
    """A probe: whoever answers it lives."""
    parameter = "" if target.transport == "udp" else f";transport={target.transport}"
    whom = trunk.domain or target.name or f"{in_uri(target.address)}:{target.port}"
    return _request(
        f"OPTIONS sip:{whom}{parameter} SIP/2.0",
        *_identity(thread, "OPTIONS", our_uri(trunk, host), f"sip:{whom}"),
        f"Contact: <{our_uri(trunk, host)}>",
        "Accept: application/sdp",
        f"User-Agent: {agent}",
    )


def _identity(thread: Thread, method: str, ours: str, theirs: str) -> tuple[str, ...]:
    return (
        "Max-Forwards: 70",
        f"From: <{ours}>;tag={thread.tag}",
        f"To: <{theirs}>",
        f"Call-ID: {thread.call_id}",
        f"CSeq: {thread.cseq} {method}",
    )


def _request(*lines: str) -> str:
    return "\r\n".join((*lines, "", ""))


def parse_reply(text: str) -> Reply:
    """In the words of native/puente.i: numbers, reason, message."""
    numbers, _, rest = text.partition("\n")
    reason, _, message = rest.partition("\n")
    number, status, took_us, answered = (int(word) for word in numbers.split(" "))
    return Reply(number, status, took_us / 1000, bool(answered), reason, parse_message(message))


def answer_to_register(reply: Reply, contact: str, asked_s: int) -> Answer:
    return Answer(
        status=reply.status,
        reason=reply.reason,
        expires_s=granted_s(reply.message, contact, asked_s) if reply.status // 100 == 2 else 0,
        min_expires_s=_number(reply.message, "min-expires"),
        retry_after_s=_number(reply.message, "retry-after"),
    )


def granted_s(message: Message, contact: str, asked_s: int) -> int:
    """How long our Contact is registered for: what stands at it, or for all, or what we asked (RFC 3261, 10.2.4)."""
    values = [value for name, value in message.headers if name.lower() in ("contact", "m")]
    every = [one for value in values for one in _BETWEEN_CONTACTS.split(value)]
    wanted = _bare(contact)
    mine = [one for one in every if _bare(name_and_uri(one)[1]) == wanted] or (every if len(every) == 1 else [])
    for one in mine:
        if found := _EXPIRES.search(one):
            return min(int(found[1]), LONGEST_EXPIRES_S)
    return min(_number(message, "expires", asked_s), LONGEST_EXPIRES_S)


def _bare(uri: str) -> str:
    return _TAGS_AND_PARAMETERS.sub("", uri).lower()


def _number(message: Message, name: str, default: int = 0) -> int:
    found = re.match(r"\s*(\d{1,9})", message.first(name))
    return int(found[1]) if found else default
