from __future__ import annotations

import struct
from dataclasses import asdict, dataclass

import pytest

from bridge.bench.marks import INDEXES, MARK_EVERY, SILENCE, mark
from bridge.bench.stream import Incoming, MarkTimes, Outgoing

FRAME_NS = 20_000_000


@dataclass
class Counts:
    received: int = 0
    lost: int = 0
    duplicate: int = 0
    reordered: int = 0
    restarts: int = 0
    malformed: int = 0


def counts(incoming: Incoming) -> Counts:
    return Counts(**{name: getattr(incoming, name) for name in asdict(Counts())})


def outgoing(call: int = 0) -> Outgoing:
    return Outgoing(call, ssrc=0xABCD, first_sequence=65534, first_timestamp=0xFFFFFFFF - 160)


def packet(sequence: int, payload: bytes = SILENCE) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, 0, 1) + payload


def heard(*sequences: int) -> Incoming:
    incoming = Incoming(outgoing())
    for at, sequence in enumerate(sequences):
        incoming.receive(packet(sequence), at * FRAME_NS + 1)
    return incoming


def test_headers_run_on_over_both_wraps() -> None:
    out = outgoing()
    packets = [bytes(out.next(n)) for n in range(4)]
    assert [struct.unpack("!BBHII", p[:12]) for p in packets] == [
        (0x80, 0x80, 65534, 0xFFFFFF5F, 0xABCD),
        (0x80, 0x00, 65535, 0xFFFFFFFF, 0xABCD),
        (0x80, 0x00, 0, 159, 0xABCD),
        (0x80, 0x00, 1, 319, 0xABCD),
    ]
    assert {len(p) for p in packets} == {172}


def test_one_packet_in_ten_is_marked_and_the_mark_is_taken_off_again() -> None:
    out = outgoing(call=3)
    payloads = [bytes(out.next(n))[12:] for n in range(3 * MARK_EVERY)]
    expected = [SILENCE] * 3 * MARK_EVERY
    for index in range(3):
        expected[3 + index * MARK_EVERY] = mark(3, index)
    assert payloads == expected
    assert out.marks == [MarkTimes(0, 3), MarkTimes(1, 13), MarkTimes(2, 23)]


def test_skipped_time_shows_in_the_timestamp_alone() -> None:
    out = outgoing()
    out.next(0)
    out.skip(2)
    assert struct.unpack("!BBHII", bytes(out.next(1))[:12])[2:4] == (65535, 319)


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        ((7, 8, 9), Counts(received=3)),
        ((65534, 65535, 0, 1), Counts(received=4)),
        ((65535, 2), Counts(received=2, lost=2)),
        ((5, 7, 6, 8), Counts(received=4, reordered=1)),
        ((5, 6, 6, 5, 7), Counts(received=5, duplicate=2)),
        ((5, 8, 6, 6), Counts(received=4, lost=1, reordered=1, duplicate=1)),
        ((5, 20000, 20001), Counts(received=3, restarts=1)),
    ],
)
def test_what_the_sequence_numbers_say(sequences: tuple[int, ...], expected: Counts) -> None:
    assert counts(heard(*sequences)) == expected


def test_gaps() -> None:
    incoming = Incoming(outgoing())
    for at_ms in (5, 25, 46, 46.5):
        incoming.receive(packet(int(at_ms)), int(at_ms * 1e6))
    assert incoming.gaps_ms == [20.0, 21.0, 0.5]


@pytest.mark.parametrize("garbage", [b"", b"\x80" * 12, b"\x00" * 172])
def test_garbage_is_counted(garbage: bytes) -> None:
    incoming = Incoming(outgoing())
    incoming.receive(garbage, 1)
    assert counts(incoming) == Counts(malformed=1)


def sent_marks(number: int) -> tuple[Outgoing, Incoming, list[bytes]]:
    out = outgoing()
    payloads = [bytes(out.next(n * FRAME_NS))[12:] for n in range((number - 1) * MARK_EVERY + 1)]
    return out, Incoming(out), payloads[::MARK_EVERY]


def returned(out: Outgoing) -> list[int]:
    return [sent.returned_ns for sent in out.marks]


def test_a_mark_comes_back() -> None:
    out, incoming, (first, second) = sent_marks(2)
    incoming.receive(packet(1, first), 1000)
    incoming.receive(packet(2), 2000)
    incoming.receive(packet(3, second), 3000)
    assert returned(out) == [1000, 3000]


def test_a_mark_cut_in_two_counts_from_its_first_sample() -> None:
    """40 samples into a packet is 5 ms later than its beginning; the rest of it is not a second arrival."""
    out, incoming, (frame,) = sent_marks(1)
    incoming.receive(packet(1, SILENCE[:40] + frame[:120]), 1_000_000)
    incoming.receive(packet(2, frame[120:] + SILENCE[:120]), 21_000_000)
    assert returned(out) == [6_000_000]


def test_a_lost_mark_does_not_stand_in_the_way_of_the_next() -> None:
    out, incoming, frames = sent_marks(3)
    incoming.receive(packet(1, frames[1]), 1000)
    incoming.receive(packet(2, frames[0]), 2000)  # too late: a later one has been heard
    incoming.receive(packet(3, frames[2]), 3000)
    assert returned(out) == [0, 1000, 3000]


def test_an_index_that_came_round_belongs_to_the_youngest() -> None:
    out, incoming, frames = sent_marks(INDEXES + 1)
    assert frames[0] == frames[INDEXES]
    incoming.receive(packet(1, frames[INDEXES]), 1000)
    assert returned(out) == [0] * INDEXES + [1000]
