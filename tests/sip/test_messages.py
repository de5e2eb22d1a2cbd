from __future__ import annotations

import pytest

from sip import messages as m
from sip.crypto import offer
from sip.sdp import build_offer

KEYS = offer()
SDP = build_offer(("PCMU",), host="192.0.2.1", port=4000, srtp="required", keys=KEYS)


@pytest.mark.parametrize(
    "message",
    [
        m.Dial(call="c1", uri="sip:1@192.0.2.1", sdp=SDP),
        m.Answer(call="c1", sdp=SDP),
        m.Reoffer(call="c1", sdp=SDP, answered=True),
        m.Negotiated(call="c1", sdp=SDP),
    ],
)
def test_keys_travel_but_are_not_shown(message: m.AnyCommand | m.AnyEvent) -> None:
    shown = repr(message)
    assert shown.startswith(f"{type(message).__name__}(call='c1', ")
    assert shown.count("inline:...") == len(KEYS)
    assert not [key.text for key in KEYS if key.text in shown]
    decode = m.decode_command if isinstance(message, m.Command) else m.decode_event
    assert decode(m.encode(message)) == message


def test_what_is_no_utf_8_travels_as_well_as_it_can() -> None:
    broken = m.Incoming(
        call="c1",
        trunk="t",
        source="192.0.2.1:5060",
        sip_call_id="x",
        from_uri="sip:a@b",
        from_name="M\udcfcller",
        to_uri="sip:c@d",
        request_uri="sip:c@d",
        offer="v=0\r\ns=\udcff\r\n",
        headers=(("X-A", "\udc80"),),
    )
    told = m.decode_event(m.encode(broken))
    assert isinstance(told, m.Incoming)
    assert (told.from_name, told.offer, told.headers) == ("M\ufffdller", "v=0\r\ns=\ufffd\r\n", (("X-A", "\ufffd"),))


@pytest.mark.parametrize("size", [0, 1, m.MAX_MESSAGE_BYTES, m.MAX_MESSAGE_BYTES + 1, 3 * m.MAX_MESSAGE_BYTES])
def test_long_messages_come_in_pieces(size: int) -> None:
    message, joiner = b"\x81" * size, m.Joiner()
    packets = m.pieces(message)
    assert max(map(len, packets)) <= m.MAX_MESSAGE_BYTES
    for _ in range(2):
        assert [joiner.add(packet) for packet in packets] == [*[None] * (len(packets) - 1), message]
