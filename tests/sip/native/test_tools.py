from __future__ import annotations

from pathlib import Path

import pytest

from sip.native import tools
from sip.native.tools import Need, complaint, has_header, has_tool, needs
from tests.sip.native.targets import target


def test_one_sentence_each_and_one_line_that_mends_them() -> None:
    found = (
        Need("gcc", lambda: False, "PJSIP is written in C", "build-essential"),
        Need("make", lambda: True, "it is there", "make"),
        Need("g++", lambda: False, "PJSUA2 is written in C++", "build-essential"),
        Need("swig", lambda: False, "it writes the binding", "swig"),
    )
    assert complaint(found) == (
        "gcc is missing: PJSIP is written in C.\n"
        "g++ is missing: PJSUA2 is written in C++.\n"
        "swig is missing: it writes the binding.\n"
        "On Debian: apt-get install --no-install-recommends build-essential swig"
    )
    assert complaint(found[1:2]) == ""


def test_an_empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "has_header", lambda name: False)
    lines = complaint(needs(target(include=str(tmp_path)))).splitlines()
    assert [line.partition(" is missing: ")[0] for line in lines[:-1]] == [
        "the C compiler (gcc)",
        "the C++ compiler (g++)",
        "make",
        "swig",
        "tar",
        "xz",
        "openssl/ssl.h",
        "Python.h",
    ]
    assert lines[-2] == f"Python.h is missing: the headers of /usr/bin/python3 are not in {tmp_path}."
    assert lines[-1].endswith(" build-essential make swig tar xz-utils libssl-dev python3-dev")


def test_python_headers_are_looked_for_where_the_interpreter_has_them(tmp_path: Path) -> None:
    need = needs(target(include=str(tmp_path)))[-1]
    assert not need.is_met()
    (tmp_path / "Python.h").touch()
    assert need.is_met()


def test_headers_and_tools_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [has_header("stdio.h"), has_header("openssl/ssl.h"), has_header("no/such.h")] == [True, True, False]
    assert [has_tool("gcc"), has_tool("no-such-tool")] == [True, False]
    monkeypatch.setenv("PATH", str(tmp_path))  # no compiler that could be asked
    assert [has_header("stdio.h"), has_header("no/such.h")] == [True, False]
