"""Partners that fail under a whole bridge, in all the ways of `puente bench trunks`: what becomes of the calls.

All cases happen at the same time to one bridge, each to the partners of its own region; what was seen of them is looked
at test by test. Before that, calls come in over every one of them at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.bench.failover.cases import BACKUP, CASES, PRIMARY
from bridge.bench.failover.house import House, house, prefix, trunk_name
from bridge.bench.failover.network import Call
from bridge.bench.failover.report import GOAL_S, MOST_SWITCHES, CaseReport
from bridge.bench.failover.talk import Metronome, Talk
from bridge.bench.failover.trial import Plan, Trial
from bridge.config import OutboundSection
from bridge.trunks.states import TrunkState
from tests.helpers.rig import eventually

ALLOWANCE_S = 3.0
"For a machine that is busy with other tests."
SETUP_S = OutboundSection().setup_timeout_ms / 1000
PLAN = Plan(standing=2, calls_per_s=2.0, lead_s=1.0, outage_s=7.0, watch_s=40.0, tail_s=0.5)

BECAUSE = {
    "killed": ("down", "does not answer OPTIONS"),
    "partitioned": ("down", "does not answer OPTIONS"),
    "refusing": ("down", "503"),
    "slow": ("down", "no 18x within 4 s"),
    "credentials": ("down", "407"),
    "expired": ("down", "expired"),
}
"What the primary's breaker says; where DNS has moved it need not have opened."


@dataclass(frozen=True)
class Seen:
    before: list[TrunkState]
    first: dict[str, list[Call]]
    "Calls that came in over every partner at once, by region."
    reports: dict[str, CaseReport]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    async with house(tuple(CASES), tmp_path_factory.mktemp("lab")) as built:
        before = await built.states()
        first = await over_all(built)
        reports = await asyncio.gather(*(Trial(region, built, PLAN).run() for region in built.regions.values()))
    return Seen(before, first, {report.name: report for report in reports})


async def over_all(built: House) -> dict[str, list[Call]]:
    """One call in over each partner that is known, all in one moment."""
    networks = [region.network for region in built.regions.values()]

    def poll(now: float) -> None:
        for network in networks:
            network.poll(now)

    beat = asyncio.create_task(Metronome(poll).run())
    calls = {
        region.name: [
            region.network.place(f"{prefix(region.number)}999999{n}", (role,), time.monotonic())
            for n, role in enumerate((PRIMARY, BACKUP))
        ]
        for region in built.regions.values()
    }
    try:
        await eventually(lambda: all(call.answered_s for each in calls.values() for call in each), "answers")
        await asyncio.sleep(1)  # they are hung up
    finally:
        beat.cancel()
    return calls


# --- all partners at once -------------------------------------------------------------------------------------------


def test_every_trunk_is_registered_primaries_and_backups(seen: Seen) -> None:
    assert {(one.state, one.registration) for one in seen.before} == {("up", "registered")}
    assert [one.name for one in seen.before] == [trunk_name(name, role) for name in CASES for role in (PRIMARY, BACKUP)]


@pytest.mark.parametrize("name", CASES)
def test_calls_come_in_over_all_of_them_at_once(seen: Seen, name: str) -> None:
    """UDP and TLS, over a registration each."""
    assert [call.via for call in seen.first[name]] == [PRIMARY, BACKUP]


def story(report: CaseReport) -> str:
    """For a person who wants to know why."""
    primary = trunk_name(report.name, PRIMARY)
    calls = [(call.placed_s, call.via, call.tried) for call in report.calls if call.direction == "outbound"]
    states = [(one.at_s, one.state, one.because) for one in report.states if one.trunk == primary]
    return f"{sorted(calls)}\n{states}"


# --- each failure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_no_call_is_lost_that_could_be_saved(seen: Seen, name: str) -> None:
    report = seen.reports[name]
    assert [call for call in report.calls if call.answered_s is None] == []
    assert len(report.calls) > 10


@pytest.mark.parametrize("name", CASES)
def test_calls_that_stand_are_not_touched(seen: Seen, name: str) -> None:
    report = seen.reports[name]
    assert [(one.direction, one.survived) for one in report.standing] == [("outbound", True), ("inbound", True)]


@pytest.mark.parametrize("name", CASES)
def test_new_calls_work_over_the_backup_within_the_goal(seen: Seen, name: str) -> None:
    report = seen.reports[name]
    assert report.outbound_after_s is not None
    assert report.inbound_after_s is not None
    assert report.outbound_after_s <= GOAL_S + ALLOWANCE_S
    assert report.inbound_after_s <= GOAL_S + ALLOWANCE_S
    assert report.slowest_s is not None
    assert report.slowest_s <= SETUP_S + ALLOWANCE_S, "no call waits for two set-up times"


@pytest.mark.parametrize("name", CASES)
def test_calls_return_and_do_not_flap(seen: Seen, name: str) -> None:
    report = seen.reports[name]
    assert report.outbound_back_s is not None
    assert report.inbound_back_s is not None
    assert report.switches <= MOST_SWITCHES, story(report)
    states = [one.state for one in report.states if one.trunk == trunk_name(name, PRIMARY)]
    assert states[-1] == "up"


@pytest.mark.parametrize("name", CASES)
def test_the_backup_is_never_in_doubt(seen: Seen, name: str) -> None:
    states = {one.state for one in seen.reports[name].states if one.trunk == trunk_name(name, BACKUP)}
    assert states == {"up"}


@pytest.mark.parametrize("name", BECAUSE)
def test_the_breaker_says_why(seen: Seen, name: str) -> None:
    state, words = BECAUSE[name]
    reasons = [one.because for one in seen.reports[name].states if one.state == state]
    assert any(words in because for because in reasons), reasons


def test_what_a_new_dns_answer_costs(seen: Seen) -> None:
    """Nothing but the time of one look-up: calls go to the new machine without a repair by anybody."""
    homes = [call for call in seen.reports["moved"].calls if call.via == "moved"]
    assert {call.direction for call in homes} == {"inbound", "outbound"}


# --- reload while calls stand ---------------------------------------------------------------------------------------


@dataclass
class Standing:
    built: House
    calls: dict[str, Call]

    def flow(self) -> list[bool]:
        return [call.talk is not None and call.talk.flows(time.monotonic()) for call in self.calls.values()]


@pytest_asyncio.fixture(loop_scope="module")
async def standing(tmp_path: Path) -> AsyncIterator[Standing]:
    """One call in over each of two partners, with audio both ways."""
    async with house(("killed",), tmp_path) as built:
        network = built.regions["killed"].network
        metronome = Metronome(network.poll)
        beat = asyncio.create_task(metronome.run())
        calls = {}
        for number, role in enumerate((PRIMARY, BACKUP)):
            metronome.talks.append(Talk(number, network.host))
            calls[role] = network.place(f"+525510{number:06}", (role,), time.monotonic(), metronome.talks[-1])
        there = Standing(built, calls)
        await eventually(lambda: all(there.flow()), "audio both ways")
        yield there
        beat.cancel()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_trunk_is_taken_away_and_comes_back_while_its_call_stands(standing: Standing) -> None:
    built, network = standing.built, standing.built.regions["killed"].network
    settings = built.config.read_text()
    before, _, backup = settings.rpartition("\n[[trunks]]")
    assert trunk_name("killed", BACKUP) in backup
    built.config.write_text(before)
    answer = await built.web.post("/v1/reload")
    assert (answer.status_code, answer.json()["removed"]) == (200, ["trunk killed-backup"])
    elsewhere = network.place("+5255100000077", (BACKUP, PRIMARY), time.monotonic())
    await eventually(lambda: elsewhere.via == PRIMARY, "the call by the other way")
    built.config.write_text(settings)
    assert (await built.web.post("/v1/reload")).json()["added"] == ["trunk killed-backup"]
    await eventually(lambda: all(standing.flow()), "audio both ways")
    async with asyncio.timeout(20):
        while True:
            again = network.place("+5255100000078", (BACKUP,), time.monotonic())
            await asyncio.sleep(1)
            if again.via == BACKUP:
                break
    assert all(standing.flow())
    assert not any(call.has_ended_early for call in standing.calls.values())
    assert (await built.web.get("/healthz")).status_code == 200
