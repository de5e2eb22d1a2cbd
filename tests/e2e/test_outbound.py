"""Calls out, asked for over HTTP: a real bridge, scripted partners on addresses of their own, simulated platforms."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from bridge.simulators.failures import Failures
from bridge.simulators.part import Part
from tests.helpers import ears
from tests.helpers.ears import melody
from tests.helpers.partner import let_go, refuses, rings, says_nothing, trying
from tests.helpers.region import NUMBER, Exchange, Region, exchange_in, story, utterance
from tests.helpers.rig import eventually
from tests.helpers.sippeer import sdp

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    async with exchange_in(tmp_path_factory.mktemp("outbound")) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def region(exchange: Exchange) -> AsyncIterator[Region]:
    exchange.house.well()
    built = exchange.region()
    yield built
    for ear in built.ears:
        await ear.close()
    await exchange.house.settled()


class TestAnswered:
    async def test_both_hear_each_other_from_the_first_word(self, region: Region) -> None:
        greeting = [(1320, 200), (880, 300)]
        region.house.ultravox.part = Part(
            greeting=utterance(*greeting), replies=(utterance((660, 300)),), thinking_ms=50
        )
        ear = region.ear("8 101")
        call = await region.call(context={"name": "Ana"})
        dialog, invite = await region.primary.called()
        assert invite.uri.startswith(f"sip:{NUMBER}@")
        assert "+525500000000" in invite["From"]
        assert "RTP/AVP 0 8 101" in invite.body
        await asyncio.sleep(0.3)
        assert region.house.live_calls() == []  # no agent waits for somebody who may never answer
        dialog.respond(invite, 200, sdp=ear.offer())
        await dialog.request("ACK")
        ear.connect(invite.body)
        ear.payload_type = ears.PCMA
        await eventually(lambda: len(ear.notes(1320, 880)) >= 2, "greeting")
        await asyncio.sleep(0.3)
        ear.say(melody((440, 400)))
        await eventually(lambda: 660 in [note.hz for note in ear.notes(1320, 880, 660)], "answer")
        await dialog.hang_up()
        record = await region.record(call)
        notes = [note.hz for note in ear.notes(1320, 880, 660) if note.hz]
        assert notes == [1320, 880, 660]
        assert (record.outcome, record.reason, record.platform, record.codec) == (
            *("answered", "callee-hung-up", "ultravox"),
            "PCMA",
        )
        assert (record.trunk, record.region, record.country) == (f"{region.name}-1", region.name, "MX")
        assert record.sip_call_id == invite["Call-ID"]
        assert record.cost is not None
        assert (record.cost.billed_s, record.cost.amount) == (60, "0.008000")
        assert story(record) == [("1", "answered", 200)]
        assert "country MX" in record.trunk_attempts[0].because

    async def test_it_may_last_so_long_and_no_longer(self, region: Region) -> None:
        call = await region.call(max_duration_s=1)
        dialog, invite = await region.primary.called()
        dialog.respond(invite, 200, sdp=sdp(port=40020))
        await dialog.request("ACK")
        dialog.respond(await dialog.request("BYE"), 200)
        record = await region.record(call)
        assert (record.outcome, record.reason) == ("answered", "time-up")
        assert record.duration_s >= 0.9

    async def test_no_platform_no_talk(self, region: Region) -> None:
        region.house.ultravox.failures = region.house.vapi.failures = Failures(rest="status", status=500)
        call = await region.call()
        dialog, invite = await region.primary.called()
        dialog.respond(invite, 200, sdp=sdp(port=40020))
        await dialog.request("ACK")
        dialog.respond(await dialog.request("BYE"), 200)
        record = await region.record(call)
        assert (record.outcome, record.blame, record.reason) == ("answered", "upstream_error", "platform-down")
        assert [one.platform for one in record.attempts] == ["ultravox", "vapi-mulaw"]

    async def test_the_next_platform_takes_over_before_anybody_was_heard(self, region: Region) -> None:
        """The first one is ready, says nothing, and is gone: the callee hears the second one's greeting."""
        region.house.ultravox.part = Part()
        region.house.ultravox.failures = Failures(socket="drop", after_ms=300)
        region.house.vapi.part = Part(greeting=utterance((880, 400)))
        ear = region.ear()
        call = await region.call()
        dialog, invite = await region.primary.called()
        dialog.respond(invite, 200, sdp=ear.offer())
        await dialog.request("ACK")
        ear.connect(invite.body)
        await eventually(lambda: ear.notes(880), "greeting of the second")
        await dialog.hang_up()
        record = await region.record(call)
        outcomes = [(one.platform, one.outcome) for one in record.attempts]
        assert outcomes == [("ultravox", "ready"), ("ultravox", "platform-lost"), ("vapi-mulaw", "ready")]
        assert (record.platform, record.reason) == ("vapi-mulaw", "callee-hung-up")


class TestTrunks:
    @pytest.mark.parametrize("status", [503, 500, 403, 404])
    async def test_a_refusal_leads_to_the_backup(self, region: Region, status: int) -> None:
        region.primary.script = refuses(status)
        region.backup.script = refuses(486)
        record = await region.record(await region.call())
        noted = {503: "trunk-failed", 500: "trunk-failed", 403: "trunk-refused", 404: "not-found"}[status]
        assert story(record) == [("1", noted, status), ("2", "busy", 486)]
        assert (record.outcome, record.trunk, record.cost) == ("busy", f"{region.name}-2", None)
        assert record.sip_call_id == region.backup.invites[0]["Call-ID"] != region.primary.invites[0]["Call-ID"]

    @pytest.mark.parametrize(
        ("status", "outcome"), [(486, "busy"), (600, "busy"), (603, "declined"), (480, "no-answer")]
    )
    async def test_the_callee_has_been_reached(self, region: Region, status: int, outcome: str) -> None:
        region.primary.script = refuses(status, rings_first=True)
        record = await region.record(await region.call())
        assert (record.outcome, record.sip_status, record.cost) == (outcome, status, None)
        assert story(record) == [("1", outcome, status)]
        assert region.backup.invites == []

    async def test_silence_leads_to_the_backup(self, region: Region) -> None:
        region.primary.script = says_nothing
        region.backup.script = refuses(486)
        record = await region.record(await region.call())
        assert story(record) == [("1", "setup-timeout", 0), ("2", "busy", 486)]
        assert record.trunk_attempts[0].took_ms >= 900

    async def test_the_late_answer_of_a_silent_one_is_hung_up(self, region: Region) -> None:
        """It says 200 when the backup is ringing already: acknowledged and ended, and nobody else is disturbed."""
        region.primary.script = says_nothing
        call = await region.call()
        first, invite = await region.primary.called()
        second, again = await region.backup.called()
        first.respond(invite, 200, sdp=sdp(port=40020))
        await first.request("ACK")
        first.respond(await first.request("BYE"), 200)
        second.respond(again, 200, sdp=sdp(port=40030))
        await second.request("ACK")
        await asyncio.sleep(0.2)
        await second.hang_up()
        record = await region.record(call)
        assert (record.outcome, record.reason) == ("answered", "callee-hung-up")
        assert story(record) == [("1", "setup-timeout", 0), ("2", "answered", 200)]

    async def test_a_slow_one_is_cancelled(self, region: Region) -> None:
        """100 and nothing more: it lives, and the call goes on elsewhere."""
        region.primary.script = trying
        call = await region.call()
        first, invite = await region.primary.called()
        second, again = await region.backup.called()
        await let_go(first, invite)
        second.respond(again, 486)
        await second.request("ACK")
        record = await region.record(call)
        assert story(record) == [("1", "setup-timeout", 0), ("2", "busy", 486)]

    async def test_both_are_dead(self, region: Region) -> None:
        region.primary.is_silent = region.backup.is_silent = True
        record = await region.record(await region.call())
        assert (record.outcome, record.blame) == ("failed", "upstream_error")
        assert [one.outcome for one in record.trunk_attempts] == ["setup-timeout", "unreachable"]

    async def test_a_full_one_is_passed_over(self, region: Region) -> None:
        """Its only line is taken: what comes then goes over the backup, and after the end over it again."""
        first = await region.call()
        dialog, invite = await region.primary.called()
        second = await region.call()
        other, again = await region.backup.called()
        other.respond(again, 486)
        dialog.respond(invite, 486)
        await asyncio.gather(dialog.request("ACK"), other.request("ACK"))
        records = [await region.record(call) for call in (first, second)]
        assert [record.trunk for record in records] == [f"{region.name}-1", f"{region.name}-2"]
        third = await region.call()
        dialog, invite = await region.primary.called()
        dialog.respond(invite, 486)
        await dialog.request("ACK")
        assert (await region.record(third)).trunk == f"{region.name}-1"

    async def test_a_redirection_is_followed_over_the_same_trunk(self, region: Region) -> None:
        region.primary.script = refuses(302, headers=(("Contact", "<sip:+525587654321@elsewhere.example>"),))
        call = await region.call()
        await region.primary.called()
        region.primary.script = rings
        dialog, invite = await region.primary.called()
        assert invite.uri == "sip:+525587654321@elsewhere.example"
        dialog.respond(invite, 486)
        await dialog.request("ACK")
        record = await region.record(call)
        assert story(record) == [("1", "redirected", 302), ("1", "busy", 486)]


class TestRinging:
    async def test_nobody_answers(self, region: Region) -> None:
        call = await region.call(ring_timeout_ms=1000)
        dialog, invite = await region.primary.called()
        await let_go(dialog, invite)
        record = await region.record(call)
        assert (record.outcome, record.reason, record.detail) == ("no-answer", "no-answer", "no answer in 1 s")
        assert story(record) == [("1", "no-answer", 0)]
        assert region.backup.invites == []

    async def test_an_answer_that_crosses_our_cancel_is_hung_up(self, region: Region) -> None:
        call = await region.call(ring_timeout_ms=1000)
        dialog, invite = await region.primary.called()
        cancel = await dialog.request("CANCEL")
        dialog.respond(invite, 200, sdp=sdp(port=40020))
        dialog.respond(cancel, 200)
        await dialog.request("ACK")
        dialog.respond(await dialog.request("BYE"), 200)
        record = await region.record(call)
        assert (record.outcome, record.cost) == ("no-answer", None)

    async def test_hung_up_by_whoever_asked_for_it(self, region: Region) -> None:
        call = await region.call()
        dialog, invite = await region.primary.called()
        answer = await region.web.delete(f"/v1/calls/{call}")
        assert answer.status_code == 202
        await let_go(dialog, invite)
        record = await region.record(call)
        assert (record.outcome, record.reason) == ("cancelled", "cancelled")
        assert (await region.web.delete(f"/v1/calls/{call}")).json() == {"call": call, "state": "ended"}

    async def test_early_media_is_recorded(self, region: Region) -> None:
        """An announcement of the network's own, before anybody has answered, and then a refusal."""
        ear = region.ear()
        call = await region.call()
        dialog, invite = await region.primary.called()
        dialog.respond(invite, 183, sdp=ear.offer())
        ear.connect(invite.body)
        ear.say(melody((440, 600)))
        await eventually(lambda: ear.has_spoken, "end of the announcement")
        await asyncio.sleep(0.2)
        dialog.respond(invite, 404)
        await dialog.request("ACK")
        region.backup.script = refuses(404)
        record = await region.record(call)
        assert record.outcome == "failed"
        assert record.media is not None
        assert record.media.near.received > 20
        assert 440 in [note.hz for note in ears.notes(left_of(Path(record.media.recording)), (440,))]


class TestRequests:
    async def test_a_key_is_a_call_once(self, region: Region) -> None:
        first, again = await region.call("order-1"), await region.call("order-1")
        assert first == again
        dialog, invite = await region.primary.called()
        dialog.respond(invite, 486)
        await dialog.request("ACK")
        record = await region.record(first)
        assert await region.call("order-1") == first
        other = await region.web.post(
            "/v1/calls", json={"to": "+525500000001"}, headers={"Idempotency-Key": '"order-1"'}
        )
        assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
        assert record.request_id == "order-1"
        assert len(region.primary.invites) == 1

    async def test_a_trunk_that_is_full(self, region: Region) -> None:
        """Its one line is taken: later, and when, is said; and later it goes."""
        only = {"trunk": f"{region.name}-1"}
        call = await region.call(**only)
        dialog, invite = await region.primary.called()
        answer = await region.web.post("/v1/calls", json={"to": NUMBER, **only})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert f"{region.name}-1: full" in answer.json()["error"]
        dialog.respond(invite, 486)
        await dialog.request("ACK")
        await region.record(call)
        region.primary.script = refuses(486)
        await region.record(await region.call(**only))

    async def test_no_trunk_carries_that(self, region: Region) -> None:
        answer = await region.web.post("/v1/calls", json={"to": "123", "region": region.name})
        assert (answer.status_code, answer.json()["field"]) == (400, "to")


def left_of(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The callee's side of a recording."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)[::2]
