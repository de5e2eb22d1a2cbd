"""Who is heard before, while and after a far end is the call's."""

from __future__ import annotations

from typing import Any

import pytest

from media.ear import Ear
from media.far import FarHappening, Flush, Mark, PlatformHungUp, Ready, State


class Call:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_far_audio(self, data: bytes) -> None:
        self.heard.append(data)

    def on_far_happening(self, happening: FarHappening) -> None:
        self.heard.append(happening)

    def on_far_lost(self, reason: str) -> None:
        self.heard.append(reason)


def test_ready_by_word_and_audio_passes_while_present() -> None:
    call = Call()
    ear = Ear(call)
    ear.on_far_happening(State("idle"))
    assert not ear.ready.is_set()
    ear.on_far_happening(Ready())
    assert ear.ready.is_set()
    ear.go()
    ear.on_far_audio(b"hello")
    ear.on_far_lost("gone")
    assert call.heard == [State("idle"), b"hello", "gone"]


def test_who_speaks_is_ready_and_is_heard_once_present() -> None:
    call = Call()
    ear = Ear(call)
    ear.on_far_audio(b"one")
    ear.on_far_audio(b"two")
    assert ear.ready.is_set()
    assert call.heard == []
    ear.go()
    assert call.heard == [b"one", b"two"]


def test_what_comes_in_one_burst_keeps_its_order_and_its_end() -> None:
    call = Call()
    ear = Ear(call)
    ear.on_far_audio(b"one")
    ear.on_far_happening(Flush())
    ear.on_far_audio(b"two")
    ear.on_far_happening(PlatformHungUp("said all"))
    assert (call.heard, ear.lost) == ([], "")
    ear.go()
    assert call.heard == [b"one", Flush(), b"two", PlatformHungUp("said all")]


def test_a_mark_that_comes_too_early_waits_for_its_own_far_end() -> None:
    """Another one may still be speaking: it must neither get this mark's answer nor delay it."""
    call = Call()
    ear = Ear(call)
    ear.on_far_happening(Mark("m"))
    assert not ear.ready.is_set()
    ear.on_far_audio(b"one")
    ear.on_far_happening(Mark("n"))
    assert call.heard == []
    ear.go()
    assert call.heard == [Mark("m"), b"one", Mark("n")]


@pytest.mark.parametrize("hung_up", [False, True])
def test_lost_or_hung_up_before_it_was_ready(hung_up: bool) -> None:
    call = Call()
    ear = Ear(call)
    if hung_up:
        ear.on_far_happening(PlatformHungUp("full"))
    else:
        ear.on_far_lost("closed with 1011")
    assert ear.lost == ("hung up before it was ready: full" if hung_up else "closed with 1011")
    assert ear.ready.is_set()
    assert call.heard == []


def test_a_far_end_that_was_replaced_is_not_heard_any_more() -> None:
    call = Call()
    ear = Ear(call)
    ear.go()
    ear.leave()
    ear.on_far_audio(b"late")
    ear.on_far_happening(Flush())
    ear.on_far_happening(PlatformHungUp("bye"))
    ear.on_far_lost("closed")
    assert call.heard == []
