"""The costs as a picture: for each month and region a bar for the routes and one for the one provider."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bridge.reports.cost_page import headline, notes
from bridge.reports.costs import CostReport

ROUTES, PROVIDER = "#1b6ca8", "#d9d9d9"
MOST = 24
"Places that are still legible. Of more the latest are drawn."


def draw(report: CostReport, path: Path) -> None:
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    _bars(figure.subplots(), report)
    figure.suptitle(headline(report), fontsize=12)
    figure.supxlabel(" ".join(notes(report)), fontsize=8, color="#555555")
    figure.savefig(path, dpi=130)


def _bars(axes: Axes, report: CostReport) -> None:
    rows = report.compared[-MOST:]
    for at, row in enumerate(rows):
        assert row.single_provider is not None
        ours, theirs = float(row.cost), float(row.single_provider)
        axes.bar(at - 0.2, ours, 0.38, color=ROUTES, label="routes" if not at else None)
        axes.bar(at + 0.2, theirs, 0.38, color=PROVIDER, label="one provider" if not at else None)
        if row.saved_percent is not None:
            sign = "-" if row.saved_percent >= 0 else "+"
            label = f"{sign}{abs(row.saved_percent):.0f} %"
            axes.annotate(label, (at - 0.2, ours), ha="center", va="bottom", fontsize=9, weight="bold")
    names = [f"{row.region or '-'}\n{row.month}" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=9, rotation=0 if len(rows) <= 10 else 45)
    axes.set_ylabel(report.single_provider_currency)
    axes.margins(y=0.12)
    axes.grid(visible=True, axis="y", alpha=0.25)
    if rows:
        axes.legend()
    else:
        axes.text(0.5, 0.5, "nothing to compare", ha="center", transform=axes.transAxes)
