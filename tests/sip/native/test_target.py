from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sip.native.target import TargetError, install, probe
from tests.sip.native.targets import target


def test_probe_of_this_interpreter() -> None:
    found = probe(Path(sys.executable))
    assert found.tag == f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert found.extension_suffix.endswith(".so")
    assert (Path(found.include) / "Python.h").is_file()
    assert found.installed.startswith("2.17+puente.")  # `make setup` has been here
    assert found.wheel_tag == f"{found.tag}-{found.tag}-{found.platform.replace('-', '_')}"


def test_wheel_tag() -> None:
    assert target(platform="linux-x86_64").wheel_tag == "cp311-cp311-linux_x86_64"
    assert target(platform="macosx-11.0-arm64").wheel_tag == "cp311-cp311-macosx_11_0_arm64"


def test_what_is_no_python() -> None:
    with pytest.raises(TargetError, match=r"^/no/python can not be run: No such file or directory$"):
        probe(Path("/no/python"))
    with pytest.raises(TargetError, match=r"^/bin/false is no Python that we know"):
        probe(Path("/bin/false"))


def test_install_asks_pip_for_this_file_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[object]] = []

    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess([], len(commands) - 1, "", "error: externally-managed\n")

    monkeypatch.setattr("sip.native.target.subprocess.run", run)
    install(target(), Path("/cache/x.whl"))
    (command,) = commands
    assert command[:4] == [Path("/usr/bin/python3"), "-m", "pip", "install"]
    assert {"--no-index", "--no-deps", "--force-reinstall", Path("/cache/x.whl")} <= set(command)

    with pytest.raises(TargetError, match=r"^pip could not install x.whl:\nerror: externally-managed$"):
        install(target(), Path("/cache/x.whl"))


def test_install_without_pip() -> None:
    with pytest.raises(
        TargetError, match=r"^/usr/bin/python3 has no pip: run `/usr/bin/python3 -m ensurepip`, or inst"
    ):
        install(target(has_pip=False), Path("/cache/x.whl"))
