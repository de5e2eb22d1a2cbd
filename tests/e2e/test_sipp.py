"""SIPp, an independent SIP implementation, plays whole calls against the bridge; each scenario says what it proves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.simulators.audio import tone_utterance
from bridge.simulators.failures import Failures
from bridge.simulators.part import Part
from tests.helpers.rig import Rig, eventually
from tests.helpers.sipp import Transport, sipp

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ends(bridge: Rig, before: int, calls: int = 1) -> set[tuple[str, int]]:
    """How the calls since then have ended, once all of them are in the book."""
    await eventually(lambda: len(bridge.records()) >= before + calls, f"{calls} records")
    new = bridge.records()[before:]
    assert len(new) == calls
    return {(record.reason, record.sip_status) for record in new}


@pytest.mark.parametrize("scenario", ["normal", "no_sdp", "hold", "options", "info_dtmf"])
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["udp", "tcp"])
async def test_call_that_the_caller_ends(bridge: Rig, tmp_path: Path, scenario: str, transport: Transport) -> None:
    before = len(bridge.records())
    await sipp(scenario, bridge.udp if transport == "u1" else bridge.tcp, tmp_path, transport=transport)
    assert await ends(bridge, before) == {("caller-hung-up", 0)}
    media = bridge.records()[-1].media
    assert media
    assert media.near.received > 0
    assert (media.near.lost, media.near.malformed, media.near.wrong_payload_type) == (0, 0, 0)


async def test_answer_in_the_ack_decides_the_codec(bridge: Rig, tmp_path: Path) -> None:
    before = len(bridge.records())
    await sipp("no_sdp", bridge.udp, tmp_path)
    await ends(bridge, before)
    assert bridge.records()[-1].codec == "PCMA"


async def test_keys_by_info_reach_the_platform(bridge: Rig, tmp_path: Path) -> None:
    before = len(bridge.records())
    await sipp("info_dtmf", bridge.udp, tmp_path)
    await ends(bridge, before)
    texts = [json.loads(text) for text in list(bridge.ultravox.calls)[-1].received_texts]
    assert [message["text"] for message in texts if message["type"] == "user_text_message"] == ["5", "#"]
    digits = [(one.text, one.data["how"]) for one in bridge.records()[-1].moments if one.kind == "digit"]
    assert digits == [("5", "info"), ("#", "info")]


async def test_cancel_while_it_rings(bridge: Rig, tmp_path: Path) -> None:
    """The platform does not answer its REST request: it rings until the caller gives up."""
    bridge.ultravox.failures = Failures(rest="never")
    before = len(bridge.records())
    await sipp("cancel", bridge.udp, tmp_path)
    assert await ends(bridge, before) == {("caller-cancelled", 487)}


async def test_answer_is_repeated_until_the_ack(bridge: Rig, tmp_path: Path) -> None:
    before = len(bridge.records())
    await sipp("lost_ack", bridge.udp, tmp_path, "-nr")
    assert await ends(bridge, before) == {("caller-hung-up", 0)}


async def test_methods_we_do_not_serve(bridge: Rig, tmp_path: Path) -> None:
    before = len(bridge.records())
    await sipp("wrong_method", bridge.udp, tmp_path)
    assert len(bridge.records()) == before


async def test_platform_hangs_up(bridge: Rig, tmp_path: Path) -> None:
    bridge.ultravox.part = Part(greeting=tone_utterance(880, 300), listens=False, after="hang-up")
    before = len(bridge.records())
    await sipp("bye_from_bridge", bridge.udp, tmp_path)
    assert await ends(bridge, before) == {("platform-hung-up", 0)}


async def test_a_hundred_short_calls(bridge: Rig, tmp_path: Path) -> None:
    """Twenty new calls a second: each answered, each with audio, each in the book, and nothing left of them."""
    before = len(bridge.records())
    await sipp("normal", bridge.udp, tmp_path, calls=100, per_second=20)
    assert await ends(bridge, before, 100) == {("caller-hung-up", 0)}
    reports = [record.media.near for record in bridge.records()[before:] if record.media]
    assert len(reports) == 100
    assert all(near.received > 0 and near.lost == 0 for near in reports)
