"""A stretch of network as the benchmark imagines it: so much delay, give or take, and now and then a loss. Pure."""

from __future__ import annotations

import random

import msgspec


class Stretch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way over one stretch of a route."""

    one_way_ms: float = 0.0
    jitter_ms: float = 0.0
    "Each packet takes this much more or less, evenly spread."
    loss_percent: float = 0.0
    "Independent of each other."

    def __post_init__(self) -> None:
        if not 0 <= self.jitter_ms <= self.one_way_ms:
            raise ValueError("jitter_ms must be between 0 and one_way_ms: nothing arrives before it is sent")
        if not 0 <= self.loss_percent < 100:
            raise ValueError("loss_percent must be between 0 and 100")


class Line:
    """Decides for each packet in turn when it is through, and whether at all. Nothing overtakes."""

    def __init__(self, stretch: Stretch, dice: random.Random) -> None:
        self._stretch, self._dice = stretch, dice
        self._last = 0.0

    def through_at(self, now: float) -> float | None:
        """None: lost."""
        stretch, dice = self._stretch, self._dice
        if stretch.loss_percent and dice.uniform(0, 100) < stretch.loss_percent:
            return None
        took_ms = stretch.one_way_ms + dice.uniform(-stretch.jitter_ms, stretch.jitter_ms)
        self._last = max(self._last, now + took_ms / 1000)
        return self._last
