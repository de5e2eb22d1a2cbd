"""A bad wire: one way between two cores, on a simulated clock.

wire = Wire("..x.2>", delay_s=0.02)     the third packet of six is lost, the fifth comes twice, the sixth late
wire = FaultyWire(Faults(loss=0.03))    the same by chance: 3 % lost, always the same ones
wire.send(datagram, now)
for datagram, at in wire.arrivals(until): ...
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

PASS, LOSE, TWICE, LATE = ".x2>"
PTIME_S = 0.02


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
        self._order = 0
        self.last_at = 0.0
        "When the last of all that was sent comes out."
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
        for _ in range(2 if fate == TWICE else 1):
            self._put(datagram, at)

    def _put(self, datagram: bytes, at: float) -> None:
        self._order += 1
        self.last_at = max(self.last_at, at)
        heapq.heappush(self._on_the_way, (at, self._order, datagram))

    @property
    def next_at(self) -> float:
        """When the next datagram comes out; infinity when none is on the way."""
        return self._on_the_way[0][0] if self._on_the_way else float("inf")

    def arrivals(self, until: float = float("inf")) -> Iterator[tuple[bytes, float]]:
        """What has come out by `until`, in order of arrival. Without it: everything that is still on the way."""
        while self._on_the_way and self._on_the_way[0][0] <= until:
            at, _, datagram = heapq.heappop(self._on_the_way)
            yield datagram, at


@dataclass(frozen=True, kw_only=True)
class Stall:
    """For so long nothing comes through; then everything at once."""

    at_s: float
    "From the first packet on."
    lasts_s: float


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What a line does to packets. Shares are of all packets; which ones follows from the seed alone."""

    loss: float = 0.0
    burst: tuple[int, int] = (1, 1)
    "How many packets are lost at a time, at least and at most."
    jitter_s: float = 0.0
    "Every packet is late by anything up to this."
    overtakes: bool = False
    "Whether a packet with less of it overtakes those before; otherwise they queue, as in a router or in TCP."
    swapped: float = 0.0
    swap: int = 1
    "So many of the packets behind it come before a swapped one."
    doubled: float = 0.0
    stalls: tuple[Stall, ...] = ()
    delay_s: float = 0.0
    seed: int = 1

    def __str__(self) -> str:
        plain, here = asdict(Faults()), asdict(self)
        return " ".join(f"{name}={here[name]}" for name in here if here[name] != plain[name]) or "clean"


class Line:
    """Decides when each packet arrives, if at all. Pure: the same faults and times have the same outcome."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._dice = random.Random(faults.seed)
        self._began: float | None = None
        self._losing = 0
        self._latest = 0.0
        self.sent = self.lost = self.doubled = self.swapped = 0

    def arrivals(self, now: float) -> list[float]:
        """Of a packet that is sent now: none when it is lost, two when it is doubled."""
        faults, roll = self._faults, self._dice.random
        self.sent += 1
        if self._began is None:
            self._began = now
        if self._is_lost():
            self.lost += 1
            return []
        at = now + faults.delay_s + faults.jitter_s * roll()
        at = self._after_stalls(at)
        if not faults.overtakes:
            at = self._latest = max(at, self._latest)
        if faults.swapped and roll() < faults.swapped:
            self.swapped += 1
            at += (faults.swap + 0.5) * PTIME_S
        if faults.doubled and roll() < faults.doubled:
            self.doubled += 1
            return [at, at + 0.001]
        return [at]

    def _is_lost(self) -> bool:
        faults = self._faults
        if not self._losing and faults.loss:
            mean = sum(faults.burst) / 2
            # Between two bursts are so many packets that the share comes out right.
            if self._dice.random() < faults.loss / (mean * (1 - faults.loss) + faults.loss):
                self._losing = self._dice.randint(*faults.burst)
        self._losing, lost = max(0, self._losing - 1), self._losing > 0
        return lost

    def _after_stalls(self, at: float) -> float:
        assert self._began is not None
        for stall in self._faults.stalls:
            begins = self._began + stall.at_s
            if begins <= at < begins + stall.lasts_s:
                at = begins + stall.lasts_s
        return at


class FaultyWire(Wire):
    """A wire whose faults come by chance, and always the same."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self.line = Line(faults)

    def send(self, datagram: bytes, now: float) -> None:
        self.sent += 1
        arrivals = self.line.arrivals(now)
        self.lost = self.line.lost
        for at in arrivals:
            self._put(datagram, at)
