"""One call's beat: when its frames leave. Joins what counts the time (Pacer), what wakes us (Alarm) and what waits
(Playout), and tells the pacer how long it waited.
"""

from __future__ import annotations

from collections.abc import Callable

from media.clock import Alarm, Bell, Pacer
from media.playout import Playout

Tick = Callable[[int, int, float, float], None]
"Called as tick(frames, skipped, early, now): frames to send now, left out before them, seconds before they are due."


class Beat:
    """Ticks when frames are due, or when one comes while the tick is open. It begins with `use`."""

    __slots__ = ("_alarm", "_bell", "_drained_ms", "_pacer", "_playout", "_rung", "_tick")

    def __init__(self, alarm: Alarm, playout: Playout, tick: Tick, rung: Callable[[float], None]) -> None:
        """`rung` is told by how many seconds the timer was late."""
        self._alarm, self._playout, self._tick, self._rung = alarm, playout, tick, rung
        self._pacer: Pacer | None = None
        self._bell: Bell | None = None
        self._drained_ms = 0

    @property
    def runs(self) -> bool:
        return self._bell is not None

    @property
    def hands(self) -> tuple[Pacer | None, Bell | None]:
        """For whoever serves a tick himself, because its frame has come early: both must then be set forward."""
        return self._pacer, self._bell

    def use(self, playout: Playout, ptime_ms: int, now: float) -> None:
        """This queue and this frame length from now on; the phase is kept where it can be."""
        self._playout = playout
        if self._pacer is None or self._pacer.ptime_ms != ptime_ms:
            self._pacer = Pacer(now if self._pacer is None else self._pacer.due_at, ptime_ms)
        if self._bell is None:
            self._bell = self._alarm.add(now, self._ring)

    def hasten(self, now: float) -> None:
        """Something has come that need not wait for the tick to be due: if it is open, it is now."""
        bell, pacer = self._bell, self._pacer
        if bell is None or pacer is None or not self._playout.is_waiting:
            return
        at = pacer.opens_at
        if now >= at:
            self._serve(pacer, now)
            bell.at = pacer.tick_at(self._playout.is_waiting)
        elif at < bell.at:
            self._alarm.sooner(bell, at)

    def stop(self) -> None:
        """No tick comes any more, and whoever was to tick is let go. Twice does nothing."""
        if self._bell is not None:
            self._alarm.remove(self._bell)
        self._bell, self._tick, self._rung = None, _no_tick, _not_rung

    def _ring(self, now: float) -> float:
        pacer = self._pacer
        assert pacer is not None
        late = now - pacer.tick_at(self._playout.is_waiting)
        if late >= 0:
            self._rung(late)
            self._serve(pacer, now)
        return pacer.tick_at(self._playout.is_waiting)

    def _serve(self, pacer: Pacer, now: float) -> None:
        early = max(0.0, pacer.due_at - now)
        frames, skipped = pacer.due(max(now, pacer.due_at))
        self._tick(frames, skipped, early, now)
        playout = self._playout
        if playout.drained_ms != self._drained_ms:
            self._drained_ms = playout.drained_ms
            pacer.forget()
        elif playout.missed_by >= 0:
            pacer.missed(playout.missed_by)
        elif playout.waited >= 0:
            pacer.align(playout.waited)


def _no_tick(frames: int, skipped: int, early: float, now: float) -> None:
    return None


def _not_rung(late: float) -> None:
    return None
