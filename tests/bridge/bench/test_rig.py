from __future__ import annotations

import socket
import tomllib
from pathlib import Path

import pytest

from bridge.bench import kernel, rig
from bridge.bench.assemble import step
from bridge.bench.rig import Meter, PlatformKind, Trouble, child, config_text, last_words, told_port, wait_for_sip


@pytest.mark.parametrize(("kind", "encoding"), [("ultravox", "s16le"), ("vapi", "mulaw")])
def test_settings_of_the_bridge_under_test(kind: PlatformKind, encoding: str) -> None:
    text = config_text(kind, sip_port=5070, platform_port=8080, workers=2, calls=40)
    settings = tomllib.loads(text)
    first, last = settings["media"].pop("rtp_first_port"), settings["media"].pop("rtp_last_port")
    assert settings == {
        "sip": {"host": "127.0.0.1", "udp_port": 5070, "tcp_port": -1},
        "media": {"workers": 2, "host": "127.0.0.1"},
        "trunks": [{"name": "load", "sources": ["127.0.0.1"]}],
        "platforms": [
            {
                "name": "echo",
                "kind": kind,
                "url": "http://127.0.0.1:8080",
                "agent": "bench",
                "encoding": encoding,
                "client_buffer_ms": 60,
            }
        ],
        "routes": [{"platforms": ["echo"]}],
        "records": {"url": ""},
        "log": {"level": "warning"},
    }
    assert first % 2 == 0
    assert last - first > 4 * 40
    assert last < 32768


def test_the_bridge_takes_these_settings(tmp_path: Path) -> None:
    from bridge.config import load

    for kind in rig.ENCODING:
        path = tmp_path / f"{kind}.toml"
        path.write_text(config_text(kind, sip_port=5070, platform_port=8080, workers=-1, calls=1))
        assert [platform.kind for platform in load(path).platforms] == [kind]


def stats(monkeypatch: pytest.MonkeyPatch, *looks: dict[int, tuple[float, int]]) -> None:
    """The kernel's answers for one look after the other: pid -> CPU seconds, RSS."""
    turns = iter(looks)
    current: dict[int, tuple[float, int]] = {}

    def look(meter: Meter) -> dict[int, kernel.Stat]:
        current.clear()
        current.update(next(turns))
        return {pid: kernel.Stat(1, *current[pid]) for pid in meter.roles if pid in current}

    monkeypatch.setattr(Meter, "_look", look)


def test_the_meter_counts_what_was_used_between_begin_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stats(
        monkeypatch,
        {10: (5.0, 1000), 11: (1.0, 1000)},
        {10: (6.0, 3000), 11: (1.0, 1000), 12: (0.5, 700)},
        {10: (6.5, 4000), 12: (0.75, 900)},
    )
    clock, ticks = iter((100.0, 102.0)), iter((kernel.CpuTimes(0, 0), kernel.CpuTimes(200, 3)))
    monkeypatch.setattr("bridge.bench.rig.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("bridge.bench.kernel.cpu_times", lambda: next(ticks))
    meter = Meter({10: "control", 11: "sip"})
    meter.add(12, "caller")
    meter.begin()
    meter.end()
    assert meter.seconds == 2.0
    assert meter.steal_percent == 1.5
    assert [(p.role, p.pid, p.cpu_percent, p.rss_kib, p.rss_growth_kib) for p in meter.processes()] == [
        ("control", 10, 25.0, 4000, 3000),
        # 11 has died: its figures would be half a truth.
        ("caller", 12, 12.5, 900, 200),
    ]


async def test_a_helper_that_does_not_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "helper.log"
    async with child("bridge.bench.nowhere", log=log) as process:
        with pytest.raises(Trouble, match=r"did not start \(helper.log: .*No module named bridge.bench.nowhere\)"):
            await told_port(process, log)


async def test_a_bridge_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "bridge.log"
    async with child("bridge.bench.nowhere", log=log) as process:
        with pytest.raises(Trouble, match="the bridge ended with code 1"):
            await wait_for_sip(rig.free_udp_port(), process, log)


async def test_a_bridge_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig, "START_S", 0.3)
    log = tmp_path / "bridge.log"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        async with child("bridge.bench.reflector", log=log) as process:
            with pytest.raises(Trouble, match=r"did not answer OPTIONS .* \(bridge.log is empty\)"):
                await wait_for_sip(deaf.getsockname()[1], process, log)


async def test_a_sip_side_that_answers_options_is_ready(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with child("bridge.bench.reflector", log=log) as process:
        await wait_for_sip(await told_port(process, log), process, log)
    assert process.returncode is not None
    assert kernel.stat(process.pid) is None


async def test_a_step_against_the_reflector(tmp_path: Path) -> None:
    run = await rig.against_reflector(2, 1.0, tmp_path)
    assert [call.status for call in run.load.calls] == [200, 200]
    assert sorted(process.role for process in run.processes) == ["caller", "reflector"]
    assert run.seconds > 0.9
    assert last_words(tmp_path / "caller.log") == "caller.log is empty"


async def test_a_step_against_the_whole_bridge(tmp_path: Path) -> None:
    """Real processes, all of them: the one test here that needs PJSUA2."""
    done = step("bridge", 2, await rig.against_bridge("vapi", 2, 1.5, 1, tmp_path))
    assert (done.calls_failed, done.refusals, done.packets_lost, done.restarts) == (0, {}, 0, 0)
    assert done.marks_heard == done.marks_sent >= 10
    assert [process.role for process in done.processes] == ["control", "worker", "sip", "platform", "caller"]
    assert done.up_ms.p50 < done.round_trip_ms.p50
    assert done.down_ms.count == done.round_trip_ms.count == done.marks_sent - done.marks_lost
    assert [one.call for one in done.by_call] == [0, 1]
    assert all(kernel.stat(process.pid) is None for process in done.processes)
