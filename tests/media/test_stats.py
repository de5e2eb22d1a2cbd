from __future__ import annotations

import random

import pytest

from media.stats import Histogram
from media.wire import Spread


def histogram(*values_ms: float) -> Histogram:
    filled = Histogram()
    for value in values_ms:
        filled.add(value / 1000)
    return filled


def test_empty() -> None:
    assert Histogram().spread() == Spread(count=0, p50=0.0, p95=0.0, p99=0.0, max=0.0)


@pytest.mark.parametrize("ms", [0.011, 0.1, 0.777, 1.0, 19.99, 20.0, 1234.5, 30_000.0])
def test_one_value_is_right_to_within_its_bucket(ms: float) -> None:
    spread = histogram(ms).spread()
    assert spread.max == pytest.approx(ms, abs=0.0005)
    assert (spread.p50, spread.p95, spread.p99) == pytest.approx((ms, ms, ms), rel=0.041, abs=0.0005)
    assert spread.p99 <= spread.max


@pytest.mark.parametrize("ms", [-5.0, 0.0, 0.001, 0.01])
def test_below_the_lowest_bucket(ms: float) -> None:
    spread = histogram(ms).spread()
    assert spread == Spread(count=1, p50=max(0, ms), p95=max(0, ms), p99=max(0, ms), max=max(0, ms))


def test_beyond_the_highest_bucket_the_maximum_is_exact() -> None:
    spread = histogram(90_000.0).spread()
    assert (spread.count, spread.max) == (1, 90_000.0)
    assert 35_000 < spread.p50 <= 90_000


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_many_values(seed: int) -> None:
    dice = random.Random(seed)
    values = sorted(dice.lognormvariate(1, 1) for _ in range(20_000))
    spread = histogram(*values).spread()
    assert spread.count == 20_000
    for told, q in ((spread.p50, 0.5), (spread.p95, 0.95), (spread.p99, 0.99)):
        assert told == pytest.approx(values[int(q * 20_000)], rel=0.05)
    assert spread.max == round(values[-1], 3)


def test_one_outlier_moves_the_maximum_alone() -> None:
    spread = histogram(*[2.0] * 999, 500.0).spread()
    assert (spread.p50, spread.p99) == pytest.approx((2, 2), rel=0.041)
    assert spread.max == 500.0
    assert histogram(*[2.0] * 90, *[500.0] * 10).spread().p95 == pytest.approx(500, rel=0.041)


def test_merged_is_as_if_counted_together() -> None:
    one, other = histogram(1, 2, 3), histogram(40, 50, 0.001)
    one.merge(other)
    assert one.spread() == histogram(1, 2, 3, 40, 50, 0.001).spread()
    assert other.spread().count == 3
