from __future__ import annotations

import pytest

from bridge.bench.assemble import REPEAT_S, Ears, failed_step, has_failed, step
from bridge.bench.figures import Figures, figures
from bridge.bench.results import CallFigures, Heard, Mark, Step
from bridge.bench.rig import Run
from tests.bridge.bench.runs import call, load, process

BACK = Mark(index=0, sent_s=10.0, returned_s=10.004)
GONE = Mark(index=1, sent_s=10.2, returned_s=None)


def test_one_way_times_are_matched_mark_by_mark() -> None:
    heard = (
        Heard(call=0, index=0, at_s=3.601),  # the same index, one turn earlier
        Heard(call=0, index=0, at_s=10.001),
        Heard(call=0, index=0, at_s=10.003),  # the second half of a mark that was cut in two
        Heard(call=0, index=1, at_s=10.202),
        Heard(call=1, index=0, at_s=10.0005),
    )
    run = Run(
        load=load(call(0, (BACK, GONE)), call(1, (Mark(index=0, sent_s=10.0, returned_s=10.006),))),
        heard=heard,
        seconds=5.0004,
        processes=(process("control", 1.0),),
        steal_percent=0.25,
    )
    done = step("bridge", 2, run)
    assert done == Step(
        target="bridge",
        calls=2,
        calls_failed=0,
        seconds=5.0,
        round_trip_ms=figures([4.0, 6.0]),
        up_ms=figures([1.0, 2.0, 0.5]),
        down_ms=figures([3.0, 5.5]),
        set_up_ms=figures([12.5, 12.5]),
        gap_ms=figures([19.0, 21.0]),
        send_late_ms=figures([0.25]),
        marks_sent=3,
        marks_heard=3,
        marks_lost=1,
        packets_sent=200,
        packets_received=196,
        packets_lost=4,
        packets_duplicate=2,
        packets_reordered=6,
        processes=(process("control", 1.0),),
        steal_percent=0.25,
        by_call=(
            CallFigures(call=0, round_trip_ms=alone(4.0), packets_lost=2, marks_lost=1),
            CallFigures(call=1, round_trip_ms=alone(6.0), packets_lost=2, marks_lost=0),
        ),
    )


def alone(value: float) -> Figures:
    """The figures of one value, without the curve."""
    return Figures(count=1, mean=value, p50=value, p95=value, p99=value, max=value)


def test_a_mark_that_the_platform_never_heard_has_no_one_way_time() -> None:
    run = Run(load=load(call(0, (BACK,))), heard=(), seconds=5.0, processes=(), steal_percent=0.0)
    done = step("reflector", 1, run)
    assert (done.round_trip_ms.count, done.up_ms.count, done.down_ms.count, done.marks_heard) == (1, 0, 0, 0)


def test_the_next_turn_of_an_index_is_another_mark() -> None:
    ears = Ears([Heard(call=0, index=0, at_s=10.0 + REPEAT_S)])
    assert ears.first_after(0, BACK) is None
    assert ears.first_after(0, Mark(index=0, sent_s=10.0 + REPEAT_S, returned_s=None)) == 10.0 + REPEAT_S


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (call(0, (BACK, GONE)), False),
        (call(0, (GONE,)), True),
        (call(0, ()), True),
        (call(0, (BACK,), ended_early=True), True),
        (call(0, (), status=503), True),
    ],
    ids=["one mark lost", "silent", "never measured", "ended early", "refused"],
)
def test_which_calls_have_failed(outcome: object, failed: bool) -> None:
    assert has_failed(outcome) is failed  # type: ignore[arg-type]


def test_refusals_are_counted_by_status() -> None:
    calls = [call(0, (BACK,)), call(1, (), status=503), call(2, (), status=503), call(3, (), status=408)]
    done = step("bridge", 4, Run(load=load(*calls), heard=(), seconds=1.0, processes=(), steal_percent=0.0))
    assert (done.calls_failed, done.refusals) == (3, {"503": 2, "408": 1})


def test_a_step_that_was_not_measured_counts_all_its_calls_as_failed() -> None:
    done = failed_step("bridge", 7, "the bridge ended with code 1")
    assert done == Step(target="bridge", calls=7, calls_failed=7, trouble="the bridge ended with code 1")
