from __future__ import annotations

import random

import pytest

from bridge.bench.figures import Figures, figures, percentile


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 15), (1, 15), (20, 15), (20.1, 20), (40, 20), (50, 35), (99, 50), (100, 50)]
)
def test_nearest_rank(percent: float, value: int) -> None:
    assert percentile([15, 20, 35, 40, 50], percent) == value


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no percentile of nothing"):
        percentile([], 50)


def test_figures_of_a_hundred_values_in_any_order() -> None:
    values = [float(n) for n in range(1, 101)]
    random.Random(4).shuffle(values)
    assert figures(values) == Figures(
        count=100,
        mean=50.5,
        p50=50.0,
        p95=95.0,
        p99=99.0,
        max=100.0,
        percentiles=(1.0, *(float(n) for n in range(1, 101))),
    )


def test_figures_of_nothing_and_of_one() -> None:
    assert figures([]) == Figures()
    assert figures([2.5]) == Figures(count=1, mean=2.5, p50=2.5, p95=2.5, p99=2.5, max=2.5, percentiles=(2.5,) * 101)
