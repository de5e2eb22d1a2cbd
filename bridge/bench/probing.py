"""A probe call against a bridge: run it, and pair what was spoken with what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path

import msgspec

from bridge.bench.line import Stretch
from bridge.bench.marks import INDEXES
from bridge.bench.probe import NO_LINE, NUMBERS
from bridge.bench.results import Came, FromProbe, Heard, Measured, Measuring, Probed
from bridge.bench.rig import HOST, LOAD_EXTRA_S, House, Trouble, child, last_words

MOST_SECONDS = NUMBERS * 0.02 - 30
"A call whose frames can all be told apart, settling and tail included."


async def probe(
    up: House,
    seconds: float,
    folder: Path,
    *,
    stretch: Stretch = NO_LINE,
    stalls: Iterable[tuple[float, int]] = (),
    meanwhile: Callable[[], Coroutine[None, None, None]] | None = None,
) -> Probed:
    """One call of the probe; `meanwhile` is run while it measures. Raises Trouble when the call did not stand."""
    log = folder / "probe.log"
    arguments = ["--target", f"{HOST}:{up.sip_port}", "--seconds", str(seconds)]
    arguments += ["--line", msgspec.json.encode(stretch).decode()]
    for at_s, ms in stalls:
        arguments += ["--stall", f"{at_s}:{ms}"]
    side: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(seconds + LOAD_EXTRA_S), child("bridge.bench.probe", *arguments, log=log) as process:
            up.meter.add(process.pid, "caller")
            assert process.stdout is not None
            async for line in process.stdout:
                match msgspec.json.decode(line, type=FromProbe):
                    case Measuring():
                        up.meter.begin()
                        side = asyncio.create_task(meanwhile()) if meanwhile is not None else None
                    case Measured():
                        up.meter.end()
                    case Probed() as probed:
                        return checked(probed)
    except TimeoutError:
        raise Trouble("the probe did not come to an end") from None
    finally:
        if side is not None:
            side.cancel()
            await asyncio.wait([side])
    raise Trouble(f"the probe died ({last_words(log)})")


def checked(probed: Probed) -> Probed:
    if not 200 <= probed.status < 300:
        raise Trouble(f"the probe's call was answered with {probed.status}")
    if probed.ended_early:
        raise Trouble("the probe's call was hung up on")
    return probed


def first_came(probed: Probed) -> dict[int, Came]:
    """For each frame the first packet that had it. What cannot be true (a blend that looks like another) is not."""
    found: dict[int, Came] = {}
    for came in probed.came:
        if not 0 <= came.number < len(probed.spoken):
            continue
        left_s = probed.spoken[came.number].left_s
        if left_s is not None and left_s <= came.at_s:
            found.setdefault(came.number, came)
    return found


def first_heard(heard: Iterable[Heard]) -> dict[int, Heard]:
    """For each frame when the platform first heard it."""
    found: dict[int, Heard] = {}
    for one in heard:
        found.setdefault(one.call * INDEXES + one.index, one)
    return found
