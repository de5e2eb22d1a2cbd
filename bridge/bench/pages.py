"""What all benchmarks share: the conditions they ran under, and the three files in which they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bridge.bench import kernel
from bridge.bench.results import Conditions

Say = Callable[[str], None]
"Gets a line when something begins or is known."

COLOURS = ("#1b6ca8", "#2a9d8f", "#e9a23b", "#d1495b", "#6a4c93", "#555555")
GREY = "#999999"


class Watch:
    """Notes who else was on the machine from now until `conditions` is asked for."""

    def __init__(self) -> None:
        self._started_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        self._load_average = kernel.load_average()
        self._before = kernel.cpu_times()

    def conditions(self) -> Conditions:
        return Conditions(
            started_at=self._started_at,
            machine=kernel.machine(),
            steal_percent=kernel.steal_percent(self._before, kernel.cpu_times()),
            load_average=round(self._load_average, 2),
        )


def write(name: str, report: msgspec.Struct, text: str, draw: Callable[[Path], None], out: Path) -> Iterator[Path]:
    """JSON, Markdown, PNG; yields each path when it is there."""
    out.mkdir(parents=True, exist_ok=True)
    files = {suffix: out / f"{name}.{suffix}" for suffix in ("json", "md", "png")}
    files["json"].write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    yield files["json"]
    files["md"].write_text(text)
    yield files["md"]
    draw(files["png"])
    yield files["png"]


def picture(
    title: str, conditions: Conditions, columns: int, widths: Sequence[float] = ()
) -> tuple[Figure, list[Axes]]:
    """A row of axes under a title, with the machine line at the foot. Save it with `save`."""
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    options: dict[str, Any] = {"width_ratios": widths} if widths else {}
    axes = figure.subplots(1, columns, squeeze=False, **options)
    figure.suptitle(title, fontsize=14)
    figure.supxlabel(f"{conditions.started_at}: {conditions}", fontsize=8, color="#555555")
    return figure, list(axes[0])


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=130)


def ms(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
