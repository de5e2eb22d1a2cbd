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
