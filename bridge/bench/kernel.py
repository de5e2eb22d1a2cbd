"""What the kernel counts: CPU time and memory of processes, time stolen by the host, and which machine this is.

The parsers take the text of the files under /proc (proc(5)), so they can be tested without processes.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from bridge.bench.results import Machine, Role

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024

PROC = Path("/proc")

ROLES: tuple[tuple[str, Role], ...] = (("sip.process", "sip"), ("media.worker", "worker"))
"How a child of the bridge is known: a word of its command line."


@dataclass(frozen=True, slots=True)
class Stat:
    """Of /proc/<pid>/stat."""

    parent: int
    cpu_s: float
    "User and system, all threads."
    rss_kib: int


def parse_stat(text: str) -> Stat:
    # The name (field 2) is in parentheses and may hold blanks and parentheses itself: count from the last one.
    fields = text.rpartition(")")[2].split()
    return Stat(
        parent=int(fields[1]),
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
        rss_kib=int(fields[21]) * PAGE_KIB,
    )


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """The `cpu` line of /proc/stat, in ticks of all cores."""

    total: int
    steal: int
    idle: int = 0


def parse_cpu_times(text: str) -> CpuTimes:
    line = next(line for line in text.splitlines() if line.startswith("cpu "))
    # user nice system idle iowait irq softirq steal; guest times that follow are inside user already.
    ticks = [int(field) for field in line.split()[1:9]]
    return CpuTimes(total=sum(ticks), steal=ticks[7] if len(ticks) > 7 else 0, idle=sum(ticks[3:5]))


def steal_percent(before: CpuTimes, after: CpuTimes) -> float:
    passed = after.total - before.total
    return round(100 * (after.steal - before.steal) / passed, 2) if passed > 0 else 0.0


def busy_percent(before: CpuTimes, after: CpuTimes) -> float:
    """Of all cores together, whoever it was: neither idle nor stolen."""
    passed = after.total - before.total
    unused = after.idle - before.idle + after.steal - before.steal
    return round(100 * (1 - unused / passed), 2) if passed > 0 else 0.0


def parse_cpu_name(text: str) -> str:
    """Of /proc/cpuinfo."""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else "unknown"


def role_of(command_line: str) -> Role:
    """What a child of the bridge is, by its command line as /proc has it (words end with NUL)."""
    words = command_line.split("\0")
    return next((role for word, role in ROLES if word in words), "other")


# --- the files themselves ---------------------------------------------------------------------------------------------


def stat(pid: int) -> Stat | None:
    """None: the process is gone."""
    try:
        return parse_stat((PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def descendants(pid: int) -> dict[int, Role]:
    """All processes below one, and what they are."""
    parents = {int(p.name): found.parent for p in PROC.iterdir() if p.name.isdigit() and (found := stat(int(p.name)))}
    family, grew = {pid}, True
    while grew:
        children = {child for child, parent in parents.items() if parent in family} - family
        family |= children
        grew = bool(children)
    return {child: role_of(_command_line(child)) for child in sorted(family - {pid})}


def _command_line(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_times() -> CpuTimes:
    return parse_cpu_times((PROC / "stat").read_text())


def load_average() -> float:
    """Processes that ran or waited for a core, mean of the last minute (proc(5), loadavg)."""
    return os.getloadavg()[0]


def machine() -> Machine:
    return Machine(
        cpu=parse_cpu_name((PROC / "cpuinfo").read_text()),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
    )
