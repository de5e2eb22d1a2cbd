"""Tells on stdout how a test call fares, with seconds since dialling."""

from __future__ import annotations

import time

from bridge.calls.outbound import Order
from bridge.calls.words import Input, TrunkFull
from bridge.records import CallRecord
from media import wire
from sip import messages as sip


class Teller:
    """Tells on stdout what happens, with seconds since dialling."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def on_dial(self, order: Order) -> None:
        self._began = time.monotonic()
        print(f"dialling   {order.to}", flush=True)
        for way in order.ways:
            if way.trunk:
                print(f"trunk      {way.trunk}: {', '.join(way.because)}", flush=True)

    def on_input(self, call: str, received: Input) -> None:
        text = told(received)
        if text:
            print(f"{text:<32} {time.monotonic() - self._began:6.2f} s", flush=True)

    def on_record(self, record: CallRecord) -> None:
        status = f" (SIP {record.sip_status})" if record.sip_status else ""
        detail = f": {record.detail}" if record.detail else ""
        for attempt in record.trunk_attempts if len(record.trunk_attempts) > 1 else ():
            said = f" (SIP {attempt.sip_status})" if attempt.sip_status else ""
            print(
                f"tried      {attempt.trunk or attempt.target}: {attempt.outcome}{said} {attempt.took_ms / 1000:.2f} s"
            )
        print(f"ended      {record.reason}{status}{detail}", flush=True)
        if record.media and record.codec:
            near = record.media.near
            print(
                f"audio      {record.codec}, {near.received} packets heard, {near.lost} lost, {near.sent} sent,"
                f" jitter {near.jitter_ms:.1f} ms, longest gap {near.max_gap_ms:.0f} ms",
                flush=True,
            )


def told(received: Input) -> str:
    """What a person wants to know of it; mostly nothing."""
    match received:
        case TrunkFull(why=why):
            return f"full       {why}"
        case sip.Ringing(status=status, sdp=sdp):
            return "ringing" if status == 180 else f"ringing    ({status}{', early media' if sdp else ''})"
        case sip.Ended(status=status, reason=reason, by="remote") if status >= 300:
            return f"refused    {status} {reason}"
        case sip.Answered():
            return "answered"
        case wire.FarEvent(moment=moment) if moment.kind in ("speech-started", "speech-ended"):
            return f"heard      {moment.kind.replace('-', ' ')}"
        case wire.FarEvent(moment=moment) if moment.kind == "play":
            return f"playing    {moment.text}"
        case wire.DigitHeard(digit=digit) | sip.InfoDigit(digit=digit):
            return f"heard      digit {digit}"
        case wire.NearQuiet(silent_ms=silent_ms):
            return f"heard      nothing for {silent_ms / 1000:.0f} s"
    return ""
