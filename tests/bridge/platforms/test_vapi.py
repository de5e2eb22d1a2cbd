from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.config import PlatformSection
from bridge.errors import PlatformBusy, PlatformDenied, PlatformDown, PlatformError, PlatformSlow
from bridge.platforms import DIALECTS, CallFacts, Created
from bridge.platforms.vapi import Vapi, encoding_for, request
from media.wire import FarSpec
from tests.bridge.platforms.fake_api import Answer, FakeApi, fake_api, says, says_nothing

KEY = "0b1c2d3e-0d44-4b50-8888-8dd25736052a"
JOIN = "wss://api.vapi.example/7420/transport"
CALL = CallFacts(
    call="b-7731", caller="+34910000001", dialled="+34910000002", context={"tier": "gold"}, codec="PCMU", language="es"
)
MADE = {"id": "7420", "transport": {"provider": "vapi.websocket", "websocketCallUrl": JOIN}}
CHECK = Path(__file__).with_name("vapi_sdk_check.py")
INTEROP = Path(__file__).parents[3] / ".venv-interop/bin/python"


def section(**fields: Any) -> PlatformSection:
    return PlatformSection(**{"name": "va", "kind": "vapi", "agent": "a1", **fields})


def test_the_request() -> None:
    assert request(section(encoding="mulaw", greeting="Hi {{tier}}", max_duration_s=900), CALL) == {
        "name": "b-7731",
        "assistantId": "a1",
        "assistantOverrides": {
            "variableValues": {"caller": "+34910000001", "dialled": "+34910000002", "tier": "gold"},
            "metadata": {
                "caller": "+34910000001",
                "dialled": "+34910000002",
                "tier": "gold",
                "bridgeCallId": "b-7731",
            },
            "maxDurationSeconds": 900,
            "clientMessages": [
                *("status-update", "speech-update", "transcript", "user-interrupted", "tool-calls", "hang"),
            ],
            "firstMessage": "Hi {{tier}}",
        },
        "transport": {
            "provider": "vapi.websocket",
            "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8000},
        },
    }


def test_what_comes_from_the_line_is_clean_and_short() -> None:
    call = CallFacts(call="i" * 90, caller='"Ada\r\nX-Evil: 1" <sip:a@b>', context={"note": "a\x00b" + "c" * 5000})
    body: dict[str, Any] = request(section(), call)
    values = body["assistantOverrides"]["variableValues"]
    assert body["name"] == "i" * 40
    assert values["caller"] == '"Ada X-Evil: 1" <sip:a@b>'
    assert (values["note"][:4], len(values["note"])) == ("a bc", 1000)


@pytest.mark.parametrize(
    ("configured", "codec", "encoding"),
    [
        ("mulaw", "PCMU", "mulaw"),
        ("mulaw", "", "mulaw"),
        ("mulaw", "PCMA", "s16le"),
        ("s16le", "PCMU", "s16le"),
        ("s16le", "PCMA", "s16le"),
    ],
)
def test_no_call_is_quantised_twice(configured: str, codec: str, encoding: str) -> None:
    one, call = section(encoding=configured), CallFacts(call="c", codec=codec)
    body: dict[str, Any] = request(one, call)
    assert encoding_for(one, call) == encoding
    assert body["transport"]["audioFormat"]["format"] == {"mulaw": "mulaw", "s16le": "pcm_s16le"}[encoding]


def test_options_reach_every_depth_but_not_the_audio_format() -> None:
    options = {
        "customer": {"number": "+34910000001"},
        "assistantOverrides": {"variableValues": {"shop": "Sol"}, "stopSpeakingPlan": {"numWords": 1}},
        "transport": {"conversationType": "voice", "audioFormat": {"sampleRate": 48000}},
    }
    body: dict[str, Any] = request(section(options=options, rate_hz=16000), CALL)
    assert body["customer"] == {"number": "+34910000001"}
    assert body["assistantOverrides"]["variableValues"] == {
        "caller": "+34910000001",
        "dialled": "+34910000002",
        "tier": "gold",
        "shop": "Sol",
    }
    assert body["assistantOverrides"]["stopSpeakingPlan"] == {"numWords": 1}
    assert body["transport"] == {
        "provider": "vapi.websocket",
        "conversationType": "voice",
        "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000},
    }


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"agent": ""}, "agent"),
        ({"options": {"squadId": "s1"}}, "agent"),
        ({"agent": "", "options": {"assistant": {}, "squad": {}}}, "agent"),
        ({"max_duration_s": 5}, "max_duration_s"),
        ({"max_duration_s": 50_000}, "max_duration_s"),
    ],
)
def test_a_section_that_could_never_make_a_call(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(PlatformDenied) as caught:
        Vapi(section(**fields), KEY)
    assert str(caught.value).startswith(f"va: {key}: ")


async def test_a_squad_may_answer_instead_of_an_assistant() -> None:
    one = section(agent="", options={"squadId": "s1"})
    await Vapi(one, KEY).close()
    assert "assistantId" not in request(one, CALL)
    assert request(one, CALL)["squadId"] == "s1"


# --- the official SDK ---------------------------------------------------------------------------------------------


def by_the_sdk(*values: tuple[str, object]) -> list[list[str]]:
    """What VAPI's own Python SDK, read strictly, finds wrong with each."""
    assert INTEROP.exists(), "VAPI's SDK is not installed; `make test` does it"
    done = subprocess.run([INTEROP, CHECK], input=json.dumps(values), capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_the_sdk_finds_nothing_wrong_with_what_we_send() -> None:
    bodies = [
        request(section(), CallFacts(call="c")),
        request(section(encoding="mulaw", greeting="Hi"), CALL),
        request(section(rate_hz=24000, options={"customer": {"name": "Ada"}}), CALL),
    ]
    dialect = DIALECTS["vapi"](FarSpec(platform="va", dialect="vapi"))
    frames = [*dialect.on_open(), *dialect.on_digit("5"), *dialect.goodbye()]
    wrong = {"transport": {"provider": "vapi.websocket", "audioFormat": {"format": "opus", "sampleRate": 8000}}}
    found = by_the_sdk(
        *(("CreateOutboundCallDto", body) for body in bodies),
        *(("ClientInboundMessage", {"message": json.loads(frame)}) for frame in frames),
        ("CreateOutboundCallDto", {"asistantId": "a1"}),
        ("CreateOutboundCallDto", wrong),
        ("ClientInboundMessage", {"message": {"type": "hangup"}}),
    )
    *ours, misspelt, opus, hangup = found
    assert ours == [[]] * 5
    assert misspelt == ["CreateOutboundCallDto: property asistantId should not exist"]
    assert len(opus) == 1
    assert hangup  # the documentation's other word for end-call is not in the SDK: that is why we say end-call


# --- over HTTP ----------------------------------------------------------------------------------------------------


async def created(answer: Answer, **fields: Any) -> tuple[Created, FakeApi]:
    async with fake_api(answer) as api:
        platform = Vapi(section(url=api.url, **fields), KEY)
        try:
            return await platform.create(CALL), api
        finally:
            await platform.close()


@pytest.mark.parametrize(
    "limits", [{}, {"subscriptionLimits": None}, {"subscriptionLimits": {"concurrencyBlocked": False}}]
)
async def test_created(limits: dict[str, object]) -> None:
    made, api = await created(says(201, {**MADE, **limits, "status": "queued", "monitor": None}), encoding="mulaw")
    assert made == Created(FarSpec(platform="va", dialect="vapi", url=JOIN, encoding="mulaw", rate_hz=8000), "7420")
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.headers["authorization"]) == ("POST", "/call", f"Bearer {KEY}")
    assert asked.headers["user-agent"].startswith("Puente/")
    assert asked.body == request(section(encoding="mulaw"), CALL)
    assert JOIN not in repr(made)


@pytest.mark.parametrize(
    "answer",
    [
        says(201, {**MADE, "subscriptionLimits": {"concurrencyBlocked": True, "concurrencyLimit": 10}}),
        says(201, {"id": "7420", "subscriptionLimits": {"concurrencyBlocked": True}}),
        says(400, {"message": "Over Concurrency Limit", "error": "Bad Request", "statusCode": 400}),
    ],
)
async def test_every_way_to_say_that_the_lines_are_taken(answer: Answer) -> None:
    with pytest.raises(PlatformBusy) as caught:
        await created(answer)
    assert caught.value.end().sip_status == 486


@pytest.mark.parametrize(
    ("answer", "error", "said", "retry_s"),
    [
        (
            says(400, {"message": ["property x should not exist"], "statusCode": 400}),
            PlatformDenied,
            "va: 400 property x should not exist",
            0,
        ),
        (says(401, {"message": "Invalid Key."}), PlatformDenied, "va: 401 Invalid Key.", 0),
        (says(402, {"message": "Wallet empty"}), PlatformDenied, "va: 402 Wallet empty", 0),
        (says(403, b"error code: 1010"), PlatformDenied, "va: 403 error code: 1010", 0),
        (says(429, {"message": "Rate limit exceeded"}), PlatformBusy, "va: 429 Rate limit exceeded", 30),
        (says(500, {"message": "Internal server error"}), PlatformDown, "va: 500 Internal server error", 0),
        (
            says(201, {"id": "7420", "transport": {}}),
            PlatformDown,
            "va: nonsense in the answer: Object missing required field `websocketCallUrl` - at `$.transport`",
            0,
        ),
        (
            says(201, {"id": 7, "transport": {"websocketCallUrl": JOIN}}),
            PlatformDown,
            "va: nonsense in the answer: Expected `str`, got `int` - at `$.id`",
            0,
        ),
        (
            says(201, {"id": "1", "transport": {"websocketCallUrl": "secret"}}),
            PlatformDown,
            "va: nonsense in the answer: `transport.websocketCallUrl` is not a ws:// or wss:// address",
            0,
        ),
        (
            says(201, {**MADE, "subscriptionLimits": 10}),
            PlatformDown,
            "va: nonsense in the answer: Expected `object | null`, got `int` - at `$.subscriptionLimits`",
            0,
        ),
    ],
)
async def test_refusals(answer: Answer, error: type[PlatformError], said: str, retry_s: int) -> None:
    with pytest.raises(PlatformError) as caught:
        await created(answer)
    assert (type(caught.value), str(caught.value), caught.value.retry_after_s) == (error, said, retry_s)


async def test_silence() -> None:
    with pytest.raises(PlatformSlow):
        await created(says_nothing, create_timeout_ms=40)


async def test_the_platform_shows_no_secret() -> None:
    platform = Vapi(section(), KEY)
    assert repr(platform) == "<Vapi va>"
    await platform.close()
