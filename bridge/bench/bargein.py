"""`puente bench bargein`: half a minute of speech lies in the bridge, the platform takes it back. When is it silent?

From the platform's `playback_clear_buffer` leaving to the first silent packet in the caller's kernel.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bridge.bench import rig
from bridge.bench.figures import Figures, figures
from bridge.bench.pages import Say, Watch
from bridge.bench.results import CallOutcome, Clear, Conditions, ProcessUse, Turn
from bridge.bench.talking_platform import QUIET_S

GOAL_MS: Final = 20.0
"One tick of the bridge's clock; the way over the two sockets comes on top."
WIRE_MS: Final = 1.0
"What the two sockets may take on a loopback that others use too."
GIVE_UP_S: Final = 1.0
"No silence by then: the interruption has not worked."


@dataclass(frozen=True, kw_only=True)
class Options:
    calls: tuple[int, ...] = (1, 20)
    seconds: float = 60.0
    workers: int = -1
    out: Path = Path("out/bench")


QUICK = Options(seconds=12.0)
"Under a minute in all."


def every_ms(calls: int) -> int:
    """From one interruption of a call to the next: never so close that sending ahead is what loads the bridge."""
    return max(600, 100 * calls)


class BargeIn(msgspec.Struct, frozen=True, kw_only=True):
    """One number of calls."""

    calls: int
    silent_after_ms: Figures = Figures()
    interruptions: int = 0
    never_silent: int = 0
    "No silent packet within a second."
    broke_silence: int = 0
    "Old audio came after the first silent packet and before the platform spoke again."
    over_goal: int = 0
    calls_failed: int = 0
    processes: tuple[ProcessUse, ...] = ()
    trouble: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.trouble or self.calls_failed or self.never_silent or not self.interruptions)


class BargeIns(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-bargein/1"
    conditions: Conditions
    seconds: float
    goal_ms: float = GOAL_MS
    wire_ms: float = WIRE_MS
    rows: tuple[BargeIn, ...]

    @property
    def failed(self) -> bool:
        return any(one.failed for one in self.rows)


def bargein(calls: int, run: rig.Run, clears: Iterable[Clear]) -> BargeIn:
    """Pair each interruption with the first silence after it. Pure."""
    outcomes = {call.call: call for call in run.load.calls}
    span = measured_span(run.load.calls)
    waits: list[float] = []
    counted = never = broke = 0
    for clear in clears:
        call = outcomes.get(clear.call)
        # An interruption of audio that is not on the line (before the answer, after the end) is none.
        if call is None or not span[0] <= clear.at_s < span[1] or not loud_at(call.turns, clear.at_s):
            continue
        counted += 1
        silent_s, loud_again_s = silence_after(call.turns, clear.at_s)
        if silent_s is None or silent_s - clear.at_s > GIVE_UP_S:
            never += 1
            continue
        waits.append((silent_s - clear.at_s) * 1e3)
        broke += loud_again_s is not None and loud_again_s < clear.at_s + QUIET_S
    return BargeIn(
        calls=calls,
        silent_after_ms=figures(waits),
        interruptions=counted,
        never_silent=never,
        broke_silence=broke,
        over_goal=sum(wait > GOAL_MS + WIRE_MS for wait in waits),
        calls_failed=sum(not 200 <= call.status < 300 or call.ended_early for call in run.load.calls),
        processes=run.processes,
    )


def measured_span(calls: Sequence[CallOutcome]) -> tuple[float, float]:
    """From the first mark of the measured time to the last."""
    sent = [mark.sent_s for call in calls for mark in call.marks]
    return (min(sent), max(sent)) if sent else (0.0, 0.0)


def loud_at(turns: Sequence[Turn], at_s: float) -> bool:
    before = bisect_right(turns, at_s, key=lambda turn: turn.at_s)
    return bool(before) and turns[before - 1].is_loud


def silence_after(turns: Sequence[Turn], at_s: float) -> tuple[float | None, float | None]:
    """(first silent packet, first loud one after that)"""
    following = turns[bisect_right(turns, at_s, key=lambda turn: turn.at_s) :]
    silent = next((turn.at_s for turn in following if not turn.is_loud), None)
    loud = next((turn.at_s for turn in following if turn.is_loud and silent is not None and turn.at_s > silent), None)
    return silent, loud


async def measure(options: Options, say: Say) -> BargeIns:
    options.out.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    rows: list[BargeIn] = []
    for calls in options.calls:
        say(f"{calls} call{'s' * (calls != 1)}, each interrupted every {every_ms(calls)} ms, {options.seconds:g} s ...")
        try:
            rows.append(await _row(calls, options))
        except rig.Trouble as trouble:
            rows.append(BargeIn(calls=calls, trouble=str(trouble)))
        say("  " + summary(rows[-1]))
    return BargeIns(conditions=watch.conditions(), seconds=options.seconds, rows=tuple(rows))


async def _row(calls: int, options: Options) -> BargeIn:
    platform = ("bridge.bench.talking_platform", "--every-ms", str(every_ms(calls)))
    async with rig.house(
        "ultravox", calls, options.workers, options.out, platform=platform, client_buffer_ms=rig.AHEAD_MS
    ) as up:
        load = await rig.load_caller(up.sip_port, calls, options.seconds, up.meter, options.out)
        clears = await rig.asked(up.platform_port, "/bench/clears", list[Clear])
    return bargein(calls, rig.run_of(load, (), up.meter), clears)


def summary(one: BargeIn) -> str:
    """One line for the terminal."""
    if one.trouble:
        return f"NOT MEASURED: {one.trouble}"
    wait = one.silent_after_ms
    parts = [
        f"{one.interruptions} interruptions",
        f"silent after p50 {wait.p50:.1f} p95 {wait.p95:.1f} p99 {wait.p99:.1f} max {wait.max:.1f} ms",
        f"{one.over_goal} over {GOAL_MS:g} ms + wire",
    ]
    if one.never_silent:
        parts.append(f"{one.never_silent} NEVER SILENT")
    if one.broke_silence:
        parts.append(f"{one.broke_silence} x OLD AUDIO AFTER SILENCE")
    return ", ".join(parts)
