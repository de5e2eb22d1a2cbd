"""What /proc knows of the processes of a test (proc(5)): children, command lines, descriptors, UDP ports."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
GONE = (FileNotFoundError, ProcessLookupError)


def _stat(pid: int) -> list[str]:
    """Fields from the third on: the name before them may hold blanks and parentheses itself."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def children(parent: int) -> list[int]:
    found = []
    for entry in PROC.iterdir():
        try:
            if entry.name.isdigit() and int(_stat(int(entry.name))[1]) == parent:
                found.append(int(entry.name))
        except GONE:
            continue
    return found


def started_at(pid: int) -> int:
    """In clock ticks since the machine's start."""
    return int(_stat(pid)[19])


def is_alive(pid: int) -> bool:
    """A zombie is dead: only its parent has not looked yet."""
    try:
        return _stat(pid)[0] != "Z"
    except GONE:
        return False


def command_line(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "cmdline").read_text().split("\0")
    except GONE:
        return []


def descriptors(pid: int) -> int:
    try:
        return len(os.listdir(PROC / str(pid) / "fd"))
    except GONE:
        return 0


def resident_kib(pid: int) -> int:
    """Memory in use (RSS)."""
    return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def has_loaded(pid: int, library: str) -> bool:
    return library in (PROC / str(pid) / "maps").read_text()


def threads(pid: int) -> int:
    return int(_stat(pid)[17])


def udp_ports(pid: int) -> set[int]:
    """Local ports of the UDP sockets that this process holds."""
    inodes = set()
    for entry in (PROC / str(pid) / "fd").iterdir():
        try:
            inodes.add(os.readlink(entry))
        except GONE:
            continue
    return {port for inode, port in _udp_sockets() if f"socket:[{inode}]" in inodes}


def bound_udp_ports() -> set[int]:
    """Of the whole machine."""
    return {port for _, port in _udp_sockets()}


def _udp_sockets() -> list[tuple[str, int]]:
    rows = (row.split() for row in (PROC / "net" / "udp").read_text().splitlines()[1:])
    return [(row[9], int(row[1].rpartition(":")[2], 16)) for row in rows]
