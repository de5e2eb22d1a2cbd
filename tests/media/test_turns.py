"""Turns: two people on one simulated clock, and what counts as one waiting for the other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from media.playout import Playout
from media.turns import STRIDE, TurnMeter
from tests.helpers.nearend import PCMU, SDP, START, near_end, packet, spec

FRAME_S = 0.02


def sound(codec: Codec, level: int) -> bytes:
    """20 ms of a 300 Hz tone."""
    at = np.arange(codec.line_rate_hz // 50) / codec.line_rate_hz
    return codec.encode((level * np.sin(2 * math.pi * 300 * at)).astype(np.int16))


class Talk:
    """Both sides, frame by frame: `#` loud, `.` silent, `-` low noise, ` ` no packet at all."""

    def __init__(self, name: str = "PCMU", phase: int = 0) -> None:
        codec = CODECS[name]
        self.meter = TurnMeter(codec)
        self.frames = {"#": sound(codec, 8000), ".": sound(codec, 0), "-": sound(codec, 300)}
        self.now = 1000.0
        self.count = phase
        self.heard = [b"", b""]

    def go(self, caller: str, agent: str) -> list[int]:
        """The turns so far, in frames."""
        for up, down in zip(caller, agent, strict=True):
            self.count += 1
            if up != " ":
                if not self.count % STRIDE:
                    self.meter.caller(self.frames[up], self.heard[-1], self.heard[-2], self.now)
                self.heard.append(self.frames[up])
            if down != " " and (self.meter.is_awaited or not self.count % STRIDE):
                self.meter.agent(self.frames[down], self.now)
            self.now += FRAME_S
        spread = self.meter.latency.spread()
        return [] if not spread.count else [spread.count, round(spread.max / 1000 / FRAME_S)]


@pytest.mark.parametrize("name", sorted(CODECS))
def test_a_turn_is_from_the_last_loud_packet_to_the_first_loud_frame(name: str) -> None:
    assert Talk(name).go("#" * 20 + "." * 30 + "." * 5, "." * 20 + "." * 30 + "#" * 5) == [1, 31]


@pytest.mark.parametrize("phase", range(STRIDE))
@pytest.mark.parametrize(
    ("caller", "agent", "turns"),
    [
        # noise is no speech, on neither side
        ("-" * 20 + "." * 40, "." * 50 + "#" * 10, []),
        ("#" * 20 + "-" * 40, "-" * 50 + "#" * 10, [1, 31]),
        # nor is a click
        ("#" * 3 + "." * 40, "." * 33 + "#" * 10, []),
        ("#" * 6 + "." * 40, "." * 36 + "#" * 10, [1, 31]),
        # a click long before the next one does not make a word of both
        ("###" + "." * 55 + "###" + "." * 39, "." * 90 + "#" * 10, []),
        # a pause inside the caller's speech belongs to it
        ("#" * 10 + "." * 8 + "#" * 10 + "." * 22, "." * 40 + "#" * 10, [1, 13]),
        # who begins at once has not waited for the end
        ("#" * 20 + "." * 20, "." * 25 + "#" * 15, []),
        # an echo is no answer
        ("#" * 20 + "." * 20, "." + "#" * 20 + "." * 19, []),
        # the agent's second sentence: nobody has spoken between the two
        ("#" * 20 + "." * 80, "." * 40 + "#" * 20 + "." * 30 + "#" * 10, [1, 21]),
        # a word thrown in while the agent goes on speaking, and its next sentence
        ("." * 10 + "#" * 6 + "." * 44, "#" * 30 + "." * 20 + "#" * 10, []),
        # barge-in: the agent falls silent, the caller ends, the agent answers
        ("." * 10 + "#" * 30 + "." * 40, "#" * 20 + "." * 50 + "#" * 10, [1, 31]),
        # two turns
        (
            ("#" * 10 + "." * 40) + ("#" * 10 + "." * 40),
            ("." * 30 + "#" * 10 + "." * 10) + ("." * 35 + "#" * 10 + "." * 5),
            [2, 26],
        ),
    ],
)
def test_what_is_a_turn(caller: str, agent: str, turns: list[int], phase: int) -> None:
    """Whichever of the packets happen to be looked at."""
    width = max(len(caller), len(agent))
    assert Talk(phase=phase).go(caller.ljust(width), agent.ljust(width)) == turns


@pytest.mark.parametrize(("phase", "frames"), [(0, 33), (1, 31), (2, 32)])
def test_a_line_that_stops_with_the_speech(phase: int, frames: int) -> None:
    """Silence suppression: there is no packet after the last loud one that would make us look at it."""
    assert Talk(phase=phase).go("#" * 20 + " " * 40, " " * 50 + "#" * 10) == [1, frames]


def test_a_change_of_codec_changes_what_is_quiet() -> None:
    """The same bytes mean silence in one codec and noise in the other."""
    talk = Talk("PCMU")
    talk.meter.use(CODECS["PCMA"])
    talk.frames = {"#": sound(CODECS["PCMA"], 8000), ".": sound(CODECS["PCMA"], 0)}
    assert talk.go("#" * 10 + "." * 30, "." * 30 + "#" * 10) == [1, 21]


def test_an_empty_packet_is_silence() -> None:
    talk = Talk()
    talk.frames["."] = b""
    assert talk.go("." * 40, "." * 30 + "#" * 10) == []


@pytest.mark.parametrize(("receives", "turns"), [(True, 1), (False, 0)])
def test_the_near_end_measures_at_the_line(receives: bool, turns: int) -> None:
    """The agent's frames count as they leave; while the caller has us on hold, they do not."""
    near, playout = near_end(spec(receives=receives)), Playout(PCMU, 20, sends_ahead=True)
    for number in range(60):
        now = START + number * FRAME_S
        near.receive(packet(number, payload=sound(PCMU, 8000 if number < 20 else 0)), SDP, now)
        if number == 30:
            playout.push(sound(PCMU, 0) * 10 + sound(PCMU, 8000) * 10, now)  # it comes at once and begins with silence
        near.tick(1, 0, playout, now)
    spread = near.turns.latency.spread()
    assert (spread.count, round(spread.max)) == (turns, turns * 21 * 20)
