"""Names and places alone. In the queue: test_playout_marks."""

from __future__ import annotations

from media.marks import MOST_MARKS, Marks


def test_each_is_given_back_once_in_the_order_in_which_they_came() -> None:
    marks = Marks()
    for place, name in ((0, "a"), (160, "b"), (160, "b"), (320, "c")):
        assert marks.put(name, place)
    assert [marks.reached(place) for place in (0, 159, 160, 160, 1000, 2000)] == [["a"], [], ["b", "b"], [], ["c"], []]
    assert len(marks) == 0


def test_beyond_the_limit_the_oldest_comes_early_and_none_is_lost() -> None:
    marks = Marks()
    assert all(marks.put(str(number), 100 + number) for number in range(MOST_MARKS))
    assert marks.reached(0) == []
    assert not marks.put("one too many", 100 + MOST_MARKS)
    assert marks.reached(0) == ["0"]
    assert marks.reached(0) == []
    assert marks.reached(100 + MOST_MARKS) == [*map(str, range(1, MOST_MARKS)), "one too many"]
    assert marks.put("again", 200 + MOST_MARKS)


def test_forgotten_marks_never_come() -> None:
    marks = Marks()
    marks.put("a", 0)
    marks.forget()
    marks.put("b", 0)
    assert marks.reached(1) == ["b"]
