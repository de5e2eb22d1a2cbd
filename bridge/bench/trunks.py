"""`puente bench trunks`: real partners fail in seven ways while calls stand over them, come in and go out.

With `--quick` all cases happen at the same time to one bridge, each to the partners of a region of its own; else one
after the other, each with a bridge of its own and more time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bridge.bench.failover.cases import CASES
from bridge.bench.failover.house import house
from bridge.bench.failover.report import CaseReport
from bridge.bench.failover.trial import Plan, Trial
from bridge.bench.pages import Say, Watch
from bridge.bench.results import Conditions
from bridge.bench.rig import Trouble


@dataclass(frozen=True, kw_only=True)
class Options:
    case: tuple[str, ...] = tuple(CASES)
    plan: Plan = field(default_factory=Plan)
    together: bool = False
    "All cases at the same time, in one bridge."
    out: Path = Path("out/bench")


QUICK = Options(
    plan=Plan(standing=2, calls_per_s=2.0, lead_s=2.0, outage_s=8.0, watch_s=24.0, tail_s=1.0), together=True
)
"Under a minute."


class Trunks(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-trunks/1"
    conditions: Conditions
    together: bool
    standing: int
    calls_per_s: float
    outage_s: float
    cases: tuple[CaseReport, ...]

    @property
    def failed(self) -> bool:
        return any(case.trouble or case.missed for case in self.cases)


async def measure(options: Options, say: Say) -> Trunks:
    folder = options.out / "trunks"
    watch = Watch()
    groups = [options.case] if options.together else [(name,) for name in options.case]
    reports: list[CaseReport] = []
    for group in groups:
        say(f"{', '.join(group)}: partners, bridge and platform start ...")
        reports += await _run(group, options.plan, folder, say)
    return Trunks(
        conditions=watch.conditions(),
        together=options.together,
        standing=options.plan.standing,
        calls_per_s=options.plan.calls_per_s,
        outage_s=options.plan.outage_s,
        cases=tuple(reports),
    )


async def _run(cases: Sequence[str], plan: Plan, folder: Path, say: Say) -> list[CaseReport]:
    try:
        async with house(cases, folder) as built:
            return list(
                await asyncio.gather(*(_one(Trial(region, built, plan), say) for region in built.regions.values()))
            )
    except Trouble as trouble:
        say(f"  NOT MEASURED: {trouble}")
        return [_nothing(name, trouble) for name in cases]


async def _one(trial: Trial, say: Say) -> CaseReport:
    name = trial.region.name
    try:
        report = await trial.run()
    except Trouble as trouble:
        report = _nothing(name, trouble)
    say(f"  {summary(report)}")
    return report


def _nothing(name: str, trouble: Trouble) -> CaseReport:
    return CaseReport(name=name, help=CASES[name].help, home=CASES[name].home, trouble=str(trouble))


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def summary(one: CaseReport) -> str:
    """One line for the terminal."""
    if one.trouble:
        return f"{one.name}: NOT MEASURED: {one.trouble}"
    goals = f"; MISSED: {'; '.join(one.missed)}" if one.missed else ""
    return (
        f"{one.name}: out over the backup after {seconds(one.outbound_after_s)}, in after "
        f"{seconds(one.inbound_after_s)}; {one.lost} of {len(one.calls)} new calls lost, {one.survived} of "
        f"{len(one.standing)} standing calls survived; back after {seconds(one.outbound_back_s)}, "
        f"{one.switches} switches{goals}"
    )
