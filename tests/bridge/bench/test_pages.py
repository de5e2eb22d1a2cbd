from __future__ import annotations

from pathlib import Path

import msgspec

from bridge.bench import pages
from bridge.bench.results import Conditions
from bridge.bench.table import grid
from tests.bridge.bench.probes import CONDITIONS


def test_the_three_files(tmp_path: Path) -> None:
    drawn: list[Path] = []

    def draw(path: Path) -> None:
        figure, axes = pages.picture("title", CONDITIONS, 2)
        assert len(axes) == 2
        pages.save(figure, path)
        drawn.append(path)

    out = tmp_path / "new" / "folder"
    paths = list(pages.write("thing", CONDITIONS, "# text\n", draw, out))
    assert paths == [out / "thing.json", out / "thing.md", out / "thing.png"]
    assert msgspec.json.decode(paths[0].read_bytes(), type=Conditions) == CONDITIONS
    assert paths[1].read_text() == "# text\n"
    assert paths[2].read_bytes().startswith(b"\x89PNG\r\n")
    assert drawn == [paths[2]]


def test_conditions_in_one_line() -> None:
    assert str(CONDITIONS) == "Chip, 2 cores, Linux 6.1, Python 3.11.7, steal 0.5 %, load before 1.25"


def test_this_machine_now() -> None:
    found = pages.Watch().conditions()
    assert found.machine.cores >= 1
    assert 0 <= found.steal_percent <= 100
    assert found.load_average >= 0
    assert found.started_at.endswith(" UTC")


def test_cells() -> None:
    assert [pages.ms(None), pages.ms(1.25), pages.ms(1.25, 0)] == ["-", "1.2", "1"]
    assert grid(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
