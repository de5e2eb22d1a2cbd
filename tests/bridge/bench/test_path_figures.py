from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec
import pytest

from bridge.bench.path_figures import DeafMeter, Half, HalvedCall, Halves, Watch, typical
from media.codecs import CODECS
from media.figures import Counted, Sums


class FakeCall:
    def __init__(self) -> None:
        self.frames = 0


def entered(watch: Watch, count: int) -> list[tuple[FakeCall, int]]:
    calls = [FakeCall() for _ in range(count)]
    return [(call, watch.enter(cast(HalvedCall, call))) for call in calls]


def test_the_longest_are_left_out_and_nothing_else() -> None:
    assert typical([]) == 0.0
    assert typical([10] * 49) == 10.0
    assert typical([10] * 49 + [1_000_000]) == 10.0
    assert typical([10, 30] * 25) == pytest.approx((24 * 30 + 25 * 10) / 49)


@pytest.mark.parametrize("odd", [0, 1])
def test_every_second_call_is_silent_and_the_rounds_change_places(tmp_path: Path, odd: int) -> None:
    assert [half for _, half in entered(Watch(tmp_path / "x", odd), 4)] == [odd, 1 - odd, odd, 1 - odd]


def test_what_is_told_is_what_has_been_since_the_last_look(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "halves.json", 0)
    (keeping, _), (silent, _) = entered(watch, 2)
    clocked = watch.timed(0, "up", lambda number: number + 1)
    for _ in range(2):
        assert clocked(1) == 2
        keeping.frames, silent.frames = keeping.frames + 50, silent.frames + 40
        watch.look()
        told = msgspec.json.decode((tmp_path / "halves.json").read_bytes(), type=Halves)
        assert (told.keeping.frames, told.silent.frames) == (50, 40)
        assert told.keeping.callbacks_ns >= 0
        assert (told.silent, told.survey_ns) == (Half(frames=40), 0)


def test_only_the_survey_of_those_that_keep_figures_counts(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "halves.json", 0)
    (keeping, _), (silent, _) = entered(watch, 2)
    seen: list[object] = []
    add = watch.surveyed(lambda sums, call: seen.extend(call for _ in range(1000)))
    add(Sums(), cast(Counted, silent))
    watch.look()
    assert msgspec.json.decode((tmp_path / "halves.json").read_bytes(), type=Halves).survey_ns == 0
    add(Sums(), cast(Counted, keeping))
    watch.look()
    assert msgspec.json.decode((tmp_path / "halves.json").read_bytes(), type=Halves).survey_ns > 0
    assert seen == [silent] * 1000 + [keeping] * 1000


def test_per_frame() -> None:
    halves = Halves(
        keeping=Half(callbacks_ns=40_000, frames=2), silent=Half(callbacks_ns=30_000, frames=3), survey_ns=2000
    )
    assert (halves.keeping_us, halves.silent_us) == (21.0, 10.0)


def test_nobody_listens() -> None:
    meter, loud = DeafMeter(CODECS["PCMU"]), b"\x00" * 160
    for n in range(20):
        meter.caller(loud, loud, loud, n * 0.02)
    meter.agent(loud, 2.0)
    assert (meter.is_awaited, meter.latency.count) == (False, 0)
