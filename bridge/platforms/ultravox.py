"""Ultravox over HTTPS: a call with a `serverWebSocket` medium, of an agent kept there or described here.

API reference: https://docs.ultravox.ai/api-reference/calls/calls-post and .../agents/agents-calls-post. The two take
different fields: a prompt, a model and a language belong to the agent, template variables to agent calls alone.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from bridge.config import PlatformSection
from bridge.platforms.base import CallFacts, Created
from bridge.platforms.body import clean, duration, filled, merged, metadata, variables
from bridge.platforms.rest import Rest, media_address
from media.wire import FarSpec

PUBLIC_URL: Final = "https://api.ultravox.ai"
JOIN_MARGIN_MS: Final = 10_000
"On top of the time a worker has to connect. A call that nobody joins holds one of the account's lines until then."
MEDIA_IDLE: Final = "30s"
"Our uplink never pauses (silence is sent as silence), so half a minute of nothing is a dead bridge."
BURST_MS: Final = 100
"A client buffer up to this is paced in real time by the platform (60 is its default); above, it bursts ahead."

DATA_MESSAGES: Final = {
    "callStarted": True,
    "state": True,
    "transcript": True,
    "playbackClearBuffer": True,
    "clientToolInvocation": True,
    "pong": True,
}
"What our dialect lives on. All of them are the defaults of today, asked for so that they stay."


class _Call(msgspec.Struct, rename="camel"):
    """What we need of the answer."""

    call_id: str
    join_url: str


class Ultravox:
    """One Ultravox account."""

    def __init__(self, section: PlatformSection, api_key: str) -> None:
        self.name = section.name
        self._section = section
        self._rest = Rest(
            section.name,
            section.url or PUBLIC_URL,
            key=api_key,
            auth={"X-API-Key": api_key},
            budget_ms=section.create_timeout_ms,
        )

    def __repr__(self) -> str:
        return f"<Ultravox {self.name}>"

    async def create(self, call: CallFacts) -> Created:
        section = self._section
        answer = self._rest.parsed(await self._rest.post(path(section), request(section, call)), _Call)
        spec = FarSpec(
            platform=section.name,
            dialect="ultravox",
            url=media_address(section.name, "joinUrl", answer.join_url),
            encoding="s16le",
            rate_hz=section.rate_hz,
            sends_ahead=section.client_buffer_ms > BURST_MS,
        )
        return Created(spec, clean(answer.call_id, 80))

    async def close(self) -> None:
        await self._rest.close()


def path(section: PlatformSection) -> str:
    return f"/api/agents/{quote(section.agent, safe='')}/calls" if section.agent else "/api/calls"


def request(section: PlatformSection, call: CallFacts) -> dict[str, object]:
    """The body of the create request. `options` override all but the audio format, which the worker relies on."""
    body = {
        **_common(section, call),
        **(_of_agent(call) if section.agent else _described(section, call)),
        "medium": {"serverWebSocket": {"mediaIdleTimeout": MEDIA_IDLE, "dataMessages": DATA_MESSAGES}},
    }
    audio = {
        "inputSampleRate": section.rate_hz,
        "outputSampleRate": section.rate_hz,
        "clientBufferSizeMs": section.client_buffer_ms,
    }
    return merged(merged(body, section.options), {"medium": {"serverWebSocket": audio}})


def _common(section: PlatformSection, call: CallFacts) -> dict[str, object]:
    body: dict[str, object] = {
        "joinTimeout": duration(section.connect_timeout_ms + call.wait_ms + JOIN_MARGIN_MS),
        "maxDuration": duration(section.max_duration_s * 1000),
        # The prefix is Ultravox's own; a key that has it would have the whole call refused.
        "metadata": {key: value for key, value in metadata(call).items() if not key.startswith("ultravox.")},
    }
    if section.voice:
        body["voice"] = section.voice
    if section.greeting:
        body["firstSpeakerSettings"] = {"agent": {"text": filled(section.greeting, variables(call))}}
    return body


def _of_agent(call: CallFacts) -> dict[str, object]:
    return {"templateContext": variables(call)}


def _described(section: PlatformSection, call: CallFacts) -> dict[str, object]:
    """An agent made for this call: there are no template variables, so the prompt's are filled in here."""
    fields = {
        "systemPrompt": filled(section.prompt, variables(call)),
        "model": section.model,
        "languageHint": call.language or section.language,
    }
    return {key: value for key, value in fields.items() if value}
