from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.bench import rig
from bridge.bench.latency import Options, measure, summary
from tests.bridge.bench.runs import BRIDGE_STEP, REFLECTOR_STEP, call, load, process


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


async def test_baresip_is_measured_beside_the_bridge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def nothing(*asked: object) -> rig.Run:
        raise rig.Trouble("not here")

    async def baresip(calls: int, seconds: float, folder: Path) -> rig.Run:
        use = (process("beside", 3.0),)
        return rig.Run(load=load(call(0, ())), heard=(), seconds=seconds, processes=use, steal_percent=0.0)

    monkeypatch.setattr(rig, "against_reflector", nothing)
    monkeypatch.setattr(rig, "against_bridge", nothing)
    monkeypatch.setattr("bridge.bench.beside.against_baresip", baresip)
    done = await measure(Options(calls=(2,), beside=True, out=tmp_path), lambda line: None)
    assert [step.target for step in done.steps] == ["reflector", "bridge", "baresip"]
    assert done.steps[-1].processes == (process("beside", 3.0),)
