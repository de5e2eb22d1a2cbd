"""The media socket of one VAPI call: bare JSON objects with dashes in their types, audio as bare samples both ways.

Pure: what happens in the conversation goes in, frames come out. The stream towards the client never pauses; an echo is
the exception, it is as continuous as what the client sends.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from bridge.simulators.audio import hum
from bridge.simulators.calls import Close, Message, Out, SimulatedCall, wall_clock
from bridge.simulators.conversation import (
    Conversation,
    HungUp,
    Interrupted,
    Said,
    Saying,
    SpeechStarted,
    SpeechStopped,
    ToolWanted,
    Words,
)
from bridge.simulators.hearing import InputClock
from bridge.simulators.mouth import SteadyMouth
from bridge.simulators.part import Manners, Part
from bridge.simulators.telling import Telling
from bridge.simulators.vapi.requests import AssistantOverrides

DEFAULT_CLIENT_MESSAGES = frozenset(
    {"conversation-update", "model-output", "speech-update", "status-update", "tool-calls", "transcript"}
    | {"user-interrupted", "voice-input"}
)
"Of the documented defaults those that this simulator has occasion to send."

ROLES = {"user": "user", "agent": "assistant"}

WATCH_EVERY_S = 1.0

HUNG_UP_BY_CLIENT = "customer-ended-call"
"Which reason `end-call` leads to is undocumented."
LOST = "phone-call-provider-closed-websocket"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the session tells its service."""

    joined: Callable[[SimulatedCall], None]
    ended: Callable[[SimulatedCall, str], None]
    tool: Callable[[SimulatedCall, dict[str, Any]], bool]
    "Takes the tool call to the customer's server; False when there is none."


class VapiSession(Telling):
    audio_is_text = False

    def __init__(self, call: SimulatedCall, assistant: AssistantOverrides, part: Part, hooks: Hooks) -> None:
        self._call, self._assistant, self._hooks = call, assistant, hooks
        self._part = replace(part, greeting=None) if _waits_for_user(assistant, part) else part
        self._messages = (
            DEFAULT_CLIENT_MESSAGES if assistant.client_messages is None else frozenset(assistant.client_messages)
        )
        self._mouth: SteadyMouth | None = None
        self._conversation: Conversation | None = None
        self._clock = InputClock()
        self._opened_at = self._watch_at = 0.0
        self._heard_bytes = 0
        self._spoken = ""
        "The agent's current turn, as far as its words were told."
        self._turn_id = ""
        self._agent_turns = 0
        self._deaf = self._mute = self._nobody_to_ask = False
        self.echoes = part.echoes

    # --- the face of a Session ---

    def on_open(self, now: float) -> list[Out]:
        self._opened_at, self._watch_at = now, now + WATCH_EVERY_S
        self._clock.last_at = now
        self._call.joined = wall_clock()
        self._hooks.joined(self._call)
        out = self._message("status-update", status="in-progress")
        if self.echoes:
            return out
        self._mouth = SteadyMouth(self._call.form, now)
        self._conversation = Conversation(
            self._part, _manners(self._assistant), self._call.form, self._mouth, self._call.form
        )
        return out + self._tell(self._conversation.start(now))

    def on_binary(self, data: bytes, now: float) -> list[Out]:
        self._heard_bytes = self._call.received_bytes
        accepted = self._clock.receive(self._call.form.duration_ms(len(data)), now)
        if accepted.warning:
            self._call.warn(accepted.warning)
        if self._conversation is None:
            return []
        heard = self._call.form.silence_of(len(data)) if self._deaf else data
        return self._tell(self._conversation.hear(heard, now))

    def on_text(self, text: str, now: float) -> list[Out]:
        try:
            message = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            message = {}
        kind = message.get("type")
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            # One report: an unknown type ended the socket, and the client read 1005.
            self._call.warn("a message of unknown type")
            return self._end("pipeline-error-unknown-message", Close(None))
        return handler(self, message, now)

    def on_timer(self, now: float) -> list[Out]:
        out = self._tell(self._conversation.tick(now)) if self._conversation else []
        if self._nobody_to_ask:
            # The model is told of an error, and answers without the tool.
            self._nobody_to_ask = False
            out += self.finish_tool(now)
        if now >= self._watch_at:
            self._watch_at = now + WATCH_EVERY_S
            out += self._watch(now)
        return out

    def next_deadline(self) -> float | None:
        if self._call.ended:
            return None
        speech_at = self._conversation.next_deadline() if self._conversation else None
        return self._watch_at if speech_at is None else min(speech_at, self._watch_at)

    def on_close(self, code: int) -> None:
        self._hooks.ended(self._call, HUNG_UP_BY_CLIENT if code in (1000, 1001, 1005) else LOST)

    def finish_tool(self, now: float) -> list[Out]:
        """The customer's server has answered, or will not."""
        return self._tell(self._conversation.finish_tool(now)) if self._conversation else []

    # --- what the client says ---

    def _on_end_call(self, message: dict[str, Any], now: float) -> list[Out]:
        return self._end(HUNG_UP_BY_CLIENT)

    def _on_say(self, message: dict[str, Any], now: float) -> list[Out]:
        saying = Saying(
            hum(str(message.get("content", ""))),
            interruptible=bool(message.get("interruptionsEnabled", True)),
            last=bool(message.get("endCallAfterSpoken")),
        )
        if self._conversation is None:
            return []
        interrupt = bool(message.get("interruptAssistantEnabled"))
        return self._tell(self._conversation.say(saying, now, interrupt=interrupt))

    def _on_add_message(self, message: dict[str, Any], now: float) -> list[Out]:
        added = message.get("message")
        if not isinstance(added, dict) or self._conversation is None:
            return []
        if added.get("role") == "user":
            self._call.messages.append(Message("user", str(added.get("content", ""))))
        if not message.get("triggerResponseEnabled", True):
            return []
        return self._tell(self._conversation.ask(now, interrupt=False))

    def _on_control(self, message: dict[str, Any], now: float) -> list[Out]:
        match message.get("control"):
            case "mute-assistant" | "unmute-assistant" as control:
                self._mute = control == "mute-assistant"
            case "mute-customer" | "unmute-customer" as control:
                self._deaf = control == "mute-customer"
            case "say-first-message" if self._conversation and self._part.greeting:
                return self._tell(self._conversation.say(Saying(self._part.greeting), now))
            case _:
                self._call.warn("a control that is not known")
        return []

    def _on_accepted(self, message: dict[str, Any], now: float) -> list[Out]:
        """Known to the schema, without effect on a call that has no phone leg."""
        return []

    _HANDLERS: ClassVar[dict[str, Callable[[VapiSession, dict[str, Any], float], list[Out]]]] = {
        "end-call": _on_end_call,
        "hangup": _on_end_call,
        "say": _on_say,
        "add-message": _on_add_message,
        "control": _on_control,
        "transfer": _on_accepted,
        "handoff": _on_accepted,
        "append-context": _on_accepted,
        "send-transport-message": _on_accepted,
    }

    # --- what the platform says ---

    def _tell_audio(self, data: bytes) -> list[Out]:
        return [self._call.form.silence() if self._mute else data]

    def _tell_speech_started(self, happening: SpeechStarted) -> list[Out]:
        if happening.who == "agent":
            self._agent_turns += 1
            self._turn_id, self._spoken = str(uuid.uuid4()), ""
        return self._speech_update("started", happening.who)

    def _tell_speech_stopped(self, happening: SpeechStopped) -> list[Out]:
        return self._speech_update("stopped", happening.who)

    def _speech_update(self, status: str, who: str) -> list[Out]:
        return self._message("speech-update", status=status, role=ROLES[who], turn=self._agent_turns)

    def _tell_words(self, happening: Words) -> list[Out]:
        self._spoken += happening.text
        return [
            *self._message("model-output", output=happening.text, turnId=self._turn_id),
            *self._message("voice-input", input=happening.text, turn=self._agent_turns),
            *self._transcript("agent", "partial", self._spoken),
        ]

    def _tell_said(self, happening: Said) -> list[Out]:
        self._call.messages.append(Message(happening.who, happening.text))
        partial = self._transcript("user", "partial", happening.text) if happening.who == "user" else []
        return [*partial, *self._transcript(happening.who, "final", happening.text), *self._conversation_update()]

    def _transcript(self, who: str, kind: str, text: str) -> list[Out]:
        return self._message("transcript", role=ROLES[who], transcriptType=kind, transcript=text)

    def _conversation_update(self) -> list[Out]:
        plain = [{"role": ROLES[message.role], "content": message.text} for message in self._call.messages]
        return self._message("conversation-update", conversation=plain, messages=[], messagesOpenAIFormatted=plain)

    def _tell_interrupted(self, _: Interrupted) -> list[Out]:
        return self._message("user-interrupted", turnId=self._turn_id)

    def _tell_tool(self, _: ToolWanted) -> list[Out]:
        function = {"name": _tool_name(self._assistant, self._part.tool), "arguments": "{}"}
        tool_call = {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}
        self._nobody_to_ask = not self._hooks.tool(self._call, tool_call)
        return self._message("tool-calls", toolCallList=[tool_call], toolWithToolCallList=[])

    def _tell_hung_up(self, happening: HungUp) -> list[Out]:
        return self._end("exceeded-max-duration" if happening.reason == "timeout" else "assistant-ended-call")

    tellers: ClassVar[dict[type, Callable[[VapiSession, Any], list[Out]]]] = {
        SpeechStarted: _tell_speech_started,
        SpeechStopped: _tell_speech_stopped,
        Words: _tell_words,
        Said: _tell_said,
        Interrupted: _tell_interrupted,
        ToolWanted: _tell_tool,
        HungUp: _tell_hung_up,
    }

    # --- ends and clocks ---

    def _end(self, reason: str, close: Close = Close()) -> list[Out]:  # noqa: B008  frozen
        self._hooks.ended(self._call, reason)
        if close.code is None:
            return [close]
        return [*self._message("status-update", status="ended", endedReason=reason), close]

    def _watch(self, now: float) -> list[Out]:
        """Once a second: does the client still send, is the call too long?"""
        if self._call.received_bytes != self._heard_bytes:
            # Only an echo comes here with news: its frames do not pass through `on_binary`.
            self._heard_bytes, self._clock.last_at = self._call.received_bytes, now
        last_at = self._clock.last_at or self._opened_at
        if now - last_at >= self._assistant.silence_timeout_seconds:
            return self._end("silence-timed-out")
        if now - self._opened_at >= self._assistant.max_duration_seconds:
            return self._end("exceeded-max-duration")
        return []

    def _message(self, kind: str, **fields: Any) -> list[Out]:
        return [msgspec.json.encode({"type": kind, **fields}).decode()] if kind in self._messages else []


def _manners(assistant: AssistantOverrides) -> Manners:
    return Manners(
        turn_endpoint_ms=round(assistant.start_speaking_plan.wait_seconds * 1000),
        minimum_interruption_ms=round(assistant.stop_speaking_plan.voice_seconds * 1000),
    )


def _waits_for_user(assistant: AssistantOverrides, part: Part) -> bool:
    return part.listens and assistant.first_message_mode == "assistant-waits-for-user"


def _tool_name(assistant: AssistantOverrides, otherwise: str) -> str:
    model = assistant.model if isinstance(assistant.model, dict) else {}
    for tool in [*(model.get("tools") or []), *(assistant.tools_append or [])]:
        if name := tool.get("function", {}).get("name"):
            return str(name)
    return otherwise
