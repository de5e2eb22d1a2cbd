"""From what the processes have told to one row of figures. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec

from bridge.bench.figures import figures
from bridge.bench.marks import FRAME_SAMPLES, INDEXES, MARK_EVERY, SAMPLES_PER_MS
from bridge.bench.results import CallFigures, CallOutcome, Heard, Mark, Step, Target
from bridge.bench.rig import Run

REPEAT_S = INDEXES * MARK_EVERY * FRAME_SAMPLES / SAMPLES_PER_MS / 1000
"After this the same index comes again."


class Ears:
    """When the platform heard which mark."""

    def __init__(self, heard: Iterable[Heard]) -> None:
        times: dict[tuple[int, int], list[float]] = defaultdict(list)
        for one in heard:
            times[one.call, one.index].append(one.at_s)
        self._times = {key: sorted(found) for key, found in times.items()}

    def first_after(self, call: int, mark: Mark) -> float | None:
        """A mark that was cut in two is heard twice; the first time counts."""
        times = self._times.get((call, mark.index), [])
        at = bisect_left(times, mark.sent_s)
        return times[at] if at < len(times) and times[at] < mark.sent_s + REPEAT_S else None


def has_failed(call: CallOutcome) -> bool:
    """Not answered, ended before we hung up, or silent: no mark of the measured time came back."""
    was_answered = 200 <= call.status < 300
    return not was_answered or call.ended_early or all(mark.returned_s is None for mark in call.marks)


def step(target: Target, calls: int, run: Run) -> Step:
    ears = Ears(run.heard)
    outcomes = run.load.calls
    marks = [(call.call, mark, ears.first_after(call.call, mark)) for call in outcomes for mark in call.marks]
    returned = [(mark.sent_s, heard_s, mark.returned_s) for _, mark, heard_s in marks if mark.returned_s is not None]
    return Step(
        target=target,
        calls=calls,
        calls_failed=sum(map(has_failed, outcomes)),
        seconds=round(run.seconds, 3),
        round_trip_ms=figures((back - sent) * 1e3 for sent, _, back in returned),
        up_ms=figures((heard - mark.sent_s) * 1e3 for _, mark, heard in marks if heard is not None),
        down_ms=figures((back - heard) * 1e3 for _, heard, back in returned if heard is not None),
        set_up_ms=figures(call.set_up_ms for call in outcomes if call.set_up_ms is not None),
        gap_ms=run.load.gap_ms,
        send_late_ms=run.load.send_late_ms,
        marks_sent=len(marks),
        marks_heard=sum(heard is not None for _, _, heard in marks),
        marks_lost=len(marks) - len(returned),
        packets_sent=sum(call.sent for call in outcomes),
        packets_received=sum(call.received for call in outcomes),
        packets_lost=sum(call.lost for call in outcomes),
        packets_duplicate=sum(call.duplicate for call in outcomes),
        packets_reordered=sum(call.reordered for call in outcomes),
        restarts=sum(call.restarts for call in outcomes),
        skipped=run.load.skipped,
        processes=run.processes,
        steal_percent=run.steal_percent,
        busy_percent=run.busy_percent,
        by_call=tuple(map(call_figures, outcomes)),
        refusals=dict(Counter(str(call.status) for call in outcomes if not 200 <= call.status < 300)),
    )


def call_figures(call: CallOutcome) -> CallFigures:
    trips = [(mark.returned_s - mark.sent_s) * 1e3 for mark in call.marks if mark.returned_s is not None]
    return CallFigures(
        call=call.call,
        # The whole curve of each call would be most of the file.
        round_trip_ms=msgspec.structs.replace(figures(trips), percentiles=()),
        packets_lost=call.lost,
        marks_lost=len(call.marks) - len(trips),
    )


def failed_step(target: Target, calls: int, trouble: str) -> Step:
    """A step that could not be measured at all: it stays in the table, as such."""
    return Step(target=target, calls=calls, calls_failed=calls, trouble=trouble)
