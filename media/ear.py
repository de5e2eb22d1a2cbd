"""Between a far end and its call: what makes the far end swappable under a running stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media.far import FarEar, FarHappening, Mark, PlatformHungUp, Ready


class Nobody:
    """Hears a far end whose call is over."""

    def on_far_audio(self, data: bytes) -> None:
        return None

    def on_far_happening(self, happening: FarHappening) -> None:
        return None

    def on_far_lost(self, reason: str) -> None:
        return None


class Ear:
    """One far end's way to the call: coming (not ready yet), present, and past (another has taken its place)."""

    def __init__(self, call: FarEar) -> None:
        self._call: FarEar = call
        self.ready = asyncio.Event()
        self.lost = ""
        self._present = False
        self._past = False
        self._early: list[bytes | FarHappening] = []
        "Audio that came before we were there to take it, and what belongs in its order."
        self.on_far_audio: Callable[[bytes], None] = self._on_early_audio
        "The call's own as soon as it is there: no detour for each message."

    def _on_early_audio(self, data: bytes) -> None:
        self._early.append(data)
        self.ready.set()  # who speaks is ready

    def on_far_happening(self, happening: FarHappening) -> None:
        if isinstance(happening, Ready):
            self.ready.set()
        elif self._present:
            self._call.on_far_happening(happening)
        elif self._past:
            pass
        elif self._early or isinstance(happening, Mark):
            # A burst may hold an agent's only words and the hang-up behind them; a mark is this far end's own.
            self._early.append(happening)
        elif isinstance(happening, PlatformHungUp):
            self.on_far_lost(f"hung up before it was ready: {happening.reason}")
        else:
            self._call.on_far_happening(happening)

    def on_far_lost(self, reason: str) -> None:
        if self._present:
            self._call.on_far_lost(reason)
        else:
            self.lost = reason
            self.ready.set()

    def go(self) -> None:
        """This far end is now the call's; what it said too early is said now."""
        self._present, self.on_far_audio = True, self._call.on_far_audio
        for early in self._early:
            if isinstance(early, bytes):
                self._call.on_far_audio(early)
            else:
                self._call.on_far_happening(early)
        self._early.clear()

    def leave(self) -> None:
        """Another far end has taken over, or the call is over: whatever this one still says is not heard."""
        self._present, self._past = False, True
        self._call = Nobody()
        self.on_far_audio = self._call.on_far_audio
