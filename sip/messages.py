"""Everything the control process and the sip process say to each other.

The two are joined by one Unix SOCK_SEQPACKET socket: one message is one packet, msgpack-encoded by `msgspec`, so there
is no framing to get wrong; only what is too long for a packet, a list of trunks, comes in pieces. Commands go down
(control -> sip), events come up. Read this file first: it is the whole surface of the room.

A call is named by `call`, a short random hex string. For an inbound call the sip process makes it, for an outbound
call whoever sends `Dial` does. After `Ended` a name is never used again; a command for an unknown call is ignored and
logged at debug level, because a BYE can always cross it on the way.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from sip.options import EndpointOptions as EndpointOptions
from sip.options import Target as Target
from sip.options import TrunkAccount as TrunkAccount

MAX_MESSAGE_BYTES = 120_000
"""Of one packet: larger than any SIP message we accept (PJSIP_MAX_PKT_LEN 8000), and less than a socket takes at once
(net.core.wmem_default 212992). What is longer comes in pieces.
"""
_PIECE, _LAST_PIECE = b"\xc1\x01", b"\xc1\x00"
"0xC1 is the one byte that begins no msgpack value."


# --- control -> sip -------------------------------------------------------------------------------------------------


_KEY = re.compile(r"inline:[A-Za-z0-9+/=]+")


class _Message(msgspec.Struct, kw_only=True):
    def __repr__(self) -> str:  # keys in SDP (RFC 4568) must not reach a log
        return _KEY.sub("inline:...", super().__repr__())


class Command(_Message, kw_only=True, tag=True, tag_field="is"):
    pass


class Start(Command):
    """First message of all. Answered by `Started` or `StartFailed`."""

    options: EndpointOptions
    trunks: tuple[TrunkAccount, ...]
    must_have_all: bool = True
    "A trunk that cannot be set up is `StartFailed`. False, after a death: it is left out, as `TrunksSet` then says."


class Ring(Command):
    """Provisional answer: 180, or 183 with `sdp` for early media.

    Without `sdp` it does nothing for an INVITE without SDP: the stack makes the offer with its first response, and
    cannot change it in the 200.
    """

    call: str
    status: int = 180
    sdp: str = ""


class Answer(Command):
    """200 OK. `sdp` is our answer, or our offer if the INVITE had none (then `Negotiated` brings theirs)."""

    call: str
    sdp: str


class Refuse(Command):
    """Final 3xx-6xx to an INVITE that was not answered yet."""

    call: str
    status: int
    reason: str = ""
    retry_after_s: int = 0
    "Retry-After header when above 0."


class AnswerReoffer(Command):
    """Answers the `Reoffer` of this number: 200 with `sdp`. One that waits no longer has nothing to be answered."""

    call: str
    sdp: str
    number: int = 0


class RefuseReoffer(Command):
    """Answers the `Reoffer` of this number with an error, e.g. 488. The call goes on as it was."""

    call: str
    status: int = 488
    number: int = 0


class Hangup(Command):
    """End the call whatever its state: BYE, CANCEL, or a final refusal (`status`) when it still rings at our side."""

    call: str
    status: int = 0
    reason: str = ""


class Dial(Command):
    """Place a call. Followed by `Dialled`, `Ringing`*, then `Answered` or `Ended`; by `Ended` alone if it cannot be."""

    call: str
    uri: str
    sdp: str
    trunk: str = ""
    "Which account to use. Empty: the first `peer` trunk, or a nameless local account when there is none."
    from_user: str = "puente"
    headers: tuple[tuple[str, str], ...] = ()
    from_uri: str = ""
    'Who is calling, when the trunk wants more than a user name: `"Name" <sip:+49...@host>` or an anonymous URI.'
    target: Target | None = None
    "Which of the trunk's addresses is to be tried. None: the first."
    replaces: str = ""
    "Another call of ours whose peer is to take this one in its place (RFC 3891)."


class Reinvite(Command):
    """Offer anew inside a call (re-INVITE, or UPDATE where no INVITE may be sent).

    Followed by `Negotiated` or `ReofferRefused`. Glare (491) is waited out and tried again here (RFC 3261, 14.1).
    """

    call: str
    sdp: str


class SendInfoDigit(Command):
    """One DTMF digit by SIP INFO, for peers without telephone-event."""

    call: str
    digit: str
    duration_ms: int = 160


class Refer(Command):
    """Ask the peer to call somebody else (RFC 3515). Followed by `ReferProgress` until one is final.

    With `replaces`, the name of another call of ours, the peer is to call whom that one is with, in its place
    (attended, RFC 5589, 7); `to_uri` is not asked then.
    """

    call: str
    to_uri: str = ""
    replaces: str = ""


class AnswerRefer(Command):
    """Answers `Referred`: 202, or a refusal. After 202 the referrer is told by `NotifyRefer`."""

    call: str
    status: int = 202


class NotifyRefer(Command):
    """How the call that the peer asked for fares; a final `status` ends the subscription (RFC 3515, 2.4.5)."""

    call: str
    status: int
    reason: str = ""


class SetTrunks(Command):
    """The whole list anew, after a reload. Calls of a trunk that is gone go on. Answered by `TrunksSet`."""

    trunks: tuple[TrunkAccount, ...]


class SetTargets(Command):
    """Where a partner is now. Its registration moves at once when its target is no longer among them."""

    trunk: str
    targets: tuple[Target, ...]


class Renew(Command):
    """A partner lives again: it may have forgotten our registration at that address. Asked again at once, if it was
    there or is nowhere."""

    trunk: str
    target: Target


class Probe(Command):
    """One OPTIONS to one address of a partner. Answered by `Probed` with the same number, within `timeout_ms`."""

    trunk: str
    target: Target
    number: int
    timeout_ms: int = 2000


class Ping(Command):
    """Answered by `Pong` with the same number, from the same loop that pumps PJSIP: proves that it turns."""

    number: int


class Stop(Command):
    """Hang up all calls, un-register, and exit. The socket's end closing does the same."""

    grace_ms: int = 2000


# --- sip -> control -------------------------------------------------------------------------------------------------


class Event(_Message, kw_only=True, tag=True, tag_field="is"):
    pass


class Started(Event):
    udp_port: int
    tcp_port: int
    "-1 for a transport that is off."
    tls_port: int = -1


class StartFailed(Event):
    why: str
    "One sentence naming what was wrong, e.g. `udp port 5060 on 127.0.0.1 is in use`."


class Incoming(Event):
    """A new INVITE from a known trunk. 100 has been sent already."""

    call: str
    trunk: str
    source: str
    "address:port it came from"
    sip_call_id: str
    from_uri: str
    from_name: str
    to_uri: str
    request_uri: str
    offer: str
    "SDP as text, empty when the INVITE had none."
    headers: tuple[tuple[str, str], ...] = ()
    "X-* headers, P-Asserted-Identity, Diversion, User-Agent: what routing may want. At most 32."
    replaces: str = ""
    "Our call that this one is to take the place of (RFC 3891), already found by its Call-ID and tags."
    matched_by: Literal["address", "account", "digest"] = "address"


class Dialled(Event):
    """The INVITE of a `Dial` is on its way."""

    call: str
    sip_call_id: str
    "By which the partner finds the call in its own records."


class Ringing(Event):
    """18x on a call we dialled. `sdp` when it carried early media."""

    call: str
    status: int
    sdp: str = ""


class Answered(Event):
    """200 on a call we dialled."""

    call: str
    sdp: str


class Confirmed(Event):
    """The ACK has been seen (inbound) or sent (outbound): the dialog stands."""

    call: str


class Negotiated(Event):
    """The remote's answer to an offer of ours (delayed offer in INVITE or re-INVITE)."""

    call: str
    sdp: str


class Reoffer(Event):
    """re-INVITE or UPDATE with `sdp`, to be answered by `AnswerReoffer` or `RefuseReoffer`.

    A change that the stack had to answer on the spot (UPDATE) comes with `answered` true: it is told, not asked. A
    re-INVITE without SDP is answered on the spot too, with what we said last as the offer; what the remote makes of it
    comes as `Negotiated`.
    """

    call: str
    sdp: str
    answered: bool = False
    number: int = 0
    "Of those to be answered, in this dialog: the next may be there before the answer to the one before, taken back."


class InfoDigit(Event):
    """One DTMF digit by SIP INFO (application/dtmf-relay or application/dtmf)."""

    call: str
    digit: str
    duration_ms: int


class Ended(Event):
    """The last event of a call, whatever happened. After `Hangup` it does not wait for the answer to our BYE."""

    call: str
    status: int
    reason: str
    by: Literal["remote", "local", "error"]
    contacts: tuple[str, ...] = ()
    "Of a 3xx: where else to try, best first (RFC 3261, 8.1.3.4)."
    retry_after_s: int = 0
    "What a 503, 480 or 486 said."


class ReofferRefused(Event):
    """A `Reinvite` was not taken. The call goes on as it was."""

    call: str
    status: int


class Referred(Event):
    """The peer asks us to call somebody else (RFC 3515). To be answered by `AnswerRefer`."""

    call: str
    to_uri: str
    "Without the Replaces that it may have held."
    replaces: str = ""
    "Our call that the new one is to take the place of, if the Replaces named one of ours."
    replaces_header: str = ""
    "Else the header, to be sent along in the INVITE (RFC 5589, 7)."
    referred_by: str = ""


class ReferProgress(Event):
    """What became of a `Refer`: first the answer to it, then what the peer's NOTIFYs tell."""

    call: str
    status: int
    reason: str
    final: bool
    "No more will come. A final 2xx: the peer talks to the other; a final 4xx-6xx: the call is still ours."


class TrunksSet(Event):
    """`SetTrunks` is done, or a `Start` that need not have all. Comes again when one has found room after all."""

    problems: tuple[str, ...] = ()
    "A sentence for each trunk that could not be set up."
    missing: dict[str, str] = {}
    "Those that the stack has not even as they were before: why not."


class Probed(Event):
    """Any answer proves a living partner; 408 and 503 with `by` local mean that none came."""

    trunk: str
    target: Target
    number: int
    status: int
    took_ms: float
    answered: bool
    "The partner itself has answered: it lives, even when it does not like OPTIONS."
    why: str = ""


class Registration(Event):
    """The state of a registering trunk changed."""

    trunk: str
    state: Literal["registered", "refused", "unreachable", "unregistered"]
    status: int
    reason: str
    expires_s: int
    retry_in_s: float = 0.0
    target: Target | None = None
    "Who was asked."


class Dropped(Event):
    """Requests from addresses that belong to no trunk, or that are no SIP at all; they got no answer.

    Sent at most once a second per source so that a flood of scanners is not a flood of log lines.
    """

    source: str
    method: str
    count: int
    why: str


class AboveRate(Event):
    """INVITEs that were more than a trunk may bring in a second: 503, at no cost. Told once a second at most."""

    trunk: str
    count: int


class RefusedByStack(Event):
    """The SIP stack refused an INVITE or re-INVITE by itself (bad SDP, bad extension) before we were asked."""

    source: str
    sip_call_id: str
    status: int
    why: str


class Pong(Event):
    number: int
    calls: int
    "Calls that stand or ring in the stack."


AnyCommand = (
    Start
    | Ring
    | Answer
    | Refuse
    | AnswerReoffer
    | RefuseReoffer
    | Hangup
    | Dial
    | Reinvite
    | SendInfoDigit
    | Refer
    | AnswerRefer
    | NotifyRefer
    | SetTrunks
    | SetTargets
    | Renew
    | Probe
    | Ping
    | Stop
)
AnyEvent = (
    Started
    | StartFailed
    | Incoming
    | Dialled
    | Ringing
    | Answered
    | Confirmed
    | Negotiated
    | Reoffer
    | ReofferRefused
    | Referred
    | ReferProgress
    | InfoDigit
    | Ended
    | TrunksSet
    | Probed
    | Registration
    | Dropped
    | AboveRate
    | RefusedByStack
    | Pong
)

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)
_events: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


def encode(message: Command | Event) -> bytes:
    """What the world sends need not be UTF-8; what is not becomes U+FFFD."""
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:
        return _encoder.encode(_mended(msgspec.to_builtins(message)))


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {name: _mended(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(one) for one in value]
    return value


def pieces(message: bytes) -> list[bytes]:
    """A message as packets, mostly one."""
    if len(message) <= MAX_MESSAGE_BYTES:
        return [message]
    size = MAX_MESSAGE_BYTES - len(_PIECE)
    cut = [message[at : at + size] for at in range(0, len(message), size)]
    return [*(_PIECE + piece for piece in cut[:-1]), _LAST_PIECE + cut[-1]]


class Joiner:
    """Packets become messages again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, packet: bytes) -> bytes | None:
        """None: more is to come."""
        mark = packet[: len(_PIECE)]
        if mark not in (_PIECE, _LAST_PIECE):
            return packet
        self._parts.append(packet[len(_PIECE) :])
        if mark == _PIECE:
            return None
        whole, self._parts = b"".join(self._parts), []
        return whole


def decode_command(data: bytes) -> AnyCommand:
    """Raises msgspec.DecodeError for what is no command: our own bug, never the world's."""
    return _commands.decode(data)


def decode_event(data: bytes) -> AnyEvent:
    return _events.decode(data)
