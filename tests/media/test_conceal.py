"""What stands in for lost packets: the same pitch, fading, never louder than what was there."""

from __future__ import annotations

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from media.conceal import FULL_MS, SILENT_MS, conceal

LINES = pytest.mark.parametrize("codec", [CODECS["PCMU"], CODECS["PCMA"], CODECS["L16/16000"]], ids=lambda c: c.name)


def voiced(codec: Codec, hz: float, seconds: float) -> np.ndarray:
    """A buzz with harmonics, as a voice has."""
    time_s = np.arange(int(seconds * codec.line_rate_hz)) / codec.line_rate_hz
    wave = sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, 5))
    return np.asarray(4000 * wave, np.int16)


@LINES
@pytest.mark.parametrize("hz", [100, 170, 250])
def test_the_pitch_goes_on_and_fades(codec: Codec, hz: float) -> None:
    whole = voiced(codec, hz, 0.1)
    per_ms = codec.line_rate_hz // 1000
    before, truth = whole[: 40 * per_ms], whole[40 * per_ms : 60 * per_ms]
    units = codec.clock_rate_hz // 50
    guess = codec.decode(conceal(codec, codec.encode(before), units))
    assert len(guess) == len(truth)
    full = FULL_MS * per_ms
    likeness = np.corrcoef(guess[:full].astype(float), truth[:full].astype(float))[0, 1]
    assert likeness > 0.8
    assert np.abs(guess[full:].astype(float)).mean() < np.abs(guess[:full].astype(float)).mean()


@LINES
def test_a_long_hole_ends_in_silence_of_its_own_length(codec: Codec) -> None:
    units = codec.clock_rate_hz // 5
    line = conceal(codec, codec.encode(voiced(codec, 120, 0.04)), units)
    assert codec.units(line) == units
    rest = codec.decode(line)[SILENT_MS * codec.line_rate_hz // 1000 :]
    assert np.abs(rest.astype(int)).max() <= 8


@LINES
@pytest.mark.parametrize("before_ms", [0, 1, 20])
def test_with_little_or_nothing_before_it_is_quiet(codec: Codec, before_ms: int) -> None:
    before = codec.silence * (before_ms * codec.line_rate_hz // 1000)
    line = conceal(codec, before, codec.clock_rate_hz // 50)
    assert len(line) == codec.frame_bytes(20)
    assert codec.is_quiet(line)
