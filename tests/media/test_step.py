"""The packet step as a shell: a datagram per wake-up, and to the call what is not ordinary (see also native/)."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from media import step
from media.near import NearEnd
from media.step import PlainStep, packet_step
from media.summary import Tally


class Line:
    """An RTP socket of ours, somebody who sends to it, and what the call was told."""

    def __init__(self) -> None:
        self.ours, self.theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.ours, self.theirs):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        self.received: list[tuple[bytes, tuple[str, int]]] = []
        self.heard: list[bytes] = []

    def receive(self, data: bytes, source: tuple[str, int], now: float) -> None:
        self.received.append((data, source))

    def step(self) -> step.Step:
        return packet_step(self.ours, NearEnd(), Tally(), self.receive, self.heard.append, print, print)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture(params=["compiled", "plain"])
def packets(line: Line, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> step.Step:
    if request.param == "plain":
        monkeypatch.setattr(step, "COMPILED", None)
        assert isinstance(line.step(), PlainStep)
    else:
        assert not isinstance(line.step(), PlainStep)
    return line.step()


def test_one_datagram_for_each_time_it_is_told(line: Line, packets: step.Step) -> None:
    for word in (b"one", b"two"):
        line.theirs.sendto(word, line.ours.getsockname())
    packets.readable()
    assert line.received == [(b"one", line.theirs.getsockname())]
    packets.readable()
    packets.readable()  # nothing there
    assert [data for data, _ in line.received] == [b"one", b"two"]


def test_what_is_not_joined_is_heard_by_the_call(line: Line, packets: step.Step) -> None:
    packets.audio(b"voice")
    assert line.heard == [b"voice"]


def test_it_sends_and_tells_what_cannot_be_sent(line: Line, packets: step.Step) -> None:
    packets.send(b"hello", line.theirs.getsockname())
    assert line.theirs.recv(100) == b"hello"
    with pytest.raises(OSError, match=r"."):
        packets.send(b"hello", ("no address", 1))
    with pytest.raises(OSError, match=r"."):
        packets.send(bytes(70_000), line.theirs.getsockname())


def test_an_icmp_error_of_an_earlier_packet_is_not_ours(line: Line, packets: step.Step) -> None:
    line.theirs.close()
    packets.send(b"to nobody", ("127.0.0.1", 9))
    packets.readable()
    assert line.received == []


def test_a_closed_step_tells_nobody(line: Line, packets: step.Step) -> None:
    packets.close()
    line.theirs.sendto(b"late", line.ours.getsockname())
    packets.readable()
    packets.audio(b"late")
    assert (line.received, line.heard) == ([], [])
