"""What the live figures cost: a worker in which every second call keeps none, and a watch on what both kinds take.

`python -m bridge.bench.path_worker --halves FILE --odd 0|1`. Two processes differ by more than the figures do, and so
do two stretches of time. So both kinds of call stand in the same worker in the same seconds, in turn, and the CPU clock
of the thread is read around every callback that carries audio: the cold caches of a real path are in it, and whatever
else the machine does falls on both. The longest of each kind of callback are left out, of both halves alike: an
interrupt, or time that the host has taken, is on that clock too. The rounds take turns in which half is which.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import msgspec

from media import figures, wire, worker
from media.call import Call
from media.clock import Alarm, Bell
from media.turns import TurnMeter

KEEPS_NOTHING = cast(Callable[[float], None], bool)
"Takes a number; written in C, as what it stands for."


LEFT_OUT = 0.02
"This share of the callbacks of each kind."
KINDS = ("up", "down", "tick")


class Half(msgspec.Struct, kw_only=True):
    """What the calls of one kind have taken between two looks."""

    callbacks_ns: float = 0.0
    "Of the thread's CPU time."
    frames: int = 0
    "Sent to the callers."


class Halves(msgspec.Struct, frozen=True, kw_only=True):
    """Between two looks."""

    keeping: Half
    silent: Half
    survey_ns: int
    "Sorting the notes of those that keep some, and adding them up, every few seconds."

    @property
    def keeping_us(self) -> float:
        """Per frame: one packet up, one frame down, one tick, and its share of the survey."""
        return (self.keeping.callbacks_ns + self.survey_ns) / max(1, self.keeping.frames) / 1000

    @property
    def silent_us(self) -> float:
        return self.silent.callbacks_ns / max(1, self.silent.frames) / 1000


class DeafMeter(TurnMeter):
    """Nobody listens for turns."""

    __slots__ = ()

    def caller(self, line: bytes, last: bytes, before: bytes, now: float) -> None:
        """Not heard."""

    def agent(self, line: bytes, now: float) -> None:
        """Not heard."""


class Watch:
    """Of one worker."""

    def __init__(self, path: Path, odd: int) -> None:
        self._path, self._odd, self._opened = path, odd, 0
        self._calls: tuple[list[HalvedCall], list[HalvedCall]] = ([], [])
        self._frames = [0, 0]
        "Sent by the time of the last look."
        self._spent_ns: tuple[dict[str, list[int]], ...] = tuple({kind: [] for kind in KINDS} for _ in self._calls)
        self._survey_ns = 0

    def enter(self, call: HalvedCall) -> int:
        """Which half it is in: 0 keeps figures, 1 does not."""
        half = (self._opened + self._odd) % 2
        self._opened += 1
        self._calls[half].append(call)
        return half

    def timed(self, half: int, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its CPU time on one half's account."""
        clock, note = time.thread_time_ns, self._spent_ns[half][kind].append

        def run(*given: Any) -> Any:
            began = clock()
            result = function(*given)
            note(clock() - began)
            return result

        return run

    def surveyed(self, add: Callable[[figures.Sums, figures.Counted], None]) -> Callable[..., None]:
        def run(sums: figures.Sums, call: figures.Counted) -> None:
            began = time.thread_time_ns()
            add(sums, call)
            if call in self._calls[0]:
                self._survey_ns += time.thread_time_ns() - began

        return run

    def look(self) -> None:
        """To the file: what has been since the last look."""
        keeping, silent = (self._half(half) for half in (0, 1))
        told = Halves(keeping=keeping, silent=silent, survey_ns=self._survey_ns)
        self._survey_ns = 0
        self._path.write_bytes(msgspec.json.encode(told))

    def _half(self, half: int) -> Half:
        before, self._frames[half] = self._frames[half], sum(call.frames for call in self._calls[half])
        spent_ns = sum(typical(spent) * len(spent) for spent in self._spent_ns[half].values())
        for spent in self._spent_ns[half].values():
            spent.clear()
        return Half(callbacks_ns=spent_ns, frames=self._frames[half] - before)


def typical(spent_ns: list[int]) -> float:
    """Their mean without the longest."""
    kept = sorted(spent_ns)[: len(spent_ns) - int(len(spent_ns) * LEFT_OUT)]
    return fmean(kept) if kept else 0.0


class TimedAlarm:
    """The worker's alarm, as a call of one half sees it."""

    def __init__(self, alarm: Alarm, timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._alarm, self._timed = alarm, timed
        self.sooner, self.remove = alarm.sooner, alarm.remove

    def add(self, at: float, function: Callable[[float], float | None]) -> Bell:
        return self._alarm.add(at, self._timed(function))


class HalvedCall(Call):
    """The product's call; of every second one the figures are taken away."""

    watch: Watch

    def __init__(self, *given: Any, **named: Any) -> None:
        half = self.watch.enter(self)

        def timed(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
            return self.watch.timed(half, kind, function)

        named["alarm"] = TimedAlarm(named["alarm"], lambda function: timed("tick", function))
        super().__init__(*given, **named)
        if half:
            self._fall_silent()
        self._loop.remove_reader(self.sock.fileno())
        self._loop.add_reader(self.sock.fileno(), timed("up", self._step.readable))
        self.on_far_audio = timed("down", self._step.audio)

    @property
    def frames(self) -> int:
        return self._near.sent

    def _fall_silent(self) -> None:
        for histogram in self.histograms().values():
            histogram.add = KEEPS_NOTHING
        self._playout._deep.add = KEEPS_NOTHING
        self._near.turns = DeafMeter(self._near.codec)
        if hasattr(self._step, "turns"):
            self._step.turns = None


def install(path: Path, odd: int) -> None:
    """Into this process' worker, before it has calls. It looks whenever it is asked how it fares."""
    watch = HalvedCall.watch = Watch(path, odd)
    setattr(worker, "Call", HalvedCall)  # noqa: B010 (the same class but for its half)
    figures.Sums.add = watch.surveyed(figures.Sums.add)  # type: ignore[method-assign]
    handle = worker.Worker._handle

    def handled(self: worker.Worker, command: wire.AnyCommand) -> None:
        if isinstance(command, wire.Ping):
            watch.look()
        handle(self, command)

    worker.Worker._handle = handled  # type: ignore[method-assign]
