"""`puente bench latency`: how long audio takes through the bridge, and what a call costs."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from bridge.bench.latency import QUICK, Options, measure, write
from bridge.bench.marks import CALLS
from bridge.bench.results import Results
from bridge.bench.table import markdown

HELP = "measure round trip, one-way times and CPU per call on this machine"


def arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    latency = which.add_parser("latency", help="round trip and cost at several numbers of calls", description=__doc__)
    latency.add_argument(
        "--calls", type=_numbers, metavar="N,N,...", help="calls at once, one step each (default: 1,10,20,40)"
    )
    latency.add_argument("--seconds", type=_seconds, help="measured time of each step (default: 20)")
    latency.add_argument("--quick", action="store_true", help="1 and 10 calls, 5 s each: under a minute")
    latency.add_argument("--platform", choices=("ultravox", "vapi"), default=Options.platform, help="its wire protocol")
    latency.add_argument("--workers", type=int, default=Options.workers, help="media workers (default: one per core)")
    latency.add_argument(
        "--out", type=Path, default=Options.out, help="folder for JSON, Markdown, PNG and logs (default: out/bench)"
    )


def run(args: argparse.Namespace) -> int:
    preset = QUICK if args.quick else Options()
    options = Options(
        calls=args.calls or preset.calls,
        seconds=args.seconds or preset.seconds,
        platform=args.platform,
        workers=args.workers,
        out=args.out,
    )
    try:
        results = asyncio.run(_measure(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; nothing is written")
        return 130
    print("\n" + markdown(results))
    for path in write(results, options.out):
        print(path)
    return 1 if results.failed else 0


async def _measure(options: Options) -> Results:
    """SIGTERM cancels, as asyncio does for SIGINT: the processes of the step are then ended and waited for."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    return await measure(options, lambda line: print(line, flush=True))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers like 1,10,20") from None
    if not all(1 <= number <= CALLS for number in numbers):
        raise argparse.ArgumentTypeError(f"calls at once: 1 to {CALLS}")
    return numbers


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("seconds: 1 to 3600")
    return seconds
