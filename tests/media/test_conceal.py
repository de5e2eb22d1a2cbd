"""What stands in for lost packets: the same pitch, fading, never louder than what was there."""

from __future__ import annotations

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from media.conceal import FULL_MS, JOIN_MS, SILENT_MS, conceal, join

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


@LINES
def test_a_hole_filled_in_steps_sounds_like_one_filled_at_once(codec: Codec) -> None:
    before, units = codec.encode(voiced(codec, 120, 0.04)), codec.clock_rate_hz // 50
    steps = [conceal(codec, before, units, since=number * units) for number in range(5)]
    assert b"".join(steps) == conceal(codec, before, 5 * units)


def roughest(pcm: np.ndarray) -> int:
    """The largest step between two samples; what has no place in the sound is heard as a click."""
    return int(np.abs(np.diff(pcm.astype(int))).max())


@LINES
@pytest.mark.parametrize("lost_ms", [13, 20, 40, 60, 100])
def test_what_comes_back_after_a_loss_does_not_click(codec: Codec, lost_ms: int) -> None:
    """The tone's own phase and the concealed one's differ at the end of the hole: without a join that is a step."""
    per_ms = codec.line_rate_hz // 1000
    whole = (8000 * np.sin(2 * np.pi * 170 * np.arange(200 * per_ms) / codec.line_rate_hz)).astype(np.int16)
    before, back = whole[: 40 * per_ms], codec.encode(whole[(40 + lost_ms) * per_ms :])
    stand_in = conceal(codec, codec.encode(before), lost_ms * codec.clock_rate_hz // 1000)
    onward = conceal(codec, codec.encode(before), JOIN_MS * codec.clock_rate_hz // 1000, codec.units(stand_in))
    heard = codec.decode(codec.encode(before) + stand_in + join(codec, onward, back))
    of_the_fade = 2 * 8000 / (JOIN_MS * per_ms)
    assert roughest(heard) <= roughest(codec.decode(codec.encode(whole))) + of_the_fade


@LINES
def test_a_join_changes_nothing_but_its_own_milliseconds(codec: Codec) -> None:
    line = codec.encode(voiced(codec, 120, 0.02))
    onward = codec.encode(voiced(codec, 190, 0.02))
    size = codec.frame_bytes(JOIN_MS)
    joined = join(codec, onward, line)
    assert joined[size:] == line[size:]
    assert joined[: codec.sample_bytes] == onward[: codec.sample_bytes]
    assert join(codec, b"", line) == line
    assert len(join(codec, onward, line[:10])) == 10
