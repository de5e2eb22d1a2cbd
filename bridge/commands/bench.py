"""`puente bench ...`: how long audio takes through the bridge, what it costs, and what it stands."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bridge.bench import (
    bargein,
    bargein_page,
    beside,
    capacity,
    capacity_page,
    chart,
    codecs,
    codecs_page,
    latency,
    pages,
    path,
    path_page,
    region,
    region_page,
    stall,
    stall_page,
    table,
    trunks,
    trunks_page,
)
from bridge.bench.failover.cases import CASES
from bridge.bench.marks import CALLS
from bridge.bench.pages import Say
from bridge.bench.probing import MOST_SECONDS

HELP = "measure delay, cost, capacity and behaviour under trouble on this machine"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One row of the table: what may be asked, how it is measured, how it is shown."""

    help: str
    whole: Any
    "The frozen dataclass of options, at its defaults; every argument is named like a field of it."
    quick: Any
    arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[Any, Say], Awaitable[Any]]
    markdown: Callable[[Any], str]
    draw: Callable[[Any, Path], None]


# --- what each of them may be asked -----------------------------------------------------------------------------------


def _latency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calls", type=_numbers, metavar="N,N,...", help="calls at once, one step each (default: 1,10,20,40)"
    )
    parser.add_argument("--seconds", type=_seconds(), help="measured time of each step (default: 20)")
    parser.add_argument(
        "--beside",
        choices=("baresip", "nothing"),
        help="another SIP echo in the same run (default: baresip where it is installed; not with --quick)",
    )
    _platform(parser)
    _workers(parser)


def _capacity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--first", type=_number, metavar="N", help="calls of the first step, then doubled (default: 10)"
    )
    parser.add_argument("--most", type=_number, metavar="N", help=f"calls of the last step at most (default: {CALLS})")
    parser.add_argument("--seconds", type=_seconds(), help="measured time of each step (default: 10)")
    _platform(parser)
    _workers(parser)


def _region(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--routes", type=Path, metavar="FILE", help="the routes (default: benchmarks/region.toml)")
    parser.add_argument("--seconds", type=_seconds(MOST_SECONDS), help="measured time of each route (default: 60)")
    _platform(parser)


def _bargein(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=_numbers, metavar="N,N,...", help="calls at once, one row each (default: 1,20)")
    parser.add_argument("--seconds", type=_seconds(), help="measured time of each row (default: 60)")
    _workers(parser)


def _stall(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=_number, metavar="N", help="how often each stall (default: 3)")
    _platform(parser)


def _codecs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=_number_to(1_000_000), metavar="N", help="frames per run (default: 1000)")


def _path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=_number, metavar="N", help="calls at once (default: 20)")
    parser.add_argument("--seconds", type=_seconds(), help="of each variant in each round (default: 4)")
    parser.add_argument("--rounds", type=_number, metavar="N", help="how often each variant's turn comes (default: 5)")


def _trunks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--case", type=_cases, metavar="NAME,...", help=f"of {', '.join(CASES)} (default: all)")


def _platform(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", choices=("ultravox", "vapi"), help="its wire protocol (default: ultravox)")


def _workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, help="media workers (default: one per core)")


BENCHMARKS: dict[str, Benchmark] = {
    "latency": Benchmark(
        help="round trip and cost at several numbers of calls",
        whole=replace(latency.Options(), beside=True),
        quick=latency.QUICK,
        arguments=_latency,
        measure=latency.measure,
        markdown=table.markdown,
        draw=chart.draw,
    ),
    "capacity": Benchmark(
        help="calls are added until the audio is no longer good",
        whole=capacity.Options(),
        quick=capacity.QUICK,
        arguments=_capacity,
        measure=capacity.measure,
        markdown=capacity_page.markdown,
        draw=capacity_page.draw,
    ),
    "region": Benchmark(
        help="mouth to platform to ear on a regional and an international route",
        whole=region.Options(),
        quick=region.QUICK,
        arguments=_region,
        measure=region.measure,
        markdown=region_page.markdown,
        draw=region_page.draw,
    ),
    "bargein": Benchmark(
        help="from the platform's interruption to silence at the caller",
        whole=bargein.Options(),
        quick=bargein.QUICK,
        arguments=_bargein,
        measure=bargein.measure,
        markdown=bargein_page.markdown,
        draw=bargein_page.draw,
    ),
    "stall": Benchmark(
        help="delay before, during and after a stall of platform or caller",
        whole=stall.Options(),
        quick=stall.QUICK,
        arguments=_stall,
        measure=stall.measure,
        markdown=stall_page.markdown,
        draw=stall_page.draw,
    ),
    "codecs": Benchmark(
        help="microseconds per 20 ms frame and signal to noise",
        whole=codecs.Options(),
        quick=codecs.QUICK,
        arguments=_codecs,
        measure=codecs.measure,
        markdown=codecs_page.markdown,
        draw=codecs_page.draw,
    ),
    "trunks": Benchmark(
        help="partners fail while calls stand, come in and go out",
        whole=trunks.Options(),
        quick=trunks.QUICK,
        arguments=_trunks,
        measure=trunks.measure,
        markdown=trunks_page.markdown,
        draw=trunks_page.draw,
    ),
    "path": Benchmark(
        help="what a call costs on the finished path, with one part exchanged at a time",
        whole=path.Options(),
        quick=path.QUICK,
        arguments=_path,
        measure=path.measure,
        markdown=path_page.markdown,
        draw=path_page.draw,
    ),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, one in BENCHMARKS.items():
        words = which.add_parser(name, help=one.help, description=one.help)
        one.arguments(words)
        words.add_argument("--quick", action="store_true", help="a short version: under a minute")
        words.add_argument("--out", type=Path, help="folder for JSON, Markdown, PNG and logs (default: out/bench)")


def options_of(args: argparse.Namespace) -> Any:
    """The benchmark's options: its preset, and what was given on the command line."""
    one = BENCHMARKS[args.benchmark]
    preset = one.quick if args.quick else one.whole
    given = {field.name: getattr(args, field.name, None) for field in fields(preset)}
    if "beside" in given:
        wanted = given["beside"]
        given["beside"] = preset.beside and beside.installed() if wanted is None else wanted == "baresip"
    return replace(preset, **{name: value for name, value in given.items() if value is not None})


def run(args: argparse.Namespace) -> int:
    one, options = BENCHMARKS[args.benchmark], options_of(args)
    try:
        report = asyncio.run(_measure(one, options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; nothing is written")
        return 130
    except ValueError as error:  # a file of the user's that cannot be read
        print(f"error: {error}")
        return 2
    print("\n" + one.markdown(report))
    for file in _write(args.benchmark, one, report, options.out):
        print(file)
    return 1 if report.failed else 0


def _write(name: str, one: Benchmark, report: Any, out: Path) -> Iterator[Path]:
    return pages.write(name, report, one.markdown(report), lambda path: one.draw(report, path), out)


async def _measure(one: Benchmark, options: Any) -> Any:
    """SIGTERM cancels, as asyncio does for SIGINT: the processes of the step are then ended and waited for."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    return await one.measure(options, lambda line: print(line, flush=True))


# --- words and numbers ------------------------------------------------------------------------------------------------


def _cases(text: str) -> tuple[str, ...]:
    """`killed,slow`"""
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in CASES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(CASES)}")
    return names


def _number_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
        return int(text)

    return number


_number = _number_to(CALLS)


def _numbers(text: str) -> tuple[int, ...]:
    """`1,10,20`"""
    return tuple(map(_number, text.split(",")))


def _seconds(most: float = 3600) -> Callable[[str], float]:
    def seconds(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"seconds: 1 to {most:g}")
        return value

    return seconds
