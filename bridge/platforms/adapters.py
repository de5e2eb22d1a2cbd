"""The adapters of all platforms by name, which a reload may replace while calls are being created at the old ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from bridge.platforms.base import Platform

RETIRE_S = 60.0
"An adapter that was replaced may still be creating a call: so long it stays open."


class Adapters(dict[str, Platform]):
    def __init__(self, platforms: Mapping[str, Platform]) -> None:
        super().__init__(platforms)
        self._retired: dict[Platform, asyncio.Task[None]] = {}

    def replace(self, fresh: Mapping[str, Platform], wanted: Iterable[str], after_s: float = RETIRE_S) -> None:
        """`fresh` from now on; what is not `wanted` any more can still be found by calls that were told of it."""
        gone = {name: self[name] for name in self if name in fresh or name not in set(wanted)}
        self.update(fresh)
        for name, platform in gone.items():
            self._retired[platform] = asyncio.create_task(self._retire(name, platform, after_s))

    async def close(self) -> None:
        """All of them. May be called twice."""
        for task in self._retired.values():
            task.cancel()
        platforms = {*self.values(), *self._retired}
        self._retired.clear()
        await asyncio.gather(*(platform.close() for platform in platforms))

    async def _retire(self, name: str, platform: Platform, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if self.get(name) is platform:
            del self[name]
        del self._retired[platform]
        await platform.close()
