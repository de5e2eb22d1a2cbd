"""Regions for tests of calls out: a bridge, and for each test a primary and a backup that no other test calls.

What one test leaves in the health of a trunk must not turn another's call away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bridge.records import CallRecord
from bridge.simulators.audio import Utterance
from bridge.web.house import LiveCall
from tests.helpers.ears import melody
from tests.helpers.partner import Partner, partner
from tests.helpers.phone import Handset
from tests.helpers.rig import Rig, rig

NUMBER = "+525512345678"
REGIONS = 32
"At most so many tests."
TRUNKS = """
[[trunks]]
name = "{region}-1"
region = "{region}"
host = "{primary}"
countries = ["MX"]
price_per_minute = "0.0080"
billing = "60/60"
probe_every_s = 0
max_calls = 1
caller_id = {{ number = "+525500000000" }}

[[trunks]]
name = "{region}-2"
region = "{region}"
host = "{backup}"
role = "backup"
price_per_minute = "0.0150"
billing = "1/1"
probe_every_s = 0
"""
OUTBOUND = """
recording_dir = "{recordings}"

[web]
port = 0

[outbound]
country = "MX"
platforms = ["ultravox", "vapi-mulaw"]
setup_timeout_ms = 1000
ring_timeout_ms = 8000
"""


@dataclass
class Region:
    """A primary and a backup, and the bridge that calls over them."""

    name: str
    house: Rig
    web: httpx.AsyncClient
    primary: Partner
    backup: Partner
    ears: list[Handset] = field(default_factory=list)

    def ear(self, formats: str = "0 101") -> Handset:
        """A telephone's RTP side, closed with the test."""
        self.ears.append(Handset(formats))
        return self.ears[-1]

    async def call(self, key: str = "", **asked: Any) -> str:
        headers = {"Idempotency-Key": f'"{key}"'} if key else {}
        body = {"to": NUMBER, "region": self.name, **asked}
        answer = await self.web.post("/v1/calls", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["call"])

    async def record(self, call: str, within_s: float = 15.0) -> CallRecord:
        """The record of a call that is over, as anybody sees it."""
        return await record_of(self.web, call, within_s)


@dataclass
class Exchange:
    house: Rig
    web: httpx.AsyncClient
    partners: list[tuple[Partner, Partner]]
    used: int = 0

    def region(self) -> Region:
        primary, backup = self.partners[self.used]
        self.used += 1
        return Region(f"r{self.used - 1}", self.house, self.web, primary, backup)


@asynccontextmanager
async def exchange_in(folder: Path) -> AsyncIterator[Exchange]:
    """All of it, for the tests of one file."""
    async with AsyncExitStack() as stack:
        pairs = []
        for number in range(REGIONS):
            one = await stack.enter_async_context(partner(f"127.0.1.{2 * number + 1}"))
            two = await stack.enter_async_context(partner(f"127.0.1.{2 * number + 2}"))
            pairs.append((one, two))
        settings = "".join(
            TRUNKS.format(region=f"r{number}", primary=one.address, backup=two.address)
            for number, (one, two) in enumerate(pairs)
        )
        house = await stack.enter_async_context(rig(folder, media=OUTBOUND.format(recordings=folder), trunks=settings))
        web = await stack.enter_async_context(httpx.AsyncClient(base_url=web_of(house)))
        yield Exchange(house, web, pairs)


def web_of(house: Rig) -> str:
    return next(line.split()[1] for line in house.said if line.startswith("web "))


def utterance(*tones: tuple[int, int]) -> Utterance:
    return Utterance(melody(*tones), 8000, "some words of the agent")


def story(record: CallRecord) -> list[tuple[str, str, int]]:
    return [(one.trunk.partition("-")[2], one.outcome, one.sip_status) for one in record.trunk_attempts]


async def record_of(web: httpx.AsyncClient, call: str, within_s: float) -> CallRecord:
    """Of a call that is over, waited for, as anybody sees it."""
    async with asyncio.timeout(within_s):
        while True:
            answer = await web.get(f"/v1/calls/{call}")
            found = msgspec.json.decode(answer.content, type=LiveCall) if answer.status_code == 200 else None
            if found and found.state == "ended":
                return found.record
            await asyncio.sleep(0.02)
