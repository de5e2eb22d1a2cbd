from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bridge.bench import rig
from bridge.bench.bargein import BargeIn, BargeIns, Options, bargein, every_ms, loud_at, measure, silence_after, summary
from bridge.bench.bargein_page import HEAD, draw, markdown, row
from bridge.bench.figures import figures
from bridge.bench.results import CallOutcome, Clear, Mark, Turn
from tests.bridge.bench.probes import CONDITIONS
from tests.bridge.bench.runs import call, load, process


def turns(*times: float) -> tuple[Turn, ...]:
    """Loud at the first, silent at the second, loud at the third ..."""
    return tuple(Turn(at_s=at, is_loud=not number % 2) for number, at in enumerate(times))


def a_call(number: int, *times: float, status: int = 200) -> CallOutcome:
    marks = (Mark(index=0, sent_s=1.0, returned_s=None), Mark(index=1, sent_s=9.0, returned_s=None))
    return msgspec.structs.replace(call(number, marks, status=status), turns=turns(*times))


def run(*calls: CallOutcome) -> rig.Run:
    use = (process("worker", 12.0),)
    return rig.Run(load=load(*calls), heard=(), seconds=8.0, processes=use, steal_percent=0.0)


def test_each_interruption_is_paired_with_the_first_silence_after_it() -> None:
    calls = (a_call(0, 0.5, 2.010, 2.3, 4.022, 4.3), a_call(1, 0.5, 3.005, 3.3))
    clears = [Clear(call=0, at_s=2.0), Clear(call=0, at_s=4.0), Clear(call=1, at_s=3.0)]
    assert bargein(2, run(*calls), clears) == BargeIn(
        calls=2,
        silent_after_ms=figures([(2.010 - 2.0) * 1e3, (4.022 - 4.0) * 1e3, (3.005 - 3.0) * 1e3]),
        interruptions=3,
        over_goal=1,
        processes=(process("worker", 12.0),),
    )


def test_interruptions_of_nothing_do_not_count() -> None:
    """Of a line that is silent, outside the measured time, or of a call that nobody knows."""
    clears = [Clear(call=0, at_s=at) for at in (0.9, 2.1, 9.5)] + [Clear(call=5, at_s=3.0)]
    assert bargein(1, run(a_call(0, 0.5, 2.0, 2.3)), clears).interruptions == 0


def test_an_interruption_that_does_not_work() -> None:
    found = bargein(1, run(a_call(0, 0.5, 4.0)), [Clear(call=0, at_s=2.0)])
    assert (found.interruptions, found.never_silent, found.silent_after_ms.count, found.failed) == (1, 1, 0, True)
    assert summary(found).endswith("1 NEVER SILENT")


def test_old_audio_after_the_silence_is_noticed() -> None:
    found = bargein(1, run(a_call(0, 0.5, 2.01, 2.05, 2.07, 2.4)), [Clear(call=0, at_s=2.0)])
    assert (found.broke_silence, found.never_silent) == (1, 0)
    assert summary(found).endswith("1 x OLD AUDIO AFTER SILENCE")


def test_a_call_that_did_not_stand_fails_the_row() -> None:
    found = bargein(2, run(a_call(0, 0.5, 2.01), a_call(1, status=503)), [Clear(call=0, at_s=2.0)])
    assert (found.calls_failed, found.failed) == (1, True)


def test_what_the_line_sounds_like() -> None:
    heard = turns(1.0, 2.0, 3.0)
    assert [loud_at(heard, at) for at in (0.5, 1.0, 1.5, 2.5, 3.5)] == [False, True, True, False, True]
    assert [silence_after(heard, at) for at in (0.5, 2.5)] == [(2.0, 3.0), (None, None)]


def test_many_calls_are_not_interrupted_all_the_time() -> None:
    assert [every_ms(calls) for calls in (1, 6, 20)] == [600, 600, 2000]


ROW = BargeIn(calls=20, silent_after_ms=figures([5.0, 15.0]), interruptions=2, processes=(process("worker", 12.4),))


def test_a_row() -> None:
    assert dict(zip(HEAD, row(ROW), strict=True)) == {
        "calls": "20",
        "interruptions": "2",
        "silent after p50": "5.0",
        "p95": "15.0",
        "p99": "15.0",
        "max": "15.0",
        "over the goal": "0",
        "never silent": "0",
        "old audio after silence": "0",
        "busiest worker, whole": "12",
    }
    assert row(BargeIn(calls=1, never_silent=2, trouble="no"))[2:9] == ("-", "-", "-", "-", "0", "**2**", "0")


def test_the_page_names_goal_and_trouble() -> None:
    rows = (ROW, BargeIn(calls=1, trouble="it did not start"))
    report = BargeIns(conditions=CONDITIONS, seconds=9, rows=rows)
    text = markdown(report)
    assert "goal 20 ms + wire (1 ms)" in text
    assert "- 1 calls: not measured: it did not start." in text
    assert report.failed


@pytest.mark.parametrize("rows", [(ROW, ROW), (BargeIn(calls=1, trouble="no"),), ()])
def test_a_picture_is_drawn_of_whatever_was_measured(rows: tuple[BargeIn, ...], tmp_path: Path) -> None:
    draw(BargeIns(conditions=CONDITIONS, seconds=9, rows=rows), tmp_path / "bargein.png")
    assert (tmp_path / "bargein.png").read_bytes().startswith(b"\x89PNG\r\n")


async def test_a_whole_barge_in(tmp_path: Path) -> None:
    """Real processes, all of them."""
    done = await measure(Options(calls=(1,), seconds=3, workers=1, out=tmp_path), lambda line: None)
    (found,) = done.rows
    assert (found.trouble, found.never_silent, found.broke_silence, found.calls_failed) == ("", 0, 0, 0)
    assert found.interruptions >= 2
    assert found.silent_after_ms.count == found.interruptions
