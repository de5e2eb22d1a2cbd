"""Names and places alone. In the queue: test_playout_marks."""

from __future__ import annotations

from media.marks import MOST_MARKS, Marks


def test_each_is_given_back_once_in_the_order_in_which_they_came() -> None:
    marks = Marks()
    for place, name in ((0, "a"), (160, "b"), (160, "b"), (320, "c")):
        assert marks.put(name, place)
    assert [marks.reached(place) for place in (0, 159, 160, 160, 1000, 2000)] == [["a"], [], ["b", "b"], [], ["c"], []]
    assert len(marks) == 0


def test_what_is_beyond_the_limit_is_refused_and_the_others_are_kept() -> None:
    marks = Marks()
    assert all(marks.put(str(number), number) for number in range(MOST_MARKS))
    assert not marks.put("one too many", MOST_MARKS)
    assert marks.reached(0) == ["0"]
    assert marks.put("again", MOST_MARKS)
    assert marks.reached(MOST_MARKS) == [*map(str, range(1, MOST_MARKS)), "again"]


def test_forgotten_marks_never_come() -> None:
    marks = Marks()
    marks.put("a", 0)
    marks.forget()
    marks.put("b", 0)
    assert marks.reached(1) == ["b"]
