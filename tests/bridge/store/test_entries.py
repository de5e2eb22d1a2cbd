"""Entries as lines: what is written whole is read, what is not is not."""

from __future__ import annotations

import random

import msgspec

from bridge.records import CallRecord
from bridge.store.entries import Entry, begun, ended, happened, seen
from bridge.store.instances import this_instance
from tests.bridge.store.samples import event, over, standing


def test_every_kind_comes_back() -> None:
    for entry in (begun(standing()), ended(over()), happened(event()), seen(this_instance())):
        line = entry.serialize()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert Entry.parse(line) == entry


def test_half_a_line_is_no_line() -> None:
    line = ended(over()).serialize()
    assert [cut for cut in range(len(line)) if Entry.parse(line[:cut])] == []


def test_a_flipped_bit_is_seen() -> None:
    line = ended(over()).serialize()
    dice = random.Random(1)
    for _ in range(200):
        place = dice.randrange(len(line) - 1)
        changed = bytearray(line)
        changed[place] ^= 1 << dice.randrange(8)
        assert Entry.parse(bytes(changed)) is None


def test_a_kind_of_a_later_version_is_left_alone() -> None:
    strange = Entry("begun", "c1", b"{}")
    object.__setattr__(strange, "kind", "melted")
    assert Entry.parse(strange.serialize()) is None


def test_an_entry_is_a_picture_not_a_window() -> None:
    record = standing()
    entry = begun(record)
    record.caller = "later"
    assert msgspec.json.decode(entry.document, type=CallRecord).caller == ""


def test_bytes_that_are_no_text_do_not_lose_the_call() -> None:
    entry = ended(over(caller="\udc80x", moments=[]))
    assert msgspec.json.decode(entry.document, type=CallRecord).caller == "?x"


def test_events_have_names_of_their_own() -> None:
    assert happened(event()).key != happened(event()).key
