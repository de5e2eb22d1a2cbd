"""Partners that die, come back, refuse our password or move: a whole bridge with calls up, and calls asked for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from bridge.bench.failover.names import NameServer
from bridge.records import CallRecord
from bridge.web.house import LiveCall
from tests.helpers.partner import Partner, partner
from tests.helpers.registrar import challenge
from tests.helpers.rig import LOOPBACK, Rig, eventually, rig
from tests.helpers.sippeer import Dialog, SipMessage, SipPeer, sdp

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRUNKS = """
[[trunks]]
name = "primary"
region = "flaky"
host = "{primary}"
probe_every_s = 0.5

[[trunks]]
name = "backup"
region = "flaky"
host = "{backup}"
role = "backup"
probe_every_s = 0.5

[[trunks]]
name = "moving"
region = "moving"
host = "sip.moving.example"
probe_every_s = 0.5

[[trunks]]
name = "wrong-password"
region = "denied"
kind = "register"
registrar = "sip:{denying}"
username = "us"
password_env = "PUENTE_E2E_KEY"
retry_s = 1

[[trunks]]
name = "nobody-there"
region = "denied"
kind = "register"
registrar = "sip:127.0.0.9:9"
username = "us"
password_env = "PUENTE_E2E_KEY"
retry_s = 1

[web]
port = 0

[outbound]
setup_timeout_ms = 1000
"""


async def answers(peer: Partner, dialog: Dialog, invite: SipMessage) -> None:
    """And holds the call until it is hung up."""
    dialog.respond(invite, 180)
    dialog.respond(invite, 200, sdp=sdp(port=40020))
    await dialog.request("ACK")
    dialog.respond(await dialog.request("BYE", within_s=60.0), 200)


class Stage:
    def __init__(self, house: Rig, web: httpx.AsyncClient, names: NameServer, *peers: Partner) -> None:
        self.house, self.web, self.names = house, web, names
        self.primary, self.backup, self.old, self.new = peers
        for peer in peers:
            peer.script = answers

    async def call(self, region: str) -> str:
        answer = await self.web.post("/v1/calls", json={"to": "+525512345678", "region": region})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["call"])

    async def look(self, call: str) -> LiveCall:
        return msgspec.json.decode((await self.web.get(f"/v1/calls/{call}")).content, type=LiveCall)

    async def answered(self, call: str) -> CallRecord:
        async with asyncio.timeout(10):
            while not (found := await self.look(call)).record.answered_at:
                assert found.state != "ended", found.record
                await asyncio.sleep(0.02)
        return found.record

    async def hang_up(self, call: str) -> None:
        assert (await self.web.delete(f"/v1/calls/{call}")).status_code == 202

    async def trunk(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.web.get(f"/v1/trunks/{name}")).json()
        return found

    async def becomes(self, name: str, key: str, value: str, within_s: float = 20.0) -> dict[str, Any]:
        async with asyncio.timeout(within_s):
            while (found := await self.trunk(name))[key] != value:  # noqa: ASYNC110 (asked over HTTP: nothing tells)
                await asyncio.sleep(0.05)
        return found

    def events(self, trunk: str) -> list[str]:
        with closing(sqlite3.connect(self.house.records_path)) as database:
            query = "select kind from trunk_events where trunk = ? order by at, rowid"
            return [kind for (kind,) in database.execute(query, (trunk,))]


async def deny(peer: SipPeer) -> None:
    """A registrar that knows us and believes no password: challenged, then 403."""
    while True:
        dialog, request = await peer.accept("REGISTER", within_s=60.0)
        if request["Authorization"]:
            dialog.respond(request, 403, "Forbidden")
        else:
            challenge(dialog, request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with (
        partner("127.0.2.1") as primary,
        partner("127.0.2.2") as backup,
        partner("127.0.2.3") as old,
        partner("127.0.2.4") as new,
        await SipPeer.udp(host="127.0.2.5") as denying,
        NameServer() as names,
    ):
        names.put("_sip._udp.sip.moving.example", "SRV", f"10 0 {old.local[1]} old.example.", ttl_s=1)
        names.put("old.example", "A", old.local[0], ttl_s=1)
        names.put("new.example", "A", new.local[0], ttl_s=1)
        registrar = asyncio.create_task(deny(denying))
        trunks = TRUNKS.format(primary=primary.address, backup=backup.address, denying=denying.address)
        folder = tmp_path_factory.mktemp("trunks")
        ask = f'name_servers = ["{names.address}"]'
        # Nobody here sends audio.
        async with rig(folder, trunks=LOOPBACK + trunks, sip=ask, quiet_after_ms=60_000) as house:
            web = next(line.split()[1] for line in house.said if line.startswith("web "))
            async with httpx.AsyncClient(base_url=web, trust_env=False) as client:
                yield Stage(house, client, names, primary, backup, old, new)
            await house.settled()
        registrar.cancel()
        await asyncio.gather(registrar, return_exceptions=True)


async def test_the_primary_vanishes_with_calls_up_and_comes_back(stage: Stage) -> None:
    standing = await stage.call("flaky")
    assert (await stage.answered(standing)).trunk == "primary"
    stage.primary.is_silent = True
    at_once = await stage.call("flaky")  # before anybody can have noticed
    record = await stage.answered(at_once)
    assert [(one.trunk, one.outcome) for one in record.trunk_attempts] in (
        [("primary", "setup-timeout"), ("backup", "answered")],
        [("backup", "answered")],
    )
    await stage.becomes("primary", "state", "down", within_s=5.0)
    next_one = await stage.answered(await stage.call("flaky"))
    assert [(one.trunk, one.outcome) for one in next_one.trunk_attempts] == [("backup", "answered")]
    assert (await stage.look(standing)).state == "talking"
    health = (await stage.web.get("/healthz")).json()
    assert health["status"] == "ok"
    assert any("trunk primary is down: " in warning for warning in health["warnings"])

    stage.primary.is_silent = False
    await stage.becomes("primary", "state", "half-open", within_s=20.0)
    back = await stage.answered(await stage.call("flaky"))
    assert [(one.trunk, one.outcome) for one in back.trunk_attempts] == [("primary", "answered")]
    assert any("on trial" in reason for reason in back.trunk_attempts[0].because)
    await stage.becomes("primary", "state", "up", within_s=20.0)
    assert (await stage.look(standing)).state == "talking"
    for call in (standing, at_once, next_one.call, back.call):
        await stage.hang_up(call)
    await eventually(lambda: not stage.house.live_calls(), "end of the calls")
    await eventually(lambda: "up" in stage.events("primary"), "events on the disk")
    kinds = [kind for kind in stage.events("primary") if not kind.startswith("target")]
    assert kinds == ["down", "half-open", "up"]
    assert stage.events("backup") == []


async def test_a_wrong_password_is_told_apart_from_a_dead_partner(stage: Stage) -> None:
    denied = await stage.becomes("wrong-password", "registration", "refused")
    dead = await stage.becomes("nobody-there", "registration", "unreachable")
    assert [one["state"] for one in (denied, dead)] == ["down", "down"]
    assert denied["because"].startswith("registration refused: 403 Forbidden")
    assert "registration unreachable: " in dead["because"]
    answer = await stage.web.post("/v1/calls", json={"to": "+525512345678", "trunk": "wrong-password"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "registration refused: 403 Forbidden" in answer.json()["error"]
    await eventually(lambda: "refused" in stage.events("wrong-password"), "event")
    assert "unreachable" in stage.events("nobody-there")
    metrics = (await stage.web.get("/metrics")).text
    assert 'puente_trunk_up{region="denied",trunk="wrong-password"} 0.0' in metrics


async def test_calls_follow_a_name_that_moves(stage: Stage) -> None:
    first = await stage.answered(await stage.call("moving"))
    assert stage.old.local[0] in first.trunk_attempts[0].target
    stage.names.put("_sip._udp.sip.moving.example", "SRV", f"10 0 {stage.new.local[1]} new.example.", ttl_s=1)
    await eventually(lambda: "target-changed" in stage.events("moving"), "another address")
    second = await stage.answered(await stage.call("moving"))
    assert stage.new.local[0] in second.trunk_attempts[0].target
    assert (await stage.look(first.call)).state == "talking"
    for record in (first, second):
        await stage.hang_up(record.call)
    await eventually(lambda: not stage.house.live_calls(), "end of the calls")
