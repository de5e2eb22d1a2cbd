"""Names to addresses, asked of a real name server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.bench.failover.names import NameServer
from bridge.trunks.lookup import MOST_TTL_S, Answer, Found, LookUpFailed, Names, Told
from bridge.trunks.places import Place
from sip.options import Target

P = "p.example"


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as server:
        yield server


def names(server: NameServer) -> Names:
    return Names((server.address,))


def found(answer: Answer) -> list[tuple[str, int, int, int]]:
    return [(one.target.address, one.target.port, one.priority, one.weight) for one in answer.found]


async def test_an_address_is_its_own_answer(server: NameServer) -> None:
    answer = await names(server).look_up(Place("192.0.2.1", 5070))
    assert answer == Answer((Found(Target("192.0.2.1", 5070)),), MOST_TTL_S)
    assert not server.asked


async def test_addresses_alone(server: NameServer) -> None:
    server.put(P, "A", "192.0.2.2", "192.0.2.1", ttl_s=30)
    answer = await names(server).look_up(Place(P))
    assert answer == Answer(tuple(Found(Target(f"192.0.2.{n}", 5060, "udp", P)) for n in (1, 2)), 30.0)
    assert set(server.asked) == {"NAPTR", "SRV", "A"}


@pytest.mark.parametrize("place", [Place(P, 5070), Place(P, srv=False)])
async def test_a_port_or_srv_false_asks_for_addresses_at_once(server: NameServer, place: Place) -> None:
    server.put(P, "A", "192.0.2.1")
    server.put(f"_sip._udp.{P}", "SRV", "10 5 5090 other.example.")
    answer = await names(server).look_up(place)
    assert found(answer) == [("192.0.2.1", place.port or 5060, 0, 0)]
    assert set(server.asked) == {"A"}


async def test_srv_with_priorities_weights_and_the_least_ttl(server: NameServer) -> None:
    server.put(f"_sip._udp.{P}", "SRV", "20 0 5062 c.example.", "10 30 5060 a.example.", "10 70 5061 b.example.")
    server.put("a.example", "A", "192.0.2.1", ttl_s=50)
    server.put("b.example", "A", "192.0.2.2", "192.0.2.3", ttl_s=20)
    server.put("c.example", "A", "192.0.2.4")
    answer = await names(server).look_up(Place(P))
    assert found(answer) == [
        ("192.0.2.2", 5061, 10, 70),
        ("192.0.2.3", 5061, 10, 70),
        ("192.0.2.1", 5060, 10, 30),
        ("192.0.2.4", 5062, 20, 0),
    ]
    assert answer.ttl_s == 20.0
    assert {one.target.name for one in answer.found} == {P}


@pytest.mark.parametrize(
    ("transport", "srv", "port"),
    [("udp", "_sip._udp", 5060), ("tcp", "_sip._tcp", 5060), ("tls", "_sips._tcp", 5061)],
)
async def test_each_transport_has_its_own_records(server: NameServer, transport: str, srv: str, port: int) -> None:
    server.put("a.example", "A", "192.0.2.1")
    place = Place(P, 0, transport)  # type: ignore[arg-type]
    server.put(P, "A", "192.0.2.9")
    assert found(await names(server).look_up(place)) == [("192.0.2.9", port, 0, 0)]
    server.put(f"{srv}.{P}", "SRV", "10 0 5099 a.example.")
    assert found(await names(server).look_up(place)) == [("192.0.2.1", 5099, 10, 0)]


async def test_naptr_leads_elsewhere(server: NameServer) -> None:
    server.put(
        P,
        "NAPTR",
        '20 50 "s" "SIP+D2U" "" _sip._udp.later.example.',
        '10 50 "s" "SIP+D2U" "" udp.other.example.',
        '5 50 "s" "SIP+D2T" "" _sip._tcp.tcp.example.',
        '1 50 "u" "E2U+sip" "!^.*$!sip:x@y!" .',
        ttl_s=7,
    )
    server.put("udp.other.example", "SRV", "1 1 5080 a.example.")
    server.put("a.example", "A", "192.0.2.1")
    answer = await names(server).look_up(Place(P))
    assert (found(answer), answer.ttl_s) == ([("192.0.2.1", 5080, 1, 1)], 7.0)


async def test_naptr_without_our_transport_changes_nothing(server: NameServer) -> None:
    server.put(P, "NAPTR", '10 50 "s" "SIP+D2T" "" _sip._tcp.other.example.')
    server.put(P, "A", "192.0.2.1")
    assert found(await names(server).look_up(Place(P))) == [("192.0.2.1", 5060, 0, 0)]


async def test_one_srv_host_that_does_not_resolve_leaves_the_others(server: NameServer) -> None:
    server.put(f"_sip._udp.{P}", "SRV", "10 0 5060 gone.example.", "20 0 5060 a.example.")
    server.put("a.example", "A", "192.0.2.1")
    assert found(await names(server).look_up(Place(P))) == [("192.0.2.1", 5060, 20, 0)]


async def test_ipv6_partners_of_an_ipv6_bridge(server: NameServer) -> None:
    server.put(P, "AAAA", "2001:db8::1")
    server.put(P, "A", "192.0.2.1")
    answer = await Names((server.address,), "ipv6").look_up(Place(P))
    assert found(answer) == [("2001:db8::1", 5060, 0, 0)]


async def test_what_cannot_be_found(server: NameServer) -> None:
    server.put(f"_sip._udp.{P}", "SRV", "0 0 0 .")
    with pytest.raises(LookUpFailed, match=r"^_sip._udp.p.example: SRV says that there is no such service$"):
        await names(server).look_up(Place(P))
    with pytest.raises(LookUpFailed, match=r"^nowhere.example: has no address \(A\)$"):
        await names(server).look_up(Place("nowhere.example"))
    server.put(f"_sip._udp.{P}", "SRV", "10 0 5060 gone.example.")
    with pytest.raises(LookUpFailed, match=r"none of the hosts that SRV names has an address \(gone.example\)$"):
        await names(server).look_up(Place(P))
    with pytest.raises(LookUpFailed, match="no answer for A"):
        await names(server).look_up(Place("a" * 64 + ".example", srv=False))


async def test_a_server_that_is_dead_or_fails_is_no_answer(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.trunks.lookup.QUESTION_S", 0.1)
    monkeypatch.setattr("bridge.trunks.lookup.ANSWER_S", 0.3)
    server.put(P, "A", "192.0.2.1")
    server.is_dead = True
    with pytest.raises(LookUpFailed, match=r"^_sip._udp.p.example: no answer for SRV: no name server answers$"):
        await names(server).look_up(Place(P))
    server.is_dead, server.fails = False, True
    with pytest.raises(LookUpFailed, match=r"no answer for A: the name servers refuse or fail$"):
        await names(server).look_up(Place(P, srv=False))


async def test_the_second_server_stands_in(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.trunks.lookup.QUESTION_S", 0.1)
    async with NameServer() as dead:
        dead.is_dead = True
        server.put(P, "A", "192.0.2.1")
        answer = await Names((dead.address, server.address)).look_up(Place(P, srv=False))
    assert found(answer) == [("192.0.2.1", 5060, 0, 0)]


async def test_a_ttl_of_nothing_is_a_second(server: NameServer) -> None:
    server.put(P, "A", "192.0.2.1", ttl_s=0)
    assert (await names(server).look_up(Place(P, srv=False))).ttl_s == 1.0


async def test_the_directory_that_was_told() -> None:
    answer = Answer((Found(Target("192.0.2.1", 5060)),), 5.0)
    told = Told({P: answer})
    assert await told.look_up(Place(P)) == answer
    assert (await told.look_up(Place("192.0.2.7"))).found == (Found(Target("192.0.2.7", 5060)),)
    with pytest.raises(LookUpFailed, match="no name server answers"):
        await told.look_up(Place("other.example"))
    assert [place.host for place in told.asked] == [P, "192.0.2.7", "other.example"]
