from __future__ import annotations

import numpy as np
import pytest

from bridge.bench import signal


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_a_clean_sine_has_only_the_noise_of_its_16_bits(rate_hz: int) -> None:
    # 6.02 dB per bit + 1.76 for a full-scale sine, 10 dB below it: 88.
    assert signal.snr_db(signal.sine(rate_hz, 1.0), rate_hz) == pytest.approx(88, abs=1)


def test_known_noise_is_measured_whatever_the_level_phase_and_offset() -> None:
    tone = signal.sine(8000, 1.0).astype(np.float64)
    noise = np.random.default_rng(1).normal(0, signal.LEVEL / np.sqrt(2) / 10, len(tone))  # 20 dB below
    heard = np.rint(0.5 * (tone + noise) + 100)[37:].astype(np.int16)
    assert signal.snr_db(heard, 8000) == pytest.approx(20, abs=0.5)


def test_silence_has_no_signal() -> None:
    assert signal.snr_db(np.zeros(8000, np.int16), 8000) <= 0


@pytest.mark.parametrize("shift", [0, 1, 37, 400])
def test_a_known_delay_is_measured(shift: int) -> None:
    sent = signal.speech_band(16000, 0.5)
    heard = np.concatenate((np.zeros(shift, np.int16), sent))
    assert signal.delay_ms(sent, heard, 16000) == pytest.approx(shift / 16)


def test_the_level_is_against_the_sine() -> None:
    tone = signal.sine(8000, 1.0)
    assert signal.level_db(tone, 8000) == pytest.approx(0, abs=0.01)
    assert signal.level_db(np.asarray(tone // 10, np.int16), 8000) == pytest.approx(-20, abs=0.1)
