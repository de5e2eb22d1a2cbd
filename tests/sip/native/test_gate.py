"""The built module against raw sockets: what the gate lets in, what it answers, what it counts."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.sippeer import SipPeer, sdp

STACK = Path(__file__).parent / "gate_stack.py"
PATIENCE_S = 10.0
STRANGER = "127.0.0.2"


class Gate:
    """The child's end of the conversation."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self.udp = self.tcp = ("", 0)

    async def hear(self) -> Any:
        assert self.child.stdout is not None
        line = await asyncio.wait_for(self.child.stdout.readline(), PATIENCE_S)
        assert line, "the stack is gone"
        return json.loads(line)

    async def ask(self, command: str) -> Any:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{command}\n".encode())
        return await self.hear()

    async def dropped_one(self) -> list[str]:
        """What was dropped; asks again while nothing was, because a datagram may arrive after the question."""
        for _ in range(int(PATIENCE_S / 0.01)):
            if lines := await self.ask("dropped"):
                assert isinstance(lines, list)
                return lines
            await asyncio.sleep(0.01)
        raise AssertionError("nothing was dropped")

    async def close(self) -> None:
        """The slow way out (PJSUA takes a second to destroy itself), which must work as well."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        assert await asyncio.wait_for(self.child.wait(), PATIENCE_S) == 0


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Gate]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, STACK, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        gate = Gate(child)
        started, udp_port, tcp_port = await gate.hear()
        assert started == 0
        gate.udp, gate.tcp = ("127.0.0.1", udp_port), ("127.0.0.1", tcp_port)
        yield gate
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with running() as gate:
        assert await gate.ask("allow 127.0.0.1") == 1
        yield gate


async def test_at_first_nobody_is_admitted() -> None:
    async with running("twice") as gate, await SipPeer.udp(gate.udp) as peer:
        peer.dialog().send("OPTIONS")
        assert await gate.dropped_one() == [f"{peer.address} OPTIONS 1"]
        assert await gate.ask("allow 127.0.0.1") == 1
        assert (await peer.dialog().transact("OPTIONS")).status == 200
        assert peer.inbox == []
        await gate.close()


async def test_a_stranger_gets_no_answer_and_is_counted(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp, STRANGER) as stranger, await SipPeer.udp(gate.udp) as peer:
        for method in ("OPTIONS", "REGISTER", "REGISTER", "INVITE", "BYE", "DANCE", "A" * 40):
            stranger.dialog().send(method)
        stranger.send("REGISTER what is this\r\nVia: nothing\r\n\r\n")
        # Same socket, same queue: when this one has been answered, the others have been looked at.
        assert (await peer.dialog().transact("OPTIONS")).status == 200
        assert await gate.ask("dropped") == sorted(
            f"{stranger.address} {what}"
            for what in ("OPTIONS 1", "REGISTER 2", "INVITE 1", "BYE 1", "DANCE 1", f"{'A' * 23} 1", "garbage 1")
        )
        assert await gate.ask("dropped") == []
        assert stranger.inbox == []
        assert await gate.ask("asked") == []


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"hello world " * 5, 1),
        (b"\r\n\r\n" + b"hello world " * 5, 1),
        (b"\x00" * 60, 1),
        (b"SIP/2.0 999 Whatever\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n", 1),
        (b"INVITE sip:x@y SIP/2.0\r\nCall-ID: no more than that\r\n\r\n", 1),
        (b"\x00" * 5, 1),
        (b"\r\nhello", 1),
        (b"OPTIONS sip:x SIP/2.0\r\n\r\n", 1),
        (b"\r\n\r\n" * 20, 0),  # keep-alives
        (b"\r\n\r\n", 0),
        (b"\x00" * 4, 0),
        (b"x", 0),
        (b"", 0),
    ],
)
async def test_what_can_not_be_parsed_is_counted_as_garbage(gate: Gate, data: bytes, lines: int) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        peer.send(data)
        assert (await peer.dialog().transact("OPTIONS")).status == 200
        assert await gate.ask("dropped") == [f"{peer.address} garbage 1"] * lines
        assert peer.inbox == []


async def test_the_table_of_the_dropped_is_bounded(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp, STRANGER) as stranger, await SipPeer.udp(gate.udp) as peer:
        for number in range(300):
            stranger.dialog().send(f"METHOD{number}")
        assert (await peer.dialog().transact("OPTIONS")).status == 200
        lines = await gate.ask("dropped")
        assert len(lines) == 257
        assert lines[-1] == "other any 44"
        assert {line.split()[2] for line in lines[:-1]} == {"1"}


@pytest.mark.parametrize(
    ("networks", "count", "admitted"),
    [
        ("127.0.0.2", 1, False),
        ("127.0.0.0/8", 1, True),
        ("127.0.0.0/31", 1, True),
        ("127.0.0.2/31", 1, False),
        ("126.0.0.0/7", 1, True),
        ("0.0.0.0/0", 1, True),
        ("::ffff:127.0.0.1", 1, True),
        ("::1,2001:db8::/32", 2, False),
        ("2001:db8::/32,10.0.0.0/8,127.0.0.1/32,", 3, True),
        ("::/0", 1, True),
        ("", 0, False),
    ],
)
async def test_networks(gate: Gate, networks: str, count: int, admitted: bool) -> None:
    assert await gate.ask(f"allow {networks}") == count
    async with await SipPeer.udp(gate.udp) as peer:
        dialog = peer.dialog()
        dialog.send("OPTIONS")
        if admitted:
            assert (await dialog.response("OPTIONS")).status == 200
        else:
            assert await gate.dropped_one() == [f"{peer.address} OPTIONS 1"]
            assert peer.inbox == []


@pytest.mark.parametrize(
    "nonsense",
    [
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/8x",
        "::/129",
        "1.2.3",
        "127.0.0.2,x",
        "9" * 300,
        ",".join(["10.0.0.1"] * 16_385),
    ],
)
async def test_nonsense_leaves_the_list_as_it_was(gate: Gate, nonsense: str) -> None:
    assert await gate.ask(f"allow {nonsense}") == -1
    async with await SipPeer.udp(gate.udp) as peer:
        assert (await peer.dialog().transact("OPTIONS")).status == 200


async def test_over_tcp_a_stranger_is_hung_up_on_and_a_partner_is_served(gate: Gate) -> None:
    request = "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.2:9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    request += "From: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: tcp\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    reader, writer = await asyncio.open_connection(*gate.tcp, local_addr=(STRANGER, 0))
    port = writer.get_extra_info("sockname")[1]
    writer.write(request.encode())
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()
    await writer.wait_closed()
    assert await gate.ask("dropped") == [f"{STRANGER}:{port} OPTIONS 1"]

    async with await SipPeer.tcp(gate.tcp) as peer:
        first = peer.dialog().send("OPTIONS")
        peer.send(first[:90])
        peer.send(first[90:] + first)
        for _ in range(3):
            answer = await peer.receive(lambda got: got.status > 0, "answer")
            assert (answer.status, answer.method) == (200, "OPTIONS")
        peer.send("rubbish without a head or a tail\r\n\r\n")
        assert await gate.dropped_one() == [f"{peer.address} garbage 1"]
        assert (await peer.dialog().transact("OPTIONS")).status == 200


async def test_options_inside_a_call(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        call = peer.invite(sdp=sdp(port=41000))
        await call.talk()
        call.cseq = 10
        answer = await call.transact("OPTIONS")
        assert (answer.status, answer["Accept"].split(",")[0]) == (200, "application/sdp")
        assert "INVITE" in answer["Allow"]
        assert "timer" in answer["Supported"]

        call.send("OPTIONS", cseq=11)  # a retransmission
        assert (await call.response("OPTIONS")).status == 200
        call.send("OPTIONS", cseq=10)
        stale = await peer.receive(lambda got: got.cseq == 10, "answer to the stale one")
        assert (stale.status, stale.reason) == (500, "Invalid CSeq")

        call.them = call.them.replace("tag=", "tag=x")
        assert (await call.transact("OPTIONS")).status == 481
        call.them = call.them.replace("tag=x", "tag=")
        await call.hang_up()
        assert await gate.ask("calls") == 0


RELAY, BARE = "application/dtmf-relay", "application/dtmf"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (RELAY, "Signal=5\r\nDuration=160\r\n", 200),
        (RELAY, "nothing of the kind", 400),
        (BARE, "5", 200),
        ("Application/DTMF", "\r\n #\r\n", 200),
        (BARE, "hello", 400),
        (BARE, " \r\n ", 400),
        ("", "", 200),
        ("application/media_control+xml", "<media_control/>", 415),
        ("text/dtmf", "5", 415),
    ],
)
async def test_info_inside_a_call(gate: Gate, content_type: str, body: str, status: int) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        call = peer.invite(sdp=sdp(port=41000))
        await call.talk()
        info = call.send("INFO", body=body, content_type=content_type)
        answer = await call.response("INFO")
        assert answer.status == status, answer.first_line
        assert answer.all("Accept") == ([f"{RELAY}, {BARE}"] if status == 415 else [])
        peer.send(info)  # a retransmission
        assert (await call.response("INFO")).status == status

        call.send("INFO", body=body, content_type=content_type, cseq=1)
        stale = await peer.receive(lambda got: (got.cseq, got.method) == (1, "INFO"), "answer to the stale one")
        assert (stale.status, stale.reason) == (500, "Invalid CSeq")
        call.them = call.them.replace("tag=", "tag=x")
        call.send("INFO", body=body, content_type=content_type)
        assert (await call.response("INFO")).status == 481
        call.them = call.them.replace("tag=x", "tag=")
        await call.hang_up()


async def test_a_call_belongs_to_who_knows_its_tags_wherever_he_is(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp, STRANGER) as elsewhere, await SipPeer.udp(gate.udp) as peer:
        call = peer.invite(sdp=sdp(port=41000))
        await call.talk()
        assert [re.findall(r"m=audio (\d+)", text) for text in await gate.ask("sdp")] == [["40000"], ["41000"]]

        forged = elsewhere.dialog()
        forged.call_id, forged.them, forged.cseq = call.call_id, call.them, 50
        forged.send("BYE")
        assert await gate.dropped_one() == [f"{elsewhere.address} BYE 1"]
        assert await gate.ask("calls") == 1
        assert elsewhere.inbox == []

        forged.us = call.us
        await forged.hang_up()
        assert await gate.ask("calls") == 0


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("DANCE", 501),
        ("REGISTER", 405),
        ("PUBLISH", 405),
        ("MESSAGE", 405),
        ("SUBSCRIBE", 405),
        ("BYE", 481),
        ("CANCEL", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("NOTIFY", 481),
        ("REFER", 481),
    ],
)
async def test_what_is_not_served_is_refused_not_ignored(gate: Gate, method: str, status: int) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        answer = await peer.dialog().transact(method)
        assert answer.status == status
        allowed = ["PRACK", "INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "NOTIFY", "REFER", "OPTIONS"]
        assert answer["Allow"] == (", ".join(allowed) if status in (405, 501) else "")


async def test_an_unknown_method_inside_a_call_does_not_hurt_it(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        call = peer.invite(sdp=sdp(port=41000))
        await call.talk()
        assert (await call.transact("DANCE")).status == 501
        await call.hang_up()


@pytest.mark.parametrize(
    "offer",
    [
        sdp(port=41000, formats="3"),
        sdp(port=41000, formats="3 101"),
        sdp(port=41000, formats="101"),
        sdp(port=41000, formats="3").replace("3\r\na=rtpmap:3 GSM/8000", "97\r\na=rtpmap:97 SILK/24000"),
    ],
)
async def test_codecs_that_pjsua_does_not_know_are_the_applications_affair(gate: Gate, offer: str) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        call = peer.invite(sdp=offer)
        assert (await call.response("INVITE")).status == 606
        call.ack(rejected=True)
        assert await gate.ask("asked") == [call.call_id]
        assert await gate.ask("refused") == [f"{peer.address}\t{call.call_id}\tINVITE\t606\tNot Acceptable"]
        assert await gate.ask("calls") == 0


async def test_what_pjsua_refuses_by_itself_is_told(gate: Gate) -> None:
    good = sdp(port=41000)
    refusals = [
        ("v=0\r\nnonsense\r\n", (), 400, 'Bad SDP (399 {host} "Invalid SDP descriptor (PJMEDIA_SDP_EINSDP)")'),
        (good.split("m=")[0], (), 400, "Missing media in SDP"),
        (good.replace("m=audio", "m=video"), (), 488, "Not Acceptable Here"),
        (good, (("Require", "time-travel"),), 420, "Bad Extension"),
    ]
    async with await SipPeer.udp(gate.udp) as peer:
        for body, headers, status, reason in refusals:
            call = peer.invite(sdp=body, headers=headers)
            answer = await call.response("INVITE")
            assert answer.status == status
            call.ack(rejected=True)
            host = answer["Warning"].split(" ")[1] if answer["Warning"] else ""
            assert await gate.ask("refused") == [
                f"{peer.address}\t{call.call_id}\tINVITE\t{status}\t{reason.format(host=host)}"
            ]
        assert await gate.ask("asked") == []


async def test_a_refusal_is_told_once_however_often_it_is_sent(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        call = peer.dialog()
        invite = call.send("INVITE", sdp=sdp(port=41000, formats="3"))
        for _ in range(3):
            assert (await call.response("INVITE")).status == 606
            peer.send(invite)  # instead of the ACK
        assert len(await gate.ask("refused")) == 1
        assert await gate.ask("asked") == [call.call_id]


async def test_the_oldest_refusals_give_way(gate: Gate) -> None:
    async with await SipPeer.udp(gate.udp) as peer:
        names = []
        for _ in range(260):
            call = peer.invite(sdp="v=0\r\n")
            assert (await call.response("INVITE")).status == 400
            call.ack(rejected=True)
            names.append(call.call_id)
        assert [line.split("\t")[1] for line in await gate.ask("refused")] == names[4:]
