"""configs/three-regions.toml as it stands, names and addresses apart, with a Kamailio for each of its six partners:
calls in over every one, calls out over the right one, and over the backup when a primary is dead."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest
import pytest_asyncio

from bridge.bench.failover.authority import LabCA
from bridge.bench.failover.house import all_up, serving, states
from bridge.bench.failover.names import NameServer
from bridge.bench.failover.network import Call, Network
from bridge.bench.failover.partner import Account, Partner, free_port, partner
from bridge.bench.failover.talk import Metronome
from bridge.bench.rig import child, told_port
from bridge.web.house import LiveCall
from tests.helpers.rig import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = Path(__file__).parents[2] / "configs" / "three-regions.toml"
BASE = "127.0.45"
US = "127.0.0.1"
SECRETS = ("LATAM_PASSWORD", "NORTH_AMERICA_PASSWORD", "EUROPE_PASSWORD")
KEYS = ("ULTRAVOX_API_KEY", "VAPI_API_KEY", "PUENTE_WEB_TOKEN")

DIDS = {
    "latam": "+525550001001",
    "north-america": "+12125550100",
    "europe": "+4930000100",
}
CALLEES = {"latam": "+525587654321", "north-america": "+12125559999", "europe": "+4930987654"}


@dataclass
class Lab:
    network: Network
    partners: dict[str, Partner]
    web: httpx.AsyncClient

    async def out(self, region: str) -> Call:
        """A call to that region's callee, answered and over."""
        number = CALLEES[region]
        call = self.network.expect(number, time.monotonic())
        self.network.expected[number.lstrip("+")] = call  # one of them wants it without
        answer = await self.web.post("/v1/calls", json={"to": number})
        assert answer.status_code == 201, answer.text
        await eventually(lambda: call.answered_s, f"answer of {region}", 15)
        await self.ended(answer.json()["call"])
        return call

    async def ended(self, call: str) -> LiveCall:
        async with asyncio.timeout(15):
            while True:
                found = msgspec.json.decode((await self.web.get(f"/v1/calls/{call}")).content, type=LiveCall)
                if found.state == "ended":
                    return found
                await asyncio.sleep(0.05)


def settings(folder: Path, lab: dict[str, str]) -> str:
    """The file, its world replaced by ours."""
    text = CONFIG.read_text()
    port = lab["port"]
    changes: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
        (r'host = "0\.0\.0\.0"\npublic_host = "198\.51\.100\.10" .*\n', f"udp_port = {port}\ntcp_port = {port}\n"),
        (r'host = "0\.0\.0\.0"\npublic_host = "198\.51\.100\.10"\n', ""),
        (r"tls_port = 5061 .*", f'tls_port = 0\ntls_ca_file = "{lab["ca"]}"\nname_servers = ["{lab["names"]}"]'),
        (r"203\.0\.113\.20:5060", lab["latam-backup"]),
        (r'"203\.0\.113\.16/28"', f'"{BASE}.3"'),
        (r'"192\.0\.2\.32/27"', f'"{BASE}.4"'),
        (r'host = "203\.0\.113\.40"', f'host = "{lab["europe-backup"]}"'),
        (r'"203\.0\.113\.40", "203\.0\.113\.41"', f'"{BASE}.7"'),
        (r"sip\.na-two\.example:5060", f"sip.na-two.example:{lab['north-america-backup'].rpartition(':')[2]}"),
        (r"(api_key_env = .*)", lambda found: f'{found[1]}\nurl = "http://{US}:{lab["platform"]}"'),
        (r"sqlite:///puente\.db", f"sqlite:///{folder / 'puente.db'}"),
        (r"port = 8080", "port = 0"),
    ]
    for pattern, with_what in changes:
        text, count = re.subn(pattern, with_what, text)
        assert count, f"{pattern} is not in {CONFIG.name}"
    return text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder = tmp_path_factory.mktemp("regions")
    ours = str(free_port(US))
    passwords = {name: secrets.token_hex(8) for name in (*SECRETS, *KEYS)}
    accounts = {
        "latam-primary": Account("5255000100", passwords["LATAM_PASSWORD"]),
        "latam-backup": Account(peer=f"{US}:{ours}"),
        "north-america-primary": Account(peer=f"{US}:{ours};transport=tcp"),
        "north-america-backup": Account("acct-77120", passwords["NORTH_AMERICA_PASSWORD"]),
        "europe-primary": Account("4930000100", passwords["EUROPE_PASSWORD"]),
        "europe-backup": Account(peer=f"{US}:{ours}"),
    }
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in passwords.items():
            patch.setenv(name, value)
        network, names, authority = Network(f"{BASE}.1"), await stack.enter_async_context(NameServer()), LabCA(folder)
        stack.callback(network.close)
        partners = {}
        for number, (name, account) in enumerate(accounts.items()):
            door = network.door(name)
            host, port = door.address
            certificate = authority.certificate("sip.latam-one.example") if name == "latam-primary" else None
            built = partner(
                folder / name,
                host=f"{BASE}.{number + 2}",
                network=f"{host}:{port}",
                account=account,
                certificate=certificate,
            )
            partners[name] = await stack.enter_async_context(built)
            door.open(partners[name].address)
        publish(names, partners)
        far = await stack.enter_async_context(child("bridge.bench.echo_platform", log=folder / "platform.log"))
        world = {name: f"{one.host}:{one.port}" for name, one in partners.items()} | {
            "port": ours,
            "ca": str(authority.file),
            "names": names.address,
            "platform": str(await told_port(far, folder / "platform.log")),
        }
        config = folder / "three-regions.toml"
        config.write_text(settings(folder, world))
        _, web = await stack.enter_async_context(serving(config, passwords["PUENTE_WEB_TOKEN"]))
        await all_up(web)
        beat = asyncio.create_task(Metronome(network.poll).run())
        yield Lab(network, partners, web)
        beat.cancel()


def publish(names: NameServer, partners: dict[str, Partner]) -> None:
    for name, service, who in (
        ("sip.latam-one.example", "_sips._tcp", "latam-primary"),
        ("sip.na-one.example", "_sip._tcp", "north-america-primary"),
        ("sip.eu-one.example", "_sip._tcp", "europe-primary"),
    ):
        port = partners[who].tls_port if service == "_sips._tcp" else partners[who].port
        names.put(f"{service}.{name}", "SRV", f"10 5 {port} edge.{name}.")
        names.put(f"edge.{name}", "A", partners[who].host)
    names.put("sip.na-two.example", "A", partners["north-america-backup"].host)


async def test_all_six_carry_calls(lab: Lab) -> None:
    found = {one.name: (one.state, one.registration, one.targets[0].transport) for one in await states(lab.web)}
    assert found == {
        "latam-primary": ("up", "registered", "tls"),
        "latam-backup": ("up", "", "udp"),
        "north-america-primary": ("up", "", "tcp"),
        "north-america-backup": ("up", "registered", "udp"),
        "europe-primary": ("up", "registered", "tcp"),
        "europe-backup": ("up", "", "udp"),
    }


async def test_calls_come_in_over_all_at_once_and_find_their_route(lab: Lab) -> None:
    calls = {
        f"{region}-{role}": lab.network.place(did, (f"{region}-{role}",), time.monotonic())
        for region, did in DIDS.items()
        for role in ("primary", "backup")
    }
    await eventually(lambda: all(call.answered_s or call.why for call in calls.values()), "end of the ringing", 15)
    assert {name: call.via or call.why for name, call in calls.items()} == {name: name for name in calls}


@pytest.mark.parametrize("region", DIDS)
async def test_calls_go_out_over_the_regions_primary_and_its_backup_when_that_is_dead(lab: Lab, region: str) -> None:
    first = await lab.out(region)
    assert first.via == f"{region}-primary"
    await lab.partners[f"{region}-primary"].kill()
    second = await lab.out(region)
    assert second.via == f"{region}-backup"
