"""Who spoke when, told from made-up sound."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.demo.sound import Samples, Span, Tracks, answers, envelope, interruptions, read_tracks, spans

RATE_HZ = 8000


def sound(*pieces: tuple[str, float]) -> Samples:
    """`("tone", 0.5), ("silence", 1.0)`: what its name says, for so many seconds."""
    loud = {"tone": 0.3, "hum": 0.003, "silence": 0.0}
    return np.concatenate([loud[kind] * np.sin(np.arange(int(RATE_HZ * seconds)) * 0.5) for kind, seconds in pieces])


def test_spans_join_words_and_leave_out_clicks_and_hum() -> None:
    heard = sound(
        ("hum", 0.5), ("tone", 0.5), ("silence", 0.3), ("tone", 0.2), ("silence", 0.5), ("tone", 0.03), ("hum", 0.5)
    )
    assert spans(heard, RATE_HZ, starts_s=10.0) == [Span(10.5, 11.5)]


def test_speech_at_both_ends_of_a_recording_counts() -> None:
    assert spans(sound(("tone", 0.2), ("silence", 0.6), ("tone", 0.2)), RATE_HZ) == [Span(0.0, 0.2), Span(0.8, 1.0)]


def test_silence_and_nothing_have_no_spans() -> None:
    assert spans(np.zeros(RATE_HZ), RATE_HZ) == []
    assert spans(np.zeros(0), RATE_HZ) == []


def test_an_answer_is_the_first_sound_after_the_callers_last() -> None:
    caller = sound(("tone", 1.0), ("silence", 3.0), ("tone", 0.5), ("silence", 1.0))
    agent = sound(("silence", 1.6), ("tone", 1.0), ("silence", 2.9))
    assert answers(Tracks(caller, agent, RATE_HZ)) == [0.6]


def test_talking_into_the_agents_words_is_an_interruption_and_no_question() -> None:
    caller = sound(("silence", 1.0), ("tone", 0.5), ("silence", 2.0))
    agent = sound(("tone", 1.2), ("silence", 2.3))
    assert interruptions(Tracks(caller, agent, RATE_HZ)) == [0.2]
    cut_off = sound(("tone", 1.2))
    assert interruptions(Tracks(caller[: len(cut_off)], cut_off, RATE_HZ)) == []
    deaf = sound(("tone", 3.0), ("silence", 0.5))
    assert answers(Tracks(caller, deaf, RATE_HZ)) == []


def test_envelope_keeps_a_single_peak_however_long_the_call() -> None:
    samples = np.zeros(100_001)
    samples[77_777] = -0.9
    lowest, highest = envelope(samples, 100)
    assert (len(lowest), lowest.min(), highest.max()) == (100, -0.9, 0.0)
    assert lowest.argmin() == 77_777 // 1001


def write_wav(path: Path, channels: int, frames: list[int]) -> Path:
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(np.array(frames, dtype="<i2").tobytes())
    return path


def test_left_is_the_caller_and_right_the_agent(tmp_path: Path) -> None:
    tracks = read_tracks(write_wav(tmp_path / "a.wav", 2, [16384, -8192, 0, 8192]), starts_s=2.0)
    assert tracks.caller.tolist() == [0.5, 0.0]
    assert tracks.agent.tolist() == [-0.25, 0.25]
    assert (tracks.rate_hz, tracks.ends_s) == (RATE_HZ, 2.0 + 2 / RATE_HZ)


def test_a_mono_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mono\.wav is not a stereo recording of 16 bit"):
        read_tracks(write_wav(tmp_path / "mono.wav", 1, [0]), 0.0)
