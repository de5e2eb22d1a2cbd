"""RTCP packets: bytes as the RFC draws them, everything read back, and what is refused in which words."""

from __future__ import annotations

import random
import struct

import pytest

from media.rtcp import (
    Bye,
    Description,
    ReceiverReport,
    Report,
    ReportBlock,
    SenderReport,
    parse,
    serialize,
)
from media.rtp import Malformed, is_rtcp

BLOCK = ReportBlock(
    ssrc=0x01020304, fraction_lost=64, lost=1000, highest=0x1FFFE, jitter=33, last_report=0xABCD1234, delay=0x10000
)
SENDER = SenderReport(ssrc=0xCAFE, ntp=0xE0000000_80000000, timestamp=160_000, packets=1000, octets=160_000)
RECEIVER = ReceiverReport(ssrc=0xCAFE)
NAME = Description(0xCAFE, "abcdefghijklmnop")


def packet(kind: int, count: int = 0, body: bytes = b"", *, words: int | None = None, first: int = 0x80) -> bytes:
    return struct.pack(">BBH", first | count, kind, len(body) // 4 if words is None else words) + body


# --- the wire ---------------------------------------------------------------------------------------------------------


def test_bytes_on_the_wire() -> None:
    assert serialize([SenderReport(0xCAFE, SENDER.ntp, 160_000, 1000, 160_000, (BLOCK,)), NAME]) == bytes.fromhex(
        "81c8000c 0000cafe e0000000 80000000 00027100 000003e8 00027100"
        "01020304 400003e8 0001fffe 00000021 abcd1234 00010000"
        "81ca0006 0000cafe 01 10 6162636465666768696a6b6c6d6e6f70 00 00"
    )
    assert serialize([RECEIVER, Bye((0xCAFE,))]) == bytes.fromhex("80c90001 0000cafe 81cb0001 0000cafe")
    assert serialize([Bye((1, 2), "bye")]) == bytes.fromhex("82cb0003 00000001 00000002 03627965")


@pytest.mark.parametrize(
    "reports",
    [
        pytest.param([SENDER, NAME], id="sender without a source"),
        pytest.param([SenderReport(1, 2, 3, 4, 5, (BLOCK, BLOCK)), NAME, Bye((1,))], id="sender, two sources, BYE"),
        pytest.param([RECEIVER], id="receiver of nothing"),
        pytest.param([ReceiverReport(1, (BLOCK,) * 31)], id="as many as fit"),
        pytest.param([RECEIVER, Description(1, "")], id="an empty name"),
        pytest.param([RECEIVER, Description(1, "ä" * 120)], id="not ASCII"),
        pytest.param([Bye(tuple(range(31)), "all of us")], id="31 leave"),
        pytest.param([Bye(())], id="nobody leaves"),
        *(pytest.param([Description(9, "x" * n), RECEIVER], id=f"a name of {n}") for n in range(1, 6)),
        *(pytest.param([Bye((9,), "x" * n), RECEIVER], id=f"a reason of {n}") for n in range(1, 6)),
    ],
)
def test_what_is_serialized_is_parsed(reports: list[Report]) -> None:
    data = serialize(reports)
    assert parse(data) == reports
    assert len(data) % 4 == 0
    assert is_rtcp(data)


def test_counters_wrap_and_losses_are_clamped() -> None:
    def read_back(report: SenderReport) -> Report:
        return parse(serialize([report]))[0]

    sent = SenderReport(1, 2**64 + 7, 2**32 + 1, 2**32 + 2, 2**33 + 3)
    assert read_back(sent) == SenderReport(1, 7, 1, 2, 3)
    for lost, told in ((-5, -5), (2**23 - 1, 2**23 - 1), (2**23, 2**23 - 1), (-(2**23) - 1, -(2**23))):
        block = ReportBlock(1, 256, lost, 2**32 + 5, 2**32, 6, 2**32)
        wire = ReportBlock(1, 255, told, 5, 2**32 - 1, 6, 2**32 - 1)
        assert read_back(SenderReport(1, 2, 3, 4, 5, (block,))) == SenderReport(1, 2, 3, 4, 5, (wire,))


def test_a_name_longer_than_its_length_byte_is_cut() -> None:
    assert parse(serialize([Description(1, "x" * 300)])) == [Description(1, "x" * 255)]


# --- what others send -------------------------------------------------------------------------------------------------


def test_other_packets_and_other_items_are_passed_over() -> None:
    items = b"\2\5Alice\1\3abc\x08\5\2priv"
    chunk = b"\0\0\0\7" + items + bytes(4 - len(items) % 4)
    data = (
        serialize([RECEIVER])
        + packet(202, 2, chunk + b"\0\0\0\x08" + b"\1\1z\0")
        + packet(204, 3, b"\0\0\0\7NAME1234")  # APP
        + packet(205, 1, bytes(8))  # feedback, RFC 4585
        + packet(207, 0, bytes(4))  # extended reports, RFC 3611
    )
    assert parse(data) == [RECEIVER, Description(7, "abc"), Description(8, "z")]


def test_what_profiles_add_to_a_report_is_passed_over() -> None:
    body = serialize([ReceiverReport(5, (BLOCK,))])[4:]
    assert parse(packet(201, 1, body + b"more")) == [ReceiverReport(5, (BLOCK,))]


@pytest.mark.parametrize("padding", [b"\0\0\0\4", bytes(7) + b"\x08"])
def test_padding_of_the_last_packet(padding: bytes) -> None:
    last = packet(203, 1, b"\0\0\0\7" + padding, first=0xA0)
    assert parse(serialize([RECEIVER]) + last) == [RECEIVER, Bye((7,))]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty RTCP datagram"),
        (b"\x80\xc9\0", "truncated RTCP header"),
        (serialize([RECEIVER]) + b"\x80\xc9\0", "truncated RTCP header"),
        (packet(201, body=b"\0\0\0\1", first=0x00), "not RTCP version 2"),
        (packet(201, body=b"\0\0\0\1", first=0xC0), "not RTCP version 2"),
        (packet(191, body=b"\0\0\0\1"), "not an RTCP packet type"),
        (packet(224, body=b"\0\0\0\1"), "not an RTCP packet type"),
        (packet(201, words=1), "RTCP packet longer than the datagram"),
        (packet(200, words=65535), "RTCP packet longer than the datagram"),
        (
            packet(203, 1, b"\0\0\0\7\0\0\0\4", first=0xA0) + serialize([RECEIVER]),
            "RTCP padding before the last packet",
        ),
        (packet(203, 0, first=0xA0), "wrong RTCP padding"),
        (packet(203, 1, b"\0\0\0\7\0\0\0\0", first=0xA0), "wrong RTCP padding"),
        (packet(203, 1, b"\0\0\0\7\0\0\0\3", first=0xA0), "wrong RTCP padding"),
        (packet(203, 1, b"\0\0\0\7\0\0\0\x0c", first=0xA0), "wrong RTCP padding"),
        (packet(200, 0, bytes(20)), "truncated sender report"),
        (packet(200, 1, bytes(24)), "truncated sender report"),
        (packet(201, 0), "truncated receiver report"),
        (packet(201, 2, bytes(4 + 24)), "truncated receiver report"),
        (packet(202, 1), "truncated source description"),
        (packet(202, 2, b"\0\0\0\1" + bytes(4)), "truncated source description"),
        (packet(202, 1, b"\0\0\0\1\1\3ab"), "truncated source description"),
        (packet(202, 1, b"\0\0\0\1\1\1a\1"), "truncated source description"),
        (packet(202, 1, b"\0\0\0\1\1\2ab"), "source description without an end"),
        (packet(202, 1, b"\0\0\0\1"), "source description without an end"),
        (packet(203, 2, bytes(4)), "truncated BYE"),
        (packet(203, 1, b"\0\0\0\1\4abc"), "truncated reason of a BYE"),
    ],
)
def test_malformed(data: bytes, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert str(caught.value) == why


def test_garbage_raises_nothing_else() -> None:
    dice = random.Random(3550)
    whole = serialize([SenderReport(1, 2, 3, 4, 5, (BLOCK,)), NAME, Bye((1,), "gone")])
    outcomes = {"read": 0, "refused": 0}
    for _ in range(5000):
        data = bytearray(whole[: dice.randrange(len(whole) + 1)] if dice.random() < 0.3 else whole)
        for _ in range(dice.randrange(4)):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            parse(bytes(data))
            outcomes["read"] += 1
        except Malformed:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 500
