"""A bad wire: one way between two cores, on a simulated clock.

wire = Wire("..x.2>", delay_s=0.02)     the third packet of six is lost, the fifth comes twice, the sixth late
wire.send(datagram, now)
for datagram, at in wire.arrivals(until): ...
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

PASS, LOSE, TWICE, LATE = ".x2>"


class Wire:
    """What goes in at `now` comes out later, changed only by the repeating pattern."""

    def __init__(
        self, pattern: str = PASS, *, delay_s: float = 0.0, jitter_s: Sequence[float] = (0.0,), late_s: float = 0.05
    ) -> None:
        assert pattern, "a pattern needs at least one character"
        assert set(pattern) <= {PASS, LOSE, TWICE, LATE}, pattern
        self._pattern = pattern
        self._delay_s = delay_s
        self._jitter_s = jitter_s
        self._late_s = late_s
        self._on_the_way: list[tuple[float, int, bytes]] = []
        self.sent = 0
        self.lost = 0

    def send(self, datagram: bytes, now: float) -> None:
        fate = self._pattern[self.sent % len(self._pattern)]
        at = now + self._delay_s + self._jitter_s[self.sent % len(self._jitter_s)]
        self.sent += 1
        if fate == LOSE:
            self.lost += 1
            return
        if fate == LATE:
            at += self._late_s
        for copy in range(2 if fate == TWICE else 1):
            heapq.heappush(self._on_the_way, (at, 2 * self.sent + copy, datagram))

    def arrivals(self, until: float = float("inf")) -> Iterator[tuple[bytes, float]]:
        """What has come out by `until`, in order of arrival. Without it: everything that is still on the way."""
        while self._on_the_way and self._on_the_way[0][0] <= until:
            at, _, datagram = heapq.heappop(self._on_the_way)
            yield datagram, at
