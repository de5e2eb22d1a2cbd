"""The plainest dialect there is: raw audio both ways, words as single text messages. For tests of the worker."""

from __future__ import annotations

from media.far import (
    DialectTable,
    FarHappening,
    Flush,
    Frame,
    Mark,
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
    """`ready`, `clear`, `bye`, `mark <name>` come in; `hello`, `key <digit>`, `mark <name>`, `goodbye` go out."""

    raw_audio = True
    ready_when_open = False

    def __init__(self, spec: FarSpec) -> None:
        self.spec = spec

    def on_open(self) -> list[Frame]:
        return ["hello"]

    def on_text(self, text: str) -> list[FarHappening]:
        if text.startswith("mark "):
            return [Mark(text.removeprefix("mark "))]
        return [WORDS.get(text, Trouble(f"unknown word of {len(text)} characters"))]

    def on_binary(self, data: bytes) -> list[FarHappening]:
        raise AssertionError("raw audio does not pass through the dialect")

    def audio(self, data: bytes, at_ms: int) -> list[Frame]:
        raise AssertionError("raw audio does not pass through the dialect")

    def on_digit(self, digit: str) -> list[Frame]:
        return [f"key {digit}"]

    def on_mark(self, name: str) -> list[Frame]:
        return [f"mark {name}"]

    def on_close(self, code: int, reason: str) -> PlatformHungUp | None:
        return PlatformHungUp("closed") if code == 1000 else None

    def goodbye(self) -> list[Frame]:
        return ["goodbye"]


DIALECTS: DialectTable = {"raw": Raw}
