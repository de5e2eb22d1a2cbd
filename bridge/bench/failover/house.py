"""The lab as a whole: one bridge with the settings it would have anywhere, and for each case a region of its own."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from bridge.bench.failover.authority import LabCA
from bridge.bench.failover.cases import BACKUP, CASES, PRIMARY, Region
from bridge.bench.failover.names import NameServer
from bridge.bench.failover.network import Network
from bridge.bench.failover.partner import Account, partner
from bridge.bench.rig import START_S, Trouble, child, free_udp_port, last_words, told_port
from bridge.trunks.states import TrunkState

RTP_PORTS = 4000

CONFIG = """\
[sip]
udp_port = {sip_port}
tcp_port = -1
tls_port = {tls_port}
{ca}name_servers = ["{names}"]

[media]
workers = 1
rtp_first_port = {first_port}
rtp_last_port = {last_port}
port_rest_s = 2

[[platforms]]
name = "echo"
kind = "ultravox"
url = "http://127.0.0.1:{platform_port}"
agent = "bench"
client_buffer_ms = 60

[records]
url = "sqlite:///{store}"

[web]
port = 0

[log]
format = "json"
"""
TRUNK = """
[[trunks]]
name = "{name}"
region = "{region}"
role = "{role}"
kind = "register"
registrar = "sip:{host};transport={transport}"
username = "{user}"
password_file = "{password_file}"
prefixes = ["{prefix}"]
price_per_minute = "0.0080"
"""


@dataclass(frozen=True)
class House:
    regions: dict[str, Region]
    web: httpx.AsyncClient
    bridge: asyncio.subprocess.Process
    config: Path

    async def states(self) -> list[TrunkState]:
        return await states(self.web)


def prefix(number: int) -> str:
    """Of the numbers of one region: Mexico City, seven digits follow."""
    return f"+5255{number + 1}"


def trunk_name(region: str, role: str) -> str:
    return f"{region}-{role}"


def trunk_text(region: Region, role: str, password_file: Path) -> str:
    return TRUNK.format(
        name=trunk_name(region.name, role),
        region=region.name,
        role=role,
        host=region.host_name(role),
        transport=region.transport,
        user=region.partners[role].account.user,
        password_file=password_file,
        prefix=prefix(region.number),
    )


@asynccontextmanager
async def region_of(
    name: str, number: int, folder: Path, names: NameServer, authority: LabCA | None
) -> AsyncIterator[Region]:
    """The partners of one case, up, and known to the name server."""
    case = CASES[name]
    base = f"127.0.{30 + number}"
    async with AsyncExitStack() as stack:
        network = Network(f"{base}.1")
        stack.callback(network.close)
        region = Region(name, number, case.transport, folder, network, names, authority)
        account = Account(f"52555{number}000", secrets.token_hex(8))
        for place, machine in enumerate(case.machines):
            door = network.door(machine)
            certificate = None
            if case.transport == "tls" and authority is not None:
                certificate = authority.certificate(region.host_name(machine))
            host, port = door.address
            built = await stack.enter_async_context(
                partner(
                    folder / f"{name}-{machine}",
                    host=f"{base}.{place + 2}",
                    network=f"{host}:{port}",
                    account=account,
                    certificate=certificate,
                )
            )
            door.open(built.address)
            region.partners[machine] = built
        for role in (PRIMARY, BACKUP):
            region.publish(role)
        yield region


@asynccontextmanager
async def house(cases: Sequence[str], folder: Path) -> AsyncIterator[House]:
    """Up, registered everywhere; nothing is left when the block is left. Raises Trouble."""
    _cleared(folder)
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(NameServer())
        has_tls = any(CASES[name].transport == "tls" for name in cases)
        authority = LabCA(folder) if has_tls else None
        regions = {}
        for number, name in enumerate(cases):
            regions[name] = await stack.enter_async_context(region_of(name, number, folder, names, authority))
        far = await stack.enter_async_context(child("bridge.bench.echo_platform", log=folder / "platform.log"))
        config = folder / "bridge.toml"
        config.write_text(_settings(regions, folder, names, authority, await told_port(far, folder / "platform.log")))
        bridge, web = await stack.enter_async_context(serving(config))
        built = House(regions, web, bridge, config)
        await all_up(web)
        yield built


@asynccontextmanager
async def serving(config: Path, token: str = "") -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """A bridge with these settings, which are to include `[web] port = 0`; its log lies beside them."""
    log = config.with_suffix(".log")
    async with child("bridge", "serve", "--config", str(config), log=log) as bridge:
        url = await _ready(bridge, log)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as web:
            yield bridge, web


def _cleared(folder: Path) -> None:
    """Logs and records of the run before are not this one's."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("bridge.*"):
        old.unlink()


def _settings(
    regions: dict[str, Region], folder: Path, names: NameServer, authority: LabCA | None, platform_port: int
) -> str:
    # Below the range from which the kernel hands out ports by itself (32768 and up).
    first_port = random.randrange(12_000, 28_000, 2)
    text = CONFIG.format(
        sip_port=free_udp_port(),
        tls_port=0 if authority else -1,
        ca=f'tls_ca_file = "{authority.file.absolute()}"\n' if authority else "",
        names=names.address,
        first_port=first_port,
        last_port=first_port + RTP_PORTS - 1,
        platform_port=platform_port,
        store=(folder / "bridge.db").absolute(),
    )
    for region in regions.values():
        password_file = (folder / f"{region.name}.password").absolute()
        password_file.write_text(region.primary.account.password)
        password_file.chmod(0o600)
        text += "".join(trunk_text(region, role, password_file) for role in (PRIMARY, BACKUP))
    return text


async def _ready(bridge: asyncio.subprocess.Process, log: Path) -> str:
    """The URL of its web server, when it says that it is ready."""
    assert bridge.stdout is not None
    url = ""
    try:
        async with asyncio.timeout(START_S):
            async for line in bridge.stdout:
                word, _, rest = line.decode().strip().partition(" ")
                url = rest.split()[0] if word == "web" else url
                if word == "ready":
                    return url
    except TimeoutError:
        pass
    raise Trouble(f"the bridge did not start ({last_words(log)})")


async def states(web: httpx.AsyncClient) -> list[TrunkState]:
    answer = await web.get("/v1/trunks")
    return msgspec.json.decode(answer.content, type=dict[str, list[TrunkState]])["trunks"]


async def all_up(web: httpx.AsyncClient) -> None:
    """Every trunk is registered and carries calls."""
    loop = asyncio.get_running_loop()
    until = loop.time() + START_S
    while down := [f"{one.name} ({one.because})" for one in await states(web) if one.state != "up"]:
        if loop.time() > until:
            raise Trouble(f"trunks that did not come up: {', '.join(down)}")
        await asyncio.sleep(0.1)
