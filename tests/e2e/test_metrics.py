"""One whole call, and what of it can be seen from outside: while it stands on /v1, when it is over on /metrics."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from bridge.simulators.audio import Utterance
from bridge.simulators.part import Part
from media.wire import Spread
from tests.helpers.ears import melody
from tests.helpers.phone import phone
from tests.helpers.rig import API_KEY, LOOPBACK, Rig, eventually, rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB = """
[web]
port = 0
token_env = "PUENTE_E2E_KEY"
"""
SPOKEN_MS = 600
Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("bridge"), trunks=LOOPBACK + WEB) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def web(house: Rig) -> AsyncIterator[httpx.AsyncClient]:
    line = next(line for line in house.said if line.startswith("web "))
    async with httpx.AsyncClient(base_url=line.split()[1], trust_env=False) as client:
        yield client


async def scrape(web: httpx.AsyncClient) -> dict[Sample, float]:
    answer = await web.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def scraped(web: httpx.AsyncClient, name: str, at_least: float, **labels: str) -> dict[Sample, float]:
    """The first look at which this sample has come to so much: workers tell theirs once a second."""
    sample: Sample = (name, tuple(sorted(labels.items())))
    async with asyncio.timeout(10):
        while (found := await scrape(web)).get(sample, -1) < at_least:  # noqa: ASYNC110 - nobody tells of a new figure
            await asyncio.sleep(0.05)
    return found


async def test_a_call_is_seen_while_it_stands_and_counted_when_it_is_over(house: Rig, web: httpx.AsyncClient) -> None:
    answer = melody((700, SPOKEN_MS))
    house.ultravox.part = Part(replies=(Utterance(answer, 8000, "yes"),), after="listen")
    known = {"Authorization": f"Bearer {API_KEY}"}
    async with phone(house.udp) as caller:
        await caller.call("100")
        caller.say(melody((440, SPOKEN_MS)))
        await eventually(lambda: any(note.ms > 500 for note in caller.ear.notes(700)), "the agent's answer")

        listed: list[dict[str, Any]] = (await web.get("/v1/calls", headers=known)).json()["calls"]
        assert [(one["state"], one["record"]["sip_call_id"]) for one in listed] == [("talking", caller.sip_call_id)]
        record = listed[0]["record"]
        assert (record["trunk"], record["platform"], record["codec"]) == ("loop", "ultravox", "PCMU")
        assert record["media"]["near"]["received"] > 0
        assert record["media"]["turn_ms"]["count"] == 1
        assert record["moments"] == []
        one = (await web.get(f"/v1/calls/{record['call']}", headers=known)).json()
        assert "first-audio" in {moment["kind"] for moment in one["record"]["moments"]}
        assert one["record"]["media"]["near"]["received"] >= record["media"]["near"]["received"]

        # the worker's own figures hold the running call already
        now = await scraped(web, "puente_turn_seconds_count", 1, worker="media0")
        assert now["puente_calls_in_progress", (("direction", "inbound"), ("platform", "ultravox"))] == 1
        await caller.hang_up()
    written = await house.record(caller.sip_call_id)
    assert written.media
    assert written.media.turn_ms.count == 1
    ended = {"direction": "inbound", "trunk": "loop", "platform": "ultravox"}
    end = ended | {"blame": "success", "reason": "caller-hung-up"}
    found = await scraped(web, "puente_calls_total", 1, **end)
    near, far = written.media.near, written.media.far
    for name, last in (("received", near.received), ("sent", near.sent)):
        found |= await scraped(web, f"puente_rtp_{name}_packets_total", last, worker="media0")

    worker = (("worker", "media0"),)
    assert {name: found[name, worker] for name, labels in found if labels == worker and "_bucket" not in name} == {
        "puente_worker_calls_total": 1,
        "puente_rtp_received_packets_total": near.received,
        "puente_rtp_expected_packets_total": near.expected,
        "puente_rtp_lost_packets_total": near.lost,
        "puente_rtp_sent_packets_total": near.sent,
        "puente_rtp_send_errors_total": near.send_errors,
        "puente_rtp_ssrc_changes_total": near.ssrc_changes,
        "puente_ticks_late_total": near.ticks_late,
        "puente_ticks_skipped_total": near.ticks_skipped,
        "puente_uplink_audio_seconds_total": far.sent_ms / 1000,
        "puente_uplink_filled_seconds_total": far.filled_ms / 1000,
        "puente_uplink_concealed_seconds_total": far.concealed_ms / 1000,
        "puente_downlink_audio_seconds_total": far.received_ms / 1000,
        "puente_downlink_played_seconds_total": far.played_ms / 1000,
        "puente_downlink_underruns_total": far.underruns,
        "puente_downlink_marks_total": far.marks,
        "puente_platform_trouble_total": far.trouble,
        **counted("uplink", written.media.up_ms, found),
        **counted("downlink", written.media.down_ms, found),
        **counted("downlink_queued", written.media.queued_ms, found),
        **counted("barge_in", written.media.barge_in_ms, found),
        **counted("tick_lateness", written.media.tick_late_ms, found),
        **counted("turn", written.media.turn_ms, found),
    }
    assert found["puente_call_setup_seconds_count", (("direction", "inbound"),)] == 1
    assert found["puente_platform_setup_seconds_count", (("outcome", "ready"), ("platform", "ultravox"))] == 1
    assert found["puente_far_connect_seconds_count", ()] == 1
    assert {labels for name, labels in found if name == "puente_calls_in_progress"} == set()
    assert (await web.get("/v1/calls", headers=known)).json() == {"calls": []}
    await house.settled()


def counted(name: str, spread: Spread, found: dict[Sample, float]) -> dict[str, float]:
    """A histogram's two plain samples: as many values as in the record, and the sum as it is."""
    worker = (("worker", "media0"),)
    total = f"puente_{name}_seconds_sum"
    return {f"puente_{name}_seconds_count": spread.count, total: found[total, worker]}


async def test_the_calls_are_shown_to_who_has_the_token_alone(web: httpx.AsyncClient) -> None:
    for path in ("/v1/calls", "/v1/calls/abc"):
        assert (await web.get(path)).status_code == 401
        assert (await web.get(path, headers={"Authorization": "Bearer guess"})).status_code == 401
    missing = await web.get("/v1/calls/abc", headers={"Authorization": f"Bearer {API_KEY}"})
    assert (missing.status_code, missing.json()) == (404, {"error": "there is no such call"})


async def test_health_follows_the_workers(house: Rig, web: httpx.AsyncClient) -> None:
    """Last: the worker that comes back begins to count anew."""
    assert (await web.get("/healthz")).json() == {"status": "ok", "reasons": []}
    [worker] = house.children("media.worker")
    os.kill(worker, signal.SIGKILL)
    answers: list[tuple[int, list[str]]] = []
    async with asyncio.timeout(20):
        while len(answers) < 2 or answers[-1][0] != 200:
            answer = await web.get("/healthz")
            if [answer.status_code] != [status for status, _ in answers[-1:]]:
                answers.append((answer.status_code, answer.json()["reasons"]))
            await asyncio.sleep(0.005)
    assert answers[-2:] == [(503, ["no media worker is up"]), (200, [])]
    found = await scraped(web, "puente_process_up", 1, process="media0")
    assert by_process(found, "puente_process_restarts_total") == {"control": 0, "sip": 0, "media0": 1}
    assert set(by_process(found, "puente_process_cpu_seconds_total")) == {"control", "sip", "media0"}


def by_process(found: dict[Sample, float], name: str) -> dict[str, float]:
    return {dict(labels)["process"]: value for (sample, labels), value in found.items() if sample == name}
