"""`puente bench stall`: a platform, or a caller's line, holds everything back for a while, then lets it out at once.

What a bridge does then shows in the delay *afterwards*: what it keeps of the burst stands in a queue for the rest of
the call, unless it is taken away. Every frame of one call is marked, so the delay is known fifty times a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

from bridge.bench import rig
from bridge.bench.figures import figures
from bridge.bench.pages import Say, Watch
from bridge.bench.probing import first_came, probe
from bridge.bench.results import Conditions, Probed, Stall

STALLS_MS = (200, 500, 2000)
LEAD_S = 3.0
"Undisturbed before each stall."
BACK_WITHIN_MS = 10.0
"Half a frame above the p95 before is back: one frame more in a queue would be twice that."
STEADY_FRAMES = 25
"Half a second must be back, not one lucky frame."

Side = Literal["platform", "caller"]
SIDES: tuple[Side, ...] = ("platform", "caller")


@dataclass(frozen=True, kw_only=True)
class Options:
    stalls_ms: tuple[int, ...] = STALLS_MS
    repeats: int = 3
    recovery_s: float = 6.0
    "Watched after each stall."
    platform: rig.PlatformKind = "ultravox"
    out: Path = Path("out/bench")


QUICK = Options(repeats=1, recovery_s=3.5)
"Each stall once on either side: under a minute."


class Point(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One frame of the curve."""

    spoken_s: float
    "Since the stall began."
    trip_ms: float | None
    "None: it never came back."


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One stall and what came of it."""

    side: Side
    stalled_ms: int
    before_ms: float
    "Median round trip in the seconds before."
    worst_ms: float
    after_ms: float
    "Median round trip in the last second that was watched."
    back_after_s: float | None
    "From the end of the stall until the round trip is back at its level before. None: not while we watched."
    frames_lost: int
    "Of those spoken from the stall on: never heard again, because they were dropped to save time."
    curve: tuple[Point, ...]


class Stalls(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-stall/1"
    conditions: Conditions
    platform: str
    recovery_s: float
    episodes: tuple[Episode, ...]
    trouble: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.trouble)


def schedule(options: Options) -> list[tuple[float, int]]:
    """(seconds into the measured time, ms) of each stall."""
    found, at_s = [], 0.0
    for ms in options.stalls_ms * options.repeats:
        at_s += LEAD_S
        found.append((at_s, ms))
        at_s += ms / 1000 + options.recovery_s
    return found


def length_s(options: Options) -> float:
    at_s, ms = schedule(options)[-1]
    return at_s + ms / 1000 + options.recovery_s


def episode(side: Side, stall: Stall, probed: Probed, recovery_s: float) -> Episode:
    """Cut one stall out of the call. Pure."""
    came = first_came(probed)
    trips: list[tuple[float, float | None]] = [
        (one.spoken_s, (came[number].at_s - one.spoken_s) * 1e3 + came[number].begins_ms if number in came else None)
        for number, one in enumerate(probed.spoken)
        if stall.began_s - LEAD_S < one.spoken_s < stall.ended_s + recovery_s
    ]
    before = [trip for spoken, trip in trips if trip is not None and spoken + trip / 1e3 < stall.began_s]
    since = [(spoken, trip) for spoken, trip in trips if trip is not None and spoken + trip / 1e3 >= stall.began_s]
    burst = [(spoken, trip) for spoken, trip in since if spoken + trip / 1e3 >= stall.ended_s]
    last = [trip for spoken, trip in since if spoken > stall.ended_s + recovery_s - 1]
    usual = figures(before)
    return Episode(
        side=side,
        stalled_ms=round((stall.ended_s - stall.began_s) * 1e3),
        before_ms=round(usual.p50, 2),
        worst_ms=round(max((trip for _, trip in since), default=0.0), 2),
        after_ms=round(median(last), 2) if last else 0.0,
        back_after_s=back_after_s(usual.p95, stall.ended_s, burst),
        frames_lost=sum(trip is None for spoken, trip in trips if spoken >= stall.began_s),
        curve=tuple(
            Point(spoken_s=round(spoken - stall.began_s, 4), trip_ms=None if trip is None else round(trip, 2))
            for spoken, trip in trips
        ),
    )


def back_after_s(level_ms: float, ended_s: float, heard: Sequence[tuple[float, float]]) -> float | None:
    """When the first frame of a steady half second at the old level was heard, from the end of the stall."""
    for at in range(len(heard) - STEADY_FRAMES + 1):
        spoken, trip = heard[at]
        steady = [each for _, each in heard[at : at + STEADY_FRAMES]]
        if trip <= level_ms + BACK_WITHIN_MS and median(steady) <= level_ms + BACK_WITHIN_MS:
            return round(max(0.0, spoken + trip / 1e3 - ended_s), 3)
    return None


async def measure(options: Options, say: Say) -> Stalls:
    options.out.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    episodes: list[Episode] = []
    trouble: list[str] = []
    for side in SIDES:
        say(f"stalls of the {side}: {', '.join(map(str, options.stalls_ms))} ms, {options.repeats} x each ...")
        try:
            stalls, probed = await _run(side, options)
        except rig.Trouble as problem:
            trouble.append(f"{side}: {problem}")
            say(f"  NOT MEASURED: {problem}")
            continue
        for stall in stalls:
            episodes.append(episode(side, stall, probed, options.recovery_s))
            say("  " + summary(episodes[-1]))
    return Stalls(
        conditions=watch.conditions(),
        platform=options.platform,
        recovery_s=options.recovery_s,
        episodes=tuple(episodes),
        trouble=tuple(trouble),
    )


async def _run(side: Side, options: Options) -> tuple[Sequence[Stall], Probed]:
    platform = ("bridge.bench.delayed_platform",)
    async with rig.house(options.platform, 1, 1, options.out, platform=platform) as up:
        if side == "caller":
            probed = await probe(up, length_s(options), options.out, stalls=schedule(options))
            return probed.stalls, probed
        stalls: list[Stall] = []

        async def hold_back() -> None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for at_s, ms in schedule(options):
                await asyncio.sleep(began + at_s - loop.time())
                stalls.append(await rig.asked(up.platform_port, f"/bench/stall?ms={ms}", Stall, "POST"))

        return stalls, await probe(up, length_s(options), options.out, meanwhile=hold_back)


def summary(one: Episode) -> str:
    """One line for the terminal."""
    back = "NOT BACK" if one.back_after_s is None else f"back after {one.back_after_s:.2f} s"
    return (
        f"{one.stalled_ms} ms: {one.before_ms:.1f} ms before, {one.worst_ms:.0f} at worst, "
        f"{one.after_ms:.1f} at the end, {back}, {one.frames_lost} frames lost"
    )
