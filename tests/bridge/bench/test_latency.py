from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.bench import rig
from bridge.bench.latency import Options, measure, summary, write
from bridge.bench.results import SCHEMA, Results
from tests.bridge.bench.runs import BRIDGE_STEP, REFLECTOR_STEP, call, load, results


async def test_each_number_of_calls_is_measured_without_and_with_the_bridge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[object, ...]] = []

    async def reflector(calls: int, seconds: float, folder: Path) -> rig.Run:
        asked.append(("reflector", calls, seconds))
        return rig.Run(load=load(call(0, ())), heard=(), seconds=seconds, processes=(), steal_percent=0.0)

    async def bridge(kind: str, calls: int, seconds: float, workers: int, folder: Path) -> rig.Run:
        asked.append((kind, calls, seconds, workers))
        raise rig.Trouble("it did not start")

    monkeypatch.setattr(rig, "against_reflector", reflector)
    monkeypatch.setattr(rig, "against_bridge", bridge)
    said: list[str] = []
    done = await measure(Options(calls=(1, 3), seconds=9, platform="vapi", workers=1, out=tmp_path / "o"), said.append)
    assert asked == [("reflector", 1, 5.0), ("vapi", 1, 9, 1), ("reflector", 3, 5.0), ("vapi", 3, 9, 1)]
    assert [(step.target, step.calls, step.trouble) for step in done.steps] == [
        ("reflector", 1, ""),
        ("bridge", 1, "it did not start"),
        ("reflector", 3, ""),
        ("bridge", 3, "it did not start"),
    ]
    assert said[2:4] == ["1 call through the bridge to vapi, 9 s ...", "  NOT MEASURED: it did not start"]
    assert done.failed


def test_a_summary_names_what_failed() -> None:
    assert summary(BRIDGE_STEP) == (
        "round trip p50 3.00 p95 4.00 p99 4.00 max 4.00 ms, up p50 0.50 ms, CPU 2.38 % per call, 0 packets lost"
    )
    assert summary(msgspec.structs.replace(REFLECTOR_STEP, calls_failed=1)).endswith("1 of 2 calls FAILED")


def test_the_files_can_be_read_again(tmp_path: Path) -> None:
    done = results(REFLECTOR_STEP, BRIDGE_STEP)
    paths = list(write(done, tmp_path))
    assert [path.name for path in paths] == ["latency.json", "latency.md", "latency.png"]
    again = msgspec.json.decode(paths[0].read_bytes(), type=Results)
    assert again == done
    assert again.schema == SCHEMA
    assert all(path.stat().st_size > 100 for path in paths)
