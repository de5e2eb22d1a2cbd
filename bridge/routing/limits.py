"""How many calls at once, and how many new ones in a second: one trunk's limits. Pure.

The rate is a bucket of one second's worth of calls (at least one) that fills at the rate: a burst as large as the rate
passes, and in the long run no more than it. Each direction has its own: what comes in must not starve what goes out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Full:
    """Why there is no room, and when there may be."""

    why: str
    retry_after_s: int
    is_rate: bool
    "True: too many new calls per second. False: too many at once."


@dataclass(slots=True)
class Bucket:
    """A token bucket that starts full."""

    per_s: float
    "0: no limit."
    tokens: float = field(init=False)
    at: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        self.tokens = self.size

    @property
    def size(self) -> float:
        return max(1.0, self.per_s)

    def wait_s(self, now: float) -> float:
        """Until one more may pass; 0 when it may now."""
        if self.per_s <= 0:
            return 0.0
        # A clock that is read by two parties may seem to step back: nothing is taken away for that.
        earned = max(0.0, now - self.at) * self.per_s if self.at > -math.inf else 0.0
        self.tokens = min(self.size, self.tokens + earned)
        self.at = now
        # A billionth short, by rounding, is not short.
        return 0.0 if self.tokens >= 1.0 - 1e-9 else (1.0 - self.tokens) / self.per_s

    def take(self, now: float) -> bool:
        if self.per_s > 0:
            if self.wait_s(now) > 0:
                return False
            self.tokens -= 1.0
        return True


class Limiter:
    """Counts the calls of both directions together; `calls` of one that stands already goes on after a reload."""

    def __init__(self, max_calls: int = 0, calls_per_s: float = 0.0, *, calls: int = 0) -> None:
        self.max_calls, self.calls_per_s = max_calls, calls_per_s
        self.calls = calls
        self.refused = 0
        self._inbound, self._outbound = Bucket(calls_per_s), Bucket(calls_per_s)

    def full(self, now: float, *, inbound: bool = False) -> Full | None:
        """Looks only."""
        if 0 < self.max_calls <= self.calls:
            return Full(f"{self.calls} of {self.max_calls} calls", 5, is_rate=False)
        if (wait_s := self._bucket(inbound).wait_s(now)) > 0:
            return Full(f"{self.calls_per_s:g} calls per second", max(1, math.ceil(wait_s)), is_rate=True)
        return None

    def take(self, now: float, *, inbound: bool = False) -> Full | None:
        """None: it is in."""
        if full := self.full(now, inbound=inbound):
            self.refused += 1
            return full
        self._bucket(inbound).take(now)
        self.calls += 1
        return None

    def release(self) -> None:
        self.calls = max(0, self.calls - 1)

    def _bucket(self, inbound: bool) -> Bucket:
        return self._inbound if inbound else self._outbound
