"""`puente simulate twilio|ultravox|vapi`: a voice platform on this machine, until it is told to stop.

`twilio` is an agent that speaks Twilio Media Streams: it has a media socket only, and its URL is what says ready.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from bridge.simulators import failures, part
from bridge.simulators.audio import SPEECH_DIR
from bridge.simulators.simulator import SERVICES, Simulator

HELP = "run a simulator of a hosted voice platform, or of an agent that speaks Twilio Media Streams"

FAILURE_HELP = (
    "make something fail: 429:5 503:30 401 402 500 (REST status, Retry-After), nonsense, never, blocked, "
    "refuse:403, close, text, silent:2000, drop:2000, stall:2000:500 (socket; milliseconds)"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", choices=sorted(SERVICES))
    parser.add_argument("--host", default="127.0.0.1", help="address of both ports")
    parser.add_argument("--port", type=int, default=0, help="REST, of an agent its socket; 0 takes any free one")
    parser.add_argument("--media-port", type=int, default=0, help="media sockets; 0 takes any free one")
    parser.add_argument("--behaviour", choices=("echo", "prompt", "converse"), default="converse")
    parser.add_argument("--prompt-file", type=Path, help="mono 16-bit WAV for `prompt`; otherwise a tone")
    parser.add_argument("--speech-dir", type=Path, help="greeting.wav, answer_*.wav, goodbye.wav for `converse`")
    parser.add_argument("--after", choices=("listen", "repeat", "hang-up"), help="when all has been said")
    parser.add_argument("--thinking-ms", type=int, default=300, help="from the caller's last word to the reply")
    parser.add_argument("--api-key-file", type=Path, help="accept only the key in this file; otherwise any")
    parser.add_argument("--fail", nargs="+", action="extend", default=[], metavar="WHAT", help=FAILURE_HELP)
    parser.add_argument("--fail-first", type=int, default=0, metavar="N", help="only the first N calls suffer")
    parser.add_argument("--quiet", action="store_true", help="no log, only the line that says ready")


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.WARNING if args.quiet else logging.INFO, format="%(asctime)s %(message)s")
    for noisy in ("uvicorn", "picows", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        simulator = Simulator(
            args.service,
            part=_part(args),
            failures=failures.parse(args.fail, first=args.fail_first),
            api_key=args.api_key_file.read_text(encoding="utf-8").strip() if args.api_key_file else "",
            host=args.host,
            port=args.port,
            media_port=args.media_port,
        )
        uvloop.run(_serve(simulator))
    except (OSError, ValueError) as error:
        print(f"puente simulate: {error}", file=sys.stderr)
        return 1
    return 0


def _part(args: argparse.Namespace) -> part.Part:
    match args.behaviour:
        case "echo":
            return part.ECHO
        case "prompt":
            return part.prompt(args.prompt_file, after=args.after or "listen")
        case _:
            spoken = part.converse(args.speech_dir or SPEECH_DIR, after=args.after or "hang-up")
            return replace(spoken, thinking_ms=args.thinking_ms)


async def _serve(simulator: Simulator) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with simulator:
        print(f"ready {simulator.url}", flush=True)
        await stop.wait()
