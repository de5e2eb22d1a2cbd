"""What is wrong with routes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import examine

GOOD = """\
[[platforms]]
name = "one"
kind = "ultravox"
url = "http://127.0.0.1:8090"
prompt = "Be kind."

[[trunks]]
name = "mx"
region = "latam"
sources = ["192.0.2.1"]
"""
BEFORE = GOOD.count("\n")


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "x.toml"
    path.write_text(GOOD + text)
    return [str(error).replace(str(path), "x.toml") for error in examine(path, {})[1]]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[[routes]]\ntrunks = ['mix']", 2, "routes[0].trunks: no trunk is called `mix`, did you mean `mx`?"),
        (
            "[[routes]]\nregions = ['latm']",
            2,
            "routes[0].regions: no trunk is of the region `latm`, did you mean `latam`?",
        ),
        (
            "[[routes]]\nnumber = '1'\nnumbers = ['2']",
            3,
            "routes[0].numbers: is there beside number: which one counts?",
        ),
        ("[[routes]]\nnumber = '~('", 2, "routes[0].number: `~(` is no regular expression: missing ), unterminated"),
        ("[[routes]]\nnumbers = ['1', '1*2']", 2, "routes[0].numbers: must be a number, or its beginning and one `*`"),
        (
            "[[routes]]\nnumbers = ['+52*', '5']\n[[routes]]\nnumbers = ['7', '+5255*']",
            4,
            "routes[1].numbers: `+5255*` is never reached: a route above takes these numbers",
        ),
        ("[[routes]]\n[[routes]]\nnumber = '~^5'", 3, "routes[1].number: `~^5` is never reached"),
        ("[[routes]]\nnumber = '~5'\n[[routes]]\nnumber = '~5'", 4, "routes[1].number: `~5` is never reached"),
        (
            "[[routes]]\nregions = ['latam']\n[[routes]]\nregions = ['latam']\nnumber = '5'",
            5,
            "routes[1].number: `5` is never reached",
        ),
    ],
)
def test_one_mistake(tmp_path: Path, text: str, line: int, problem: str) -> None:
    [found] = problems(tmp_path, text)
    assert found.startswith(f"x.toml:{BEFORE + line}: {problem}")


@pytest.mark.parametrize(
    "text",
    [
        "[[routes]]\ntrunks = ['mx']\n[[routes]]\nnumber = '5'",  # the other trunks get there
        "[[routes]]\nregions = ['latam']\n[[routes]]",
        "[[routes]]\nnumber = '~^\\\\+52'\n[[routes]]\nnumber = '+52*'",  # nobody knows what a pattern leaves
        "[[routes]]\nnumbers = ['1', '2*']\ncompany = 'a'\nflow = 'b'\ncall_type = 'c'\nname = 'd'\n[[routes]]",
    ],
)
def test_no_mistake(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text.replace("'~^\\\\", "'~^\\")) == []
