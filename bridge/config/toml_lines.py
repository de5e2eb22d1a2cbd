"""On which line of a TOML text a key stands: what the parser knows and does not tell.

A scan by line, not a second parser: it runs after `tomllib` has accepted the text, so it may trust the syntax. What it
cannot place (keys of an inline table that spans lines) is answered with the line of the nearest key around it.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]
'`("trunks", 0, "sources")`: table, element of an array of tables, key.'

WORD = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
DOTTED = rf"{WORD}(?:\s*\.\s*{WORD})*"
HEADER = re.compile(rf"^\s*(\[\[?)\s*({DOTTED})\s*\]\]?")
KEY = re.compile(rf"^\s*({DOTTED})\s*=")
QUOTES = ('"""', "'''")


class TomlLines:
    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 1}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        quote = ""
        for number, line in enumerate(text.splitlines(), 1):
            if quote:
                quote = "" if quote in line else quote
                continue
            if header := HEADER.match(line):
                table = self._enter(_words(header[2]), is_array=header[1] == "[[")
                self._note(table, number)
            elif key := KEY.match(line):
                self._note(table + tuple(_words(key[1])), number)
            quote = next((mark for mark in QUOTES if line.count(mark) % 2), "")

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _enter(self, words: list[str], *, is_array: bool) -> Path:
        """The path of a header. `[a.b]` below `[[a]]` means the last element of `a`."""
        path: Path = ()
        for place, word in enumerate(words):
            path += (word,)
            if is_array and place == len(words) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path += (self._counts[path],)
        return path

    def _note(self, path: Path, number: int) -> None:
        for length in range(len(path), 0, -1):
            self._lines.setdefault(path[:length], number)


def _words(dotted: str) -> list[str]:
    return [word.strip("\"'") for word in re.findall(WORD, dotted)]


def spell(path: Path) -> str:
    """`trunks[0].sources`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
