"""Platforms that fail, each in its own way: what the caller is told, what the record says, and that nothing stays."""

from __future__ import annotations

import asyncio

import pytest

from bridge.simulators.account import Account
from bridge.simulators.failures import Failures
from tests.helpers.ears import melody
from tests.helpers.phone import phone
from tests.helpers.rig import Rig, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ULTRAVOX, VAPI, NOBODY, ULTRAVOX_THEN_VAPI, NOBODY_THEN_ULTRAVOX = "1", "2", "4", "5", "6"
ACCOUNTS = {ULTRAVOX: "ultravox", VAPI: "vapi"}


def account_of(bridge: Rig, number: str) -> Account:
    return bridge.ultravox if number == ULTRAVOX else bridge.vapi


REST = [
    # how it fails                          status, Retry-After, reason
    (Failures(rest="status", status=401), 480, "", "platform-denied"),
    (Failures(rest="status", status=402), 480, "", "platform-denied"),
    (Failures(rest="status", status=429, retry_after_s=7), 486, "7", "platform-busy"),
    (Failures(rest="status", status=500), 503, "5", "platform-down"),
    (Failures(rest="status", status=503, retry_after_s=9), 503, "9", "platform-down"),
    (Failures(rest="nonsense"), 503, "5", "platform-down"),
    (Failures(rest="never"), 503, "5", "platform-slow"),
]
SOCKET = [
    (Failures(socket="refuse", upgrade_status=403), 503, "5", "platform-down"),
    (Failures(socket="close"), 503, "5", "platform-down"),
]


def failure_id(value: object) -> str | None:
    if not isinstance(value, Failures):
        return None
    return f"rest {value.rest} {value.status}" if value.rest else f"socket {value.socket}"


@pytest.mark.parametrize("number", [ULTRAVOX, VAPI], ids=["ultravox", "vapi"])
@pytest.mark.parametrize(("failures", "status", "retry_after", "reason"), REST + SOCKET, ids=failure_id)
async def test_cause_becomes_sip_answer(
    bridge: Rig, number: str, failures: Failures, status: int, retry_after: str, reason: str
) -> None:
    account_of(bridge, number).failures = failures
    async with phone(bridge.udp) as caller:
        answer = await caller.refused(number)
        record = await bridge.record(caller.sip_call_id)
    assert (answer.status, answer["Retry-After"]) == (status, retry_after)
    assert (record.blame, record.reason, record.sip_status) == ("upstream_error", reason, status)
    assert [attempt.outcome for attempt in record.attempts] == [reason]
    assert (record.duration_s, record.codec) == (0.0, "")


async def test_concurrency_limit_of_vapi(bridge: Rig) -> None:
    """201, but the call is only queued over there: for a caller that is busy."""
    bridge.vapi.failures = Failures(rest="blocked")
    async with phone(bridge.udp) as caller:
        answer = await caller.refused(VAPI)
        record = await bridge.record(caller.sip_call_id)
    assert (answer.status, record.reason) == (486, "platform-busy")


async def test_nobody_listens_there(bridge: Rig) -> None:
    async with phone(bridge.udp) as caller:
        answer = await caller.refused(NOBODY)
        record = await bridge.record(caller.sip_call_id)
    assert (answer.status, answer["Retry-After"]) == (503, "5")
    assert [(attempt.platform, attempt.outcome) for attempt in record.attempts] == [("nobody", "platform-down")]


@pytest.mark.parametrize(
    ("failures", "reason"),
    [
        (Failures(rest="status", status=402), "platform-denied"),
        (Failures(rest="status", status=429), "platform-busy"),
        (Failures(rest="never"), "platform-slow"),
        (Failures(socket="refuse"), "platform-down"),
    ],
    ids=failure_id,
)
async def test_next_platform_takes_the_call(bridge: Rig, failures: Failures, reason: str) -> None:
    """Inside the same ringing: the caller hears nothing of it, and talks."""
    bridge.ultravox.failures = failures
    async with phone(bridge.udp) as caller:
        await caller.call(ULTRAVOX_THEN_VAPI)
        caller.say(melody((800, 200)))
        await eventually(lambda: caller.ear.notes(800), "own tone")
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
    outcomes = [(attempt.platform, attempt.outcome) for attempt in record.attempts]
    assert outcomes == [("ultravox", reason), ("vapi-mulaw", "ready")]
    assert (record.platform, record.reason) == ("vapi-mulaw", "caller-hung-up")


async def test_next_platform_after_one_that_is_gone(bridge: Rig) -> None:
    async with phone(bridge.udp) as caller:
        await caller.call(NOBODY_THEN_ULTRAVOX)
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
    outcomes = [(attempt.platform, attempt.outcome) for attempt in record.attempts]
    assert outcomes == [("nobody", "platform-down"), ("ultravox", "ready")]


async def test_all_platforms_fail(bridge: Rig) -> None:
    """Told is the most hopeful cause: who is busy may have time in a minute, who denies us will not."""
    bridge.ultravox.failures = Failures(rest="status", status=401)
    bridge.vapi.failures = Failures(rest="status", status=429, retry_after_s=3)
    async with phone(bridge.udp) as caller:
        answer = await caller.refused(ULTRAVOX_THEN_VAPI)
        record = await bridge.record(caller.sip_call_id)
    assert (answer.status, answer["Retry-After"]) == (486, "3")
    assert [attempt.outcome for attempt in record.attempts] == ["platform-denied", "platform-busy"]


@pytest.mark.parametrize("number", [ULTRAVOX, VAPI], ids=["ultravox", "vapi"])
async def test_platform_lost_in_mid_call(bridge: Rig, number: str) -> None:
    """The connection breaks without a close frame: BYE, and the platform has the blame."""
    account_of(bridge, number).failures = Failures(socket="drop", after_ms=400)
    async with phone(bridge.udp) as caller:
        await caller.call(number)
        await caller.hears_bye()
        record = await bridge.record(caller.sip_call_id)
        assert caller.ear.breaks() == []
    assert (record.blame, record.reason, record.sip_status) == ("upstream_error", "platform-lost", 0)
    assert record.duration_s > 0


@pytest.mark.parametrize("number", [ULTRAVOX, VAPI], ids=["ultravox", "vapi"])
async def test_text_where_audio_is_due(bridge: Rig, number: str) -> None:
    """The call stands, the caller hears silence, the nonsense is counted."""
    account_of(bridge, number).failures = Failures(socket="text", after_ms=200)
    async with phone(bridge.udp) as caller:
        await caller.call(number)
        await asyncio.sleep(0.6)
        await caller.hang_up()
        assert caller.ear.breaks() == []
        record = await bridge.record(caller.sip_call_id)
    assert record.reason == "caller-hung-up"
    assert record.media
    assert record.media.far.trouble > 5
    assert len([one for one in record.moments if one.kind == "trouble"]) <= 10


async def test_platform_that_falls_silent(bridge: Rig) -> None:
    """Its socket stays up: the caller's stream runs on with silence, and he may hang up as ever."""
    bridge.ultravox.failures = Failures(socket="silent", after_ms=300)
    async with phone(bridge.udp) as caller:
        await caller.call(ULTRAVOX)
        caller.say(melody((800, 1000)))
        await eventually(lambda: caller.ear.has_spoken, "end of the words")
        await caller.hang_up()
        assert caller.ear.heard[-1].is_silent
        assert caller.ear.breaks() == []
        assert (await bridge.record(caller.sip_call_id)).reason == "caller-hung-up"


async def test_platform_that_stalls(bridge: Rig) -> None:
    """Half a second of nothing, then all of it at once: everything is played, and the stream has no jump."""
    bridge.vapi.failures = Failures(socket="stall", after_ms=500, stall_ms=300)
    async with phone(bridge.udp) as caller:
        await caller.call(VAPI)
        await asyncio.sleep(0.9)
        caller.say(melody((800, 200)))
        await eventually(lambda: caller.ear.notes(800), "own tone")
        await caller.hang_up()
        assert caller.ear.breaks() == []


async def test_caller_gives_up_while_a_platform_is_asked(bridge: Rig) -> None:
    """The platform answers late, to nobody: its call is left to its own time-out, no socket is opened."""
    bridge.ultravox.failures = Failures(rest="never")
    async with phone(bridge.udp) as caller:
        caller.dial(ULTRAVOX)
        await caller.dialog.response("INVITE", final=False)
        caller.dialog.cancel()
        assert (await caller.dialog.cancelled()).status == 200
        assert (await caller.dialog.response("INVITE")).status == 487
        caller.dialog.ack(rejected=True)
        record = await bridge.record(caller.sip_call_id)
    assert (record.reason, record.sip_status, record.blame) == ("caller-cancelled", 487, "client_error")
    assert [(attempt.platform, attempt.outcome) for attempt in record.attempts] == [("ultravox", "caller-cancelled")]
