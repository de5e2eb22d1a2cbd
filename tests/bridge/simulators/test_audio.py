from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.simulators.audio import Format, Samples, Utterance, hum, load_wav, resample, tone, tone_utterance


def loudest_hz(samples: Samples, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate_hz / len(samples)


@pytest.mark.parametrize(
    ("form", "frame_bytes"),
    [(Format("mulaw", 8000), 160), (Format("s16le", 8000), 320), (Format("s16le", 48000), 1920)],
)
def test_a_frame_is_20_ms(form: Format, frame_bytes: int) -> None:
    assert form.frame_bytes == frame_bytes
    assert form.duration_ms(frame_bytes) == 20
    assert len(form.silence(3)) == 3 * frame_bytes


@pytest.mark.parametrize(
    ("value", "code"),
    # G.711, table 2a: the ends of the first segments, and both ends of the scale. 0 is never sent as 0x7F.
    [(0, 0xFF), (8, 0xFE), (-8, 0x7E), (32124, 0x80), (32767, 0x80), (-32124, 0x00), (-32768, 0x00), (132, 0xEF)],
)
def test_mulaw_codes(value: int, code: int) -> None:
    assert Format("mulaw").encode(np.array([value], np.int16)) == bytes([code])


def test_every_mulaw_code_survives_a_round_trip() -> None:
    form = Format("mulaw")
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert form.encode(form.decode(codes)) == codes


def test_s16le_survives_a_round_trip_and_an_odd_byte_is_left_out() -> None:
    form = Format("s16le")
    samples = tone(440, 40)
    assert np.array_equal(form.decode(form.encode(samples) + b"\x01"), samples)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
def test_a_clip_keeps_its_pitch_and_length_at_any_rate(rate_hz: int) -> None:
    clip = resample(tone(440, 1000), 8000, rate_hz)
    assert len(clip) == rate_hz
    assert loudest_hz(clip, rate_hz) == pytest.approx(440, abs=2)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    high = resample(tone(6000, 500, rate_hz=16000), 16000, 8000)
    assert np.abs(high).max() < 300


def test_an_utterance_is_filled_up_to_whole_frames_once() -> None:
    utterance = tone_utterance(440, 30, "a")
    encoded = utterance.encoded(Format("mulaw"))
    assert len(encoded) == 320
    assert encoded[240:] == b"\xff" * 80
    assert utterance.encoded(Format("mulaw")) is encoded


def test_a_hum_has_a_syllable_for_each_word() -> None:
    assert hum("one two three").duration_ms == 3 * hum("one").duration_ms
    assert hum("").duration_ms == 0


def write_wav(path: Path, *, channels: int = 1, frames: bytes = b"\x01\x00\x02\x00") -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(frames)
    return path


def test_a_wav_brings_the_words_that_lie_beside_it(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "hello.wav")
    (tmp_path / "hello.txt").write_text("Hello there.\n")
    loaded = load_wav(path)
    assert (loaded.samples.tolist(), loaded.rate_hz, loaded.text) == ([1, 2], 8000, "Hello there.")
    assert load_wav(write_wav(tmp_path / "mute.wav")).text == ""


@pytest.mark.parametrize(("channels", "frames", "problem"), [(2, b"\0" * 8, "mono"), (1, b"", "no sound")])
def test_a_wav_of_another_kind_is_refused(tmp_path: Path, channels: int, frames: bytes, problem: str) -> None:
    path = write_wav(tmp_path / "odd.wav", channels=channels, frames=frames)
    with pytest.raises(ValueError, match=f"odd.wav: .*{problem}"):
        load_wav(path)


def test_utterances_are_compared_by_identity() -> None:
    assert Utterance(tone(1, 1), 8000) != Utterance(tone(1, 1), 8000)
