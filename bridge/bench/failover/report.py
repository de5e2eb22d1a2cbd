"""What is known after a case: the schema of its JSON, and the figures that are made of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

FAILED = "primary"
"The machine, until it is repaired."
GOAL_S = 5.0
"Until new calls work over the backup, detection included."
LOOK_S = 0.2
"So late may a state have been seen."
MOST_SWITCHES = 2
"Away, and back."


class CallSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One new call. Times are seconds since the failure."""

    direction: str
    placed_s: float
    answered_s: float | None
    "None: lost."
    via: str
    "The machine it was answered over."
    tried: tuple[str, ...]
    "Of the machines that its INVITE reached, in order."
    why: str = ""


class StandingSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One call that stood over the primary when it failed."""

    direction: str
    survived: bool
    "Audio flows both ways at the end, and nobody has hung up."
    longest_gap_ms: float
    "Between two of the bridge's packets, from the failure on."


class StateSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk's state, from this moment on."""

    at_s: float
    trunk: str
    state: str
    registration: str
    because: str


class CaseReport(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    help: str
    home: str
    "The machine that calls are to return to."
    repaired_s: float = 0.0
    until_s: float = 0.0
    calls: tuple[CallSeen, ...] = ()
    standing: tuple[StandingSeen, ...] = ()
    states: tuple[StateSeen, ...] = ()
    outbound_after_s: float | None = None
    "From the failure to the first answer over a machine that has not failed."
    inbound_after_s: float | None = None
    slowest_s: float | None = None
    "Of the outbound calls placed from the failure on: the longest time to an answer."
    lost: int = 0
    survived: int = 0
    longest_gap_ms: float = 0.0
    outbound_back_s: float | None = None
    "From the repair to the first of the calls that all went over the primary again."
    inbound_back_s: float | None = None
    switches: int = 0
    "From one machine to another between two outbound calls, one placed after the other, trials apart."
    missed: tuple[str, ...] = ()
    "Goals, in sentences."
    trouble: str = ""
    "Why there are no figures."


def judged(seen: CaseReport) -> CaseReport:
    """The same with its figures."""
    new = [call for call in seen.calls if call.placed_s >= 0]
    outbound = sorted((call for call in seen.calls if call.direction == "outbound"), key=lambda call: call.placed_s)
    report = msgspec.structs.replace(
        seen,
        outbound_after_s=_works_after(new, "outbound"),
        inbound_after_s=_works_after(new, "inbound"),
        slowest_s=max((_took(call) for call in new if call.direction == "outbound" and call.via), default=None),
        lost=sum(call.answered_s is None for call in seen.calls),
        survived=sum(one.survived for one in seen.standing),
        longest_gap_ms=max((one.longest_gap_ms for one in seen.standing), default=0.0),
        outbound_back_s=_back(outbound, seen),
        inbound_back_s=_first_home((call for call in new if call.direction == "inbound"), seen),
        switches=_switches([call for call in outbound if not _is_on_trial(call.placed_s, seen)]),
    )
    return msgspec.structs.replace(report, missed=tuple(_missed(report)))


def _took(call: CallSeen) -> float:
    return round((call.answered_s or 0.0) - call.placed_s, 3)


def _works_after(calls: Sequence[CallSeen], direction: str) -> float | None:
    """Until a call that was placed since the failure is answered over what has not failed."""
    times = [
        call.answered_s
        for call in calls
        if call.direction == direction and call.answered_s is not None and call.via != FAILED
    ]
    return round(min(times), 3) if times else None


def _back(outbound: Sequence[CallSeen], seen: CaseReport) -> float | None:
    """All calls from here on went home."""
    back = None
    for call in reversed([call for call in outbound if call.placed_s >= seen.repaired_s]):
        if call.via != seen.home:
            break
        back = call.placed_s - seen.repaired_s
    return None if back is None else round(back, 3)


def _first_home(calls: Iterable[CallSeen], seen: CaseReport) -> float | None:
    homes = [
        call.placed_s - seen.repaired_s for call in calls if call.placed_s >= seen.repaired_s and call.via == seen.home
    ]
    return round(min(homes), 3) if homes else None


def _is_on_trial(at_s: float, seen: CaseReport) -> bool:
    """The primary takes one call at a time then: where the others go is no sign of flapping."""
    states = [one for one in seen.states if one.trunk == f"{seen.name}-{FAILED}"]
    ends = [*(one.at_s for one in states[1:]), math.inf]
    return any(
        one.state == "half-open" and one.at_s - LOOK_S <= at_s <= end_s
        for one, end_s in zip(states, ends, strict=False)
    )


def _switches(outbound: Sequence[CallSeen]) -> int:
    machines = [call.via for call in outbound if call.via]
    return sum(one != other for one, other in pairwise(machines))


def _missed(report: CaseReport) -> Iterable[str]:
    if report.trouble:
        return
    for direction, after_s in (("outbound", report.outbound_after_s), ("inbound", report.inbound_after_s)):
        if after_s is None:
            yield f"no {direction} call was answered after the failure"
        elif after_s > GOAL_S:
            yield f"{direction} calls worked after {after_s:.1f} s only"
    if report.lost:
        yield f"{report.lost} calls lost"
    if report.survived < len(report.standing):
        yield f"{len(report.standing) - report.survived} of {len(report.standing)} standing calls did not survive"
    if report.outbound_back_s is None or report.inbound_back_s is None:
        yield "calls did not return to the primary"
    if report.switches > MOST_SWITCHES:
        yield f"{report.switches} switches: it flaps"
