"""Which bridges live: so that the calls of one that was killed can be ended by another, or by its own next life."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.store.entries import InstanceSeen

BEAT_S = 5.0
"How often a bridge says that it lives. Calls of one that was killed end, in the records, at most so early."
SILENT_S = 30.0
"One on another machine that has said nothing for so long is dead."


def this_instance(name: str = "") -> InstanceSeen:
    now = utc_now()
    pid = os.getpid()
    return InstanceSeen(
        bridge=name or secrets.token_hex(4),
        host=socket.gethostname(),
        place=this_place(),
        pid=pid,
        born=born(pid),
        started_at=now,
        seen_at=now,
    )


def this_place() -> str:
    """Two processes of one place see each other's pids: the same boot of the same kernel, the same namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def born(pid: int) -> str:
    """Start time of a process in ticks since the boot, proc(5) field 22; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name in brackets may hold anything
    return "" if fields[0] in "ZX" else fields[19]


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(slots=True)
class _Heard:
    seen_at: str
    "What it wrote last, by its own clock."
    since_s: float
    "When we first read that, by ours."


class Watch:
    """Decides who is dead. Hosts need not agree on the time: a heart that does not move is what counts."""

    def __init__(self, place: str, born_of: Callable[[int], str] = born) -> None:
        self._place, self._born_of = place, born_of
        self._heard: dict[str, _Heard] = {}

    def dead(self, others: Iterable[InstanceSeen], now_s: float) -> list[InstanceSeen]:
        """Of those that have not said goodbye and are not us."""
        found = []
        for one in others:
            heard = self._heard.setdefault(one.bridge, _Heard(one.seen_at, now_s))
            if heard.seen_at != one.seen_at:
                heard.seen_at, heard.since_s = one.seen_at, now_s
            if one.place == self._place:
                is_dead = self._born_of(one.pid) != one.born
            else:
                is_dead = now_s - heard.since_s >= SILENT_S
            if is_dead:
                found.append(one)
                del self._heard[one.bridge]
        return found
