"""What is not for us: who calls from nowhere, whose body makes no sense, what nobody can carry. And repetition."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from tests.helpers.audio import level_db
from tests.helpers.ears import encode, melody
from tests.helpers.phone import phone
from tests.helpers.rig import Rig, eventually
from tests.helpers.sippeer import SipPeer, sdp

pytestmark = pytest.mark.asyncio(loop_scope="module")

GARBAGE_DATAGRAMS = 300
BROKEN_PORT = sdp(port=4000).replace("m=audio 4000", "m=audio forty")
NO_AUDIO = sdp(port=4000, formats="0").replace("m=audio", "m=video")


@pytest.mark.parametrize(
    ("number", "body", "status", "reason"),
    [
        ("9", sdp(port=4000), 404, "no-route"),
        ("1", sdp(port=4000, formats="3"), 488, "no-common-codec"),
        ("1", sdp(port=4000).replace("RTP/AVP", "RTP/SAVP"), 488, "no-common-codec"),
    ],
    ids=["no route", "no common codec", "only SRTP"],
)
async def test_refused_by_us(bridge: Rig, number: str, body: str, status: int, reason: str) -> None:
    """No platform is asked, no port is opened; the record says why."""
    created = bridge.ultravox.calls.created
    async with await SipPeer.udp(bridge.udp) as peer:
        dialog = peer.invite(sdp=body, user=number)
        answer = await dialog.response("INVITE")
        dialog.ack(rejected=True)
        assert answer.status == status, answer.first_line
        record = await bridge.record(dialog.call_id)
    assert (record.reason, record.blame, record.sip_status) == (reason, "client_error", status)
    assert (record.attempts, record.media, record.duration_s) == ([], None, 0.0)
    assert bridge.ultravox.calls.created == created


@pytest.mark.parametrize(
    ("body", "status"),
    [("no SDP at all", 400), (BROKEN_PORT, 400), (NO_AUDIO, 488)],
    ids=["prose", "bad port", "no audio"],
)
async def test_body_that_makes_no_sense(bridge: Rig, body: str, status: int) -> None:
    """The stack refuses it: the caller is told, the log has one line, and nothing else happens."""
    lines = len(bridge.log())
    async with await SipPeer.udp(bridge.udp) as peer:
        dialog = peer.invite(sdp=body, user="1")
        answer = await dialog.response("INVITE")
        dialog.ack(rejected=True)
        assert answer.status == status, answer.first_line
        source = peer.address
    await eventually(lambda: len(bridge.log()) > lines, "log line")
    [line] = bridge.log()[lines:]
    assert line.startswith(f"! refused by the SIP stack: {status} from {source}: ")


async def test_unknown_address_hears_nothing(bridge: Rig) -> None:
    """No answer at all, so that a scanner learns nothing (not even that somebody is here); one line in the log."""
    lines, records = len(bridge.log()), len(bridge.records())
    async with await SipPeer.udp(bridge.udp, host="127.0.0.2") as stranger, await SipPeer.udp(bridge.udp) as known:
        for _ in range(3):
            stranger.invite(sdp=sdp(port=4000), user="1")
        stranger.dialog().send("OPTIONS")
        stranger.send("\0\1\2 garbage")
        assert (await known.dialog().transact("OPTIONS")).status == 200  # all that came before has been looked at
        dropped = await eventually(
            lambda: [text for text in bridge.log(level="warning")[0:] if "INVITE from 127.0.0.2" in text], "log line"
        )
        assert [message.first_line for message in stranger.inbox] == []
    assert dropped == [f"! dropped 3 x INVITE from {stranger.address}: no trunk has this address"]
    assert not [text for text in bridge.log()[lines:] if "< INVITE" in text]
    assert len(bridge.records()) == records


async def test_invite_that_comes_twice_is_one_call(bridge: Rig) -> None:
    """UDP repeats what it is not sure of (RFC 3261, 17.1.1.2): before the 180, after it, and after the 200."""
    created = bridge.ultravox.calls.created
    async with phone(bridge.udp) as caller:
        caller.dial("1")
        again = caller.dialog.send("INVITE", sdp=caller.ear.offer(), cseq=1, branch=caller.dialog.branch)
        caller.peer.send(again)
        answer = await caller.dialog.talk()
        caller.peer.send(again)
        caller.ear.connect(answer.body)
        caller.say(melody((800, 200)))
        await eventually(lambda: caller.ear.notes(800), "own tone")
        await caller.hang_up()
        finals = {message["To"] for message in caller.peer.inbox if message.status >= 200}
        assert finals <= {answer["To"]}
        await bridge.record(caller.sip_call_id)
    assert bridge.ultravox.calls.created == created + 1


def garbage(dice: random.Random) -> bytes:
    """Noise, or something that begins as it should."""
    noise = dice.randbytes(dice.randrange(0, 1200))
    beginnings = (
        b"",
        b"\r\n",
        b"INVITE sip:1@127.0.0.1 SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\nVia: ",
        b"\x80\x00",
        b"\x90\x65",
    )
    return dice.choice(beginnings) + noise


async def test_garbage_on_all_ports_disturbs_no_call(bridge: Rig) -> None:
    """Datagrams from the trunk's own address on the SIP port and on the RTP port of a call that talks meanwhile."""
    dice = random.Random(4711)
    async with phone(bridge.udp) as caller:
        await caller.call("1")
        await eventually(lambda: caller.ear.heard, "audio")
        assert caller.ear.target
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in range(GARBAGE_DATAGRAMS):
                sock.sendto(garbage(dice), bridge.udp)
                sock.sendto(garbage(dice), caller.ear.target)
                if number % 20 == 0:  # all at once would only fill the receivers' buffers, and be lost there
                    await asyncio.sleep(0.005)
        caller.say(melody((800, 300)))
        await eventually(lambda: [note.ms for note in caller.ear.notes(800)][:1] >= [260], "own tone, whole")
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
        assert caller.ear.breaks() == []
    assert record.reason == "caller-hung-up"
    assert record.media
    assert record.media.near.wrong_source + record.media.near.malformed > GARBAGE_DATAGRAMS / 2


async def test_third_party_cannot_speak_for_the_caller(bridge: Rig) -> None:
    """Well-formed RTP in the right codec from another port goes nowhere, and turns no audio its way."""
    async with phone(bridge.udp) as caller:
        await caller.call("2")
        await eventually(lambda: len(caller.ear.heard) > 5, "audio")
        assert caller.ear.target
        loud = encode(melody((1400, 20)), 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.setblocking(False)
            for number in range(50):
                head = b"\x80\x00" + number.to_bytes(2) + (number * 160).to_bytes(4) + b"evil"
                stranger.sendto(head + loud, caller.ear.target)
            packets = len(caller.ear.heard)
            await eventually(lambda: len(caller.ear.heard) > packets + 20, "more audio")
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)
        await caller.hang_up()
        assert level_db(caller.ear.sound()) < -60
        record = await bridge.record(caller.sip_call_id)
    assert record.media
    assert record.media.near.wrong_source == 50
