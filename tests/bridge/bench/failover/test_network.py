"""Two networks door to door: one calls, the other is called. No partner stands between them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest_asyncio

from bridge.bench.failover.network import REROUTE_S, Call, Network
from bridge.bench.failover.talk import Metronome, Talk
from bridge.bench.siptext import parse
from bridge.bench.sockets import udp_socket
from tests.helpers.rig import eventually

NUMBER = "+525510000001"


class Pair:
    def __init__(self) -> None:
        self.ours, self.theirs = Network("127.0.0.1"), Network("127.0.0.1")
        for name in ("primary", "backup"):
            here, there = self.ours.door(name), self.theirs.door(name)
            here.open(there.address)
            there.open(here.address)
        self.metronome = Metronome(self._poll)

    def _poll(self, now: float) -> None:
        self.ours.poll(now)
        self.theirs.poll(now)

    def taken(self) -> list[Call]:
        return self.theirs.calls


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    built = Pair()
    beat = asyncio.create_task(built.metronome.run())
    yield built
    beat.cancel()
    built.ours.close()
    built.theirs.close()


async def test_a_call_is_answered_and_over_soon(pair: Pair) -> None:
    expected = pair.theirs.expect(NUMBER, time.monotonic())
    call = pair.ours.place(NUMBER, ("primary", "backup"), time.monotonic())
    await eventually(lambda: call.answered_s and expected.answered_s, "answer")
    assert (call.via, call.tried, call.answers) == ("primary", ["primary"], 1)
    assert (expected.via, expected.tried, expected.direction) == ("primary", ["primary"], "outbound")
    await eventually(lambda: all("ENDED" in str(one.dialog) for one in (call, expected)), "BYE")


async def test_silence_loses_the_call_to_the_next_route(pair: Pair) -> None:
    """And an answer that comes too late is hung up."""
    silent = udp_socket("127.0.0.1")
    pair.ours.doors["primary"].sock.connect(silent.getsockname())
    placed_s = time.monotonic()
    call = pair.ours.place(NUMBER, ("primary", "backup"), placed_s)
    await eventually(lambda: call.answered_s, "answer")
    assert call.answered_s is not None
    assert call.answered_s - placed_s >= REROUTE_S
    assert (call.via, call.tried) == ("backup", ["primary", "backup"])
    assert call.why == "primary: no answer in 1.5 s"
    silent.close()


async def test_nobody_there_and_no_other_way(pair: Pair) -> None:
    pair.theirs.doors["primary"].sock.setblocking(False)
    asyncio.get_running_loop().remove_reader(pair.theirs.doors["primary"].sock)
    call = pair.ours.place(NUMBER, ("primary",), time.monotonic())
    await asyncio.sleep(REROUTE_S + 0.3)
    assert (call.answered_s, call.tried) == (None, ["primary"])


async def test_calls_that_stand_have_audio_until_they_are_hung_up(pair: Pair) -> None:
    one, other = Talk(1, "127.0.0.1"), Talk(1, "127.0.0.1")
    pair.metronome.talks += [one, other]
    expected = pair.theirs.expect(NUMBER, time.monotonic(), one)
    call = pair.ours.place(NUMBER, ("primary",), time.monotonic(), other)
    await eventually(lambda: one.incoming.received > 20 and other.incoming.received > 20, "audio both ways")
    assert not expected.has_ended_early
    assert call.stands
    pair.theirs.hang_up(time.monotonic())
    await eventually(lambda: call.has_ended_early, "BYE")


async def test_a_word_to_a_partner(pair: Pair) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as partner:
        partner.bind(("127.0.0.1", 0))
        partner.setblocking(False)
        pair.ours.doors["primary"].sock.connect(partner.getsockname())
        pair.ours.tell("primary", "mode", "slow")
        told = parse(await asyncio.get_running_loop().sock_recv(partner, 65536))
    assert (told.method, told.uri, told.first("x-value")) == ("INFO", "sip:mode@primary", "slow")
