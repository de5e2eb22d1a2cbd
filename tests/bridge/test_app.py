"""The roof: the whole of it up and down, and reloaded in between."""

from __future__ import annotations

import asyncio
import os
from decimal import InvalidOperation
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest

from bridge.app import Bridge, CountedRecords
from bridge.children import ChildFailed
from bridge.config import (
    Config,
    MediaSection,
    PlatformSection,
    RecordsSection,
    SipSection,
    TrunkSection,
    WebSection,
    load,
)
from bridge.records import CallRecord, Cost
from bridge.web.server import WebFailed
from tests.fakes import STARTED_AT, FakeRecords

ONE = PlatformSection(name="one", kind="ultravox", url="http://127.0.0.1:9", prompt="Be kind.")


def config(tmp_path: Path, **sip_keys: int) -> Config:
    return Config(
        sip=SipSection(max_calls=4, **{"udp_port": 0, "tcp_port": -1, **sip_keys}),  # type: ignore[arg-type]
        media=MediaSection(workers=1, rtp_first_port=32000, rtp_last_port=32019),
        trunks=(TrunkSection(name="local", sources=("127.0.0.1",)),),
        platforms=(ONE,),
        records=RecordsSection(url=f"sqlite:///{tmp_path / 'puente.db'}"),
    )


async def test_an_answered_call_is_written_with_what_it_has_cost() -> None:
    records = FakeRecords()
    counted: list[CallRecord] = []
    asked: list[tuple[str, float]] = []

    def cost(trunk: str, seconds: float) -> Cost:
        asked.append((trunk, seconds))
        return Cost(currency="USD", per_minute="0.01", billing="1/1", billed_s=9, amount="0.0015")

    calls = [CallRecord(call=call, direction="outbound", started_at=STARTED_AT, trunk="t") for call in "ab"]
    calls[0].answered_at, calls[0].duration_s = STARTED_AT, 8.5
    kept = CountedRecords(cast(Any, records), cost, counted.append)
    for call in calls:
        await kept.begin(call)
        await kept.end(call)
    assert asked == [("t", 8.5)]
    assert [call.cost is not None for call in records.written] == [True, False]
    assert counted == calls


async def test_a_price_that_cannot_be_told_does_not_keep_a_call_from_its_end() -> None:
    def cost(trunk: str, seconds: float) -> Cost:
        raise InvalidOperation

    records, counted = FakeRecords(), list[CallRecord]()
    call = CallRecord(call="a", direction="outbound", started_at=STARTED_AT, answered_at=STARTED_AT)
    await CountedRecords(cast(Any, records), cost, counted.append).end(call)
    assert records.written == counted == [call]
    assert call.cost is None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_up_and_down_leaves_no_process_behind(tmp_path: Path) -> None:
    async with asyncio.timeout(60), Bridge(config(tmp_path), {}) as bridge:
        pids = [bridge.line.child.pid, *(worker.child.pid for worker in bridge.pool.workers)]
        assert all(is_alive(pid) for pid in pids)
        assert bridge.line.started is not None
        assert bridge.describe() == [
            f"sip        127.0.0.1:{bridge.line.started.udp_port} udp",
            "media      1 worker, RTP 127.0.0.1:32000-32019",
            "platforms  one (ultravox, http://127.0.0.1:9)",
            "trunks     local (peer, 127.0.0.1)",
            f"records    sqlite:///{tmp_path / 'puente.db'}",
            "ready",
        ]
    assert not any(is_alive(pid) for pid in pids)
    await bridge.stop()


async def test_a_line_that_cannot_come_up_takes_the_workers_down_again(tmp_path: Path) -> None:
    async with asyncio.timeout(60), Bridge(config(tmp_path), {}) as first:
        assert first.line.started is not None
        second = Bridge(config(tmp_path, udp_port=first.line.started.udp_port), {})
        with pytest.raises(ChildFailed, match=str(first.line.started.udp_port)):
            async with second:
                pass
        assert not any(is_alive(worker.child.pid) for worker in second.pool.workers)


async def test_the_web_comes_first_and_goes_first(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(config(tmp_path), web=WebSection(port=0))
    async with asyncio.timeout(60), Bridge(settings, {}) as bridge, httpx.AsyncClient(trust_env=False) as client:
        assert bridge.describe()[-2:] == [f"web        {bridge.web.url}", "ready"]
        health, metrics = [await client.get(bridge.web.url + path) for path in ("/healthz", "/metrics")]
        assert (health.status_code, metrics.status_code) == (200, 200)
        assert 'puente_process_up{process="media0"} 1.0' in metrics.text
        second = Bridge(msgspec.structs.replace(settings, web=WebSection(port=httpx.URL(bridge.web.url).port or 0)), {})
        with pytest.raises(WebFailed, match="Address already in use"):
            async with second:
                pass
        assert [worker.child.starts for worker in second.pool.workers] == [0]  # told before anything else was tried
        await bridge.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get(bridge.web.url)


class TestReload:
    """Of a bridge that is not up: what it would do, without its processes."""

    TEXT = """
[[trunks]]
name = "local"
sources = ["127.0.0.1"]

[[platforms]]
name = "one"
kind = "ultravox"
url = "http://127.0.0.1:9"
prompt = "Be kind."
api_key_file = "{key}"
"""

    async def test_a_new_key_makes_a_new_adapter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bridge.trunks.keeper.TRUNKS_SET_S", 0.01)  # there is no stack to answer
        source, key = tmp_path / "x.toml", tmp_path / "key"
        key.write_text("first-key")
        source.write_text(self.TEXT.format(key=key) + '[records]\nurl = ""\n')
        seen: list[Config] = []
        bridge = Bridge(load(source, {}), {}, source, seen.append)
        before = bridge.platforms["one"]
        done = await bridge.reload()
        assert (done.errors, done.changed, bridge.platforms["one"] is before) == ((), (), True)
        key.write_text("second-key")
        done = await bridge.reload()
        assert (done.changed, bridge.platforms["one"] is before) == (("platform one",), False)
        assert seen == [bridge.config, bridge.config]
        key.unlink()
        done = await bridge.reload()
        assert [error.partition("platforms[0].")[2] for error in done.errors] == [
            f"api_key_file: file {key} cannot be read"
        ]
        assert len(seen) == 2
        await bridge.stop()

    async def test_without_a_file_there_is_nothing_to_read(self, tmp_path: Path) -> None:
        bridge = Bridge(config(tmp_path), {})
        assert (await bridge.reload()).errors == ("the settings did not come from a file",)
        await bridge.stop()
