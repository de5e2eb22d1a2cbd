"""Offers of ours inside a call, glare, PRACK and UPDATE: the real sip process against a scripted peer."""

from __future__ import annotations

import asyncio

import pytest

from sip import messages as m
from sip.sdp import build_offer
from tests.helpers.sippeer import Dialog, SipMessage, SipPeer, sdp
from tests.helpers.sipprocess import (
    OFFER,
    SipProcess,
    answer_to,
    answered,
    origin,
    remote_hang_up,
    together,
    without_origin,
)


def ours(answer: str, port: int = 20010) -> str:
    return build_offer(("PCMU",), host="127.0.0.1", port=port, previous=answer)


async def dialled(process: SipProcess, peer: SipPeer) -> tuple[Dialog, SipMessage]:
    process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER))
    await process.expect(m.Dialled)
    return await peer.accept("INVITE")


async def standing(process: SipProcess, peer: SipPeer) -> tuple[Dialog, str]:
    """A call that we have placed."""
    call, invite = await dialled(process, peer)
    call.respond(invite, 200, sdp=sdp(port=40020))
    await process.expect(m.Answered)
    await process.expect(m.Confirmed)
    await call.request("ACK")
    call.them, call.target = invite["From"], call.target
    return call, "out"


class TestOurOffer:
    @pytest.mark.parametrize("outbound", [False, True], ids=["their call", "our call"])
    async def test_is_taken(self, outbound: bool) -> None:
        async with together() as (process, peer):
            call, name = await (standing if outbound else answered)(process, peer)
            offer = ours(OFFER)
            process.send(m.Reinvite(call=name, sdp=offer))
            invite = await call.request("INVITE")
            assert without_origin(invite.body) == without_origin(offer)
            theirs = sdp(port=40040, formats="0 101", version=2)
            call.respond(invite, 200, sdp=theirs)
            await call.request("ACK")
            told = await process.expect(m.Negotiated)
            assert (told.call, "m=audio 40040 " in told.sdp) == (name, True)
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_is_refused_and_the_call_goes_on(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Reinvite(call=name, sdp=ours(OFFER)))
            call.respond(await call.request("INVITE"), 488)
            await call.request("ACK")
            assert await process.expect(m.ReofferRefused) == m.ReofferRefused(call=name, status=488)
            held = sdp(port=40000, direction="sendonly", version=2)
            call.send("INVITE", sdp=held)
            await process.expect(m.Reoffer)
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(held), number=1))
            assert "a=recvonly" in (await call.talk()).body
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)


T38 = (
    "v=0\r\no=- 4711 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=image 40080 udptl t38\r\na=T38FaxVersion:0\r\n"
)
NO_SOUND = sdp(port=0, version=2)


async def take_back(call: Dialog) -> None:
    """CANCEL of a re-INVITE."""
    call.cancel()
    await call.cancelled()
    assert (await call.response("INVITE")).status == 487
    call.ack(rejected=True)


class TestTheirOffer:
    @pytest.mark.parametrize("offer", [T38.format(version=2), NO_SOUND], ids=["fax", "audio at port 0"])
    @pytest.mark.parametrize("outbound", [False, True], ids=["their call", "our call"])
    async def test_without_audio_is_refused_and_the_call_goes_on(self, outbound: bool, offer: str) -> None:
        async with together() as (process, peer):
            call, name = await (standing if outbound else answered)(process, peer)
            for version in (2, 4):
                call.send("INVITE", sdp=offer.replace("4711 2", f"4711 {version}"))
                assert (await call.response("INVITE")).status == 488
                call.ack(rejected=True)
                back = sdp(port=40000, version=version + 1)  # the fax machine falls back to sound, at once
                call.send("INVITE", sdp=back)
                reoffer = await process.expect(m.Reoffer)
                assert reoffer.sdp == back
                process.send(m.AnswerReoffer(call=name, sdp=answer_to(back), number=reoffer.number))
                assert (await call.talk()).status == 200
            process.send(m.Hangup(call=name, reason="enough"))
            call.respond(await call.request("BYE"), 200)
            assert await process.expect(m.Ended) == m.Ended(call=name, status=200, reason="enough", by="local")

    async def test_that_is_cancelled_is_forgotten(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INVITE", sdp=sdp(port=40040, version=2))
            taken_back = await process.expect(m.Reoffer)
            await take_back(call)
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(taken_back.sdp), number=taken_back.number))
            again = sdp(port=40050, version=3)
            call.send("INVITE", sdp=again)
            reoffer = await process.expect(m.Reoffer)
            # The answer to the one before it, even later than that:
            process.send(m.RefuseReoffer(call=name, number=taken_back.number))
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(again), number=reoffer.number))
            assert (await call.talk()).status == 200
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    @pytest.mark.parametrize("status", [0, 500])
    async def test_that_is_cancelled_leaves_us_able_to_hang_up(self, status: int) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INVITE", sdp=sdp(port=40040, version=2))
            await process.expect(m.Reoffer)
            await take_back(call)
            process.send(m.Hangup(call=name, status=status))
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).by == "local"

    async def test_that_requires_what_we_do_not_know(self) -> None:
        """RFC 3261, 8.2.2.3: inside a call as before it."""
        async with together() as (process, peer):
            call, _ = await answered(process, peer)
            call.send("INVITE", sdp=sdp(port=40040, version=2), headers=[("Require", "nope")])
            refusal = await call.response("INVITE")
            assert (refusal.status, refusal["Unsupported"]) == (420, "nope")
            call.ack(rejected=True)
            await call.hang_up()

    async def test_that_is_open_is_refused_when_we_hang_up(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INVITE", sdp=sdp(port=40040, version=2))
            await process.expect(m.Reoffer)
            process.send(m.Hangup(call=name))
            assert (await call.response("INVITE")).status == 487
            call.ack(rejected=True)
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).by == "local"


class TestGlare:
    async def test_theirs_meets_ours(self) -> None:
        """Ours is on its way: theirs gets 491, ours gets its answer (RFC 3261, 14.2)."""
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Reinvite(call=name, sdp=ours(OFFER)))
            invite = await call.request("INVITE")
            call.send("INVITE", sdp=sdp(port=40050, version=2))
            assert (await call.response("INVITE")).status == 491
            call.ack(rejected=True)
            call.respond(invite, 200, sdp=sdp(port=40040, formats="0 101", version=2))
            await call.request("ACK")
            told = await process.expect(m.Negotiated)
            assert "m=audio 40040 " in told.sdp

    @pytest.mark.parametrize("outbound", [False, True], ids=["their call", "our call"])
    async def test_ours_meets_theirs(self, outbound: bool) -> None:
        """491 to both. Whoever made the Call-ID waits 2.1 s to 4 s, the other up to 2 s; then ours is made again."""
        async with together() as (process, peer):
            call, name = await (standing if outbound else answered)(process, peer)
            loop = asyncio.get_running_loop()
            process.send(m.Reinvite(call=name, sdp=ours(OFFER)))
            call.respond(await call.request("INVITE"), 491)
            await call.request("ACK")
            began = loop.time()
            again = await call.request("INVITE")
            assert loop.time() - began >= (2.0 if outbound else 0.0)
            assert without_origin(again.body) == without_origin(ours(OFFER))
            call.respond(again, 200, sdp=sdp(port=40040, formats="0 101", version=2))
            await call.request("ACK")
            assert (await process.expect(m.Negotiated)).call == name

    async def test_while_theirs_is_being_answered_ours_waits(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            theirs = sdp(port=40050, version=2)
            call.send("INVITE", sdp=theirs)
            await process.expect(m.Reoffer)
            process.send(m.Reinvite(call=name, sdp=ours(OFFER)))
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(theirs), number=1))
            await call.talk()
            call.respond(await call.request("INVITE"), 200, sdp=sdp(port=40060, formats="0 101", version=3))
            await call.request("ACK")
            assert "m=audio 40060 " in (await process.expect(m.Negotiated)).sdp

    async def test_a_second_offer_of_theirs_before_the_first_is_answered(self) -> None:
        """500 with Retry-After (RFC 3261, 14.2)."""
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            theirs = sdp(port=40050, version=2)
            call.send("INVITE", sdp=theirs)
            await process.expect(m.Reoffer)
            first = call.cseq
            call.send("INVITE", sdp=sdp(port=40060, version=3))
            answer = await call.response("INVITE")
            assert answer.status == 500
            assert 0 <= int(answer["Retry-After"]) <= 10
            call.ack(rejected=True)
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(theirs), number=1))
            call.invite_cseq = first
            assert (await call.response("INVITE")).status == 200


RELIABLE = [("Supported", "100rel")]


class TestPrack:
    async def test_our_ringing_is_acknowledged(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000), headers=RELIABLE)
            incoming = await process.expect(m.Incoming)
            process.send(m.Ring(call=incoming.call, status=183, sdp=answer_to(incoming.offer)))
            while (early := await call.response("INVITE", final=False)).status != 183:
                pass
            assert (early["Require"], bool(early["RSeq"]), bool(early.body)) == ("100rel", True, True)
            prack = await call.transact("PRACK", headers=[("RAck", f"{early['RSeq']} {call.invite_cseq} INVITE")])
            assert prack.status == 200
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            assert (await call.talk()).body == ""  # the answer was given in the 183 already

    async def test_our_ringing_comes_again_until_it_is_acknowledged(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000), headers=RELIABLE)
            incoming = await process.expect(m.Incoming)
            process.send(m.Ring(call=incoming.call))
            numbers: list[str] = []
            while len(numbers) < 2:
                early = await call.response("INVITE", final=False)
                numbers += [early["RSeq"]] if early.status == 180 else []
            assert numbers[0] == numbers[1]
            assert (await call.transact("PRACK", headers=[("RAck", f"{numbers[0]} {call.invite_cseq} INVITE")])).status

    async def test_their_ringing_is_acknowledged_by_us(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            assert "100rel" in invite["Supported"]
            early = sdp(port=40020, formats="0 101")
            call.respond(invite, 183, sdp=early, headers=[("Require", "100rel"), ("RSeq", "1")])
            assert (await process.expect(m.Ringing)).sdp == early
            prack = await call.request("PRACK")
            assert prack["RAck"] == f"1 {invite.cseq} INVITE"
            call.respond(prack, 200)
            call.respond(invite, 200)
            assert (await process.expect(m.Answered)).sdp == early

    async def test_required_of_us_and_by_us(self) -> None:
        needs = m.TrunkAccount(name="loop", kind="peer", sources=("127.0.0.1",), prack="required")
        async with together(needs) as (process, peer):
            without = peer.invite(sdp=sdp(port=40000))
            refusal = await without.response("INVITE")
            assert (refusal.status, refusal["Require"]) == (421, "100rel")
            without.ack(rejected=True)
            process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER))
            _, invite = await peer.accept("INVITE")
            assert "100rel" in invite["Require"]

    async def test_off_only_who_requires_it_gets_it(self) -> None:
        never = m.TrunkAccount(name="loop", kind="peer", sources=("127.0.0.1",), prack="off")
        async with together(never) as (process, peer):
            for headers, is_reliable in ((RELIABLE, False), ([("Require", "100rel")], True)):
                call = peer.invite(sdp=sdp(port=40000), headers=headers)
                incoming = await process.expect(m.Incoming)
                process.send(m.Ring(call=incoming.call))
                while (early := await call.response("INVITE", final=False)).status != 180:
                    pass
                assert bool(early["RSeq"]) == is_reliable


class TestUpdate:
    async def test_in_an_early_dialog(self) -> None:
        """Their offer after a reliable 183 with our answer is answered on the spot (RFC 3311, 5.2)."""
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000), headers=RELIABLE)
            incoming = await process.expect(m.Incoming)
            process.send(m.Ring(call=incoming.call, status=183, sdp=answer_to(incoming.offer)))
            while (early := await call.response("INVITE", final=False)).status != 183:
                pass
            await call.transact("PRACK", headers=[("RAck", f"{early['RSeq']} {call.invite_cseq} INVITE")])
            moved = sdp(port=40010, version=2)
            update = await call.transact("UPDATE", sdp=moved)
            assert (update.status, origin(update.body)[0]) == (200, origin(early.body)[0])
            assert await process.expect(m.Reoffer) == m.Reoffer(call=incoming.call, sdp=moved, answered=True)

    async def test_in_a_call_that_stands(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            held = sdp(port=40000, direction="sendonly", version=2)
            update = await call.transact("UPDATE", sdp=held)
            assert (update.status, "a=recvonly" in update.body) == (200, True)
            assert await process.expect(m.Reoffer) == m.Reoffer(call=name, sdp=held, answered=True)
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_that_meets_our_offer(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Reinvite(call=name, sdp=ours(OFFER)))
            invite = await call.request("INVITE")
            assert (await call.transact("UPDATE", sdp=sdp(port=40050, version=2))).status == 491
            call.respond(invite, 200, sdp=sdp(port=40040, formats="0 101", version=2))
            await call.request("ACK")
            assert (await process.expect(m.Negotiated)).call == name
