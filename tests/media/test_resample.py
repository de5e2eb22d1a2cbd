from __future__ import annotations

import tracemalloc
from math import gcd

import numpy as np
import pytest

from media.resample import Resampler, Samples, _prototype
from tests.helpers.audio import level_db, part_db, tone

RATES = [(8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000), (8000, 48000), (48000, 8000), (16000, 24000)]
PAIRS = pytest.mark.parametrize(("from_hz", "to_hz"), RATES, ids=[f"{a}-{b}" for a, b in RATES])


def settled(pcm: Samples, rate_hz: int) -> Samples:
    """Without the first 10 ms, in which the filter fills."""
    return pcm[rate_hz // 100 :]


def residue(pcm: Samples, hz: float, rate_hz: int) -> Samples:
    """What is left when the best-fitting tone of `hz` is taken away: noise, images, aliases."""
    at = 2 * np.pi * hz * np.arange(len(pcm)) / rate_hz
    basis = np.stack((np.sin(at), np.cos(at)), axis=1)
    fit, *_ = np.linalg.lstsq(basis, pcm.astype(np.float64), rcond=None)
    rest: Samples = np.rint(pcm - basis @ fit).astype(np.int16)
    return rest


@PAIRS
@pytest.mark.parametrize("hz", [300.0, 1000.0, 2400.0, 3300.0])
def test_a_tone_in_band_comes_through_as_it_is(from_hz: int, to_hz: int, hz: float) -> None:
    out = settled(Resampler(from_hz, to_hz).push(tone(hz, 0.5, from_hz, peak=30000)), to_hz)
    assert level_db(out) == pytest.approx(level_db(tone(hz, 0.5, to_hz, peak=30000)), abs=0.1)
    assert level_db(out) - level_db(residue(out, hz, to_hz)) >= 60


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (8000, 24000), (8000, 48000)])
@pytest.mark.parametrize("hz", [500.0, 2000.0, 3300.0])
def test_images_are_60_db_down(from_hz: int, to_hz: int, hz: float) -> None:
    out = settled(Resampler(from_hz, to_hz).push(tone(hz, 0.5, from_hz, peak=30000)), to_hz)
    images = [turn * from_hz + side * hz for turn in range(1, to_hz // from_hz) for side in (-1, 1)]
    worst = max(part_db(out, image, to_hz) for image in images if image < to_hz / 2)
    assert worst - part_db(out, hz, to_hz) <= -60


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 8000), (24000, 8000), (48000, 8000)])
@pytest.mark.parametrize("hz", [4650.0, 5500.0, 7000.0])
def test_what_has_no_room_at_the_lower_rate_is_60_db_down(from_hz: int, to_hz: int, hz: float) -> None:
    loud = tone(hz, 0.5, from_hz, peak=30000)
    out = settled(Resampler(from_hz, to_hz).push(loud), to_hz)
    assert level_db(out) - level_db(loud) <= -60


@PAIRS
def test_delay(from_hz: int, to_hz: int) -> None:
    """A click comes out where `delay_ms` says, and that is within 3 ms."""
    resampler = Resampler(from_hz, to_hz)
    click = np.zeros(from_hz // 20, np.int16)
    click[from_hz // 100] = 30000
    out = resampler.push(click).astype(np.float64) ** 2
    centre_ms = float(np.sum(out * np.arange(len(out))) / np.sum(out)) * 1000 / to_hz - 10
    assert centre_ms == pytest.approx(resampler.delay_ms, abs=1000 / min(from_hz, to_hz) / 2)
    assert resampler.delay_ms <= 3.0


@PAIRS
@pytest.mark.parametrize("sizes", [(1,), (160,), (7, 1, 0, 333, 2), (1, 2, 3, 5, 8, 13, 21)])
def test_any_chunking_gives_the_same_samples(from_hz: int, to_hz: int, sizes: tuple[int, ...]) -> None:
    noise = np.random.default_rng(1).integers(-20000, 20000, 2000, dtype=np.int16)
    at_once = Resampler(from_hz, to_hz).push(noise)
    resampler = Resampler(from_hz, to_hz)
    parts, at, turn = [], 0, 0
    while at < len(noise):
        size = sizes[turn % len(sizes)]
        parts.append(resampler.push(noise[at : at + size]))
        at, turn = at + size, turn + 1
    joined = np.concatenate(parts)
    assert len(joined) == len(at_once)
    # float32 sums may differ in their last bit, and with it the rounding
    assert int(np.abs(joined.astype(np.int32) - at_once).max()) <= 1


@PAIRS
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 159, 161])
def test_length(from_hz: int, to_hz: int, count: int) -> None:
    """Every output sample whose moment has come is there, none more."""
    out = Resampler(from_hz, to_hz).push(np.ones(count, np.int16))
    assert len(out) == -(-count * to_hz // from_hz)
    assert out.dtype == np.int16


@PAIRS
def test_an_hour_in_frames_is_an_hour(from_hz: int, to_hz: int) -> None:
    """Phase must not creep: here 1,000 odd frames, whose phases come round many times."""
    resampler = Resampler(from_hz, to_hz)
    odd = np.zeros(161, np.int16)
    assert sum(len(resampler.push(odd)) for _ in range(1000)) == -(-161_000 * to_hz // from_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), [*RATES, (44100, 8000), (8000, 44100)])
def test_every_sample_is_the_filter_at_its_place(from_hz: int, to_hz: int) -> None:
    """By the definition: zeros between the samples, the low-pass over all of it, every n-th of that."""
    common = gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    noise = np.random.default_rng(3).integers(-9000, 9000, 1000, dtype=np.int16)
    stuffed = np.zeros(len(noise) * up)
    stuffed[::up] = noise
    wanted = np.rint(np.convolve(stuffed, _prototype(up, down).astype(np.float64))[: len(stuffed) : down])
    assert int(np.abs(Resampler(from_hz, to_hz).push(noise) - wanted).max()) <= 1


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 8000), (8000, 48000), (44100, 8000)])
def test_a_long_message_needs_little_beside_itself(from_hz: int, to_hz: int) -> None:
    """20 s of 48 kHz had taken 400 MB and 1.6 s: each sample's window and taps as copies of their own."""
    audio = np.zeros(10 * from_hz, np.int16)
    resampler = Resampler(from_hz, to_hz)
    tracemalloc.start()
    try:
        resampler.push(audio)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # what comes out, in blocks and as a whole, and for the rare rates a block of windows and taps
    assert most < 2 * 10 * to_hz * 2 + 8 * 1024 * 1024


def test_full_scale_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(4000) // 20 % 2, 32767, -32768).astype(np.int16)
    out = Resampler(8000, 16000).push(square)
    # Overshoot of the filter at each edge would wrap to the other sign if it were not clipped.
    middle_of_a_half_wave = out[500:].reshape(-1, 20)[:, 8:12] if len(out[500:]) % 20 == 0 else out[500:]
    assert (int(out.min()), int(out.max())) == (-32768, 32767)
    assert np.mean(np.abs(middle_of_a_half_wave.astype(np.int32)) > 20000) > 0.8


def test_reset_is_a_new_beginning() -> None:
    speech = np.random.default_rng(2).integers(-9000, 9000, 801, dtype=np.int16)
    used = Resampler(24000, 16000)
    used.push(speech[:100])
    used.reset()
    assert np.array_equal(used.push(speech), Resampler(24000, 16000).push(speech))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(0, 8000), (8000, 0), (-1, 8000)])
def test_rates_that_do_not_exist(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match=f"^cannot resample {from_hz} Hz to {to_hz} Hz$"):
        Resampler(from_hz, to_hz)
