from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.bench import path
from bridge.bench.path import FRAME_S, FiguresRow, Options, PathReport, Variant, VariantRow, measure
from bridge.bench.path_figures import Half, Halves
from bridge.bench.path_page import FIGURES_HEAD, HEAD, cells, draw, figures_cells, markdown
from tests.bridge.bench.probes import CONDITIONS


def row(name: str, *cpu_percent: float, trouble: str = "") -> VariantRow:
    return VariantRow(name=name, cpu_percent=cpu_percent, frames_back=99, frames_sent=100, trouble=trouble)


def costs(name: str, *cost_us: float) -> FiguresRow:
    """One round for each, in which the live figures cost so much."""
    silent = Half(callbacks_ns=30_000.0 * 100, frames=100)
    rounds = tuple(
        Halves(
            keeping=Half(callbacks_ns=(30_000 + one * 900) * 100, frames=100), silent=silent, survey_ns=int(one * 1e4)
        )
        for one in cost_us
    )
    return FiguresRow(name=name, rounds=rounds, frame_us=(50.0,) * len(rounds))


async def test_every_variant_carries_the_audio_and_costs_something(tmp_path: Path) -> None:
    said: list[str] = []
    report = await measure(_short(tmp_path), said.append)
    assert not report.failed, (said, (tmp_path / "path.log").read_text())
    assert [one.name for one in report.variants] == [variant.name for variant in path.VARIANTS]
    for one in report.variants:
        assert one.typical_percent > 0
        assert one.frames_sent == 100
        assert one.frames_back > 50
    for figures in report.figures:
        [halves] = figures.rounds
        assert halves.keeping.frames > 20
        assert halves.silent.frames > 20
        assert halves.silent_us > 0
    assert os.listdir(tmp_path) == ["path.log"]
    assert (tmp_path / "path.log").read_text() == ""


def _short(out: Path) -> Options:
    return Options(calls=2, seconds=1.0, rounds=1, figures_seconds=1.0, out=out)


async def test_a_variant_that_does_not_come_up_is_told_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = (Variant(name="broken", words=("--no-such-word",)), path.PRODUCT)
    monkeypatch.setattr(path, "VARIANTS", variants)
    monkeypatch.setattr(path, "HALVED", variants)
    report = await measure(_short(tmp_path), lambda line: None)
    assert report.failed
    assert report.variants[0].trouble
    assert report.variants[1].typical_percent > 0
    assert (report.figures[0].trouble, report.figures[0].rounds) == (report.variants[0].trouble, ())
    assert len(report.figures[1].rounds) == 1
    assert "--no-such-word" in (tmp_path / "path.log").read_text()


def test_the_page_says_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    product, other, broken = row("product", 0.3, 0.2, 0.4), row("other", 0.6), row("broken", trouble="no such thing")
    figures = (
        costs("product", 1.0, 0.0, 0.4, 0.4, 0.2, 0.2),
        FiguresRow(name="lost", rounds=(), frame_us=(), trouble="x"),
    )
    report = PathReport(
        conditions=CONDITIONS, calls=20, seconds=4.0, variants=(product, other, broken), figures=figures
    )
    assert report.failed
    assert product.typical_percent == 0.3
    assert product.frame_us == pytest.approx(0.003 * FRAME_S * 1e6)
    assert cells(other, product)[1:6] == ("0.60", "0.60", "0.60", "120", "2.00")
    # Pairs of rounds: 0.5, 0.4, 0.2 us; a frame takes 50 us in all.
    assert figures_cells(figures[0]) == ("product", "0.40", "0.20", "0.50", "50", "0.8")
    assert figures_cells(figures[1])[1] == "NOT MEASURED: x"
    text = markdown(report)
    assert "NOT MEASURED: no such thing" in text
    assert all(name in text for name in (*HEAD, *FIGURES_HEAD))
    draw(report, tmp_path / "path.png")
    assert (tmp_path / "path.png").stat().st_size > 10_000
