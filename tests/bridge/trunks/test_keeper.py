"""The keeper with a line and a directory of the test's own: what it sends, tells, chooses and counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from bridge.calls.trunks import TrunkOutcome, Wanted
from bridge.calls.words import LineLost
from bridge.config import CallerIdSection, TrunkSection
from bridge.errors import Blame, End
from bridge.records import CallRecord, Cost, TrunkEvent
from bridge.trunks.keeper import Changes, TrunkKeeper
from bridge.trunks.lookup import Answer, Found, Told
from media import wire
from sip import messages as sip
from sip.options import Target
from tests.fakes import STARTED_AT, FakeLine
from tests.helpers.workerbench import until

A, B = Target("192.0.2.1", 5060), Target("192.0.2.2", 5060)
STARTED = sip.Started(udp_port=5060, tcp_port=5060)
ONE = TrunkSection(name="one", host=A.address, sources=("192.0.2.1",), countries=("MX",), price_per_minute="0.008")
TWO = TrunkSection(name="two", host=B.address, countries=("MX",), role="backup")
MX = Wanted(number="+525512345678", country="MX")


class Rig:
    def __init__(self, *trunks: TrunkSection, told: Told | None = None) -> None:
        self.now = 100.0
        self.line, self.directory = FakeLine(), told or Told()
        self.events: list[TrunkEvent] = []
        self.keeper = TrunkKeeper(
            trunks, self.line, self.directory, self.events.append, clock=lambda: self.now, roll=lambda: 0.5
        )

    def up(self) -> Rig:
        self.keeper.start()
        self.keeper.on_sip(STARTED)
        return self

    def sent(self, kind: type[sip.Command]) -> list[Any]:
        """And forgotten."""
        found = [one for one in self.line.sent if isinstance(one, kind)]
        self.line.sent = [one for one in self.line.sent if not isinstance(one, kind)]
        return found

    def answer_probes(self, *dead: Target) -> None:
        for probe in self.sent(sip.Probe):
            lives = probe.target not in dead
            self.keeper.on_sip(
                sip.Probed(
                    trunk=probe.trunk,
                    target=probe.target,
                    number=probe.number,
                    status=200 if lives else 408,
                    took_ms=9.0,
                    answered=lives,
                )
            )

    def pass_time(self, seconds: float, *dead: Target) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.keeper.choices(MX)  # any question: what is due is done first
            self.answer_probes(*dead)

    def ways(self, wanted: Wanted = MX) -> list[str]:
        return [way.trunk for way in self.keeper.choices(wanted).ways]

    def kinds(self) -> list[tuple[str, str]]:
        return [(event.trunk, event.kind) for event in self.events]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(ONE, TWO).up()
    yield rig
    await rig.keeper.stop()


def record(call: str, trunk: str, *, received: int, duration_s: float = 10.0) -> CallRecord:
    near = wire.NearReport(received=received)
    media = wire.CallReport(duration_s=duration_s, near=near)
    return CallRecord(
        call=call, direction="inbound", started_at=STARTED_AT, trunk=trunk, duration_s=duration_s, media=media
    )


class TestTheLine:
    async def test_targets_and_probes_go_out_as_soon_as_it_is_up(self) -> None:
        rig = Rig(ONE, TWO)
        rig.keeper.start()
        assert rig.line.sent == []
        rig.keeper.on_sip(STARTED)
        assert [(one.trunk, one.targets) for one in rig.sent(sip.SetTargets)] == [("one", (A,)), ("two", (B,))]
        assert [(one.trunk, one.target) for one in rig.sent(sip.Probe)] == [("one", A), ("two", B)]
        await rig.keeper.stop()

    async def test_many_are_probed_one_after_the_other_and_may_be_called_at_once(self) -> None:
        many = [msgspec.structs.replace(ONE, name=f"t{place}", host=f"192.0.2.{place}") for place in range(1, 101)]
        rig = Rig(*many).up()
        assert rig.sent(sip.Probe) == []
        assert len(rig.ways()) == 16
        rig.now += 0.5  # the dice show a half, and a hundred take a second
        rig.keeper.choices(MX)
        assert len(rig.sent(sip.Probe)) == 100
        await rig.keeper.stop()

    async def test_a_new_one_is_told_all_again(self, rig: Rig) -> None:
        rig.line.sent.clear()
        rig.keeper.on_sip(LineLost("killed"))
        rig.now += 10.0
        rig.keeper.choices(MX)
        assert rig.line.sent == []
        rig.keeper.on_sip(STARTED)
        assert len(rig.sent(sip.SetTargets)) == len(rig.sent(sip.Probe)) == 2
        assert rig.ways() == ["one", "two"]

    async def test_accounts_know_where_partners_are(self) -> None:
        named = TrunkSection(name="named", host="p.example")
        rig = Rig(ONE, named)
        assert [(one.name, one.targets) for one in rig.keeper.accounts({})] == [("one", (A,)), ("named", ())]
        assert len(rig.keeper) == 2

    async def test_timers_do_what_is_due_without_any_event(self) -> None:
        """On the real clock."""
        line = FakeLine()
        keeper = TrunkKeeper([msgspec.structs.replace(ONE, probe_every_s=0.05)], line, Told())
        keeper.start()
        keeper.on_sip(STARTED)
        [first] = [one for one in line.sent if isinstance(one, sip.Probe)]
        answer = sip.Probed(trunk="one", target=A, number=first.number, status=200, took_ms=1.0, answered=True)
        keeper.on_sip(answer)
        await until(lambda: len([one for one in line.sent if isinstance(one, sip.Probe)]) == 2)
        await keeper.stop()
        await keeper.stop()


class TestChoices:
    async def test_the_primary_and_then_the_backup_each_with_its_because(self, rig: Rig) -> None:
        rig.answer_probes()
        first, second = rig.keeper.choices(MX).ways
        assert (first.uri, first.trunk, first.target) == ("sip:+525512345678@192.0.2.1", "one", A)
        assert first.because == ("country MX", "primary", "healthy", "0.008 USD/min", "0 calls")
        assert (second.trunk, second.because[1]) == ("two", "backup")

    async def test_the_backup_alone_within_four_seconds_of_the_primarys_death(self, rig: Rig) -> None:
        rig.pass_time(4.0)
        rig.pass_time(4.0, A)
        choices = rig.keeper.choices(MX)
        assert [way.trunk for way in choices.ways] == ["two"]
        assert choices.left_out == ("one: 192.0.2.1:5060;transport=udp: does not answer OPTIONS",)
        assert rig.kinds() == [("one", "target-down"), ("one", "down")]
        assert rig.keeper.troubles() == ["trunk one is down: 192.0.2.1:5060;transport=udp: does not answer OPTIONS"]

    async def test_back_to_the_primary_when_it_has_been_well_for_a_while(self, rig: Rig) -> None:
        rig.pass_time(4.0, A)
        assert rig.ways() == ["two"]
        rig.pass_time(10.0)
        assert rig.ways() == ["one", "two"]
        rig.pass_time(12.0)
        assert [kind for _, kind in rig.kinds()] == ["target-down", "down", "target-up", "half-open", "up"]

    async def test_on_trial_one_call_at_a_time(self, rig: Rig) -> None:
        rig.pass_time(4.0, A)
        rig.pass_time(10.0)
        assert rig.keeper.take("one") == ""
        assert rig.keeper.take("one") == "a trial call is under way"
        assert rig.ways() == ["two"]
        rig.keeper.on_outcome(TrunkOutcome(trunk="one", outcome="answered", sip_status=200, post_dial_delay_ms=90))
        assert rig.ways() == ["one", "two"]

    async def test_refusals_open_it_and_last_resorts_are_still_offered(self, rig: Rig) -> None:
        rig.answer_probes()
        for trunk in ("one", "two"):
            for _ in range(3):
                outcome = TrunkOutcome(
                    trunk=trunk, outcome="failed", sip_status=503, counts_against_trunk=True, detail="503 Overloaded"
                )
                rig.keeper.on_outcome(outcome)
        choices = rig.keeper.choices(MX)
        assert [way.trunk for way in choices.ways] == ["one", "two"]
        assert choices.ways[0].because[2].startswith("last resort, no other trunk is left: 3 calls in a row failed")

    async def test_nobody_carries_it(self, rig: Rig) -> None:
        choices = rig.keeper.choices(Wanted(number="+4930901820", country="DE"))
        assert (choices.ways, choices.is_carried, choices.is_full) == ((), False, False)
        assert choices.left_out == ("one: carries MX, not +493... (DE)", "two: carries MX, not +493... (DE)")
        assert rig.keeper.choices(Wanted(number="sip:x@y", trunk="gone")).left_out[0] == (
            "gone: there is no trunk of this name"
        )

    async def test_full_is_another_thing_than_dead(self) -> None:
        rig = Rig(msgspec.structs.replace(ONE, max_calls=1)).up()
        assert rig.keeper.take("one") == ""
        choices = rig.keeper.choices(MX)
        assert (choices.ways, choices.is_carried, choices.is_full, choices.retry_after_s) == ((), True, True, 5)
        assert rig.keeper.take("one") == "1 of 1 calls"
        assert rig.keeper.states()[0].refused == 2
        rig.keeper.release("one")
        assert rig.ways() == ["one"]
        await rig.keeper.stop()

    async def test_a_trunk_that_is_gone_or_none_at_all(self, rig: Rig) -> None:
        assert rig.keeper.take("") == ""
        assert rig.keeper.take("gone") == "there is no trunk of this name any more"
        rig.keeper.release("gone")
        assert (rig.keeper.cost("gone", 10.0), rig.keeper.cost("two", 10.0)) == (None, None)

    async def test_costs(self, rig: Rig) -> None:
        expected = Cost(currency="USD", per_minute="0.008", billing="60/60", billed_s=120, amount="0.016000")
        assert rig.keeper.cost("one", 61.0) == expected


class TestLookUps:
    async def test_a_name_is_looked_up_and_the_stack_told(self) -> None:
        named = TrunkSection(name="named", host="p.example")
        told = Told({"p.example": Answer((Found(A),), 60.0)})
        rig = Rig(named, told=told).up()
        assert rig.ways() == []
        await until(rig.ways)
        assert [one.targets for one in rig.sent(sip.SetTargets)] == [(A,)]
        told.answers["p.example"] = Answer((Found(B),), 60.0)
        rig.now += 61.0
        rig.keeper.choices(MX)
        await until(lambda: rig.sent(sip.SetTargets))
        assert rig.keeper.states()[0].targets[0].address == B.address
        assert rig.kinds() == [("named", "target-changed")]
        del told.answers["p.example"]
        rig.now += 61.0
        rig.keeper.choices(MX)
        await until(lambda: rig.keeper.states()[0].look_up_error)
        assert rig.ways() == ["named"]
        assert rig.kinds()[-1] == ("named", "lookup-failed")
        await rig.keeper.stop()


class TestRegistration:
    async def test_told_shown_and_chosen_by(self) -> None:
        section = TrunkSection(
            name="reg",
            kind="register",
            registrar="sip:192.0.2.1;transport=tcp",
            username="acc",
            domain="p.example",
            caller_id=CallerIdSection(number="+525500000000", header="p-asserted-identity"),
            dial_format="digits",
        )
        rig = Rig(section).up()
        at = Target("192.0.2.1", 5060, "tcp")
        assert (rig.ways(), rig.keeper.can_be_called) == ([], False)
        registered = sip.Registration(
            trunk="reg", state="registered", status=200, reason="OK", expires_s=300, target=at
        )
        rig.keeper.on_sip(registered)
        [way] = rig.keeper.choices(MX).ways
        assert (way.uri, way.from_user, way.target) == ("sip:525512345678@p.example", "acc", at)
        assert way.headers == (("P-Asserted-Identity", "<sip:+525500000000@p.example>"),)
        assert rig.keeper.can_be_called
        refused = msgspec.structs.replace(registered, state="refused", status=403, reason="Forbidden")
        rig.keeper.on_sip(refused)
        choices = rig.keeper.choices(MX)
        assert (choices.ways, choices.left_out) == ((), ("reg: registration refused: 403 Forbidden",))
        assert rig.kinds() == [("reg", "registered"), ("reg", "up"), ("reg", "refused"), ("reg", "down")]
        [state] = rig.keeper.states()
        assert (state.state, state.registration, state.because) == (
            *("down", "refused", "registration refused: 403 Forbidden"),
        )
        await rig.keeper.stop()

    async def test_a_registrar_that_lives_again_is_asked_again(self) -> None:
        rig = Rig(TrunkSection(name="reg", kind="register", registrar="sip:192.0.2.1", username="acc")).up()
        rig.pass_time(4.0, A)
        assert rig.sent(sip.Renew) == []
        rig.pass_time(4.0)
        assert rig.sent(sip.Renew) == [sip.Renew(trunk="reg", target=A)]
        await rig.keeper.stop()


class TestCallsThatComeIn:
    async def test_room_is_taken_and_given_back(self) -> None:
        rig = Rig(msgspec.structs.replace(ONE, max_calls=1), TWO).up()
        assert rig.keeper.admit("c1", "one") is None
        full = End(Blame.CLIENT, "trunk-full", 486, "trunk one: 1 of 1 calls", 5)
        assert rig.keeper.admit("c2", "one") == full
        assert rig.keeper.admit("c3", "two") is None
        assert rig.keeper.admit("c4", "unknown") is None
        rig.keeper.on_record(record("c2", "one", received=0, duration_s=0.0))
        assert rig.keeper.admit("c5", "one") == full
        rig.keeper.on_sip(sip.Ended(call="c1", status=200, reason="OK", by="remote"))
        assert rig.keeper.admit("c5", "one") is None
        rig.keeper.on_record(record("c1", "one", received=500))
        assert rig.keeper.admit("c6", "one") == full  # c1 has given its room back once
        rig.keeper.on_record(record("c5", "one", received=0, duration_s=0.0))
        assert rig.keeper.admit("c6", "one") is None
        await rig.keeper.stop()

    async def test_too_many_in_a_second_is_a_503(self) -> None:
        rig = Rig(msgspec.structs.replace(ONE, calls_per_s=2.0)).up()
        ends = [rig.keeper.admit(f"c{number}", "one") for number in range(3)]
        assert ends == [None, None, End(Blame.CLIENT, "trunk-full", 503, "trunk one: 2 calls per second", 1)]
        assert rig.keeper.take("one") == ""  # what comes in does not starve what goes out
        await rig.keeper.stop()

    async def test_what_the_gate_has_refused_counts_and_is_kept_over_a_reload(self, rig: Rig) -> None:
        for count in (3, 4):
            rig.keeper.on_sip(sip.AboveRate(trunk="one", count=count))
        rig.keeper.on_sip(sip.AboveRate(trunk="gone", count=1))
        rig.keeper.reload([msgspec.structs.replace(ONE, order=1), TWO])
        assert [state.refused for state in rig.keeper.states()] == [7, 0]

    async def test_deaf_calls_count_against_the_trunk_and_short_ones_do_not(self, rig: Rig) -> None:
        rig.answer_probes()
        for number in range(5):
            rig.keeper.on_record(record(f"s{number}", "one", received=0, duration_s=2.0))
        assert rig.ways() == ["one", "two"]
        for number in range(3):
            rig.keeper.on_record(record(f"d{number}", "one", received=0))
        assert rig.ways() == ["two"]
        assert rig.events[-1].detail == "no audio from it in 3 answered calls in a row"


class TestReload:
    async def test_added_changed_removed_and_what_stands_stays(self, rig: Rig) -> None:
        rig.answer_probes()
        assert rig.keeper.take("one") == ""
        assert rig.keeper.admit("c1", "two") is None
        three = TrunkSection(name="three", host="192.0.2.3")
        changes = rig.keeper.reload([msgspec.structs.replace(ONE, price_per_minute="0.02"), three])
        assert changes == Changes(added=("three",), changed=("one",), removed=("two",))
        assert [(one.name, one.calls) for one in rig.keeper.states()] == [("one", 1), ("three", 0)]
        cost = rig.keeper.cost("one", 60.0)
        assert cost is not None
        assert cost.per_minute == "0.02"
        rig.keeper.on_record(record("c1", "two", received=9))
        assert rig.kinds()[-3:] == [("three", "added"), ("one", "reloaded"), ("two", "removed")]
        back = rig.keeper.reload([ONE, TWO])
        assert (back.added, back.removed) == (("two",), ("three",))
        assert [(one.name, one.calls) for one in rig.keeper.states()] == [("one", 1), ("two", 0)]

    async def test_the_same_again_changes_nothing(self, rig: Rig) -> None:
        assert rig.keeper.reload([ONE, TWO]) == Changes()
        assert rig.events == []

    async def test_what_the_stack_says_to_its_new_list(self, rig: Rig) -> None:
        def answer() -> None:
            asyncio.get_running_loop().call_soon(rig.keeper.on_sip, sip.TrunksSet(problems=("one: bad",)))

        assert await rig.keeper.trunks_set(answer) == ("one: bad",)

    async def test_a_trunk_that_the_stack_has_not_is_down_and_not_chosen(self, rig: Rig) -> None:
        rig.sent(sip.Probe)
        told = sip.TrunksSet(problems=("trunk one: bad proxy",), missing={"one": "bad proxy"})
        rig.keeper.on_sip(told)
        rig.keeper.on_sip(told)
        state = rig.keeper.states()[0]
        assert (state.state, state.because) == ("down", "not in the stack: bad proxy")
        assert rig.keeper.troubles() == ["trunk one is down: not in the stack: bad proxy"]
        choices = rig.keeper.choices(MX)
        assert [way.trunk for way in choices.ways] == ["two"]
        assert choices.left_out == ("one: not in the stack: bad proxy",)
        rig.pass_time(10.0)
        rig.keeper.reload([ONE])
        assert rig.keeper.choices(MX).ways == ()  # no last resort: there is nothing to try
        assert not rig.keeper.can_be_called
        rig.sent(sip.SetTargets)
        rig.keeper.on_sip(sip.TrunksSet())
        assert rig.ways() == ["one"]
        assert [one.trunk for one in rig.sent(sip.SetTargets)] == ["one"]
        assert rig.kinds() == [("one", "problem"), ("two", "removed"), ("one", "problem-over")]

    async def test_a_stack_that_does_not_answer(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bridge.trunks.keeper.TRUNKS_SET_S", 0.01)
        [problem] = await rig.keeper.trunks_set(lambda: None)
        assert "has not answered" in problem
