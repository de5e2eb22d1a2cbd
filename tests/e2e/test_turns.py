"""Calls that take a turn: another codec, an offer that is no good, packets that are no good, a caller who vanishes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.helpers.ears import melody
from tests.helpers.phone import Phone, phone
from tests.helpers.rig import Rig, eventually, rig
from tests.helpers.sippeer import sdp

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def hears_itself(caller: Phone, hz: int) -> None:
    packets = len(caller.ear.heard)
    caller.say(melody((hz, 200)))
    await eventually(
        lambda: hz in [note.hz for note in caller.ear.notes(400, 800, 1200, 1600, since=packets)], f"{hz} Hz"
    )


async def test_another_codec_by_reinvite(bridge: Rig) -> None:
    """PCMU to PCMA in mid-call: same stream, other payload type, and the sound stays what it was."""
    async with phone(bridge.udp, formats="0 101") as caller:
        await caller.call("3")
        await hears_itself(caller, 800)
        caller.ear.formats = "8 101"
        assert await caller.reinvite("sendrecv", 2) == "sendrecv"
        assert caller.ear.payload_type == 8
        await hears_itself(caller, 1200)
        await caller.hang_up()
        assert caller.ear.breaks() == []
        assert [packet.payload_type for packet in caller.ear.heard[:: len(caller.ear.heard) - 1]] == [0, 8]
        assert (await bridge.record(caller.sip_call_id)).codec == "PCMA"


async def test_reinvite_without_an_offer(bridge: Rig) -> None:
    """Ours is asked for (RFC 3261, 14.2): what was agreed is offered again, and their answer comes with the ACK."""
    async with phone(bridge.udp) as caller:
        await caller.call("1")
        await hears_itself(caller, 800)
        caller.dialog.send("INVITE")
        offer = await caller.dialog.talk(sdp=caller.ear.offer(version=2))
        assert f"m=audio {caller.ear.target[1] if caller.ear.target else 0} " in offer.body
        await hears_itself(caller, 1200)
        await caller.hang_up()
        assert caller.ear.breaks() == []


async def test_moved_by_a_reinvite_without_an_offer(bridge: Rig) -> None:
    """The caller's answer, in the ACK, names another port: the audio goes there from then on."""
    async with phone(bridge.udp) as caller:
        await caller.call("1")
        await hears_itself(caller, 800)
        caller.dialog.send("INVITE")
        assert (await caller.dialog.response("INVITE")).status == 200
        caller.ear.move()
        caller.dialog.ack(caller.ear.offer(version=2))
        await hears_itself(caller, 1200)
        await caller.hang_up()
        assert caller.ear.breaks(len(caller.ear.heard) - 10) == []


async def test_bad_reinvite_leaves_the_call_as_it_was(bridge: Rig) -> None:
    """RFC 3261, 14.2: 488, and the audio goes on under the old agreement."""
    async with phone(bridge.udp) as caller:
        await caller.call("1")
        await hears_itself(caller, 800)
        caller.dialog.send("INVITE", sdp=sdp(port=caller.ear.port, formats="3", version=2))
        answer = await caller.dialog.response("INVITE")
        caller.dialog.ack(rejected=True)
        assert answer.status == 488
        await hears_itself(caller, 1200)
        await caller.hang_up()
        assert caller.ear.breaks() == []
        assert (await bridge.record(caller.sip_call_id)).reason == "caller-hung-up"


async def test_packets_of_the_caller_that_are_no_good(bridge: Rig) -> None:
    """Empty, odd and huge payloads, other payload types, comfort noise, RTCP: counted or passed over. He goes on."""
    async with phone(bridge.udp) as caller:
        await caller.call("1")
        await hears_itself(caller, 800)
        assert caller.ear.target
        for payload_type, size in [(0, 0), (0, 1), (0, 37), (0, 1400), (3, 33), (13, 1), (127, 160), (101, 2)]:
            head = struct.pack(">BBHII", 0x80, payload_type, 1, 1, 0xBAD)
            caller.ear.sock.sendto(head + bytes(size), caller.ear.target)
        for datagram in [b"", b"\x80", b"\x80\xc8\0\6" + bytes(24), b"\0" * 12, bytes([0xBF]) + bytes(11)]:
            caller.ear.sock.sendto(datagram, caller.ear.target)
        await hears_itself(caller, 1200)
        await caller.hang_up()
        assert caller.ear.breaks() == []
        record = await bridge.record(caller.sip_call_id)
    assert record.reason == "caller-hung-up"
    assert record.media
    assert record.media.near.wrong_payload_type == 2
    assert record.media.near.malformed >= 3


async def test_caller_who_never_acknowledges(bridge: Rig) -> None:
    """Without ACK the dialog is ended by us (RFC 3261, 13.3.1.4): BYE, record, nothing left."""
    async with phone(bridge.udp) as caller:
        caller.dial("1")
        assert (await caller.dialog.response("INVITE")).status == 200
        caller.dialog.respond(await caller.dialog.request("BYE", within_s=8), 200)
        record = await bridge.record(caller.sip_call_id)
    assert (record.blame, record.reason) == ("upstream_error", "line-lost")
    assert "confirmed" not in record.times


async def test_caller_who_vanishes(tmp_path: Path) -> None:
    """No RTP any more: a BYE, which nobody answers; the call is over for us all the same."""
    async with rig(tmp_path, quiet_after_ms=1000) as bridge, phone(bridge.udp) as caller:
        await caller.call("1")
        await hears_itself(caller, 800)
        await caller.ear.hush()
        await caller.dialog.request("BYE")
        record = await bridge.record(caller.sip_call_id)
        assert (record.blame, record.reason) == ("upstream_error", "media-timeout")
        await bridge.settled()
