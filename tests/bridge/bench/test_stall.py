from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench import rig
from bridge.bench.results import Probed, Stall
from bridge.bench.stall import QUICK, Options, Side, episode, length_s, measure, schedule, summary
from tests.bridge.bench.probes import probed

STALL = Stall(began_s=4.0, ended_s=4.5)


def stalled(at: float, after_ms: float, drained_at: float = 1e9) -> float:
    """500 ms are held back at 4.0; what stands in the queue afterwards is gone at `drained_at`."""
    if STALL.began_s - 0.005 <= at < STALL.ended_s:
        return max((STALL.ended_s - at) * 1000, after_ms)
    return 25.0 if at < STALL.began_s or at >= drained_at else after_ms


def test_stalls_are_far_enough_apart() -> None:
    options = Options(stalls_ms=(200, 1000), repeats=2, recovery_s=4.0)
    assert schedule(options) == [(3.0, 200), (10.2, 1000), (18.2, 200), (25.4, 1000)]
    assert length_s(options) == 30.4
    assert length_s(QUICK) < 25  # twice, and starting two bridges, within a minute


def test_a_standing_queue_that_is_drained() -> None:
    found = episode("platform", STALL, probed(12, lambda at: stalled(at, 205.0, drained_at=5.5)), recovery_s=6.0)
    assert (found.side, found.stalled_ms, found.before_ms, found.after_ms, found.frames_lost) == (
        ("platform", 500, 25.0, 25.0, 0)
    )
    assert found.worst_ms == pytest.approx(500, abs=21)
    assert found.back_after_s == pytest.approx(5.525 - 4.5, abs=0.021)
    assert found.curve[0].spoken_s == pytest.approx(-3, abs=0.021)
    assert found.curve[-1].spoken_s == pytest.approx(6.5, abs=0.021)


def test_a_queue_that_stands_for_ever() -> None:
    found = episode("caller", STALL, probed(12, lambda at: stalled(at, 205.0)), recovery_s=6.0)
    assert (found.back_after_s, found.after_ms) == (None, 205.0)
    assert summary(found).endswith("205.0 at the end, NOT BACK, 0 frames lost")


def test_one_lucky_frame_is_not_a_recovery() -> None:
    def trip(at: float) -> float:
        return 25.0 if 5.0 <= at < 5.03 else stalled(at, 205.0, drained_at=7.0)

    found = episode("platform", STALL, probed(12, trip), recovery_s=6.0)
    assert found.back_after_s == pytest.approx(2.525, abs=0.021)


def test_frames_dropped_to_save_time_are_counted() -> None:
    def trip(at: float) -> float | None:
        return None if 4.0 <= at < 4.4 else stalled(at, 25.0)

    found = episode("caller", STALL, probed(12, trip), recovery_s=6.0)
    assert found.frames_lost == 20
    assert sum(point.trip_ms is None for point in found.curve) == 20
    assert found.back_after_s == pytest.approx(0.01, abs=0.011)


def test_nothing_comes_back_after_the_stall() -> None:
    found = episode("caller", STALL, probed(12, lambda at: 25.0 if at < 3.9 else None), recovery_s=6.0)
    assert (found.worst_ms, found.after_ms, found.back_after_s) == (0.0, 0.0, None)


async def test_both_sides_are_measured_and_trouble_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def run(side: Side, options: Options) -> tuple[tuple[Stall, ...], Probed]:
        if side == "caller":
            raise rig.Trouble("it did not start")
        return (STALL,), probed(12, lambda at: stalled(at, 25.0))

    monkeypatch.setattr("bridge.bench.stall._run", run)
    said: list[str] = []
    report = await measure(Options(out=tmp_path / "o"), said.append)
    assert [(one.side, one.stalled_ms) for one in report.episodes] == [("platform", 500)]
    assert (report.trouble, report.failed) == (("caller: it did not start",), True)
    assert said[-1] == "  NOT MEASURED: it did not start"


async def test_a_whole_stall_of_either_side(tmp_path: Path) -> None:
    """Real processes, all of them."""
    report = await measure(Options(stalls_ms=(300,), repeats=1, recovery_s=2.5, out=tmp_path), lambda line: None)
    assert report.trouble == ()
    assert [(one.side, one.stalled_ms) for one in report.episodes] == [("platform", 300), ("caller", 300)]
    assert all(one.worst_ms > 150 and 0 < one.before_ms < one.worst_ms for one in report.episodes)
