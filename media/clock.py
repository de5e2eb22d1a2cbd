"""When frames leave: origin-based pacing, and one precise timer for all calls of a worker.

An event loop's own timers are good to a millisecond, late by up to one more, and cost a handle per shot. A Linux
timerfd is good to microseconds and there is one per worker, armed for the earliest call; the calls stand in a heap.
Most ticks need no timer at all: the frame itself comes first and takes its tick with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import heapq
import math
import os
import struct
import time
from collections import deque
from collections.abc import Callable

MAX_CATCH_UP = 5
"Frames sent at once after we slept; more would only fill the far side's jitter buffer (and be dropped there)."
MAX_SLEW_S = 0.0002
"The phase moves by at most this per frame: 1 % of a 20 ms frame, far below what a jitter buffer notices."
PATIENCE_S = 0.01
"""How long a tick of a real-time platform's call waits for its frame. It is what a caller gets to see of the platform's
jitter, far below what his own buffer holds (20 ms and more); for all but the latest frames it is delay that is not."""
PHASE_MARGIN_S = 0.004
"""How long before the tick's end a frame of a real-time platform should be there, on top of the jitter seen. It costs
nothing, as long as it is less than the patience: frames that come earlier leave earlier."""
PHASE_WINDOW = 32
"Frames of which the latest arrival decides about the phase."
FIRST_WINDOW = 8
"Frames after which the phase is set for the first time."
HELD_WINDOWS = 6
"""A late arrival keeps the phase where it was needed for so many windows (3.8 s at 20 ms): a frame that misses its tick
costs a gap and a frame of delay until it is drained, a millisecond of waiting costs a millisecond."""
WORTH_WAITING_S = 0.004
"""A frame that misses its tick by more than this is an accident, not the usual arrival. And a lateness that is the only
one of its kind in all held windows is not waited for, if all other frames would have to wait longer than this for it: a
miss costs a frame for half a second, which is 3 ms for each frame of those windows."""


class Pacer:
    """When the next frame of one call is due. Pure.

        origin          origin + p      origin + 2p            due times, p = ptime
          |---------[=====|---------[=====|                    the tick is open from `opens_at` until it is due
                      a1              a2                       arrivals of a real-time platform's frames

    A frame that waits when its tick opens leaves then, one that comes while it is open leaves at once, and when none
    has come by the time that it is due silence leaves. So the beat is the origin's, and each packet is off it by
    `PATIENCE_S` at most, always to the same side.

    Left alone the arrivals are anywhere between two ticks. `align` slews the origin until the latest arrival of the
    last frames comes `PHASE_MARGIN_S` before its tick is due: later at once, earlier only as far as the late arrivals
    of the last seconds allow. That also follows the platform's clock drift.
    """

    __slots__ = (
        "_held",
        "_is_settled",
        "_least_wait",
        "_most_wait",
        "_moved",
        "_moved_at_tick",
        "_patience_s",
        "_ptime_s",
        "_seen",
        "_slew_left",
        "_window",
        "due_at",
        "ptime_ms",
        "skipped",
    )

    def __init__(self, now: float, ptime_ms: int) -> None:
        self.ptime_ms = ptime_ms
        self._ptime_s = ptime_ms / 1000
        self._patience_s = min(PATIENCE_S, self._ptime_s / 2)
        self.due_at = now
        self.skipped = 0
        self._least_wait, self._most_wait = self._ptime_s, -math.inf
        "Of this window; like all that is remembered, as it would have been without any slewing."
        self._seen = 0
        self._window = FIRST_WINDOW
        self._slew_left = 0.0
        self._moved = 0.0
        "How much later all ticks are for the slewing done so far."
        self._moved_at_tick = 0.0
        "The same for the tick that is being served, which the next one's slew has not moved."
        self._is_settled = False
        "The first correction has been made: in one piece, since at its first words nobody knows an agent's rhythm yet."
        self._held: deque[float] = deque(maxlen=HELD_WINDOWS)
        "The least wait of each of the last windows."

    @property
    def opens_at(self) -> float:
        """From then on a frame may take its tick."""
        return self.due_at - self._patience_s

    def tick_at(self, is_waited_for: bool) -> float:
        """When to tick, if nothing else comes: at once when it opens, if somebody waits for it."""
        return self.due_at - self._patience_s if is_waited_for else self.due_at

    def due(self, now: float) -> tuple[int, int]:
        """(frames to send now, frames skipped because we slept too long). Moves on to the next due time."""
        if now < self.due_at:
            return 0, 0
        frames = int((now - self.due_at) / self._ptime_s) + 1
        skip = max(0, frames - MAX_CATCH_UP)
        self.skipped += skip
        self.due_at += frames * self._ptime_s
        self._moved_at_tick = self._moved
        if self._slew_left:
            most = MAX_SLEW_S if self._is_settled else self._ptime_s
            step = max(-most, min(most, self._slew_left))
            if not self._is_settled:
                self._is_settled, self._window = True, PHASE_WINDOW
                self._held.clear()  # how the first frames came says little about those that follow
            self.due_at += step
            self._moved += step
            self._slew_left -= step
        return frames - skip, skip

    def align(self, waited: float) -> None:
        """A fresh frame of a real-time platform was there so long before its tick was due (seconds)."""
        # A whole frame of waiting and more is slewed away too, at most one frame in two seconds and without a sound;
        # the playout cuts what stands longer than that.
        wait = waited - self._moved_at_tick
        self._least_wait, self._most_wait = min(self._least_wait, wait), max(self._most_wait, wait)
        self._seen += 1
        if self._seen >= self._window:
            self._settle(self._least_wait)

    def missed(self, late: float) -> None:
        """A frame came `late` seconds after the tick that should have carried it."""
        if late <= WORTH_WAITING_S:
            self._settle(-late - self._moved_at_tick)

    def _settle(self, least_wait: float) -> None:
        """Slew until the latest arrival that is remembered comes the margin before its tick."""
        self._held.append(least_wait)
        latest, *others = sorted(self._held)
        most_wait = max(self._most_wait, least_wait) + PHASE_MARGIN_S - latest
        if others and most_wait > self._patience_s + WORTH_WAITING_S:
            latest = others[0]
        self._slew_left = PHASE_MARGIN_S - latest - self._moved
        self.forget()

    def forget(self) -> None:
        """The queue has changed by other means: what was seen of the waiting in this window is true no more."""
        self._seen = 0
        self._least_wait, self._most_wait = self._ptime_s - self._moved, -math.inf


_LIBC = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1


class Bell:
    """A function of an alarm. `at` is when it is called next; to put that off it is enough to set it."""

    __slots__ = ("at", "function", "order", "stands_at")

    def __init__(self, at: float, order: int, function: Callable[[float], float | None]) -> None:
        self.at, self.order, self.function = at, order, function
        self.stands_at: float | None = at
        "Its place in the heap, which may be out of date; None: removed."


class Alarm:
    """One timerfd on an event loop: calls every due function, earliest first.

    A function returns the monotonic time of its next call, or None when it is done. Whoever puts a bell off touches
    neither the heap nor the timer: where the bell really stands is looked at when its old time comes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._heap: list[tuple[float, int, Bell]] = []
        self._order = 0
        self._armed_for = 0.0
        loop.add_reader(self._fd, self._ring)

    def add(self, at: float, function: Callable[[float], float | None]) -> Bell:
        """Call `function(now)` at monotonic time `at`."""
        self._order += 1
        bell = Bell(at, self._order, function)
        heapq.heappush(self._heap, (at, self._order, bell))
        self._arm()
        return bell

    def sooner(self, bell: Bell, at: float) -> None:
        """Call it at `at`, which is before its present time. A bell that was removed stays so."""
        if bell.stands_at is None:
            return
        bell.at = at
        if at < bell.stands_at:
            bell.stands_at = at
            heapq.heappush(self._heap, (at, bell.order, bell))
            self._arm()

    def remove(self, bell: Bell) -> None:
        """The function is not called again. Twice, or after it ended by itself, does nothing."""
        bell.stands_at = None

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._heap.clear()

    def _settle(self) -> float:
        """Bring the top of the heap up to date. Returns when it rings; infinity: never."""
        heap = self._heap
        while heap:
            at, order, bell = heap[0]
            if at != bell.stands_at:  # removed, or called sooner than that
                heapq.heappop(heap)
            elif bell.at > at:
                bell.stands_at = bell.at
                heapq.heapreplace(heap, (bell.at, order, bell))
            else:
                return at
        return math.inf

    def _arm(self) -> None:
        at = self._settle()
        if at == self._armed_for or self._fd < 0:
            return
        self._armed_for = at
        # Setting the timer also takes back that it rang; zero stops it.
        seconds = int(at) if at < math.inf else 0
        value = struct.pack("qqqq", 0, 0, seconds, max(1, int((at - seconds) * 1e9)) if at < math.inf else 0)
        if _LIBC.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, value, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _ring(self) -> None:
        self._armed_for = 0.0
        try:
            while self._settle() <= time.monotonic():
                _, order, bell = heapq.heappop(self._heap)
                bell.stands_at = math.inf
                again = None
                try:
                    again = bell.function(time.monotonic())
                finally:
                    if again is None:
                        bell.stands_at = None
                if again is not None and bell.stands_at is not None:
                    bell.at = bell.stands_at = again
                    heapq.heappush(self._heap, (again, order, bell))
        finally:  # a function that raises is not called again; the others' time must come all the same
            self._arm()
