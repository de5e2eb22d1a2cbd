"""The packet step is built once, from this source, or says why not; a worker runs either way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from media import native, step
from media.native import build


def test_what_is_built_here_is_of_this_source() -> None:
    assert build.is_current()
    assert native.fingerprint() == native.load().SOURCE


def test_it_builds_and_leaves_no_scratch_behind(tmp_path: Path) -> None:
    build.build(tmp_path / "step.so")
    assert [path.name for path in tmp_path.iterdir()] == ["step.so"]


def test_a_second_build_has_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main([]) == 0
    assert capsys.readouterr().out == ""


def test_without_a_compiler_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(build, "is_current", lambda: False)
    assert build.main([]) == 1
    said = capsys.readouterr().err
    assert "!! packet step: the C compiler (gcc) is missing" in said
    assert "apt-get install" in said


def test_without_python_h_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(build.BuildError, match=r"Python\.h is missing"):
        build.command(tmp_path / "step.so")


def test_what_the_compiler_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.c").write_text("int main( {")
    monkeypatch.setattr(build, "SOURCE", tmp_path / "broken.c")
    with pytest.raises(build.BuildError, match=r"broken\.c"):
        build.build(tmp_path / "step.so")
    assert not (tmp_path / "step.so").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "has not been built"), (b"no library", "can not be loaded"), ("stale", "another step.c")],
)
def test_what_cannot_be_used_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: object, why: str
) -> None:
    """Missing, damaged, or of another source: the Python path takes all packets, and the log says why."""
    library = tmp_path / native.library().name
    if isinstance(content, bytes):
        library.write_bytes(content)
    elif content == "stale":
        library.write_bytes(native.library().read_bytes())
        monkeypatch.setattr(native, "fingerprint", lambda: "of an edited step.c")
    monkeypatch.setattr(native, "library", lambda: library)
    with caplog.at_level(logging.INFO):
        assert step._compiled() is None
    assert why in caplog.text
