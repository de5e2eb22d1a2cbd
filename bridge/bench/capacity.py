"""`puente bench capacity`: calls are added until the audio is no longer good. How many were good, and what gave way?

Steps with fresh processes, first by doubling, then by halving the distance between the last good and the first bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from bridge.bench import rig
from bridge.bench.assemble import failed_step, step
from bridge.bench.latency import summary
from bridge.bench.marks import CALLS
from bridge.bench.pages import Say, Watch
from bridge.bench.results import Conditions, Step

LIMIT_P99_MS = 45.0
LIMIT_LOSS_PERCENT = 0.1
NEAR_PERCENT = 80.0
"A tool of ours that uses this much of its one core, or a machine this busy, has a part in what is measured."
STRANGERS_PERCENT = 30.0
"Of one core. Above it the figure is that of a busy machine."
LATE_MS = 5.0
"A load caller whose p99 is later than this sends jitter that no telephone would."

Broken = Literal["", "round trip p99", "packets lost", "calls failed"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where to begin, how fine to search."""

    first: int = 10
    most: int = CALLS
    fine: float = 0.08
    "The search is over when the first bad number of calls is at most this much above the last good one."
    seconds: float = 10.0
    platform: rig.PlatformKind = "ultravox"
    workers: int = -1
    "-1: the bridge's default, one per core."
    out: Path = Path("out/bench")


QUICK = Options(first=20, most=80, fine=1.0, seconds=3.0)
"20, 40 and 80 calls: under a minute in all."


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-capacity/1"
    conditions: Conditions
    platform: str
    workers: int
    seconds: float
    limit_p99_ms: float = LIMIT_P99_MS
    limit_loss_percent: float = LIMIT_LOSS_PERCENT
    steps: tuple[Step, ...]
    "In the order in which they were measured."

    @property
    def last_good(self) -> Step | None:
        """The highest number of calls below the first bad one."""
        bad = self.first_bad
        measured = [one for one in self.steps if not one.trouble and not broken(one)]
        good = [one for one in measured if bad is None or one.calls < bad.calls]
        return max(good, key=calls_of, default=None)

    @property
    def first_bad(self) -> Step | None:
        return min((one for one in self.steps if broken(one)), key=calls_of, default=None)

    @property
    def trouble(self) -> str:
        """Why the search has ended before its time."""
        return next((one.trouble for one in self.steps if one.trouble), "")

    @property
    def failed(self) -> bool:
        return self.last_good is None or bool(self.trouble)


def calls_of(one: Step) -> int:
    return one.calls


def loss_percent(one: Step) -> float:
    """Of what the bridge should have sent. Echoes that it left out on purpose are no lost packets."""
    expected = one.packets_received + one.packets_lost
    return 100 * one.packets_lost / expected if expected else 0.0


def broken(one: Step) -> Broken:
    """Which limit this step has exceeded, the gravest first. One that was not measured has exceeded none."""
    if one.trouble:
        return ""
    if one.calls_failed:
        return "calls failed"
    if loss_percent(one) > LIMIT_LOSS_PERCENT:
        return "packets lost"
    return "round trip p99" if one.round_trip_ms.p99 > LIMIT_P99_MS else ""


def others_percent(one: Step, cores: int) -> float:
    """Of one core: what neither the bridge nor the tools used, strangers and the kernel's own work."""
    return max(0.0, one.busy_percent * cores - sum(process.cpu_percent for process in one.processes))


def harness_share(one: Step, cores: int) -> list[str]:
    """What speaks for the limit being the tools' and the machine's, not the bridge's alone."""
    used = {role: max((p.cpu_percent for p in one.processes if p.role == role), default=0.0) for role in TOOLS}
    found = [f"the {role} used {percent:.0f} % of its core" for role, percent in used.items() if percent > NEAR_PERCENT]
    if one.send_late_ms.p99 > LATE_MS:
        found.append(f"the load caller itself was late (p99 {one.send_late_ms.p99:.1f} ms)")
    if one.skipped:
        found.append(f"the load caller left out {one.skipped} packets")
    if one.busy_percent > NEAR_PERCENT:
        found.append(f"all cores together were {one.busy_percent:.0f} % busy, tools included")
    others = others_percent(one, cores)
    if others > STRANGERS_PERCENT:
        found.append(f"others on the machine used {others:.0f} % of a core")
    return found


TOOLS: tuple[Literal["caller", "platform"], ...] = ("caller", "platform")


def next_calls(options: Options, good: int, bad: int | None) -> int | None:
    """The number of calls to try next, None when it is known closely enough. `good` is 0 before the first step."""
    if bad is None:
        following = 2 * good if good else options.first
        return min(following, options.most) if good < options.most else None
    middle = (good + bad) // 2
    return middle if bad - good > max(1, options.fine * good) and good < middle < bad else None


async def measure(options: Options, say: Say) -> Capacity:
    options.out.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    steps: list[Step] = []
    good, bad = 0, None
    while (calls := next_calls(options, good, bad)) is not None:
        say(f"{calls} calls, {options.seconds:g} s ...")
        steps.append(await _step(options, calls))
        if steps[-1].trouble:
            say(f"  {summary(steps[-1])}")
            break
        why = broken(steps[-1])
        say(f"  {summary(steps[-1])}{', TOO MANY: ' + why if why else ''}")
        good, bad = (good, calls) if why else (calls, bad)
    return Capacity(
        conditions=watch.conditions(),
        platform=options.platform,
        workers=options.workers,
        seconds=options.seconds,
        steps=tuple(steps),
    )


async def _step(options: Options, calls: int) -> Step:
    try:
        run = await rig.against_bridge(options.platform, calls, options.seconds, options.workers, options.out)
    except rig.Trouble as trouble:
        return failed_step("bridge", calls, str(trouble))
    return step("bridge", calls, run)
