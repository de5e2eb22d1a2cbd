from __future__ import annotations

import msgspec

from bridge.bench.assemble import failed_step
from bridge.bench.figures import Figures
from bridge.bench.results import BRIDGE
from bridge.bench.table import COST_HEAD, LATENCY_HEAD, cost_row, described, latency_row, markdown, notes, per_call
from tests.bridge.bench.runs import BRIDGE_STEP, REFLECTOR_STEP, results

BAD = msgspec.structs.replace(
    BRIDGE_STEP, calls=3, calls_failed=1, packets_lost=5, marks_lost=2, refusals={"503": 1}, skipped=4, restarts=1
)


def test_a_row_of_latency() -> None:
    assert dict(zip(LATENCY_HEAD, latency_row(BRIDGE_STEP), strict=True)) == {
        "target": "bridge",
        "calls": "2",
        "round trip p50": "3.00",
        "p95": "4.00",
        "p99": "4.00",
        "max": "4.00",
        "up p50": "0.50",
        "up p99": "0.50",
        "down p50": "2.50",
        "down p99": "3.50",
        "set-up p50": "10.00",
        "set-up max": "30.00",
        "packet gap p99": "22.00",
        "gap max": "22.00",
        "packets lost": "0 of 500",
        "marks lost": "0 of 10",
        "calls failed": "0",
    }


def test_what_was_not_measured_is_a_dash_and_not_a_zero() -> None:
    row = dict(zip(LATENCY_HEAD, latency_row(REFLECTOR_STEP), strict=True))
    assert (row["round trip p50"], row["up p50"], row["down p99"], row["set-up max"]) == ("0.05", "-", "-", "-")


def test_a_row_of_cost() -> None:
    assert dict(zip(COST_HEAD, cost_row(BRIDGE_STEP), strict=True)) == {
        "target": "bridge",
        "calls": "2",
        "bridge": "2.38",
        "workers": "2.00",
        "control": "0.25",
        "sip": "0.12",
        "busiest worker, whole": "3.00",
        "platform": "0.38",
        "caller": "0.75",
        "reflector": "-",
        "baresip": "-",
        "caller late p99 ms": "0.12",
        "memory KiB per call": "500",
    }


def test_cost_is_shared_by_the_calls_that_stood() -> None:
    assert per_call(BAD, BRIDGE) == 4.75 / 2
    assert per_call(msgspec.structs.replace(BAD, calls_failed=3), BRIDGE) is None
    assert per_call(REFLECTOR_STEP, BRIDGE) is None


def test_what_went_wrong_is_said() -> None:
    assert latency_row(BAD)[-3:] == ("5 of 505", "2 of 10", "**1**")
    assert notes([BRIDGE_STEP, BAD, failed_step("bridge", 9, "it did not start")]) == [
        "- bridge, 3 calls: calls refused: 1 with 503.\n"
        "- bridge, 3 calls: the load caller itself slept and left out 4 packets.\n"
        "- bridge, 3 calls: 1 jumps in the sequence numbers of what came back.\n"
        "- bridge, 9 calls: not measured: it did not start."
    ]


def test_the_machine_in_one_line() -> None:
    assert described(results(REFLECTOR_STEP, BRIDGE_STEP)) == (
        "Chip, 2 cores, Linux 6.1, Python 3.11.7, steal ≤ 0.5 %, load before 0.00; "
        "platform vapi, one worker per core, 5 s per step"
    )


def test_markdown_has_two_tables_whose_rows_fit_their_heads() -> None:
    text = markdown(results(REFLECTOR_STEP, BRIDGE_STEP))
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert widths == [len(LATENCY_HEAD) + 1] * 4 + [len(COST_HEAD) + 1] * 4
    assert text.startswith("`puente bench latency`, 2026-01-02 03:04 UTC: Chip,")


def test_a_run_has_failed_when_any_call_has() -> None:
    assert [results(*steps).failed for steps in ([BRIDGE_STEP], [BRIDGE_STEP, BAD])] == [False, True]
    assert results(failed_step("bridge", 1, "no")).failed
    assert Figures() == REFLECTOR_STEP.up_ms
