"""`puente bench latency`: for each number of calls one row without the bridge, one with it, and one of baresip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.bench import beside, kernel, rig, table
from bridge.bench.assemble import failed_step, step
from bridge.bench.pages import Say
from bridge.bench.results import BRIDGE, Results, Step

FLOOR_S = 5.0
"The reflector is measured this long at most: nothing about it changes with time."


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure."""

    calls: tuple[int, ...] = (1, 10, 20, 40)
    seconds: float = 20.0
    platform: rig.PlatformKind = "ultravox"
    workers: int = -1
    "-1: the bridge's default, one per core."
    beside: bool = False
    "Measure baresip too, where it is installed."
    out: Path = Path("out/bench")


QUICK = Options(calls=(1, 10), seconds=5.0)
"Under a minute in all."


async def measure(options: Options, say: Say) -> Results:
    """All steps, each with fresh processes. `say` gets a line when something begins or is known."""
    options.out.mkdir(parents=True, exist_ok=True)
    load_average = round(kernel.load_average(), 2)
    started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    steps = []
    for calls in options.calls:
        say(f"{_calls(calls)} against the reflector (no bridge) ...")
        steps.append(await _floor(options, calls))
        say("  " + summary(steps[-1]))
        say(f"{_calls(calls)} through the bridge to {options.platform}, {options.seconds:g} s ...")
        steps.append(await _bridge(options, calls))
        say("  " + summary(steps[-1]))
        if options.beside:
            say(f"{_calls(calls)} against baresip, {options.seconds:g} s ...")
            steps.append(await _baresip(options, calls))
            say("  " + summary(steps[-1]))
    return Results(
        started_at=started,
        platform=options.platform,
        seconds=options.seconds,
        workers=options.workers,
        machine=kernel.machine(),
        load_average=load_average,
        steps=tuple(steps),
    )


async def _floor(options: Options, calls: int) -> Step:
    try:
        run = await rig.against_reflector(calls, min(options.seconds, FLOOR_S), options.out)
    except rig.Trouble as trouble:
        return failed_step("reflector", calls, str(trouble))
    return step("reflector", calls, run)


async def _bridge(options: Options, calls: int) -> Step:
    try:
        run = await rig.against_bridge(options.platform, calls, options.seconds, options.workers, options.out)
    except rig.Trouble as trouble:
        return failed_step("bridge", calls, str(trouble))
    return step("bridge", calls, run)


async def _baresip(options: Options, calls: int) -> Step:
    try:
        run = await beside.against_baresip(calls, options.seconds, options.out)
    except rig.Trouble as trouble:
        return failed_step("baresip", calls, str(trouble))
    return step("baresip", calls, run)


def summary(done: Step) -> str:
    """One line for the terminal."""
    if done.trouble:
        return f"NOT MEASURED: {done.trouble}"
    trip = done.round_trip_ms
    parts = [f"round trip p50 {trip.p50:.2f} p95 {trip.p95:.2f} p99 {trip.p99:.2f} max {trip.max:.2f} ms"]
    if done.up_ms.count:
        parts.append(f"up p50 {done.up_ms.p50:.2f} ms")
    cost = table.per_call(done, ("beside",) if done.target == "baresip" else BRIDGE)
    if cost is not None:
        parts.append(f"CPU {cost:.2f} % per call")
    parts.append(f"{done.packets_lost} packets lost")
    if done.calls_failed:
        parts.append(f"{done.calls_failed} of {_calls(done.calls)} FAILED")
    return ", ".join(parts)


def _calls(number: int) -> str:
    return f"{number} call{'s' * (number != 1)}"
