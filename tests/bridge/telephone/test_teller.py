from __future__ import annotations

import pytest

from bridge.calls.hunt import Candidate
from bridge.calls.outbound import Order
from bridge.calls.trunks import Way
from bridge.calls.words import Input, TrunkFull
from bridge.records import CallRecord, TrunkAttempt
from bridge.telephone.teller import Teller, told
from media import wire
from sip import messages as sip


def moment(kind: str, text: str = "") -> wire.FarEvent:
    return wire.FarEvent(call="c", moment=wire.Moment(kind=kind, at_s=0.0, text=text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (sip.Ringing(call="c", status=180), "ringing"),
        (sip.Ringing(call="c", status=183), "ringing    (183)"),
        (sip.Ringing(call="c", status=183, sdp="v=0"), "ringing    (183, early media)"),
        (sip.Answered(call="c", sdp=""), "answered"),
        (sip.Ended(call="c", status=503, reason="Full", by="remote"), "refused    503 Full"),
        (sip.Ended(call="c", status=200, reason="OK", by="remote"), ""),
        (sip.Ended(call="c", status=487, reason="", by="local"), ""),
        (TrunkFull(0, "30 of 30 calls"), "full       30 of 30 calls"),
        (moment("speech-started"), "heard      speech started"),
        (moment("play", "question"), "playing    question"),
        (moment("transcript"), ""),
        (wire.DigitHeard(call="c", digit="5", duration_ms=100), "heard      digit 5"),
        (wire.NearQuiet(call="c", silent_ms=15000), "heard      nothing for 15 s"),
        (wire.CallOpened(call="c", host="", port=1), ""),
    ],
)
def test_what_is_told(event: Input, line: str) -> None:
    assert told(event) == line


def test_a_whole_call(capsys: pytest.CaptureFixture[str]) -> None:
    ways = (
        Way(uri="sip:1@x", trunk="one", because=("prefix +52", "primary")),
        Way(uri="sip:1@y", trunk="two", because=("only",)),
    )
    teller = Teller()
    teller.on_dial(Order(to="+525512345678", ways=ways, candidates=(Candidate("tape"),)))
    teller.on_input("c", sip.Ringing(call="c", status=180))
    teller.on_input("c", wire.CallOpened(call="c", host="", port=1))
    record = CallRecord(call="c", direction="outbound", started_at="", reason="busy", sip_status=486, detail="two: no")
    record.trunk_attempts = [
        TrunkAttempt(trunk="one", outcome="setup-timeout", took_ms=4000.0),
        TrunkAttempt(trunk="two", outcome="busy", sip_status=486, took_ms=120.0),
    ]
    record.codec, record.media = "PCMA", wire.CallReport(near=wire.NearReport(received=5, sent=6, lost=1))
    teller.on_record(record)
    lines = capsys.readouterr().out.splitlines()
    assert lines.pop(3).startswith("ringing ")
    assert lines == [
        "dialling   +525512345678",
        "trunk      one: prefix +52, primary",
        "trunk      two: only",
        "tried      one: setup-timeout 4.00 s",
        "tried      two: busy (SIP 486) 0.12 s",
        "ended      busy (SIP 486): two: no",
        "audio      PCMA, 5 packets heard, 1 lost, 6 sent, jitter 0.0 ms, longest gap 0 ms",
    ]
