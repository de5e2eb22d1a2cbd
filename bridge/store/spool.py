"""The spool: a file beside the bridge in which entries wait for a database that is away. Blocking; one thread uses it.

    checksum kind key document \\n ...  \\0\\0\\0 ... to the end of the reserve

Space is reserved when it is opened: the day the disk is full is the day it is needed. What does not read as a whole
line ends it: that is where a crash cut off a write that nobody had been promised yet.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.errors import StoreError
from bridge.store.entries import Entry

log = logging.getLogger(__name__)

RESERVE = 8 << 20
"Bytes: some thousand calls."
LEAST_RESERVE = 1 << 16
"Less is not worth another try."
BLOCK = 1 << 16
AT_A_TIME = 500
MOST = 16
"Bridges that may share one spool's name at a time."


class Spool:
    def __init__(self, path: Path, file: int, reserve: int = 0) -> None:
        """Around a file that is open and locked already, see `claim`."""
        self.path, self._file, self._reserve = path, file, reserve
        self.end = sum(len(line) for line in _whole_lines(path))
        "Behind the last whole entry."
        if reserve:
            self._reserve_space()

    @classmethod
    def claim(cls, path: Path, reserve: int = RESERVE) -> Spool:
        """The first of its names that no living bridge has, and in it all that dead ones have left in theirs.

        Raises StoreError when no such file can be had.
        """
        mine: Spool | None = None
        for name in names(path):
            if mine and not name.exists():
                continue
            try:
                file = _lock(name)
            except OSError as error:
                raise StoreError(f"spool {name}: {error.strerror}") from None
            if file is None:
                continue
            if mine is None:
                mine = cls(name, file, reserve)
            else:
                mine._inherit(cls(name, file))
        if mine is None:
            raise StoreError(f"spool {path}: {MOST} other bridges use it already")
        return mine

    def append(self, entries: Sequence[Entry]) -> None:
        """On the disk when it returns. Raises OSError, and nothing is there then."""
        data = b"".join(entry.serialize() for entry in entries)
        written = 0
        while written < len(data):
            written += os.pwrite(self._file, data[written:], self.end + written)
        os.fdatasync(self._file)
        self.end += len(data)

    def read(self, position: int, at_most: int) -> tuple[list[Entry], int]:
        """Entries from a position on, and the position behind them."""
        entries: list[Entry] = []
        for line in _whole_lines(self.path, position):
            if position >= self.end or len(entries) == at_most:
                break
            position += len(line)
            if entry := Entry.parse(line):
                entries.append(entry)
        return entries, position

    def clear(self) -> None:
        """Everything has found its place. The space stays ours; who phoned whom does not stay in it."""
        used, self.end = self.end, 0
        for at in range(0, used, BLOCK):
            os.pwrite(self._file, bytes(min(BLOCK, used - at)), at)
        if used > self._reserve:
            os.ftruncate(self._file, self._reserve)
        os.fdatasync(self._file)

    def _reserve_space(self) -> None:
        """As much of it as there is: on a disk that is full already, or a file system that cannot, less or none."""
        wanted, why = self._reserve, ""
        while self._reserve >= LEAST_RESERVE:
            try:
                os.posix_fallocate(self._file, 0, max(self._reserve, self.end))
            except OSError as error:
                why = error.strerror or ""
                self._reserve //= 2
            else:
                break
        else:
            self._reserve = 0
        if self._reserve < wanted:
            text = "! spool %s: %d of %d bytes could be reserved (%s); on a full disk it takes no more than that"
            log.warning(text, self.path, self._reserve, wanted, why)

    def close(self) -> None:
        """An empty spool leaves no file behind. Twice is once."""
        if self._file < 0:
            return
        if self.end == 0:
            self.path.unlink(missing_ok=True)  # still locked: nobody else can have claimed it
        os.close(self._file)
        self._file = -1

    def _inherit(self, left: Spool) -> None:
        position = 0
        while position < left.end:
            entries, position = left.read(position, AT_A_TIME)
            self.append(entries)
        left.clear()
        left.close()


def waiting(path: Path) -> int:
    """How many entries lie in the spools of this name, for those who only look."""
    return sum(1 for name in names(path) if name.exists() for _ in _whole_lines(name))


def names(path: Path) -> list[Path]:
    """A second bridge with the same settings takes the second name."""
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, MOST))]


def _whole_lines(path: Path, position: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(position)
        for line in file:
            if Entry.parse(line) is None:
                return
            yield line


def _lock(path: Path) -> int | None:
    """The file, ours alone; None: somebody else has it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            return file
        os.close(file)  # its owner removed it between our two looks: make a new one
