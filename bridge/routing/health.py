"""How one trunk fares: probes, registration and live calls, all into one breaker. Pure.

    each target:  two probes lost in a row -> dead             all targets dead -> the breaker is held open
    registration: not there                                     -> held open
    calls:        three failures in a row, half of the last     -> opened; only calls that get through close it again
                  ten, thirty that have reached nobody, three
                  answered ones in a row without audio from it

A flapping partner is the breaker's business (`bridge.routing.breaker`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from bridge.routing.breaker import Breaker, Policy, State
from sip.options import Target

LOST_PROBES = 2
"In a row: a target is dead. With a second look right after the first loss this takes about three seconds."
UNWELL = frozenset({500, 502, 503, 504})
"Answers to OPTIONS by which a partner says that it does not serve just now."
WINDOW = 30
"So many calls back we look."
OLD_S = 900.0
"What is older says nothing about now."
FAILURE_CALLS, FAILURE_SHARE = 10, 0.5
NOBODY_CALLS = 30
ONE_WAY_CALLS = 3
SLOW_MS = 3000.0
"A post-dial delay that people remark on (ITU-T E.721 has 3 s for the local, 8 s for the international call)."

Registered = Literal["registered", "refused", "unreachable", "unregistered"]
REGISTRATION, PROBES = "registration", "probes"


@dataclass(slots=True)
class Liveness:
    """One address of the partner."""

    target: Target
    lost: int = 0
    "Probes in a row."
    answered: int = 0
    status: int = 0
    "Of the last answer."
    took_ms: float = 0.0
    "Smoothed as TCP does it (RFC 6298): 7 parts old, 1 part new."
    why: str = ""
    "Of the last loss."
    ever_well: bool = False

    @property
    def is_alive(self) -> bool:
        return self.lost < LOST_PROBES

    def on_probe(self, *, answered: bool, status: int, took_ms: float, why: str) -> bool:
        """Whether it was a good one. A 503 is bad from a partner that has been heard to say something better."""
        good = answered and not (status in UNWELL and self.ever_well)
        if answered:
            self.took_ms = took_ms if not self.answered else self.took_ms * 7 / 8 + took_ms / 8
            self.answered += 1
            self.status = status
            self.ever_well |= status not in UNWELL
        self.lost = 0 if good else self.lost + 1
        self.why = "" if good else f"answers OPTIONS with {status}" if answered else why or "does not answer OPTIONS"
        return good


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call as far as it tells about the trunk."""

    at: float
    answered: bool
    failed: bool
    "The trunk is to blame."
    delay_ms: float = -1.0
    "INVITE to first 18x or 200; -1: there was none."
    is_busy: bool = False
    "Busy or declined: somebody was reached, if not to talk to."

    @property
    def reached(self) -> bool:
        """It has led to somebody: the trunk has done its part."""
        return self.answered or self.is_busy or self.delay_ms >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of the last calls, at most thirty and a quarter of an hour back."""

    calls: int = 0
    answer_ratio: float | None = None
    "Answer-seizure ratio (ITU-T E.411). None: no calls."
    failure_ratio: float | None = None
    "5xx, 408 and the like, dead transports, set-up time-outs."
    delay_ms: float | None = None
    "Median of the post-dial delays."
    one_way: int = 0
    "In a row, up to now."


@dataclass(slots=True)
class TrunkHealth:
    registers: bool = False
    has_probes: bool = True
    policy: Policy = field(default_factory=Policy)
    breaker: Breaker = field(init=False)
    registration: str = ""
    "Of a registering trunk, in a word; empty before anything was heard."
    registration_detail: str = ""
    registered_at: Target | None = None
    targets: dict[Target, Liveness] = field(default_factory=dict)
    one_way: int = 0
    _calls: deque[CallResult] = field(init=False, default_factory=lambda: deque(maxlen=WINDOW))
    _judged_from: float = -math.inf
    "What led to an opening must not open it again after the trial."

    def __post_init__(self) -> None:
        held = (REGISTRATION, "not registered yet") if self.registers else None
        self.breaker = Breaker(self.policy, has_probes=self.has_probes, held=held)

    # --- facts in ---

    def set_targets(self, targets: Iterable[Target], now: float) -> None:
        """The look-up's answer. What is known of those that stay is kept."""
        known = self.targets
        self.targets = {target: known.get(target) or Liveness(target) for target in targets}
        self._judge_probes(now)

    def on_probe(self, target: Target, *, answered: bool, status: int, took_ms: float, why: str, now: float) -> bool:
        """Whether it was a good one. An answer about a target that is gone does nothing."""
        one = self.targets.get(target)
        if one is None:
            return False
        good = one.on_probe(answered=answered, status=status, took_ms=took_ms, why=why)
        self._judge_probes(now)
        # One of several addresses that is lost says nothing while another answers.
        if good or not any(other.lost == 0 for other in self.targets.values()):
            self.breaker.on_probe(good, now)
        return good

    def on_registration(self, state: Registered, detail: str, at: Target | None, now: float) -> None:
        """`detail`: status and reason, as the registrar gave them."""
        self.registration, self.registration_detail = state, detail
        self.registered_at = at if state == "registered" else None
        if state == "registered":
            self.breaker.lift(REGISTRATION, now)
        else:
            self.breaker.hold(REGISTRATION, f"registration {state}: {detail}".rstrip(": "), now)

    def on_call(self, result: CallResult, why: str = "") -> None:
        """A call of ours has been answered, refused or given up. `why`: of a failure."""
        now = result.at
        self._calls.append(result)
        if result.failed:
            self.breaker.on_failure(why, now)
            if self.breaker.state is State.OPEN:
                self._judged_from = now
        elif result.reached:
            self.breaker.on_success(now)
        else:
            self.breaker.on_trial_over()  # refused at once, but for the number's sake
        self._judge_calls(now)

    def on_audio(self, *, both_ways: bool, now: float) -> None:
        """An answered call is over: did we hear the other side?"""
        self.one_way = 0 if both_ways else self.one_way + 1
        if self.one_way >= ONE_WAY_CALLS:
            self.breaker.trip(f"no audio from it in {self.one_way} answered calls in a row", now)
            self.one_way = 0

    # --- questions ---

    def figures(self, now: float) -> Figures:
        return _figures(self._recent(now), self.one_way)

    def trouble(self, now: float) -> tuple[int, str]:
        """0 none, 1 some, 2 much; and the same in words, for the "because" of a choice."""
        figures = _figures(self._judged(now), self.one_way)
        if self.breaker.state is State.HALF_OPEN:
            return 0, f"on trial: {self.breaker.because}"
        if figures.failure_ratio is not None and figures.failure_ratio >= 0.3 and figures.calls >= 5:
            return 2, f"{figures.failure_ratio:.0%} of {figures.calls} calls failed"
        if (suspect := [one for one in self.targets.values() if one.lost]) and len(suspect) == len(self.targets):
            return 1, f"the last probe was lost: {suspect[0].why}"
        if figures.one_way:
            return 1, f"no audio from it in {figures.one_way} answered calls in a row"
        if figures.delay_ms is not None and figures.delay_ms > SLOW_MS:
            return 1, f"slow: rings after {figures.delay_ms / 1000:.1f} s"
        if figures.answer_ratio is not None:
            return 0, f"healthy: {figures.answer_ratio:.0%} of {figures.calls} calls answered"
        return 0, "healthy"

    # --- judging ---

    def _judge_probes(self, now: float) -> None:
        dead = [one for one in self.targets.values() if not one.is_alive]
        if dead and len(dead) == len(self.targets):
            more = f" (all {len(dead)} addresses)" if len(dead) > 1 else ""
            self.breaker.hold(PROBES, f"{dead[0].target}: {dead[0].why}{more}", now)
        else:
            self.breaker.lift(PROBES, now)

    def _judge_calls(self, now: float) -> None:
        if self.breaker.state is not State.CLOSED:
            return
        calls = self._judged(now)
        if len(calls) >= FAILURE_CALLS:
            last = calls[-FAILURE_CALLS:]
            failed = sum(one.failed for one in last)
            if failed >= FAILURE_SHARE * FAILURE_CALLS:
                self._trip(f"{failed} of the last {FAILURE_CALLS} calls failed", now)
                return
        if len(calls) >= NOBODY_CALLS and not any(one.reached for one in calls):
            self._trip(f"none of the last {len(calls)} calls has reached anybody", now)

    def _trip(self, why: str, now: float) -> None:
        self.breaker.trip(why, now)
        self._judged_from = now

    def _judged(self, now: float) -> list[CallResult]:
        return [one for one in self._recent(now) if one.at > self._judged_from]

    def _recent(self, now: float) -> list[CallResult]:
        return [one for one in self._calls if now - one.at <= OLD_S]


def _figures(calls: list[CallResult], one_way: int) -> Figures:
    delays = [one.delay_ms for one in calls if one.delay_ms >= 0]
    return Figures(
        calls=len(calls),
        answer_ratio=sum(one.answered for one in calls) / len(calls) if calls else None,
        failure_ratio=sum(one.failed for one in calls) / len(calls) if calls else None,
        delay_ms=median(delays) if delays else None,
        one_way=one_way,
    )
