"""Stand-ins in memory for what the desk speaks to, and `Drive` for a session without any desk."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence

from bridge.calls.hunt import Candidate
from bridge.calls.inbound import InboundSession
from bridge.calls.session import CallSettings, Session, State
from bridge.calls.words import Command, Input, PlatformCreated, ToSip, ToWorker
from bridge.errors import MediaError
from bridge.platforms.base import CallFacts, Created
from bridge.records import CallRecord
from media import wire
from sip import messages as sip

CALL = "c1"
STARTED_AT = "2026-11-22T10:00:00.000+00:00"
OFFER = """v=0
o=- 1 1 IN IP4 192.0.2.7
s=-
c=IN IP4 192.0.2.7
t=0 0
m=audio 4000 RTP/AVP 8 0 101
a=rtpmap:101 telephone-event/8000
"""
"PCMA first: what the caller prefers wins over our own order."
NEAR = wire.NearSpec(host="192.0.2.7", port=4000, codec="PCMA", payload_type=8, dtmf_payload_type=101)


def offer(*, host: str = "192.0.2.7", port: int = 4000, formats: str = "8 0 101", direction: str = "sendrecv") -> str:
    text = OFFER.replace("192.0.2.7", host).replace("4000", str(port)).replace("8 0 101", formats)
    return f"{text}a={direction}\n"


def incoming(call: str = CALL, *, sdp: str = OFFER, dialled: str = "100") -> sip.Incoming:
    return sip.Incoming(
        call=call,
        trunk="local",
        source="192.0.2.7:5060",
        sip_call_id="abc@192.0.2.7",
        from_uri="sip:+4930111@192.0.2.7",
        from_name="",
        to_uri=f"sip:{dialled}@192.0.2.1",
        request_uri=f"sip:{dialled}@192.0.2.1",
        offer=sdp,
    )


def far_spec(platform: str = "one") -> wire.FarSpec:
    return wire.FarSpec(platform=platform, dialect="fake", url="ws://127.0.0.1:1/secret")


def created(attempt: int = 0, platform: str = "one") -> PlatformCreated:
    return PlatformCreated(attempt, far_spec(platform), f"ref-{platform}")


def opened(call: str = CALL) -> wire.CallOpened:
    return wire.CallOpened(call=call, host="127.0.0.1", port=20000)


def ready(call: str = CALL) -> wire.FarReady:
    return wire.FarReady(call=call, took_ms=3.0)


def ended(call: str = CALL, *, status: int = 200, reason: str = "", by: str = "remote") -> sip.Ended:
    return sip.Ended(call=call, status=status, reason=reason, by=by)  # type: ignore[arg-type]


def closed(call: str = CALL) -> wire.CallClosed:
    return wire.CallClosed(call=call, report=wire.CallReport(duration_s=1.0))


class Drive:
    """Feeds a session and keeps what it asks for. A second passes with every input."""

    def __init__(self, session: Session, begun: list[Command]) -> None:
        self.session, self.now = session, 0.0
        self.all: list[Command] = list(begun)

    def feed(self, *inputs: Input) -> list[Command]:
        out: list[Command] = []
        for one in inputs:
            self.now += 1
            out += self.session.feed(one, self.now)
        self.all += out
        return out


def inbound(
    *, sdp: str = OFFER, platforms: Sequence[str] = ("one",), answer: str = "when-ready", recording: str = ""
) -> Drive:
    session = InboundSession(
        incoming(sdp=sdp),
        [Candidate(name, 5000) for name in platforms],
        CallSettings(recording=recording),
        0.0,
        STARTED_AT,
        answer=answer,  # type: ignore[arg-type]
    )
    return Drive(session, session.start(0.0))


def talking(**options: object) -> Drive:
    call = inbound(**options)  # type: ignore[arg-type]
    call.feed(opened(), created(), ready(), sip.Confirmed(call=CALL))
    assert call.session.state is State.TALKING
    return call


def end_of(call: Drive) -> tuple[str, str, int]:
    assert call.session.end is not None
    return call.session.end.blame.value, call.session.end.reason, call.session.record.sip_status


def brief(commands: list[Command]) -> list[str]:
    """Names of what was asked for: `Ring`, `OpenCall`, `CreatePlatform` ..."""
    return [
        type(command.message if isinstance(command, ToSip | ToWorker) else command).__name__ for command in commands
    ]


class FakeLine:
    def __init__(self) -> None:
        self.sent: list[sip.Command] = []
        self.is_up = True

    def send(self, message: sip.Command) -> bool:
        if self.is_up:
            self.sent.append(message)
        return self.is_up


class FakeWorkers:
    def __init__(self, up: bool = True) -> None:
        self.up = up
        self.sent: list[wire.Command] = []
        self.placed: list[str] = []

    def place(self, call: str, beside: str = "") -> int:
        if not self.up:
            raise MediaError("no media worker is up")
        self.placed.append(call)
        return 0

    def send(self, call: str, message: wire.Command) -> bool:
        self.sent.append(message)
        return True

    def release(self, call: str) -> None:
        if call in self.placed:
            self.placed.remove(call)


class FakePlatform:
    """Takes a call when told to, or raises what it is given."""

    def __init__(self, name: str = "one", error: Exception | None = None) -> None:
        self.name, self.error = name, error
        self.facts: list[CallFacts] = []
        self.go = asyncio.Event()
        self.go.set()
        self.is_closed = False

    async def create(self, call: CallFacts) -> Created:
        self.facts.append(call)
        await self.go.wait()
        if self.error:
            raise self.error
        return Created(far_spec(self.name), f"ref-{self.name}")

    async def close(self) -> None:
        self.is_closed = True


class FakeRecords:
    """Takes everything at once. With `durable` set beginnings take until that future is done."""

    def __init__(self) -> None:
        self.begun: list[CallRecord] = []
        "As they were at that moment."
        self.written: list[CallRecord] = []
        self.durable: asyncio.Future[None] | None = None

    def begin(self, record: CallRecord) -> asyncio.Future[None]:
        self.begun.append(copy.deepcopy(record))
        return self.durable or _done()

    def end(self, record: CallRecord) -> asyncio.Future[None]:
        self.written.append(record)
        return _done()


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
