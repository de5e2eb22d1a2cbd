"""`puente check-config` and `puente serve` with wrong settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.__main__ import main

DEV = str(Path(__file__).parents[3] / "configs" / "dev.toml")


def test_all_files_and_all_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[sip]\nudp_prot = 1\ntcp_port = 'x'\n")
    assert main(["check-config", DEV, str(bad)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{DEV}: ok",
        f"{bad}:2: sip.udp_prot: unknown key, did you mean `udp_port`?",
        f"{bad}:3: sip.tcp_port: expected `int`, got `str`",
    ]


def test_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", DEV]) == 0
    assert capsys.readouterr().out == f"{DEV}: ok\n"


def test_serve_does_not_start_with_wrong_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(tmp_path / "gone.toml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/gone.toml:1: file: cannot be read: No such file or directory\n"
