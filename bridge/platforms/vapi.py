"""VAPI over HTTPS: a call of a stored assistant with the `vapi.websocket` transport.

API reference: https://docs.vapi.ai/calls/websocket-transport and https://docs.vapi.ai/api-reference/calls/create.
Unknown properties are refused there with 400, so only what is set is sent.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bridge.config import PlatformSection
from bridge.errors import PlatformBusy, PlatformDenied
from bridge.platforms.base import CallFacts, Created
from bridge.platforms.body import clean, merged, metadata, variables
from bridge.platforms.rest import Rest, media_address
from media.wire import FarSpec

PUBLIC_URL: Final = "https://api.vapi.ai"
MOST_NAME_CHARS: Final = 40
SHORTEST_S, LONGEST_S = 10, 43_200
"Limits of maxDurationSeconds."
BUSY_RETRY_S: Final = 30
"VAPI's 429 has no Retry-After; asking sooner keeps the account locked out."
AGENTS: Final = ("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow")
"Exactly one of these says who answers."

CLIENT_MESSAGES: Final = ["status-update", "speech-update", "transcript", "user-interrupted", "tool-calls", "hang"]
"""What our dialect lives on. Asked for, because an assistant set up without `user-interrupted` would lose us barge-in;
and nothing more, because `conversation-update` repeats the whole conversation at every turn beside the audio."""

FORMATS: Final[dict[Literal["s16le", "mulaw"], str]] = {"s16le": "pcm_s16le", "mulaw": "mulaw"}


class _Limits(msgspec.Struct, rename="camel"):
    concurrency_blocked: bool | None = None


class _Capacity(msgspec.Struct, rename="camel"):
    subscription_limits: _Limits | None = None


class _Transport(msgspec.Struct, rename="camel"):
    websocket_call_url: str


class _Call(msgspec.Struct):
    """What we need of the answer."""

    id: str
    transport: _Transport


class Vapi:
    """One VAPI account."""

    def __init__(self, section: PlatformSection, api_key: str) -> None:
        if problem := _problem(section):
            raise PlatformDenied(section.name, problem)
        self.name = section.name
        self._section = section
        self._rest = Rest(
            section.name,
            section.url or PUBLIC_URL,
            key=api_key,
            auth={"Authorization": f"Bearer {api_key}"},
            budget_ms=section.create_timeout_ms,
            busy_retry_s=BUSY_RETRY_S,
        )

    def __repr__(self) -> str:
        return f"<Vapi {self.name}>"

    async def create(self, call: CallFacts) -> Created:
        section = self._section
        answer = await self._post(request(section, call))
        # Looked at first: a blocked call is queued there, and what else its answer holds is not documented.
        limits = self._rest.parsed(answer, _Capacity).subscription_limits
        if limits and limits.concurrency_blocked:
            raise PlatformBusy(section.name, "over the account's concurrency limit")
        made = self._rest.parsed(answer, _Call)
        encoding = encoding_for(section, call)
        spec = FarSpec(
            platform=section.name,
            dialect="vapi",
            url=media_address(section.name, "transport.websocketCallUrl", made.transport.websocket_call_url),
            encoding=encoding,
            rate_hz=section.rate_hz,
        )
        return Created(spec, clean(made.id, 80))

    async def close(self) -> None:
        await self._rest.close()

    async def _post(self, body: dict[str, object]) -> bytes:
        try:
            return await self._rest.post("/call", body)
        except PlatformDenied as denied:
            # The older of VAPI's two ways to say that all lines are taken: 400 "Over Concurrency Limit".
            if denied.http_status == 400 and "concurrency limit" in denied.detail.lower():
                raise PlatformBusy(self.name, denied.detail, http_status=400) from None
            raise


def encoding_for(section: PlatformSection, call: CallFacts) -> Literal["s16le", "mulaw"]:
    """mu-law for a trunk that speaks it, byte for byte; an A-law trunk would be quantised twice, so it gets linear."""
    return "s16le" if call.codec not in ("", "PCMU") else section.encoding


def request(section: PlatformSection, call: CallFacts) -> dict[str, object]:
    """The body of the create request. `options` override all but the audio format, which the worker relies on."""
    overrides: dict[str, object] = {
        "variableValues": variables(call),
        "metadata": metadata(call),
        "maxDurationSeconds": section.max_duration_s,
        "clientMessages": CLIENT_MESSAGES,
    }
    if section.greeting:
        overrides["firstMessage"] = section.greeting  # its {{variables}} are filled in over there
    body: dict[str, object] = {"name": clean(call.call, MOST_NAME_CHARS), "assistantOverrides": overrides}
    if section.agent:
        body["assistantId"] = section.agent
    audio = {
        "format": FORMATS[encoding_for(section, call)],
        "container": "raw",
        "sampleRate": section.rate_hz,
    }
    return merged(merged(body, section.options), {"transport": {"provider": "vapi.websocket", "audioFormat": audio}})


def _problem(section: PlatformSection) -> str:
    """What VAPI would refuse in every single call; empty if nothing."""
    agents = [name for name in AGENTS if name in section.options or (name == "assistantId" and section.agent)]
    if len(agents) != 1:
        return f"agent: VAPI needs exactly one of {', '.join(AGENTS)}; there are {len(agents)}"
    if not SHORTEST_S <= section.max_duration_s <= LONGEST_S:
        return f"max_duration_s: VAPI takes {SHORTEST_S} to {LONGEST_S}"
    return ""
