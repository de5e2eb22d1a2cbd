from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.bench import kernel
from bridge.bench.latency import Options
from bridge.bench.results import Results
from bridge.commands import bench
from tests.bridge.bench.runs import BRIDGE_STEP, results


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    return parser.parse_args(["latency", *words])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """What the command wants measured; one good step is the answer."""
    seen: list[Options] = []

    async def measure(options: Options, say: object) -> Results:
        seen.append(options)
        options.out.mkdir(parents=True, exist_ok=True)
        return results(BRIDGE_STEP)

    monkeypatch.setattr(bench, "measure", measure)
    return seen


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], Options()),
        (["--quick"], Options(calls=(1, 10), seconds=5.0)),
        (["--quick", "--calls", "40"], Options(calls=(40,), seconds=5.0)),
        (["--calls", "1,2", "--seconds", "3.5"], Options(calls=(1, 2), seconds=3.5)),
        (["--platform", "vapi", "--workers", "1"], Options(platform="vapi", workers=1)),
    ],
)
def test_what_the_options_ask_for(
    asked: list[Options], words: list[str], options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run(parsed(*words, "--out", str(tmp_path))) == 0
    (got,) = asked
    assert (got.calls, got.seconds, got.platform, got.workers) == (
        (options.calls, options.seconds, options.platform, options.workers)
    )
    assert str(tmp_path / "latency.png") in capsys.readouterr().out


def test_failed_calls_fail_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import msgspec

    async def measure(options: Options, say: object) -> Results:
        return results(msgspec.structs.replace(BRIDGE_STEP, calls_failed=1))

    monkeypatch.setattr(bench, "measure", measure)
    assert bench.run(parsed("--out", str(tmp_path))) == 1


@pytest.mark.parametrize("words", [["--calls", "0"], ["--calls", "a"], ["--calls", "513"], ["--seconds", "0"]])
def test_nonsense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert words[0] in capsys.readouterr().err


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
