"""The picture: that it is drawn, where things stand on it, and that it changes with what it shows."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bridge.demo.picture import SIZE_PX, draw, draw_words, events, reading, state_spans
from bridge.demo.sound import Tracks
from media.wire import Spread
from tests.bridge.demo.records import MOMENTS, ZERO, bridge_record, story


@pytest.fixture
def axes() -> Axes:
    _, axes = plt.subplots()
    return axes


@pytest.fixture(autouse=True)
def _no_figure_left() -> object:
    yield
    plt.close("all")


def tracks(level: float = 0.3) -> Tracks:
    tone = level * np.sin(np.arange(20 * 8000) * 0.5)
    return Tracks(tone, tone[::-1], 8000, 0.09)


def size_of(png: Path) -> tuple[int, int]:
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_the_picture_has_its_size_and_leaves_no_figure_open(tmp_path: Path) -> None:
    draw(story(), tracks(), tmp_path / "call.png")
    assert size_of(tmp_path / "call.png") == SIZE_PX
    assert plt.get_fignums() == []


def test_a_call_without_anything_can_be_drawn(tmp_path: Path) -> None:
    nothing = np.zeros(0)
    draw(story(moments=[], media=None, times={}), Tracks(nothing, nothing, 8000), tmp_path / "call.png")
    assert size_of(tmp_path / "call.png") == SIZE_PX


def test_the_picture_shows_the_call_it_is_given(tmp_path: Path) -> None:
    draw(story(), tracks(), tmp_path / "a.png")
    draw(story(), tracks(), tmp_path / "b.png")
    draw(story(moments=[moment for moment in MOMENTS if moment.kind != "flush"]), tracks(), tmp_path / "c.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_events_are_what_crosses_both_tracks() -> None:
    assert [(at_s, name) for at_s, name, _ in events(bridge_record(), ZERO)] == [
        (0.091, "answered"),
        (12.5, "interrupted"),
        (17.0, "digit 1"),
        (20.0, "hung up"),
    ]


def test_states_fill_the_time_until_the_next() -> None:
    assert state_spans(MOMENTS, ZERO, 20.0) == [
        (0.135, 3.52, "speaking"),
        (3.52, 8.72, "listening"),
        (8.72, 9.0, "thinking"),
        (9.0, 12.51, "speaking"),
        (12.51, 15.3, "listening"),
        (15.3, 18.1, "speaking"),
        (18.1, 20.0, "listening"),
    ]


def test_labels_that_would_meet_stand_on_two_heights(axes: Axes) -> None:
    draw_words(axes, [(0.0, "one"), (1.0, "two"), (4.0, "three"), (8.5, "four")], "black", 10.0)
    heights = [text.get_position()[1] for text in axes.texts]
    assert heights[0] == heights[2] != heights[1]
    assert [text.get_text() for text in axes.texts] == ["“one”", "“two”", "“three”", "“four”"]
    # The last one would stick out of the picture: it ends where the call ends.
    assert [(text.get_position()[0], text.get_horizontalalignment()) for text in axes.texts[2:]] == [
        (4.0, "left"),
        (10.0, "right"),
    ]


@pytest.mark.parametrize(
    ("spread", "read"),
    [
        (Spread(count=1, p50=0.11, p95=0.244, p99=0.6, max=1.0), "0.11 · 0.24 · 0.60"),
        (Spread(count=1, p50=900.4, p95=2900.0, p99=3200.0, max=3300.0), "900 · 2900 · 3200"),
    ],
)
def test_numbers_are_no_finer_than_they_deserve(spread: Spread, read: str) -> None:
    assert reading(spread) == read
