"""The impairments that every call must bear, for tests to be run with each."""

from __future__ import annotations

import pytest

from tests.helpers.wire import Faults, Stall

CODECS = pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])

LOSS = [Faults(loss=0.01, seed=3), Faults(loss=0.03), Faults(loss=0.05, seed=2)]
BURSTS = [Faults(loss=0.03, burst=(3, 5), seed=5), Faults(loss=0.05, burst=(3, 5), seed=2)]
JITTER = [Faults(jitter_s=jitter_s) for jitter_s in (0.01, 0.03, 0.06)]
WILD_JITTER = [Faults(jitter_s=jitter_s, overtakes=True) for jitter_s in (0.03, 0.06)]
SWAPS = [Faults(swapped=0.1, swap=swap) for swap in (1, 2)]
STALLS = [Faults(stalls=(Stall(at_s=2.0, lasts_s=lasts_s),)) for lasts_s in (0.2, 0.5, 2.0)]
ALL = [*LOSS, *BURSTS, *JITTER, *WILD_JITTER, *SWAPS, Faults(swapped=0.1, swap=3), Faults(doubled=0.1), *STALLS]


def of(faults: list[Faults]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("faults", faults, ids=str)
