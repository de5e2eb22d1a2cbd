"""VAPI's `vapi.websocket` transport: https://docs.vapi.ai/calls/websocket-transport.

Binary frames are samples (mu-law or s16le, the same both ways), text frames are client messages, each a bare object.
Webhooks carry the same objects wrapped in `message`, and either form is taken.

    <  status-update in-progress            Ready: VAPI speaks first, no hello of ours is wanted
    <  binary ...                           the agent, about in real time, near-silence between its utterances
    <  user-interrupted                     barge-in
    <  status-update ended, close           the assistant hung up. Or:
    >  end-call, close 1000                 the caller did

There is no ready-made word for being up: as in the field, the first text frame is it, unless it is a status other than
`in-progress`. Nothing of our own invention may be sent: an unknown type was seen to close the socket.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bridge.platforms.dialects.messages import JsonDialect, Message, decoders, encode
from media.far import FarHappening, Flush, Frame, PlatformHungUp, State, ToolCalled, Transcript, Trouble

WHO: Final = {"user": "caller", "assistant": "agent"}

SPEECH: Final[dict[tuple[str, str], str]] = {
    ("assistant", "started"): "speaking",
    ("assistant", "stopped"): "listening",
    ("user", "stopped"): "thinking",
}
"The caller's start says nothing of the agent: it may be listening, or talk on through an `uh-huh`."

_REASON = re.compile(r"[\w.-]{1,100}", re.ASCII)
"VAPI's ended reasons are words like `assistant-ended-call`; what looks otherwise stays out of our records."


class StatusUpdate(Message, frozen=True):
    status: str
    ended_reason: str | None = None

    def meaning(self) -> list[FarHappening]:
        if self.status != "ended":
            return []
        reason = self.ended_reason or ""
        return [PlatformHungUp(reason if _REASON.fullmatch(reason) else "ended")]

    def proves_ready(self) -> bool:
        return self.status == "in-progress"


class SpeechUpdate(Message, frozen=True):
    status: str
    role: str

    def meaning(self) -> list[FarHappening]:
        state = SPEECH.get((self.role, self.status))
        return [State(state)] if state else []


class Spoken(Message, frozen=True):
    """A partial transcript is everything of the utterance so far, not what is new in it."""

    role: str
    transcript: str
    transcript_type: str = "final"

    def meaning(self) -> list[FarHappening]:
        who = WHO.get(self.role)
        if who is None:
            return [Trouble("transcript: role is neither user nor assistant")]
        return [Transcript(who, self.transcript, final=self.transcript_type == "final")]


class Interrupted(Message, frozen=True):
    def meaning(self) -> list[FarHappening]:
        return [Flush()]


class Hang(Message, frozen=True):
    """Not a hang-up: the assistant is slow to answer."""

    def meaning(self) -> list[FarHappening]:
        return [State("thinking")]


class Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str | dict[str, Any] | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """Three shapes are about: `function.arguments` as a JSON string or as an object, and bare `name`, `parameters`."""

    id: str
    function: Function | None = None
    name: str = ""
    parameters: dict[str, Any] | None = None

    def meaning(self) -> FarHappening:
        if not self.function:
            named = ToolCalled(self.name, self.id, self.parameters or {})
            return named if self.name else Trouble("tool-calls: a call without a name")
        try:
            return ToolCalled(self.function.name, self.id, _object(self.function.arguments))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return Trouble("tool-calls: arguments are not a JSON object")


class ToolCalls(Message, frozen=True):
    tool_call_list: list[ToolCall]

    def meaning(self) -> list[FarHappening]:
        return [call.meaning() for call in self.tool_call_list]


class VapiDialect(JsonDialect):
    wraps = True
    messages = decoders(
        {
            "status-update": StatusUpdate,
            "speech-update": SpeechUpdate,
            "transcript": Spoken,
            'transcript[transcriptType="final"]': Spoken,
            "user-interrupted": Interrupted,
            "tool-calls": ToolCalls,
            "hang": Hang,
            # The transcript tells the same when it is heard; this is the text before it is spoken, in fragments.
            "model-output": Message,
            "voice-input": Message,
            "conversation-update": Message,
            "assistant.started": Message,
        }
    )

    def digit_frame(self, digit: str) -> Frame:
        # The transport has no DTMF in either direction: the digit becomes the caller's words, which want an answer.
        words = {"role": "user", "content": f"Keypad: {digit}"}
        return encode(type="add-message", message=words, triggerResponseEnabled=True)

    def goodbye(self) -> list[Frame]:
        return [encode(type="end-call")]


def _object(arguments: str | dict[str, Any] | None) -> dict[str, Any]:
    if isinstance(arguments, str):
        return msgspec.json.decode(arguments, type=dict[str, Any]) if arguments.strip() else {}
    return arguments or {}
