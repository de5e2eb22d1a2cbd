from __future__ import annotations

import struct

import pytest

from media.rtp import MAX_DROPOUT, MAX_MISORDER, Malformed, Reception, is_rtcp, parse, seq_diff, serialize, ts_diff

IN_ORDER, AHEAD, LATE, DUPLICATE, RESTART, STRAY = range(6)


def fields(data: bytes) -> tuple[int, int, int, int, bytes, bool]:
    packet = parse(data)
    return (
        packet.payload_type,
        packet.sequence,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
        packet.marker,
    )


def datagram(first: int, rest: bytes = b"", second: int = 0) -> bytes:
    """A header with the given first byte, sequence 7, timestamp 8, SSRC 9, and what follows it."""
    return struct.pack(">BBHII", first, second, 7, 8, 9) + rest


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", [False, True])
@pytest.mark.parametrize("payload", [b"", b"\xff", bytes(range(256))])
@pytest.mark.parametrize("counters", [(0, 0, 0), (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), (0x1234, 0x89ABCDEF, 1)])
@pytest.mark.parametrize("payload_type", [0, 8, 101, 127])
def test_what_is_serialized_is_parsed(
    payload_type: int, counters: tuple[int, int, int], payload: bytes, marker: bool
) -> None:
    sequence, timestamp, ssrc = counters
    data = serialize(payload_type, sequence, timestamp, ssrc, payload, marker)
    assert fields(data) == (payload_type, sequence, timestamp, ssrc, payload, marker)
    assert len(data) == 12 + len(payload)


def test_bytes_on_the_wire() -> None:
    data = serialize(8, 0x0102, 0x03040506, 0x0708090A, b"\xd5", marker=True)
    assert data == bytes.fromhex("80 88 0102 03040506 0708090a d5")


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        pytest.param(datagram(0x82, bytes(8) + b"ab"), b"ab", id="two CSRCs"),
        pytest.param(datagram(0x8F, bytes(60) + b"ab"), b"ab", id="fifteen CSRCs"),
        pytest.param(datagram(0x90, b"\xbe\xde\0\0" + b"ab"), b"ab", id="empty extension"),
        pytest.param(datagram(0x90, b"\xbe\xde\0\2" + bytes(8) + b"ab"), b"ab", id="extension of two words"),
        pytest.param(datagram(0x91, bytes(4) + b"\xbe\xde\0\1" + bytes(4) + b"ab"), b"ab", id="CSRC and extension"),
        pytest.param(datagram(0xA0, b"ab\0\0\3"), b"ab", id="padding"),
        pytest.param(datagram(0xA0, b"ab\1"), b"ab", id="padding of its own length byte"),
        pytest.param(datagram(0xA0, b"\0\0\0\4"), b"", id="only padding"),
        pytest.param(datagram(0xB1, bytes(4) + b"\xbe\xde\0\1" + bytes(4) + b"ab\0\2"), b"ab", id="all of it"),
        pytest.param(datagram(0x81, bytes(4)), b"", id="CSRC and no payload"),
    ],
)
def test_header_variants(data: bytes, payload: bytes) -> None:
    assert fields(data) == (0, 7, 8, 9, payload, False)
    with_mark = data[:1] + b"\x80" + data[2:]
    assert fields(with_mark) == (0, 7, 8, 9, payload, True)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter than an RTP header"),
        (datagram(0x80)[:11], "shorter than an RTP header"),
        (datagram(0x00), "not RTP version 2"),
        (datagram(0x40), "not RTP version 2"),
        (datagram(0xC0), "not RTP version 2"),
        (datagram(0x81, bytes(3)), "truncated CSRC list or header extension"),
        (datagram(0x90), "truncated header extension"),
        (datagram(0x90, b"\xbe\xde\0"), "truncated header extension"),
        (datagram(0x91, bytes(7)), "truncated header extension"),
        (datagram(0x90, b"\xbe\xde\0\1abc"), "truncated CSRC list or header extension"),
        (datagram(0xA0), "padding longer than the payload"),
        (datagram(0xA0, b"ab\0"), "padding longer than the payload"),
        (datagram(0xA0, b"ab\4"), "padding longer than the payload"),
        (datagram(0xB0, b"\xbe\xde\0\0"), "padding longer than the payload"),
    ],
)
def test_malformed(data: bytes, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert str(caught.value) == why


def test_repr_shows_the_header_and_not_the_audio() -> None:
    assert repr(parse(serialize(0, 5, 160, 1, b"secret", marker=True))) == "<Packet pt=0 seq=5 ts=160 6 bytes M>"
    assert repr(parse(serialize(8, 5, 160, 1, b""))) == "<Packet pt=8 seq=5 ts=160 0 bytes>"


@pytest.mark.parametrize(
    ("data", "yes"),
    [
        (b"\x80\xc8", True),  # sender report
        (b"\x81\xcb\0\1", True),  # BYE
        (b"\x80\xc0", True),
        (b"\x80\xdf", True),
        (b"\x80\xbf", False),
        (b"\x80\xe0", False),
        (b"\x80\x88", False),
        (b"\xc8", False),
        (b"", False),
    ],
)
def test_is_rtcp(data: bytes, yes: bool) -> None:
    assert is_rtcp(data) is yes


# --- wrap-around ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "ahead"),
    [(1, 0, 1), (0, 1, -1), (0, 0xFFFF, 1), (0xFFFF, 0, -1), (0x7FFF, 0, 0x7FFF), (0x8000, 0, -0x8000), (5, 5, 0)],
)
def test_seq_diff(a: int, b: int, ahead: int) -> None:
    assert seq_diff(a, b) == ahead


@pytest.mark.parametrize(
    ("a", "b", "ahead"),
    [
        (160, 0, 160),
        (0, 160, -160),
        (96, 0xFFFFFFC0, 160),
        (0xFFFFFFC0, 96, -160),
        (0x7FFFFFFF, 0, 0x7FFFFFFF),
        (0x80000000, 0, -0x80000000),
    ],
)
def test_ts_diff(a: int, b: int, ahead: int) -> None:
    assert ts_diff(a, b) == ahead


# --- reception --------------------------------------------------------------------------------------------------------


def hear(reception: Reception, *sequences: int) -> list[int]:
    """Packets of 20 ms, each arriving exactly when its timestamp says."""
    return [reception.arrive(number & 0xFFFF, 160 * number & 0xFFFFFFFF, number * 0.02) for number in sequences]


def counted(reception: Reception) -> dict[str, int]:
    names = ("expected", "received", "lost", "late", "duplicate", "resyncs")
    return {name: getattr(reception, name) for name in names}


def figures(
    *, expected: int, received: int, lost: int = 0, late: int = 0, duplicate: int = 0, resyncs: int = 0
) -> object:
    return {
        "expected": expected,
        "received": received,
        "lost": lost,
        "late": late,
        "duplicate": duplicate,
        "resyncs": resyncs,
    }


def test_nothing_has_come() -> None:
    reception = Reception(8000)
    assert counted(reception) == figures(expected=0, received=0)
    assert reception.jitter_ms == 0.0
    assert not reception.is_near(0)


def test_in_order() -> None:
    reception = Reception(8000)
    assert hear(reception, *range(1000, 1100)) == [IN_ORDER] * 100
    assert counted(reception) == figures(expected=100, received=100)
    assert reception.jitter_ms == pytest.approx(0, abs=1e-6)


def test_loss() -> None:
    reception = Reception(8000)
    assert hear(reception, 1, 2, 5, 6) == [IN_ORDER, IN_ORDER, AHEAD, IN_ORDER]
    assert counted(reception) == figures(expected=6, received=4, lost=2)


def test_a_late_packet_is_late_once_and_not_lost() -> None:
    reception = Reception(8000)
    assert hear(reception, 1, 3, 2, 2, 3, 4) == [IN_ORDER, AHEAD, LATE, DUPLICATE, DUPLICATE, IN_ORDER]
    assert counted(reception) == figures(expected=4, received=4, late=1, duplicate=2)


def test_the_first_packet_twice() -> None:
    reception = Reception(8000)
    assert hear(reception, 9, 9) == [IN_ORDER, DUPLICATE]
    assert counted(reception) == figures(expected=1, received=1, duplicate=1)


@pytest.mark.parametrize("first", [1000, 0, 1])
def test_packets_that_were_overtaken_by_the_first_one_count_as_expected(first: int) -> None:
    """RFC 3550 would call them expected, had it known; they must make no loss out of nothing."""
    reception = Reception(8000)
    start = first + 0x10000
    verdicts = hear(reception, start, start + 1, start + 2, start - 2, start - 1, start + 3)
    assert verdicts == [IN_ORDER, IN_ORDER, IN_ORDER, LATE, LATE, IN_ORDER]
    assert counted(reception) == figures(expected=6, received=6, late=2)


@pytest.mark.parametrize("rounds", [1, 3])
def test_sequence_numbers_wrap(rounds: int) -> None:
    reception = Reception(8000)
    count = rounds * 0x10000 + 10
    assert set(hear(reception, *range(0xFFF0, 0xFFF0 + count))) == {IN_ORDER}
    assert counted(reception) == figures(expected=count, received=count)


def test_loss_and_lateness_across_the_wrap() -> None:
    reception = Reception(8000)
    assert hear(reception, 0xFFFE, 0x10001, 0xFFFF, 0x10000, 0x10000, 0x10002) == [
        IN_ORDER,
        AHEAD,
        LATE,
        LATE,
        DUPLICATE,
        IN_ORDER,
    ]
    assert counted(reception) == figures(expected=5, received=5, late=2, duplicate=1)


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        (MAX_DROPOUT, AHEAD),
        (MAX_DROPOUT + 1, STRAY),
        (-MAX_MISORDER, LATE),
        (-MAX_MISORDER - 1, STRAY),
    ],
)
def test_how_far_is_another_stream(step: int, verdict: int) -> None:
    reception = Reception(8000)
    hear(reception, *range(10_000, 10_010))
    newest = 10_009
    assert reception.is_near(newest + step) == (verdict != STRAY)
    # Of the packets before the first one nobody has heard, so none of them is a duplicate.
    assert hear(reception, newest + step) == [verdict]


def test_a_restart_forgets_the_old_numbers_and_keeps_the_count() -> None:
    reception = Reception(8000)
    hear(reception, 1, 2, 4)  # one lost
    assert hear(reception, 30_000, 30_001, 30_002, 30_004) == [STRAY, RESTART, IN_ORDER, AHEAD]
    assert counted(reception) == figures(expected=8, received=6, lost=2, late=1, resyncs=1)


def test_a_stray_packet_is_no_new_stream() -> None:
    """RFC 3550, A.1: two in a row are wanted. A single one had thrown the whole count away."""
    reception = Reception(8000)
    hear(reception, 1, 2, 3)
    assert hear(reception, 30_000, 4, 30_000, 40_000, 5) == [STRAY, IN_ORDER, STRAY, STRAY, IN_ORDER]
    assert counted(reception) == figures(expected=5, received=5, late=3)


def test_a_new_stream_that_begins_with_loss_or_at_the_wrap() -> None:
    reception = Reception(8000)
    hear(reception, 20_000, 20_001)
    assert hear(reception, 0xFFFC, 0xFFFE, 0xFFFF, 0x10000) == [STRAY, STRAY, RESTART, IN_ORDER]
    reception.restart()
    hear(reception, 20_000)
    assert hear(reception, 0xFFFF, 0x10000) == [STRAY, RESTART]


def test_a_restart_by_hand_is_not_a_resync() -> None:
    reception = Reception(8000)
    hear(reception, 1, 2, 4)
    reception.restart()
    assert counted(reception) == figures(expected=4, received=3, lost=1)
    assert not reception.is_near(5)
    assert hear(reception, 3, 4) == [RESTART, IN_ORDER]
    assert counted(reception) == figures(expected=6, received=5, lost=1)


def test_more_packets_than_expected_are_no_negative_loss() -> None:
    reception = Reception(8000)
    hear(reception, 5, 4, 3)
    assert counted(reception) == figures(expected=3, received=3, late=2)


def test_jitter_by_hand() -> None:
    """RFC 3550, A.8: J += (|D| - J) / 16, with D the change of (arrival - timestamp), in samples."""
    reception = Reception(8000)
    arrivals_ms = [0, 25, 38, 60, 80]
    expected = [0.0, 40 / 16, 0.0, 0.0, 0.0]
    expected[2] = expected[1] + (56 - expected[1]) / 16  # 5 ms late, then 2 ms early: 7 ms = 56 samples
    expected[3] = expected[2] + (16 - expected[2]) / 16  # on time again: 2 ms
    expected[4] = expected[3] + (0 - expected[3]) / 16
    for number, (at_ms, jitter) in enumerate(zip(arrivals_ms, expected, strict=True)):
        reception.arrive(number, 160 * number, at_ms / 1000)
        assert reception.jitter == pytest.approx(jitter, abs=1e-9)
    assert reception.jitter_ms == pytest.approx(expected[-1] / 8, abs=1e-9)


def test_jitter_ignores_what_says_nothing_about_the_wire() -> None:
    reception = Reception(8000)
    reception.arrive(1, 0xFFFFFF60, 0.0)
    reception.arrive(2, 0, 0.02)  # the timestamp wraps
    reception.arrive(3, 1_000_000, 0.04)  # the sender's clock jumps
    reception.arrive(4, 990_000, 0.06, timed=False)  # an event: its timestamp is that of its beginning
    reception.arrive(5, 1_000_320, 0.08)
    assert reception.jitter == pytest.approx(0, abs=1e-9)
