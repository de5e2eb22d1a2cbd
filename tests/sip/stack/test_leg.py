"""The real sip process calls out and registers; a scripted peer takes the calls."""

from __future__ import annotations

import pytest

from sip import crypto
from sip import messages as m
from sip.sdp import CODECS, build_answer, build_offer, choose, parse
from tests.helpers.registrar import challenge, grant, is_right, registering
from tests.helpers.sippeer import Dialog, SipMessage, SipPeer, sdp
from tests.helpers.sipprocess import (
    OFFER,
    SipProcess,
    answer_to,
    origin,
    remote_hang_up,
    together,
)


async def dialled(process: SipProcess, peer: SipPeer) -> tuple[Dialog, SipMessage]:
    process.send(m.Dial(call="out", uri=f"sip:77@{peer.address};transport={peer.transport.lower()}", sdp=OFFER))
    return await peer.accept("INVITE")


class TestOutbound:
    @pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
    async def test_a_call_from_first_to_last(self, tcp: bool) -> None:
        async with together(tcp=tcp) as (process, peer):
            process.send(
                m.Dial(
                    call="out",
                    uri=f"sip:77@{peer.address};transport={peer.transport.lower()}",
                    sdp=OFFER,
                    from_user="4711",
                    headers=(("X-Campaign", "spring"),),
                )
            )
            call, invite = await peer.accept("INVITE")
            assert invite.body == OFFER
            assert invite["From"].startswith("<sip:4711@127.0.0.1>")
            assert invite["X-Campaign"] == "spring"
            call.respond(invite, 180)
            assert await process.expect(m.Ringing) == m.Ringing(call="out", status=180)
            early, theirs = sdp(port=40020), sdp(port=40020, formats="8 101")
            call.respond(invite, 183, sdp=early)
            assert await process.expect(m.Ringing) == m.Ringing(call="out", status=183, sdp=early)
            call.respond(invite, 200, sdp=theirs)
            assert await process.expect(m.Answered) == m.Answered(call="out", sdp=theirs)
            assert await process.expect(m.Confirmed) == m.Confirmed(call="out")
            await call.request("ACK")
            call.them = invite["From"]
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up("out")

    @pytest.mark.parametrize("codec", CODECS)
    async def test_codecs_and_keys_pass_through(self, codec: str) -> None:
        """PJSUA, which knows neither, negotiates after its fashion too: our words and theirs must stay as they are."""
        offer = build_offer(tuple(CODECS), host="127.0.0.1", port=20000, srtp="required", keys=crypto.offer())
        choice = choose(parse(offer), (codec,), "required")
        assert choice is not None
        key = crypto.fresh(1, next(iter(crypto.SUITES)))
        theirs = build_answer(parse(offer), choice, host="127.0.0.1", port=40020, key=key)
        async with together() as (process, peer):
            process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=offer))
            call, invite = await peer.accept("INVITE")
            assert invite.body == offer
            call.respond(invite, 200, sdp=theirs)
            assert await process.expect(m.Answered) == m.Answered(call="out", sdp=theirs)
            assert await process.expect(m.Confirmed) == m.Confirmed(call="out")
            await call.request("ACK")
            call.them = invite["From"]
            assert (await call.transact("OPTIONS")).status == 200
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up("out")
            assert key.text not in str(process.log)

    async def test_an_answer_that_came_early(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            early = sdp(port=40020)
            call.respond(invite, 183, sdp=early)
            await process.expect(m.Ringing)
            call.respond(invite, 200)
            assert await process.expect(m.Answered) == m.Answered(call="out", sdp=early)

    async def test_our_version_goes_on_when_they_offer(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            call.respond(invite, 200, sdp=sdp(port=40020))
            await process.expect(m.Answered)
            await process.expect(m.Confirmed)
            await call.request("ACK")
            call.them = invite["From"]
            theirs = sdp(port=40020, direction="inactive", version=2)
            call.send("INVITE", sdp=theirs)
            await process.expect(m.Reoffer)
            process.send(m.AnswerReoffer(call="out", sdp=answer_to(theirs), number=1))
            answer = await call.talk()
            session, version = origin(OFFER)
            assert origin(answer.body) == [session, str(int(version) + 1)]

    @pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (404, "Not Found"), (302, "Moved")])
    async def test_a_refusal(self, status: int, reason: str) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            call.respond(invite, status, reason, headers=[("Contact", "<sip:elsewhere@127.0.0.1:9>")])
            await call.request("ACK")
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.status, ended.by) == ("out", status, "remote")

    async def test_giving_up_while_it_rings(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            call.respond(invite, 180)
            await process.expect(m.Ringing)
            process.send(m.Hangup(call="out", reason="no answer"))
            call.respond(await call.request("CANCEL"), 200)
            call.respond(invite, 487, "Request Terminated")
            assert await process.expect(m.Ended) == m.Ended(call="out", status=487, reason="no answer", by="local")

    async def test_a_peer_that_says_nothing(self) -> None:
        async with SipProcess(transaction_timeout_ms=1000) as process, await SipPeer.udp(process.udp) as silent:
            process.send(m.Dial(call="out", uri=f"sip:77@{silent.address}", sdp=OFFER))
            assert await process.expect(m.Ended) == m.Ended(
                call="out", status=408, reason="Request Timeout", by="error"
            )

    @pytest.mark.parametrize(
        ("uri", "trunk"),
        [("sip:77@127.0.0.1:9;transport=tcp", ""), ("sip:@@", ""), ("sip:77@127.0.0.1", "moon")],
        ids=["closed port", "no uri", "no trunk"],
    )
    async def test_calls_that_cannot_be_placed(self, uri: str, trunk: str) -> None:
        async with together() as (process, _):
            process.send(m.Dial(call="out", uri=uri, sdp=OFFER, trunk=trunk))
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by) == ("out", "error")
            assert ended.status >= 500

    async def test_an_answer_without_a_common_codec(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            call.respond(invite, 200, sdp=sdp(port=40020, formats="3"))
            await call.request("ACK")
            call.respond(await call.request("BYE"), 200)
            events = [await process.event()]
            while not isinstance(events[-1], m.Ended):
                events.append(await process.event())
            assert events[-1].call == "out"

    async def test_a_call_answers_the_challenge(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer)) as process:
            dialog, request = await peer.accept("REGISTER")
            grant(dialog, request)
            await process.expect(m.Registration)
            process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER, trunk="provider"))
            call, invite = await peer.accept("INVITE")
            challenge(call, invite, 407)
            await call.request("ACK")
            invite = await call.request("INVITE")
            assert is_right(invite, "s3cret1")
            assert invite["From"].startswith("<sip:bridge1@127.0.0.1>")
            call.respond(invite, 486, "Busy Here")
            assert await process.expect(m.Ended) == m.Ended(call="out", status=486, reason="Busy Here", by="remote")
