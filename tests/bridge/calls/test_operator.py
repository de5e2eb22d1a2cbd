"""The operator with a desk whose line and workers are in memory, and a store that forgets nothing while it lives."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from bridge.calls.desk import Desk
from bridge.calls.inbound import InboundSession
from bridge.calls.operator import CallRequest, NotPlaced, Operator, TransferRequest
from bridge.calls.outbound import OutboundSession
from bridge.calls.trunks import Choices, ListedTrunks, Wanted, Way
from bridge.config import Config, OutboundSection, PlatformSection, SipSection, TrunkSection
from bridge.errors import End, StoreDown
from bridge.records import CallRecord
from bridge.store import Forgetful
from sip import messages as sip
from tests.fakes import FakeLine, FakePlatform, FakeWorkers, offer, opened
from tests.helpers.workerbench import until

WAY = Way(uri="sip:+525512345678@mx.example", trunk="mx-1", region="latam")
CONFIG = Config(
    sip=SipSection(max_calls=3),
    trunks=(TrunkSection(name="mx-1", region="latam"),),
    platforms=(
        PlatformSection(name="one", kind="vapi", connect_timeout_ms=700),
        PlatformSection(name="two", kind="vapi"),
    ),
    outbound=OutboundSection(country="MX", platforms=("two", "one"), attempts=2, setup_timeout_ms=3000),
)


class FixedTrunks(ListedTrunks):
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self, choices: Choices | None = None) -> None:
        super().__init__()
        self.answer = choices or Choices(ways=(WAY,))
        self.asked: list[Wanted] = []

    def choices(self, wanted: Wanted) -> Choices:
        self.asked.append(wanted)
        return self.answer


class Board:
    """A switchboard for calls out only: the caps of the platforms."""

    def __init__(self, caps: dict[str, int]) -> None:
        self._caps = caps

    def admit(self, incoming: sip.Incoming) -> End | None:
        raise AssertionError("nobody calls in")

    def inbound(self, incoming: sip.Incoming, now: float, started_at: str) -> InboundSession:
        raise AssertionError("nobody calls in")

    def max_calls(self, platform: str) -> int:
        return self._caps.get(platform, 0)


class Exchange:
    def __init__(
        self, choices: Choices | None = None, store: Forgetful | None = None, caps: dict[str, int] | None = None
    ) -> None:
        self.line, self.workers, self.store = FakeLine(), FakeWorkers(), store or Forgetful()
        self.trunks = FixedTrunks(choices)
        platforms = {name: FakePlatform(name) for name in ("one", "two")}
        self.desk = Desk(self.line, self.workers, platforms, self.store, Board(caps or {}), self.trunks)
        self.operator = Operator(self.desk, self.trunks, self.store, CONFIG)

    async def refusal(self, request: CallRequest, key: str = "") -> tuple[int, str, int]:
        with pytest.raises(NotPlaced) as caught:
            await self.operator.place(request, key)
        assert len(self.desk) == 0
        return caught.value.status, str(caught.value), caught.value.retry_after_s

    async def end(self, call: str) -> None:
        self.desk.hang_up(call)
        await self.desk.close(0)


async def test_a_call_is_placed() -> None:
    exchange = Exchange()
    request = CallRequest(to="55 1234 5678", caller="55 8765 4321", context={"name": "Ana"}, max_duration_s=60)
    call = await exchange.operator.place(request, "key-1")
    assert exchange.trunks.asked == [Wanted(number="+525512345678", country="MX", caller="+525587654321")]
    [session] = exchange.desk.standing()
    assert session.call == call
    assert session.record.dialled == "+525512345678"
    assert (session.record.country, session.record.caller, session.record.request_id) == (
        "MX",
        "+525587654321",
        "key-1",
    )
    assert session.context == {"name": "Ana"}
    exchange.desk.on_worker(call, opened(call))
    await until(lambda: bool(exchange.line.sent))
    [dial] = exchange.line.sent
    assert isinstance(dial, sip.Dial)
    assert (dial.uri, dial.trunk) == (WAY.uri, "mx-1")
    await exchange.end(call)


async def test_settings_of_the_call() -> None:
    exchange = Exchange()
    call = await exchange.operator.place(CallRequest(to="+525512345678"))
    settings = exchange.desk.standing()[-1].settings
    assert (settings.ring_timeout_ms, settings.setup_timeout_ms, settings.attempts) == (45000, 3000, 2)
    await exchange.end(call)


@pytest.mark.parametrize(("asked", "way"), [(None, 5000), (9000, 9000)])
async def test_whoever_asks_may_say_how_long_it_rings(asked: int | None, way: int) -> None:
    exchange = Exchange(Choices(ways=(replace(WAY, ring_timeout_ms=5000),)))
    call = await exchange.operator.place(CallRequest(to="+525512345678", ring_timeout_ms=asked))
    [session] = exchange.desk.standing()
    assert isinstance(session, OutboundSession)
    assert [one.ring_timeout_ms for one in session.order.ways] == [way]
    await exchange.end(call)


@pytest.mark.parametrize(
    ("request_", "names"),
    [(CallRequest(to="+525512345678"), ["two", "one"]), (CallRequest(to="+525512345678", platform="one"), ["one"])],
)
async def test_which_platforms(request_: CallRequest, names: list[str]) -> None:
    exchange = Exchange()
    call = await exchange.operator.place(request_)
    [session] = exchange.desk.standing()
    assert [candidate.platform for candidate in session.hunt.candidates] == names  # type: ignore[attr-defined]
    await exchange.end(call)


async def test_a_platform_that_was_asked_while_it_rang_may_be_asked_again() -> None:
    """Nobody knows how long each vendor keeps a call for which no socket comes."""
    exchange = Exchange()
    outbound = msgspec.structs.replace(CONFIG.outbound, connect="while-ringing")
    exchange.operator.config = msgspec.structs.replace(CONFIG, outbound=outbound)
    call = await exchange.operator.place(CallRequest(to="+525512345678", platform="one"))
    [session] = exchange.desk.standing()
    assert isinstance(session, OutboundSession)
    assert [candidate.platform for candidate in session.order.candidates] == ["one", "one"]
    await exchange.end(call)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CallRequest(to="911"), "to: is too short"),
        (CallRequest(to="hello"), "to: is no telephone number"),
        (CallRequest(to="+999123456789"), "to: needs a country code: write it with +"),
        (CallRequest(to="sip:1@x"), "to: a SIP URI needs a trunk that is to carry it"),
        (CallRequest(to="sip:1@x SIP/2.0\r\nX-A: b", trunk="mx-1"), "to: is no SIP URI"),
        (CallRequest(to="sip:1@x>", trunk="mx-1"), "to: is no SIP URI"),
        (CallRequest(to="sip:", trunk="mx-1"), "to: is no SIP URI"),
        (CallRequest(to="+525512345678", trunk="x"), "trunk: no trunk is called 'x'"),
        (CallRequest(to="+525512345678", region="mars"), "region: no trunk is of region 'mars'"),
        (CallRequest(to="+525512345678", platform="x"), "platform: no platform is called 'x'"),
        (CallRequest(to="+525512345678", caller="ana"), "from: is no telephone number"),
    ],
)
async def test_what_cannot_be_called(request_: CallRequest, said: str) -> None:
    exchange = Exchange()
    assert await exchange.refusal(request_, "key-1") == (400, said, 0)
    assert exchange.trunks.asked == []


async def test_a_sip_uri_over_a_trunk() -> None:
    exchange = Exchange()
    call = await exchange.operator.place(CallRequest(to="sip:100@pbx.example", trunk="mx-1"))
    assert exchange.trunks.asked == [Wanted(number="sip:100@pbx.example", trunk="mx-1")]
    await exchange.end(call)


@pytest.mark.parametrize(
    ("choices", "status", "said", "retry_s"),
    [
        (
            Choices(left_out=("mx-1: 30 of 30 calls stand",), is_full=True, retry_after_s=4),
            *(429, "all trunks are full: mx-1: 30 of 30 calls stand", 4),
        ),
        (Choices(left_out=("mx-1: full",), is_full=True), 429, "all trunks are full: mx-1: full", 1),
        (Choices(left_out=("mx-1: down",)), 503, "no trunk can take it now: mx-1: down", 5),
        (Choices(is_carried=False), 400, "to: no trunk carries calls there", 0),
        (
            Choices(is_carried=False, left_out=("mx-1: not for DE",)),
            *(400, "to: no trunk carries calls there (mx-1: not for DE)", 0),
        ),
    ],
)
async def test_no_way(choices: Choices, status: int, said: str, retry_s: int) -> None:
    assert await Exchange(choices).refusal(CallRequest(to="+525512345678")) == (status, said, retry_s)


async def test_our_own_limit() -> None:
    exchange = Exchange()
    for _ in range(3):
        call = await exchange.operator.place(CallRequest(to="+525512345678"))
    with pytest.raises(NotPlaced) as caught:
        await exchange.operator.place(CallRequest(to="+525512345678"))
    assert (caught.value.status, str(caught.value), caught.value.retry_after_s) == (
        429,
        "3 calls stand, and no more may",
        1,
    )
    await exchange.end(call)


async def test_no_agent_is_free() -> None:
    """Better no call than a callee who says hello to nobody."""
    exchange = Exchange(caps={"two": 1, "one": 1})
    for platform in ("two", "one"):
        call = await exchange.operator.place(CallRequest(to="+525512345678", platform=platform))
        exchange.desk.on_worker(call, opened(call))
        await until(lambda call=call: any(getattr(one, "call", "") == call for one in exchange.line.sent))  # type: ignore[misc]
        exchange.desk.on_sip(sip.Answered(call=call, sdp=offer(formats="0")))
    with pytest.raises(NotPlaced) as caught:
        await exchange.operator.place(CallRequest(to="+525512345678"))
    assert (caught.value.status, str(caught.value)) == (429, "no agent is free: two, one")
    await exchange.desk.close(0)


async def test_a_bridge_that_stops() -> None:
    exchange = Exchange()
    await exchange.desk.close(0)
    assert await exchange.refusal(CallRequest(to="+525512345678")) == (503, "the bridge is stopping", 5)


class TestKeys:
    request = CallRequest(to="+525512345678", context={"a": "1", "b": "2"})

    async def test_sent_twice_placed_once(self) -> None:
        exchange = Exchange()
        first = await exchange.operator.place(self.request, "k")
        again = CallRequest(to="+525512345678", context={"b": "2", "a": "1"})
        assert await exchange.operator.place(again, "k") == first
        assert len(exchange.desk) == 1
        await exchange.end(first)
        assert await exchange.operator.place(self.request, "k") == first  # over, and not called again
        assert len(exchange.desk) == 0

    async def test_all_at_once(self) -> None:
        exchange = Exchange()
        calls = await asyncio.gather(*(exchange.operator.place(self.request, "k") for _ in range(20)))
        assert len(set(calls)) == 1
        assert len(exchange.desk) == 1
        await exchange.end(calls[0])

    async def test_another_request(self) -> None:
        exchange = Exchange()
        call = await exchange.operator.place(self.request, "k")
        with pytest.raises(NotPlaced) as caught:
            await exchange.operator.place(CallRequest(to="+525512345679"), "k")
        assert (caught.value.status, str(caught.value)) == (422, "Idempotency-Key: came before, with another request")
        await exchange.end(call)

    async def test_without_a_key_each_is_a_call(self) -> None:
        exchange = Exchange()
        calls = {await exchange.operator.place(self.request) for _ in range(2)}
        assert len(calls) == len(exchange.desk) == 2
        await exchange.end(calls.pop())

    async def test_another_life_of_the_bridge(self) -> None:
        store = Forgetful()
        before = Exchange(store=store)
        call = await before.operator.place(self.request, "k")
        await before.end(call)
        after = Exchange(store=store)
        assert await after.operator.place(self.request, "k") == call
        assert len(after.desk) == 0

    async def test_what_could_not_be_placed_may_be_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same when the bridge was killed between the claim and the call."""
        monkeypatch.setattr("bridge.calls.operator.LOOK_AGAIN_S", 0.01)
        exchange = Exchange(Choices(left_out=("mx-1: down",)))
        assert (await exchange.refusal(self.request, "k"))[0] == 503
        exchange.trunks.answer = Choices(ways=(WAY,))
        calls = await asyncio.gather(*(exchange.operator.place(self.request, "k") for _ in range(5)))
        assert len(set(calls)) == len(exchange.desk) == 1
        await exchange.end(calls[0])

    async def test_a_store_that_cannot_tell(self) -> None:
        class Down(Forgetful):
            async def find(self, call: str) -> CallRecord | None:
                raise StoreDown("connection refused")

        exchange = Exchange(store=Down())
        call = await exchange.operator.place(self.request, "k")
        await exchange.end(call)
        status, said, retry_s = await exchange.refusal(self.request, "k")
        assert (status, retry_s) == (503, 5)
        assert said == "idempotency keys cannot be kept just now: connection refused"


@pytest.mark.parametrize(
    ("to", "status", "why"),
    [
        ("55 1234 5678", 404, "there is no such call"),
        ("sip:102@pbx.example", 404, "there is no such call"),
        ("12", 400, "to: "),
        ("sip:x@y>\r\nFoo: bar", 400, "to: is no SIP URI"),
        ("sip:x@y>;a=b", 400, "to: is no SIP URI"),
        ("sip:x y@z", 400, "to: is no SIP URI"),
        ("sip:\u00e9@z", 400, "to: is no SIP URI"),
        ("sip:", 400, "to: is no SIP URI"),
    ],
)
async def test_a_transfer_that_cannot_be(to: str, status: int, why: str) -> None:
    exchange = Exchange()
    with pytest.raises(NotPlaced) as caught:
        exchange.operator.transfer("gone", TransferRequest(to=to))
    assert caught.value.status == status
    assert str(caught.value).startswith(why)


async def test_a_transfer_of_a_call_that_still_rings() -> None:
    exchange = Exchange()
    call = await exchange.operator.place(CallRequest(to="+525512345678"))
    with pytest.raises(NotPlaced) as caught:
        exchange.operator.transfer(call, TransferRequest(to="+525512345678"))
    assert (caught.value.status, str(caught.value)) == (409, "nobody talks in this call just now")
    await exchange.end(call)
