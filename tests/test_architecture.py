"""The floors of the house: an import may point down, never up and never sideways; and nothing grows without limit.

The table below is the floor plan. A new module that is in no room fails the first test: decide where it lives.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

GROUND = frozenset(
    {
        *("bridge.errors", "bridge.config", "bridge.records", "bridge.store", "bridge.logs", "bridge.children"),
        *("bridge.ending", "bridge.serving"),
    }
)
LIBRARIES = frozenset({"media", "sip"})
HOUSE = GROUND | LIBRARIES | {"bridge.platforms", "bridge.routing", "bridge.calls", "bridge.trunks", "bridge.app"}

MAY_IMPORT: dict[str, frozenset[str]] = {
    # two libraries that know neither us nor each other
    "media": frozenset(),
    "sip": frozenset(),
    # the ground
    "bridge": frozenset(),
    "bridge.errors": LIBRARIES,
    "bridge.config": LIBRARIES | {"bridge.errors"},
    "bridge.records": LIBRARIES | {"bridge.errors"},
    "bridge.store": frozenset({"bridge.errors", "bridge.config", "bridge.records"}),
    "bridge.logs": frozenset({"bridge.config"}),
    "bridge.children": frozenset({"bridge.ending", "bridge.errors", "bridge.logs"}),
    "bridge.ending": frozenset(),
    "bridge.serving": frozenset(),
    "bridge.metrics": LIBRARIES | {"bridge.errors", "bridge.records"},
    # rooms that do not know each other: what decides, what speaks to a platform, and what plays one
    "bridge.routing": GROUND | LIBRARIES,
    "bridge.platforms": GROUND | {"media"},
    "bridge.simulators": GROUND | {"media"},
    # the desk: one call's life
    "bridge.calls": GROUND | LIBRARIES | {"bridge.platforms", "bridge.routing"},
    # the partners: where they are, how they fare, which of them carries a call
    "bridge.trunks": GROUND | LIBRARIES | {"bridge.routing", "bridge.calls"},
    # what people read: calls, events of trunks, costs
    "bridge.reports": GROUND | LIBRARIES | {"bridge.routing"},
    # the face
    "bridge.web": GROUND | LIBRARIES | {"bridge.routing", "bridge.calls", "bridge.trunks", "bridge.metrics"},
    # the roof, and what looks at the whole house from outside
    "bridge.options": HOUSE,
    "bridge.reload": frozenset({"bridge.config"}),
    "bridge.app": HOUSE | {"bridge.metrics", "bridge.web", "bridge.options", "bridge.reload"},
    "bridge.demo": HOUSE | {"bridge.simulators"},
    "bridge.bench": HOUSE | {"bridge.simulators"},
    "bridge.telephone": HOUSE,
    "bridge.commands": HOUSE
    | {"bridge.simulators", "bridge.demo", "bridge.bench", "bridge.options", "bridge.telephone", "bridge.reports"},
    "bridge.__main__": HOUSE | {"bridge.commands"},
}
"Room -> the other rooms it may import. A module belongs to the longest name that fits."

ONE_DOOR = {
    "pjsua2": "sip/stack/",
}
"Foreign libraries -> the only room that may import them (sip/native builds PJSUA2 and may try its work)."

MOST_LINES = 400
MOST_LINES_OF_FUNCTION = 80
LONGER_FILES: set[str] = {"sip/messages.py", "media/wire.py"}  # one vocabulary each, read from top to bottom
LONGER_FUNCTIONS: set[str] = set()
"`path:name` of what is longer all the same. Kept short and visible; an entry that is no longer needed fails too."

# Each with a ~ inside, so that this file itself stays clean.
UNSPEAKABLE = tuple(
    word.replace("~", "")
    for word in (
        "py~pi.org",
        "python~hosted.org",
        "npm~js.org",
        "npm~js.com",
        "deb.~debian.org",
        "docker~.io",
        "/wo~rk/main",
        "/wo~rk/shared",
        "/ro~ot/",
        "shared/~reference",
    )
)
"Package registries (the machine's own configuration knows them) and paths of somebody's machine."


@cache
def sources() -> tuple[Path, ...]:
    """All Python files of the product."""
    return tuple(
        sorted(path for room in ("bridge", "media", "sip") for path in (ROOT / room).rglob("*.py") if path.is_file())
    )


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(module: str, rooms: dict[str, frozenset[str]] = MAY_IMPORT) -> str | None:
    parts = module.split(".")
    if len(parts) > 1 and parts[0] == "bridge":
        # `bridge` itself holds nothing but its __init__: what lies in it must have a room of its own.
        return next((room for n in range(len(parts), 1, -1) if (room := ".".join(parts[:n])) in rooms), None)
    return parts[0] if parts[0] in rooms else None


def imports(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Names imported anywhere in a module, functions and type-checking blocks included, and their line."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"relative import in line {node.lineno}"
            base = node.module or ""
            # `from bridge import errors` names a module of the package; `from bridge.errors import End` does not.
            yield from (
                (f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base, node.lineno)
                for alias in node.names
            )


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def complaints(module: str, source: ast.Module) -> list[str]:
    """What is wrong with the imports of one module."""
    room = room_of(module)
    if room is None:
        return [f"{module} is in no room"]
    found = []
    for name, line in imports(source):
        other = room_of(name)
        if name.split(".")[0] == "tests":
            found.append(f"{module}:{line} imports {name}")
        elif other is not None and other != room and other not in MAY_IMPORT[room] | {"bridge"}:
            found.append(f"{module}:{line} ({room}) imports {name} ({other})")
    return found


def test_no_import_points_up_or_sideways() -> None:
    assert [wrong for path in sources() for wrong in complaints(module_name(path), tree(path))] == []


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("media.worker", "import bridge.errors", ["media.worker:1 (media) imports bridge.errors (bridge.errors)"]),
        ("media.worker", "import sip.messages", ["media.worker:1 (media) imports sip.messages (sip)"]),
        ("media.worker", "import media.wire, numpy", []),
        (
            "bridge.platforms.vapi",
            "def f():\n  from bridge.simulators.vapi import x",
            ["bridge.platforms.vapi:2 (bridge.platforms) imports bridge.simulators (bridge.simulators)"],
        ),
        ("bridge.calls.desk", "from bridge import errors", []),
        ("bridge.calls.desk", "import tests.helpers", ["bridge.calls.desk:1 imports tests.helpers"]),
        ("bridge.attic", "", ["bridge.attic is in no room"]),
    ],
)
def test_the_guard_would_see_it(module: str, source: str, wrong: list[str]) -> None:
    found = complaints(module, ast.parse(source))
    # The simulators' modules may or may not exist under that very name: compare without the tail.
    assert [line.replace("bridge.simulators.vapi (", "bridge.simulators (") for line in found] == wrong


def test_no_import_goes_in_a_circle() -> None:
    graph = {module_name(path): {name for name, _ in imports(tree(path))} for path in sources()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module in done or module not in graph:
            return
        for name in graph[module]:
            visit(name, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_foreign_libraries_come_in_by_one_door() -> None:
    found = {
        f"{relative(path)} imports {name}"
        for path in sources()
        for name, _ in imports(tree(path))
        if (door := ONE_DOOR.get(name.split(".")[0])) is not None
        if not relative(path).startswith((door, "sip/native/"))
    }
    assert found == set()


def test_no_file_is_too_long() -> None:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    long = {relative(path) for path in (*sources(), *tests) if len(path.read_text().splitlines()) > MOST_LINES}
    assert long == LONGER_FILES


def test_no_function_is_too_long() -> None:
    long = {
        f"{relative(path)}:{node.name}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_FUNCTION
    }
    assert long == LONGER_FUNCTIONS


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        relative(path)
        for path in sources()
        if ast.get_docstring(tree(path)) is None and tree(path).body  # an empty __init__.py has nothing to say
    ]
    assert silent == []


def texts() -> Iterator[tuple[str, str]]:
    """Every text file that is part of the project, by its relative path."""
    skipped = {"build", "dist", "out", "__pycache__"}
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_dir():
                hidden = path.name.startswith(".") and path.name != ".ci"
                if not hidden and path.name not in skipped and not path.name.endswith(".egg-info"):
                    folders.append(path)
            elif path.suffix not in {".wav", ".png", ".pyc", ".so", ".whl"}:
                yield relative(path), path.read_text(errors="replace")


def test_no_registry_and_no_machine_is_named() -> None:
    named = [f"{name}: {word}" for name, text in texts() for word in UNSPEAKABLE if word in text]
    assert named == []


def test_every_test_file_mirrors_a_module() -> None:
    """tests/media/test_rtp.py is about media/rtp.py, or about a whole room or scenario that has no single module."""
    for room in ("bridge", "media", "sip"):
        for path in (ROOT / "tests" / room).rglob("test_*.py"):
            subject = ROOT / path.relative_to(ROOT / "tests").parent / path.name.removeprefix("test_")
            whole_room = subject.with_suffix("").is_dir() or subject.parent.is_dir()
            assert subject.is_file() or whole_room, f"{relative(path)} mirrors nothing"
