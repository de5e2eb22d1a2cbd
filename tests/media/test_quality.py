"""The E-model: published points, and that nothing bad ever makes a call sound better."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from media.quality import (
    IMPAIRMENTS,
    R_BEST,
    Estimate,
    burst_ratio,
    delay_impairment,
    estimate,
    loss_impairment,
    mos,
)

LOSSES = [0.0, 0.001, 0.005, 0.01, 0.03, 0.05, 0.1, 0.2, 0.5, 0.9, 1.0]
DELAYS_MS = [0.0, 1.0, 20.0, 100.0, 150.0, 177.3, 177.4, 200.0, 300.0, 400.0, 1000.0]
RATIOS = [1.0, 1.2, 2.0, 5.0, 20.0]


def falls(values: Sequence[float]) -> bool:
    return all(after <= before for before, after in itertools.pairwise(values))


# --- published points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("r", "score"),
    [(100, 4.5), (93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0)],
)
def test_scores_of_the_recommendation(r: float, score: float) -> None:
    """G.107, Annex B, table B.1 (limits of user satisfaction) and the default R."""
    assert mos(r) == pytest.approx(score, abs=0.0061)  # the table has 4.03 for 4.024


def test_a_call_with_nothing_wrong() -> None:
    assert estimate("PCMU", delay_ms=0.0, loss=0.0) == Estimate(93.2, 4.41)


@pytest.mark.parametrize(
    ("delay_ms", "impairment"), [(0, 0.0), (100, 2.4), (150, 3.6), (177.3, 4.26), (200, 7.3), (300, 20.7)]
)
def test_delays(delay_ms: float, impairment: float) -> None:
    assert delay_impairment(delay_ms) == pytest.approx(impairment, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "loss", "impairment"),
    [
        ("PCMU/bare", 0.01, 95 / 5.3),
        ("PCMU/bare", 0.043, 47.5),  # the robustness factor is where half is lost
        ("PCMA", 0.01, 95 / 26.1),
        ("PCMA", 0.251, 47.5),
        ("G729", 0.0, 10.0),
        ("G729", 0.02, 10 + 85 * 2 / 21),
    ],
)
def test_losses(codec: str, loss: float, impairment: float) -> None:
    assert loss_impairment(codec, loss) == pytest.approx(impairment)


def test_bursts_cost_more() -> None:
    assert loss_impairment("PCMU", 0.05, 2.0) == pytest.approx(95 * 5 / (2.5 + 25.1))


def test_a_regional_and_an_international_call() -> None:
    """What the figures come to on the two routes that the project compares."""
    assert estimate("PCMA", delay_ms=100, loss=0.005) == Estimate(88.94, 4.31)
    assert estimate("PCMA", delay_ms=300, loss=0.02) == Estimate(65.49, 3.38)


# --- how it bends -----------------------------------------------------------------------------------------------------


def test_more_delay_never_helps() -> None:
    assert falls([estimate("PCMU", delay_ms=delay_ms, loss=0.01).r for delay_ms in DELAYS_MS])


@pytest.mark.parametrize("codec", IMPAIRMENTS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_more_loss_never_helps(codec: str, ratio: float) -> None:
    lost = [estimate(codec, delay_ms=50, loss=loss, burst_ratio=ratio).r for loss in LOSSES]
    late = [estimate(codec, delay_ms=50, loss=0.0, discarded=loss, burst_ratio=ratio).r for loss in LOSSES]
    both = [estimate(codec, delay_ms=50, loss=loss, discarded=0.01, burst_ratio=ratio).r for loss in LOSSES]
    assert lost == late
    assert falls(lost)
    assert falls(both)
    assert all(with_late <= without for with_late, without in zip(both, lost, strict=True))


@pytest.mark.parametrize("codec", IMPAIRMENTS)
def test_longer_bursts_never_help(codec: str) -> None:
    assert falls([estimate(codec, delay_ms=50, loss=0.03, burst_ratio=ratio).r for ratio in RATIOS])


def test_a_higher_rating_is_never_a_lower_score() -> None:
    scores = [mos(r / 10) for r in range(-100, 1200)]
    assert falls(scores[::-1])
    assert (scores[0], scores[-1]) == (1.0, 4.5)


def test_concealment_helps() -> None:
    for loss in LOSSES[1:]:
        assert loss_impairment("PCMU", loss) < loss_impairment("PCMU/bare", loss)


def test_values_from_outside_their_range() -> None:
    assert estimate("PCMU", delay_ms=-5, loss=-0.1, burst_ratio=0.1) == Estimate(R_BEST, 4.41)
    worst = estimate("PCMU/bare", delay_ms=60_000, loss=0.9, discarded=0.9, burst_ratio=100)
    assert worst.mos == 1.0
    with pytest.raises(KeyError):
        estimate("GSM", delay_ms=0, loss=0)


# --- bursts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "bursts", "lost", "ratio"),
    [
        (0.0, 0, 0, 1.0),
        (0.05, 100, 105, 1.0),  # as chance has it: 1 / 0.95
        (0.05, 100, 100, 1.0),  # more even than chance
        (0.05, 25, 100, 3.8),
        (0.5, 1, 100, 50.0),
        (1.0, 1, 100, 1.0),
    ],
)
def test_burst_ratio(loss: float, bursts: int, lost: int, ratio: float) -> None:
    assert burst_ratio(loss, bursts, lost) == pytest.approx(ratio, abs=0.005)
