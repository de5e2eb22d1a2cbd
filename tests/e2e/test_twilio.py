"""Whole calls with an agent behind Twilio Media Streams: what is heard, and when the agent is told that it was."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.simulators.audio import Utterance
from bridge.simulators.calls import SimulatedCall
from bridge.simulators.failures import Failures
from bridge.simulators.mouth import CHUNK_MS
from bridge.simulators.part import Part
from tests.helpers.ears import Note, melody
from tests.helpers.phone import Phone, phone
from tests.helpers.rig import Rig, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENT = "17"
LADDER_HZ = (400, 600, 800, 1000)


def utterance(*tones: tuple[int, int]) -> Utterance:
    return Utterance(melody(*tones), 8000, "some words of the agent")


def last_call(bridge: Rig) -> SimulatedCall:
    return list(bridge.twilio.calls)[-1]


def told(call: SimulatedCall, event: str) -> list[Any]:
    """What the agent was told in writing."""
    messages = [json.loads(text) for text in call.received_texts]
    return [message[event] for message in messages if message["event"] == event]


def marks(call: SimulatedCall) -> list[str]:
    return [mark["name"] for mark in told(call, "mark")]


def assert_one_note(heard: list[Note], hz: int, ms: int) -> None:
    assert [note.hz for note in heard] == [hz], heard
    assert abs(heard[0].ms - ms) <= 30, heard


@dataclass
class Watch:
    """Looks at the agent's marks and the telephone's ear, as often as the loop can."""

    caller: Phone
    call: SimulatedCall
    seen: list[tuple[str, int]] = field(default_factory=list)
    "Each mark, and how many frames with sound had been heard when it was there."

    def look(self) -> bool:
        names = marks(self.call)
        if len(names) > len(self.seen):
            loud = sum(not packet.is_silent for packet in self.caller.ear.heard)
            self.seen += [(name, loud) for name in names[len(self.seen) :]]
        return bool(self.seen)


@pytest.mark.parametrize("formats", ["0 101", "8 101"], ids=["pcmu", "pcma"])
async def test_own_tones_come_back_and_the_agent_has_nothing_to_complain_of(bridge: Rig, formats: str) -> None:
    async with phone(bridge.udp, formats=formats) as caller:
        await caller.call(AGENT)
        caller.say(melody(*((hz, 200) for hz in LADDER_HZ)))
        await eventually(lambda: len(caller.ear.notes(*LADDER_HZ)) >= len(LADDER_HZ), "last tone")
        await asyncio.sleep(0.3)
        await caller.hang_up()
        assert [note.hz for note in caller.ear.notes(*LADDER_HZ) if note.hz] == list(LADDER_HZ)
        assert caller.ear.breaks() == []
        record = await bridge.record(caller.sip_call_id)
    call = last_call(bridge)
    await eventually(lambda: call.ended, "end at the agent")
    # Sequence numbers, chunks, timestamps, identifiers and the pace of the audio: the agent looks at all of them.
    assert (call.warnings, call.end_reason) == ([], "stop")
    assert call.request["customParameters"]["to_number"] == AGENT
    assert (record.reason, record.platform) == ("caller-hung-up", "own-agent")
    assert call.request["customParameters"]["bridgeCallId"] == record.call
    assert record.media
    assert record.media.far.trouble == 0


async def test_a_mark_comes_back_when_the_telephone_has_heard_what_was_before_it(bridge: Rig) -> None:
    """The agent sends a second and a half at once: it is told of each piece as it is heard, not as it was received."""
    bridge.twilio.part = Part(greeting=utterance((880, 1500)), listens=False)
    async with phone(bridge.udp) as caller:
        await caller.call(AGENT)
        watch = Watch(caller, last_call(bridge))
        await eventually(lambda: watch.look() and len(watch.seen) == math.ceil(1500 / CHUNK_MS), "last mark")
        await asyncio.sleep(0.1)
        await caller.hang_up()
        assert_one_note(caller.ear.notes(880), 880, 1500)
        record = await bridge.record(caller.sip_call_id)
    assert [name for name, _ in watch.seen] == [f"chunk {number}" for number in range(1, 9)]
    for number, (_, loud) in enumerate(watch.seen, 1):
        # Its last frame may still lie in the telephone's socket, whose turn in this loop has not come.
        frames = math.ceil(min(number * CHUNK_MS, 1500) / 20)
        assert loud >= frames - 1, watch.seen
    assert watch.seen[0][1] < 40, "the first one did not wait for the others"
    assert last_call(bridge).warnings == []
    assert record.media
    assert record.media.far.marks == 8


async def test_a_clear_silences_the_agent_and_brings_back_what_it_had_marked(bridge: Rig) -> None:
    bridge.twilio.part = Part(greeting=utterance((880, 6000)), replies=(utterance((1320, 300)),), thinking_ms=100)
    async with phone(bridge.udp) as caller:
        await caller.call(AGENT)
        await eventually(lambda: caller.ear.notes(880), "agent")
        caller.say(melody((440, 400)))
        await eventually(lambda: 1320 in [note.hz for note in caller.ear.notes(880, 1320)], "answer")
        call = last_call(bridge)
        await eventually(lambda: len(marks(call)) == 34, "last mark")  # 32 pieces of the greeting, 2 of the answer
        await caller.hang_up()
        greeting, pause, answer = caller.ear.notes(880, 1320)
        record = await bridge.record(caller.sip_call_id)
        (flush,) = [one for one in record.moments if one.kind == "flush"]
        after = [packet.is_silent for packet in caller.ear.heard if packet.at > flush.at_s][2:10]
    assert (greeting.hz, pause.hz, answer.hz) == (880, 0, 1320)
    assert greeting.ms < 3000
    assert all(after), "silent with the next packet or the one after it"
    assert marks(call) == [f"chunk {number}" for number in range(1, 35)]
    assert call.warnings == []
    assert record.media
    assert record.media.far.flushed_ms > 3000
    assert record.media.far.marks == 34


async def test_keys_reach_the_agent_once_each(bridge: Rig) -> None:
    bridge.twilio.part = Part(replies=(utterance((1320, 200)),), after="repeat", thinking_ms=0)
    async with phone(bridge.udp) as caller:
        await caller.call(AGENT)
        for digit in "4*A":
            caller.ear.press(digit)
        await eventually(lambda: len(told(last_call(bridge), "dtmf")) == 2, "keys")
        await eventually(lambda: caller.ear.notes(1320), "answer to a key")
        await caller.hang_up()
        await bridge.record(caller.sip_call_id)
    assert told(last_call(bridge), "dtmf") == [{"track": "inbound_track", "digit": digit} for digit in "4*"]
    assert last_call(bridge).warnings == []


async def test_the_agent_hangs_up_after_its_last_words_were_heard(bridge: Rig) -> None:
    bridge.twilio.part = Part(greeting=utterance((660, 500)), after="hang-up", listens=False)
    async with phone(bridge.udp) as caller:
        await caller.call(AGENT)
        await caller.hears_bye()
        assert_one_note(caller.ear.notes(660), 660, 500)
        record = await bridge.record(caller.sip_call_id)
    call = last_call(bridge)
    assert (call.end_reason, marks(call)) == ("agent hung up", ["chunk 1", "chunk 2", "chunk 3"])
    assert (record.reason, record.blame) == ("platform-hung-up", "success")


@pytest.mark.parametrize(
    "failures",
    [Failures(socket="refuse"), Failures(socket="refuse", upgrade_status=503), Failures(socket="close")],
    ids=["403", "503", "closes at once"],
)
async def test_an_agent_that_does_not_take_the_call(bridge: Rig, failures: Failures) -> None:
    bridge.twilio.failures = failures
    async with phone(bridge.udp) as caller:
        answer = await caller.refused(AGENT)
        record = await bridge.record(caller.sip_call_id)
    assert (answer.status, record.reason) == (503, "platform-down")


async def test_an_agent_that_is_lost_in_mid_call(bridge: Rig) -> None:
    bridge.twilio.failures = Failures(socket="drop", after_ms=400)
    async with phone(bridge.udp) as caller:
        await caller.call(AGENT)
        await caller.hears_bye()
        record = await bridge.record(caller.sip_call_id)
    assert (record.blame, record.reason) == ("upstream_error", "platform-lost")


async def test_nonsense_from_the_agent_costs_nothing(bridge: Rig) -> None:
    bridge.twilio.failures = Failures(socket="text", after_ms=100)
    async with phone(bridge.udp) as caller:
        await caller.call(AGENT)
        await asyncio.sleep(0.5)
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
    assert record.reason == "caller-hung-up"
    assert record.media
    assert record.media.far.trouble > 5
