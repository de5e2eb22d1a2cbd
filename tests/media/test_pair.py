"""Two calls joined: what crosses, in which form, and what is left when one goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from media.codecs import CODECS, Codec
from media.far import FarEar, FarEnd, FarFailure, FarHappening, Flush, PlatformHungUp, PressKeys, Ready
from media.pair import GONE, Half, between, join
from media.wire import FarSpec


@dataclass
class FakeCall:
    """A side that writes down what it hears."""

    codec: Codec = CODECS["PCMU"]
    refuses: bool = False
    heard: list[bytes] = field(default_factory=list)
    happened: list[FarHappening] = field(default_factory=list)
    far: FarEnd | None = None
    spec: FarSpec | None = None

    async def attach(self, spec: FarSpec, open_far: Callable[[FarSpec, FarEar], FarEnd], timeout_s: float) -> None:
        if self.refuses:
            raise FarFailure("nonsense", "no")
        self.far, self.spec = open_far(spec, self), spec
        await self.far.open(timeout_s)

    def on_far_audio(self, data: bytes) -> None:
        self.heard.append(data)

    def on_far_happening(self, happening: FarHappening) -> None:
        self.happened.append(happening)

    def on_far_lost(self, reason: str) -> None:
        raise AssertionError(reason)


async def joined() -> tuple[FakeCall, FakeCall, FarEnd, FarEnd]:
    one, other = FakeCall(), FakeCall()
    await join(one, other, 1.0)
    assert one.far is not None
    assert other.far is not None
    return one, other, one.far, other.far


@pytest.mark.parametrize(
    ("one", "other", "form"),
    [
        ("PCMU", "PCMU", ("mulaw", 8000)),
        ("PCMU", "PCMA", ("s16le", 8000)),
        ("PCMA", "PCMA", ("s16le", 8000)),
        ("PCMU", "G722", ("s16le", 8000)),
        ("G722", "opus", ("s16le", 16000)),
        ("opus", "opus", ("s16le", 48000)),
    ],
)
def test_the_form_in_which_audio_crosses(one: str, other: str, form: tuple[str, int]) -> None:
    for spec in (between(CODECS[one], CODECS[other]), between(CODECS[other], CODECS[one])):
        assert (spec.encoding, spec.rate_hz) == form


async def test_both_hear_each_other_and_nothing_of_before() -> None:
    one, other, ours, theirs = await joined()
    assert one.happened == other.happened == [Flush(), Ready()]
    ours.send_audio(b"a")
    theirs.send_audio(b"b")
    assert (one.heard, other.heard) == ([b"b"], [b"a"])


async def test_keys_cross_as_keys() -> None:
    _, other, ours, _ = await joined()
    ours.send_digit("5")
    assert other.happened[-1] == PressKeys("5")


async def test_who_goes_first_ends_the_other_once() -> None:
    one, other, ours, theirs = await joined()
    ours.close()
    assert other.happened[-1] == PlatformHungUp(GONE)
    theirs.close()
    ours.close()
    assert one.happened == [Flush(), Ready()]
    assert other.happened == [Flush(), Ready(), PlatformHungUp(GONE)]
    ours.send_audio(b"a")
    theirs.send_digit("1")
    assert (one.heard, other.heard) == ([], [])


async def test_what_is_said_before_the_other_is_there_is_lost() -> None:
    half = Half(FakeCall())
    half.send_audio(b"a")
    half.send_digit("1")
    half.close()


async def test_one_that_cannot_be_joined() -> None:
    with pytest.raises(FarFailure):
        await join(FakeCall(), FakeCall(refuses=True), 1.0)
