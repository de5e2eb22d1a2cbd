"""`puente call`: place a test call, with the bridge's own line and worker.

    puente call sip:100@127.0.0.1:5060 --play question.wav --seconds 10 --record out/call.wav --json out/call.json
    puente call +525512345678 --config configs/three-regions.toml --trunk latam-1

The far end of the call is a tape inside the media worker: it plays a script towards the line and tells what it hears.
What became of the call is told by the exit status as well: 0 answered, 2 busy, 3 no answer, 4 declined, 5 failed; 1 is
for what could not be called at all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import uvloop

from bridge import logs
from bridge.calls.desk import Desk
from bridge.calls.hunt import Candidate
from bridge.calls.lines import SipLine
from bridge.calls.outbound import Order
from bridge.calls.session import CallSettings
from bridge.calls.workers import WorkerPool
from bridge.config import Config, examine
from bridge.errors import BridgeError
from bridge.options import adapter_problems, endpoint_options, known_secrets
from bridge.records import CallRecord, Outcome
from bridge.store import Forgetful
from bridge.telephone.script import far_end, listener, read_script
from bridge.telephone.teller import Teller
from bridge.telephone.ways import Route, over_trunks, to_uri
from bridge.trunks.lookup import Names
from media import tape, wire
from sip import messages as sip
from sip.sdp import CODECS

HELP = "place a test call into any SIP target or over a configured trunk, play to it, and tell what is heard"

STATUS: dict[Outcome, int] = {"answered": 0, "busy": 2, "no-answer": 3, "declined": 4}
"What the command returns, FAILED for all the rest."
CANNOT_CALL, FAILED = 1, 5
DEFAULT_CODECS = ("PCMU", "PCMA")
DEFAULT_SECONDS = 10.0
RING_S = 20.0
PORTS = 40
"RTP ports of one test call's worker: enough to step over those that are taken."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="TARGET", help="SIP URI, e.g. sip:100@127.0.0.1:5060;transport=tcp; or a number"
    )
    parser.add_argument("--config", metavar="FILE", help="call over the trunks of this file, best first")
    parser.add_argument("--trunk", default="", metavar="NAME", help="over this one only (with --config)")
    parser.add_argument("--from", dest="from_user", default="", metavar="USER", help="who is calling")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--play", type=Path, metavar="WAV", help="play this once answered (16-bit PCM)")
    what.add_argument("--script", type=Path, metavar="JSON", help="steps: play, wait_ms, wait_for, digits, hangup")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help="hang up N s after the answer (default: at the end of the script, or 10)",
    )
    parser.add_argument(
        "--ring", type=_seconds, metavar="N", help=f"let it ring N s (default: the file's, or {RING_S:g})"
    )
    parser.add_argument("--record", type=Path, metavar="WAV", help="stereo recording: left the callee, right the tape")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the call record here")
    parser.add_argument(
        "--codec",
        action="append",
        choices=tuple(CODECS),
        help="offer this one; may be said again, best first (default: the trunk's, or PCMU and PCMA)",
    )
    parser.add_argument("--host", metavar="ADDRESS", help="our own address (default: the file's, or 127.0.0.1)")
    parser.add_argument("--verbose", "-v", action="store_true", help="log every message")

    def misused(message: str) -> NoReturn:
        parser.print_usage(sys.stderr)
        parser.exit(CANNOT_CALL, f"{parser.prog}: error: {message}\n")  # argparse's own 2 would say: busy

    parser.error = misused  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Telephone:
    """The machinery of one test call, as the options have it."""

    options: sip.EndpointOptions
    config: Config | None = None


def run(args: argparse.Namespace) -> int:
    try:
        telephone = telephone_of(args)
        script, talk_ms = script_of(args)
        codecs = tuple(args.codec or ())
        candidate = far_end(script, codecs)
        for path in (args.record, args.json):
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
        record = uvloop.run(place(args, telephone, candidate, talk_ms))
    except (tape.ScriptError, BridgeError, OSError) as error:
        print(f"cannot call: {error}", file=sys.stderr)
        return CANNOT_CALL
    if args.json:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    return STATUS.get(record.outcome, FAILED)


def telephone_of(args: argparse.Namespace) -> Telephone:
    """Raises ConfigError for the first thing that is wrong with the file."""
    config, secrets = None, []
    if args.config:
        config, problems = examine(args.config, os.environ, adapter_problems)
        if problems or config is None:
            raise problems[0]
        secrets = known_secrets(config, os.environ)
    elif args.trunk:
        raise NoConfig("--trunk names a trunk of --config")
    level = "info" if args.verbose else "warning"
    logs.configure(level, "text" if sys.stderr.isatty() else "json", secrets=secrets)
    # The bridge itself may be running on the ports of the file. TCP listens only when asked for: a phone that calls by
    # UDP needs no listener.
    tcp_port = 0 if config or "transport=tcp" in args.target.lower() else -1
    if config is None:
        host = args.host or "127.0.0.1"
        return Telephone(sip.EndpointOptions(host=host, udp_port=0, tcp_port=tcp_port, max_calls=4))
    options = endpoint_options(config.sip)
    ports = {"udp_port": 0, "tcp_port": 0, "tls_port": 0 if options.tls_port >= 0 else -1}
    host = args.host or options.host
    return Telephone(msgspec.structs.replace(options, host=host, max_calls=4, **ports), config)


async def place(args: argparse.Namespace, telephone: Telephone, far: Candidate, talk_ms: int) -> CallRecord:
    """One call from beginning to end, told on stdout. Ctrl-C hangs up."""
    config = telephone.config
    host = config.media.host if config and not args.host else telephone.options.host
    route = await route_of(args, config)
    line = SipLine(telephone.options, route.accounts)
    first_port = 40000 + os.getpid() % 500 * PORTS
    options = wire.WorkerOptions(host=host, first_port=first_port, last_port=first_port + PORTS - 1)
    pool = WorkerPool(1, options, dialects="")
    teller = Teller()
    desk = Desk(line, pool, {}, Forgetful(), watch=teller.on_input)
    order = Order(
        to=route.wanted.number,
        ways=route.ways,
        candidates=(far,),
        caller=route.wanted.caller,
        country=route.wanted.country,
        talk_ms=talk_ms,
        listener=listener(far),
    )
    try:
        await asyncio.gather(pool.start(desk.on_worker), line.start(desk.on_sip))
        teller.on_dial(order)
        call, ended = desk.dial(order, settings_of(args, config))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, desk.hang_up, call)
        record = await ended
        teller.on_record(record)
        return record
    finally:
        await desk.close()
        await line.stop()
        await pool.stop()


async def route_of(args: argparse.Namespace, config: Config | None) -> Route:
    if config is None:
        route = to_uri(args.target, args.from_user or "puente")
    else:
        names = Names(config.sip.name_servers)
        route = await over_trunks(args.target, args.from_user, args.trunk, config, names, os.environ)
    return route.with_options(codecs=tuple(args.codec or ()), ring_timeout_ms=round((args.ring or 0) * 1000))


def settings_of(args: argparse.Namespace, config: Config | None) -> CallSettings:
    recording = str(args.record.absolute()) if args.record else ""
    if config is None:
        return CallSettings(
            codecs=DEFAULT_CODECS, recording=recording, ring_timeout_ms=round((args.ring or RING_S) * 1000)
        )
    outbound, media = config.outbound, config.media
    return CallSettings(
        codecs=media.codecs,
        public_host=media.public_host,
        recording=recording,
        ring_timeout_ms=round(args.ring * 1000) if args.ring else outbound.ring_timeout_ms,
        setup_timeout_ms=outbound.setup_timeout_ms,
        attempts=outbound.attempts,
    )


def script_of(args: argparse.Namespace) -> tuple[list[dict[str, Any]], int]:
    """The steps, and how long the call may stand in ms (0: until they are over). Raises ScriptError."""
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
    return script, round((seconds or 0) * 1000)


class NoConfig(BridgeError):
    """An option that means nothing without a file."""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
