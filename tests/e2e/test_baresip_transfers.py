"""baresip, a second SIP implementation, transfers calls and is asked to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.helpers.audio import Samples
from tests.helpers.baresip import Baresip, baresip
from tests.helpers.ears import melody, notes
from tests.helpers.rig import LOOPBACK, Rig, eventually, rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB = """
[web]
port = 0
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with rig(tmp_path_factory.mktemp("bridge"), trunks=LOOPBACK + WEB) as built:
        yield built


def hums(hz: int) -> Samples:
    return melody(*((hz, 400), (0, 600)) * 20)


async def hears(phone: Baresip, hz: int) -> None:
    await eventually(lambda: notes(phone.heard(), (hz,)), f"{hz} Hz")


async def test_it_transfers_its_call(bridge: Rig, tmp_path: Path) -> None:
    """REFER of its own: the other phone has the agent (an echo) then, and it is let go."""
    async with (
        baresip(tmp_path / "a", user="alice", says=hums(500)) as alice,
        baresip(tmp_path / "b", user="bob", says=hums(1000)) as bob,
    ):
        await alice.dial(f"sip:100@{bridge.udp[0]}:{bridge.udp[1]}")
        name = await alice.established()
        await hears(alice, 500)
        await alice.command("transfer", bob.uri)
        await bob.established()
        await hears(bob, 1000)
        await alice.closed()
        await bob.hang_up()
        record = await bridge.record(name)
    assert (record.reason, len(bridge.ultravox.calls)) == ("caller-hung-up", 1)
    assert [moment.data["how"] for moment in record.moments if moment.kind == "transfer"] == ["asked-by-peer", "moved"]


@pytest.mark.parametrize("mode", ["blind", "bridge"])
async def test_it_is_transferred(bridge: Rig, tmp_path: Path, mode: str) -> None:
    """Asked by REFER it calls the other itself; joined here, both hear each other."""
    async with (
        baresip(tmp_path / "a", user="alice", says=hums(500)) as alice,
        baresip(tmp_path / "b", user="bob", says=hums(1000)) as bob,
    ):
        await alice.dial(f"sip:100@{bridge.udp[0]}:{bridge.udp[1]}")
        name = await alice.established()
        line = next(line for line in bridge.said if line.startswith("web "))
        async with httpx.AsyncClient(base_url=line.split()[1], trust_env=False) as web:
            [call] = (await web.get("/v1/calls")).json()["calls"]
            answer = await web.post(f"/v1/calls/{call['record']['call']}/transfer", json={"to": bob.uri, "mode": mode})
        assert answer.status_code == 202
        await bob.established()
        await hears(bob, 500)
        if mode == "bridge":
            await hears(alice, 1000)
            await bob.hang_up()
        record = await bridge.record(name)
    assert record.reason == {"blind": "transferred", "bridge": "other-party-hung-up"}[mode]
