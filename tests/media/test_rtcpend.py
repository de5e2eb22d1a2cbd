"""RTCP on real sockets: reports go out beside the RTP port, what comes back is in the call's report."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from media import rtcp, rtp, wire
from media.reporting import Received, RtcpSession, Sent
from tests.helpers.workerbench import Bench, Caller, bench, until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports every tenth of a second instead of every five."""
    monkeypatch.setattr("media.reporting.INTERVAL_S", 0.1)


class Reporter:
    """The caller's own RTCP end: the odd port beside his RTP port."""

    def __init__(self, caller: Caller) -> None:
        host, port = caller.address
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, port + 1))
        self.sock.setblocking(False)
        self.to = caller.target[0], caller.target[1] + 1
        self.heard: list[bytes] = []
        asyncio.get_running_loop().add_reader(self.sock.fileno(), self._readable)

    def _readable(self) -> None:
        self.heard.append(self.sock.recv(2048))

    def reports(self) -> list[rtcp.Report]:
        return [report for data in self.heard for report in rtcp.parse(data)]

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.sock.fileno())
        self.sock.close()


async def reporting(on: Bench) -> tuple[Caller, Reporter]:
    for _ in range(20):
        caller = await on.talking()
        try:
            return caller, Reporter(caller)
        except OSError:  # the kernel's free port has no free neighbour: another call, another port
            await on.control.close()
    raise AssertionError("no two neighbouring ports")


async def test_our_reports_say_what_was_sent_and_heard_and_end_with_bye() -> None:
    async with bench() as on:
        caller, reporter = await reporting(on)
        try:
            await caller.speak([bytes([9]) * 160] * 20)
            await until(lambda: len(reporter.heard) >= 2)
            await on.control.close()
            await until(lambda: any(isinstance(one, rtcp.Bye) for one in reporter.reports()))
        finally:
            reporter.close()
        senders = [one for one in reporter.reports() if isinstance(one, rtcp.SenderReport)]
        assert senders[-1].ssrc == caller.heard[0].ssrc
        assert 0 < senders[-1].packets <= len(caller.heard)
        assert senders[-1].octets == 160 * senders[-1].packets
        assert senders[-1].blocks[0].ssrc == caller.ssrc
        assert senders[-1].blocks[0].lost == 0


async def test_what_the_caller_reports_is_in_the_record() -> None:
    async with bench() as on:
        caller, reporter = await reporting(on)
        try:
            await caller.speak([bytes([9]) * 160] * 3)
            await until(lambda: reporter.heard and len(caller.heard) > 10)
            now = time.monotonic()
            ours = RtcpSession(caller.ssrc, 8000, now)
            ours.receive(reporter.heard[-1], now)
            received = rtp.Reception(8000)
            for packet in caller.heard[::2]:  # every second one lost
                received.arrive(packet.sequence, packet.timestamp, now)
            heard = Received(
                caller.heard[0].ssrc, received.expected, received.received, received.highest, received.jitter
            )
            reporter.sock.sendto(ours.report(now, Sent(3, 480, caller.timestamp, now), heard), reporter.to)
            told = len(caller.heard)
            await until(lambda: len(caller.heard) > told + 2)
            report = (await on.control.close()).near
        finally:
            reporter.close()
        assert 0.1 < report.their_loss < 0.9
        assert report.round_trip_ms > 0
        assert 1.0 <= report.mos_down < report.mos_up <= 4.5


async def test_reports_of_a_stranger_and_nonsense_change_nothing() -> None:
    async with bench() as on:
        caller = await on.talking()
        await caller.speak([bytes([9]) * 160] * 3)
        for data in (b"", b"\x80\xc8", b"\x80\xc9\x00\xff" + bytes(4), bytes(60)):
            caller.send_raw(data)
        await until(lambda: len(caller.heard) > 10)
        report = (await on.control.close()).near
        assert (report.round_trip_ms, report.mos_down, report.received) == (0.0, 0.0, 3)


async def test_without_the_odd_port_the_call_goes_on() -> None:
    async with bench() as on:
        host, port = await on.control.open()
        await on.control.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            for odd in range(port + 1, port + 41, 2):  # whichever port is next, its neighbour is gone
                try:
                    taken.bind((host, odd))
                    break
                except OSError:
                    continue
            caller = await on.talking()
            await caller.speak([bytes([9]) * 160] * 3)
            await until(lambda: caller.heard)
            assert isinstance((await on.control.close()).near, wire.NearReport)


async def agree(on: Bench, caller: Caller, **changes: object) -> None:
    await on.control.send(wire.StartNear(call="c1", near=replace(caller.near(dtmf_payload_type=101), **changes)))


async def test_with_the_audio_where_both_want_that() -> None:
    """RFC 5761: ours go to the RTP port from the RTP port, theirs are taken from it."""
    async with bench() as on:
        caller = await on.talking()
        await agree(on, caller, rtcp_mux=True)
        await caller.speak([bytes([9]) * 160] * 3)
        await until(lambda: caller.reports and len(caller.heard) > 10)
        senders = [one for data in caller.reports for one in rtcp.parse(data) if isinstance(one, rtcp.SenderReport)]
        assert senders[-1].ssrc == caller.heard[0].ssrc
        now = time.monotonic()
        ours = RtcpSession(caller.ssrc, 8000, now)
        ours.receive(caller.reports[-1], now)
        heard = Received(caller.heard[0].ssrc, 100, 90, 99, 80.0)
        caller.send_raw(ours.report(now, Sent(3, 480, caller.timestamp, now), heard))
        told = len(caller.heard)
        await until(lambda: len(caller.heard) > told + 2)
        report = (await on.control.close()).near
        await until(lambda: any(isinstance(one, rtcp.Bye) for one in rtcp.parse(caller.reports[-1])))
    assert report.their_loss > 0
    assert report.their_jitter_ms == 10.0
    assert report.round_trip_ms > 0


@pytest.mark.parametrize("names_host", [False, True])
async def test_to_the_port_that_the_sdp_names(names_host: bool) -> None:
    """RFC 3605; and when the caller moves there, to the one he names then."""
    async with bench() as on:
        caller = await on.talking()
        with listener("127.0.0.2" if names_host else "127.0.0.1") as first, listener("127.0.0.1") as second:
            host, port = first.getsockname()
            await agree(on, caller, rtcp_host=host if names_host else "", rtcp_port=port)
            assert (await report_at(first)).ssrc == (await heard_of(caller)).ssrc
            first.sendto(b"\x80\xc9\x00\x01" + bytes(4), (caller.target[0], caller.target[1] + 1))  # where to answer
            await report_at(first)
            await agree(on, caller, rtcp_port=second.getsockname()[1])
            await report_at(second)
            await report_at(second)


@contextlib.contextmanager
def listener(host: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.setblocking(False)
        yield sock


async def report_at(sock: socket.socket) -> rtcp.SenderReport:
    async with asyncio.timeout(5):
        data = await asyncio.get_running_loop().sock_recv(sock, 2048)
    report = rtcp.parse(data)[0]
    assert isinstance(report, rtcp.SenderReport)
    return report


async def heard_of(caller: Caller) -> rtp.Packet:
    await until(lambda: caller.heard)
    return caller.heard[0]
