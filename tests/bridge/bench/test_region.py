from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from bridge.bench import rig
from bridge.bench.region import Options, Region, measure, summary
from bridge.bench.region_page import LOSS_HEAD, TOTAL_HEAD, draw, hop_rows, loss_row, markdown, total_row
from bridge.bench.route import HOPS, Passage, Route, passage
from tests.bridge.bench.probes import CONDITIONS, heard, probed
from tests.bridge.bench.test_route import ROUTE

PROMISED = msgspec.structs.replace(ROUTE, promise_p50_ms=120, promise_p99_ms=150)


def a_passage(route: Route = PROMISED, trip_ms: float | None = 40.0) -> Passage:
    call = probed(2, lambda at: trip_ms, lost_in=frozenset({5}))
    return passage(route, call, heard(call), random.Random(1))


def report(*passages: Passage, trouble: tuple[str, ...] = ()) -> Region:
    return Region(conditions=CONDITIONS, platform="vapi", seconds=9, passages=passages, trouble=trouble)


def test_the_rows() -> None:
    one = a_passage()
    assert dict(zip(TOTAL_HEAD, total_row(one), strict=True)) == {
        "route": "here",
        "p50": "115.0",
        "p95": "115.0",
        "p99": "115.0",
        "max": "115.0",
        "promise p50 / p99": "120 / 150",
        "bridge p50": "5.0",
        "bridge p99": "5.0",
        "kept": "yes",
    }
    assert dict(zip(LOSS_HEAD, loss_row(one), strict=True)) == {
        "route": "here",
        "frames": "100",
        "lost to the bridge": "1",
        "left out by the bridge": "0",
        "lost to the ear": "0",
        "late for the ear": "0",
    }
    assert hop_rows((one, one))[2] == ("bridge up", "measured", *["1.0"] * 6)
    assert [row[1] for row in hop_rows(())] == [
        "computed",
        "imagined, waited for",
        "measured",
        "imagined, waited for",
        "computed",
        "measured",
        "computed",
        "computed",
    ]


@pytest.mark.parametrize(
    ("trip_ms", "verdict", "failed"), [(40.0, "yes", False), (60.0, "p99 only", False), (90.0, "**no**", True)]
)
def test_a_promise_that_is_broken_fails_the_run(trip_ms: float, verdict: str, failed: bool) -> None:
    one = a_passage(trip_ms=trip_ms)
    assert (total_row(one)[-1], report(one).failed) == (verdict, failed)
    assert ("PROMISE BROKEN" in summary(one)) == failed
    assert total_row(a_passage(ROUTE))[-1] == "-"


def test_the_page_says_what_is_measured_and_what_is_not() -> None:
    text = markdown(report(a_passage(), trouble=("there: no",)))
    assert text.startswith("`puente bench region`, 2026-01-02 03:04 UTC: Chip,")
    assert all(f"| {hop} |" in text for hop in HOPS)
    assert "**Measured**" in text
    assert "**Computed**" in text
    assert "- not measured: there: no." in text


@pytest.mark.parametrize("passages", [(a_passage(), a_passage(ROUTE, 300)), (a_passage(trip_ms=None),), ()])
def test_a_picture_is_drawn_of_whatever_was_measured(passages: tuple[Passage, ...], tmp_path: Path) -> None:
    draw(report(*passages), tmp_path / "region.png")
    assert (tmp_path / "region.png").read_bytes().startswith(b"\x89PNG\r\n")


async def test_each_route_is_measured_and_trouble_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def one(route: Route, options: Options) -> Passage:
        if route.name == "regional":
            raise rig.Trouble("it did not start")
        return a_passage(ROUTE)

    monkeypatch.setattr("bridge.bench.region._passage", one)
    said: list[str] = []
    done = await measure(Options(out=tmp_path / "o"), said.append)
    assert (len(done.passages), done.trouble, done.failed) == (1, ("regional: it did not start",), True)
    assert said[1] == "  NOT MEASURED: it did not start"


async def test_a_whole_route_through_the_bridge(tmp_path: Path) -> None:
    """Real processes, all of them."""
    routes = tmp_path / "routes.toml"
    routes.write_text("[[routes]]\nname = 'x'\n[routes.trunk]\none_way_ms = 15\n[routes.platform]\none_way_ms = 10\n")
    done = await measure(Options(seconds=2, routes=routes, out=tmp_path), lambda line: None)
    assert done.trouble == ()
    (one,) = done.passages
    assert one.frames in (100, 101)
    assert one.total_ms.count > 80
    assert one.hops_ms["trunk in"].percentiles[0] >= 15
    assert one.hops_ms["platform line"].percentiles[0] >= 20
    assert one.hops_ms["bridge up"].percentiles[0] > 0
    assert one.hops_ms["bridge down"].percentiles[0] > 0
