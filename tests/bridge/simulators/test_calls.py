from __future__ import annotations

import pytest

from bridge.simulators import calls
from bridge.simulators.audio import Format
from bridge.simulators.calls import CallBook, SimulatedCall


def make(number: int) -> SimulatedCall:
    return SimulatedCall(f"c{number}", Format("mulaw"), number)


def test_a_call_ends_once_and_shows_itself_without_secrets() -> None:
    call = make(1)
    assert repr(call) == "<SimulatedCall 1 waiting mulaw/8000>"
    call.joined = calls.wall_clock()
    assert repr(call) == "<SimulatedCall 1 joined mulaw/8000>"
    assert call.end("hangup")
    assert not call.end("timeout")
    assert repr(call) == "<SimulatedCall 1 hangup mulaw/8000>"
    call.received_bytes = 160
    assert (call.received_ms, call.sent_ms) == (20, 0)


def test_what_is_noted_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_NOTES", 2)
    call = make(1)
    for text in "abc":
        call.note_text(text)
        call.warn(text)
    assert (call.received_texts, call.warnings) == (["a", "b"], ["a", "b"])


def test_the_book_forgets_the_oldest_ended_call_and_no_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_CALLS", 2)
    forgotten: list[str] = []
    book = CallBook(forgotten.append)
    first, second = book.add(make), book.add(make)
    second.end("hangup")
    book.add(make)
    assert [call.id for call in book] == [first.id, "c3"]
    assert (book.created, len(book), book.find("c2"), forgotten) == (3, 2, None, ["c2"])
    book.forget("c1")
    book.forget("c1")
    assert (book.find("c1"), forgotten) == (None, ["c2", "c1"])
