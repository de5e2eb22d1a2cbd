from __future__ import annotations

import random

import pytest

from bridge.bench.line import Line, Stretch


def through(stretch: Stretch, packets: int = 2000) -> list[float | None]:
    """What becomes of one packet every 20 ms: its delay in ms, None when lost."""
    line, found = Line(stretch, random.Random(1)), list[float | None]()
    for number in range(packets):
        now = number * 0.02
        at = line.through_at(now)
        found.append(None if at is None else (at - now) * 1000)
    return found


def test_a_clear_line_takes_no_time() -> None:
    assert through(Stretch(), 3) == [0.0, 0.0, 0.0]


def test_delay_and_jitter_are_even_around_the_one_way_time() -> None:
    delays = [delay for delay in through(Stretch(one_way_ms=15, jitter_ms=5)) if delay is not None]
    assert len(delays) == 2000
    assert 9.999 < min(delays) < 10.1
    assert 19.9 < max(delays) < 20.001
    assert 14.5 < sum(delays) / 2000 < 15.5


def test_packets_are_lost_at_the_rate_asked_for() -> None:
    lost = sum(delay is None for delay in through(Stretch(loss_percent=5)))
    assert 70 < lost < 130


def test_nothing_overtakes_however_much_it_jitters() -> None:
    line = Line(Stretch(one_way_ms=100, jitter_ms=100), random.Random(1))
    arrivals = [line.through_at(number * 0.02) or 0.0 for number in range(200)]
    assert arrivals == sorted(arrivals)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"one_way_ms": 1.0, "jitter_ms": 2.0}, "nothing arrives before it is sent"),
        ({"loss_percent": 100.0}, "between 0 and 100"),
        ({"loss_percent": -1.0}, "between 0 and 100"),
    ],
)
def test_impossible_lines(words: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Stretch(**words)
