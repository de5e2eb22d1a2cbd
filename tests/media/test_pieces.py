from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from media.pieces import Pieces


async def test_one_piece_in_a_turn_whoever_has_some_in_turn() -> None:
    loop = asyncio.get_running_loop()
    pieces, told = Pieces(loop), []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        if turn < 20:
            loop.call_soon(count)

    def work(name: str, left: int) -> Callable[[], bool]:
        def piece() -> bool:
            nonlocal left
            left -= 1
            told.append((turn, name))
            return left > 0

        return piece

    count()
    for name, left in (("a", 3), ("b", 1), ("c", 2)):
        pieces.add(work(name, left))
    await asyncio.sleep(0.01)
    assert [name for _, name in told] == ["a", "b", "c", "a", "c", "a"]
    turns = [at for at, _ in told]
    assert turns == list(range(turns[0], turns[0] + 6))


async def test_twice_is_once() -> None:
    pieces, called = Pieces(asyncio.get_running_loop()), []

    def piece() -> bool:
        called.append(1)
        return False

    pieces.add(piece)
    pieces.add(piece)
    await asyncio.sleep(0.01)
    pieces.add(piece)
    await asyncio.sleep(0.01)
    assert len(called) == 2


async def test_one_that_raises_takes_no_other_with_it() -> None:
    loop = asyncio.get_running_loop()
    pieces, called, seen = Pieces(loop), [], []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))

    def breaks() -> bool:
        raise RuntimeError("a bug")

    def works() -> bool:
        called.append(1)
        return len(called) < 2

    pieces.add(breaks)
    pieces.add(works)
    await asyncio.sleep(0.01)
    assert len(called) == 2
    with pytest.raises(RuntimeError, match="a bug"):
        raise seen[0]
