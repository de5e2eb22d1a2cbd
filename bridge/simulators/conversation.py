"""The agent of one call: greets, listens, thinks, answers, is interrupted, hangs up.

Pure: audio, timer ticks and requests of the caller's side go in with `now`; what happens comes out as a list, frames of
audio (plain bytes) between the facts, in the order in which they belong on the wire. How a vendor words the facts is
not known here.

             start ──────────► SPEAKING ◄──────────────┐
               │ no greeting     │  │ said             │ reply is ready (and the tool has answered)
               ▼     interrupted ▼  ▼                  │
             LISTENING ◄──────── ● ─┘   turn over   THINKING
               │  ▲──────────────────────────────────► │
               └── caller talks on ◄───────────────────┘          ENDED from anywhere, for ever
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from bridge.simulators.audio import Format, Utterance
from bridge.simulators.hearing import Ear
from bridge.simulators.mouth import Line, Mouth
from bridge.simulators.part import Manners, Part

Who = Literal["user", "agent"]
Reason = Literal["agent", "timeout"]

TOOL_TIMEOUT_MS = 2500
"Ultravox's default; the conversation is frozen meanwhile."
ROUNDING_MS = 0.001
"Seconds in floating point, turned to milliseconds, may miss the end of a line by a rounding error."


class State(StrEnum):
    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: State


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    who: Who


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    who: Who


@dataclass(frozen=True, slots=True)
class Words:
    """The agent goes on speaking."""

    ordinal: int
    text: str
    "To be appended to what came before under this ordinal."
    first: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A turn of either side is complete."""

    who: Who
    ordinal: int
    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller talked into the agent's turn: what was not heard yet shall not be heard."""


@dataclass(frozen=True, slots=True)
class ToolWanted:
    turn: int


@dataclass(frozen=True, slots=True)
class HungUp:
    """The agent ends the call."""

    reason: Reason


Happening = bytes | StateChanged | SpeechStarted | SpeechStopped | Words | Said | Interrupted | ToolWanted | HungUp


@dataclass(frozen=True, slots=True)
class Saying:
    """An utterance in the queue, and how it is to be spoken."""

    utterance: Utterance
    interruptible: bool = True
    last: bool = False
    reason: Reason = "agent"
    "Why the call ends after the `last` one."


class Conversation:
    def __init__(self, part: Part, manners: Manners, form: Format, mouth: Mouth, form_out: Format) -> None:
        self._part, self._manners, self._format_out, self._mouth = part, manners, form_out, mouth
        self._ear = Ear(form)
        self._queue: deque[Saying] = deque()
        self._saying: Saying | None = None
        self._first_words = True
        self._replies = 0
        self._ordinals = 0
        self._ordinal = 0
        self._reply_at: float | None = None
        self._tool_pending = False
        self._caller_talks = False
        self._out: list[Happening] = []
        self.state = State.IDLE
        self.turns = 0

    def start(self, now: float) -> list[Happening]:
        if self._part.greeting:
            self._queue.append(self._written(self._part.greeting, last=not self._part.replies))
        self._next_saying(now)
        return self._taken()

    # --- what the caller's side does ---

    def hear(self, data: bytes, now: float) -> list[Happening]:
        if self._part.listens and self.state is not State.ENDED:
            for _ in self._ear.blocks(data):
                self._listen(now)
        return self._taken()

    def say(self, saying: Saying, now: float, *, interrupt: bool = False) -> list[Happening]:
        """Words put into the agent's mouth by the other side."""
        if interrupt:
            self._interrupt()
        self._queue.append(saying)
        if self.state is not State.SPEAKING:
            self._next_saying(now)
        return self._taken()

    def ask(self, now: float, *, interrupt: bool) -> list[Happening]:
        """A turn of the caller in writing."""
        if interrupt:
            self._interrupt()
        if self.state is State.LISTENING:
            self._think(now)
        return self._taken()

    def interrupt(self) -> list[Happening]:
        self._interrupt()
        return self._taken()

    def finish_tool(self, now: float, *, hang_up: bool = False, reply: bool = True) -> list[Happening]:
        """The tool has answered. Too late, or never asked for: nothing happens."""
        if self._tool_pending:
            self._tool_pending = False
            if hang_up:
                self._hang_up("agent")
            elif reply:
                self._reply(now)
            else:
                self._move(State.LISTENING)
        return self._taken()

    def end(self, reason: Reason, last_word: Utterance | None, now: float) -> list[Happening]:
        """The call shall end: after a last word if there is one, else at once."""
        if self.state is not State.ENDED:
            self._interrupt()
            self._queue.clear()
            if last_word:
                self._queue.append(Saying(last_word, interruptible=False, last=True, reason=reason))
                self._next_saying(now)
            else:
                self._hang_up(reason)
        return self._taken()

    # --- time ---

    def tick(self, now: float) -> list[Happening]:
        if self.state is not State.ENDED:
            self._out += self._mouth.frames_due(now)
        if self.state is State.SPEAKING:
            self._speak_on(now)
        elif self.state is State.THINKING and self._reply_at is not None and now >= self._reply_at:
            self._tool_pending = False
            self._reply(now)
        return self._taken()

    def next_deadline(self) -> float | None:
        if self.state is State.ENDED:
            return None
        times = (self._mouth.next_deadline(), self._reply_at if self.state is State.THINKING else None)
        return min((time for time in times if time is not None), default=None)

    # --- listening ---

    def _listen(self, now: float) -> None:
        ear = self._ear
        if ear.talk_ms and not self._caller_talks:
            self._caller_talks = True
            self._out.append(SpeechStarted("user"))
            if self.state is State.THINKING and not self._tool_pending:
                self._move(State.LISTENING)
        if self._is_interruption():
            self._interrupt()
        if ear.talk_ms and ear.quiet_ms >= self._manners.turn_endpoint_ms:
            self._end_turn(ear.talk_ms, now)

    def _is_interruption(self) -> bool:
        return (
            self.state is State.SPEAKING
            and self._saying is not None
            and self._saying.interruptible
            and self._ear.quiet_ms == 0
            and self._ear.talk_ms >= max(1, self._manners.minimum_interruption_ms)
        )

    def _end_turn(self, talk_ms: int, now: float) -> None:
        self._ear.forget()
        self._caller_talks = False
        self._out.append(SpeechStopped("user"))
        if talk_ms < self._manners.minimum_turn_ms:
            return
        self.turns += 1
        self._out.append(Said("user", self._next_ordinal(), self._part.caller_line(self.turns, talk_ms)))
        if self.state is State.LISTENING:
            self._think(now)

    def _think(self, now: float) -> None:
        if self._has_no_more_replies():
            return
        self._move(State.THINKING)
        self._reply_at = now + self._part.thinking_ms / 1000
        if self._part.tool_on_turn and self._replies + 1 == self._part.tool_on_turn:
            self._tool_pending = True
            self._reply_at = now + TOOL_TIMEOUT_MS / 1000
            self._out.append(ToolWanted(self._part.tool_on_turn))

    # --- speaking ---

    def _has_no_more_replies(self) -> bool:
        replies = len(self._part.replies)
        return not replies or (self._replies >= replies and self._part.after != "repeat")

    def _reply(self, now: float) -> None:
        replies = self._part.replies
        self._replies += 1
        last = self._replies >= len(replies)
        self._queue.append(self._written(replies[(self._replies - 1) % len(replies)], last=last))
        self._next_saying(now)

    def _written(self, utterance: Utterance, *, last: bool) -> Saying:
        return Saying(utterance, interruptible=self._part.listens, last=last and self._part.after == "hang-up")

    def _next_saying(self, now: float) -> None:
        self._reply_at = None
        if self.state is State.ENDED:
            return
        if not self._queue:
            self._move(State.LISTENING)
            return
        self._saying = self._queue.popleft()
        self._mouth.say(Line(self._saying.utterance, self._format_out), now)
        self._ordinal, self._first_words = self._next_ordinal(), True
        self._move(State.SPEAKING)
        self._out.append(SpeechStarted("agent"))
        self._out += self._mouth.frames_due(now)
        self._speak_on(now)

    def _speak_on(self, now: float) -> None:
        line, saying = self._mouth.line, self._saying
        if line is None or saying is None:
            return
        played_ms = self._mouth.played_ms(now)
        early = saying.last and self._part.hangs_up_early
        finished = self._mouth.all_sent and (early or played_ms >= line.duration_ms - ROUNDING_MS)
        if text := line.news(line.duration_ms if finished else played_ms):
            self._out.append(Words(self._ordinal, text, self._first_words))
            self._first_words = False
        if finished:
            self._finish_line(line, saying, now)

    def _finish_line(self, line: Line, saying: Saying, now: float) -> None:
        self._drop_line()
        self._out += [SpeechStopped("agent"), Said("agent", self._ordinal, line.text)]
        if saying.last:
            self._hang_up(saying.reason)
            return
        if not self._part.replies and self._part.after == "repeat" and self._part.greeting:
            self._queue.append(self._written(self._part.greeting, last=False))
        self._next_saying(now)

    def _interrupt(self) -> None:
        line = self._mouth.line
        if self.state is not State.SPEAKING or line is None:
            return
        spoken = line.told
        self._drop_line()
        self._queue.clear()
        self._out += [Interrupted(), SpeechStopped("agent"), Said("agent", self._ordinal, spoken)]
        self._move(State.LISTENING)

    def _drop_line(self) -> None:
        self._mouth.hush()
        self._saying = None

    # --- ends and odds ---

    def _hang_up(self, reason: Reason) -> None:
        self._move(State.ENDED)
        self._out.append(HungUp(reason))

    def _move(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            if state is not State.ENDED:
                self._out.append(StateChanged(state))

    def _next_ordinal(self) -> int:
        self._ordinals += 1
        return self._ordinals - 1

    def _taken(self) -> list[Happening]:
        out, self._out = self._out, []
        return out
