"""Latency histograms that cost the hot path one append per value: they are sorted into buckets when somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Final

import numpy as np

from media.wire import Spread

_GROWTH = 1.08
_LOWEST_MS = 0.01
_BUCKETS = 200
_SCALE = 1 / log(_GROWTH)
EDGES_MS: Final = tuple(_LOWEST_MS * _GROWTH**index for index in range(_BUCKETS))
"The upper ends of the buckets."


class Histogram:
    """Log-spaced buckets from 10 us to about 40 s, each 8 % wide: what it says is right to within 4 %.

    Finding the bucket at once takes 1.8 us on a path whose code has just been pushed out of the cache, remembering the
    value 0.2. Whoever keeps a histogram must look at it now and then (`media.figures` does), or it grows.
    """

    __slots__ = ("_counts", "_fresh", "_max_s", "add")

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._fresh: list[float] = []
        "Seconds that are in no bucket yet."
        self._max_s = 0.0
        self.add: Callable[[float], None] = self._fresh.append
        "Takes seconds. A list's own method, so that no function of ours is called for it."

    @property
    def count(self) -> int:
        return int(self._sorted().sum())

    def merge(self, other: Histogram) -> None:
        self._sorted()
        self._counts += other._sorted()
        self._max_s = max(self._max_s, other._max_s)

    def counts(self) -> list[int]:
        """Values per bucket of `EDGES_MS`, without the empty buckets at the end."""
        told: list[int] = np.trim_zeros(self._sorted(), "b").tolist()
        return told

    def percentile_ms(self, q: float) -> float:
        """The value that `q` (0..1) of all values do not exceed; the middle of its bucket, never above the maximum."""
        upto = self._sorted().cumsum()
        if not upto[-1]:
            return 0.0
        # At least one value: with q = 0 the first bucket that holds any.
        index = int(upto.searchsorted(max(q * int(upto[-1]), 1)))
        middle = _LOWEST_MS * _GROWTH ** (index - 0.5) if index else _LOWEST_MS
        return min(middle, self._max_s * 1000)

    def spread(self) -> Spread:
        return Spread(
            count=self.count,
            p50=round(self.percentile_ms(0.50), 3),
            p95=round(self.percentile_ms(0.95), 3),
            p99=round(self.percentile_ms(0.99), 3),
            max=round(self._max_s * 1000, 3),
        )

    def _sorted(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The buckets, with everything in them."""
        if self._fresh:
            seconds = np.array(self._fresh)
            self._fresh.clear()
            self._max_s = max(self._max_s, float(seconds.max()))
            ms = seconds * 1000
            above = np.log(np.maximum(ms, _LOWEST_MS) / _LOWEST_MS) * _SCALE
            indices = np.where(ms <= _LOWEST_MS, 0, above.astype(np.int64) + 1)
            self._counts += np.bincount(np.minimum(indices, _BUCKETS - 1), minlength=_BUCKETS)
        return self._counts
