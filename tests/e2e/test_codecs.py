"""Whole calls in every codec and packet length, by what is heard: the caller's own tones, and the agent's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.simulators.part import prompt
from tests.helpers import proc
from tests.helpers.codecphone import CodecPhone, codec_phone
from tests.helpers.ears import Note, Strain, assert_counted, assert_unstrained, strain
from tests.helpers.phone import phone
from tests.helpers.rig import Rig, eventually, rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODECS = 'codecs = ["opus", "G722", "L16/16000", "L16/8000", "PCMU", "PCMA"]'
LADDER_HZ = (400, 800, 1200, 1600)
LONGEST_PTIME_MS = 60
STEP_MS = 240
"A whole number of packets of any length up to 60 ms."
EDGE_MS = 40
PROMPT = [(440, 1000)]

ULTRAVOX, VAPI_MULAW, VAPI_16K = "1", "2", "3"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("bridge"), media=CODECS) as built:
        yield built


def assert_tones(heard: list[Note], expected: list[tuple[int, int]]) -> None:
    """These tones, each once, in this order and of this length."""
    assert [note.hz for note in heard] == [hz for hz, _ in expected], heard
    assert all(abs(note.ms - ms) <= EDGE_MS for note, (_, ms) in zip(heard, expected, strict=True)), heard


async def hears_itself(caller: CodecPhone) -> Strain:
    since = len(caller.ear.heard)
    caller.say(caller.ear.melody(*((hz, STEP_MS) for hz in LADDER_HZ)))
    await eventually(lambda: len(caller.ear.notes(*LADDER_HZ, since=since)) >= len(LADDER_HZ), "last tone")
    await asyncio.sleep((STEP_MS + 2 * LONGEST_PTIME_MS) / 1000)
    heard = caller.ear.notes(*LADDER_HZ, since=since)
    return strain(heard, [(hz, STEP_MS) for hz in LADDER_HZ], EDGE_MS)


@pytest.mark.parametrize(
    ("codec", "ptime_ms", "platform"),
    [
        ("G722", 20, VAPI_16K),
        ("G722", 10, ULTRAVOX),
        ("G722", 60, VAPI_MULAW),
        ("opus", 20, VAPI_16K),
        ("opus", 10, ULTRAVOX),
        ("opus", 60, VAPI_16K),
        ("L16/16000", 20, VAPI_16K),
        ("L16/16000", 40, ULTRAVOX),
        ("L16/8000", 20, VAPI_MULAW),
        ("L16/8000", 60, ULTRAVOX),
        ("PCMU", 10, ULTRAVOX),
        ("PCMA", 40, VAPI_MULAW),
        ("PCMU", 60, VAPI_16K),
    ],
)
async def test_own_tones_come_back(bridge: Rig, codec: str, ptime_ms: int, platform: str) -> None:
    """The echo has every tone once, in order and whole, in the caller's codec and packet length both ways."""
    async with codec_phone(bridge.udp, codec, ptime_ms=ptime_ms) as caller:
        answer = await caller.call(platform)
        assert f"a=ptime:{ptime_ms}\r\n" in answer.body
        heard = await hears_itself(caller)
        await caller.ear.hush()
        await caller.hang_up()
        assert caller.ear.breaks() == []
        assert {packet.payload_type for packet in caller.ear.heard} == {caller.ear.payload_type}
        record = await bridge.record(caller.sip_call_id)
    assert (record.reason, record.codec) == ("caller-hung-up", codec)
    assert record.media
    assert_unstrained(heard, record.media, ptime_ms)
    assert (record.media.near.lost, record.media.near.malformed, record.media.far.trouble) == (0, 0, 0)
    assert record.media.near.wrong_payload_type == 0


@pytest.mark.parametrize(
    ("codec", "platform"), [("G722", ULTRAVOX), ("opus", VAPI_16K), ("L16/16000", VAPI_MULAW), ("L16/8000", VAPI_16K)]
)
async def test_the_agent_is_heard(bridge: Rig, codec: str, platform: str) -> None:
    (bridge.ultravox if platform == ULTRAVOX else bridge.vapi).part = prompt()
    async with codec_phone(bridge.udp, codec) as caller:
        await caller.call(platform)
        await eventually(lambda: caller.ear.notes(440) and caller.ear.has_spoken, "beep")
        await eventually(lambda: sum(note.ms for note in caller.ear.notes(440)) >= PROMPT[0][1] - EDGE_MS, "end")
        await asyncio.sleep(0.1)
        await caller.hang_up()
        assert_tones(caller.ear.notes(440), PROMPT)
        assert caller.ear.breaks() == []


@pytest.mark.parametrize(("codecs", "is_loaded"), [('["PCMU", "L16/8000"]', False), ('["PCMU", "G722"]', True)])
async def test_what_a_codec_needs_is_loaded_before_the_first_call(tmp_path: Path, codecs: str, is_loaded: bool) -> None:
    """It takes up to a tenth of a second, in which all other calls of the worker would stand still; and 30 MB."""
    async with rig(tmp_path, media=f"codecs = {codecs}") as house:
        [worker] = house.children("media.worker")
        assert proc.has_loaded(worker, "libavcodec") == is_loaded


async def test_what_the_answer_says(bridge: Rig) -> None:
    """The caller's payload types, clocks and channels; Opus in mono, without the repairs that we would not use."""
    async with codec_phone(bridge.udp, "opus") as caller:
        answer = await caller.call(ULTRAVOX)
        await caller.hang_up()
    lines = answer.body.splitlines()
    assert [line for line in lines if re.match(r"m=|a=(rtpmap|fmtp)", line)] == [
        lines[next(number for number, line in enumerate(lines) if line.startswith("m="))],
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 stereo=0;useinbandfec=0",
        "a=rtpmap:101 telephone-event/48000",
        "a=fmtp:101 0-16",
    ]


@pytest.mark.parametrize("codec", ["opus", "G722", "L16/16000"])
async def test_keys_at_the_clock_of_the_codec(bridge: Rig, codec: str) -> None:
    """telephone-event/48000 beside Opus, /8000 beside G.722 (RFC 4733, 2.1): digit and duration are right."""
    async with codec_phone(bridge.udp, codec) as caller:
        await caller.call(ULTRAVOX)
        caller.ear.press("5")
        await eventually(lambda: caller.ear.has_spoken, "end of the key")
        strained = await hears_itself(caller)
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
    assert record.media
    assert_counted(strained, record.media, 20)
    heard = [(one.text, one.data) for one in record.moments if one.kind == "digit"]
    assert heard == [("5", {"duration_ms": caller.ear.press_ms, "how": "rfc4733"})]


async def test_another_codec_in_mid_call(bridge: Rig) -> None:
    """PCMU, then G.722, then Opus at another packet length: one SSRC, no number left out, every tone right."""
    async with codec_phone(bridge.udp, "PCMU") as caller:
        await caller.call(VAPI_16K)
        strained = [await hears_itself(caller)]
        for version, (codec, ptime_ms) in enumerate([("G722", 20), ("opus", 40), ("PCMU", 20)], 2):
            await caller.ear.hush()
            caller.ear.use(codec, ptime_ms)
            before = len(caller.ear.heard)
            assert await caller.reinvite("sendrecv", version) == "sendrecv"
            await eventually(lambda: caller.ear.heard[-1].payload_type == caller.ear.payload_type, codec)
            caller.ear.use(codec, ptime_ms)
            strained.append(await hears_itself(caller))
            steps = zip(caller.ear.heard[before:], caller.ear.heard[before + 1 :], strict=False)
            assert {(b.sequence - a.sequence) & 0xFFFF for a, b in steps} == {1}
            assert caller.ear.breaks() == []
        await caller.hang_up()
        assert len({packet.ssrc for packet in caller.ear.heard}) == 1
        record = await bridge.record(caller.sip_call_id)
    assert record.codec == "PCMU"
    assert record.media
    held_ms, silent_ms = sum(one.held_ms for one in strained), sum(one.silent_ms for one in strained)
    assert_counted(Strain(silent_ms, held_ms), record.media, 40)


async def test_the_callers_order_counts(bridge: Rig) -> None:
    """We would rather have Opus; who offers PCMA first gets PCMA."""
    async with phone(bridge.udp, formats="8 9 0 101") as caller:
        await caller.call(ULTRAVOX)
        await caller.hang_up()
        assert (await bridge.record(caller.sip_call_id)).codec == "PCMA"
