"""Whole calls by what is heard: which tone, when, in which order, with what gaps."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import pytest

from bridge.simulators.account import Account
from bridge.simulators.audio import Utterance
from bridge.simulators.part import Part
from media.wire import Moment
from tests.helpers.ears import Note, assert_counted, assert_unstrained, melody, strain
from tests.helpers.phone import Phone, phone
from tests.helpers.rig import Rig, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

LADDER_HZ = (400, 600, 800, 1000, 1200, 1400)
STEP_MS = 200
EDGE_MS = 30
"A change of tone inside a window of 20 ms belongs to either side, and the packet grids of both sides are not aligned."

ULTRAVOX, VAPI_MULAW, VAPI_16K = "1", "2", "3"
Platform = Literal["1", "2", "3"]


def account_of(bridge: Rig, platform: Platform) -> Account:
    return bridge.ultravox if platform == ULTRAVOX else bridge.vapi


def utterance(*tones: tuple[int, int]) -> Utterance:
    return Utterance(melody(*tones), 8000, "some words of the agent")


def assert_tones(heard: list[Note], expected: list[tuple[int, int]]) -> None:
    """These tones, each once, in this order and of this length."""
    assert [note.hz for note in heard] == [hz for hz, _ in expected], heard
    assert all(abs(note.ms - ms) <= EDGE_MS for note, (_, ms) in zip(heard, expected, strict=True)), heard


def assert_one_stream(caller: Phone) -> None:
    """RFC 3550, 5.1: one SSRC, no jump of sequence number or timestamp, and the first packet marked."""
    assert caller.ear.breaks() == []
    assert [packet.marker for packet in caller.ear.heard[:2]] == [True, False]


def moment(moments: list[Moment], kind: str) -> Moment:
    found = [one for one in moments if one.kind == kind]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("formats", ["0 101", "8 101"], ids=["pcmu", "pcma"])
@pytest.mark.parametrize("platform", [ULTRAVOX, VAPI_MULAW, VAPI_16K], ids=["ultravox", "vapi-mulaw", "vapi-16k"])
async def test_own_tones_come_back(bridge: Rig, platform: Platform, formats: str) -> None:
    """The echo has every tone once, in order: nothing cut out, nothing said twice, no gap in between."""
    async with phone(bridge.udp, formats=formats) as caller:
        await caller.call(platform)
        caller.say(melody(*((hz, STEP_MS) for hz in LADDER_HZ)))
        await eventually(lambda: len(caller.ear.notes(*LADDER_HZ)) >= len(LADDER_HZ), "last tone")
        await asyncio.sleep(2 * STEP_MS / 1000)
        await caller.ear.hush()  # otherwise more would be sent while the BYE is on its way
        await caller.hang_up()
        heard = strain(caller.ear.notes(*LADDER_HZ), [(hz, STEP_MS) for hz in LADDER_HZ], EDGE_MS)
        assert_one_stream(caller)
        assert {packet.payload_type for packet in caller.ear.heard} == {int(formats.split()[0])}
        record = await bridge.record(caller.sip_call_id)
    assert (record.reason, record.codec) == ("caller-hung-up", {"0": "PCMU", "8": "PCMA"}[formats.split()[0]])
    assert record.media
    assert_unstrained(heard, record.media, 20)
    assert (record.media.near.lost, record.media.near.malformed, record.media.far.trouble) == (0, 0, 0)
    # The end of the call may reach the worker before it has looked at the very last packet.
    assert caller.ear.sent - record.media.near.received in (0, 1)


@pytest.mark.parametrize("platform", [ULTRAVOX, VAPI_MULAW, VAPI_16K], ids=["ultravox", "vapi-mulaw", "vapi-16k"])
async def test_greeting_is_heard_from_its_first_sound(bridge: Rig, platform: Platform) -> None:
    """The platform is connected before the caller is answered, and may speak at once: nothing of it is lost."""
    tones = [(1320, 200), (880, 300)]
    account_of(bridge, platform).part = Part(greeting=utterance(*tones), listens=False)
    async with phone(bridge.udp) as caller:
        await caller.call(platform)
        await eventually(lambda: len(caller.ear.notes(1320, 880)) >= 2, "second tone")
        await asyncio.sleep(0.4)
        await caller.hang_up()
        assert_tones(caller.ear.notes(1320, 880), tones)
        assert_one_stream(caller)


@pytest.mark.parametrize("platform", [ULTRAVOX, VAPI_MULAW], ids=["ultravox", "vapi"])
async def test_barge_in_silences_the_agent_at_once(bridge: Rig, platform: Platform) -> None:
    """Ultravox has sent its four seconds in one burst by then: they must be forgotten, not played."""
    account_of(bridge, platform).part = Part(greeting=utterance((880, 4000)))
    async with phone(bridge.udp) as caller:
        await caller.call(platform)
        await eventually(lambda: caller.ear.notes(880), "agent")
        caller.say(melody((440, 400)))
        await eventually(lambda: len(caller.ear.heard) > 20 and caller.ear.heard[-10].is_silent, "silence")
        await asyncio.sleep(0.5)
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
        flush = moment(record.moments, "flush")
        after = [packet.is_silent for packet in caller.ear.heard if packet.at > flush.at_s]
        assert len(after) > 20
        assert all(after[2:]), after
        assert_one_stream(caller)
    assert record.media
    assert record.media.barge_in_ms.count == 1
    if platform == ULTRAVOX:
        assert record.media.far.flushed_ms > 2000


async def test_agent_is_interrupted_and_answers(bridge: Rig) -> None:
    """Greeting, interruption, the answer: two utterances of the agent, of which only the first is cut short."""
    bridge.ultravox.part = Part(
        greeting=utterance((880, 3000)), replies=(utterance((1320, 300)),), after="listen", thinking_ms=100
    )
    async with phone(bridge.udp) as caller:
        await caller.call(ULTRAVOX)
        await eventually(lambda: caller.ear.notes(880, 1320), "greeting")
        caller.say(melody((440, 400)))
        await eventually(lambda: 1320 in [note.hz for note in caller.ear.notes(880, 1320)], "answer")
        await asyncio.sleep(0.5)
        await caller.hang_up()
        greeting, pause, answer = caller.ear.notes(880, 1320)
    assert (greeting.hz, pause.hz, answer.hz) == (880, 0, 1320)
    assert greeting.ms < 2000
    assert abs(answer.ms - 300) <= EDGE_MS


@pytest.mark.parametrize("platform", [ULTRAVOX, VAPI_MULAW], ids=["ultravox", "vapi"])
async def test_last_words_are_heard_before_the_bye(bridge: Rig, platform: Platform) -> None:
    """The platform hangs up as soon as it has sent its words; on Ultravox that is most of a second too early."""
    tones = [(880, 300), (1320, 500)]
    account_of(bridge, platform).part = Part(
        replies=(utterance(*tones),), after="hang-up", thinking_ms=100, hangs_up_early=True
    )
    async with phone(bridge.udp) as caller:
        await caller.call(platform)
        caller.say(melody((440, 200)))
        await caller.hears_bye()
        assert_tones(caller.ear.notes(880, 1320), tones)
        record = await bridge.record(caller.sip_call_id)
    assert (record.reason, record.blame, record.sip_status) == ("platform-hung-up", "success", 0)


async def test_only_words_of_an_agent_that_hangs_up_at_once(bridge: Rig) -> None:
    """Announcement and close frame come in one burst, before the caller is answered: he hears it all, then the BYE."""
    bridge.ultravox.part = Part(
        greeting=utterance((880, 300), (1320, 500)), listens=False, after="hang-up", hangs_up_early=True
    )
    async with phone(bridge.udp) as caller:
        await caller.call(ULTRAVOX)
        await caller.hears_bye()
        assert_tones(caller.ear.notes(880, 1320), [(880, 300), (1320, 500)])
        assert (await bridge.record(caller.sip_call_id)).reason == "platform-hung-up"


async def test_keys_by_rtp_reach_the_platform(bridge: Rig) -> None:
    """RFC 4733: three end packets and a retransmitted event are one key press; speech goes on after them."""
    async with phone(bridge.udp) as caller:
        await caller.call(ULTRAVOX)
        for digit in "4*":
            caller.ear.press(digit)
        await eventually(lambda: caller.ear.has_spoken, "keys on the wire")
        caller.say(melody((800, 300)))
        await eventually(lambda: caller.ear.notes(800), "speech after the keys")
        await asyncio.sleep(0.3)
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
    assert texts_of(bridge.ultravox, "user_text_message") == ["4", "*"]
    heard = [(one.text, one.data["duration_ms"]) for one in record.moments if one.kind == "digit"]
    assert heard == [("4", 100), ("*", 100)]


def texts_of(account: Account, kind: str) -> list[str]:
    """What the last call's client said in writing to an Ultravox platform."""
    last = list(account.calls)[-1]
    messages = [json.loads(text) for text in last.received_texts]
    return [message["text"] for message in messages if message["type"] == kind]


async def test_hold_and_resume_keep_both_streams(bridge: Rig) -> None:
    """On hold nothing is sent to the caller, the platform goes on getting a second of audio per second, and afterwards
    the caller's stream goes on where it was: next sequence number, a timestamp for the time that has passed."""
    async with phone(bridge.udp) as caller:
        await caller.call(ULTRAVOX)
        caller.say(melody((800, 200)))
        await eventually(lambda: caller.ear.notes(800), "own tone")
        assert await caller.reinvite("sendonly", 2) == "recvonly"
        await caller.ear.hush()
        await asyncio.sleep(0.1)
        packets, before_ms = len(caller.ear.heard), list(bridge.ultravox.calls)[-1].received_ms
        await asyncio.sleep(0.6)
        assert len(caller.ear.heard) == packets
        assert list(bridge.ultravox.calls)[-1].received_ms - before_ms > 400
        assert await caller.reinvite("sendrecv", 3) == "sendrecv"
        caller.say(melody((1200, 200)))
        await eventually(lambda: caller.ear.notes(800, 1200, since=packets), "own tone again")
        await caller.hang_up()
        [(step, jump, other_ssrc)] = caller.ear.breaks()
        assert (step, other_ssrc) == (1, False)
        assert jump % 160 == 0
        assert jump / 8 > 600


async def test_address_changes_in_mid_call(bridge: Rig) -> None:
    """A re-INVITE with another port: the audio follows it both ways."""
    async with phone(bridge.udp) as caller:
        await caller.call(VAPI_MULAW)
        caller.say(melody((800, 200)))
        await eventually(lambda: caller.ear.notes(800), "own tone")
        await asyncio.sleep(0.3)
        caller.ear.move()
        assert await caller.reinvite("sendrecv", 2) == "sendrecv"
        packets = len(caller.ear.heard)
        caller.say(melody((1200, 300)))
        await eventually(lambda: caller.ear.notes(800, 1200, since=packets), "own tone at the new port")
        await asyncio.sleep(0.3)
        await caller.hang_up()
        heard = strain(caller.ear.notes(800, 1200, since=packets), [(1200, 300)], EDGE_MS)
        record = await bridge.record(caller.sip_call_id)
    assert record.media
    assert_counted(heard, record.media, 20)


async def test_caller_who_falls_silent_is_still_heard_as_silence(bridge: Rig) -> None:
    """A trunk with silence suppression stops sending; the platform still gets a second of audio per second."""
    async with phone(bridge.udp) as caller:
        await caller.call(VAPI_MULAW)
        await eventually(lambda: len(caller.ear.heard) > 10, "audio")
        await caller.ear.hush()
        call = list(bridge.vapi.calls)[-1]
        before_ms = call.received_ms
        await asyncio.sleep(0.8)
        assert call.received_ms - before_ms > 600
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
        assert_one_stream(caller)
    assert record.media
    assert record.media.far.filled_ms > 600
