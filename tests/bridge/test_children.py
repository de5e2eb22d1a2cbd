"""Children under care, with a real process that dies, hangs, does not read or will not go."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from bridge.children import Care, Child, ChildFailed, Tongue, retry_in
from tests.helpers.tinychild import Down, Ping, Pong, Say, Stop, Up, decode_up

TONGUE: Tongue[Down, Up] = Tongue(
    encode=msgspec.msgpack.encode,
    decode=decode_up.decode,
    ping=Ping,
    stop=Stop(),
    pong=Pong,
    max_bytes=65536,
)
CARE = Care(ping_s=0.05, silence_s=0.5, start_s=20.0, stop_s=5.0)


class Nest:
    """One child and all that it told."""

    def __init__(self, kind: str, care: Care = CARE) -> None:
        self.said: list[Up] = []
        self.ready: list[int] = []
        self.lost: list[str] = []
        self._news = asyncio.Event()
        self.child: Child[Down, Up] = Child(
            "tiny",
            ["tests.helpers.tinychild", kind],
            TONGUE,
            first=Say("hello"),
            on_message=self._note(self.said.append),
            on_ready=self._note(lambda: self.ready.append(self.child.pid)),
            on_lost=self._note(self.lost.append),
            care=care,
        )

    def _note(self, keep: Callable[..., None]) -> Callable[..., None]:
        def note(*what: object) -> None:
            keep(*what)
            self._news.set()

        return note

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await self._news.wait()
                self._news.clear()

    def words(self) -> list[str]:
        return [one.text for one in self.said if isinstance(one, Say)]


@asynccontextmanager
async def nest(kind: str, care: Care = CARE) -> AsyncIterator[Nest]:
    one = Nest(kind, care)
    await one.child.start()
    try:
        yield one
    finally:
        await one.child.stop()
        assert not alive(one.child.pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_speaks_both_ways() -> None:
    async with nest("good") as one:
        assert one.child.is_ready
        assert one.child.send(Say("there"))
        await one.until(lambda: len(one.words()) == 2)
        assert one.words() == ["hello", "there"]
    assert one.lost == []
    assert not one.child.send(Say("nobody hears this"))


async def test_stopped_twice() -> None:
    async with nest("good") as one:
        await one.child.stop()
    assert one.lost == []
    assert one.child.starts == 1


async def test_one_that_dies_is_replaced_and_told_everything_again() -> None:
    async with nest("good") as one:
        first = one.child.pid
        one.child.send(Say("die"))
        await one.until(lambda: len(one.ready) == 2)
        assert one.lost == ["exited with 3"]
        assert one.child.pid != first
        assert one.child.send(Say("again"))
        await one.until(lambda: one.words()[-1:] == ["again"])
        assert one.words() == ["hello", "hello", "again"]
        assert not alive(first)


async def test_one_that_is_killed() -> None:
    async with nest("good") as one:
        os.kill(one.child.pid, 9)
        await one.until(lambda: len(one.ready) == 2)
        assert one.lost == ["killed by SIGKILL"]


async def test_one_that_hangs_is_killed_and_replaced() -> None:
    async with nest("good") as one:
        first = one.child.pid
        one.child.send(Say("hang"))
        await one.until(lambda: len(one.ready) == 2)
        [why] = one.lost
        assert why.startswith("silent for ")
        assert not alive(first)


async def test_one_that_does_not_read_is_given_up() -> None:
    care = Care(ping_s=10.0, silence_s=60.0, most_unsent=50)
    async with nest("deaf", care) as one:
        one.child.send(Say("sleep"))
        await one.until(lambda: one.words()[-1:] == ["sleep"])
        sent = 0
        while one.child.send(Say("x" * 4000)):
            sent += 1
        assert sent > 50  # the socket took some, the queue the rest, and then it was over
        await one.until(lambda: len(one.ready) == 2)
        assert one.lost == ["does not read: 51 messages unsent"]


async def test_what_waited_in_the_queue_arrives_in_order() -> None:
    async with nest("good") as one:
        words = [f"{number} {'x' * 2000}" for number in range(500)]
        for word in words:
            assert one.child.send(Say(word))
        await one.until(lambda: len(one.words()) == 501)
        assert one.words()[1:] == words
    assert one.lost == []


async def test_one_that_will_not_go_is_made_to() -> None:
    care = Care(ping_s=0.05, silence_s=20.0, stop_s=0.1)
    async with nest("stubborn", care) as one:
        assert one.child.is_ready
    assert not alive(one.child.pid)


async def test_one_that_never_starts_is_no_reason_to_try_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    one = Nest("broken")
    with pytest.raises(ChildFailed, match="tiny did not start: exited with 1"):
        await one.child.start()
    assert one.child.starts == 1
    assert "tiny: no such thing as a broken child" in caplog.messages


async def test_what_it_logs_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with nest("talks"):
        pass
    lines = [
        (record.levelname, record.getMessage(), getattr(record, "call", None))
        for record in caplog.records
        if record.name == "child.tiny"
    ]
    assert lines == [("WARNING", "tiny: it rains", "c7"), ("WARNING", "tiny: Traceback: plain words", None)]


def test_the_wait_between_starts_grows_up_to_a_ceiling() -> None:
    assert [retry_in(failures, lambda: 1.0) for failures in (0, 1, 2, 6, 7, 100)] == [0.1, 0.2, 0.4, 6.4, 10.0, 10.0]
    assert retry_in(0, lambda: 0.0) == 0.05


async def test_last_words_are_heard_however_the_exit_is_noticed() -> None:
    """It leaves words of ours unread, which Linux tells as a reset before it hands out the last words."""
    for _ in range(5):
        nest = Nest("last")
        with pytest.raises(ChildFailed):
            await nest.child.start()
        assert nest.said == [Say("why")]


async def test_a_bug_over_one_message_does_not_cost_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async with nest("good") as one:
        one.child._on_message = stumbling(one.said.append, one._news)
        for word in ("one", "stone", "two"):
            one.child.send(Say(word))
        await one.until(lambda: one.words()[-1:] == ["two"])
        assert one.words()[-2:] == ["one", "two"]
        assert one.lost == []
    assert [one.getMessage() for one in caplog.records if one.exc_info] == ["! bug while tiny was heard to say Say"]


def stumbling(keep: Callable[[Up], None], news: asyncio.Event) -> Callable[[Up], None]:
    def note(message: Up) -> None:
        if message == Say("stone"):
            raise ArithmeticError
        keep(message)
        news.set()

    return note
