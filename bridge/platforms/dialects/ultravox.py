"""Ultravox's `serverWebSocket`: https://docs.ultravox.ai/apps/websockets and .../apps/datamessages.

Binary frames are s16le samples, text frames are data messages: `type` in snake_case, the other keys in camelCase.

    >  ping                                 our only hello
    <  call_started | pong | anything       Ready
    <  binary ..., transcript, state        the agent speaks; with a large client buffer far ahead of real time
    <  playback_clear_buffer                barge-in: what has not been heard is to be forgotten
    <  close 1000                           the agent hung up. Or:
    >  hang_up, close 1000                  the caller did

Ready is the first message of any type, since no type is promised: `call_started` can be switched off for an account's
call, and an agent that lets the caller speak first says nothing by itself. The ping sees to it that one comes, and
proves the way through the platform to the call and back, which the opened socket does not.
"""

from __future__ import annotations

from typing import Any, Final

from bridge.platforms.dialects.messages import JsonDialect, Message, decoders, encode
from media.far import FarHappening, Flush, Frame, State, ToolCalled, Transcript, Trouble

STATES: Final = frozenset({"idle", "listening", "thinking", "speaking"})
WHO: Final = {"user": "caller", "agent": "agent"}


class AgentState(Message, frozen=True):
    state: str

    def meaning(self) -> list[FarHappening]:
        return [State(self.state) if self.state in STATES else Trouble("state: not one of the known")]


class Spoken(Message, frozen=True):
    """First `text`, then word by word `delta`, then the whole `text` with `final`. The other key may be null or ""."""

    role: str
    text: str | None = None
    delta: str | None = None
    final: bool | None = None

    def meaning(self) -> list[FarHappening]:
        who = WHO.get(self.role)
        if who is None:
            return [Trouble("transcript: role is neither user nor agent")]
        if not (self.text or self.delta or self.final):
            return []
        return [Transcript(who, self.text or self.delta or "", final=bool(self.final), whole=bool(self.text))]


class ClearBuffer(Message, frozen=True):
    def meaning(self) -> list[FarHappening]:
        return [Flush()]


class ToolInvocation(Message, frozen=True):
    tool_name: str
    invocation_id: str
    parameters: dict[str, Any] | None = None

    def meaning(self) -> list[FarHappening]:
        return [ToolCalled(self.tool_name, self.invocation_id, self.parameters or {})]


class Failure(Message, frozen=True):
    """Not in the documentation, but other people's clients handle it."""

    def meaning(self) -> list[FarHappening]:
        return [Trouble("error: reported by the platform")]

    def proves_ready(self) -> bool:
        return False


class UltravoxDialect(JsonDialect):
    messages = decoders(
        {
            "call_started": Message,
            "pong": Message,
            "debug": Message,
            "user_started_speaking": Message,
            "user_stopped_speaking": Message,
            "state": AgentState,
            "transcript": Spoken,
            "playback_clear_buffer": ClearBuffer,
            "client_tool_invocation": ToolInvocation,
            "error": Failure,
        }
    )

    def on_open(self) -> list[Frame]:
        # The timestamp comes back unread: our round trip is measured elsewhere, and a dialect has no clock.
        return [encode(type="ping", timestamp=0.0)]

    def digit_frame(self, digit: str) -> Frame:
        # Just the digit and at once, as Ultravox's own telephony mediums deliver it; this medium has no DTMF.
        return encode(type="user_text_message", text=digit, urgency="immediate")

    def goodbye(self) -> list[Frame]:
        return [encode(type="hang_up")]
