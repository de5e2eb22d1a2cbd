from __future__ import annotations

import pytest

from media.cushion import JITTER_MS, MEMORY_MS, PEAKS_TO_LEARN, PEAKS_WITHIN_S, Cushion

TICKS = MEMORY_MS // 20


def learnt(*peaks: tuple[int, float], every_s: float = 1.0) -> Cushion:
    """(frames that stand, how long the queue was dry) of each peak."""
    cushion = Cushion(20)
    for n, (standing, dry_s) in enumerate(peaks):
        cushion.learn(standing, dry_s, 100.0 + n * every_s)
    return cushion


def test_what_all_of_the_last_peaks_had_is_kept() -> None:
    peaks = [(3, 0.06), (2, 0.04), (4, 0.08), (3, 0.06)]
    assert learnt(*peaks[:-1]).frames == 1
    assert learnt(*peaks).frames == 3


@pytest.mark.parametrize(
    "peak",
    [
        pytest.param((3, 0.0), id="it was not late"),
        pytest.param((JITTER_MS // 20 + 1, 1.0), id="a stall"),
        pytest.param((0, 0.06), id="nothing stands"),
    ],
)
def test_what_is_no_peak(peak: tuple[int, float]) -> None:
    assert learnt(*[peak] * PEAKS_TO_LEARN).frames == 1


def test_peaks_far_apart() -> None:
    assert learnt(*[(2, 0.04)] * 8, every_s=PEAKS_WITHIN_S / 2).frames == 1


def test_what_no_dip_has_used_is_given_up() -> None:
    cushion = learnt(*[(3, 0.06)] * PEAKS_TO_LEARN)
    assert cushion.frames == 4
    assert [cushion.remember(4 if tick % 40 else 2) for tick in range(TICKS)][-1] == 3
    assert [cushion.remember(3) for _ in range(TICKS)][-1] == 1


def test_what_a_dip_needs_is_kept() -> None:
    cushion = learnt(*[(3, 0.06)] * PEAKS_TO_LEARN)
    seen = [cushion.remember(1 if tick // 25 % 3 == 0 else 4) for tick in range(TICKS * 3)]
    assert seen[-1] == 4
