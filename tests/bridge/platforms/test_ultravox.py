from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.config import PlatformSection
from bridge.errors import PlatformBusy, PlatformDenied, PlatformDown, PlatformError, PlatformSlow
from bridge.platforms import CallFacts, Created
from bridge.platforms.ultravox import Ultravox, path, request
from media.wire import FarSpec
from tests.bridge.platforms.fake_api import Answer, FakeApi, fake_api, says, says_nothing

KEY = "Zq81kfPw.0aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1f"
JOIN = "wss://voice.example/calls/3c90/server_web_socket"
CALL = CallFacts(
    call="b-7731", caller="+34910000001", dialled="+34910000002", context={"tier": "gold"}, codec="PCMA", language="es"
)
DURATION = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?s")

# ultravox.v1.StartCallRequest and StartAgentCallRequest, https://docs.ultravox.ai/api-reference/schema
BOTH = {
    *("medium", "metadata", "voice", "voiceOverrides", "joinTimeout", "maxDuration", "recordingEnabled"),
    *("initialOutputMedium", "firstSpeakerSettings", "initialMessages", "dataConnection", "callbacks"),
    *("sharedSecrets", "retentionPolicy", "experimentalSettings"),
}
DIRECT_ONLY = {
    *("systemPrompt", "temperature", "model", "externalVoice", "languageHint", "selectedTools", "vadSettings"),
    *("timeExceededMessage", "inactivityMessages", "initialState", "transcriptOptional"),
}
AGENT_ONLY = {"templateContext", "toolOverrides"}
SOCKET = {"inputSampleRate", "outputSampleRate", "clientBufferSizeMs", "dataMessages", "mediaIdleTimeout"}
DATA_MESSAGES = {
    *("pong", "state", "transcript", "clientToolInvocation", "dataConnectionToolInvocation", "playbackClearBuffer"),
    *("callStarted", "debug", "callEvent", "toolUsed", "invokingTool", "userStartedSpeaking", "userStoppedSpeaking"),
}
DURATIONS = {"joinTimeout", "maxDuration", "mediaIdleTimeout", "delay", "duration", "minimumInterruptionDuration"}


def section(**fields: Any) -> PlatformSection:
    return PlatformSection(**{"name": "uv", "kind": "ultravox", **fields})


def every_value(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from every_value(inner)


def assert_as_the_schema_has_it(body: dict[str, Any], *, agent: bool) -> None:
    assert set(body) <= BOTH | (AGENT_ONLY if agent else DIRECT_ONLY)
    assert list(body["medium"]) == ["serverWebSocket"]
    assert set(body["medium"]["serverWebSocket"]) <= SOCKET
    assert set(body["medium"]["serverWebSocket"]["dataMessages"]) <= DATA_MESSAGES
    assert all(isinstance(value, str) for value in body["metadata"].values())
    assert not [key for key in body["metadata"] if key.startswith("ultravox.")]
    assert all(DURATION.fullmatch(value) for key, value in every_value(body) if key in DURATIONS)
    assert None not in [value for _, value in every_value(body)]


def test_a_call_described_here() -> None:
    one = section(prompt="Serve {{tier}} {{caller}}.", model="m-1", voice="Mark", language="en", greeting="Hi {{tier}}")
    body: dict[str, Any] = request(one, CALL)
    assert_as_the_schema_has_it(body, agent=False)
    assert path(one) == "/api/calls"
    assert body == {
        "systemPrompt": "Serve gold +34910000001.",
        "model": "m-1",
        "voice": "Mark",
        "languageHint": "es",
        "firstSpeakerSettings": {"agent": {"text": "Hi gold"}},
        "joinTimeout": "15s",
        "maxDuration": "3600s",
        "metadata": {
            "caller": "+34910000001",
            "dialled": "+34910000002",
            "tier": "gold",
            "bridgeCallId": "b-7731",
        },
        "medium": {
            "serverWebSocket": {
                "inputSampleRate": 8000,
                "outputSampleRate": 8000,
                "clientBufferSizeMs": 30000,
                "mediaIdleTimeout": "30s",
                "dataMessages": {
                    "callStarted": True,
                    "state": True,
                    "transcript": True,
                    "playbackClearBuffer": True,
                    "clientToolInvocation": True,
                    "pong": True,
                },
            }
        },
    }


def test_a_call_of_an_agent_kept_there() -> None:
    one = section(agent="a/b?c", prompt="ignored", model="ignored", language="en", max_duration_s=90)
    body = request(one, CALL)
    assert_as_the_schema_has_it(body, agent=True)
    assert path(one) == "/api/agents/a%2Fb%3Fc/calls"
    assert body["templateContext"] == {"caller": "+34910000001", "dialled": "+34910000002", "tier": "gold"}
    assert sorted(body) == ["joinTimeout", "maxDuration", "medium", "metadata", "templateContext"]


def test_what_is_not_set_is_not_sent() -> None:
    body = request(section(), CallFacts(call="c"))
    assert_as_the_schema_has_it(body, agent=False)
    assert sorted(body) == ["joinTimeout", "maxDuration", "medium", "metadata"]
    assert body["metadata"] == {"bridgeCallId": "c"}


def test_the_sections_language_is_the_calls_unless_it_has_one() -> None:
    assert request(section(language="en"), CallFacts(call="c"))["languageHint"] == "en"


def test_a_reserved_metadata_key_does_not_cost_the_call() -> None:
    body = request(section(), CallFacts(call="c", context={"ultravox.sip.caller_id": "x", "ok": "y"}))
    assert body["metadata"] == {"ok": "y", "bridgeCallId": "c"}


def test_options_reach_every_depth_but_not_the_audio_format() -> None:
    options = {
        "vadSettings": {"minimumInterruptionDuration": "0.48s"},
        "maxDuration": "60s",
        "medium": {
            "serverWebSocket": {"inputSampleRate": 48000, "dataMessages": {"debug": True}, "mediaIdleTimeout": "60s"}
        },
    }
    body: dict[str, Any] = request(section(rate_hz=16000, client_buffer_ms=60, options=options), CALL)
    assert_as_the_schema_has_it(body, agent=False)
    assert (body["maxDuration"], body["vadSettings"]) == ("60s", {"minimumInterruptionDuration": "0.48s"})
    socket = body["medium"]["serverWebSocket"]
    assert (socket["inputSampleRate"], socket["outputSampleRate"], socket["clientBufferSizeMs"]) == (16000, 16000, 60)
    assert (socket["mediaIdleTimeout"], socket["dataMessages"]["debug"]) == ("60s", True)
    assert socket["dataMessages"]["state"] is True


async def created(answer: Answer, **fields: Any) -> tuple[Created, FakeApi]:
    async with fake_api(answer) as api:
        platform = Ultravox(section(url=f"{api.url}/", **fields), KEY)
        try:
            return await platform.create(CALL), api
        finally:
            await platform.close()


async def test_created() -> None:
    answer = {"callId": "3c90", "joinUrl": JOIN, "agent": None, "sipDetails": None, "billedDuration": None}
    made, api = await created(says(201, answer), agent="a1", rate_hz=16000)
    assert made == Created(
        FarSpec(platform="uv", dialect="ultravox", url=JOIN, rate_hz=16000, encoding="s16le", sends_ahead=True), "3c90"
    )
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.headers["x-api-key"]) == ("POST", "/api/agents/a1/calls", KEY)
    assert asked.body == json.loads(json.dumps(request(section(agent="a1", rate_hz=16000), CALL)))
    assert JOIN not in repr(made)


@pytest.mark.parametrize(("buffer_ms", "ahead"), [(60, False), (100, False), (101, True), (30000, True)])
async def test_a_large_client_buffer_means_that_it_sends_ahead(buffer_ms: int, ahead: bool) -> None:
    made, _ = await created(says(201, {"callId": "c", "joinUrl": JOIN}), client_buffer_ms=buffer_ms)
    assert made.spec.sends_ahead is ahead


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (says(400, {"maxDuration": ["Bad."]}), PlatformDenied, 'uv: 400 {"maxDuration":["Bad."]}'),
        (says(401, {"detail": "Invalid API key."}), PlatformDenied, "uv: 401 Invalid API key."),
        (says(402, b""), PlatformDenied, "uv: 402"),
        (says(429, {"detail": "Too many."}, retry_after="3"), PlatformBusy, "uv: 429 Too many."),
        (says(503, b"", retry_after="3"), PlatformDown, "uv: 503"),
        (
            says(201, {"joinUrl": JOIN}),
            PlatformDown,
            "uv: nonsense in the answer: Object missing required field `callId`",
        ),
        (
            says(201, {"callId": "c", "joinUrl": None}),
            PlatformDown,
            "uv: nonsense in the answer: Expected `str`, got `null` - at `$.joinUrl`",
        ),
        (
            says(201, {"callId": "c", "joinUrl": "https://x/join-secret"}),
            PlatformDown,
            "uv: nonsense in the answer: `joinUrl` is not a ws:// or wss:// address",
        ),
        (
            says(200, b"<html>"),
            PlatformDown,
            "uv: nonsense in the answer: JSON is malformed: invalid character (byte 0)",
        ),
    ],
)
async def test_refusals(answer: Answer, error: type[PlatformError], said: str) -> None:
    with pytest.raises(PlatformError) as caught:
        await created(answer)
    assert (type(caught.value), str(caught.value)) == (error, said)


async def test_silence() -> None:
    with pytest.raises(PlatformSlow):
        await created(says_nothing, create_timeout_ms=40)


async def test_the_platform_shows_no_secret() -> None:
    platform = Ultravox(section(), KEY)
    assert repr(platform) == "<Ultravox uv>"
    await platform.close()
