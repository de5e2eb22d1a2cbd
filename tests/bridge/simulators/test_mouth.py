from __future__ import annotations

import pytest

from bridge.simulators.audio import Format, tone_utterance
from bridge.simulators.mouth import MOST_CATCH_UP, MOST_FRAMES, AheadMouth, Chunk, Line, MarkedMouth, SteadyMouth

FORM = Format("s16le", 8000)
START = 1000.0


def line(duration_ms: int = 400, text: str = "one two three four") -> Line:
    return Line(tone_utterance(440, duration_ms, text), FORM)


def test_words_begin_evenly_and_are_told_once() -> None:
    spoken = line()
    assert (spoken.frames, spoken.duration_ms) == (20, 400)
    told = [spoken.news(played_ms) for played_ms in (0, 50, 99, 100, 350, 350, 400)]
    assert told == ["one", "", "", " two", " three four", "", ""]
    assert spoken.told == "one two three four"
    assert spoken.next_word_ms() is None


def test_a_line_without_words_has_nothing_to_tell() -> None:
    silent = line(text="")
    assert (silent.news(0), silent.next_word_ms(), silent.told) == ("", None, "")


def test_the_steady_mouth_never_pauses_and_never_runs_ahead() -> None:
    mouth = SteadyMouth(FORM, START)
    assert mouth.frames_due(START) == [FORM.silence()]
    assert mouth.next_deadline() == START + 0.02
    assert mouth.frames_due(START + 0.019) == []
    spoken = line(40)
    mouth.say(spoken, START + 0.02)
    assert mouth.frames_due(START + 0.02) == [spoken.frame(0)]
    assert not mouth.all_sent
    assert mouth.frames_due(START + 0.06) == [spoken.frame(1), FORM.silence()]
    assert (mouth.all_sent, mouth.played_ms(START + 0.06)) == (True, 40)


def test_the_steady_mouth_keeps_to_its_grid_for_an_hour() -> None:
    mouth = SteadyMouth(FORM, START)
    sent = 0
    for tick in range(0, 180_000, 3):
        sent += len(mouth.frames_due(START + tick * 0.02))
    assert sent == 179_998
    assert mouth.skipped == 0


def test_after_a_stall_the_steady_mouth_skips_what_is_old() -> None:
    mouth = SteadyMouth(FORM, START)
    assert len(mouth.frames_due(START + 1.0)) == MOST_CATCH_UP
    assert mouth.skipped == 51 - MOST_CATCH_UP
    assert mouth.next_deadline() == pytest.approx(START + 1.02)


@pytest.mark.parametrize(("lead_ms", "at_once"), [(0, 1), (20, 1), (60, 3), (30_000, 20)])
def test_the_lead_is_what_the_client_can_buffer(lead_ms: int, at_once: int) -> None:
    mouth = AheadMouth(FORM, lead_ms)
    assert mouth.next_deadline() is None
    mouth.say(line(), START)
    assert len(mouth.frames_due(START)) == at_once
    assert mouth.frames_due(START) == []


def test_the_lead_is_kept_to_the_frame() -> None:
    mouth = AheadMouth(FORM, 60)
    mouth.say(line(text=""), START)
    sent = [len(mouth.frames_due(START))]
    deadlines = []
    while not mouth.all_sent:
        deadline = mouth.next_deadline()
        assert deadline is not None
        deadlines.append(deadline)
        sent.append(len(mouth.frames_due(deadline)))
    assert sent == [3] + [1] * 17
    assert deadlines == pytest.approx([START + 0.02 * n for n in range(1, 18)])
    # All is sent; what is left is the time at which it will have been heard.
    assert mouth.next_deadline() == pytest.approx(START + 0.4)
    assert mouth.played_ms(START + 0.1) == pytest.approx(100)
    assert mouth.played_ms(START + 9) == 400


def test_a_long_burst_is_cut_into_portions() -> None:
    mouth = AheadMouth(FORM, 30_000)
    mouth.say(line(5000), START)
    portions = [len(mouth.frames_due(START)) for _ in range(4)]
    assert portions == [MOST_FRAMES, MOST_FRAMES, 50, 0]


def test_hushed_is_hushed() -> None:
    mouth = AheadMouth(FORM, 60)
    mouth.say(line(), START)
    mouth.frames_due(START)
    mouth.hush()
    assert (mouth.frames_due(START + 1), mouth.next_deadline(), mouth.all_sent) == ([], None, True)


def test_the_marked_mouth_says_all_at_once_and_believes_only_marks() -> None:
    mouth, spoken = MarkedMouth(FORM, 60_000), line(400)
    mouth.say(spoken, START)
    chunks = mouth.frames_due(START)
    assert b"".join(chunks) == b"".join(spoken.frame(index) for index in range(spoken.frames))
    assert [len(chunk) for chunk in chunks] == [3000, 3000, 400]  # of 16 bytes per ms: no whole frames
    names = [chunk.mark for chunk in chunks if isinstance(chunk, Chunk)]
    assert (len(set(names)), mouth.all_sent, mouth.played_ms(START + 60), mouth.next_deadline()) == (3, True, 0, None)
    mouth.on_mark(names[1])  # out of turn
    assert mouth.played_ms(START) == 0
    for name, played_ms in zip(names, (187.5, 375, 400), strict=True):
        mouth.on_mark(name)
        assert mouth.played_ms(START) == played_ms
    assert mouth.frames_due(START) == []


def test_the_marked_mouth_runs_no_further_ahead_than_its_lead() -> None:
    mouth = MarkedMouth(FORM, 200)
    mouth.say(line(800), START)
    first = mouth.frames_due(START)
    assert (len(first), mouth.frames_due(START), mouth.all_sent) == (2, [], False)
    mouth.on_mark("chunk 1")
    assert len(mouth.frames_due(START)) == 1


def test_marks_of_what_was_taken_back_are_not_those_of_the_next_line() -> None:
    mouth = MarkedMouth(FORM, 60_000)
    mouth.say(line(400), START)
    mouth.frames_due(START)
    mouth.hush()
    mouth.say(line(200), START)
    (one, two) = mouth.frames_due(START)
    for name in ("chunk 1", "chunk 2", "chunk 3"):
        mouth.on_mark(name)
    assert mouth.played_ms(START) == 0
    assert isinstance(one, Chunk)
    assert one.mark == "chunk 4"
    mouth.on_mark(one.mark)
    assert mouth.played_ms(START) == 187.5
    assert len(two) == 200
