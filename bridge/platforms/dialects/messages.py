"""What the dialects share: how a socket closes and which keys a telephone has; and, where audio travels as bare binary
frames, JSON objects that say in `type` what they are.

Each such dialect is a table from `type` to a Message class, whose fields are what we read of it and whose `meaning()`
is what it says to a worker. Vendors add types and fields without notice: both are passed over. What a known type gets
wrong becomes Trouble, which names the field and never holds its value.
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from media.far import Audio, FarHappening, Frame, PlatformHungUp, Ready, Trouble
from media.wire import FarSpec

log = logging.getLogger(__name__)

DIGITS = frozenset("0123456789*#ABCD")

NONSENSE = (msgspec.DecodeError, UnicodeError, RecursionError)

_ORDERLY = {
    0: "closed without a code",
    1000: "closed",
    1001: "going away",
    1005: "closed without a code",
}
"""Close codes (RFC 6455, 7.4.1) that end a conversation. Any other, and no close frame at all (1006), is a loss. A
frame without a code is 1005 to the RFC and 0 to some libraries; it is what a plain `close()` sends in others."""


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """One type of text message, as far as we read it."""

    def meaning(self) -> list[FarHappening]:
        return []

    def proves_ready(self) -> bool:
        """Does it show that the platform's side of the call is up?"""
        return True


class Envelope(msgspec.Struct):
    """The outermost object: `{"type": ...}`, or the same wrapped as `{"message": {"type": ...}}`."""

    type: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")


Decoders = Mapping[str, msgspec.json.Decoder[Message]]

_envelope = msgspec.json.Decoder(Envelope)


def decoders(table: Mapping[str, type[Message]]) -> Decoders:
    return {name: msgspec.json.Decoder(shape) for name, shape in table.items()}


class SocketDialect(abc.ABC):
    """What holds on every platform."""

    digits: ClassVar[frozenset[str]] = DIGITS

    def __init__(self, spec: FarSpec) -> None:
        self._platform = spec.platform

    def on_digit(self, digit: str) -> list[Frame]:
        return [self.digit_frame(digit)] if digit in self.digits else []

    @abc.abstractmethod
    def digit_frame(self, digit: str) -> Frame:
        """A key of the caller's telephone, in the platform's words."""

    def on_close(self, code: int, reason: str) -> PlatformHungUp | None:
        return PlatformHungUp(_ORDERLY[code]) if code in _ORDERLY else None

    @abc.abstractmethod
    def goodbye(self) -> list[Frame]:
        """What is said before closing."""


class JsonDialect(SocketDialect):
    """A dialect over such a table. The platform is ready with the first message that proves it."""

    raw_audio: bool = True
    ready_when_open: bool = False
    messages: ClassVar[Decoders]
    wraps: ClassVar[bool] = False
    "Does this platform wrap its objects in `message` at times?"

    def __init__(self, spec: FarSpec) -> None:
        super().__init__(spec)
        self._is_ready = False

    def on_open(self) -> list[Frame]:
        return []

    def on_text(self, text: str) -> list[FarHappening]:
        kind = ""
        try:
            kind, payload = self._opened(text)
            decoder = self.messages.get(kind)
            message = decoder.decode(payload) if decoder else Message()
        except NONSENSE as error:
            return [Trouble(f"{kind or 'text frame'}: {str(error)[:120]}")]
        if not kind:
            return [Trouble("text frame: Object missing required field `type`")]
        if not decoder:
            log.debug("%s: < a message of type %.40r, passed over", self._platform, kind)
        return self._readiness(message) + message.meaning()

    def on_binary(self, data: bytes) -> list[FarHappening]:
        return [Audio(data)]

    def audio(self, data: bytes, at_ms: int) -> list[Frame]:
        return [data]

    def on_mark(self, name: str) -> list[Frame]:
        return []  # none of these platforms puts marks

    def _opened(self, text: str) -> tuple[str, str | bytes | msgspec.Raw]:
        """The object's type, and the object itself."""
        outer = _envelope.decode(text)
        if outer.type is None and self.wraps and outer.message:
            return _envelope.decode(outer.message).type or "", outer.message
        return outer.type or "", text

    def _readiness(self, message: Message) -> list[FarHappening]:
        if self._is_ready or not message.proves_ready():
            return []
        self._is_ready = True
        return [Ready()]


def encode(**fields: object) -> Frame:
    return msgspec.json.encode(fields).decode()
