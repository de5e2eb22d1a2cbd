from __future__ import annotations

import pytest

from bridge.simulators.failures import NONE, Failures, parse


@pytest.mark.parametrize(
    ("words", "failures"),
    [
        ([], NONE),
        (["429:5"], Failures(rest="status", status=429, retry_after_s=5)),
        (["500"], Failures(rest="status", status=500)),
        (["nonsense"], Failures(rest="nonsense")),
        (["never"], Failures(rest="never")),
        (["blocked"], Failures(rest="blocked")),
        (["refuse"], Failures(socket="refuse")),
        (["refuse:503"], Failures(socket="refuse", upgrade_status=503)),
        (["close"], Failures(socket="close")),
        (["text"], Failures(socket="text")),
        (["silent:200"], Failures(socket="silent", after_ms=200)),
        (["drop:200"], Failures(socket="drop", after_ms=200)),
        (["stall:200:300"], Failures(socket="stall", after_ms=200, stall_ms=300)),
        (["503:30", "drop:9"], Failures(rest="status", status=503, retry_after_s=30, socket="drop", after_ms=9)),
    ],
)
def test_each_word_is_one_failure(words: list[str], failures: Failures) -> None:
    assert parse(words) == failures


@pytest.mark.parametrize("word", ["", "200", "status", "666", "drop:x", "close:1", "429:1:2", "stall:1:2:3", "Drop"])
def test_other_words_are_refused_by_name(word: str) -> None:
    with pytest.raises(ValueError, match=repr(word)):
        parse([word])


def test_only_the_first_calls_are_hit() -> None:
    failures = parse(["500"], first=2)
    assert [failures.hit(number) for number in (1, 2, 3)] == [True, True, False]
    assert NONE.hit(1000)
