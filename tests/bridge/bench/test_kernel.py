from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bridge.bench import kernel
from bridge.bench.kernel import PAGE_KIB, TICKS_PER_S, CpuTimes, Stat

STAT = (
    "4242 (python (3) x) S 77 4242 4242 0 -1 4194304 1892 0 0 0 150 50 9 9 20 0 3 0 8731 "
    "245760000 2500 18446744073709551615 1 1 0 0 0 0 0 16781312 2 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
PROC_STAT = "cpu  100 5 50 800 20 1 4 20 30 0\ncpu0 50 2 25 400 10 0 2 10 15 0\nintr 1\nctxt 2\n"


def test_stat_of_a_process_with_an_awkward_name() -> None:
    assert kernel.parse_stat(STAT) == Stat(parent=77, cpu_s=200 / TICKS_PER_S, rss_kib=2500 * PAGE_KIB)


def test_cpu_times_leave_out_guests_which_are_in_user_already() -> None:
    assert kernel.parse_cpu_times(PROC_STAT) == CpuTimes(total=1000, steal=20, idle=820)


def test_cpu_times_of_a_kernel_without_steal() -> None:
    assert kernel.parse_cpu_times("cpu  1 2 3 4\n") == CpuTimes(total=10, steal=0, idle=4)


@pytest.mark.parametrize(
    ("after", "percent"),
    [(CpuTimes(1200, 25), 2.5), (CpuTimes(1000, 20), 0.0), (CpuTimes(1300, 20), 0.0)],
)
def test_steal(after: CpuTimes, percent: float) -> None:
    assert kernel.steal_percent(CpuTimes(1000, 20), after) == percent


@pytest.mark.parametrize(
    ("after", "percent"),
    [(CpuTimes(1200, 20, 850), 75.0), (CpuTimes(1200, 70, 850), 50.0), (CpuTimes(1000, 20, 800), 0.0)],
    ids=["a quarter idle", "and some of it stolen", "no time has passed"],
)
def test_busy_is_neither_idle_nor_stolen(after: CpuTimes, percent: float) -> None:
    assert kernel.busy_percent(CpuTimes(1000, 20, 800), after) == percent


def test_cpu_name() -> None:
    assert kernel.parse_cpu_name("processor : 0\nmodel name\t: Chip: X 9\nmodel name\t: other\n") == "Chip: X 9"
    assert kernel.parse_cpu_name("CPU part : 0xd0c\n") == "unknown"


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["python", "-m", "sip.process", "--fd", "7"], "sip"),
        (["python", "-m", "media.worker", "--fd", "9"], "worker"),
        (["python", "-c", "from multiprocessing.resource_tracker import main"], "other"),
        ([], "other"),
    ],
)
def test_children_are_known_by_their_command_line(words: list[str], role: str) -> None:
    assert kernel.role_of("".join(word + "\0" for word in words)) == role


def test_a_real_child_is_found_and_its_work_is_counted() -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass\nprint('worked', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "media.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"worked\n"
        assert kernel.descendants(os.getpid()).get(process.pid) == "worker"
        found = kernel.stat(process.pid)
        process.communicate(b"\n")
    assert found is not None
    assert found.parent == os.getpid()
    assert found.cpu_s >= 0.09
    assert found.rss_kib > 1000
    assert kernel.stat(process.pid) is None


def test_this_machine_has_a_name() -> None:
    machine = kernel.machine()
    assert (machine.cores >= 1, machine.python) == (True, sys.version.split()[0])
    assert kernel.cpu_times().total > 0
