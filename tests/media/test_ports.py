from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from media.ports import NoPort, PortPool

HOST = "127.0.0.1"


def free_range(count: int) -> int:
    """The first of `count` neighbouring even ports that nobody uses just now."""
    for _ in range(100):
        # Below the ports that the kernel gives to whoever binds port 0, so that none of these comes in between.
        first = random.randrange(24_000, 32_000, 2)
        try:
            with ExitStack() as held:
                for port in range(first, first + 2 * count, 2):
                    held.enter_context(bound(port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports on this machine")


def bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock


class Taker:
    """Takes ports and remembers the sockets, so that none is left open by a test."""

    def __init__(self, first: int, last: int, rest_s: float) -> None:
        self.pool = PortPool(HOST, first, last, rest_s)
        self._socks: dict[int, socket.socket] = {}

    def take(self, now: float = 0.0) -> int:
        sock, port = self.pool.take(now)
        self._socks[port] = sock
        return port

    def refusal(self, now: float = 0.0) -> str:
        with pytest.raises(NoPort) as caught:
            self.pool.take(now)
        return str(caught.value)

    def give_back(self, port: int, now: float = 0.0) -> None:
        self.pool.give_back(self._socks.pop(port), port, now)

    def close(self) -> None:
        for sock in self._socks.values():
            sock.close()


@pytest.fixture
def first() -> int:
    return free_range(4)


@pytest.fixture
def taker(first: int) -> Iterator[Taker]:
    taker = Taker(first, first + 7, 30.0)
    yield taker
    taker.close()


def test_even_ports_in_turn(taker: Taker, first: int) -> None:
    assert [taker.take() for _ in range(4)] == [first, first + 2, first + 4, first + 6]
    assert taker.pool.in_use == 4


@pytest.mark.parametrize(
    ("from_first", "to_first", "ports"),
    [(1, 5, [2, 4]), (0, 2, [0, 2]), (1, 3, [2]), (2, 2, [2]), (1, 1, []), (4, 2, [])],
)
def test_ends_of_the_range(first: int, from_first: int, to_first: int, ports: list[int]) -> None:
    taker = Taker(first + from_first, first + to_first, 0.0)
    try:
        assert [taker.take() - first for _ in ports] == ports
        size = len(ports)
        assert taker.refusal() == (
            f"no RTP port free: {size} in the range, {size} in use, 0 resting, 0 taken by other programs"
        )
    finally:
        taker.close()


def test_the_socket_is_bound_and_does_not_block(first: int) -> None:
    sock, port = PortPool(HOST, first, first, 0.0).take(0.0)
    with sock:
        assert sock.getsockname() == (HOST, port)
        assert not sock.getblocking()
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_a_port_rests_before_it_is_used_again(taker: Taker, first: int) -> None:
    ports = [taker.take() for _ in range(4)]
    for number, port in enumerate(ports):
        taker.give_back(port, 100.0 + number)
    assert taker.pool.in_use == 0
    assert taker.refusal(129.9) == ("no RTP port free: 4 in the range, 0 in use, 4 resting, 0 taken by other programs")
    assert taker.take(130.0) == first
    assert taker.refusal(130.9).startswith("no RTP port free: 4 in the range, 1 in use, 3 resting")
    assert [taker.take(133.0) for _ in range(3)] == [first + 2, first + 4, first + 6]


def test_the_port_that_has_rested_longest_comes_first(taker: Taker, first: int) -> None:
    used = taker.take()
    taker.give_back(used, 0.0)
    assert [taker.take(1000.0) for _ in range(4)] == [first + 2, first + 4, first + 6, first]


def test_given_back_is_closed(taker: Taker, first: int) -> None:
    taker.give_back(taker.take(), 0.0)
    bound(first).close()


def test_a_port_of_another_program_is_passed_over(taker: Taker, first: int) -> None:
    with bound(first), bound(first + 4):
        assert [taker.take(), taker.take()] == [first + 2, first + 6]
        assert taker.refusal() == ("no RTP port free: 4 in the range, 2 in use, 0 resting, 2 taken by other programs")
    assert [taker.take(), taker.take()] == [first, first + 4]  # and used when it is free again
    assert taker.pool.in_use == 4
