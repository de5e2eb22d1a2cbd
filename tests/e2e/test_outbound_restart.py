"""Calls out with other settings, and over two lives of a bridge on one store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from bridge.simulators.part import Part
from tests.helpers.partner import Partner, partner, refuses
from tests.helpers.phone import Handset
from tests.helpers.region import Region, utterance, web_of
from tests.helpers.rig import eventually, rig

SETTINGS = """
[web]
port = 0

[outbound]
country = "MX"
platforms = ["ultravox"]
connect = "while-ringing"

[[trunks]]
name = "r-1"
region = "r"
host = "{}"
probe_every_s = 0
"""


def region(house: object, web: httpx.AsyncClient, peer: Partner) -> Region:
    return Region("r", house, web, peer, peer)  # type: ignore[arg-type]


async def test_a_key_outlives_the_bridge(tmp_path: Path) -> None:
    async with partner("127.0.3.1") as peer:
        peer.script = refuses(486)
        async with (
            rig(tmp_path, trunks=SETTINGS.format(peer.address)) as house,
            httpx.AsyncClient(base_url=web_of(house)) as web,
        ):
            before = region(house, web, peer)
            call = await before.call("order-1")
            record = await before.record(call)
        peer.remote = ("", 0)  # the next life may have another port
        async with (
            rig(tmp_path, trunks=SETTINGS.format(peer.address)) as house,
            httpx.AsyncClient(base_url=web_of(house)) as web,
        ):
            after = region(house, web, peer)
            assert await after.call("order-1") == call
            assert await after.record(call) == record
            other = await web.post("/v1/calls", json={"to": "+525500000001"}, headers={"Idempotency-Key": "order-1"})
            assert other.status_code == 422
            fresh = await after.call("order-2")
            assert fresh != call
            await after.record(fresh)
        assert len(peer.invites) == 2


async def test_the_agent_is_made_while_it_rings_and_speaks_when_it_is_answered(tmp_path: Path) -> None:
    async with (
        partner("127.0.3.2") as peer,
        rig(tmp_path, trunks=SETTINGS.format(peer.address)) as house,
        httpx.AsyncClient(base_url=web_of(house)) as web,
    ):
        lab = region(house, web, peer)
        house.ultravox.part = Part(greeting=utterance((880, 300), (1320, 300)), listens=False)
        ear = Handset("0 101")
        call = await lab.call()
        dialog, invite = await peer.called()
        await eventually(lambda: len(list(house.ultravox.calls)), "agent")
        await asyncio.sleep(0.5)
        assert house.live_calls() == []  # made, and not joined: it has not begun to speak
        dialog.respond(invite, 200, sdp=ear.offer())
        await dialog.request("ACK")
        ear.connect(invite.body)
        await eventually(lambda: 1320 in [note.hz for note in ear.notes(880, 1320)], "greeting")
        await dialog.hang_up()
        record = await lab.record(call)
        heard = [note.hz for note in ear.notes(880, 1320) if note.hz]
        await ear.close()
    assert heard == [880, 1320]
    assert (record.outcome, [one.outcome for one in record.attempts]) == ("answered", ["ready"])
    assert len(list(house.ultravox.calls)) == 1
