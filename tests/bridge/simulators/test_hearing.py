from __future__ import annotations

import numpy as np
import pytest

from bridge.simulators.audio import Format, tone
from bridge.simulators.hearing import Accepted, Ear, InputClock

FORM = Format("s16le", 8000)


def sound(duration_ms: int) -> bytes:
    return FORM.encode(tone(400, duration_ms))


def quiet(duration_ms: int) -> bytes:
    return bytes(16 * duration_ms)


def listen(ear: Ear, data: bytes, *, frame_bytes: int = 320) -> None:
    for start in range(0, len(data), frame_bytes):
        for _ in ear.blocks(data[start : start + frame_bytes]):
            pass


@pytest.mark.parametrize("frame_bytes", [1, 31, 320, 4801, 100_000])
def test_frames_of_any_size_are_heard_alike(frame_bytes: int) -> None:
    ear = Ear(FORM)
    listen(ear, quiet(100) + sound(200) + quiet(50) + sound(100) + quiet(80), frame_bytes=frame_bytes)
    assert (ear.talk_ms, ear.quiet_ms) == (350, 80)


def test_an_empty_frame_is_no_block() -> None:
    assert list(Ear(FORM).blocks(b"")) == []


def test_a_click_is_no_speech_and_a_turn_can_be_forgotten() -> None:
    ear = Ear(FORM)
    listen(ear, sound(20) + quiet(100))
    assert (ear.talk_ms, ear.quiet_ms) == (0, 0)
    listen(ear, sound(40))
    assert ear.talk_ms == 40
    ear.forget()
    assert (ear.talk_ms, ear.quiet_ms) == (0, 0)


def test_faint_noise_is_no_speech() -> None:
    ear = Ear(FORM)
    listen(ear, FORM.encode(np.full(8000, 100, np.int16)))
    assert ear.talk_ms == 0


def test_audio_in_real_time_passes_without_a_word() -> None:
    clock = InputClock()
    assert [clock.receive(20, 5 + n * 0.02) for n in range(100)] == [Accepted()] * 100
    assert clock.last_at == pytest.approx(5 + 99 * 0.02)


def test_an_excess_is_warned_of_once_and_dropped_in_the_end() -> None:
    clock = InputClock()
    answers = [clock.receive(400, 5.0) for _ in range(7)]
    assert answers == [
        Accepted(),
        Accepted("overflow"),
        Accepted(),
        Accepted(),
        Accepted(),
        Accepted(dropped=True),
        Accepted(dropped=True),
    ]
    assert clock.receive(20, 6.9) == Accepted()


def test_a_gap_is_warned_of_and_starts_the_clock_anew() -> None:
    clock = InputClock()
    clock.receive(20, 5.0)
    assert clock.receive(20, 6.0) == Accepted("underflow")
    assert clock.receive(20, 6.02) == Accepted()
    assert clock.receive(20, 8.0) == Accepted("underflow")
