from __future__ import annotations

import re
from typing import Any

import pytest

from bridge.config import PlatformSection
from bridge.errors import PlatformDenied
from bridge.platforms import CallFacts
from bridge.platforms.twilio import Twilio, headers, sid, signature, start_of
from media.wire import FarSpec

KEY = "tok/en+1"
URL = "wss://agent.example/media"
CALL = CallFacts(
    call="b-7731", caller="+34910000001", dialled="+34910000002", context={"tier": "gold"}, codec="PCMA", language="es"
)


def section(**fields: Any) -> PlatformSection:
    return PlatformSection(**{"name": "agent", "kind": "twilio", "url": URL, **fields})


def test_the_start_object() -> None:
    start = start_of(section(), CALL)
    assert re.fullmatch("MZ[0-9a-f]{32}", str(start.pop("streamSid")))
    assert start == {
        "accountSid": sid("AC", "agent"),
        "callSid": sid("CA", "b-7731"),
        "customParameters": {
            "from_number": "+34910000001",
            "to_number": "+34910000002",
            "caller": "+34910000001",
            "dialled": "+34910000002",
            "tier": "gold",
            "bridgeCallId": "b-7731",
            "language": "es",
        },
    }


def test_identifiers_have_twilios_shape_and_a_stream_is_never_the_same() -> None:
    assert re.fullmatch("CA[0-9a-f]{32}", sid("CA", "b-7731"))
    assert sid("CA", "b-7731") == sid("CA", "b-7731") != sid("CA", "b-7732")
    assert start_of(section(), CALL)["streamSid"] != start_of(section(), CALL)["streamSid"]


def test_numbers_are_always_there_and_strangers_words_are_cleaned() -> None:
    parameters: Any = start_of(section(), CallFacts(call="c", context={"name": "A\r\nB"}))["customParameters"]
    assert parameters == {"from_number": "", "to_number": "", "name": "A B", "bridgeCallId": "c"}


def test_options_go_into_the_start_object() -> None:
    one = section(options={"accountSid": "AC1", "customParameters": {"tier": "test", "shop": "Sol"}}, language="en")
    start: Any = start_of(one, CallFacts(call="c", caller="+1", context={"tier": "gold"}))
    assert start["accountSid"] == "AC1"
    assert start["customParameters"] == {
        "from_number": "+1",
        "to_number": "",
        "caller": "+1",
        "tier": "test",
        "bridgeCallId": "c",
        "language": "en",
        "shop": "Sol",
    }


async def test_a_call_is_taken_without_asking_anybody() -> None:
    platform = Twilio(section(), "")
    made = await platform.create(CALL)
    spec = made.spec
    assert made.reference == spec.options["callSid"] == sid("CA", "b-7731")
    assert spec == FarSpec(
        platform="agent",
        dialect="twilio",
        url=URL,
        encoding="mulaw",
        rate_hz=8000,
        sends_ahead=True,
        options=start_of(section(), CALL) | {"streamSid": spec.options["streamSid"]},
    )
    assert repr(platform) == "<Twilio agent>"
    await platform.close()
    await platform.close()


def test_how_the_key_is_shown() -> None:
    assert headers(section(), "") == ()
    assert headers(section(), KEY) == (("Authorization", f"Bearer {KEY}"),)
    assert headers(section(auth="url"), KEY) == ()
    assert headers(section(auth="signature"), KEY) == (("X-Twilio-Signature", signature(KEY, URL)),)


async def test_a_key_inside_the_url_is_escaped() -> None:
    made = await Twilio(section(auth="url", url="wss://agent.example/{api_key}/media?k={api_key}"), KEY).create(CALL)
    assert made.spec.url == "wss://agent.example/tok%2Fen%2B1/media?k=tok%2Fen%2B1"
    assert "tok" not in repr(made)


def test_the_signature_is_the_one_that_twilios_own_library_finds() -> None:
    assert signature("tok", "wss://ex.com/ws") == "oE8nAsHgNtwulNW/J1STcVUFYKs="


@pytest.mark.parametrize(
    ("fields", "key", "problem"),
    [
        ({"url": "wss:///media"}, "", "url: not a ws:// or wss:// address"),
        ({"url": "wss://agent.example:99999/"}, "", "url: not a ws:// or wss:// address"),
        ({"url": "wss://agent.example/a b"}, "", "url: not a ws:// or wss:// address"),
        ({}, "to\nken", "the API key holds characters that a header cannot carry"),
        ({"options": {"temperature": 1}}, "", "options: temperature is none of accountSid, customParameters"),
        ({"options": {"accountSid": 7}}, "", "options: accountSid must be a string"),
        ({"options": {"customParameters": {"n": 1}}}, "", "options: customParameters must be a table of strings"),
        ({"options": {"customParameters": "n"}}, "", "options: customParameters must be a table of strings"),
    ],
)
def test_a_section_that_could_never_make_a_call(fields: dict[str, Any], key: str, problem: str) -> None:
    with pytest.raises(PlatformDenied) as caught:
        Twilio(section(**fields), key)
    assert str(caught.value) == f"agent: {problem}"
