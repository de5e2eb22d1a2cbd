"""The plainest dialect there is: raw audio both ways, words as single text messages. For tests of the worker."""

from __future__ import annotations

from media.far import (
    DialectTable,
    FarHappening,
    Flush,
    Frame,
    PlatformHungUp,
    Ready,
    State,
    Trouble,
)
from media.wire import FarSpec

WORDS: dict[str, FarHappening] = {
    "ready": Ready(),
    "clear": Flush(),
    "bye": PlatformHungUp("said bye"),
    "thinking": State("thinking"),
}


class Raw:
    """`ready`, `clear`, `bye` come in; `hello`, `key <digit>`, `goodbye` go out."""

    raw_audio = True

    def __init__(self, spec: FarSpec) -> None:
        self.spec = spec

    def on_open(self) -> list[Frame]:
        return ["hello"]

    def on_text(self, text: str) -> list[FarHappening]:
        return [WORDS.get(text, Trouble(f"unknown word of {len(text)} characters"))]

    def on_binary(self, data: bytes) -> list[FarHappening]:
        raise AssertionError("raw audio does not pass through the dialect")

    def audio(self, data: bytes) -> Frame:
        raise AssertionError("raw audio does not pass through the dialect")

    def on_digit(self, digit: str) -> list[Frame]:
        return [f"key {digit}"]

    def on_close(self, code: int, reason: str) -> PlatformHungUp | None:
        return PlatformHungUp("closed") if code == 1000 else None

    def goodbye(self) -> list[Frame]:
        return ["goodbye"]


DIALECTS: DialectTable = {"raw": Raw}
