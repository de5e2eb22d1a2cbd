"""Session timers (RFC 4028) with the real sip process, whose clock runs 30 times as fast: 90 s take three."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sip import messages as m
from tests.helpers.fastclock import fast_clock
from tests.helpers.sippeer import Dialog, Headers, SipMessage, SipPeer, sdp
from tests.helpers.sipprocess import OFFER, SipProcess, answer_to, remote_hang_up

FACTOR = 30
SESSION_S = 90 / FACTOR
"In the test's own time."
TIMER = ("Supported", "timer")


def expires(refresher: str, seconds: int = 90) -> tuple[str, str]:
    return ("Session-Expires", f"{seconds};refresher={refresher}")


def trunk(**settings: object) -> m.TrunkAccount:
    return m.TrunkAccount(name="loop", kind="peer", sources=("127.0.0.1",), **settings)  # type: ignore[arg-type]


@asynccontextmanager
async def hurried(folder: Path, **settings: object) -> AsyncIterator[tuple[SipProcess, SipPeer]]:
    env = fast_clock(folder, FACTOR)
    async with (
        SipProcess(trunk(**settings), env=env, transaction_timeout_ms=120000) as process,
        await SipPeer.udp(process.udp) as peer,
    ):
        yield process, peer


async def answered(process: SipProcess, peer: SipPeer, headers: Headers) -> tuple[Dialog, str, SipMessage]:
    call = peer.invite(sdp=sdp(port=40000), headers=headers)
    incoming = await process.expect(m.Incoming)
    process.send(m.Answer(call=incoming.call, sdp=answer_to(incoming.offer)))
    answer = await call.talk()
    await process.expect(m.Confirmed)
    return call, incoming.call, answer


async def dialled(process: SipProcess, peer: SipPeer, headers: Headers) -> tuple[Dialog, SipMessage]:
    process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER))
    await process.expect(m.Dialled)
    call, invite = await peer.accept("INVITE")
    call.respond(invite, 200, sdp=sdp(port=40020), headers=headers)
    await process.expect(m.Answered)
    await process.expect(m.Confirmed)
    await call.request("ACK")
    call.them = invite["From"]
    return call, invite


async def cut_off(process: SipProcess, call: Dialog, name: str) -> m.Ended:
    """BYE without anybody having hung up."""
    call.respond(await call.request("BYE", within_s=2 * SESSION_S + 5), 200)
    ended = await process.expect(m.Ended)
    assert (ended.call, ended.by, ended.status) == (name, "error", 408)
    assert ended.reason == "No session refresh received."
    return ended


class TestTheirsToRefresh:
    async def test_by_update_and_reinvite_it_lives_and_without_it_ends(self, tmp_path: Path) -> None:
        async with hurried(tmp_path) as (process, peer):
            call, name, answer = await answered(process, peer, [TIMER, expires("uac")])
            assert answer["Session-Expires"] == "90;refresher=uac"
            assert answer["Require"] == "timer"
            for _ in range(2):
                await asyncio.sleep(SESSION_S * 0.5)
                update = await call.transact("UPDATE", headers=[TIMER, expires("uac")])
                assert (update.status, update["Session-Expires"]) == (200, "90;refresher=uac")
            await asyncio.sleep(SESSION_S * 0.5)
            call.send("INVITE", sdp=sdp(port=40000), headers=[TIMER, expires("uac")])
            reoffer = await process.expect(m.Reoffer)
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(reoffer.sdp), number=reoffer.number))
            assert (await call.talk())["Session-Expires"] == "90;refresher=uac"
            await asyncio.sleep(SESSION_S * 0.5)
            assert (await call.transact("OPTIONS")).status == 200
            await cut_off(process, call, name)

    async def test_an_interval_that_is_too_small(self, tmp_path: Path) -> None:
        async with hurried(tmp_path, min_se_s=120) as (_, peer):
            call = peer.invite(sdp=sdp(port=40000), headers=[TIMER, expires("uac", 100)])
            answer = await call.response("INVITE")
            assert (answer.status, answer["Min-SE"]) == (422, "120")

    async def test_their_phone_which_we_have_called(self, tmp_path: Path) -> None:
        async with hurried(tmp_path, session_expires_s=90) as (process, peer):
            call, invite = await dialled(process, peer, [("Require", "timer"), expires("uas")])
            assert invite["Session-Expires"] == "90"
            assert "timer" in invite["Supported"]
            await asyncio.sleep(SESSION_S * 0.5)
            assert (await call.transact("UPDATE", headers=[TIMER, expires("uac")])).status == 200
            await cut_off(process, call, "out")


class TestOursToRefresh:
    @pytest.mark.parametrize("minutes", [3, pytest.param(30, marks=pytest.mark.soak)])
    async def test_by_update_again_and_again(self, tmp_path: Path, minutes: int) -> None:
        """Every 45 s, and the call stands at the end as at the beginning."""
        async with hurried(tmp_path) as (process, peer):
            call, name, answer = await answered(process, peer, [TIMER, ("Allow", "INVITE, UPDATE"), expires("uas")])
            assert answer["Session-Expires"] == "90;refresher=uas"
            for _ in range(minutes * 60 // 45):
                update = await call.request("UPDATE")
                assert (update["Session-Expires"], update.body) == ("90;refresher=uac", "")
                call.respond(update, 200, headers=[("Require", "timer"), expires("uac")])
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_by_reinvite_with_what_we_said_last(self, tmp_path: Path) -> None:
        """And an answer of theirs that is another one than before is told."""
        async with hurried(tmp_path) as (process, peer):
            call, name, answer = await answered(process, peer, [TIMER, expires("uas")])
            for port in (40000, 40000, 40030):
                invite = await call.request("INVITE")
                assert invite.body == answer.body
                call.respond(invite, 200, sdp=sdp(port=port), headers=[("Require", "timer"), expires("uac")])
                await call.request("ACK")
            told = [await process.expect(m.Negotiated)]
            if "m=audio 40000 " in told[-1].sdp:  # fewer codecs than in their first offer, as an answer is
                told.append(await process.expect(m.Negotiated))
            assert (told[-1].call, "m=audio 40030 " in told[-1].sdp) == (name, True)

    async def test_a_reinvite_without_a_timer_that_is_refused_changes_nothing(self, tmp_path: Path) -> None:
        """Only a 2xx agrees on anything (RFC 4028, 7.4)."""
        async with hurried(tmp_path) as (process, peer):
            call, name, _ = await answered(process, peer, [TIMER, ("Allow", "INVITE, UPDATE"), expires("uas")])
            call.send("INVITE", sdp=sdp(port=40000, formats="3", version=2), headers=[TIMER])
            process.send(m.RefuseReoffer(call=name, number=(await process.expect(m.Reoffer)).number))
            assert (await call.response("INVITE")).status == 488
            call.ack(rejected=True)
            for _ in range(2):
                update = await call.request("UPDATE")
                call.respond(update, 200, headers=[("Require", "timer"), expires("uac")])
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_a_reinvite_without_a_timer_that_is_taken_ends_it(self, tmp_path: Path) -> None:
        async with hurried(tmp_path) as (process, peer):
            call, name, _ = await answered(process, peer, [TIMER, ("Allow", "INVITE, UPDATE"), expires("uas")])
            theirs = sdp(port=40010, version=2)
            call.send("INVITE", sdp=theirs, headers=[TIMER])
            number = (await process.expect(m.Reoffer)).number
            process.send(m.AnswerReoffer(call=name, sdp=answer_to(theirs), number=number))
            assert (await call.talk())["Session-Expires"] == ""
            await asyncio.sleep(SESSION_S * 2)
            assert [got.method for got in peer.inbox if not got.status] == []
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)

    async def test_the_call_that_we_placed(self, tmp_path: Path) -> None:
        async with hurried(tmp_path, session_expires_s=90) as (process, peer):
            call, _ = await dialled(process, peer, [("Require", "timer"), expires("uac"), ("Allow", "INVITE, UPDATE")])
            for _ in range(2):
                call.respond(await call.request("UPDATE"), 200, headers=[("Require", "timer"), expires("uac")])
            await call.request("UPDATE")
            call.respond(await call.request("BYE", within_s=4 * SESSION_S), 200)  # the third was not answered
            ended = await process.expect(m.Ended)
            assert (ended.by, ended.status) == ("error", 408)

    @pytest.mark.parametrize("status", [491, 500, 502, 503])
    async def test_a_refresh_that_is_refused_is_tried_again(self, tmp_path: Path, status: int) -> None:
        async with hurried(tmp_path) as (process, peer):
            call, name, _ = await answered(process, peer, [TIMER, expires("uas")])
            call.respond(await call.request("INVITE"), status)
            await call.request("ACK")
            again = await call.request("INVITE")
            assert again["Session-Expires"].startswith("90;refresher=uac")
            call.respond(again, 200, sdp=sdp(port=40000), headers=[("Require", "timer"), expires("uac")])
            await call.request("ACK")
            call.respond(await call.request("INVITE"), 200, sdp=sdp(port=40000), headers=[expires("uac")])
            await call.request("ACK")
            await call.hang_up()
            events = [await process.event()]
            while not isinstance(events[-1], m.Ended):
                assert isinstance(events[-1], m.Negotiated)
                events.append(await process.event())
            assert events[-1] == remote_hang_up(name)

    @pytest.mark.parametrize("status", [481, 408])
    async def test_a_peer_that_knows_nothing_of_the_call(self, tmp_path: Path, status: int) -> None:
        async with hurried(tmp_path) as (process, peer):
            call, name, _ = await answered(process, peer, [TIMER, expires("uas")])
            call.respond(await call.request("INVITE"), status)
            await call.request("ACK")
            call.respond(await call.request("BYE"), 200)
            ended = await process.expect(m.Ended)
            assert (ended.call, ended.by) == (name, "error")


class TestPolicies:
    async def test_too_small_for_them_it_is_asked_for_what_they_want(self, tmp_path: Path) -> None:
        async with hurried(tmp_path, session_expires_s=90) as (process, peer):
            process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER))
            await process.expect(m.Dialled)
            call, invite = await peer.accept("INVITE")
            call.respond(invite, 422, headers=[("Min-SE", "200")])
            await call.request("ACK")
            again = await call.request("INVITE")
            assert (again["Session-Expires"], again["Min-SE"]) == ("200", "200")
            call.respond(again, 200, sdp=sdp(port=40020), headers=[("Require", "timer"), expires("uas", 200)])
            assert (await process.expect(m.Answered)).call == "out"

    async def test_off(self, tmp_path: Path) -> None:
        """Who wants it is let do without."""
        async with hurried(tmp_path, session_timer="off") as (process, peer):
            call, name, answer = await answered(process, peer, [TIMER, expires("uas")])
            assert answer["Session-Expires"] == ""
            await asyncio.sleep(SESSION_S * 1.2)
            assert (await call.transact("OPTIONS")).status == 200
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)
            _, invite = await dialled(process, peer, [])
            assert (invite["Session-Expires"], "timer" in invite["Supported"]) == ("", False)

    async def test_required(self, tmp_path: Path) -> None:
        async with hurried(tmp_path, session_timer="required") as (process, peer):
            without = peer.invite(sdp=sdp(port=40000))
            answer = await without.response("INVITE")
            assert (answer.status, answer["Require"]) == (421, "timer")
            without.ack(rejected=True)
            process.send(m.Dial(call="out", uri=f"sip:77@{peer.address}", sdp=OFFER))
            _, invite = await peer.accept("INVITE")
            assert "timer" in invite["Require"]
