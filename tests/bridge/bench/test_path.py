from __future__ import annotations

from pathlib import Path

import pytest

from bridge.bench import path
from bridge.bench.path import FRAME_S, Options, PathReport, Variant, VariantRow, measure
from bridge.bench.path_page import HEAD, cells, draw, markdown
from tests.bridge.bench.probes import CONDITIONS


def row(name: str, *cpu_percent: float, trouble: str = "") -> VariantRow:
    return VariantRow(name=name, cpu_percent=cpu_percent, frames_back=99, frames_sent=100, trouble=trouble)


async def test_every_variant_carries_the_audio_and_costs_something(tmp_path: Path) -> None:
    said: list[str] = []
    report = await measure(_short(tmp_path), said.append)
    assert not report.failed, (said, (tmp_path / "path.log").read_text())
    assert [one.name for one in report.variants] == [variant.name for variant in path.VARIANTS]
    for one in report.variants:
        assert one.typical_percent > 0
        assert one.frames_sent == 100
        assert one.frames_back > 50
    assert (tmp_path / "path.log").read_text() == ""


def _short(out: Path) -> Options:
    return Options(calls=2, seconds=1.0, rounds=1, out=out)


async def test_a_variant_that_does_not_come_up_is_told_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path, "VARIANTS", (Variant(name="broken", words=("--no-such-word",)), path.PRODUCT))
    report = await measure(_short(tmp_path), lambda line: None)
    assert report.failed
    assert report.variants[0].trouble
    assert report.variants[1].typical_percent > 0
    assert "--no-such-word" in (tmp_path / "path.log").read_text()


def test_the_page_says_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    product, other, broken = row("product", 0.3, 0.2, 0.4), row("other", 0.6), row("broken", trouble="no such thing")
    report = PathReport(conditions=CONDITIONS, calls=20, seconds=4.0, variants=(product, other, broken))
    assert report.failed
    assert product.typical_percent == 0.3
    assert product.frame_us == pytest.approx(0.003 * FRAME_S * 1e6)
    assert cells(other, product)[1:6] == ("0.60", "0.60", "0.60", "120", "2.00")
    text = markdown(report)
    assert "NOT MEASURED: no such thing" in text
    assert all(name in text for name in HEAD)
    draw(report, tmp_path / "path.png")
    assert (tmp_path / "path.png").stat().st_size > 10_000
