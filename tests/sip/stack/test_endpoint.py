"""The real sip process, called by a scripted peer over a real socket."""

from __future__ import annotations

import asyncio

import pytest

from sip import messages as m
from sip.sdp import parse
from tests.helpers.sippeer import SipPeer, sdp
from tests.helpers.sipprocess import (
    OFFER,
    answer_to,
    answered,
    origin,
    remote_hang_up,
    together,
    without_origin,
)


class TestInbound:
    @pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
    async def test_a_call_from_first_to_last(self, tcp: bool) -> None:
        async with together(tcp=tcp) as (process, peer):
            offer = sdp(port=40000)
            call = peer.invite(
                sdp=offer, user="4711", headers=[("X-Customer", "7"), ("P-Asserted-Identity", "<sip:a@b>")]
            )
            assert (await call.response("INVITE", final=False)).first_line == "SIP/2.0 100 Trying"
            incoming = await process.expect(m.Incoming)
            assert incoming == m.Incoming(
                call=incoming.call,
                trunk="loop",
                source=peer.address,
                sip_call_id=call.call_id,
                from_uri=f"sip:peer@{peer.address}",
                from_name="Peer",
                to_uri=call.target,
                request_uri=call.target,
                offer=offer,
                headers=(("X-Customer", "7"), ("P-Asserted-Identity", "<sip:a@b>")),
            )
            process.send(m.Ring(call=incoming.call))
            ringing = await call.response("INVITE", final=False)
            assert (ringing.status, ringing.body) == (180, "")
            ours = answer_to(offer)
            process.send(m.Answer(call=incoming.call, sdp=ours))
            answer = await call.talk()
            assert without_origin(answer.body) == without_origin(ours)
            assert await process.expect(m.Confirmed) == m.Confirmed(call=incoming.call)
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(incoming.call)

    async def test_early_media_then_the_same_answer(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            ours = answer_to(incoming.offer)
            await call.response("INVITE", final=False)
            process.send(m.Ring(call=incoming.call, status=183, sdp=ours))
            early = await call.response("INVITE", final=False)
            process.send(m.Answer(call=incoming.call, sdp=ours))
            answer = await call.talk()
            assert early.status == 183
            assert without_origin(early.body) == without_origin(answer.body) == without_origin(ours)

    async def test_an_invite_without_sdp_gets_our_offer(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp="")
            incoming = await process.expect(m.Incoming)
            assert incoming.offer == ""
            process.send(m.Ring(call=incoming.call))  # must not make the stack offer something of its own
            process.send(m.Answer(call=incoming.call, sdp=OFFER))
            theirs = sdp(port=40010, formats="8 101")
            answer = await call.talk(theirs)
            assert without_origin(answer.body) == without_origin(OFFER)
            assert parse((await process.expect(m.Negotiated)).sdp) == parse(theirs)
            assert await process.expect(m.Confirmed) == m.Confirmed(call=incoming.call)
            await call.hang_up()

    async def test_we_hang_up(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Hangup(call=name, reason="agent said goodbye"))
            call.respond(await call.request("BYE"), 200)
            assert await process.expect(m.Ended) == m.Ended(
                call=name, status=200, reason="agent said goodbye", by="local"
            )

    async def test_cancel(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Ring(call=incoming.call))
            call.cancel()
            assert (await call.cancelled()).status == 200
            assert (await call.response("INVITE")).status == 487
            call.ack(rejected=True)
            assert await process.expect(m.Ended) == m.Ended(
                call=incoming.call, status=487, reason="Request Terminated", by="remote"
            )
            process.send(m.Answer(call=incoming.call, sdp=OFFER))  # has crossed the CANCEL: ignored
            await answered(process, peer)

    async def test_a_refusal_with_retry_after(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Refuse(call=incoming.call, status=503, reason="All Full", retry_after_s=7))
            refusal = await call.response("INVITE")
            call.ack(rejected=True)
            assert (refusal.first_line, refusal["Retry-After"]) == ("SIP/2.0 503 All Full", "7")
            assert await process.expect(m.Ended) == m.Ended(
                call=incoming.call, status=503, reason="All Full", by="local"
            )

    async def test_hanging_up_a_call_that_still_rings(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Hangup(call=incoming.call, status=480))
            assert (await call.response("INVITE")).status == 480
            call.ack(rejected=True)
            assert await process.expect(m.Ended) == m.Ended(
                call=incoming.call, status=480, reason="Temporarily Unavailable", by="local"
            )

    async def test_an_answer_that_is_no_sdp_ends_the_call(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Answer(call=incoming.call, sdp="nonsense"))
            assert (await call.response("INVITE")).status == 500
            call.ack(rejected=True)
            assert await process.expect(m.Ended) == m.Ended(
                call=incoming.call, status=500, reason="Server Internal Error", by="local"
            )

    async def test_a_retransmitted_invite_is_the_same_call(self) -> None:
        async with together() as (process, peer):
            call = peer.dialog()
            again = call.send("INVITE", sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            peer.send(again)
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            await call.talk()
            peer.send(again)
            assert await process.expect(m.Confirmed) == m.Confirmed(call=incoming.call)
            process.send(m.Ping(number=1))
            assert await process.expect(m.Pong) == m.Pong(number=1, calls=1)

    async def test_our_200_is_sent_again_until_the_ack(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            first, second = await call.response("INVITE"), await call.response("INVITE")
            assert (first.status, first) == (200, second)

    async def test_reliable_provisional_responses(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000), headers=[("Require", "100rel")])
            incoming = await process.expect(m.Incoming)
            ours = answer_to(incoming.offer)
            process.send(m.Ring(call=incoming.call, status=183, sdp=ours))
            early = await call.response("INVITE", final=False)
            while early.status == 100:
                early = await call.response("INVITE", final=False)
            assert (early.status, early["Require"]) == (183, "100rel")
            prack = await call.transact("PRACK", headers=[("RAck", f"{early['RSeq']} {call.invite_cseq} INVITE")])
            assert prack.status == 200
            process.send(m.Answer(call=incoming.call, sdp=ours))
            assert (await call.response("INVITE")).status == 200
            call.ack()
            assert await process.expect(m.Confirmed) == m.Confirmed(call=incoming.call)


class TestInTheCall:
    async def test_hold_resume_and_a_new_address(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            versions = []
            for version, theirs in enumerate(
                (
                    sdp(port=40000, direction="sendonly"),
                    sdp(port=40000),
                    sdp(port=40000, host="0.0.0.0"),
                    sdp(port=40008, host="127.0.0.2", formats="8 0 101"),
                ),
                start=2,
            ):
                offer = theirs.replace("4711 1 ", f"4711 {version} ")
                call.send("INVITE", sdp=offer)
                assert await process.expect(m.Reoffer) == m.Reoffer(call=name, sdp=offer, number=version - 1)
                ours = answer_to(offer)
                process.send(m.AnswerReoffer(call=name, sdp=ours, number=version - 1))
                answer = await call.talk()
                assert without_origin(answer.body) == without_origin(ours)
                versions.append(origin(answer.body))
            assert len({session for session, _ in versions}) == 1
            assert [int(version) for _, version in versions] == sorted(int(version) for _, version in versions)
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_a_reinvite_without_sdp_gets_our_last_word_as_offer(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INVITE")
            theirs = sdp(port=40012, formats="0 101", version=2)
            answer = await call.talk(theirs)
            assert without_origin(answer.body) == without_origin(answer_to(sdp(port=40000)))
            told = await process.expect(m.Negotiated)
            assert (told.call, parse(told.sdp)) == (name, parse(theirs))

    async def test_a_refused_reinvite_leaves_the_call_as_it_was(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INVITE", sdp=sdp(port=40000, formats="3", version=2))
            await process.expect(m.Reoffer)
            process.send(m.RefuseReoffer(call=name, number=1))
            assert (await call.response("INVITE")).status == 488
            call.ack(rejected=True)
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_an_update_is_answered_on_the_spot(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            theirs = sdp(port=40022, direction="sendonly", version=2)
            answer = await call.transact("UPDATE", sdp=theirs)
            assert (answer.status, without_origin(answer.body)) == (200, without_origin(answer_to(theirs)))
            assert await process.expect(m.Reoffer) == m.Reoffer(call=name, sdp=theirs, answered=True)
            refresh = await call.transact("UPDATE")
            assert (refresh.status, refresh.body) == (200, "")
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_hanging_up_answers_an_open_reinvite(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INVITE", sdp=sdp(port=40002, version=2))
            await process.expect(m.Reoffer)
            process.send(m.Hangup(call=name))
            assert (await call.response("INVITE")).status == 487
            call.ack(rejected=True)
            call.respond(await call.request("BYE"), 200)
            assert await process.expect(m.Ended) == m.Ended(call=name, status=200, reason="OK", by="local")

    async def test_options_and_what_we_do_not_do(self) -> None:
        async with together() as (process, peer):
            assert (await peer.dialog().transact("OPTIONS")).status == 200
            assert (await peer.dialog().transact("FOO")).status == 501
            call, name = await answered(process, peer)
            assert (await call.transact("OPTIONS")).status == 200
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_a_digit_by_info(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("INFO", body="Signal=5\r\nDuration=200\r\n", content_type="application/dtmf-relay")
            assert (await call.response("INFO")).status == 200
            assert await process.expect(m.InfoDigit) == m.InfoDigit(call=name, digit="5", duration_ms=200)
            call.send("INFO", body="#", content_type="application/dtmf")
            assert (await call.response("INFO")).status == 200
            assert await process.expect(m.InfoDigit) == m.InfoDigit(call=name, digit="#", duration_ms=160)
            assert (await call.transact("INFO")).status == 200
            call.send("INFO", body="<x/>", content_type="application/xml")
            assert (await call.response("INFO")).status == 415
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)


class TestBadInput:
    async def test_an_unknown_source_gets_nothing_and_is_told(self) -> None:
        async with together() as (process, _), await SipPeer.udp(process.udp, host="127.0.0.3") as stranger:
            for _ in range(3):
                stranger.dialog().send("INVITE", sdp=sdp(port=40000))
            stranger.send(b"\x00\xff" * 30)
            told = [await process.expect(m.Dropped), await process.expect(m.Dropped)]
            assert sorted(told, key=lambda dropped: dropped.method) == [
                m.Dropped(source=stranger.address, method="INVITE", count=3, why="no trunk has this address"),
                m.Dropped(source=stranger.address, method="garbage", count=1, why="no SIP"),
            ]
            assert stranger.inbox == []

    @pytest.mark.parametrize(
        "body", ["v=0\r\nnonsense\r\n", "\x00" * 40, "v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\nm=audio\r\n"]
    )
    async def test_broken_sdp_is_refused_by_the_stack(self, body: str) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=body)
            refusal = await call.response("INVITE")
            call.ack(rejected=True)
            assert refusal.status in (400, 488)
            told = await process.expect(m.RefusedByStack)
            assert (told.source, told.sip_call_id, told.status) == (peer.address, call.call_id, refusal.status)
            await answered(process, peer)

    async def test_garbage_and_then_a_call(self) -> None:
        async with together() as (process, peer):
            for garbage in (b"", b"\r\n\r\n", b"\x00", b"A" * 9000, b"\xff\xfe" * 700, b"SIP/2.0 200 OK\r\n\r\n"):
                peer.send(garbage)
            peer.send("INVITE sip:x SIP/2.0\r\nVia: \r\nContent-Length: -5\r\n\r\n")
            peer.send("BYE sip:x SIP/2.0\r\nCall-ID: 1\r\n\r\n")
            call = peer.invite(sdp=sdp(port=40000))
            event = await process.event()
            while isinstance(event, m.Dropped):
                event = await process.event()
            assert isinstance(event, m.Incoming)
            process.send(m.Refuse(call=event.call, status=486))
            assert (await call.response("INVITE")).status == 486

    async def test_requests_for_no_dialog(self) -> None:
        async with together() as (_, peer):
            assert (await peer.dialog().transact("BYE")).status == 481
            stray = peer.dialog()
            stray.send("CANCEL")
            assert (await stray.response("CANCEL")).status == 481


async def test_many_calls_at_once() -> None:
    """Each is its own: no name, no SDP, no end is mixed up."""
    async with together() as (process, peer):
        calls = [peer.invite(sdp=sdp(port=40000 + 2 * number)) for number in range(20)]
        names: dict[str, str] = {}
        for _ in calls:
            incoming = await process.expect(m.Incoming)
            names[incoming.sip_call_id] = incoming.call
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
        await asyncio.gather(*(call.talk() for call in calls))
        assert {(await process.expect(m.Confirmed)).call for _ in calls} == set(names.values())
        process.send(m.Ping(number=5))
        assert await process.expect(m.Pong) == m.Pong(number=5, calls=20)
        await asyncio.gather(*(call.hang_up() for call in calls))
        assert {(await process.expect(m.Ended)).call for _ in calls} == set(names.values())
