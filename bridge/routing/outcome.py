"""What the answer to an INVITE of ours means: for the call, for the next trunk, and for the trunk that gave it. Pure.

Two questions that are often confused. Is another trunk worth a try? Not when the callee himself has spoken (busy,
declined, nobody there): he would be called twice. Does it speak against the trunk? Not when it is about the number or
about our SDP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["answered", "busy", "declined", "no-answer", "cancelled", "failed"]
By = Literal["remote", "local", "error"]
"As in `sip.messages.Ended`."


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: Kind
    next_trunk: bool = False
    counts_against_trunk: bool = False
    reason: str = ""
    "Short, stable, countable: `trunk-refused`, `setup-timeout`."


ANSWERED = Outcome("answered", reason="answered")
BUSY = Outcome("busy", reason="busy")
DECLINED = Outcome("declined", reason="declined")
NO_ANSWER = Outcome("no-answer", reason="no-answer")
CANCELLED = Outcome("cancelled", reason="cancelled")
NO_SUCH_NUMBER = Outcome("failed", reason="no-such-number")
"The whole network says so (604, 410), or we wrote it badly (484, 485)."
NOT_FOUND = Outcome("failed", next_trunk=True, reason="not-found")
"404: many a trunk says it when it merely has no route there."
NOT_ACCEPTABLE = Outcome("failed", next_trunk=True, reason="not-acceptable")
"Our SDP or our extensions did not suit this partner; the next one may be another make."
REDIRECTED = Outcome("failed", next_trunk=True, reason="redirected")
"A 3xx that led nowhere."
REFUSED = Outcome("failed", next_trunk=True, counts_against_trunk=True, reason="trunk-refused")
"401, 402, 403, 407: our account there is not what we think it is."
SETUP_TIMEOUT = Outcome("failed", next_trunk=True, counts_against_trunk=True, reason="setup-timeout")
"Neither 18x nor an end within `setup_timeout_ms`: packets vanish, or the partner is drowning."
TRUNK_FAILED = Outcome("failed", next_trunk=True, counts_against_trunk=True, reason="trunk-failed")
UNREACHABLE = Outcome("failed", next_trunk=True, counts_against_trunk=True, reason="unreachable")
"Connection refused or lost, certificate not believed, no answer within the transaction's time."
GLOBAL = Outcome("failed", reason="refused-everywhere")
"Any other 6xx: there is no use in asking elsewhere (RFC 3261, 21.6)."

BY_STATUS: dict[int, Outcome] = {
    401: REFUSED,
    402: REFUSED,
    403: REFUSED,
    404: NOT_FOUND,
    407: REFUSED,
    410: NO_SUCH_NUMBER,
    480: NO_ANSWER,
    484: NO_SUCH_NUMBER,
    485: NO_SUCH_NUMBER,
    486: BUSY,
    487: CANCELLED,
    600: BUSY,
    603: DECLINED,
    604: NO_SUCH_NUMBER,
    607: DECLINED,  # RFC 8197: unwanted
    608: DECLINED,  # RFC 8688: rejected by an analytics engine
}
BY_CLASS: dict[int, Outcome] = {
    2: ANSWERED,
    3: REDIRECTED,
    4: NOT_ACCEPTABLE,
    5: TRUNK_FAILED,
    6: GLOBAL,
}


def of(status: int, by: By, *, rang: bool = False) -> Outcome:
    """`status` and `by` as `Ended` has them; `rang`: an 18x had come before."""
    if by == "local" and status // 100 != 2:
        return CANCELLED
    if status == 408 or (by == "error" and status // 100 != 2):
        # After an 18x the callee's telephone has rung: a 408 then is his, not the trunk's.
        return NO_ANSWER if rang and status == 408 else UNREACHABLE
    return BY_STATUS.get(status) or BY_CLASS.get(status // 100, TRUNK_FAILED)
