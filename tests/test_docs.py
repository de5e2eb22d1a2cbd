"""What is written for people is true: README, examples, Makefile, Dockerfile and licence agree with the code."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.__main__ import COMMANDS
from bridge.config import Config, RouteSection

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
EXAMPLE = (ROOT / "configs" / "example.toml").read_text()


# --- settings -------------------------------------------------------------------------------------------------------


def sections() -> list[tuple[str, type[msgspec.Struct]]]:
    """Every table of the file and the struct behind it."""
    found: list[tuple[str, type[msgspec.Struct]]] = []
    for name, kind in typing.get_type_hints(Config).items():
        inner = typing.get_args(kind)
        found.append((name, inner[0] if inner else kind))
    return found


KEYS = [(name, field) for name, struct in sections() for field in struct.__struct_fields__]


def test_all_tables_are_found() -> None:
    assert [name for name, _ in sections()] == [
        *("sip", "media", "trunks", "platforms", "routes", "outbound", "costs", "records", "web", "log")
    ]
    assert ("routes", RouteSection) in sections()


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_every_key_is_in_the_example(table: str, key: str) -> None:
    """Set, or commented out as the alternative to another one, or a table of its own."""
    header = rf"\[\[?{table}\]?\]\n"
    body = "".join(re.findall(header + r"((?:(?!\n\[\[?[a-z]+\]).)*)", EXAMPLE, flags=re.DOTALL))
    assert re.search(rf"^(# )?{key} = |^\[{table}\.{key}\]", body, flags=re.MULTILINE), f"{table}.{key}"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: str(path.name))
def test_every_configuration_is_one_the_bridge_takes(path: Path) -> None:
    msgspec.convert(tomllib.loads(path.read_text()), Config)


def test_the_readme_names_the_reference_and_every_table() -> None:
    part = README.partition("## Configuration")[2].partition("\n## ")[0]
    assert "configs/example.toml" in part
    assert [name for name, _ in sections() if f"[{name}]" not in part] == []


# --- commands and targets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"| `puente {command}" in README


def targets() -> list[str]:
    """What a person may make; files and what only other targets need are not."""
    internal = {"debian-build", "debian-test"}
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.MULTILINE)
    return [name for names in phony for name in names.split() if name not in internal]


def make(*arguments: str) -> str:
    # Not as a part of the make that may be running these tests.
    environ = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return done.stdout


def test_make_alone_lists_every_target_on_a_line() -> None:
    listed = [line.split()[1] for line in make().splitlines()]
    assert sorted(listed) == sorted(targets())
    assert make() == make("help")


@pytest.mark.parametrize("target", [name for name in targets() if name != "help"])
def test_every_target_is_in_the_readme(target: str) -> None:
    assert f"| `make {target}`" in README


def test_the_build_server_makes_test_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "exec make test"]


# --- floor plan, links, licence -------------------------------------------------------------------------------------


def test_the_floor_plan_has_a_row_for_every_module() -> None:
    rows = set(re.findall(r"^\| `([a-z0-9_/]+\.py)` \| .+ \| .+ \|$", README, flags=re.MULTILINE))
    modules = {
        path.relative_to(ROOT).as_posix()
        for room in ("bridge", "media", "sip")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert (modules - rows, rows - modules) == (set(), set()), "(without a row, without a file)"


def test_every_link_in_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_licence_is_the_one_we_say() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:6] == ["GNU", "GENERAL", "PUBLIC", "LICENSE", "Version", "2,"]
    assert "END OF TERMS AND CONDITIONS" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "GPL-2.0-or-later" in str(project["license"])
    assert "GPL-2.0-or-later" in README


def test_all_speech_has_words_and_a_source() -> None:
    folders = [ROOT / "bridge/simulators/speech", ROOT / "bridge/demo/speech"]
    for folder in folders:
        recordings = {path.stem for path in folder.glob("*.wav")}
        assert recordings == {path.stem for path in folder.glob("*.txt")} != set()
        assert "flite" in (folder / "SOURCES.md").read_text()
    assert sum(path.stat().st_size for folder in folders for path in folder.glob("*.wav")) < 600_000


# --- container ------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def given(name: str, lines: list[tuple[str, str]]) -> list[str]:
    return [arguments for instruction, arguments in lines if instruction == name]


def ignored() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_image_is_built_in_one_stage_and_run_in_another() -> None:
    lines = instructions()
    stages = given("FROM", lines)
    assert [stage.split()[-1] for stage in stages] == ["build", "run"]
    # The environment is copied: both stages must have the same interpreter at the same place, with a version.
    assert len({stage.split()[0] for stage in stages}) == 1
    assert re.fullmatch(r"python:\d+\.\d+-slim-\w+", stages[0].split()[0])


def test_the_running_stage_has_no_compiler_and_no_root() -> None:
    lines = instructions()
    run = lines[[name for name, _ in lines].index("FROM", 1) :]
    assert "build-essential" not in " ".join(given("RUN", run))
    assert given("USER", run) == ["puente"]
    assert any("useradd" in line and "puente" in line for line in given("RUN", run))
    assert [name for name, _ in run].index("USER") > max(n for n, (name, _) in enumerate(run) if name == "RUN")
    assert {*given("EXPOSE", run)[0].split()} == {"5060/udp", "5060/tcp", "5061/tcp", "20000-21999/udp"}
    assert len(given("HEALTHCHECK", run)) == 1
    # In exec form, so that SIGTERM reaches the bridge and not a shell.
    assert all(line.startswith("[") for line in given("ENTRYPOINT", run) + given("CMD", run))


def test_what_is_copied_into_the_image_exists_and_is_not_ignored() -> None:
    sources = [
        source
        for line in given("COPY", instructions())
        if not line.startswith("--from")
        for source in line.split()[:-1]
    ]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if source.rstrip("/") in ignored()] == []
    assert {"bridge", "media", "sip", "pyproject.toml", "README.md"} <= set(sources)


def test_package_lists_are_fetched_and_removed_in_the_same_layer() -> None:
    for line in given("RUN", instructions()):
        if "apt-get install" in line:
            assert "apt-get update" in line
            assert "--no-install-recommends" in line
            assert "rm -rf /var/lib/apt/lists/*" in line


def test_the_ports_of_image_and_example_agree() -> None:
    media: dict[str, Any] = tomllib.loads(EXAMPLE)["media"]
    exposed = " ".join(given("EXPOSE", instructions()))
    assert f"{media['rtp_first_port']}-{media['rtp_last_port']}/udp" in exposed
