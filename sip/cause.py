"""What moved a call on, as plain values copied out of the stack's callback. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sip.headers import contacts, parse_message, retry_after_s, sdp_of


@dataclass(frozen=True, slots=True)
class Cause:
    """A transaction's turn: a message, a timer, a transport error. All empty: no transaction had to do with it."""

    is_message: bool = False
    "A message from the peer, or our answer to one (487 after CANCEL). Else a timer or a transport error."
    method: str = ""
    is_ours: bool = False
    "We sent the request."
    status: int = 0
    answered_cseq: str = ""
    "CSeq of a request of theirs, when our final response to it has just gone out."
    received: str = ""
    "The message that came, as text."

    @property
    def ended_by(self) -> Literal["remote", "error"]:
        """Whose doing it is when this ends a call that we did not hang up."""
        if self.is_ours and self.method == "BYE":  # the stack's own, e.g. when no ACK has come (RFC 3261, 13.3.1.4)
            return "error"
        return "remote" if self.is_message else "error"

    @property
    def redirection(self) -> int:
        """The 3xx that ended the call, or 0: we follow none, and PJSUA then only says 487."""
        return self.status if self.status // 100 == 3 else 0

    @property
    def contacts(self) -> tuple[str, ...]:
        """Of a redirection: where else to try, best first."""
        return contacts(parse_message(self.received)) if self.redirection and self.received else ()

    @property
    def retry_after_s(self) -> int:
        """Of a refusal: when to try again; 0 when nothing was said."""
        return retry_after_s(parse_message(self.received)) if self.received else 0

    @property
    def sdp(self) -> str:
        return sdp_of(parse_message(self.received)) if self.received else ""
