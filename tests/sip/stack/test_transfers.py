"""The real sip process is asked to transfer, and asks (RFC 3515, 3891, 5589); scripted peers play the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sip import messages as m
from tests.helpers.sippeer import Dialog, SipMessage, SipPeer, sdp
from tests.helpers.sipprocess import OFFER, SipProcess, answer_to, answered, remote_hang_up, together

TARGET = "sip:+4930222@192.0.2.9"


def refer_to(uri: str) -> list[tuple[str, str]]:
    return [("Refer-To", f"<{uri}>")]


def replaces(dialog: Dialog) -> str:
    """How the peer names its own dialog with us to somebody who is to ask us: our tag is the to-tag."""
    ours, theirs = dialog.them.partition("tag=")[2], dialog.us.partition("tag=")[2]
    return f"{dialog.call_id};to-tag={ours};from-tag={theirs}"


async def dialled(process: SipProcess, peer: SipPeer, name: str, **more: str) -> tuple[Dialog, SipMessage]:
    process.send(m.Dial(call=name, uri=f"sip:77@{peer.address}", sdp=OFFER, **more))  # type: ignore[arg-type]
    await process.expect(m.Dialled)
    return await peer.accept("INVITE")


class TestReferIn:
    @pytest.mark.parametrize("outbound", [False, True], ids=["their call", "our call"])
    async def test_accepted_and_told_how_it_fares(self, outbound: bool) -> None:
        async with together() as (process, peer):
            if outbound:
                call, invite = await dialled(process, peer, "c1")
                call.respond(invite, 200, sdp=sdp(port=40020))
                await process.expect(m.Answered)
                await process.expect(m.Confirmed)
                await call.request("ACK")
                call.them, name = invite["From"], "c1"
            else:
                call, name = await answered(process, peer)
            call.send("REFER", headers=[*refer_to(TARGET), ("Referred-By", "<sip:agent@192.0.2.8>")])
            assert await process.expect(m.Referred) == m.Referred(
                call=name, to_uri=TARGET, referred_by="sip:agent@192.0.2.8"
            )
            process.send(m.AnswerRefer(call=name))
            answer = await call.response("REFER")
            assert (answer.status, bool(answer["Contact"])) == (202, True)
            for status, state, body in (
                (100, "active;expires=180", "SIP/2.0 100 Trying\r\n"),
                (180, "active;expires=180", "SIP/2.0 180 Ringing\r\n"),
                (200, "terminated;reason=noresource", "SIP/2.0 200 OK\r\n"),
            ):
                process.send(m.NotifyRefer(call=name, status=status))
                notify = await call.request("NOTIFY")
                call.respond(notify, 200)
                assert (notify["Event"], notify["Subscription-State"]) == ("refer", state)
                assert (notify["Content-Type"], notify.body) == ("message/sipfrag;version=2.0", body)
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_refused_and_asked_again(self) -> None:
        """The second one's NOTIFYs say that they are for the second (RFC 3515, 2.4.6)."""
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("REFER", headers=refer_to(TARGET))
            await process.expect(m.Referred)
            process.send(m.AnswerRefer(call=name, status=603))
            assert (await call.response("REFER")).status == 603
            call.send("REFER", headers=refer_to(TARGET))
            await process.expect(m.Referred)
            process.send(m.AnswerRefer(call=name))
            assert (await call.response("REFER")).status == 202
            process.send(m.NotifyRefer(call=name, status=486, reason="Busy"))
            notify = await call.request("NOTIFY")
            call.respond(notify, 200)
            assert (notify["Event"], notify.body) == (f"refer;id={call.cseq}", "SIP/2.0 486 Busy\r\n")

    async def test_sent_again_it_is_asked_once(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            data = call.send("REFER", headers=refer_to(TARGET))
            peer.send(data)
            await process.expect(m.Referred)
            peer.send(data)
            process.send(m.AnswerRefer(call=name))
            assert (await call.response("REFER")).status == 202
            peer.send(data)
            assert (await call.response("REFER")).status == 202
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_while_one_waits_another_must_too(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            call.send("REFER", headers=refer_to(TARGET))
            await process.expect(m.Referred)
            call.send("REFER", headers=refer_to(TARGET))
            assert (await call.response("REFER")).status == 491
            process.send(m.Hangup(call=name))
            call.cseq -= 1
            assert (await call.response("REFER")).status == 487
            call.respond(await call.request("BYE"), 200)
            await process.expect(m.Ended)

    async def test_without_a_target_it_is_a_bad_request(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            assert (await call.transact("REFER")).status == 400
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    @pytest.mark.parametrize(
        ("targets", "status"),
        [
            ([f"<{TARGET}>", f"<{TARGET}>"], 400),
            (["garbage"], 400),
            (["<sip:>"], 400),
            (["<sip:a b@192.0.2.9>"], 400),
            (["<mailto:ana@example.org>"], 416),
            (["<http://example.org/>"], 416),
        ],
    )
    async def test_to_nobody_who_can_be_called(self, targets: list[str], status: int) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            refused = await call.transact("REFER", headers=[("Refer-To", target) for target in targets])
            assert refused.status == status
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_one_that_is_refused_takes_nothing_from_the_one_under_way(self) -> None:
        """The NOTIFYs are those of the first (RFC 3515, 2.4.6)."""
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            for status in (202, 491):
                call.send("REFER", headers=refer_to(TARGET))
                await process.expect(m.Referred)
                process.send(m.AnswerRefer(call=name, status=status))
                assert (await call.response("REFER")).status == status
            process.send(m.NotifyRefer(call=name, status=200))
            notify = await call.request("NOTIFY")
            call.respond(notify, 200)
            assert notify["Event"] == "refer"
            await call.hang_up()

    async def test_before_the_answer_it_is_declined(self) -> None:
        async with together() as (process, peer):
            call = peer.invite(sdp=sdp(port=40000))
            incoming = await process.expect(m.Incoming)
            process.send(m.Ring(call=incoming.call))
            while (await call.response("INVITE", final=False)).status != 180:
                pass
            assert (await call.transact("REFER", headers=refer_to(TARGET))).status == 603
            process.send(m.Refuse(call=incoming.call, status=486))
            assert (await call.response("INVITE")).status == 486

    async def test_in_place_of_a_call_of_ours_or_of_somebody_else(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            other, other_name = await answered(process, peer)
            call.send("REFER", headers=refer_to(f"{TARGET}?Replaces={escaped(replaces(other))}"))
            assert await process.expect(m.Referred) == m.Referred(call=name, to_uri=TARGET, replaces=other_name)
            process.send(m.AnswerRefer(call=name, status=603))
            await call.response("REFER")
            foreign = "x@192.0.2.9;to-tag=1;from-tag=2"
            call.send("REFER", headers=refer_to(f"{TARGET}?Replaces={escaped(foreign)}"))
            assert await process.expect(m.Referred) == m.Referred(call=name, to_uri=TARGET, replaces_header=foreign)


def escaped(header: str) -> str:
    return header.replace("@", "%40").replace(";", "%3B").replace("=", "%3D")


class TestReferOut:
    async def test_a_blind_transfer_and_its_news(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Refer(call=name, to_uri=TARGET))
            refer = await call.request("REFER")
            assert (refer["Refer-To"], refer["Referred-By"]) == (f"<{TARGET}>", "<sip:100@127.0.0.1>")
            call.respond(refer, 202)
            assert await process.expect(m.ReferProgress) == m.ReferProgress(
                call=name, status=100, reason="Accepted", final=False
            )
            for status, reason, state in ((180, "Ringing", "active;expires=60"), (200, "OK", "terminated")):
                await notified(call, status, reason, state)
                assert await process.expect(m.ReferProgress) == m.ReferProgress(
                    call=name, status=status, reason=reason, final=status == 200
                )
            process.send(m.Hangup(call=name))
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).by == "local"

    @pytest.mark.parametrize("status", [405, 501, 603])
    async def test_a_peer_that_will_not(self, status: int) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Refer(call=name, to_uri=TARGET))
            call.respond(await call.request("REFER"), status)
            told = await process.expect(m.ReferProgress)
            assert (told.status, told.final) == (status, True)
            assert (await call.transact("OPTIONS")).status == 200

    async def test_a_transfer_that_fails_at_the_other_end(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Refer(call=name, to_uri=TARGET))
            call.respond(await call.request("REFER"), 202)
            await process.expect(m.ReferProgress)
            await notified(call, 486, "Busy Here", "terminated;reason=noresource")
            told = await process.expect(m.ReferProgress)
            assert (told.status, told.final) == (486, True)

    async def test_attended_it_names_the_other_call(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            consult, invite = await dialled(process, peer, "consult")
            consult.respond(invite, 200, sdp=sdp(port=40020))
            await process.expect(m.Answered)
            await process.expect(m.Confirmed)
            process.send(m.Refer(call=name, replaces="consult"))
            refer = await call.request("REFER")
            tag_of_us = invite["From"].partition("tag=")[2]
            tag_of_them = consult.us.partition("tag=")[2]
            named = f"{invite['Call-ID']};to-tag={tag_of_them};from-tag={tag_of_us}"
            assert refer["Refer-To"].startswith("<sip:77@")
            assert f"?Replaces={escaped(named)}>" in refer["Refer-To"]

    async def test_to_what_would_be_a_header_of_its_own(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.Refer(call=name, to_uri="sip:x@y>\r\nFoo: bar"))
            refused = m.ReferProgress(call=name, status=500, reason="no URI to be referred to", final=True)
            assert await process.expect(m.ReferProgress) == refused
            await call.hang_up()

    async def test_in_place_of_a_call_that_is_gone(self) -> None:
        async with together() as (process, peer):
            _, name = await answered(process, peer)
            process.send(m.Refer(call=name, replaces="nobody"))
            told = await process.expect(m.ReferProgress)
            assert (told.status, told.final) == (500, True)


async def notified(call: Dialog, status: int, reason: str, state: str) -> None:
    call.send(
        "NOTIFY",
        body=f"SIP/2.0 {status} {reason}\r\n",
        content_type="message/sipfrag",
        headers=[("Event", "refer"), ("Subscription-State", state)],
    )
    assert (await call.response("NOTIFY")).status == 200


class TestReplaces:
    async def test_an_invite_that_takes_the_place_of_a_call(self) -> None:
        """It is asked for, not done: the old call stands until the control process ends it."""
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            new = peer.invite(sdp=sdp(port=40010), headers=[("Replaces", replaces(call)), ("Require", "replaces")])
            incoming = await process.expect(m.Incoming)
            assert incoming.replaces == name
            process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
            await new.talk()
            await process.expect(m.Confirmed)
            process.send(m.Hangup(call=name))
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).call == name
            assert (await new.transact("OPTIONS")).status == 200

    async def test_a_usual_call_after_it_takes_nobody_s_place(self) -> None:
        async with together() as (process, peer):
            call, _ = await answered(process, peer)
            peer.invite(sdp=sdp(port=40010), headers=[("Replaces", replaces(call))])
            assert (await process.expect(m.Incoming)).replaces
            peer.invite(sdp=sdp(port=40010))
            assert (await process.expect(m.Incoming)).replaces == ""

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ([("Replaces", "nobody@192.0.2.1;to-tag=1;from-tag=2")], 481),
            ([("Replaces", "{call};early-only")], 486),
            ([("Replaces", "{call}"), ("Replaces", "{call}")], 400),
        ],
        ids=["no such call", "early only", "twice"],
    )
    async def test_refusals(self, headers: list[tuple[str, str]], status: int) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            written = [(key, value.format(call=replaces(call))) for key, value in headers]
            new = peer.invite(sdp=sdp(port=40010), headers=written)
            assert (await new.response("INVITE")).status == status
            new.ack(rejected=True)
            await call.hang_up()
            assert (await ended_of(process)).call == name

    async def test_ours_names_the_dialog_as_its_peer_knows_it(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            _, invite = await dialled(process, peer, "new", replaces=name)
            ours, theirs = call.them.partition("tag=")[2], call.us.partition("tag=")[2]
            assert invite["Replaces"] == f"{call.call_id};to-tag={theirs};from-tag={ours}"
            assert "replaces" in invite["Require"]

    async def test_ours_for_a_call_that_is_gone(self) -> None:
        async with together() as (process, peer):
            process.send(m.Dial(call="new", uri=f"sip:77@{peer.address}", sdp=OFFER, replaces="nobody"))
            ended = await process.expect(m.Ended)
            assert (ended.by, ended.reason) == ("error", "no call nobody to be replaced")


async def ended_of(process: SipProcess) -> m.Ended:
    """Past what the gate has noted."""
    while not isinstance(event := await process.event(), m.Ended):
        assert isinstance(event, m.RefusedByStack)
    return event


class TestDigitsOut:
    async def test_by_info(self) -> None:
        async with together() as (process, peer):
            call, name = await answered(process, peer)
            process.send(m.SendInfoDigit(call=name, digit="#", duration_ms=200))
            info = await call.request("INFO")
            call.respond(info, 200)
            assert info["Content-Type"] == "application/dtmf-relay"
            assert info.body == "Signal=#\r\nDuration=200\r\n"
            process.send(m.SendInfoDigit(call=name, digit="1"))
            call.respond(await call.request("INFO"), 415)  # they know no such thing: the call goes on
            assert (await call.transact("OPTIONS")).status == 200


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[SipProcess, Dialog, str]]:
    async with together() as (process, peer):
        call, name = await answered(process, peer)
        yield process, call, name


@pytest.mark.parametrize(
    ("body", "digit"),
    [
        ("signal=5\r\nduration=160\r\n", "5"),
        ("SIGNAL = *\r\n", "*"),
        ("Duration=100\r\nSignal=a", "A"),
        ("Signal= 10\r\nDuration=250", "*"),
        ("Signal=7\nDuration=160\n", "7"),
    ],
)
async def test_a_digit_however_it_is_written_gets_its_200(body: str, digit: str) -> None:
    async with talking() as (process, call, _):
        call.send("INFO", body=body, content_type="application/dtmf-relay")
        assert (await call.response("INFO")).status == 200
        assert (await process.expect(m.InfoDigit)).digit == digit


@pytest.mark.parametrize("body", ["Signal=\r\n", "Signal", "Duration=160\r\n", "Signal=x\r\n", "signalling 5"])
async def test_what_is_no_digit_is_a_bad_request(body: str) -> None:
    async with talking() as (_, call, _):
        call.send("INFO", body=body, content_type="application/dtmf-relay")
        assert (await call.response("INFO")).status == 400
