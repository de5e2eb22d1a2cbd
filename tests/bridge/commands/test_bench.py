from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.bench import bargein, beside, capacity, codecs, kernel, latency, region, stall, trunks
from bridge.bench.results import Results
from bridge.commands import bench
from bridge.commands.bench import BENCHMARKS
from tests.bridge.bench.runs import BRIDGE_STEP, results


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    return parser.parse_args(list(words))


@pytest.fixture(autouse=True)
def without_baresip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "installed", lambda: False)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("latency", latency.Options()),
        ("latency --quick", latency.QUICK),
        ("latency --quick --calls 40", latency.Options(calls=(40,), seconds=5.0)),
        ("latency --calls 1,2 --seconds 3.5", latency.Options(calls=(1, 2), seconds=3.5)),
        ("latency --platform vapi --workers 1", latency.Options(platform="vapi", workers=1)),
        ("latency --beside baresip", latency.Options(beside=True)),
        ("capacity", capacity.Options()),
        ("capacity --first 40 --most 100 --workers 1", capacity.Options(first=40, most=100, workers=1)),
        ("region --quick", region.QUICK),
        ("region --routes here.toml --seconds 30", region.Options(routes=Path("here.toml"), seconds=30)),
        ("bargein --calls 1,5", bargein.Options(calls=(1, 5))),
        ("stall --quick --platform vapi", replace(stall.QUICK, platform="vapi")),
        ("stall --repeats 2 --out here", stall.Options(repeats=2, out=Path("here"))),
        ("codecs --frames 50", codecs.Options(frames=50)),
        ("trunks --case killed,moved,killed", trunks.Options(case=("killed", "moved"))),
        ("trunks --quick --case slow", replace(trunks.QUICK, case=("slow",))),
    ],
)
def test_what_the_options_ask_for(words: str, options: object) -> None:
    assert bench.options_of(parsed(*words.split())) == options


@pytest.mark.parametrize(
    ("words", "is_beside"),
    [("latency", True), ("latency --quick", False), ("latency --beside nothing", False)],
)
def test_baresip_is_measured_where_it_is_installed(
    words: str, is_beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "installed", lambda: True)
    assert bench.options_of(parsed(*words.split())).beside is is_beside


def measured(monkeypatch: pytest.MonkeyPatch, outcome: Results | ValueError) -> None:
    async def measure(options: Any, say: object) -> Results:
        if isinstance(outcome, ValueError):
            raise outcome
        return outcome

    monkeypatch.setitem(BENCHMARKS, "latency", replace(BENCHMARKS["latency"], measure=measure))


def test_the_files_can_be_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = results(BRIDGE_STEP)
    measured(monkeypatch, done)
    assert bench.run(parsed("latency", "--out", str(tmp_path / "new"))) == 0
    said = capsys.readouterr().out.splitlines()
    paths = [tmp_path / "new" / f"latency.{suffix}" for suffix in ("json", "md", "png")]
    assert said[-3:] == list(map(str, paths))
    assert msgspec.json.decode(paths[0].read_bytes(), type=Results) == done
    assert all(path.stat().st_size > 100 for path in paths)


def test_failed_calls_fail_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured(monkeypatch, results(msgspec.structs.replace(BRIDGE_STEP, calls_failed=1)))
    assert bench.run(parsed("latency", "--out", str(tmp_path))) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routes = tmp_path / "nowhere.toml"
    assert bench.run(parsed("region", "--routes", str(routes), "--out", str(tmp_path))) == 2
    assert f"error: {routes}: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        "latency --calls 0",
        "latency --calls a",
        "latency --calls 513",
        "latency --seconds 0",
        "latency --seconds x",
        "region --seconds 301",
        "stall --repeats 0",
        "capacity --platform retell",
        "codecs --frames 0",
        "trunks --case killed,drowned",
    ],
)
def test_nonsense_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words.split())
    assert words.split()[1] in capsys.readouterr().err


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_explained(name: str) -> None:
    page = Path(bench.__file__).parents[2] / "benchmarks" / "README.md"
    assert f"\n## {name}\n" in page.read_text()


def test_a_polite_end_leaves_no_process_behind(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bridge", "bench", "latency", "--calls", "1", "--out", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1 call against the reflector (no bridge) ...\n"
        children: dict[int, str] = {}
        while len(children) < 2:  # reflector and load caller; the time-out of the test is the limit
            children = dict(kernel.descendants(process.pid))
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "interrupted; nothing is written\n"
    assert process.returncode == 130
    assert [kernel.stat(child) for child in children] == [None, None]
