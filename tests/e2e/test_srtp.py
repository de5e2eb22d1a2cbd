"""Whole calls with SRTP, keys by SDES: who may talk how, what is heard, and that no key is written anywhere."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sip import crypto
from sip.crypto import SUITES, Crypto, fresh
from tests.helpers.codecphone import CodecPhone, codec_phone
from tests.helpers.rig import Rig, eventually, rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = "1"
TRUNKS = """
[[trunks]]
name = "optional"
sources = ["127.0.0.1"]
srtp = "optional"

[[trunks]]
name = "required"
sources = ["127.0.0.2"]
srtp = "required"

[[trunks]]
name = "off"
sources = ["127.0.0.3"]
"""
OPTIONAL, REQUIRED, OFF = "127.0.0.1", "127.0.0.2", "127.0.0.3"
BEST, SHORT = SUITES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    keys.clear()
    async with rig(tmp_path_factory.mktemp("bridge"), trunks=TRUNKS, media='codecs = ["PCMU", "opus"]') as built:
        yield built
    # Of the database whatever lies in its folder: its journal and its spool too.
    written = b"".join(path.read_bytes() for path in built.folder.iterdir() if path.is_file())
    assert keys
    assert b"caller-hung-up" in written
    assert [key for key in keys if key.encode() in written] == []


keys: list[str] = []
"Every key of a call here, base64."


def key(tag: int = 1, suite: str = BEST) -> Crypto:
    made = fresh(tag, suite)
    keys.append(base64.b64encode(made.key).decode())
    return made


def key_of(answer: str) -> Crypto:
    [line] = [line.removeprefix("a=crypto:") for line in answer.splitlines() if line.startswith("a=crypto:")]
    read = crypto.parse(line)
    keys.append(base64.b64encode(read.key).decode())
    return read


async def hears_itself(caller: CodecPhone, hz: int) -> None:
    packets = len(caller.ear.heard)
    caller.say(caller.ear.melody((hz, 200)))
    await eventually(
        lambda: hz in [note.hz for note in caller.ear.notes(400, 800, 1200, 1600, since=packets)], f"{hz} Hz"
    )


@pytest.mark.parametrize("source", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
@pytest.mark.parametrize(("codec", "suite"), [("PCMU", BEST), ("opus", SHORT)])
async def test_own_tone_comes_back_encrypted(bridge: Rig, source: str, profile: str, codec: str, suite: str) -> None:
    """Under RTP/AVP too: keys there say `if you can` (and a required trunk is content, the audio being encrypted)."""
    async with codec_phone(bridge.udp, codec, profile=profile, key=key(7, suite), host=source) as caller:
        answer = await caller.call(ECHO)
        theirs = key_of(answer.body)
        assert caller.ear.key
        assert f" {profile} " in answer.body
        assert (theirs.tag, theirs.suite) == (7, suite)
        assert theirs.key != caller.ear.key.key
        await hears_itself(caller, 800)
        await caller.hang_up()
        assert caller.ear.breaks() == []
        assert caller.ear.plain == 0
        record = await bridge.record(caller.sip_call_id)
    assert record.reason == "caller-hung-up"
    assert record.media
    assert (record.media.near.unauthenticated, record.media.near.malformed, record.media.near.lost) == (0, 0, 0)


async def test_who_may_talk_in_the_clear(bridge: Rig) -> None:
    """Without keys: where encryption is optional or off. With keys under RTP/AVP where it is off: in the clear too."""
    for source, crypto_key in ((OPTIONAL, None), (OFF, None), (OFF, key())):
        async with codec_phone(bridge.udp, "PCMU", host=source, key=crypto_key) as caller:
            answer = await caller.call(ECHO)
            assert "crypto" not in answer.body
            await hears_itself(caller, 800)
            await caller.hang_up()


@pytest.mark.parametrize(
    ("source", "profile", "has_key", "reason", "detail"),
    [
        (REQUIRED, "RTP/AVP", False, "srtp-required", "no key for SRTP that we can use: RTP/AVP: no a=crypto line"),
        (REQUIRED, "RTP/SAVP", False, "no-common-codec", "no key for SRTP that we can use: RTP/SAVP: no a=crypto line"),
        (OPTIONAL, "RTP/SAVP", False, "no-common-codec", "no key for SRTP that we can use: RTP/SAVP: no a=crypto line"),
        (OFF, "RTP/SAVP", True, "no-common-codec", "only RTP/SAVP was offered, we speak RTP/AVP, RTP/AVPF"),
    ],
)
async def test_refused(bridge: Rig, source: str, profile: str, has_key: bool, reason: str, detail: str) -> None:
    secret = key() if has_key else None
    async with codec_phone(bridge.udp, "PCMU", profile=profile, key=secret, host=source) as caller:
        assert (await caller.refused(ECHO)).status == 488
        record = await bridge.record(caller.sip_call_id)
    assert (record.reason, record.sip_status) == (reason, 488)
    assert record.detail.startswith(detail)


async def test_reinvite_with_the_same_key_and_with_another(bridge: Rig) -> None:
    """The same key: ours stays, and so does the session. Another one: another one of ours. Then in the clear."""
    async with codec_phone(bridge.udp, "PCMU", profile="RTP/SAVP", key=key(), host=OPTIONAL) as caller:
        first = key_of((await caller.call(ECHO)).body)
        await hears_itself(caller, 400)

        caller.dialog.send("INVITE", sdp=caller.ear.offer(version=2))
        assert key_of((await caller.dialog.talk()).body) == first
        await hears_itself(caller, 800)

        await caller.ear.hush()
        caller.ear.key = key(2)
        caller.dialog.send("INVITE", sdp=caller.ear.offer(version=3))
        answer = await caller.dialog.talk()
        second = key_of(answer.body)
        assert second.tag == 2
        assert second.key != first.key
        caller.ear.connect(answer.body)
        await hears_itself(caller, 1200)
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
    assert record.reason == "caller-hung-up"


async def test_who_does_not_know_the_key_is_not_heard(bridge: Rig) -> None:
    """Packets in the clear, from the caller's own address, in a call that is encrypted."""
    async with codec_phone(bridge.udp, "PCMU", profile="RTP/SAVP", key=key()) as caller:
        key_of((await caller.call(ECHO)).body)
        await hears_itself(caller, 800)
        assert caller.ear.target
        for number in range(5):
            caller.ear.sock.sendto(bytes([0x80, 0, 0, number]) + bytes(8) + b"\x80" * 160, caller.ear.target)
        await hears_itself(caller, 1200)
        await caller.hang_up()
        assert caller.ear.breaks() == []
        record = await bridge.record(caller.sip_call_id)
    assert record.media
    assert record.media.near.unauthenticated == 5


async def test_invite_without_sdp(bridge: Rig) -> None:
    """The offer is ours, with a key for each suite; what the caller takes is what is used."""
    async with codec_phone(bridge.udp, "PCMU", profile="RTP/SAVP", host=REQUIRED) as caller:
        caller.dialog = caller.peer.invite(sdp="", user=ECHO)
        offer = await caller.dialog.response("INVITE")
        assert offer.status == 200
        lines = [line.removeprefix("a=crypto:") for line in offer.body.splitlines() if line.startswith("a=crypto:")]
        ours = [crypto.parse(line) for line in lines]
        assert [one.suite for one in ours] == list(SUITES)
        keys.extend(base64.b64encode(one.key).decode() for one in ours)
        caller.ear.key = key(ours[1].tag, ours[1].suite)
        caller.dialog.ack(caller.ear.offer())
        without_the_other = "".join(line for line in offer.body.splitlines(keepends=True) if lines[0] not in line)
        caller.ear.connect(without_the_other)
        await hears_itself(caller, 800)
        await caller.hang_up()
        assert caller.ear.breaks() == []
