"""Messages that cross, come twice, or come from several at once: the real sip process against scripted peers."""

from __future__ import annotations

import re
import secrets

import pytest

from sip import messages as m
from tests.helpers.sippeer import Dialog, Headers, SipMessage, SipPeer, sdp
from tests.helpers.sipprocess import OFFER, SipProcess, answer_to, answered, together


async def dialled(process: SipProcess, peer: SipPeer) -> tuple[Dialog, SipMessage]:
    process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER))
    await process.expect(m.Dialled)
    return await peer.accept("INVITE")


def branch_of(call: Dialog) -> Dialog:
    """Another phone that the same INVITE has reached: a tag and a Contact of its own."""
    other = Dialog(call.peer, call_id=call.call_id, us=re.sub(r"tag=.*", f"tag={secrets.token_hex(4)}", call.us))
    other.them, other.target = call.them, call.target
    return other


def contact(branch: Dialog, user: str) -> Headers:
    return [("Contact", f"<sip:{user}@{branch.peer.address}>")]


async def addressed(peer: SipPeer, method: str, user: str) -> SipMessage:
    return await peer.receive(
        lambda got: got.status == 0 and got.method == method and f"sip:{user}@" in got.uri, f"{method} to {user}"
    )


class TestForks:
    async def test_two_answers_the_first_wins(self) -> None:
        """The second gets its ACK and a BYE (RFC 3261, 13.2.2.4)."""
        async with together() as (process, peer):
            first, invite = await dialled(process, peer)
            second = branch_of(first)
            first.respond(invite, 200, sdp=sdp(port=40020), headers=contact(first, "first"))
            assert (await process.expect(m.Answered)).sdp == sdp(port=40020)
            await process.expect(m.Confirmed)
            await addressed(peer, "ACK", "first")
            second.respond(invite, 200, sdp=sdp(port=40040), headers=contact(second, "second"))
            await addressed(peer, "ACK", "second")
            bye = await addressed(peer, "BYE", "second")
            second.respond(bye, 200)
            assert bye["To"].partition("tag=")[2] == second.us.partition("tag=")[2]
            process.send(m.Hangup(call="out"))
            first.respond(await addressed(peer, "BYE", "first"), 200)
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by) == ("out", "local")

    async def test_several_ring_with_sounds_of_their_own_and_one_answers(self) -> None:
        """Each early dialog's SDP is told as it comes; what counts in the end is that of who answers."""
        async with together() as (process, peer):
            first, invite = await dialled(process, peer)
            second = branch_of(first)
            early = [sdp(port=port, formats="0 101") for port in (40020, 40040)]
            first.respond(invite, 183, sdp=early[0], headers=contact(first, "first"))
            assert (await process.expect(m.Ringing)).sdp == early[0]
            second.respond(invite, 183, sdp=early[1], headers=contact(second, "second"))
            assert (await process.expect(m.Ringing)).sdp == early[1]
            second.respond(invite, 200, sdp=early[1], headers=contact(second, "second"))
            assert (await process.expect(m.Answered)).sdp == early[1]
            await process.expect(m.Confirmed)
            await addressed(peer, "ACK", "second")
            process.send(m.Hangup(call="out"))
            second.respond(await addressed(peer, "BYE", "second"), 200)
            assert (await process.expect(m.Ended)).by == "local"

    async def test_the_one_that_rang_first_answers_after_all(self) -> None:
        async with together() as (process, peer):
            first, invite = await dialled(process, peer)
            second = branch_of(first)
            early = [sdp(port=port, formats="0 101") for port in (40020, 40040)]
            first.respond(invite, 183, sdp=early[0], headers=contact(first, "first"))
            second.respond(invite, 183, sdp=early[1], headers=contact(second, "second"))
            await process.expect(m.Ringing)
            await process.expect(m.Ringing)
            first.respond(invite, 200, sdp=early[0], headers=contact(first, "first"))
            assert (await process.expect(m.Answered)).sdp == early[0]


class TestRefusals:
    async def test_a_redirection_tells_where_to_best_first(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            listed = '"A, B" <sip:a@192.0.2.1>;q=0.3, <sip:b@192.0.2.2;transport=tcp>;q=0.9'
            call.respond(invite, 302, headers=[("Contact", listed), ("Contact", "<tel:+4930111>;q=0.5")])
            await call.request("ACK")
            ended = await process.expect(m.Ended)
            assert (ended.status, ended.by) == (302, "remote")
            assert ended.contacts == ("sip:b@192.0.2.2;transport=tcp", "tel:+4930111", "sip:a@192.0.2.1")

    @pytest.mark.parametrize(
        ("status", "value", "seconds"), [(503, "18000;duration=3600", 18000), (486, "7 (busy)", 7)]
    )
    async def test_when_to_try_again(self, status: int, value: str, seconds: int) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            call.respond(invite, status, headers=[("Retry-After", value)])
            await call.request("ACK")
            ended = await process.expect(m.Ended)
            assert (ended.status, ended.retry_after_s, ended.contacts) == (status, seconds, ())


class TestCancel:
    async def test_their_answer_crosses_our_cancel(self) -> None:
        """The call stood for a moment: ACK, and BYE (RFC 3261, 9.1)."""
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            call.respond(invite, 180)
            await process.expect(m.Ringing)
            process.send(m.Hangup(call="out", reason="gone"))
            cancel = await call.request("CANCEL")
            call.respond(invite, 200, sdp=sdp(port=40020))
            call.respond(cancel, 200)
            await call.request("ACK")
            call.respond(await call.request("BYE"), 200)
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by, ended.reason) == ("out", "local", "gone")

    async def test_we_give_up_before_anything_has_come(self) -> None:
        """No CANCEL before a provisional answer; then one, and the late 200 ends in a BYE (RFC 3261, 9.1)."""
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            process.send(m.Hangup(call="out"))
            call.respond(invite, 200, sdp=sdp(port=40020))
            await call.request("ACK")
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).by == "local"

    async def test_their_cancel_crosses_our_answer(self) -> None:
        """The 200 was first: CANCEL gets its 200 and changes nothing, the caller then hangs up (RFC 3261, 9.2)."""
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            assert (await call.response("INVITE")).status == 200
            call.cancel()
            assert (await call.cancelled()).status == 200
            call.ack()
            await process.expect(m.Confirmed)
            await call.hang_up()
            assert (await process.expect(m.Ended)).by == "remote"

    async def test_our_answer_crosses_their_cancel(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            while (await call.response("INVITE", final=False)).status != 100:
                pass
            call.cancel()
            ended = await process.expect(m.Ended)
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            assert (await call.response("INVITE")).status == 487
            call.ack(rejected=True)
            assert (ended.status, ended.by) == (487, "remote")


class TestRepetitions:
    async def test_requests_that_come_twice_are_done_once(self) -> None:
        async with together() as (process, peer):
            call = peer.dialog()
            invite = call.send("INVITE", sdp=sdp(port=40000))
            peer.send(invite)
            incoming = await process.expect(m.Incoming)
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            await call.talk()
            assert await process.expect(m.Confirmed) == m.Confirmed(call=incoming.call)
            peer.send(invite)
            held = call.send("INVITE", sdp=sdp(port=40000, direction="sendonly", version=2))
            peer.send(held)
            reoffer = await process.expect(m.Reoffer)
            peer.send(held)
            process.send(m.AnswerReoffer(call=incoming.call, sdp=answer_to(reoffer.sdp), number=reoffer.number))
            await call.talk()
            bye = call.send("BYE")
            peer.send(bye)
            assert (await call.response("BYE")).status == 200
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by) == (incoming.call, "remote")
            peer.send(bye)
            assert (await call.response("BYE")).status == 200  # still remembered

    async def test_answers_that_come_twice_count_once(self) -> None:
        async with together() as (process, peer):
            call, invite = await dialled(process, peer)
            for _ in range(2):
                call.respond(invite, 180)
            assert (await process.expect(m.Ringing)).status == 180
            for _ in range(3):
                call.respond(invite, 200, sdp=sdp(port=40020))
            acks = [await call.request("ACK") for _ in range(3)]  # each 200 has its ACK again (RFC 3261, 13.2.2.4)
            assert len({ack.cseq for ack in acks}) == 1
            events = [await process.event() for _ in range(2)]
            if isinstance(events[0], m.Ringing):
                events = [*events[1:], await process.event()]
            assert [type(event) for event in events] == [m.Answered, m.Confirmed]

    async def test_a_lost_bye_is_sent_again_and_the_call_is_over_at_once(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Hangup(call=name))
            await call.request("BYE")
            call.respond(await call.request("BYE"), 200)
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by) == (name, "local")

    async def test_an_answer_without_ack_is_repeated_and_then_given_up(self) -> None:
        async with (
            SipProcess(transaction_timeout_ms=2000) as process,
            await SipPeer.udp(process.udp) as peer,
        ):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            for _ in range(2):
                assert (await call.response("INVITE")).status == 200
            call.respond(await call.request("BYE"), 200)
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by) == (incoming.call, "error")
