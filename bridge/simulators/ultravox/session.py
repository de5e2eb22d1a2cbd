"""The media socket of one Ultravox call: JSON in snake_case types and camelCase keys, audio as bare s16le frames.

Pure: what happens in the conversation goes in, frames come out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import msgspec

from bridge.simulators.audio import Format, Utterance, hum
from bridge.simulators.calls import Close, Message, Out, SimulatedCall, wall_clock
from bridge.simulators.conversation import (
    Conversation,
    HungUp,
    Interrupted,
    Said,
    Saying,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolWanted,
    Words,
)
from bridge.simulators.hearing import InputClock
from bridge.simulators.mouth import AheadMouth
from bridge.simulators.part import Manners, Part
from bridge.simulators.telling import Telling
from bridge.simulators.ultravox.requests import CallRequest, DirectCallRequest, milliseconds, seconds

SHORTEST_IDLE_S = 10.0
"A shorter mediaIdleTimeout is treated as this."
WATCH_EVERY_S = 1.0
"How often the clocks of input and call are looked at when nothing arrives."


def manners_of(request: CallRequest) -> Manners:
    if not isinstance(request, DirectCallRequest):
        return Manners()
    vad = request.vad_settings
    return Manners(
        turn_endpoint_ms=milliseconds(vad.turn_endpoint_delay),
        minimum_turn_ms=milliseconds(vad.minimum_turn_duration),
        minimum_interruption_ms=milliseconds(vad.minimum_interruption_duration),
    )


def tool_name(request: CallRequest, otherwise: str) -> str:
    """The first tool the call was given, by the name under which the model knows it."""
    for tool in getattr(request, "selected_tools", []):
        name = tool.get("toolName") or tool.get("temporaryTool", {}).get("modelToolName")
        if name:
            return str(name)
    return otherwise


def waits_for_user(request: CallRequest) -> bool:
    """Is the caller to speak first? `firstSpeaker` is deprecated and still sent."""
    return (
        request.first_speaker_settings.user is not None
        or getattr(request, "first_speaker", None) == "FIRST_SPEAKER_USER"
    )


class UltravoxSession(Telling):
    audio_is_text = False

    def __init__(
        self,
        call: SimulatedCall,
        request: CallRequest,
        part: Part,
        on_joined: Callable[[SimulatedCall], None],
        on_ended: Callable[[SimulatedCall, str], None],
    ) -> None:
        socket = request.socket
        self._call, self._request = call, request
        self._part = part = replace(part, greeting=None) if part.listens and waits_for_user(request) else part
        self._on_joined, self._on_ended = on_joined, on_ended
        self._flags = socket.data_messages
        form_out = Format("s16le", socket.output_sample_rate or socket.input_sample_rate)
        self._mouth = AheadMouth(form_out, socket.client_buffer_size_ms)
        self._conversation = Conversation(part, manners_of(request), call.form, self._mouth, form_out)
        self._clock = InputClock()
        self._idle_s = max(SHORTEST_IDLE_S, seconds(socket.media_idle_timeout)) if socket.media_idle_timeout else 0.0
        self._opened_at = 0.0
        self._heard_bytes = 0
        self._watch_at = 0.0
        self._tool: str | None = None
        self._time_was_up = False
        self.echoes = part.echoes

    # --- the face of a Session ---

    def on_open(self, now: float) -> list[Out]:
        self._opened_at, self._watch_at = now, now + WATCH_EVERY_S
        self._clock.last_at = now
        self._call.joined = wall_clock()
        self._on_joined(self._call)
        out = self._if(self._flags.call_started, "call_started", callId=self._call.id)
        if self.echoes:
            return out + self._if(self._flags.state, "state", state="listening")
        return out + self._tell(self._conversation.start(now))

    def on_binary(self, data: bytes, now: float) -> list[Out]:
        self._heard_bytes = self._call.received_bytes
        accepted = self._clock.receive(self._call.form.duration_ms(len(data)), now)
        out = self._warned(accepted.warning)
        if accepted.dropped:
            return out
        return out + self._tell(self._conversation.hear(data, now))

    def on_text(self, text: str, now: float) -> list[Out]:
        try:
            message = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            return self._warned("a text frame is no JSON object")
        kind = message.get("type")
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            return self._warned("a message of unknown type")
        return handler(self, message, now)

    def on_timer(self, now: float) -> list[Out]:
        out = self._tell(self._conversation.tick(now))
        if now >= self._watch_at:
            self._watch_at = now + WATCH_EVERY_S
            out += self._watch(now)
        return out

    def next_deadline(self) -> float | None:
        if self._call.ended:
            return None
        speech_at = self._conversation.next_deadline()
        return self._watch_at if speech_at is None else min(speech_at, self._watch_at)

    def on_close(self, code: int) -> None:
        # What the service makes of other codes than these is undocumented.
        self._on_ended(self._call, "hangup" if code in (1000, 1001, 1005) else "connection_error")

    # --- what the client says ---

    def _on_ping(self, message: dict[str, Any], now: float) -> list[Out]:
        return self._if(self._flags.pong, "pong", timestamp=message.get("timestamp", 0))

    def _on_user_text(self, message: dict[str, Any], now: float) -> list[Out]:
        text, urgency = str(message.get("text", "")), message.get("urgency", "soon")
        if text:
            self._call.messages.append(Message("user", text))
        if urgency == "later" or message.get("deferResponse"):
            return []
        if not text and urgency == "immediate":  # the way clients ask for silence
            return self._tell(self._conversation.interrupt())
        return self._tell(self._conversation.ask(now, interrupt=urgency == "immediate"))

    def _on_forced_agent_message(self, message: dict[str, Any], now: float) -> list[Out]:
        saying = Saying(hum(str(message.get("content", ""))), interruptible=not message.get("uninterruptible"))
        return self._tell(self._conversation.say(saying, now, interrupt=message.get("urgency") == "immediate"))

    def _on_set_output_medium(self, message: dict[str, Any], now: float) -> list[Out]:
        if message.get("medium") not in ("voice", "text"):
            return self._warned("set_output_medium names no medium")
        return []

    def _on_tool_result(self, message: dict[str, Any], now: float) -> list[Out]:
        if message.get("invocationId") != self._tool or self._tool is None:
            return self._warned("a tool result that nobody waits for")
        self._tool = None
        return self._tell(
            self._conversation.finish_tool(
                now,
                hang_up=message.get("responseType") == "hang-up",
                reply=message.get("agentReaction", "speaks") != "listens",
            )
        )

    def _on_hang_up(self, message: dict[str, Any], now: float) -> list[Out]:
        return self._tell(self._conversation.end("agent", _hummed(message.get("message")), now))

    _HANDLERS: ClassVar[dict[str, Callable[[UltravoxSession, dict[str, Any], float], list[Out]]]] = {
        "ping": _on_ping,
        "user_text_message": _on_user_text,
        "input_text_message": _on_user_text,
        "forced_agent_message": _on_forced_agent_message,
        "set_output_medium": _on_set_output_medium,
        "client_tool_result": _on_tool_result,
        "hang_up": _on_hang_up,
    }

    # --- what the platform says ---

    def _tell_state(self, happening: StateChanged) -> list[Out]:
        return self._if(self._flags.state, "state", state=str(happening.state))

    def _tell_words(self, happening: Words) -> list[Out]:
        return self._transcript("agent", happening.ordinal, False, **{_text_key(happening): happening.text})

    def _tell_said(self, happening: Said) -> list[Out]:
        self._call.messages.append(Message(happening.who, happening.text))
        return self._transcript(happening.who, happening.ordinal, True, text=happening.text)

    def _tell_interrupted(self, _: Interrupted) -> list[Out]:
        return self._if(self._flags.playback_clear_buffer, "playback_clear_buffer")

    def _tell_tool(self, _: ToolWanted) -> list[Out]:
        self._tool = uuid.uuid4().hex
        name = tool_name(self._request, self._part.tool)
        flag = self._flags.client_tool_invocation
        return self._if(flag, "client_tool_invocation", toolName=name, invocationId=self._tool, parameters={})

    def _tell_hung_up(self, happening: HungUp) -> list[Out]:
        self._on_ended(self._call, "timeout" if happening.reason == "timeout" else "agent_hangup")
        return [Close()]

    def _tell_speech_started(self, happening: SpeechStarted) -> list[Out]:
        return self._if(self._flags.user_started_speaking and happening.who == "user", "user_started_speaking")

    def _tell_speech_stopped(self, happening: SpeechStopped) -> list[Out]:
        return self._if(self._flags.user_stopped_speaking and happening.who == "user", "user_stopped_speaking")

    tellers: ClassVar[dict[type, Callable[[UltravoxSession, Any], list[Out]]]] = {
        StateChanged: _tell_state,
        Words: _tell_words,
        Said: _tell_said,
        Interrupted: _tell_interrupted,
        ToolWanted: _tell_tool,
        HungUp: _tell_hung_up,
        SpeechStarted: _tell_speech_started,
        SpeechStopped: _tell_speech_stopped,
    }

    # --- clocks ---

    def _watch(self, now: float) -> list[Out]:
        """Once a second: has the caller's audio stopped, is the call too long?"""
        if self._call.received_bytes != self._heard_bytes:
            # Only an echo comes here with news: its frames do not pass through `on_binary`.
            fresh, self._heard_bytes = self._call.received_bytes - self._heard_bytes, self._call.received_bytes
            self._clock.receive(self._call.form.duration_ms(fresh), now)
        if self._idle_s and self._clock.last_at is not None and now - self._clock.last_at >= self._idle_s:
            self._on_ended(self._call, "connection_error")
            return [Close()]
        if now - self._opened_at >= seconds(self._request.max_duration) and not self._time_was_up:
            self._time_was_up = True
            message = getattr(self._request, "time_exceeded_message", "")
            return self._tell(self._conversation.end("timeout", _hummed(message), now))
        return []

    # --- framing ---

    def _transcript(self, role: str, ordinal: int, final: bool, **text: str) -> list[Out]:
        return self._if(
            self._flags.transcript, "transcript", role=role, medium="voice", **text, final=final, ordinal=ordinal
        )

    def _warned(self, warning: str) -> list[Out]:
        if not warning:
            return []
        self._call.warn(warning)
        # Name and fields of this opt-in message are undocumented.
        return self._if(self._flags.call_event, "call_event", severity="warning", text=warning)

    @staticmethod
    def _if(enabled: bool, kind: str, **fields: Any) -> list[Out]:
        return [msgspec.json.encode({"type": kind, **fields}).decode()] if enabled else []


def _hummed(text: object) -> Utterance | None:
    return hum(str(text)) if text else None


def _text_key(words: Words) -> str:
    return "text" if words.first else "delta"
