"""A TOML text into a tree of msgspec structs, with everything that is wrong in it at once, each with its line.

msgspec alone stops at the first mistake and knows no lines; so the tree is walked here key by key, and msgspec converts
the single values.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from bridge.config.toml_lines import Path, TomlLines, spell

_ITEM = re.compile(r"\[(\d+)\]")

Tree = TypeVar("Tree", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    line: int
    key: str
    "Spelled out, e.g. `trunks[0].sources`."
    problem: str


class TomlReader:
    def __init__(self, text: str) -> None:
        self.text, self.lines = text, TomlLines(text)
        self.problems: list[Problem] = []

    def note(self, path: Path, problem: str) -> None:
        printable = "".join(one if one.isprintable() else repr(one)[1:-1] for one in problem)
        found = Problem(self.lines.line(path), spell(path) or "file", printable)
        if found not in self.problems:
            self.problems.append(found)

    def read(self, kind: type[Tree]) -> Tree | None:
        """None when nothing of this kind can be made of the text; `problems` says why."""
        try:
            tables = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            line = int(where[1]) if where else max(1, len(self.text.splitlines()))
            self.problems.append(Problem(line, "file", f"is no TOML: {error}"))
            return None
        return self._struct(tables, kind, ())

    def _struct(self, table: object, kind: type[Tree], path: Path) -> Tree | None:
        if not isinstance(table, dict):
            self.note(path, f"must be a table, not {_named(table)}")
            return None
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        before = len(self.problems)
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key in fields:
                values[fields[key].name] = self._value(value, fields[key].type, (*path, key))
            else:
                self.note((*path, key), f"unknown key{nearest(key, fields)}")
        for key, field in fields.items():
            if field.required and key not in table:
                self.note(path, f"`{key}` is missing")
        return kind(**values) if len(self.problems) == before else None

    def _value(self, value: object, kind: Any, path: Path) -> Any:
        if _is_struct(kind):
            return self._struct(value, kind, path)
        if get_origin(kind) is tuple and _is_struct(get_args(kind)[0]):
            if not isinstance(value, list):
                self.note(path, f"must be written as [[{spell(path)}]]")
                return None
            element = get_args(kind)[0]
            return tuple(self._struct(one, element, (*path, place)) for place, one in enumerate(value))
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.note(path, _in_our_words(str(error), value, kind))
            return None


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean ...?` for what is probably a typing mistake, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean `{close[0]}`?" if close else ""


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _in_our_words(error: str, value: object, kind: Any) -> str:
    choices = [str(choice) for choice in _choices(kind)]
    if get_origin(kind) is tuple and not isinstance(value, list):
        return f'must be an array, e.g. ["{choices[0] if choices else "..."}"], not {_named(value)}'
    if choices:
        wrong = [one for one in (value if isinstance(value, list) else [value]) if one not in choices]
        hint = nearest(str(wrong[0]), choices) if wrong else ""
        return f"must be one of {', '.join(choices)}; got {', '.join(map(repr, wrong))}{hint}"
    problem, _, place = error.partition(" - at `$")
    within = f" as item {int(item[1]) + 1}" if (item := _ITEM.match(place)) else ""
    return f"{problem[:1].lower()}{problem[1:]}{within}"


def _choices(kind: Any) -> tuple[object, ...]:
    """The words of a Literal, or of a tuple of them."""
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    return tuple(one for one in get_args(kind) if isinstance(one, str))


def _named(value: object) -> str:
    return {"str": "a string", "int": "a number", "float": "a number", "bool": "true or false", "list": "an array"}.get(
        type(value).__name__, type(value).__name__
    )
