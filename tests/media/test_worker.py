"""The worker's own business: commands in the wrong order, far ends that fail, and the process around it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from media import wire
from media.worker import NICE, go_first, load_dialects
from tests.helpers.workerbench import Control, bench, until


async def test_a_port_is_opened_and_given_back() -> None:
    async with bench() as on:
        host, port = await on.control.open("a")
        assert host == "127.0.0.1"
        assert port % 2 == 0
        await on.control.send(wire.Ping(number=7))
        pong = await on.control.next(wire.Pong)
        assert (pong.number, pong.calls) == (7, 1)
        assert pong.cpu_s > 0
        await on.control.close("a")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, port))  # nobody holds it any more


async def test_the_same_name_twice_and_no_port_left_are_clear_failures() -> None:
    async with bench(last_port=0) as on:
        await on.control.send(wire.OpenCall(call="a"))
        failed = await on.control.next(wire.CallFailed)
        assert failed == wire.CallFailed(
            call="a",
            why="no RTP port free: 0 in the range, 0 in use, 0 resting, 0 taken by other programs",
        )
    async with bench() as on:
        await on.control.open("a")
        await on.control.send(wire.OpenCall(call="a"))
        assert (await on.control.next(wire.CallFailed)).why == "there is a call of this name already"


async def test_commands_for_a_call_that_is_gone_do_nothing() -> None:
    async with bench() as on:
        for command in (
            wire.CloseCall(call="x"),
            wire.EndFar(call="x"),
            wire.Digit(call="x", digit="1"),
            wire.ConnectFar(call="x", far=on.platform.spec()),
            wire.StartNear(call="x", near=wire.NearSpec(host="127.0.0.1", port=9, codec="PCMU", payload_type=0)),
        ):
            await on.control.send(command)
        await on.control.send(wire.Ping(number=1))
        assert (await on.control.next(wire.Pong)).calls == 0
        assert on.control.seen == [on.control.seen[-1]]


async def test_an_unknown_codec_is_named() -> None:
    async with bench() as on:
        await on.control.open()
        near = wire.NearSpec(host="127.0.0.1", port=9, codec="GSM", payload_type=3)
        await on.control.send(wire.StartNear(call="c1", near=near))
        assert (await on.control.next(wire.CallFailed)).why == "no such codec: GSM"


async def _failure(spec: wire.FarSpec, timeout_ms: int = 3000) -> wire.FarFailed:
    async with bench() as on:
        await on.control.open()
        await on.control.send(wire.ConnectFar(call="c1", far=spec, timeout_ms=timeout_ms))
        failed = await on.control.next(wire.FarFailed)
        await on.control.close()
    return failed


def _spec(url: str, **changes: object) -> wire.FarSpec:
    plain: dict[str, object] = {"platform": "test", "dialect": "raw", "url": url}
    return wire.FarSpec(**{**plain, **changes})  # type: ignore[arg-type]


async def test_a_closed_port_and_a_bad_url_are_refused() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    failed = await _failure(_spec(f"ws://127.0.0.1:{port}/secret"))
    assert failed.cause == "refused"
    assert "secret" not in failed.detail
    failed = await _failure(_spec("http://127.0.0.1/secret"))
    assert (failed.cause, failed.detail) == ("nonsense", "the media URL is neither ws:// nor wss://")


async def test_formats_and_dialects_that_do_not_exist() -> None:
    failed = await _failure(_spec("ws://127.0.0.1:9/", encoding="mulaw", rate_hz=16000))
    assert (failed.cause, failed.detail) == ("nonsense", "mulaw at 16000 Hz: mu-law is 8000 Hz only")
    failed = await _failure(_spec("ws://127.0.0.1:9/", dialect="klingon"))
    assert (failed.cause, failed.detail) == ("nonsense", "unknown dialect 'klingon'")
    failed = await _failure(_spec("", dialect="tape", options={"script": [{"dance": 1}]}))
    assert failed.detail.startswith("step 1: {'dance': 1} is none of play")


async def _against(
    handler: Callable[[ServerConnection], Awaitable[None]],
    process_request: Callable[[ServerConnection, Request], Response | None] | None = None,
    timeout_ms: int = 3000,
) -> wire.FarFailed:
    async with serve(handler, "127.0.0.1", 0, process_request=process_request, close_timeout=0.2) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        return await _failure(_spec(f"ws://127.0.0.1:{port}/secret"), timeout_ms)


async def _silent(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_an_upgrade_answered_with_an_error_tells_its_status() -> None:
    failed = await _against(_silent, lambda connection, request: connection.respond(403, "no"))
    assert (failed.cause, failed.status) == ("refused", 403)
    assert failed.detail == "the upgrade was answered with HTTP 403 Forbidden"


async def test_a_platform_that_never_says_ready_is_slow() -> None:
    failed = await _against(_silent, timeout_ms=200)
    assert (failed.cause, failed.detail) == ("slow", "connected, but not ready after 0.2 s")


async def test_a_platform_that_closes_at_once_is_lost() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1011)

    assert (await _against(close)).cause == "lost"


async def test_a_server_that_is_no_websocket_is_nonsense() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await _failure(_spec(f"ws://127.0.0.1:{port}/secret"))).cause == "nonsense"


async def test_closing_a_call_that_is_still_connecting_cancels_it() -> None:
    async with serve(_silent, "127.0.0.1", 0, close_timeout=0.2) as server, bench() as on:
        port = next(iter(server.sockets)).getsockname()[1]
        await on.control.open()
        await on.control.send(wire.ConnectFar(call="c1", far=_spec(f"ws://127.0.0.1:{port}/")))
        await until(lambda: server.connections)
        await on.control.close()
        await until(lambda: not server.connections)
        assert not any(isinstance(event, wire.FarFailed | wire.FarReady) for event in on.control.seen)


async def test_audio_counts_as_readiness_and_is_not_lost() -> None:
    async with bench() as on:
        on.platform.greets = False
        target = await on.control.open()
        caller = on.caller(target)
        await on.control.send(wire.ConnectFar(call="c1", far=on.platform.spec(sends_ahead=True)))
        await until(lambda: on.platform.socket)
        await on.platform.say(b"\x00\x10" * 160)
        await on.control.next(wire.FarReady)
        await on.control.send(wire.StartNear(call="c1", near=caller.near()))
        await until(lambda: any(set(packet.payload) != {0xFF} for packet in caller.heard))


async def test_figures_are_of_calls_that_stand_and_of_those_that_are_over() -> None:
    async with bench(figures_ms=20) as on:
        caller = await on.talking()
        await caller.speak([b"\x10" * 160] * 5)
        standing = await on.control.next(wire.Figures)
        while standing.near["received"] < 5:
            standing = await on.control.next(wire.Figures)
        assert (standing.opened, standing.near["received"]) == (1, 5)
        assert sum(standing.latencies["up_ms"]) == 5
        report = await on.control.close()
        for _ in range(2):  # the first may have been begun before the call was closed
            over = await on.control.next(wire.Figures)
        assert (over.opened, over.near["received"], over.near["sent"]) == (1, 5, report.near.sent)
        assert {name: sum(counts) for name, counts in over.latencies.items()} == {
            "up_ms": 5,
            "down_ms": report.down_ms.count,
            "queued_ms": report.queued_ms.count,
            "barge_in_ms": 0,
            "tick_late_ms": report.tick_late_ms.count,
            "turn_ms": 0,
        }


async def test_a_call_reports_while_it_stands() -> None:
    async with bench() as on:
        await on.control.open("a")
        for name in ("x", "a"):  # the first is nowhere, and nothing is said about it
            await on.control.send(wire.ReportCall(call=name))
        told = await on.control.next(wire.CallReported)
        assert (told.call, told.report.near) == ("a", wire.NearReport())
        report = await on.control.close("a")
        assert report.duration_s >= told.report.duration_s
        assert [event for event in on.control.seen if isinstance(event, wire.CallReported)] == [told]


def _spawn(dialects: str = "tests.helpers.rawdialect:DIALECTS") -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "media.worker", "--fd", str(theirs.fileno()), "--dialects", dialects],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
        )
    ours.setblocking(False)
    return process, ours


async def _started() -> tuple[subprocess.Popen[bytes], socket.socket, Control]:
    process, ours = _spawn()
    control = Control(ours)
    await control.send(wire.Setup(options=wire.WorkerOptions(first_port=41000, last_port=41100), worker=0))
    await control.send(wire.Ping(number=1))
    await control.next(wire.Pong, timeout_s=20)
    return process, ours, control


async def _over(process: subprocess.Popen[bytes], ours: socket.socket) -> tuple[int, bytes]:
    _, errors = await asyncio.to_thread(process.communicate, timeout=10)
    ours.close()
    return process.returncode, errors


async def test_the_process_ends_with_its_control_socket() -> None:
    process, ours, control = await _started()
    await control.open()
    ours.close()
    assert await _over(process, ours) == (0, b"")


@pytest.mark.parametrize("ending", ["stop", "sigterm"])
async def test_the_process_ends_when_told_and_reports_its_calls(ending: str) -> None:
    process, ours, control = await _started()
    await control.open()
    if ending == "stop":
        await control.send(wire.Stop())
    else:
        os.kill(process.pid, signal.SIGTERM)
    assert (await control.next(wire.CallClosed)).call == "c1"
    assert await _over(process, ours) == (0, b"")


async def test_ctrl_c_is_the_parents_to_handle() -> None:
    process, ours, control = await _started()
    os.kill(process.pid, signal.SIGINT)
    await control.send(wire.Ping(number=2))
    assert (await control.next(wire.Pong)).number == 2
    ours.close()
    assert (await _over(process, ours))[0] == 0


def test_dialects_are_found_by_name() -> None:
    assert list(load_dialects("tests.helpers.rawdialect:DIALECTS")) == ["raw"]
    assert load_dialects("") == {}


def test_a_worker_goes_first_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "setpriority", lambda *what: asked.append(what))
    go_first()
    assert asked == [(os.PRIO_PROCESS, 0, NICE)]


def test_a_worker_that_may_not_go_first_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*what: int) -> None:
        raise PermissionError("not yours to ask")

    monkeypatch.setattr(os, "setpriority", refused)
    go_first()
