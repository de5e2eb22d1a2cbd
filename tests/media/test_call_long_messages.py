"""A platform that sends ahead says half a minute in one message, and the worker has others to serve."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest

from media import wire
from media.codecs import CODECS
from media.intake import SLICE_MS
from media.playout import Playout
from tests.helpers.workerbench import bench, until

PCMU = CODECS["PCMU"]
RATE_HZ = 48000


def speech(seconds: float) -> np.ndarray:
    at = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (8000 * np.sin(2 * np.pi * 400 * at)).astype("<i2")


class Turns:
    """How much line audio was made in each turn of the loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.bytes: Counter[int] = Counter()
        self._loop, self._runs = asyncio.get_running_loop(), True
        push = Playout.push

        def counted(playout: Playout, data: bytes, now: float) -> None:
            self.bytes[self.now] += len(data)
            push(playout, data, now)

        monkeypatch.setattr(Playout, "push", counted)
        self._turn()

    def _turn(self) -> None:
        self.now += 1
        if self._runs:
            self._loop.call_soon(self._turn)

    def stop(self) -> None:
        self._runs = False


@pytest.mark.parametrize("message_ms", [10_000, 1000, 200, 40])
async def test_no_turn_of_the_loop_makes_more_than_two_slices(message_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at once, because the queue is empty, and one in its turn."""
    async with bench() as on:
        await on.talking(rate_hz=RATE_HZ, sends_ahead=True)
        turns = Turns(monkeypatch)
        said, size = speech(10.0).tobytes(), 2 * RATE_HZ * message_ms // 1000
        for at in range(0, len(said), size):
            await on.platform.say(said[at : at + size])
        await until(lambda: sum(turns.bytes.values()) >= 80_000)
        turns.stop()
        assert max(turns.bytes.values()) <= 2 * PCMU.frame_bytes(SLICE_MS)
        assert sum(turns.bytes.values()) == 80_000


async def test_a_barge_in_right_behind_a_long_message_leaves_nothing_of_it() -> None:
    async with bench() as on:
        caller = await on.talking(rate_hz=RATE_HZ, sends_ahead=True)
        await until(lambda: caller.heard)
        await on.platform.say(speech(20.0).tobytes())
        await on.platform.say("mark m")
        await on.platform.say("clear")
        moment = await on.control.moment("flush")
        assert moment.data == {"dropped_ms": pytest.approx(20_000, abs=200)}
        await until(lambda: "mark m" in on.platform.words)
        count = len(caller.heard)
        await until(lambda: len(caller.heard) >= count + 5)
        assert set(caller.heard[-1].payload) == {0xFF}


async def test_the_last_words_are_played_to_their_end_however_many_came_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is converted beyond what the tick asks for: what waits counts as words to be played."""
    monkeypatch.setattr("media.pieces.Pieces.add", lambda pieces, piece: None)
    async with bench() as on:
        caller = await on.talking(rate_hz=RATE_HZ, sends_ahead=True)
        await until(lambda: caller.heard)
        await on.platform.say(speech(1.0).tobytes())
        await on.platform.say("bye")
        await on.control.next(wire.FarEnded)
        loud = [packet for packet in caller.heard if int(np.abs(PCMU.decode(packet.payload)).max()) > 4000]
        assert len(loud) in (50, 51)
