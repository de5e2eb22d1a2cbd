"""Processes that die, hang or are told to go while calls are up: who hears what, and who does not notice."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bridge.simulators.failures import Failures
from tests.helpers import proc
from tests.helpers.ears import melody
from tests.helpers.phone import Phone, phone
from tests.helpers.rig import Rig, eventually, free_ports, rig

LADDER_HZ = tuple(range(400, 2000, 200))


def say_ladder(caller: Phone) -> None:
    caller.say(melody(*((hz, 200) for hz in LADDER_HZ)))


async def hears_ladder(caller: Phone) -> None:
    """Every tone comes back, once, in order, and whole; the stream has no jump."""
    await eventually(lambda: len(caller.ear.notes(*LADDER_HZ)) >= len(LADDER_HZ), "last tone")
    await asyncio.sleep(0.25)
    heard = caller.ear.notes(*LADDER_HZ)
    assert [note.hz for note in heard] == list(LADDER_HZ), heard
    assert all(abs(note.ms - 200) <= 30 for note in heard), heard
    assert caller.ear.breaks() == []


async def a_call_works(bridge: Rig) -> None:
    """Answered, and the own tone comes back."""
    async with phone(bridge.udp) as caller:
        await caller.call("2")
        caller.say(melody((800, 200)))
        await eventually(lambda: caller.ear.notes(800), "own tone")
        await caller.hang_up()
        assert (await bridge.record(caller.sip_call_id)).reason == "caller-hung-up"


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
async def test_worker_dies(tmp_path: Path, blow: signal.Signals) -> None:
    """Its call gets a BYE and a record with the reason; the call of the other worker does not miss a packet."""
    async with rig(tmp_path, workers=2) as bridge, phone(bridge.udp) as unlucky, phone(bridge.udp) as lucky:
        await unlucky.call("1")
        await lucky.call("1")
        assert unlucky.ear.target
        assert lucky.ear.target
        victim = bridge.worker_of(unlucky.ear.target[1])
        assert victim != bridge.worker_of(lucky.ear.target[1])
        say_ladder(lucky)
        os.kill(victim, blow)
        await unlucky.hears_bye()
        record = await bridge.record(unlucky.sip_call_id)
        assert (record.reason, record.blame, record.sip_status) == ("worker-lost", "server_error", 0)
        assert "killed by SIGKILL" in record.detail or "silent for" in record.detail
        await hears_ladder(lucky)
        await lucky.hang_up()
        await eventually(lambda: len(bridge.children("media.worker")) == 2, "new worker")
        assert not proc.is_alive(victim)
        await a_call_works(bridge)
        await bridge.settled()


async def test_all_workers_are_dead(tmp_path: Path) -> None:
    """A caller who comes just then is sent away politely, the next one is served."""
    async with rig(tmp_path) as bridge, phone(bridge.udp) as caller:
        os.kill(bridge.children("media.worker")[0], signal.SIGKILL)
        await eventually(lambda: [text for text in bridge.log() if "media0 lost" in text], "loss in the log")
        answer = await caller.refused("1")
        assert (answer.status, answer["Retry-After"]) == (503, "5")
        assert (await bridge.record(caller.sip_call_id)).reason == "no-media"
        await eventually(lambda: len([text for text in bridge.log() if "media0 is ready" in text]) == 2, "new worker")
        await a_call_works(bridge)


async def test_sip_process_dies(tmp_path: Path) -> None:
    """The audio of a call that stands goes on; a call that rings is over; new calls work at the same address."""
    port, _ = free_ports(2)
    async with rig(tmp_path, sip_port=port, quiet_after_ms=1500) as bridge:
        bridge.expected_errors.append("sip process lost")
        bridge.vapi.failures = Failures(rest="never")
        async with (
            phone(bridge.udp) as talker,
            phone(bridge.udp) as waiter,
            phone(bridge.tcp, transport="tcp") as other,
        ):
            await talker.call("1")
            await other.call("1")
            waiter.dial("2")
            await waiter.dialog.response("INVITE", final=False)
            [victim] = bridge.children("sip.process")
            say_ladder(talker)
            os.kill(victim, signal.SIGKILL)
            ringing = await bridge.record(waiter.sip_call_id)
            assert (ringing.reason, ringing.blame) == ("sip-process-lost", "server_error")
            await hears_ladder(talker)
            await eventually(lambda: [pid for pid in bridge.children("sip.process") if pid != victim], "new process")
            bridge.well()
            await eventually(lambda: len([text for text in bridge.log() if "sip is ready" in text]) == 2, "new line")
            await a_call_works(bridge)
            assert bridge.records_of(talker.sip_call_id) == []
            await talker.ear.hush()
            await other.ear.hush()
            for caller in (talker, other):
                record = await bridge.record(caller.sip_call_id)
                assert (record.reason, record.blame) == ("sip-process-lost", "server_error")
        await bridge.settled()


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_bridge_is_told_to_stop(tmp_path: Path, word: signal.Signals) -> None:
    """Calls that stand get a BYE, one that rings a 503, each has its record, and the exit status is 0."""
    async with rig(tmp_path) as bridge:
        bridge.vapi.failures = Failures(rest="never")
        async with phone(bridge.udp) as one, phone(bridge.udp) as two, phone(bridge.udp) as waiter:
            await one.call("1")
            await two.call("1")
            waiter.dial("2")
            await waiter.dialog.response("INVITE", final=False)
            bridge.process.send_signal(word)
            await one.hears_bye()
            await two.hears_bye()
            answer = await waiter.dialog.response("INVITE")
            waiter.dialog.ack(rejected=True)
            assert answer.status == 503
            assert await bridge.stop() == 0
        ends = {record.sip_call_id: (record.reason, record.sip_status) for record in bridge.records()}
    assert ends == {
        one.sip_call_id: ("shutdown", 0),
        two.sip_call_id: ("shutdown", 0),
        waiter.sip_call_id: ("shutdown", 503),
    }


async def test_bridge_is_killed(tmp_path: Path) -> None:
    """Its children notice that nobody is there any more and go: no port stays taken, no platform's call stays up."""
    async with rig(tmp_path) as bridge, phone(bridge.udp) as caller:
        await caller.call("1")
        children = [*bridge.children("sip.process"), *bridge.children("media.worker")]
        assert len(children) == 2
        bridge.expected_status = -signal.SIGKILL
        bridge.process.kill()
        await bridge.process.wait()
        await eventually(lambda: not [pid for pid in children if proc.is_alive(pid)], "end of the children")
        await eventually(lambda: not bridge.live_calls(), "end of the platform's call")
