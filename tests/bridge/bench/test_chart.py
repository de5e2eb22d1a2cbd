from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench.assemble import failed_step
from bridge.bench.chart import draw
from bridge.bench.results import Step
from tests.bridge.bench.runs import BARESIP_STEP, BRIDGE_STEP, REFLECTOR_STEP, results


@pytest.mark.parametrize(
    "steps",
    [
        (REFLECTOR_STEP, BRIDGE_STEP, BARESIP_STEP),
        (BARESIP_STEP,),
        (REFLECTOR_STEP,),
        (failed_step("bridge", 1, "no"),),
        (),
    ],
    ids=["whole", "baresip only", "floor only", "nothing measured", "no steps"],
)
def test_a_picture_is_drawn_of_whatever_was_measured(steps: tuple[Step, ...], tmp_path: Path) -> None:
    draw(results(*steps), tmp_path / "latency.png")
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG\r\n")
