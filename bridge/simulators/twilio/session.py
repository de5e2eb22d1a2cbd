"""One call at an agent that speaks Twilio Media Streams: audio and everything else are JSON texts.

Pure: what happens in the conversation goes in, frames come out. The agent sends its voice as fast as it has it, marks
every chunk, and believes the marks: it goes on, and hangs up, when the caller has heard what it said. What the
telephone's side does against the protocol is noted as a warning, and otherwise let pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from bridge.simulators.calls import Close, Message, Out, SimulatedCall, wall_clock
from bridge.simulators.conversation import Conversation, HungUp, Interrupted, Said
from bridge.simulators.hearing import InputClock
from bridge.simulators.mouth import Chunk, MarkedMouth
from bridge.simulators.part import Manners, Part
from bridge.simulators.telling import Telling
from bridge.simulators.twilio import messages as m

LEAD_MS = 60_000
"More than anything that is said here at once."


class TwilioSession(Telling):
    echoes = False
    audio_is_text = True

    def __init__(self, call: SimulatedCall, part: Part) -> None:
        self._call, self._part = call, part
        self._mouth = MarkedMouth(call.form, LEAD_MS)
        self._conversation = Conversation(part, Manners(), call.form, self._mouth, call.form)
        self._clock = InputClock()
        self._stream_sid = ""
        "Empty until `start` has come."
        self._is_connected = False
        self._sequence = self._chunk = 0
        self._heard_until_ms = 0
        self._marks: deque[str] = deque()
        "Sent, and not come back yet."

    # --- the face of a Session ---

    def on_open(self, now: float) -> list[Out]:
        self._call.joined = wall_clock()
        return []

    def on_binary(self, data: bytes, now: float) -> list[Out]:
        self._call.warn("a binary frame")
        return []

    def on_text(self, text: str, now: float) -> list[Out]:
        try:
            message = m.read(text)
        except msgspec.DecodeError as error:
            self._call.warn(f"not as Twilio says it: {error}")
            return []
        if isinstance(message, m.Media):  # fifty times a second
            return self._on_media(message, now)
        self._call.note_text(text)
        if isinstance(message, m.Numbered):
            self._check_number(message)
        return self._HANDLERS[type(message)](self, message, now)

    def on_timer(self, now: float) -> list[Out]:
        return self._tell(self._conversation.tick(now))

    def next_deadline(self) -> float | None:
        return None if self._call.ended else self._conversation.next_deadline()

    def on_close(self, code: int) -> None:
        self._call.end("closed without stop" if code in (1000, 1001, 1005) else "connection lost")

    # --- what the telephone's side says ---

    def _on_connected(self, message: m.Connected, now: float) -> list[Out]:
        if self._is_connected or self._stream_sid:
            self._call.warn("connected is not the first message")
        self._is_connected = True
        return []

    def _on_start(self, message: m.Start, now: float) -> list[Out]:
        if self._stream_sid or not self._is_connected:
            self._call.warn("start is not the second message")
        if message.start.stream_sid != message.stream_sid:
            self._call.warn("two names for one stream")
        self._stream_sid = message.stream_sid
        self._call.request = msgspec.to_builtins(message.start)
        return [] if self._part.echoes else self._tell(self._conversation.start(now))

    def _on_media(self, message: m.Media, now: float) -> list[Out]:
        self._check_number(message)
        sound = message.media
        self._call.received_bytes += len(sound.payload)
        self._check_time(sound)
        accepted = self._clock.receive(self._call.form.duration_ms(len(sound.payload)), now)
        if accepted.warning:
            self._call.warn(accepted.warning)
        if self._part.echoes:
            return [self._media(sound.payload)]
        return self._tell(self._conversation.hear(sound.payload, now))

    def _on_dtmf(self, message: m.Dtmf, now: float) -> list[Out]:
        """A key is a turn of the caller's: the agent stops and answers."""
        self._call.messages.append(Message("user", message.dtmf.digit))
        return self._tell(self._conversation.ask(now, interrupt=True))

    def _on_mark(self, message: m.Mark, now: float) -> list[Out]:
        name = message.mark.name
        if self._marks and self._marks[0] == name:
            self._marks.popleft()
        else:
            self._call.warn(f"mark `{name}` out of turn")
        self._mouth.on_mark(name)
        return self._tell(self._conversation.tick(now))

    def _on_stop(self, message: m.Stop, now: float) -> list[Out]:
        self._call.end("stop")
        return []

    _HANDLERS: ClassVar[dict[type, Callable[[TwilioSession, Any, float], list[Out]]]] = {
        m.Connected: _on_connected,
        m.Start: _on_start,
        m.Dtmf: _on_dtmf,
        m.Mark: _on_mark,
        m.Stop: _on_stop,
    }

    def _check_number(self, message: m.Numbered) -> None:
        self._sequence += 1
        if message.sequence_number != str(self._sequence):
            self._call.warn(f"sequence number {message.sequence_number}, due was {self._sequence}")
            self._sequence = int(message.sequence_number) if message.sequence_number.isdecimal() else self._sequence
        if self._stream_sid not in ("", message.stream_sid):
            self._call.warn("a stream that is not this one")

    def _check_time(self, sound: m.Sound) -> None:
        """Chunks are counted; time only runs on, over what was lost on the way too."""
        self._chunk += 1
        if not self._stream_sid:
            self._call.warn("media before start")
        if sound.chunk != str(self._chunk):
            self._call.warn(f"chunk {sound.chunk}, due was {self._chunk}")
        at_ms = int(sound.timestamp) if sound.timestamp.isdecimal() else -1
        if at_ms < self._heard_until_ms:
            self._call.warn(f"timestamp {sound.timestamp} after {self._heard_until_ms}")
        self._heard_until_ms = at_ms + int(self._call.form.duration_ms(len(sound.payload)))

    # --- what the agent says ---

    def _tell_audio(self, data: bytes) -> list[Out]:
        if not isinstance(data, Chunk):
            return [self._media(data)]
        self._marks.append(data.mark)
        return [self._media(bytes(data)), m.mark(self._stream_sid, data.mark)]

    def _media(self, data: bytes) -> str:
        self._call.sent_bytes += len(data)
        return m.media(self._stream_sid, data)

    def _tell_interrupted(self, _: Interrupted) -> list[Out]:
        return [m.clear(self._stream_sid)]

    def _tell_said(self, happening: Said) -> list[Out]:
        self._call.messages.append(Message(happening.who, happening.text))
        return []

    def _tell_hung_up(self, happening: HungUp) -> list[Out]:
        self._call.end("agent hung up")
        return [Close()]

    tellers: ClassVar[dict[type, Callable[[TwilioSession, Any], list[Out]]]] = {
        Interrupted: _tell_interrupted,
        Said: _tell_said,
        HungUp: _tell_hung_up,
    }
    "States, words and tools are the agent's own business."
