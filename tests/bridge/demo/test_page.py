"""The page as text: what a person reads."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bridge.demo.page import File, fit, ladder, report, rung, verdict
from bridge.demo.story import Line, Story
from tests.bridge.demo.records import ZERO, bridge_record, story


def printed(told: Story) -> str:
    out = StringIO()
    Console(file=out, width=118).print(report(told, [File("audio", "out/call.wav"), File("picture", "out/call.png")]))
    return out.getvalue()


def test_a_rung_is_an_arrow_between_two_lifelines() -> None:
    assert rung(Line(0.0, "caller", "bridge", "INVITE", "sip")) == (
        "    │" + " INVITE ".center(46, "─") + "►│" + " " * 47 + "│"
    )
    assert rung(Line(0.0, "platform", "caller", "hello", "speech")) == "    │◄" + " hello ".center(94, "─") + "│"


def test_a_note_stands_beside_its_lifeline() -> None:
    assert rung(Line(0.0, "caller", "caller", "hears it", "turn")).startswith("    │ hears it ")


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        (" short ", 20, " short "),
        (" a very long label here ", 12, " a very lo… "),
        (" “a very long sentence” ", 12, " “a very…” "),
    ],
)
def test_what_is_too_long_is_cut_with_its_marks(text: str, width: int, fitted: str) -> None:
    assert fit(text, width) == fitted


def test_ladder_has_a_head_and_a_line_for_each_event() -> None:
    lines = [Line(0.0123, "caller", "bridge", "INVITE", "sip"), Line(12.5, "bridge", "caller", "BYE", "end")]
    page = ladder(lines).plain.splitlines()
    assert page[0].split() == ["caller", "bridge", "platform"]
    assert [line[:10] for line in page[1:]] == ["  12.3 ms ", "  12.50 s "]


def test_the_page_has_everything_and_keeps_its_width() -> None:
    page = printed(story())
    squeezed = " ".join(page.split())
    for words in (
        "call 7f3a91c2 · +525512345678 → ultravox · PCMU · 19.9 s",
        "INVITE +525512345678",
        "“Sorry, can you bring it tomorrow instead?”",
        "silence on the wire, 7.2 ms later",
        "added, up 0.11 0.24 0.61 1.40 995 caller's packet in → frame out to the platform",
        "if not ahead",
        "held included",
        "barge-in 7.2 ms (once)",
        "end caller-hung-up whose doing: success",
        "audio out/call.wav",
        "picture out/call.png",
    ):
        assert words in squeezed
    assert {len(line) for line in page.splitlines()} == {118}
    assert "…" not in page


def test_a_distribution_without_samples_is_left_out() -> None:
    assert "added, up" not in printed(story(media=None))


def test_a_good_call_needs_no_verdict() -> None:
    assert verdict(story()) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"blame": "upstream_error", "reason": "platform-lost", "detail": "closed with 1011"},
            "the call ended with platform-lost (upstream_error) closed with 1011",
        ),
        ({"times": {"invite": ZERO}}, "the call was never answered"),
        ({"media": None}, "one side was silent: 0 packets in, 0 ms of agent played"),
    ],
)
def test_a_bad_call_is_called_so(changes: dict[str, object], said: str) -> None:
    assert verdict(story(**changes)) == said


def test_a_call_without_platform_has_a_headline_all_the_same() -> None:
    assert "→ no platform · 0.0 s" in printed(
        Story(bridge_record(platform="", codec="", duration_s=0.0), bridge_record())
    )
