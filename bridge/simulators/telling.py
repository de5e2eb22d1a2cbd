"""What the sessions of all vendors share: a conversation's happenings, put into the vendor's words by a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from bridge.simulators.calls import Out
from bridge.simulators.conversation import Happening


class Telling:
    tellers: ClassVar[Mapping[type, Callable[[Any, Any], list[Out]]]]
    "Happening -> method that words it. What is not in it is not told."

    def _tell(self, happenings: list[Happening]) -> list[Out]:
        out: list[Out] = []
        for happening in happenings:
            if isinstance(happening, bytes):
                out += self._tell_audio(happening)
            elif teller := self.tellers.get(type(happening)):
                out += teller(self, happening)
        return out

    def _tell_audio(self, data: bytes) -> list[Out]:
        return [data]
