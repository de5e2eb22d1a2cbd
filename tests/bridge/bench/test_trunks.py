from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.bench import trunks
from bridge.bench.failover.cases import CASES, Region
from bridge.bench.failover.house import House
from bridge.bench.failover.report import CaseReport, judged
from bridge.bench.failover.trial import Plan
from bridge.bench.rig import Trouble
from bridge.bench.trunks import QUICK, Options, Trunks, measure, summary
from tests.bridge.bench.failover.cases import call, seen, stood


def test_one_line_for_the_terminal() -> None:
    assert summary(judged(seen())) == (
        "killed: out over the backup after 3.2 s, in after 1.1 s; 0 of 10 new calls lost, 2 of 2 standing calls "
        "survived; back after 2.0 s, 2 switches"
    )
    bad = judged(seen(call(1, "", None), standing=(stood(survived=False),)))
    assert summary(bad).endswith(
        "back after never, 0 switches; MISSED: no outbound call was answered after the failure; no inbound call was "
        "answered after the failure; 1 calls lost; 1 of 1 standing calls did not survive; calls did not return to the "
        "primary"
    )
    assert summary(CaseReport(name="slow", help="", home="", trouble="no")) == "slow: NOT MEASURED: no"


class FakeHouse:
    """Counts houses; the trials in it are `FakeTrial`s."""

    def __init__(self, trouble: str = "") -> None:
        self.trouble, self.built = trouble, list[tuple[str, ...]]()

    @asynccontextmanager
    async def __call__(self, cases: Sequence[str], folder: Path) -> AsyncIterator[object]:
        self.built.append(tuple(cases))
        if self.trouble:
            raise Trouble(self.trouble)
        yield type("Built", (), {"regions": {name: type("Region", (), {"name": name}) for name in cases}})


class FakeTrial:
    def __init__(self, region: Region, house: House, plan: Plan) -> None:
        self.region = region

    async def run(self) -> CaseReport:
        if self.region.name == "slow":
            raise Trouble("calls do not stand")
        return judged(seen())


async def run(monkeypatch: pytest.MonkeyPatch, house: FakeHouse, options: Options) -> tuple[Trunks, list[str]]:
    monkeypatch.setattr(trunks, "house", house)
    monkeypatch.setattr(trunks, "Trial", FakeTrial)
    said: list[str] = []
    return await measure(options, said.append), said


async def test_one_after_the_other_or_all_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    house = FakeHouse()
    report, said = await run(monkeypatch, house, Options(case=("killed", "moved"), out=tmp_path))
    assert house.built == [("killed",), ("moved",)]
    assert (len(report.cases), report.failed, len(said)) == (2, False, 4)
    together = FakeHouse()
    report, _ = await run(monkeypatch, together, Options(together=True, plan=QUICK.plan, out=tmp_path))
    assert together.built == [tuple(CASES)]
    assert [case.name for case in report.cases if case.trouble] == ["slow"]
    assert report.failed


async def test_a_house_that_does_not_stand_fails_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report, said = await run(monkeypatch, FakeHouse("no Kamailio"), Options(case=("killed",), out=tmp_path))
    assert [case.trouble for case in report.cases] == ["no Kamailio"]
    assert report.failed
    assert said[-1] == "  NOT MEASURED: no Kamailio"
