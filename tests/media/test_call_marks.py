"""Marks of a platform through a whole worker: real RTP, a real WebSocket, and the order in which both are seen."""

from __future__ import annotations

import asyncio
from functools import partial

from media import wire
from media.codecs import CODECS
from tests.helpers.workerbench import Bench, bench, until

PCMU = CODECS["PCMU"]


def frame(level: int) -> bytes:
    return bytes([level]) * 160


def pcm(level: int) -> bytes:
    return PCMU.decode(frame(level)).astype("<i2").tobytes()


def answers(on: Bench) -> list[str]:
    return [word.removeprefix("mark ") for word in on.platform.words if word.startswith("mark ")]


def has_answer(on: Bench, name: str) -> bool:
    return name in answers(on)


async def test_a_mark_comes_back_when_the_audio_before_it_is_on_the_line() -> None:
    async with bench() as on:
        caller = await on.talking(sends_ahead=True)
        for level in (11, 12, 13):
            await on.platform.say(pcm(level) * 10)
            await on.platform.say(f"mark {level}")
        for level in (11, 12, 13):
            await until(partial(has_answer, on, str(level)))
            await asyncio.sleep(0)  # what came to the telephone's socket before the mark came to this one is read now
            await asyncio.sleep(0)
            assert caller.audio().count(frame(level)) == 10
        report = await on.control.close()
        assert answers(on) == ["11", "12", "13"]
        assert report.far.marks == 3
        assert report.far.trouble == 0


async def test_a_mark_with_nothing_before_it_is_answered_at_once() -> None:
    async with bench() as on:
        await on.talking(sends_ahead=True)
        await on.platform.say("mark hello")
        await until(lambda: answers(on) == ["hello"])


async def test_a_mark_before_the_caller_is_there_waits_for_the_audio_before_it() -> None:
    async with bench() as on:
        target = await on.control.open()
        caller = on.caller(target)
        await on.control.send(wire.ConnectFar(call="c1", far=on.platform.spec(sends_ahead=True)))
        await on.control.next(wire.FarReady)
        await on.platform.say("mark nothing")
        await on.platform.say(pcm(21) * 5)
        await on.platform.say("mark greeting")
        await until(lambda: answers(on) == ["nothing"])
        await asyncio.sleep(0.2)
        assert answers(on) == ["nothing"]
        await on.control.send(wire.StartNear(call="c1", near=caller.near()))
        await until(lambda: answers(on) == ["nothing", "greeting"])
        await until(lambda: caller.audio().count(frame(21)) == 5)


async def test_a_clear_brings_back_every_mark_that_waits_at_once() -> None:
    async with bench() as on:
        caller = await on.talking(sends_ahead=True)
        for number in range(10):
            await on.platform.say(pcm(31) * 50)
            await on.platform.say(f"mark {number}")
        await until(lambda: frame(31) in caller.audio())
        await on.platform.say("clear")
        await on.platform.say(pcm(32))
        await on.platform.say("mark after")
        await until(lambda: "after" in answers(on))
        assert answers(on) == [*map(str, range(10)), "after"]
        assert caller.audio().count(frame(31)) < 250  # ten seconds were queued, and were not waited for


async def test_marks_after_the_end_of_the_call_are_dropped() -> None:
    async with bench() as on:
        await on.talking(sends_ahead=True)
        await on.platform.say(pcm(7) * 20)
        await on.platform.say("mark before")
        await on.platform.say("bye")
        await on.platform.say("mark behind")
        await on.control.next(wire.FarEnded)  # after the last words
        await on.control.close()
        await asyncio.wait_for(on.platform.gone.wait(), 5)
        assert answers(on) == []


async def test_a_far_end_that_was_replaced_gets_no_marks_and_takes_none() -> None:
    async with bench() as on, bench() as other:
        caller = await on.talking(sends_ahead=True)
        await on.platform.say(pcm(11) * 30)
        await on.platform.say("mark old")
        await until(lambda: frame(11) in caller.audio())
        await on.control.send(wire.ConnectFar(call="c1", far=other.platform.spec(sends_ahead=True)))
        await on.control.next(wire.FarReady)
        await other.platform.say(pcm(12))
        await other.platform.say("mark new")
        await until(lambda: answers(other) == ["new"])
        await until(lambda: frame(12) in caller.audio())
        assert caller.audio().count(frame(11)) == 30
        assert answers(on) == []


async def test_marks_between_the_frames_of_a_platform_that_speaks_in_real_time() -> None:
    """Each frame may leave in the moment in which it comes: its mark is put a message later, and answered at once."""
    async with bench() as on:
        caller = await on.talking(encoding="mulaw")
        for number in range(40):
            await on.platform.say(frame(40 + number))
            await on.platform.say(f"mark {number}")
            await asyncio.sleep(0.02)
        await until(lambda: len(answers(on)) == 40)
        assert answers(on) == [str(number) for number in range(40)]
        await until(lambda: frame(79) in caller.audio())
        report = await on.control.close()
        assert (report.far.marks, report.far.trouble) == (40, 0)
