"""Latency histograms that cost next to nothing: one table look-up and one increment per value."""

from __future__ import annotations

from math import log
from operator import add
from typing import Final

from media.wire import Spread

_GROWTH = 1.08
_LOWEST_MS = 0.01
_BUCKETS = 200
_SCALE = 1 / log(_GROWTH)
EDGES_MS: Final = tuple(_LOWEST_MS * _GROWTH**index for index in range(_BUCKETS))
"The upper ends of the buckets."


class Histogram:
    """Log-spaced buckets from 10 us to about 40 s, each 8 % wide: what it says is right to within 4 %."""

    __slots__ = ("_counts", "_max_s", "count")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._max_s = 0.0
        self.count = 0

    def add(self, seconds: float) -> None:
        ms = seconds * 1000
        index = 0 if ms <= _LOWEST_MS else int(log(ms / _LOWEST_MS) * _SCALE) + 1
        self._counts[index if index < _BUCKETS else _BUCKETS - 1] += 1
        self.count += 1
        if seconds > self._max_s:
            self._max_s = seconds

    def merge(self, other: Histogram) -> None:
        if not other.count:
            return
        self._counts = list(map(add, self._counts, other._counts))
        self.count += other.count
        self._max_s = max(self._max_s, other._max_s)

    def counts(self) -> list[int]:
        """Values per bucket of `EDGES_MS`, without the empty buckets at the end."""
        last = _BUCKETS
        while last and not self._counts[last - 1]:
            last -= 1
        return self._counts[:last]

    def percentile_ms(self, q: float) -> float:
        """The value that `q` (0..1) of all values do not exceed; the middle of its bucket, never above the maximum."""
        if not self.count:
            return 0.0
        wanted, seen = q * self.count, 0
        for index, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                middle = _LOWEST_MS * _GROWTH ** (index - 0.5) if index else _LOWEST_MS
                return min(middle, self._max_s * 1000)
        return self._max_s * 1000

    def spread(self) -> Spread:
        return Spread(
            count=self.count,
            p50=round(self.percentile_ms(0.50), 3),
            p95=round(self.percentile_ms(0.95), 3),
            p99=round(self.percentile_ms(0.99), 3),
            max=round(self._max_s * 1000, 3),
        )
