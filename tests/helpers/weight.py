"""What the bridge's processes weigh while something lasts: memory, descriptors and threads, sampled.

async with weighing(house) as scales:
    ...
assert scales.growth_kib(0.2)["media.worker"] < 2000
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

from tests.helpers import proc
from tests.helpers.rig import Rig

SAMPLE_S = 0.5
SHARE = 0.1
"Of all samples, at either end: their median is compared, so that no single moment counts."


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    "Since the beginning."
    resident_kib: int
    descriptors: int
    threads: int


@dataclass
class Scales:
    """By process: `bridge` (control), `sip.process`, `media.worker`, `media.worker 2` ..."""

    pids: dict[str, int]
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def look(self, at_s: float) -> None:
        for name, pid in self.pids.items():
            sample = Sample(at_s, proc.resident_kib(pid), proc.descriptors(pid), proc.threads(pid))
            self.samples.setdefault(name, []).append(sample)

    def growth_kib(self, after: float) -> dict[str, int]:
        """How much heavier each process is at the end than when this share of the time was over."""
        return {name: self._last(name) - self._weight(name, after) for name in self.pids}

    def _weight(self, name: str, after: float) -> int:
        samples = self.samples[name]
        first = int(len(samples) * after)
        return int(median(one.resident_kib for one in samples[first : first + self._few(samples)]))

    def _last(self, name: str) -> int:
        samples = self.samples[name]
        return int(median(one.resident_kib for one in samples[-self._few(samples) :]))

    @staticmethod
    def _few(samples: list[Sample]) -> int:
        return max(1, int(len(samples) * SHARE))

    def __str__(self) -> str:
        """One line per process: its memory at ten moments, and its most descriptors and threads."""
        lines = []
        for name, samples in self.samples.items():
            moments = samples[:: max(1, len(samples) // 9)]
            weights = " ".join(f"{one.resident_kib / 1024:.1f}" for one in moments)
            most = (
                f"{max(one.descriptors for one in samples)} descriptors, {max(one.threads for one in samples)} threads"
            )
            lines.append(f"{name}: MiB {weights}; at most {most}")
        return "\n".join(lines)


@asynccontextmanager
async def weighing(house: Rig) -> AsyncIterator[Scales]:
    pids = {"bridge": house.process.pid, "sip.process": house.children("sip.process")[0]}
    for number, pid in enumerate(house.children("media.worker"), 1):
        pids["media.worker" if number == 1 else f"media.worker {number}"] = pid
    scales, began = Scales(pids), time.monotonic()

    async def sample() -> None:
        while True:
            scales.look(time.monotonic() - began)
            await asyncio.sleep(SAMPLE_S)

    task = asyncio.create_task(sample())
    try:
        yield scales
    finally:
        task.cancel()
        await asyncio.wait({task})
        scales.look(time.monotonic() - began)
