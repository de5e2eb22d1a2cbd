"""Finds one trunk that carries a call we place, in the order of its ways, inside one request.

    IDLE -> TAKING -> DIALLING -> RINGING -> ANSWERED
              |          |           |
              +----------+-----------+--> TAKING the next way, or FAILED

    TAKING     room on the trunk is asked for; a full one is passed over
    DIALLING   INVITE sent; a trunk that says no 18x within the set-up time, or is found dead before, loses the call to
               the next, if there is one
    RINGING    18x heard: from here on the callee decides, or the ring time-out

The next way is for what is the partner's doing: 5xx and the like, silence, a dead transport. Never for busy, declined
or no answer: the callee has been reached. A 3xx is followed over the trunk that it came from (RFC 3261, 8.1.3.4).

Each attempt is a dialog (`leg`) of its own: one that was given up may still be dying, or answered too late, while the
next one rings. Pure: facts in, commands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from bridge.calls.trunks import TrunkOutcome, Way
from bridge.calls.words import (
    Arm,
    Command,
    RingTimeout,
    SetupTimeout,
    TakeTrunk,
    TellTrunks,
    ToSip,
    TrunkDown,
    TrunkFull,
)
from bridge.errors import Blame, End
from bridge.records import Outcome, TrunkAttempt
from bridge.routing import outcome as routing
from sip import messages as sip

MOST_REDIRECTIONS = 5
"Of one call. A sixth is taken for a loop, even if all its addresses are different."
EARLY_S = 0.02
"So much before its time a timer may fire."
UNSAID = (routing.SETUP_TIMEOUT.reason, routing.UNREACHABLE.reason, "trunk-full")
"Reasons that are no words of a partner's."


class Stage(Enum):
    IDLE = auto()
    TAKING = auto()
    DIALLING = auto()
    RINGING = auto()
    ANSWERED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of a call that nobody has answered, and why."""

    outcome: Outcome
    end: End

    @property
    def tells(self) -> int:
        """Of several the highest is told: what a partner has said of the number, then of itself, then what we saw."""
        if self.outcome != "failed":
            return 3
        return {3: 1, 4: 2, 5: 1, 6: 2}.get(self.end.sip_status // 100, 0) if self.end.reason not in UNSAID else 0


@dataclass(frozen=True, slots=True)
class _Turn:
    way: Way
    is_redirected: bool = False


class TrunkHunt:
    def __init__(
        self,
        call: str,
        ways: Sequence[Way],
        *,
        setup_timeout_ms: int = 4000,
        ring_timeout_ms: int = 45000,
        most_attempts: int = 4,
    ) -> None:
        """`most_attempts` counts trunks and addresses that were dialled; redirections have their own limit."""
        self.call = call
        self.stage = Stage.IDLE
        self.attempts: list[TrunkAttempt] = []
        self.failure: Failure | None = None
        "Set with stage FAILED."
        self.leg = call
        self._turn = _Turn(Way(uri=""))
        self._turns = [_Turn(way) for way in ways]
        self._seen = {way.uri for way in ways}
        self._setup_timeout_ms, self._ring_timeout_ms = setup_timeout_ms, ring_timeout_ms
        self._left, self._redirections = most_attempts, 0
        self._number = -1
        self._since = 0.0
        self._delay_ms = -1.0
        self._has_rung = False
        "Over whichever trunk: the time a callee is let ring is counted once."
        self._ring_until = 0.0
        self._failures: list[Failure] = []

    @property
    def way(self) -> Way:
        """The one we are at."""
        return self._turn.way

    def start(self, now: float) -> list[Command]:
        assert self.stage is Stage.IDLE
        return self._next(now)

    @property
    def is_dialled(self) -> bool:
        """An INVITE of ours has no final answer yet."""
        return self.stage in (Stage.DIALLING, Stage.RINGING)

    def is_taken(self, attempt: int) -> bool:
        """There is room: is it still wanted?"""
        return self.stage is Stage.TAKING and attempt == self._number

    def dial(self, sdp: str, now: float) -> list[Command]:
        """The trunk has room: here goes the INVITE, with our offer."""
        assert self.stage is Stage.TAKING
        self.stage, self._since, self._delay_ms = Stage.DIALLING, now, -1.0
        self._left -= not self._turn.is_redirected
        way = self.way
        invite = sip.Dial(
            call=self.leg,
            uri=way.uri,
            sdp=sdp,
            trunk=way.trunk,
            from_user=way.from_user,
            from_uri=way.from_uri,
            headers=way.headers,
            target=way.target,
        )
        return [ToSip(invite), Arm(SetupTimeout(self._number), self._setup_timeout_ms), *self._let_ring(now)]

    # --- what becomes of it

    def on_full(self, full: TrunkFull, now: float) -> list[Command]:
        if not self.is_taken(full.attempt):
            return []
        self._since = now
        self._note("full", now, detail=full.why)
        return self._failed(Failure("failed", End(Blame.UPSTREAM, "trunk-full", 503, self._named(full.why), 1)), now)

    def on_ringing(self, now: float) -> list[Command]:
        """18x: the callee's telephone rings, or soon will."""
        if self.stage is not Stage.DIALLING:
            return []
        self.stage, self._delay_ms = Stage.RINGING, self._took_ms(now)
        timers = self._let_ring(now)
        self._has_rung = True
        return timers

    def on_answered(self, now: float) -> list[Command]:
        if not self.is_dialled:
            return []
        if self.stage is Stage.DIALLING:
            self._delay_ms = self._took_ms(now)
        self.stage = Stage.ANSWERED
        self._note("answered", now, 200)
        return [self._told(routing.ANSWERED, 200)]

    def on_ended(self, ended: sip.Ended, now: float) -> list[Command]:
        """A final refusal, or the stack has given the attempt up."""
        if not self.is_dialled:
            return []
        verdict = routing.of(ended.status, ended.by, rang=self.stage is Stage.RINGING)
        said = f"{ended.status} {ended.reason}".strip()
        turns = self._redirected(ended)
        self._note("redirected" if turns else verdict.reason, now, ended.status, ended.reason)
        told = self._told(
            verdict,
            ended.status if ended.by == "remote" else 0,
            retry_after_s=ended.retry_after_s,
            detail=said,
        )
        if not (verdict.next_trunk or turns):
            # Who was redirected may try the other addresses (RFC 3261, 8.1.3.4), unless that is no use (21.6).
            is_everywhere = ended.status // 100 == 6
            self._turns = [] if is_everywhere else [turn for turn in self._turns if turn.is_redirected]
        self._turns[:0] = turns
        return [told, *self._failed(_failure(verdict, ended.status, self._named(said), ended.retry_after_s), now)]

    def on_setup_timeout(self, timeout: SetupTimeout, now: float) -> list[Command]:
        """Slow, or dead. The last one that is left is waited for as long as any callee may ring."""
        if self.stage is not Stage.DIALLING or timeout.attempt != self._number or not self._can_go_on:
            return []
        return self._leave(f"no 18x within {self._setup_timeout_ms / 1000:g} s", now)

    def on_trunk_down(self, down: TrunkDown, now: float) -> list[Command]:
        """Others have found it dead: an INVITE that it has not said 18x to need not wait its time out."""
        if self.stage is not Stage.DIALLING or self.way.trunk != down.trunk:
            return []
        here, self._turns = self._turns, [turn for turn in self._turns if turn.way.trunk != down.trunk]
        if not self._can_go_on:  # nobody else carries it: then it is waited for, and its other addresses are tried
            self._turns = here
            return []
        return self._leave(f"no 18x, and it is down: {down.why}", now)

    def on_ring_timeout(self, now: float) -> list[Command]:
        """The INVITE that still stands is for whoever asked to cancel."""
        if self.stage in (Stage.IDLE, Stage.ANSWERED, Stage.FAILED) or now < self._ring_until - EARLY_S:
            return []
        self._turns.clear()
        why = f"no answer in {self.ring_ms / 1000:g} s"
        if not self._has_rung:
            return self._silent(why, now)
        self._note("no-answer", now, detail=why)
        told = self._told(routing.NO_ANSWER, detail=why)
        return [told, *self._failed(_failure(routing.NO_ANSWER, 408, why), now)]

    def give_up(self, end: End, now: float) -> list[Command]:
        """The call ends for another reason than its trunks. The INVITE that still stands is the caller's to cancel."""
        if self.stage not in (Stage.TAKING, Stage.DIALLING, Stage.RINGING):
            return []
        self._note("cancelled", now, detail=end.reason)
        told: list[Command] = (
            [self._told(routing.CANCELLED, detail=end.reason)] if self.stage is not Stage.TAKING else []
        )
        self.stage, self.failure = Stage.FAILED, Failure("cancelled", end)
        return told

    # --- steps

    @property
    def _can_go_on(self) -> bool:
        return bool(self._turns) and (self._turns[0].is_redirected or self._left > 0)

    def _next(self, now: float) -> list[Command]:
        if not self._can_go_on:
            self.stage = Stage.FAILED
            self.failure = max(reversed(self._failures), key=lambda one: one.tells, default=NO_WAY)
            return []
        self._turn = self._turns.pop(0)
        self._number += 1
        self.stage, self._since = Stage.TAKING, now
        self.leg = f"{self.call}.{self._number + 1}" if self._number else self.call
        return [TakeTrunk(self._number, self.way.trunk, self.leg)]

    def _failed(self, failure: Failure, now: float) -> list[Command]:
        self._failures.append(failure)
        return self._next(now)

    def _leave(self, why: str, now: float) -> list[Command]:
        cancel = ToSip(sip.Hangup(call=self.leg, reason="slow trunk"))
        return [cancel, *self._silent(why, now)]

    def _silent(self, why: str, now: float) -> list[Command]:
        verdict = routing.SETUP_TIMEOUT
        self._note(verdict.reason, now, detail=why)
        return [self._told(verdict, detail=why), *self._failed(_failure(verdict, 408, self._named(why)), now)]

    def _redirected(self, ended: sip.Ended) -> list[_Turn]:
        """Where a 3xx sends us: addresses not tried yet, over the same trunk."""
        if ended.status // 100 != 3 or self._redirections >= MOST_REDIRECTIONS:
            return []
        because = (f"{ended.status} of {self._named(self.way.uri)}",)
        given = (uri for uri in dict.fromkeys(ended.contacts) if uri.lower().startswith(("sip:", "sips:")))
        fresh = [uri for uri in given if uri not in self._seen]
        self._redirections += bool(fresh)
        self._seen.update(fresh)
        return [_Turn(replace(self.way, uri=uri, because=because), is_redirected=True) for uri in fresh]

    @property
    def ring_ms(self) -> int:
        """How long the callee may be let ring over this way."""
        return self.way.ring_timeout_ms or self._ring_timeout_ms

    def _let_ring(self, now: float) -> list[Command]:
        if self._has_rung:
            return []
        self._ring_until = now + self.ring_ms / 1000
        return [Arm(RingTimeout(), self.ring_ms)]

    # --- words

    def _took_ms(self, now: float) -> float:
        return round((now - self._since) * 1000, 3)

    def _named(self, what: str) -> str:
        return f"{self.way.trunk}: {what}" if self.way.trunk else what

    def _note(self, outcome: str, now: float, status: int = 0, detail: str = "") -> None:
        way = self.way
        self.attempts.append(
            TrunkAttempt(
                trunk=way.trunk,
                target=way.address,
                outcome=outcome,
                sip_status=status,
                took_ms=self._took_ms(now),
                detail=detail,
                because=way.because,
            )
        )

    def _told(
        self, verdict: routing.Outcome, status: int = 0, *, retry_after_s: int = 0, detail: str = ""
    ) -> TellTrunks:
        return TellTrunks(
            TrunkOutcome(
                trunk=self.way.trunk,
                target=self.way.target,
                outcome=verdict.kind,
                sip_status=status,
                counts_against_trunk=verdict.counts_against_trunk,
                post_dial_delay_ms=self._delay_ms,
                retry_after_s=retry_after_s,
                detail=detail,
            )
        )


NO_WAY = Failure("failed", End(Blame.UPSTREAM, "no-trunk", 503, "no trunk can take this call"))


def _failure(verdict: routing.Outcome, status: int, detail: str, retry_after_s: int = 0) -> Failure:
    blame = Blame.UPSTREAM if verdict.counts_against_trunk else Blame.CLIENT
    return Failure(verdict.kind, End(blame, verdict.reason, status, detail, retry_after_s))
