from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.bench import rig
from bridge.bench.capacity import (
    QUICK,
    Capacity,
    Options,
    broken,
    harness_share,
    loss_percent,
    measure,
    next_calls,
    others_percent,
)
from bridge.bench.capacity_page import HEAD, draw, markdown, row, verdict
from bridge.bench.figures import figures
from bridge.bench.results import Mark, Step
from tests.bridge.bench.probes import CONDITIONS
from tests.bridge.bench.runs import BRIDGE_STEP, call, load, process


def a_step(calls: int, p99_ms: float = 20.0, *, lost: int = 0, failed: int = 0, trouble: str = "") -> Step:
    return msgspec.structs.replace(
        BRIDGE_STEP,
        calls=calls,
        calls_failed=failed,
        round_trip_ms=figures([1.0, p99_ms]),
        packets_lost=lost,
        packets_received=10_000 - lost,
        busy_percent=50.0,
        trouble=trouble,
    )


def report(*steps: Step) -> Capacity:
    return Capacity(conditions=CONDITIONS, platform="vapi", workers=-1, seconds=5, steps=steps)


@pytest.mark.parametrize(
    ("step", "limit"),
    [
        (a_step(10), ""),
        (a_step(10, 45.0), ""),
        (a_step(10, 45.1), "round trip p99"),
        (a_step(10, 50.0, lost=11), "packets lost"),
        (a_step(10, 20.0, lost=10), ""),
        (a_step(10, 50.0, lost=11, failed=1), "calls failed"),
        (a_step(10, 50.0, trouble="no"), ""),
    ],
)
def test_which_limit_is_hit(step: Step, limit: str) -> None:
    assert broken(step) == limit


def test_loss_of_nothing_is_none() -> None:
    assert loss_percent(a_step(1, lost=5)) == 0.05
    assert loss_percent(Step(target="bridge", calls=1, calls_failed=0)) == 0.0


def search(options: Options, breaks_at: int) -> list[int]:
    good, bad, tried = 0, None, list[int]()
    while (calls := next_calls(options, good, bad)) is not None:
        tried.append(calls)
        good, bad = (calls, bad) if calls < breaks_at else (good, calls)
    return tried


@pytest.mark.parametrize(
    ("options", "breaks_at", "tried"),
    [
        (Options(), 100, [10, 20, 40, 80, 160, 120, 100, 90, 95]),
        (Options(fine=0.3), 100, [10, 20, 40, 80, 160, 120, 100]),
        (Options(), 5, [10, 5, 2, 3, 4]),
        (Options(first=1), 1, [1]),
        (Options(most=50), 100, [10, 20, 40, 50]),
        (QUICK, 1000, [20, 40, 80]),
        (QUICK, 70, [20, 40, 80]),
    ],
)
def test_the_search(options: Options, breaks_at: int, tried: list[int]) -> None:
    assert search(options, breaks_at) == tried


def test_what_speaks_against_the_tools() -> None:
    assert harness_share(a_step(10), 2) == ["others on the machine used 93 % of a core"]
    assert others_percent(a_step(10), 2) == 93.0
    near = msgspec.structs.replace(
        a_step(10),
        processes=(process("caller", 90.0), process("platform", 81.0), process("worker", 20.0)),
        send_late_ms=figures([7.0]),
        skipped=3,
        busy_percent=96.0,
    )
    assert harness_share(near, 2) == [
        "the caller used 90 % of its core",
        "the platform used 81 % of its core",
        "the load caller itself was late (p99 7.0 ms)",
        "the load caller left out 3 packets",
        "all cores together were 96 % busy, tools included",
    ]


def test_the_verdict() -> None:
    good = a_step(10, 20.0)
    alone = msgspec.structs.replace(a_step(20, 60.0), busy_percent=10.0)
    assert verdict(report(good, alone)) == (
        "**10 calls at once** were good on 2 cores (p99 20.0 ms). At 20: round trip p99 60.0 ms. "
        "The tools were far from their own limits: it is the bridge's."
    )
    assert "The harness had its part: others" in verdict(report(good, a_step(20, 60.0)))
    assert "0.50 % of the packets lost" in verdict(report(good, a_step(20, lost=50)))
    assert "2 calls failed" in verdict(report(good, a_step(20, failed=2)))
    assert verdict(report(good)).endswith("No limit was reached.")
    assert verdict(report(a_step(10, 60.0))) == "**Not one step was within the limits.**"
    assert "ended early: it did not start." in verdict(report(good, a_step(20, trouble="it did not start")))


def test_a_good_step_above_a_bad_one_does_not_count() -> None:
    done = report(a_step(10), a_step(40), a_step(20, 60.0))
    assert (done.last_good, done.first_bad) == (a_step(10), a_step(20, 60.0))
    assert not done.failed


@pytest.mark.parametrize(
    ("steps", "failed"),
    [((a_step(1),), False), ((a_step(1, 60.0),), True), ((a_step(1), a_step(2, trouble="no")), True), ((), True)],
)
def test_when_a_run_has_failed(steps: tuple[Step, ...], failed: bool) -> None:
    assert report(*steps).failed is failed


def test_a_row() -> None:
    assert dict(zip(HEAD, row(a_step(20, 60.0, lost=1), 2), strict=True)) == {
        "calls": "20",
        "round trip p50": "1.0",
        "p95": "60.0",
        "p99": "60.0",
        "max": "60.0",
        "loss %": "0.010",
        "calls failed": "0",
        "bridge CPU per call": "0.24",
        "busiest worker, whole": "3",
        "platform, whole": "1",
        "caller, whole": "2",
        "caller late p99 ms": "0.12",
        "all cores busy %": "50",
        "others, % of a core": "93",
        "memory KiB per call": "50",
        "limit hit": "round trip p99",
    }


def test_the_page_is_in_the_order_of_calls() -> None:
    text = markdown(report(a_step(10), a_step(40, 60.0), a_step(20)))
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["calls", "---", "10", "20", "40"]


@pytest.mark.parametrize(
    "steps",
    [(a_step(10), a_step(20, 60.0), a_step(40, 90.0, lost=500)), (Step(target="bridge", calls=1, calls_failed=1),), ()],
)
def test_a_picture_is_drawn_of_whatever_was_measured(steps: tuple[Step, ...], tmp_path: Path) -> None:
    draw(report(*steps), tmp_path / "capacity.png")
    assert (tmp_path / "capacity.png").read_bytes().startswith(b"\x89PNG\r\n")


async def test_a_bridge_that_does_not_start_ends_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []

    async def bridge(kind: str, calls: int, seconds: float, workers: int, folder: Path) -> rig.Run:
        asked.append(calls)
        if calls > 5:
            raise rig.Trouble("it did not start")
        mark = Mark(index=0, sent_s=1.0, returned_s=1.01)
        outcomes = (msgspec.structs.replace(call(number, (mark,)), lost=0) for number in range(calls))
        return rig.Run(load=load(*outcomes), heard=(), seconds=seconds, processes=(), steal_percent=0.0)

    monkeypatch.setattr(rig, "against_bridge", bridge)
    said: list[str] = []
    done = await measure(Options(first=5, out=tmp_path / "o"), said.append)
    assert asked == [5, 10]
    assert (done.last_good, done.first_bad, done.trouble) == (done.steps[0], None, "it did not start")
    assert said[-1] == "  NOT MEASURED: it did not start"
