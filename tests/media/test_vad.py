from __future__ import annotations

import numpy as np
import pytest

from media.vad import Change, SpeechDetector
from tests.helpers.audio import Samples, silence, tone


def hear(detector: SpeechDetector, sound: Samples, frame_ms: int = 20) -> list[tuple[int, Change]]:
    """Changes, with the millisecond at whose end each was told."""
    size = 8 * frame_ms
    changes = [
        (at // 8 + frame_ms, detector.hear(sound[at : at + size], frame_ms)) for at in range(0, len(sound), size)
    ]
    return [(at_ms, change) for at_ms, change in changes if change is not None]


@pytest.mark.parametrize("frame_ms", [10, 20, 30, 60])
def test_speech_between_silences(frame_ms: int) -> None:
    sound = np.concatenate((silence(0.6), tone(400, 1.2), silence(1.2)))
    changes = hear(SpeechDetector(start_ms=60, end_ms=300), sound, frame_ms)
    assert changes == [(660, "started"), (2100, "ended")]


def test_silence_is_silence() -> None:
    detector = SpeechDetector()
    assert hear(detector, silence(5.0)) == []
    assert not detector.speaking


def test_a_click_is_no_speech() -> None:
    sound = np.concatenate((silence(0.2), tone(400, 0.04), silence(0.2), tone(400, 0.04), silence(0.2)))
    assert hear(SpeechDetector(start_ms=60), sound) == []


def test_a_pause_between_words_is_not_the_end() -> None:
    word = np.concatenate((tone(300, 0.4), silence(0.24)))
    assert hear(SpeechDetector(), np.concatenate([word] * 5)) == [(60, "started")]


@pytest.mark.parametrize(("peak", "speaks"), [(100, False), (700, False), (900, True), (30_000, True)])
def test_the_threshold_is_the_mean_level(peak: int, speaks: bool) -> None:
    """The mean of a sine is 2/pi of its peak: 500 lies between 700 and 900."""
    detector = SpeechDetector(threshold=500)
    hear(detector, tone(400, 1.0, peak=peak))
    assert detector.speaking is speaks


def test_full_scale_does_not_overflow() -> None:
    assert hear(SpeechDetector(), np.full(1600, -32768, np.int16)) == [(60, "started")]


def test_an_empty_frame_is_silence() -> None:
    detector = SpeechDetector(end_ms=40)
    hear(detector, tone(400, 0.2))
    empty = np.zeros(0, np.int16)
    assert [detector.hear(empty, 20.0), detector.hear(empty, 20.0)] == [None, "ended"]
