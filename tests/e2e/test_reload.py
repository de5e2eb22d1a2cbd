"""The settings read again while calls stand: nothing that stands notices, and what comes next is as the file says."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.helpers.farside import FarSide
from tests.helpers.phone import phone
from tests.helpers.rig import API_KEY, LOOPBACK, Rig, eventually, rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB = """
[web]
port = 0
token_env = "PUENTE_E2E_KEY"
"""
FULL = """
[[trunks]]
name = "narrow"
sources = ["127.0.0.4"]
max_calls = 1
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("bridge"), trunks=LOOPBACK + FULL + WEB) as built:
        built.expected_errors.append("= reload: errors")
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def web(house: Rig) -> AsyncIterator[httpx.AsyncClient]:
    line = next(line for line in house.said if line.startswith("web "))
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=line.split()[1], headers=headers, trust_env=False) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def settings(house: Rig, web: httpx.AsyncClient) -> AsyncIterator[str]:
    """The file as it was, and is again afterwards."""
    path = house.folder / "bridge.toml"
    text = path.read_text()
    yield text
    path.write_text(text)
    assert (await web.post("/v1/reload")).status_code == 200


def write(house: Rig, text: str) -> None:
    (house.folder / "bridge.toml").write_text(text)


async def trunk(web: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await web.get(f"/v1/trunks/{name}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_a_call_stands_while_its_trunk_is_taken_away(house: Rig, web: httpx.AsyncClient, settings: str) -> None:
    async with phone(house.udp) as caller, phone(house.udp) as other, FarSide("127.0.0.7") as partner:
        await caller.call("100")
        added = f'[[trunks]]\nname = "partner"\nhost = "{partner.address}"\nprobe_every_s = 0.5\n'
        kept = settings.replace('name = "loop"\nsources = ["127.0.0.1"]', 'name = "loop"\nsources = ["127.0.0.3"]')
        assert kept != settings
        write(house, kept + added)
        answer = await web.post("/v1/reload")
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "errors": [],
                "added": ["trunk partner"],
                "changed": ["trunk loop"],
                "removed": [],
                "needs_restart": [],
                "problems": [],
            },
        )
        await eventually(lambda: partner.heard["OPTIONS"] >= 2, "probes of the new trunk")
        other.dial("100")  # from an address that is no trunk's any more
        await asyncio.sleep(0.3)
        assert other.peer.inbox == []
        assert await caller.reinvite("sendonly", 2)
        assert (await trunk(web, "partner"))["targets"][0]["is_alive"]
        assert (await trunk(web, "loop"))["calls"] == 1
        await caller.hang_up()
        assert (await house.record(caller.sip_call_id)).reason == "caller-hung-up"


async def test_a_mistake_changes_nothing(house: Rig, web: httpx.AsyncClient, settings: str) -> None:
    write(house, settings.replace('sources = ["127.0.0.1"]', 'sources = ["127.0.0.300"]') + "\n[mdeia]\n")
    answer = await web.post("/v1/reload")
    assert answer.status_code == 422
    assert [error.partition("bridge.toml:")[2].partition(":")[2] for error in answer.json()["errors"]] == [
        " mdeia: unknown key, did you mean `media`?",
    ]
    write(house, settings.replace('sources = ["127.0.0.1"]', 'sources = ["127.0.0.300"]'))
    errors = (await web.post("/v1/reload")).json()["errors"]
    assert len(errors) == 1
    assert "`127.0.0.300` is neither an address nor a CIDR range" in errors[0]
    async with phone(house.udp) as caller:
        await caller.call("100")
        await caller.hang_up()


async def test_sighup_does_the_same_and_ports_wait_for_a_restart(
    house: Rig, web: httpx.AsyncClient, settings: str
) -> None:
    write(house, settings.replace("udp_port = 0", "udp_port = 5099") + '\n[[routes]]\nnumber = "8*"\n')
    os.kill(house.process.pid, signal.SIGHUP)
    await eventually(lambda: [line for line in house.log() if "needs_restart sip.udp_port" in line], "line of the log")
    async with phone(house.udp) as caller:
        await caller.call("800")  # had no route before
        await caller.hang_up()


async def test_one_trunks_crowd_is_not_the_others(house: Rig, web: httpx.AsyncClient) -> None:
    async with (
        phone(house.udp, host="127.0.0.4") as first,
        phone(house.udp, host="127.0.0.4") as second,
        phone(house.udp) as elsewhere,
    ):
        await first.call("100")
        refusal = await second.refused("100")
        assert (refusal.status, refusal["Retry-After"]) == (486, "5")
        await elsewhere.call("100")
        assert (await trunk(web, "narrow"))["refused"] == 1
        metrics = (await web.get("/metrics")).text
        assert 'puente_trunk_calls{region="",trunk="narrow"} 1.0' in metrics
        assert 'puente_trunk_full_total{trunk="narrow"} 1.0' in metrics
        await first.hang_up()
        await elsewhere.hang_up()
        record = await house.record(second.sip_call_id)
        assert (record.reason, record.sip_status, record.detail) == ("trunk-full", 486, "trunk narrow: 1 of 1 calls")
    async with phone(house.udp, host="127.0.0.4") as third:
        await third.call("100")
        await third.hang_up()


async def test_no_such_trunk(web: httpx.AsyncClient) -> None:
    answer = await web.get("/v1/trunks/nobody")
    assert (answer.status_code, answer.json()) == (404, {"error": "no trunk is called 'nobody'"})
    assert [one["name"] for one in (await web.get("/v1/trunks")).json()["trunks"]] == ["loop", "narrow"]
