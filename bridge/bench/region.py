"""`puente bench region`: mouth to platform to ear, on a regional route and on others, through the real bridge.

Imagined: the lines between the parties and the telephone's jitter buffer (benchmarks/region.toml). Real: the bridge,
its sockets, its clock, and every millisecond that audio waits on the way to and from it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.bench import rig, route
from bridge.bench.pages import Say, Watch
from bridge.bench.probing import probe
from bridge.bench.results import Conditions, Heard
from bridge.bench.route import Passage, Route

ROUTES = Path(__file__).parents[2] / "benchmarks" / "region.toml"


@dataclass(frozen=True, kw_only=True)
class Options:
    seconds: float = 60.0
    routes: Path = ROUTES
    platform: rig.PlatformKind = "ultravox"
    out: Path = Path("out/bench")


QUICK = Options(seconds=15.0)
"Under a minute for two routes."


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-region/1"
    conditions: Conditions
    platform: str
    seconds: float
    passages: tuple[Passage, ...]
    trouble: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.trouble) or not all(one.keeps_promise for one in self.passages)


async def measure(options: Options, say: Say) -> Region:
    """Raises ValueError when the routes cannot be read."""
    routes = route.load(options.routes)
    options.out.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    passages: list[Passage] = []
    trouble: list[str] = []
    for one in routes:
        say(f"{one.name}: {one.trunk.one_way_ms:g} ms to the bridge, {options.seconds:g} s ...")
        try:
            passages.append(await _passage(one, options))
        except rig.Trouble as problem:
            trouble.append(f"{one.name}: {problem}")
            say(f"  NOT MEASURED: {problem}")
            continue
        say("  " + summary(passages[-1]))
    return Region(
        conditions=watch.conditions(),
        platform=options.platform,
        seconds=options.seconds,
        passages=tuple(passages),
        trouble=tuple(trouble),
    )


async def _passage(one: Route, options: Options) -> Passage:
    line = msgspec.json.encode(one.platform).decode()
    platform = ("bridge.bench.delayed_platform", "--line", line, "--processing-ms", str(one.processing_ms))
    async with rig.house(options.platform, 1, 1, options.out, platform=platform) as up:
        probed = await probe(up, options.seconds, options.out, stretch=one.trunk)
        heard = await rig.asked(up.platform_port, "/bench/heard", list[Heard])
    return route.passage(one, probed, heard, random.Random())


def summary(one: Passage) -> str:
    """One line for the terminal."""
    total, ours = one.total_ms, one.bridge_ms
    verdict = ""
    if one.route.promise_p99_ms:
        verdict = ", promise kept" if one.keeps_promise else f", PROMISE BROKEN ({one.route.promise_p99_ms:g} ms)"
    return (
        f"mouth to ear p50 {total.p50:.1f} p95 {total.p95:.1f} p99 {total.p99:.1f} max {total.max:.1f} ms, "
        f"of which the bridge p50 {ours.p50:.1f} p99 {ours.p99:.1f}{verdict}"
    )
