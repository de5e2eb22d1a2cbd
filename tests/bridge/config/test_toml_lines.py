"""Where keys stand in a TOML text."""

from __future__ import annotations

import pytest

from bridge.config.toml_lines import Path, TomlLines, spell

TEXT = '''\
top = 1
dotted.key = 2

[one]
a = 1
"quoted" = 2
text = """
[not.a.table]
b = 2
"""
b = 3   # after the text
many = [
  "x",
  "y",
]

[[list]]
name = "first"

  [[list]]
name = "second"

[list.inner]
deep = 1

[ spaced . out ]
x = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("top",), 1),
        (("dotted",), 2),
        (("dotted", "key"), 2),
        (("one",), 4),
        (("one", "a"), 5),
        (("one", "quoted"), 6),
        (("one", "text"), 7),
        (("one", "b"), 11),
        (("one", "many"), 12),
        (("one", "many", 1), 12),
        (("list",), 17),
        (("list", 0), 17),
        (("list", 0, "name"), 18),
        (("list", 1), 20),
        (("list", 1, "name"), 21),
        (("list", 1, "inner"), 23),
        (("list", 1, "inner", "deep"), 24),
        (("list", 0, "absent"), 17),
        (("spaced", "out", "x"), 27),
        (("absent", "key"), 1),
    ],
)
def test_lines(path: Path, line: int) -> None:
    assert TomlLines(TEXT).line(path) == line


def test_an_empty_text() -> None:
    assert TomlLines("").line(("sip", "host")) == 1


def test_spelling() -> None:
    assert spell(("trunks", 0, "sources")) == "trunks[0].sources"
    assert spell(()) == ""
