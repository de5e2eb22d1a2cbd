"""Whole calls with baresip at the other end: who hears which tone, out of somebody else's jitter buffer and decoder."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.simulators.account import Account
from bridge.simulators.audio import Utterance
from bridge.simulators.failures import Failures
from bridge.simulators.part import Part
from tests.helpers.audio import gaps, loudest_hz
from tests.helpers.baresip import Baresip, Transport, baresip, write_wav
from tests.helpers.ears import Note, melody, notes
from tests.helpers.placed import place, tracks
from tests.helpers.rig import PATIENCE_S, Rig, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ULTRAVOX, VAPI_MULAW, VAPI_16K = "100", "200", "300"
LADDER = [(hz, 200) for hz in (600, 800, 1000, 1200, 1400)]
EDGE_MS = 40
"""A change of tone inside a window of 20 ms belongs to either side; and where baresip's jitter buffer runs dry it waits
for one packet, which repeats or drops a frame."""
GAP_MS = 60
"As many milliseconds of silence inside a tone as a machine under load may cause in a second."


def account_of(bridge: Rig, number: str) -> Account:
    return bridge.ultravox if number == ULTRAVOX else bridge.vapi


def uri(bridge: Rig, number: str, transport: Transport = "udp") -> str:
    """The phone's account adds the transport."""
    host, port = bridge.udp if transport == "udp" else bridge.tcp
    return f"sip:{number}@{host}:{port}"


def heard_notes(phone: Baresip, *known_hz: int) -> list[Note]:
    return [note for note in notes(phone.heard(), known_hz) if note.hz]


def assert_tones(heard: list[Note], expected: list[tuple[int, int]]) -> None:
    """These tones, each once, in this order and of this length."""
    assert [note.hz for note in heard] == [hz for hz, _ in expected], heard
    assert all(abs(note.ms - ms) <= EDGE_MS for note, (_, ms) in zip(heard, expected, strict=True)), heard


def prompt(*tones: tuple[int, int], **more: Any) -> Part:
    return Part(greeting=Utterance(melody(*tones), 8000, "some words of the agent"), listens=False, **more)


@pytest.mark.parametrize(
    ("number", "transport", "codec"),
    [
        (ULTRAVOX, "udp", "PCMU"),
        (ULTRAVOX, "tcp", "PCMA"),
        (VAPI_MULAW, "udp", "PCMA"),
        (VAPI_MULAW, "tcp", "PCMU"),
        (VAPI_16K, "udp", "PCMU"),
    ],
    ids=["ultravox-udp-pcmu", "ultravox-tcp-pcma", "vapi-mulaw-udp-pcma", "vapi-mulaw-tcp-pcmu", "vapi-16k-udp-pcmu"],
)
async def test_own_tones_come_back(bridge: Rig, tmp_path: Path, number: str, transport: Transport, codec: str) -> None:
    """Every tone once, in order, and hardly a hole in them."""
    known = [hz for hz, _ in LADDER]
    async with baresip(tmp_path, says=melody(*LADDER), transport=transport, codecs=codec) as phone:
        await phone.dial(uri(bridge, number, transport))
        call_id = await phone.established()
        await eventually(lambda: len(heard_notes(phone, *known)) == len(LADDER), "last tone")
        await asyncio.sleep(0.3)
        await phone.hang_up()
        record = await bridge.record(call_id)
        assert_tones(heard_notes(phone, *known), LADDER)
        assert sum(gap.lasts_ms for gap in gaps(phone.heard(), longer_than_ms=5)) <= GAP_MS
    assert (record.reason, record.blame, record.codec) == ("caller-hung-up", "success", codec)
    # Over TCP a call comes from a port of the connection's own, over UDP from where the phone listens.
    assert (record.source == "{}:{}".format(*phone.address)) == (transport == "udp")
    assert record.media
    near, far = record.media.near, record.media.far
    assert (near.lost, near.malformed, near.wrong_source, near.send_errors, far.trouble) == (0, 0, 0, 0, 0)
    assert near.received == near.expected > 50


@pytest.mark.parametrize("number", [ULTRAVOX, VAPI_MULAW], ids=["ultravox", "vapi"])
async def test_prompt_is_heard_from_its_beginning(bridge: Rig, tmp_path: Path, number: str) -> None:
    """baresip hangs up while the line is quiet again."""
    tones = [(1320, 300), (880, 500)]
    account_of(bridge, number).part = prompt(*tones)
    async with baresip(tmp_path, says=melody((440, 100))) as phone:
        await phone.dial(uri(bridge, number))
        call_id = await phone.established()
        await eventually(lambda: sum(note.ms for note in heard_notes(phone, 1320, 880)) >= 760, "both tones")
        await asyncio.sleep(0.3)
        await phone.hang_up()
        record = await bridge.record(call_id)
        assert_tones(heard_notes(phone, 1320, 880), tones)
    assert (record.reason, record.blame, record.sip_status) == ("caller-hung-up", "success", 0)


@pytest.mark.parametrize("number", [ULTRAVOX, VAPI_MULAW], ids=["ultravox", "vapi"])
async def test_platform_hangs_up_after_its_last_words(bridge: Rig, tmp_path: Path, number: str) -> None:
    """The BYE is ours. What baresip still had in its jitter buffer (5 to 10 frames) then is lost to it, not to us."""
    account_of(bridge, number).part = prompt((880, 300), (1320, 500), after="hang-up")
    async with baresip(tmp_path, says=melody((440, 100))) as phone:
        await phone.dial(uri(bridge, number))
        call_id = await phone.established()
        await phone.closed()
        record = await bridge.record(call_id)
        first, last = heard_notes(phone, 880, 1320)
    assert (first.hz, last.hz) == (880, 1320)
    assert abs(first.ms - 300) <= EDGE_MS
    assert last.ms >= 500 - 10 * 20 - EDGE_MS
    assert (record.reason, record.blame, record.sip_status) == ("platform-hung-up", "success", 0)


async def test_caller_gives_up_before_the_answer(bridge: Rig, tmp_path: Path) -> None:
    """CANCEL: the platform does not answer yet, the caller has not been either."""
    bridge.ultravox.failures = Failures(rest="never")
    async with baresip(tmp_path, says=melody((440, 100))) as phone:
        await phone.dial(uri(bridge, ULTRAVOX))
        ringing = await phone.event("CALL_RINGING")
        await phone.hang_up()
        record = await bridge.record(ringing["id"])
    assert phone.count("CALL_ESTABLISHED") == 0
    assert (record.reason, record.sip_status) == ("caller-cancelled", 487)


async def test_hold_and_resume(bridge: Rig, tmp_path: Path) -> None:
    """Nothing is sent to a caller on hold, who goes on talking, and the platform gets a second of audio per second."""
    async with baresip(tmp_path, says=melody((1000, 10_000))) as phone:
        await phone.dial(uri(bridge, ULTRAVOX))
        call_id = await phone.established()
        await eventually(lambda: heard_notes(phone, 1000), "own tone")
        await phone.hold()
        await asyncio.sleep(0.1)
        packets, platform_ms = await phone.packets_received(), list(bridge.ultravox.calls)[-1].received_ms
        await asyncio.sleep(0.8)
        assert await phone.packets_received() == packets
        assert list(bridge.ultravox.calls)[-1].received_ms - platform_ms > 500
        await phone.resume()
        packets_then = packets
        async with asyncio.timeout(PATIENCE_S):
            while (packets_then := await phone.packets_received()) < packets + 25:  # noqa: ASYNC110 - a question each
                await asyncio.sleep(0.05)
        await phone.hang_up()
        record = await bridge.record(call_id)
    assert record.reason == "caller-hung-up"
    assert record.media
    near = record.media.near
    assert (near.lost, near.ssrc_changes, near.wrong_source, near.send_errors) == (0, 0, 0, 0)
    assert near.sent >= packets_then


async def test_keys_by_rtp_reach_platform_and_record(bridge: Rig, tmp_path: Path) -> None:
    """RFC 4733 as baresip writes it: among its audio packets, which go on."""
    async with baresip(tmp_path, says=melody((1000, 5000))) as phone:
        await phone.dial(uri(bridge, ULTRAVOX))
        call_id = await phone.established()
        await eventually(lambda: heard_notes(phone, 1000), "own tone")
        for digit in "5#":
            await phone.press(digit)
            await eventually(lambda key=digit: key in digits_at(bridge), f"key {digit}")  # type: ignore[misc]
        await asyncio.sleep(0.4)
        await phone.hang_up()
        assert sum(gap.lasts_ms for gap in gaps(phone.heard(), longer_than_ms=5)) <= GAP_MS
        record = await bridge.record(call_id)
    assert digits_at(bridge) == ["5", "#"]
    told = [(one.text, one.data["how"]) for one in record.moments if one.kind == "digit"]
    assert told == [("5", "rfc4733"), ("#", "rfc4733")]
    assert record.media
    assert (record.media.near.lost, record.media.near.duplicate, record.media.near.malformed) == (0, 0, 0)


def digits_at(bridge: Rig) -> list[str]:
    """Keys that the last call's Ultravox platform was told of."""
    messages = [json.loads(text) for text in list(bridge.ultravox.calls)[-1].received_texts]
    return [message["text"] for message in messages if message["type"] == "user_text_message"]


# --- from our side into baresip


@pytest.mark.parametrize(("transport", "codec"), [("udp", "PCMU"), ("tcp", "PCMA")])
async def test_our_call_is_heard_on_both_sides(tmp_path: Path, transport: Transport, codec: str) -> None:
    """Two tones cross each other; each side hears the other's, and our recording has both apart."""
    write_wav(tmp_path / "tape.wav", melody((700, 1000)))
    options = ("--play", str(tmp_path / "tape.wav"), "--seconds", "1.5", "--record", str(tmp_path / "both.wav"))
    async with baresip(tmp_path / "phone", says=melody((1300, 2000)), codecs=codec) as phone:
        call = await place(tmp_path, f"{phone.uri};transport={transport}", *options)
        await phone.closed()
        assert_tones(heard_notes(phone, 700), [(700, 1000)])
        assert sum(gap.lasts_ms for gap in gaps(phone.heard(), longer_than_ms=5)) <= GAP_MS
    assert call.status == 0, call.said
    assert (call.record["reason"], call.record["codec"]) == ("time-up", codec)
    callee, tape = tracks(tmp_path / "both.wav")
    assert [note.hz for note in notes(tape, (700, 1300)) if note.hz] == [700]
    assert abs(loudest_hz(callee) - 1300) < 5
    assert sum(gap.lasts_ms for gap in gaps(callee, longer_than_ms=5)) <= GAP_MS
    near = call.record["media"]["near"]
    assert (near["lost"], near["wrong_source"], near["malformed"]) == (0, 0, 0)


async def test_our_own_voice_comes_back_from_the_callee(tmp_path: Path) -> None:
    """Through two jitter buffers and both codecs, a melody is still that melody."""
    write_wav(tmp_path / "tape.wav", melody(*LADDER))
    options = ("--play", str(tmp_path / "tape.wav"), "--seconds", "2", "--record", str(tmp_path / "both.wav"))
    async with baresip(tmp_path / "phone", answers="manual") as phone:
        calling = asyncio.create_task(place(tmp_path, phone.uri, *options))
        await phone.answer()
        call = await calling
    assert call.status == 0, call.said
    callee, _ = tracks(tmp_path / "both.wav")
    assert_tones([note for note in notes(callee, tuple(hz for hz, _ in LADDER)) if note.hz], LADDER)


async def test_busy_and_unknown_callees_are_told_apart(tmp_path: Path) -> None:
    async with baresip(tmp_path / "phone", answers="manual") as phone:
        calling = asyncio.create_task(place(tmp_path, phone.uri, "--seconds", "5"))
        await phone.reject()
        busy = await calling
        unknown = await place(tmp_path, phone.uri.replace("bob", "nobody"), "--seconds", "5")
    for call, status, returned, reason in ((busy, 486, 2, "busy"), (unknown, 404, 5, "not-found")):
        assert call.status == returned, call.said
        assert f"ended      {reason} (SIP {status})" in call.said
        assert (call.record["reason"], call.record["sip_status"]) == (reason, status)
        assert call.record["blame"] == "client_error"
        assert "answered" not in call.record["times"]


async def test_callee_hangs_up(tmp_path: Path) -> None:
    async with baresip(tmp_path / "phone", says=melody((1300, 2000))) as phone:
        calling = asyncio.create_task(place(tmp_path, phone.uri, "--seconds", "30"))
        await phone.established()
        await phone.hang_up()
        call = await calling
    assert (call.status, call.record["reason"]) == (0, "callee-hung-up"), call.said
