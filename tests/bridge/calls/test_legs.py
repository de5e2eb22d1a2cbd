from __future__ import annotations

from bridge.calls.legs import Legs
from bridge.calls.trunks import ListedTrunks


def test_a_leg_leads_to_its_call() -> None:
    legs = Legs(ListedTrunks())
    legs.add("c1.2", "c1")
    assert (legs.call_of("c1.2"), legs.call_of("c1"), legs.call_of("new")) == ("c1", "c1", "new")
    legs.forget("c1")
    legs.forget("c1")
    assert (legs.call_of("c1.2"), len(legs)) == ("c1.2", 0)


def test_room_is_given_back_once() -> None:
    trunks = ListedTrunks(caps={"one": 1})
    legs = Legs(trunks)
    assert legs.take("c1", "c1", "one") == ""
    assert legs.take("c2", "c2", "one") == "1 calls stand already"
    legs.over("c1")
    legs.over("c1")
    legs.forget("c1")
    legs.over("never")
    assert trunks.taken == {"one": 0}


def test_a_call_that_is_over_gives_all_back() -> None:
    trunks = ListedTrunks()
    legs = Legs(trunks)
    legs.take("c1", "c1", "one")
    legs.take("c1.2", "c1", "two")
    legs.take("c2", "c2", "two")
    legs.forget("c1")
    assert trunks.taken == {"one": 0, "two": 1}


def test_no_trunk_no_room() -> None:
    trunks = ListedTrunks()
    legs = Legs(trunks)
    assert legs.take("c1", "c1", "") == ""
    legs.forget("c1")
    assert not trunks.taken
