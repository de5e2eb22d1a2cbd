"""`puente call`: place a test call into any SIP target, with the bridge's own line and worker.

    puente call sip:100@127.0.0.1:5060 --play question.wav --seconds 10 --record out/call.wav --json out/call.json

The far end of the call is a tape inside the media worker: it plays a script towards the line and tells what it hears.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bridge import logs
from bridge.calls.desk import Desk
from bridge.calls.hunt import Candidate
from bridge.calls.lines import SipLine
from bridge.calls.outbound import Order
from bridge.calls.session import CallSettings
from bridge.calls.trunks import Way
from bridge.calls.words import Input
from bridge.calls.workers import WorkerPool
from bridge.children import ChildFailed
from bridge.records import CallRecord, Outcome
from bridge.store import Forgetful
from media import tape, wire
from sip import messages as sip

HELP = "place a test call into any SIP target, play to it, and tell what is heard"

RATE_HZ = 8000
DEFAULT_SECONDS = 10.0
STATUS: dict[Outcome, int] = {"answered": 0, "busy": 2, "no-answer": 3, "declined": 4}
"What the command returns, 5 for all the rest. 1 is for what cannot be called at all."
PORTS = 40
"RTP ports of one test call's worker: enough to step over those that are taken."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="SIP URI, e.g. sip:100@127.0.0.1:5060;transport=tcp")
    parser.add_argument("--from", dest="from_user", default="puente", metavar="USER", help="who is calling")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--play", type=Path, metavar="WAV", help="play this once answered (16-bit PCM)")
    what.add_argument("--script", type=Path, metavar="JSON", help="steps: play, wait_ms, wait_for, digits, hangup")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help="hang up N s after the answer (default: at the end of the script, or 10)",
    )
    parser.add_argument("--record", type=Path, metavar="WAV", help="stereo recording: left the callee, right the tape")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the call record here")
    parser.add_argument("--codec", choices=("PCMU", "PCMA"), help="offer this one only (default: both)")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="our own address (default: %(default)s)")
    parser.add_argument("--verbose", "-v", action="store_true", help="log every message")


def run(args: argparse.Namespace) -> int:
    logs.configure("info" if args.verbose else "warning", "text" if sys.stderr.isatty() else "json")
    try:
        order = order_of(args)
    except tape.ScriptError as error:
        print(f"cannot call: {error}", file=sys.stderr)
        return 1
    codecs = (args.codec,) if args.codec else ("PCMU", "PCMA")
    recording = str(args.record.absolute()) if args.record else ""
    for path in (args.record, args.json):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
    try:
        record = uvloop.run(place(order, CallSettings(codecs=codecs, recording=recording), args.host))
    except ChildFailed as error:
        print(f"cannot call: {error}", file=sys.stderr)
        return 1
    if args.json:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    return STATUS.get(record.outcome, 5)


async def place(order: Order, settings: CallSettings, host: str) -> CallRecord:
    """One call from beginning to end, told on stdout. Ctrl-C hangs up."""
    # TCP sockets only when asked for: a phone that calls by UDP needs no listener.
    tcp_port = 0 if "transport=tcp" in order.to.lower() else -1
    line = SipLine(sip.EndpointOptions(host=host, udp_port=0, tcp_port=tcp_port, max_calls=4), ())
    first_port = 40000 + os.getpid() % 500 * PORTS
    options = wire.WorkerOptions(host=host, first_port=first_port, last_port=first_port + PORTS - 1)
    pool = WorkerPool(1, options, dialects="")
    teller = Teller()
    desk = Desk(line, pool, {}, Forgetful(), watch=teller.on_input)
    try:
        await asyncio.gather(pool.start(desk.on_worker), line.start(desk.on_sip))
        teller.on_dial(order.to)
        call, ended = desk.dial(order, settings)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, desk.hang_up, call)
        record = await ended
        teller.on_record(record)
        return record
    finally:
        await desk.close()
        await line.stop()
        await pool.stop()


class Teller:
    """Tells on stdout what happens, with seconds since dialling."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def on_dial(self, uri: str) -> None:
        self._began = time.monotonic()
        print(f"dialling   {uri}", flush=True)

    def on_input(self, call: str, received: Input) -> None:
        text = told(received)
        if text:
            print(f"{text:<32} {time.monotonic() - self._began:6.2f} s", flush=True)

    def on_record(self, record: CallRecord) -> None:
        status = f" (SIP {record.sip_status})" if record.sip_status else ""
        detail = f": {record.detail}" if record.detail else ""
        print(f"ended      {record.reason}{status}{detail}", flush=True)
        if record.media:
            near = record.media.near
            print(
                f"audio      {record.codec}, {near.received} packets heard, {near.lost} lost, {near.sent} sent,"
                f" jitter {near.jitter_ms:.1f} ms, longest gap {near.max_gap_ms:.0f} ms",
                flush=True,
            )


def told(received: Input) -> str:
    """What a person wants to know of it; mostly nothing."""
    match received:
        case sip.Ringing(status=status):
            return "ringing" if status == 180 else f"ringing    ({status})"
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


def order_of(args: argparse.Namespace) -> Order:
    """Raises ScriptError for what cannot be played, before anybody's telephone rings."""
    script: list[dict[str, Any]] = []
    seconds = args.seconds
    if args.play:
        script = [{"play": str(args.play.absolute())}]
    elif args.script:
        script = read_script(args.script)
        if seconds is None and (not script or "hangup" not in script[-1]):
            script.append({"hangup": True})
    if seconds is None and not args.script:
        seconds = DEFAULT_SECONDS
    tape.parse_script(script, RATE_HZ)
    far = wire.FarSpec(platform="tape", dialect="tape", rate_hz=RATE_HZ, sends_ahead=True, options={"script": script})
    uri = args.target if args.target.lower().startswith(("sip:", "sips:")) else f"sip:{args.target}"
    return Order(
        to=uri,
        ways=(Way(uri=uri, from_user=args.from_user, because=("the URI itself says where",)),),
        candidates=(Candidate("tape", spec=far),),
        caller=args.from_user,
        talk_ms=round((seconds or 0) * 1000),
        listener=msgspec.structs.replace(far, options={}),
    )


def read_script(path: Path) -> list[dict[str, Any]]:
    """WAV files are looked for beside the script, then from here."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise tape.ScriptError(f"{path}: {error}") from None
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise tape.ScriptError(f"{path}: must be a list of steps")
    for step in steps:
        if isinstance(step.get("play"), str):
            beside = path.parent / step["play"]
            step["play"] = str((beside if beside.exists() else Path(step["play"])).absolute())
    return steps


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
