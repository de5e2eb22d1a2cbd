"""Distributions: what is left of many measured values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution. All values in the unit that the field's name says."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    percentiles: tuple[float, ...] = ()
    "p0, p1 ... p100: enough to draw the whole curve again. Empty when nothing was measured."


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest rank: always a value that really occurred, so p99 of ten values is their maximum."""
    if not ordered:
        raise ValueError("no percentile of nothing")
    rank = math.ceil(percent * len(ordered) / 100)  # in this order: 0.55 * 100 is above 55
    return ordered[max(rank, 1) - 1]


def figures(values: Iterable[float]) -> Figures:
    ordered = sorted(values)
    if not ordered:
        return Figures()
    curve = tuple(round(percentile(ordered, p), 4) for p in range(101))
    return Figures(
        count=len(ordered),
        mean=round(sum(ordered) / len(ordered), 4),
        p50=curve[50],
        p95=curve[95],
        p99=curve[99],
        max=curve[100],
        percentiles=curve,
    )
