from __future__ import annotations

import pytest

from sip.formats import CODECS, EVENTS, STATIC, Format, codec_of


@pytest.mark.parametrize(
    ("one", "codec"),
    [
        (Format(0, "PCMU", 8000), "PCMU"),
        (Format(97, "pcma", 8000), "PCMA"),
        (Format(9, "G722", 8000), "G722"),
        (Format(96, "OPUS", 48000, channels=2, fmtp="stereo=1"), "opus"),
        (Format(96, "l16", 8000), "L16/8000"),
        (Format(97, "L16", 16000), "L16/16000"),
        (Format(97, "G722", 16000), None),
        (Format(96, "opus", 48000), None),
        (Format(96, "opus", 16000, channels=2), None),
        (Format(97, "L16", 44100), None),
        (Format(97, "L16", 16000, channels=2), None),
        (Format(97, "PCMU", 16000), None),
        (Format(18, "G729", 8000), None),
        (Format(10, "", 0), None),
        (Format(101, "telephone-event", 8000), None),
    ],
)
def test_which_codec_it_is(one: Format, codec: str | None) -> None:
    assert codec_of(one) == codec


def test_rtpmap() -> None:
    assert [codec.offered.rtpmap for codec in CODECS.values()] == [
        "PCMU/8000",
        "PCMA/8000",
        "G722/8000",
        "opus/48000/2",
        "L16/8000",
        "L16/16000",
    ]


def test_payload_types() -> None:
    """Static ones where there are some, and never one for two things (RFC 3551, 6)."""
    assert {number: one.name for number, one in STATIC.items()} == {
        0: "PCMU",
        3: "GSM",
        4: "G723",
        8: "PCMA",
        9: "G722",
        18: "G729",
    }
    numbers = [one.payload_type for one in (*(codec.offered for codec in CODECS.values()), *EVENTS.values())]
    assert len(set(numbers)) == len(numbers)
    assert all(one.payload_type in STATIC or one.payload_type >= 96 for one in EVENTS.values())


def test_events_for_the_clock_of_every_codec() -> None:
    assert set(EVENTS) == {codec.offered.clock_hz for codec in CODECS.values()}


@pytest.mark.parametrize("name", CODECS)
def test_every_packet_fits_into_an_ethernet_frame(name: str) -> None:
    """1500 bytes less IP, UDP, RTP and the tag of SRTP."""
    bytes_per_ms = {"L16/8000": 16, "L16/16000": 32}.get(name, 8)
    assert max(CODECS[name].ptimes_ms) * bytes_per_ms <= 1500 - 20 - 8 - 12 - 10
    assert 20 in CODECS[name].ptimes_ms
