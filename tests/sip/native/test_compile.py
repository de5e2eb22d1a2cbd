from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from sip.native import compile as compile_module
from sip.native.compile import CHANGES, BuildError, Workshop, environment, unpack
from tests.sip.native.targets import target

MAKEFILE = "OBJS += audiodev.o alsa_dev.o bdimad_dev.o null_dev.o\n"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, target())


def tarball(tmp_path: Path, *extra: str) -> Path:
    root = tmp_path / "pjproject-2.17"
    for name, text in {
        "pjmedia/build/Makefile": MAKEFILE,
        "pjlib/include/pj/config.h": "",
        **{source: f"before {old} after\n" for source, old, _ in CHANGES},
        **dict.fromkeys(extra, ""),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with tarfile.open(tmp_path / "source.tar.xz", "w:xz") as archive:
        archive.add(root, root.name)
    return tmp_path / "source.tar.xz"


def test_debians_tree_lacks_a_file_that_its_makefile_names(workshop: Workshop, tmp_path: Path) -> None:
    unpack(tarball(tmp_path), workshop)
    assert (workshop.tree / "pjmedia/build/Makefile").read_text() == MAKEFILE.replace(" bdimad_dev.o", "")
    assert "PJSUA_MEDIA_HAS_PJMEDIA 0" in (workshop.tree / "pjlib/include/pj/config_site.h").read_text()


def test_upstreams_tree_is_left_as_it_is(workshop: Workshop, tmp_path: Path) -> None:
    unpack(tarball(tmp_path, "pjmedia/src/pjmedia-audiodev/bdimad_dev.c"), workshop)
    assert (workshop.tree / "pjmedia/build/Makefile").read_text() == MAKEFILE


def test_changes_of_the_source(workshop: Workshop, tmp_path: Path) -> None:
    unpack(tarball(tmp_path), workshop)
    assert len(CHANGES) == len({source for source, _, _ in CHANGES})
    for source, _, new in CHANGES:
        assert (workshop.tree / source).read_text() == f"before {new} after\n"


@pytest.mark.parametrize("source", [source for source, _, _ in CHANGES])
def test_a_tree_in_which_there_is_nothing_to_change_is_not_built(
    workshop: Workshop, tmp_path: Path, source: str
) -> None:
    with pytest.raises(BuildError):
        unpack(tarball(tmp_path, source), workshop)


def test_a_failed_step_shows_the_end_of_its_log(workshop: Workshop) -> None:
    workshop.run("link", ["true"])
    with pytest.raises(BuildError) as raised:
        workshop.run("link", ["sh", "-c", "seq 1 100; echo no such library >&2; exit 1"])
    lines = str(raised.value).splitlines()
    assert lines[0] == f"link failed; the end of {workshop.home}/link.log:"
    assert lines[-2:] == ["  | 100", "  | no such library"]
    assert len(lines) == 1 + BuildError.LINES
    assert raised.value.log.read_text().startswith("$ true\n$ sh -c ")


def test_the_flags_of_a_make_around_us_stay_outside(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "--no-builtin-rules -j7")
    monkeypatch.setenv("SOMETHING", "else")
    assert "MAKEFLAGS" not in environment()
    assert environment()["SOMETHING"] == "else"
    workshop.run("see", ["sh", "-c", "echo [$MAKEFLAGS] [$SOMETHING] [$CFLAGS]"], env={"CFLAGS": "-O2"})
    assert (workshop.home / "see.log").read_text().endswith("\n[] [else] [-O2]\n")


def test_the_order_of_the_steps(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: list[tuple[str, str]] = []
    monkeypatch.setattr(
        Workshop, "run", lambda self, step, command, **_: steps.append((step, os.path.basename(command[0])))
    )
    monkeypatch.setattr(compile_module, "unpack", lambda *_: steps.append(("unpack", "tar")))
    monkeypatch.setattr(compile_module, "tree_says", lambda what, _: {"libs": ["pj", "stdc++"]}.get(what, ["-O2"]))
    phases: list[str] = []

    class Phase:
        def __init__(self, name: str) -> None:
            phases.append(name)

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    files = compile_module.build(tmp_path / "x.tar", workshop, Phase)
    assert files == {
        "pjsua2.py": tmp_path / "pjsua2.py",
        "_pjsua2.cpython-311-x86_64-linux-gnu.so": tmp_path / "_pjsua2.cpython-311-x86_64-linux-gnu.so",
    }
    assert phases == ["unpack", "configure", "compile PJSIP and the Python binding", "link"]
    assert steps[:2] == [("unpack", "tar"), ("configure", "aconfigure")]
    assert steps[-1] == ("link", "g++")
    assert sorted(steps[2:-1]) == [
        ("binding", "g++"),
        *[("binding", "gcc")] * len(compile_module.OURS),
        ("binding", "swig"),
        ("libraries", "make"),
    ]
