from __future__ import annotations

from pathlib import Path

import pytest

from sip.native import build, cache, source, tools
from sip.native.compile import Workshop
from sip.native.target import Target, TargetError
from sip.native.tools import Need
from tests.sip.native.targets import target


class House:
    """Everything around the command that would touch the machine, replaced and written down."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.did: list[str] = []
        self.target = target()
        monkeypatch.setenv("PUENTE_CACHE", str(folder))
        monkeypatch.delenv("PUENTE_PJSIP_SOURCE", raising=False)
        monkeypatch.setattr(build, "probe", lambda python: self.target)
        monkeypatch.setattr(build, "install", self.install)
        monkeypatch.setattr(build, "build", self.build)
        monkeypatch.setattr(tools, "needs", lambda target: ())
        monkeypatch.setattr(source, "obtain", self.obtain)

    @property
    def wheel(self) -> Path:
        return cache.wheel_path(self.folder, self.target)

    def install(self, target: Target, wheel: Path) -> None:
        assert wheel.is_file()
        self.did.append(f"install {wheel.name}")

    def obtain(self, folder: Path, cache: Path, given: Path | None, say: object) -> Path:
        self.did.append(f"source {given}")
        return folder / "tarball"

    def build(self, tarball: Path, workshop: Workshop, phase: object) -> dict[str, Path]:
        self.did.append("build")
        (workshop.home / "pjsua2.py").write_text("")
        return {"pjsua2.py": workshop.home / "pjsua2.py"}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    return House(tmp_path / "cache", monkeypatch)


def test_built_once_installed_from_the_cache_then_left_alone(house: House) -> None:
    assert build.main([]) == 0
    assert house.did == ["source None", "build", f"install {house.wheel.name}"]
    house.did.clear()

    assert build.main([]) == 0
    assert house.did == [f"install {house.wheel.name}"]
    house.did.clear()

    house.target = target(installed=cache.build_version(house.target))
    assert build.main([]) == 0
    assert house.did == []

    assert build.main(["--force"]) == 0
    assert house.did == ["source None", "build", f"install {house.wheel.name}"]


def test_print_wheel_installs_nothing(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--print-wheel"]) == 0
    assert house.did == ["source None", "build"]
    assert capsys.readouterr().out == f"{house.wheel}\n"


def test_the_users_source_by_option_or_environment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUENTE_PJSIP_SOURCE", "/from/environment")
    assert build.main(["--print-wheel"]) == 0
    assert build.main(["--print-wheel", "--force", "--source", "/from/option"]) == 0
    assert house.did == ["source /from/environment", "build", "source /from/option", "build"]


def test_a_missing_tool_is_told_before_anything_is_fetched(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "needs", lambda target: (Need("swig", lambda: False, "it is needed", "swig"),))
    assert build.main([]) == 1
    assert house.did == []
    assert capsys.readouterr().err == (
        "!! PJSUA2: swig is missing: it is needed.\nOn Debian: apt-get install --no-install-recommends swig\n"
    )


def test_a_cached_wheel_needs_no_tools(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.main([]) == 0
    monkeypatch.setattr(tools, "needs", lambda target: (Need("swig", lambda: False, "it is needed", "swig"),))
    assert build.main([]) == 0


@pytest.mark.parametrize("error", [source.SourceError("nowhere to be had"), TargetError("no pip"), OSError(28, "full")])
def test_a_failure_is_one_line_and_exit_status_1(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def obtain(*_: object) -> Path:
        raise error

    monkeypatch.setattr(source, "obtain", obtain)
    assert build.main([]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"!! PJSUA2: {error}"
    assert not house.wheel.exists()


def test_the_log_of_a_failed_build_is_kept(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(tarball: Path, workshop: Workshop, phase: object) -> dict[str, Path]:
        workshop.run("libraries", ["sh", "-c", "echo out of memory; exit 2"])
        raise AssertionError

    monkeypatch.setattr(build, "build", failing)
    assert build.main([]) == 1
    kept = house.folder / "libraries.log"
    assert kept.read_text().endswith("out of memory\n")
    assert capsys.readouterr().err.endswith(
        f"!! PJSUA2: libraries failed; the end of {kept}:\n  | $ sh -c echo out of memory; exit 2\n  | out of memory\n"
    )
    assert not house.wheel.exists()
