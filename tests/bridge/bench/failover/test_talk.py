from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.bench.failover.talk import Metronome, Talk
from tests.helpers.rig import eventually


class Echo(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.is_on = True

    transport: asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.is_on:
            self.transport.sendto(data, addr)


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Echo]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    protocol.transport = transport
    yield protocol
    transport.close()


async def test_audio_that_comes_back_flows_and_a_pause_is_a_gap(echo: Echo) -> None:
    ticks: list[float] = []
    talk, metronome = Talk(3, "127.0.0.1"), Metronome(ticks.append)
    metronome.talks.append(talk)
    assert not talk.flows(time.monotonic())
    talk.begin(echo.transport.get_extra_info("sockname"))
    beat = asyncio.create_task(metronome.run())
    await eventually(lambda: talk.flows(time.monotonic()), "audio both ways")
    talk.forget_gaps()
    echo.is_on = False
    await asyncio.sleep(0.7)
    assert not talk.flows(time.monotonic())
    assert talk.longest_gap_ms(time.monotonic()) >= 600
    echo.is_on = True
    received = talk.incoming.received
    await eventually(lambda: talk.incoming.received > received + 20, "audio again")
    assert talk.longest_gap_ms(time.monotonic()) >= 600
    talk.forget_gaps()
    assert talk.longest_gap_ms(time.monotonic()) < 600
    beat.cancel()
    talk.close()
    assert not talk.is_sending
    assert len(ticks) > 50


async def test_an_echo_of_packets_without_the_marks_is_no_audio_both_ways(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the bridge sends silence and nobody hears us."""

    def silenced(data: bytes, addr: tuple[str, int]) -> None:
        echo.transport.sendto(data[:12] + b"\xff" * 160, addr)

    monkeypatch.setattr(echo, "datagram_received", silenced)
    talk, metronome = Talk(3, "127.0.0.1"), Metronome()
    metronome.talks.append(talk)
    talk.begin(echo.transport.get_extra_info("sockname"))
    beat = asyncio.create_task(metronome.run())
    await eventually(lambda: talk.incoming.received > 60, "packets")
    assert not talk.flows(time.monotonic())
    beat.cancel()
    talk.close()
