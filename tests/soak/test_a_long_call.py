"""One call for a long time, with an echo that never pauses: no frame lost, no delay that grows, no memory either.

Every frame of the caller's bears its own number, so each is known when it comes back: mu-law passes through untouched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from media.wire import CallReport
from tests.helpers.phone import FRAME, Handset, Phone
from tests.helpers.rig import rig
from tests.helpers.sippeer import SipPeer
from tests.helpers.weight import weighing

VAPI_MULAW = "2"
NUMBER_AT = 120
"Where in a frame its number stands: behind what a join of two pieces of sound may touch."
DIGITS = bytes(range(0x80, 0xC0))
"Loud mu-law codes, six bits each."
PLACES = 4
GROWTH_KIB = 4 * 1024
SETTLED_S = 5.0
"A frame that misses its tick costs one of delay, which is drained within a second."
DRIFT_MS = 5.0
"Between the usual delay of the first and of the last part. A phase may settle anew; what drifts goes far beyond."


def frame(number: int) -> bytes:
    marks = bytes(DIGITS[number >> 6 * place & 63] for place in range(PLACES))
    loud = bytes(DIGITS[(number * 7 + n) & 63] for n in range(FRAME))
    return loud[:NUMBER_AT] + marks + loud[NUMBER_AT + PLACES :]


def number_of(payload: bytes) -> int | None:
    marks = payload[NUMBER_AT : NUMBER_AT + PLACES]
    if not all(code in DIGITS for code in marks):
        return None
    number = sum((code - DIGITS[0]) << 6 * place for place, code in enumerate(marks))
    return number if payload[NUMBER_AT:] == frame(number)[NUMBER_AT:] else None


@dataclass(frozen=True, slots=True)
class Echo:
    number: int
    delay_s: float
    at_s: float


class Speaker(Handset):
    """Says frame after frame, and keeps only when each came back."""

    def __init__(self) -> None:
        super().__init__("0 101")
        self.said_at: list[float] = []
        self.echoes: list[Echo] = []
        self.others = 0
        "Frames between the first echo and the last that are none of ours as we said them."
        self._looked = 0

    def _send_frame(self) -> None:
        self._speech.append(frame(len(self.said_at)))
        self.said_at.append(time.monotonic())
        super()._send_frame()

    def listen(self) -> None:
        """Asked now and then, so that an hour of packets is not kept."""
        for packet in self.heard:
            number = number_of(packet.payload)
            if number is None:
                self.others += bool(self.echoes)
            else:
                self.echoes.append(Echo(number, packet.at - self.said_at[number], packet.at - self.said_at[0]))
        self.heard.clear()

    def delays_ms(self, begin_s: float, end_s: float) -> list[float]:
        return [one.delay_s * 1000 for one in self.echoes if begin_s <= one.at_s < end_s]

    def minutes(self) -> Iterator[tuple[int, float, float]]:
        """(minute, usual delay in ms, longest)"""
        for minute in range(int(self.echoes[-1].at_s // 60) + 1):
            delays = self.delays_ms(minute * 60, minute * 60 + 60)
            if delays:
                yield minute, median(delays), max(delays)


@asynccontextmanager
async def speaking(target: tuple[str, int]) -> AsyncIterator[tuple[Phone, Speaker]]:
    async with await SipPeer.udp(target) as peer:
        speaker = Speaker()
        try:
            yield Phone(peer, speaker), speaker
        finally:
            await speaker.close()


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(20, marks=pytest.mark.timeout(120)),
        pytest.param(25.5 * 60, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
async def test_nothing_drifts_and_nothing_grows(tmp_path: Path, seconds: float) -> None:
    part_s = max(SETTLED_S, seconds / 20)
    async with rig(tmp_path) as house, speaking(house.udp) as (caller, speaker):
        async with weighing(house) as scales:
            await caller.call(VAPI_MULAW)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(1.0)
                speaker.listen()
        await speaker.hush()
        await asyncio.sleep(0.3)
        speaker.listen()
        await caller.hang_up()
        record = await house.record(caller.sip_call_id)
        for minute, usual_ms, longest_ms in speaker.minutes():
            print(f"minute {minute}: {usual_ms:.1f} ms, longest {longest_ms:.1f} ms")
        print(scales, record.media, sep="\n")
        assert record.media
        assert_whole(speaker, record.media)
        first, last = speaker.delays_ms(part_s, 2 * part_s), speaker.delays_ms(seconds - part_s, seconds)
        assert median(last) - median(first) <= DRIFT_MS
        growth = scales.growth_kib(0.1)
        assert all(grown <= GROWTH_KIB for grown in growth.values()), f"{growth}\n{scales}"


def assert_whole(speaker: Speaker, media: CallReport) -> None:
    """Everything came back once and in order, but for what a stall of this machine made the bridge drop and count."""
    numbers = [one.number for one in speaker.echoes]
    assert numbers == sorted(set(numbers))
    assert (media.near.lost, media.near.late, media.near.malformed, media.far.trouble) == (0, 0, 0, 0)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    dropped_ms = media.far.ahead_dropped_ms + media.far.backlog_dropped_ms + media.far.overflow_ms
    # A cut of frames mixes the two at its ends into one, which is neither; so does a join of less than a frame.
    assert missing * 20 <= 2 * dropped_ms, f"{missing} frames are missing, {dropped_ms} ms were dropped"
    if media.far.underruns == 0 == dropped_ms:
        assert speaker.others == 0
