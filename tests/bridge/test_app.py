"""The roof: from settings to the rooms' options, from INVITE to a session, and the whole of it up and down."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import msgspec
import pytest

from bridge.app import (
    Bridge,
    Routing,
    adapter_problems,
    endpoint_options,
    known_secrets,
    trunk_accounts,
    worker_count,
    worker_options,
)
from bridge.calls.hunt import Candidate
from bridge.children import ChildFailed
from bridge.config import (
    Config,
    MediaSection,
    PlatformSection,
    RecordsSection,
    RouteSection,
    SipSection,
    TrunkSection,
    WebSection,
)
from bridge.web.server import WebFailed
from media import wire
from sip import messages as sip
from tests.fakes import STARTED_AT, incoming

ONE = PlatformSection(name="one", kind="ultravox", url="http://127.0.0.1:9", prompt="Be kind.")
TWO = PlatformSection(name="two", kind="vapi", url="http://127.0.0.1:9", agent="a", max_calls=3)


class TestRouting:
    def test_a_route_makes_a_session(self) -> None:
        route = RouteSection(
            number="1*", platforms=("two",), answer="immediately", ring_timeout_ms=9000, context={"k": "v"}
        )
        config = Config(
            platforms=(ONE, TWO), routes=(route,), media=MediaSection(recording_dir="/rec", codecs=("PCMA",))
        )
        session = Routing(config).inbound(incoming(dialled="100"), 1.0, STARTED_AT)
        assert session.hunt.candidates == (Candidate("two", 5000),)
        assert (session.answer_when, session.context, session.record.route) == ("immediately", {"k": "v"}, "1*")
        assert (session.settings.recording, session.settings.codecs) == ("/rec/c1.wav", ("PCMA",))
        assert session.settings.ring_timeout_ms == 9000

    def test_no_route(self) -> None:
        config = Config(platforms=(ONE,), routes=(RouteSection(number="2*"),))
        session = Routing(config).inbound(incoming(dialled="100"), 1.0, STARTED_AT)
        assert (session.hunt.candidates, session.settings.recording, session.record.route) == ((), "", "")

    def test_without_routes_all_platforms_in_order(self) -> None:
        session = Routing(Config(platforms=(ONE, TWO))).inbound(incoming(), 1.0, STARTED_AT)
        assert [one.platform for one in session.hunt.candidates] == ["one", "two"]

    def test_encryption_is_the_trunks_affair(self) -> None:
        trunks = (TrunkSection(name="local", srtp="required"), TrunkSection(name="other"))
        routing = Routing(Config(trunks=trunks, platforms=(ONE,)))
        sessions = [
            routing.inbound(msgspec.structs.replace(incoming(), trunk=name), 1.0, STARTED_AT)
            for name in ("local", "other", "unknown")
        ]
        assert [session.settings.srtp for session in sessions] == ["required", "off", "off"]

    def test_caps(self) -> None:
        routing = Routing(Config(platforms=(ONE, TWO)))
        assert [routing.max_calls(name) for name in ("one", "two", "none")] == [0, 3, 0]


class TestOptions:
    def test_the_defaults_of_sections_and_options_agree(self) -> None:
        assert endpoint_options(SipSection()) == sip.EndpointOptions()
        assert worker_options(MediaSection(rtp_last_port=20999)) == wire.WorkerOptions()

    def test_workers(self) -> None:
        assert worker_count(MediaSection(workers=3)) == 3
        assert worker_count(MediaSection()) == len(os.sched_getaffinity(0))

    def test_trunks_with_their_secrets(self) -> None:
        trunk = TrunkSection(
            name="p", kind="register", registrar="sip:192.0.2.1", username="u", password_env="PW", expires_s=60
        )
        config = Config(trunks=(trunk,), platforms=(ONE,))
        [account] = trunk_accounts(config, {"PW": "s3cret"})
        assert account == sip.TrunkAccount(
            name="p", kind="register", registrar="sip:192.0.2.1", username="u", password="s3cret", expires_s=60
        )
        assert known_secrets(config, {"PW": "s3cret"}) == ["development", "s3cret"]
        assert "s3cret" not in repr(account)

    def test_the_webs_token_is_a_secret_too(self) -> None:
        config = Config(platforms=(ONE,), web=WebSection(token_env="TOKEN"))
        assert known_secrets(config, {"TOKEN": "s3cret"}) == ["development", "s3cret"]

    def test_what_adapters_have_against_a_section(self) -> None:
        bad = PlatformSection(name="two", kind="vapi", url="http://127.0.0.1:9", agent="a", max_duration_s=43201)
        [(key, problem)] = adapter_problems(Config(platforms=(ONE, bad)), {})
        assert key == ("platforms", 1)
        assert problem.startswith("max_duration_s: VAPI takes ")


def config(tmp_path: Path, **sip_keys: int) -> Config:
    return Config(
        sip=SipSection(max_calls=4, **{"udp_port": 0, "tcp_port": -1, **sip_keys}),  # type: ignore[arg-type]
        media=MediaSection(workers=1, rtp_first_port=32000, rtp_last_port=32019),
        trunks=(TrunkSection(name="local", sources=("127.0.0.1",)),),
        platforms=(ONE,),
        records=RecordsSection(url=f"sqlite:///{tmp_path / 'puente.db'}"),
    )


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
