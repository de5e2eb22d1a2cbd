"""Calls out over a Kamailio that we are registered with: digest, the way back into the dialog, its death and a backup.

Behind the Kamailio is a scripted telephone network; the backup trunk leads to another one. In the end a crowd of calls
goes to SIPp.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bridge.records import CallRecord
from bridge.simulators.part import Part
from tests.helpers.kamailio import Kamailio, kamailio
from tests.helpers.partner import Partner, partner, refuses
from tests.helpers.phone import Handset
from tests.helpers.placed import place
from tests.helpers.region import record_of, utterance, web_of
from tests.helpers.rig import API_KEY, Rig, eventually, free_ports, rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD_ENV = "PUENTE_E2E_TRUNK_PASSWORD"
CROWD = 40
SETTINGS = """
[web]
port = 0

[outbound]
country = "MX"
platforms = ["ultravox"]
setup_timeout_ms = 1500

[[trunks]]
name = "provider"
kind = "register"
registrar = "{registrar}"
username = "100"
password_env = "PUENTE_E2E_TRUNK_PASSWORD"
retry_s = 1
countries = ["MX"]

[[trunks]]
name = "backup"
host = "{backup}"
role = "backup"
countries = ["MX"]

[[trunks]]
name = "crowd"
host = "{crowd}"
prefixes = ["+49"]
probe_every_s = 0
"""


@dataclass(frozen=True)
class Lab:
    house: Rig
    web: httpx.AsyncClient
    registrar: Kamailio
    network: Partner
    backup: Partner
    crowd_port: int
    folder: Path

    async def call(self, **asked: Any) -> str:
        answer = await self.web.post("/v1/calls", json={"to": "+525512345678", **asked})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["call"])

    async def record(self, call: str, within_s: float = 20.0) -> CallRecord:
        return await record_of(self.web, call, within_s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    password, crowd_port = secrets.token_hex(8), free_ports(2)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_ENV, password)
        async with (
            partner("127.0.2.1") as network,
            partner("127.0.2.2") as backup,
            kamailio(folder / "registrar", host="127.0.2.3", password=password, pstn=network.address) as registrar,
            rig(
                folder,
                trunks=SETTINGS.format(registrar=registrar.uri, backup=backup.address, crowd=f"127.0.2.4:{crowd_port}"),
            ) as house,
            httpx.AsyncClient(base_url=web_of(house), timeout=30) as web,
        ):
            words = "= trunk provider is registered"
            await eventually(lambda: [line for line in house.log() if words in line], words)
            yield Lab(house, web, registrar, network, backup, crowd_port, folder)


@pytest_asyncio.fixture(loop_scope="module")
async def lab(built: Lab) -> AsyncIterator[Lab]:
    built.house.well()
    yield built
    await built.house.settled()


def story(record: CallRecord) -> list[tuple[str, str]]:
    return [(one.trunk, one.outcome) for one in record.trunk_attempts]


async def test_answered_behind_a_proxy_that_asks_for_the_password(lab: Lab) -> None:
    """407, the password, a greeting heard through, and our BYE by the way that the proxy has noted."""
    lab.house.ultravox.part = Part(greeting=utterance((880, 400)), listens=False)
    ear = Handset("8 101")
    call = await lab.call(max_duration_s=2)
    dialog, invite = await lab.network.called()
    dialog.respond(invite, 180)
    dialog.respond(invite, 200, sdp=ear.offer())
    await dialog.request("ACK")
    ear.connect(invite.body)
    bye = await dialog.request("BYE")
    dialog.respond(bye, 200)
    record = await lab.record(call)
    heard = [note.hz for note in ear.notes(880)]
    await ear.close()
    assert (record.outcome, record.reason, record.codec) == ("answered", "time-up", "PCMA")
    assert story(record) == [("provider", "answered")]
    assert [one.cseq for one in lab.registrar.heard("INVITE")] == [invite.cseq - 1, invite.cseq]
    assert len(lab.registrar.heard("BYE")) == 1
    assert record.sip_call_id == invite["Call-ID"]
    assert 880 in heard


@pytest.mark.parametrize(("status", "outcome"), [(486, "busy"), (603, "declined")])
async def test_a_callee_who_has_been_reached(lab: Lab, status: int, outcome: str) -> None:
    lab.network.script = refuses(status, rings_first=True)
    record = await lab.record(await lab.call())
    await lab.network.called()
    assert (record.outcome, story(record)) == (outcome, [("provider", outcome)])
    assert lab.backup.invites == []


async def test_the_test_telephone_over_the_same_trunk(lab: Lab) -> None:
    """`puente call` proves itself with the password, and does not take the bridge's registration away."""
    lab.network.script = refuses(486)
    registered = len(lab.registrar.heard("REGISTER"))
    words = ("--config", str(lab.folder / "bridge.toml"), "--trunk", "provider")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUENTE_E2E_KEY", API_KEY)
        placed = await place(lab.folder, "55 1234 5678", *words)
    await lab.network.called()
    assert (placed.status, placed.record["outcome"], placed.record["trunk"]) == (2, "busy", "provider"), placed.said
    ours = {one.source for one in lab.registrar.heard("REGISTER")[registered:]}
    assert ours <= {"{}:{}".format(*lab.house.udp)}


async def test_an_error_of_the_network_behind_it(lab: Lab) -> None:
    """Kamailio makes 500 of the network's 503 (RFC 3261, 16.7): the next trunk, in the same call."""
    lab.network.script = refuses(503)
    lab.backup.script = refuses(486)
    record = await lab.record(await lab.call())
    await lab.network.called()
    await lab.backup.called()
    assert story(record) == [("provider", "trunk-failed"), ("backup", "busy")]


async def test_its_death_costs_the_calls_of_that_moment_a_second(lab: Lab) -> None:
    """Killed: whoever calls now is carried by the backup within the same call; who calls later goes there at once."""
    lab.house.expected_errors = ["trunk provider"]
    lab.backup.script = refuses(486)
    await lab.registrar.stop()
    first = await lab.record(await lab.call())
    assert (first.outcome, story(first)[-1]) == ("busy", ("backup", "busy"))
    await eventually(
        lambda: [line for line in lab.house.log() if "trunk provider is down" in line], "the provider's death"
    )
    before = len(lab.backup.invites)
    later = await lab.record(await lab.call())
    assert story(later) == [("backup", "busy")]
    assert len(lab.backup.invites) == before + 1


async def test_a_crowd(lab: Lab) -> None:
    """So many calls at once, all answered by SIPp and hung up by it; each is in the records once."""
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sn", "uas", "-i", "127.0.2.4", "-p", str(lab.crowd_port), "-m", str(CROWD), "-nostdin"),
        *("-mi", "127.0.2.4", "-mp", str(free_ports(4)[0]), "-timeout", "60s"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=lab.folder,
    )
    try:
        await asyncio.sleep(0.5)
        calls = await asyncio.gather(
            *(lab.call(to=f"+49301234{number:04}", max_duration_s=1) for number in range(CROWD))
        )
        records = [await lab.record(call, within_s=40) for call in calls]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    assert {record.outcome for record in records} == {"answered"}
    assert {record.reason for record in records} == {"time-up"}
    assert len({record.sip_call_id for record in records}) == CROWD
    assert sum(record.trunk == "crowd" for record in lab.house.records()) == CROWD
