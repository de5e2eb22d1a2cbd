"""Partners without an address: the real sip process asks for a password, and believes nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sip import messages as m
from tests.helpers.sippeer import Dialog, SipMessage, SipPeer, sdp
from tests.helpers.sipprocess import LOOPBACK, SipProcess, answer_to, remote_hang_up

ROAMING = m.TrunkAccount(
    name="roaming", kind="peer", inbound_username="partner", inbound_password="s3cret2", calls_per_s=0.0
)
STRANGER = "127.0.0.6"
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@asynccontextmanager
async def together(trunk: m.TrunkAccount = ROAMING) -> AsyncIterator[tuple[SipProcess, SipPeer]]:
    async with SipProcess(trunk, LOOPBACK) as process, await SipPeer.udp(process.udp, STRANGER) as peer:
        yield process, peer


def call(peer: SipPeer, user: str = "partner") -> Dialog:
    dialog = peer.dialog("4711")
    dialog.us = f"<sip:{user}@anywhere.example>;tag=t{id(dialog)}"
    return dialog


def proof(
    challenge: SipMessage,
    uri: str,
    *,
    password: str = "s3cret2",
    user: str = "partner",
    algorithm: str = "MD5",
    count: int = 1,
    qop: bool = True,
) -> tuple[str, str]:
    """An Authorization header (RFC 2617, 3.2.2; RFC 8760)."""
    given = dict(re.findall(r'(\w+)="([^"]*)"', challenge["WWW-Authenticate"]))

    def digest(text: str) -> str:
        return HASHES[algorithm](text.encode()).hexdigest()

    secret, what = digest(f"{user}:{given['realm']}:{password}"), digest(f"INVITE:{uri}")
    middle = f"{given['nonce']}:{count:08x}:c1:auth" if qop else given["nonce"]
    extra = f', qop=auth, nc={count:08x}, cnonce="c1"' if qop else ""
    return (
        "Authorization",
        f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", '
        f'algorithm={algorithm}, response="{digest(f"{secret}:{middle}:{what}")}"{extra}',
    )


async def challenged(dialog: Dialog) -> SipMessage:
    dialog.send("INVITE", sdp=sdp(port=40000))
    challenge = await dialog.response("INVITE")
    assert challenge.status == 401, challenge.first_line
    dialog.ack(rejected=True)
    dialog.them = f"<{dialog.target}>"
    return challenge


async def is_taken(process: SipProcess, dialog: Dialog, header: tuple[str, str]) -> bool:
    dialog.send("INVITE", sdp=sdp(port=40000), headers=[header])
    answer = asyncio.create_task(dialog.response("INVITE"))
    event = asyncio.create_task(process.event())
    done, _ = await asyncio.wait((answer, event), return_when=asyncio.FIRST_COMPLETED, timeout=5)
    event.cancel()
    if event not in done:
        assert answer.result().status in (401, 403)
        return False
    incoming = event.result()
    assert isinstance(incoming, m.Incoming), incoming
    process.send(m.Refuse(call=incoming.call, status=486))
    assert (await answer).status == 486
    dialog.ack(rejected=True)
    await process.expect(m.Ended)
    return True


class TestTheRightPassword:
    @pytest.mark.parametrize(("algorithm", "qop"), [("MD5", True), ("MD5", False), ("SHA-256", True)])
    async def test_a_whole_call(self, algorithm: str, qop: bool) -> None:
        async with together() as (process, peer):
            dialog = call(peer)
            challenge = await challenged(dialog)
            assert "stale=true" not in challenge["WWW-Authenticate"].lower()
            header = proof(challenge, dialog.target, algorithm=algorithm, qop=qop)
            again = dialog.send("INVITE", sdp=sdp(port=40000), headers=[header])
            incoming = await process.expect(m.Incoming)
            assert (incoming.trunk, incoming.matched_by, incoming.source) == ("roaming", "digest", peer.address)
            peer.send(again)  # a retransmission is no second use of the nonce
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            await dialog.talk()
            await process.expect(m.Confirmed)
            assert (await dialog.transact("OPTIONS")).status == 200  # in the call nobody is asked again
            await dialog.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(incoming.call)
            assert "s3cret2" not in str(process.log)

    async def test_known_by_the_authorization_alone(self) -> None:
        async with together() as (process, peer):
            header = proof(await challenged(call(peer)), "sip:4711@x")
            assert await is_taken(process, call(peer, "+4930123"), header)

    async def test_who_gives_up_while_it_rings(self) -> None:
        async with together() as (process, peer):
            dialog = call(peer)
            dialog.send("INVITE", sdp=sdp(port=40000), headers=[proof(await challenged(dialog), dialog.target)])
            await process.expect(m.Incoming)
            dialog.cancel()
            assert (await dialog.cancelled()).status == 200
            assert (await dialog.response("INVITE")).status == 487
            assert (await process.expect(m.Ended)).status == 487


class TestNonces:
    async def test_with_a_count_a_nonce_may_be_used_again_but_each_count_once(self) -> None:
        async with together() as (process, peer):
            challenge = await challenged(call(peer))
            uses = [(1, True), (2, True), (2, False), (1, False), (7, True)]
            for count, good in uses:
                dialog = call(peer)
                assert await is_taken(process, dialog, proof(challenge, dialog.target, count=count)) is good, count

    async def test_without_a_count_just_once(self) -> None:
        async with together() as (process, peer):
            challenge = await challenged(call(peer))
            for good in (True, False):
                dialog = call(peer)
                header = proof(challenge, dialog.target, qop=False)
                assert await is_taken(process, dialog, header) is good

    async def test_of_another_address_is_stale(self) -> None:
        async with together() as (process, peer), await SipPeer.udp(process.udp, "127.0.0.7") as thief:
            dialog = call(peer)
            header = proof(await challenged(dialog), dialog.target)
            stolen = call(thief)
            stolen.send("INVITE", sdp=sdp(port=40000), headers=[header])
            answer = await stolen.response("INVITE")
            assert answer.status == 401
            assert "stale=true" in answer["WWW-Authenticate"].lower()
            assert await is_taken(process, dialog, header)

    async def test_made_up(self) -> None:
        async with together() as (_, peer):
            dialog = call(peer)
            challenge = await challenged(dialog)
            nonce = re.search(r'nonce="([^"]*)"', challenge["WWW-Authenticate"])
            assert nonce
            forged = SipMessage(
                "",
                (("WWW-Authenticate", challenge["WWW-Authenticate"].replace(nonce[1], "0" * len(nonce[1]))),),
                "",
            )
            dialog.send("INVITE", sdp=sdp(port=40000), headers=[proof(forged, dialog.target)])
            answer = await dialog.response("INVITE")
            assert "stale=true" in answer["WWW-Authenticate"].lower()


class TestEverybodyElse:
    async def test_a_wrong_password_is_refused_and_counted(self) -> None:
        async with together() as (process, peer):
            dialog = call(peer)
            header = proof(await challenged(dialog), dialog.target, password="guessed")
            dialog.send("INVITE", sdp=sdp(port=40000), headers=[header])
            assert (await dialog.response("INVITE")).status == 403
            dialog.ack(rejected=True)
            told = sorted([await process.expect(m.Dropped) for _ in range(2)], key=lambda one: one.why)
            assert [(one.source, one.method, one.count, one.why) for one in told] == [
                (peer.address, "INVITE", 1, "a wrong password for a digest user of ours: 403"),
                (peer.address, "INVITE", 1, "asked for its password: 401"),
            ]
            assert process.log == []

    async def test_nobody_else_is_answered(self) -> None:
        async with together() as (process, peer), await SipPeer.udp(process.udp) as known:
            call(peer, "somebody").send("INVITE", sdp=sdp(port=40000))
            for method in ("OPTIONS", "REGISTER", "BYE", "ACK"):
                call(peer).send(method)
            assert (await known.dialog().transact("OPTIONS")).status == 200
            assert peer.inbox == []

    async def test_a_flood_of_guesses_gets_few_answers_and_few_words(self) -> None:
        async with together() as (process, peer), await SipPeer.udp(process.udp) as known:
            for _ in range(200):
                call(peer).send("INVITE", sdp=sdp(port=40000))
            assert (await known.dialog().transact("OPTIONS")).status == 200
            await asyncio.sleep(0.1)  # the answers have come before; now they are read
            answers = [one for one in peer.inbox if one.status == 401]
            assert 10 <= len(answers) <= 40
            told = [await process.expect(m.Dropped) for _ in range(2)]
            assert sum(one.count for one in told) == 200
            assert process.log == []

    async def test_a_password_of_nobody_opens_nothing(self) -> None:
        trunk = m.TrunkAccount(name="roaming", kind="peer", inbound_username="partner")
        async with together(trunk) as (process, peer), await SipPeer.udp(process.udp) as known:
            call(peer).send("INVITE", sdp=sdp(port=40000))
            assert (await known.dialog().transact("OPTIONS")).status == 200
            assert peer.inbox == []
