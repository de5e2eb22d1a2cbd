"""The record book: a line per call, in order, on the disk when it is closed."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from bridge.records import Attempt, CallRecord, RecordBook
from media import wire


def record(call: str) -> CallRecord:
    return CallRecord(
        call=call,
        direction="inbound",
        started_at="2026-11-22T10:00:00+00:00",
        attempts=[Attempt(platform="one", outcome="ready", took_ms=1.5)],
        times={"invite": 1.0},
        moments=[wire.Moment(kind="transcript", at_s=2.0, text="¿Bueno?")],
        media=wire.CallReport(),
    )


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    for names in (("a", "b"), ("c",)):  # the second book goes on where the first ended
        book = RecordBook(str(path))
        for name in names:
            book.write(record(name))
        book.close()
        book.close()
    lines = path.read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=CallRecord) for line in lines] == [record(name) for name in "abc"]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO == 0  # telephone numbers are nobody else's business


def test_without_a_path_nothing_is_kept() -> None:
    book = RecordBook()
    book.write(record("a"))
    book.close()


def test_a_full_disk_puts_the_record_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    book = RecordBook("/dev/full")
    book.write(record("a"))
    book.close()
    [message] = caplog.messages
    assert message.startswith('! record not written (No space left on device): {"call":"a",')


def test_a_book_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RecordBook(str(tmp_path / "nowhere" / "records.jsonl"))
