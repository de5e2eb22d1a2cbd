"""Who lives: pids that come again, clocks that disagree, hearts that stop."""

from __future__ import annotations

import os
import subprocess

import msgspec

from bridge.store.entries import InstanceSeen
from bridge.store.instances import SILENT_S, Watch, born, this_instance, this_place


def instance(bridge: str = "b1", **other: object) -> InstanceSeen:
    return msgspec.structs.replace(this_instance(bridge), **other)


def test_a_process_that_is_there_was_born() -> None:
    assert born(os.getpid()) == born(os.getpid()) != ""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert born(child.pid) == ""  # a zombie carries no calls
    child.wait()
    assert born(child.pid) == ""


def test_every_life_has_a_name_of_its_own() -> None:
    assert this_instance().bridge != this_instance().bridge
    assert this_instance("x").bridge == "x"
    assert this_instance().place == this_place()


class TestOfThisPlace:
    def test_the_living_are_left_alone_however_long_they_are_silent(self) -> None:
        watch = Watch(this_place())
        assert watch.dead([instance()], 0.0) == []
        assert watch.dead([instance(seen_at="")], 1e9) == []

    def test_one_that_is_gone_is_dead_at_once(self) -> None:
        gone = instance(pid=4_000_000)
        assert Watch(this_place()).dead([gone], 0.0) == [gone]

    def test_a_pid_that_came_again_is_somebody_else(self) -> None:
        before = instance(born="1")
        assert Watch(this_place()).dead([before], 0.0) == [before]


class TestElsewhere:
    FAR = instance(place="another machine", pid=os.getpid(), seen_at="1")

    def test_dead_is_whose_heart_has_not_moved_for_long(self) -> None:
        watch = Watch(this_place())
        assert watch.dead([self.FAR], 100.0) == []
        assert watch.dead([self.FAR], 99.9 + SILENT_S) == []
        assert watch.dead([self.FAR], 100.0 + SILENT_S) == [self.FAR]
        assert watch.dead([self.FAR], 101.0 + SILENT_S) == []  # looked at anew: it may have come back

    def test_its_clock_need_not_be_ours(self) -> None:
        watch = Watch(this_place())
        for second in range(0, 200, 5):
            beating = msgspec.structs.replace(self.FAR, seen_at=f"1970-01-01T00:00:{second:05}")
            assert watch.dead([beating], float(second)) == []
