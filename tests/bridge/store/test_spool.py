"""The spool: what was promised is there after any crash, what was not does no harm."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from bridge.errors import StoreError
from bridge.store.entries import Entry
from bridge.store.spool import MOST, RESERVE, Spool, names, waiting


def entries(*names: str, size: int = 10) -> list[Entry]:
    return [Entry("begun", name, b"x" * size) for name in names]


def keys(spool: Spool, position: int = 0, at_most: int = 1000) -> list[str]:
    return [entry.key for entry in spool.read(position, at_most)[0]]


def test_what_is_appended_is_read_in_order(spool: Path) -> None:
    one = Spool.claim(spool)
    one.append(entries("a", "b"))
    one.append(entries("c"))
    some, position = one.read(0, 2)
    assert [entry.key for entry in some] == ["a", "b"]
    assert keys(one, position) == ["c"]
    assert one.read(one.end, 5) == ([], one.end)
    assert waiting(spool) == 3
    one.close()


def test_it_is_there_in_the_next_life(spool: Path) -> None:
    one = Spool.claim(spool)
    one.append(entries("a", "b"))
    one.close()
    one.close()
    again = Spool.claim(spool)
    assert keys(again) == ["a", "b"]
    again.append(entries("c"))
    assert keys(again) == ["a", "b", "c"]
    again.clear()
    assert (again.end, keys(again), waiting(spool)) == (0, [], 0)
    again.close()
    assert not spool.exists()


def test_nobody_else_may_read_who_phoned_whom(spool: Path) -> None:
    one = Spool.claim(spool)
    assert spool.stat().st_mode & 0o007 == 0
    one.append(entries("a", size=100))
    one.clear()
    assert set(spool.read_bytes()) == {0}
    one.close()


def test_space_is_there_before_it_is_needed(spool: Path) -> None:
    one = Spool.claim(spool)
    assert spool.stat().st_blocks * 512 >= RESERVE
    one.append(entries("a", size=RESERVE))
    one.clear()
    assert spool.stat().st_size == RESERVE
    one.close()


def test_a_crash_in_the_middle_of_a_write(spool: Path) -> None:
    one = Spool.claim(spool)
    one.append(entries("a", "b"))
    one.close()
    whole = spool.read_bytes().rstrip(b"\0")
    dice = random.Random(7)
    torn = entries("c", "d", size=3000)
    data = b"".join(entry.serialize() for entry in torn)
    for cut in sorted({0, 1, 9, len(data) - 1, *(dice.randrange(len(data)) for _ in range(30))}):
        spool.write_bytes(whole + data[:cut] + bytes(5000))
        again = Spool.claim(spool)
        assert keys(again) in (["a", "b"], ["a", "b", "c"])
        before = keys(again)
        again.append(entries("e"))
        assert keys(again) == [*before, "e"]
        again.close()


@pytest.mark.parametrize("size", [1, 200_000])
def test_entries_of_any_length(spool: Path, size: int) -> None:
    one = Spool.claim(spool)
    one.append(entries("a", "b", size=size))
    assert [len(entry.document) for entry in one.read(0, 9)[0]] == [size, size]
    one.close()


def test_a_full_disk_leaves_what_was_there(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Spool.claim(spool)
    one.append(entries("a"))
    real = os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        if len(data) > 20:
            return real(file, data[:20], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space left"):
        one.append(entries("b", "c"))
    monkeypatch.undo()
    assert keys(one) == ["a"]
    one.append(entries("d"))
    assert keys(one) == ["a", "d"]
    one.close()


def test_two_bridges_with_the_same_settings(spool: Path) -> None:
    one, two = Spool.claim(spool), Spool.claim(spool)
    one.append(entries("a"))
    two.append(entries("b"))
    assert (one.path, two.path) == tuple(names(spool)[:2])
    assert waiting(spool) == 2
    two.close()  # it dies: its entries are left
    three = Spool.claim(spool)
    assert keys(three) == ["b"]
    three.close()
    one.close()
    heir = Spool.claim(spool)
    assert keys(heir) == ["a", "b"]
    assert not names(spool)[1].exists()
    heir.clear()
    heir.close()


def test_where_no_spool_can_be(spool: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/spool: No such file or directory"):
        Spool.claim(spool / "nowhere" / "spool")
    many = [Spool.claim(spool, 0) for _ in range(MOST)]
    with pytest.raises(StoreError, match="16 other bridges use it already"):
        Spool.claim(spool)
    for one in many:
        one.close()


@pytest.mark.parametrize(("room", "had"), [(3 << 20, 2 << 20), (0, 0)])
def test_where_space_cannot_be_reserved_that_is_said(
    spool: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int, had: int
) -> None:
    def fallocate(file: int, offset: int, size: int) -> None:
        if size > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.truncate(file, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    one = Spool.claim(spool)
    assert spool.stat().st_size == had
    one.append(entries("a"))
    one.clear()
    assert spool.stat().st_size == had
    one.close()
    assert caplog.messages == [
        f"! spool {spool}: {had} of {RESERVE} bytes could be reserved (No space left on device); "
        "on a full disk it takes no more than that"
    ]
