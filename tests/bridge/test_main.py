"""The door: the table of commands."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from bridge.__main__ import COMMANDS, HELP, main


def test_every_command_is_a_module_and_has_a_line_of_help() -> None:
    assert list(COMMANDS) == list(HELP)
    missing = [name for name in COMMANDS.values() if importlib.util.find_spec(f"bridge.commands.{name}") is None]
    assert missing == []


@pytest.mark.parametrize("words", [["--help"], ["serve", "--help"], ["check-config", "--help"], ["call", "--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 0
    assert capsys.readouterr().out.startswith("usage: puente")


@pytest.mark.parametrize(("words", "status"), [([], 2), (["dance"], 2), (["serve"], 2), (["call"], 1)])
def test_wrong_words(words: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """With `call`, 2 would say that the line is busy."""
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == status
    assert "usage: puente" in capsys.readouterr().err


def test_help_loads_no_command() -> None:
    probe = "import sys; sys.argv[1:] = ['--help']; import runpy; runpy.run_module('bridge', run_name='__main__')"
    script = f"try:\n    {probe.replace('; ', chr(10) + '    ')}\nfinally:\n    print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "False"
