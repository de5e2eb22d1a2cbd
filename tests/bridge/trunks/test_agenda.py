"""Deadlines by name."""

from __future__ import annotations

import random

from bridge.trunks.agenda import Agenda


def test_the_earliest_first_and_each_once() -> None:
    agenda = Agenda()
    for name, at in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        agenda.put(name, at)
    assert (agenda.next(), agenda.due(0.5)) == (1.0, [])
    assert (agenda.due(2.0), agenda.due(2.0), agenda.next(), len(agenda)) == (["a", "b"], [], 3.0, 1)


def test_a_deadline_that_moves_counts_where_it_is_last() -> None:
    agenda = Agenda()
    for at in (1.0, 5.0, 3.0, 3.0):
        agenda.put("a", at)
    assert (agenda.next(), agenda.due(2.0)) == (3.0, [])
    assert agenda.due(9.0) == ["a"]
    agenda.put("a", 1.0)
    agenda.put("a", None)
    assert (agenda.next(), agenda.due(9.0), len(agenda)) == (None, [], 0)


def test_as_a_plain_table_would_do_it() -> None:
    dice, agenda, table = random.Random(23), Agenda(), dict[str, float]()
    for step in range(3000):
        name, now = dice.choice("abcdefgh"), step / 10
        at = None if dice.random() < 0.1 else now + dice.choice([0.0, 0.5, 2.0, 9.0])
        agenda.put(name, at)
        if at is None:
            table.pop(name, None)
        else:
            table[name] = at
        assert agenda.next() == min(table.values(), default=None)
        if dice.random() < 0.3:
            due = agenda.due(now)
            assert sorted(due) == sorted(one for one, when in table.items() if when <= now)
            for one in due:
                del table[one]
    assert len(agenda) == len(table)
