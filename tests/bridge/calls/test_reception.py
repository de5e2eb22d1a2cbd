"""From an INVITE and the settings to a session."""

from __future__ import annotations

import msgspec
import pytest

from bridge.calls.hunt import Candidate
from bridge.calls.reception import Reception
from bridge.config import Config, MediaSection, PlatformSection, RouteSection, TrunkSection
from bridge.errors import Blame, End
from sip import messages as sip
from tests.fakes import STARTED_AT, incoming

ONE = PlatformSection(name="one", kind="ultravox", url="http://127.0.0.1:9", prompt="Be kind.")
TWO = PlatformSection(name="two", kind="vapi", url="http://127.0.0.1:9", agent="a", max_calls=3)


def over(trunk: str, dialled: str = "100", caller: str = "sip:+4930111@192.0.2.7") -> sip.Incoming:
    return msgspec.structs.replace(incoming(dialled=dialled), trunk=trunk, from_uri=caller)


def test_a_route_makes_a_session() -> None:
    route = RouteSection(
        number="1*", platforms=("two",), answer="immediately", ring_timeout_ms=9000, context={"k": "v"}
    )
    config = Config(platforms=(ONE, TWO), routes=(route,), media=MediaSection(recording_dir="/rec", codecs=("PCMA",)))
    session = Reception(config).inbound(incoming(dialled="100"), 1.0, STARTED_AT)
    assert session.hunt.candidates == (Candidate("two", 5000),)
    assert (session.answer_when, session.context, session.record.route) == ("immediately", {"k": "v"}, "1*")
    assert (session.settings.recording, session.settings.codecs) == ("/rec/c1.wav", ("PCMA",))
    assert session.settings.ring_timeout_ms == 9000


def test_no_route() -> None:
    config = Config(platforms=(ONE,), routes=(RouteSection(number="2*"),))
    session = Reception(config).inbound(incoming(dialled="100"), 1.0, STARTED_AT)
    assert (session.hunt.candidates, session.settings.recording, session.record.route) == ((), "", "")


def test_without_routes_all_platforms_in_order() -> None:
    session = Reception(Config(platforms=(ONE, TWO))).inbound(incoming(), 1.0, STARTED_AT)
    assert [one.platform for one in session.hunt.candidates] == ["one", "two"]


def test_whose_call_it_is_goes_into_the_record_and_to_the_agent() -> None:
    trunk = TrunkSection(name="mx", region="latam", countries=("MX",))
    route = RouteSection(
        name="vip", numbers=("+525512345678",), regions=("latam",), company="parcels", flow="vip", call_type="sales",
        context={"flow": "special", "hours": "8-18"},
    )  # fmt: skip
    config = Config(trunks=(trunk,), platforms=(ONE,), routes=(route, RouteSection(platforms=("one",))))
    session = Reception(config).inbound(over("mx", "55 1234 5678", "sip:5587654321@x"), 1.0, STARTED_AT)
    record = session.record
    assert (record.route, record.company, record.flow, record.call_type) == ("vip", "parcels", "vip", "sales")
    assert (record.region, record.country) == ("latam", "MX")
    expected = {"company": "parcels", "flow": "special", "call_type": "sales", "hours": "8-18"}
    assert session.context == expected
    other = Reception(config).inbound(over("gone", "55 1234 5678"), 1.0, STARTED_AT).record
    assert (other.route, other.company, other.region, other.country) == ("*", "", "", "DE")


@pytest.mark.parametrize(("name", "srtp"), [("local", "required"), ("other", "off"), ("unknown", "off")])
def test_encryption_is_the_trunks_affair(name: str, srtp: str) -> None:
    trunks = (TrunkSection(name="local", srtp="required"), TrunkSection(name="other"))
    reception = Reception(Config(trunks=trunks, platforms=(ONE,)))
    assert reception.inbound(over(name), 1.0, STARTED_AT).settings.srtp == srtp


def test_codecs_and_address_too_where_it_has_its_own() -> None:
    trunks = (TrunkSection(name="a", codecs=("G722",), public_host="192.0.2.9"), TrunkSection(name="b"))
    media = MediaSection(codecs=("PCMA",), public_host="192.0.2.1")
    reception = Reception(Config(trunks=trunks, platforms=(ONE,), media=media))
    settings = [reception.inbound(over(name), 1.0, STARTED_AT).settings for name in "ab"]
    assert [(one.codecs, one.public_host) for one in settings] == [
        (("G722",), "192.0.2.9"),
        (("PCMA",), "192.0.2.1"),
    ]


@pytest.mark.parametrize(
    ("request_uri", "to_uri", "dialled"),
    [
        ("sip:acc@127.0.0.1:5060", "sip:+525512345678@p.example", "+525512345678"),
        ("sip:acc@127.0.0.1:5060", "sip:p.example", "acc"),
        ("sip:+525511111111@127.0.0.1:5060", "sip:+525512345678@p.example", "+525511111111"),
    ],
)
def test_over_a_registration_the_number_may_stand_in_to_alone(request_uri: str, to_uri: str, dialled: str) -> None:
    trunk = TrunkSection(name="reg", kind="register", username="acc", registrar="sip:p.example")
    config = Config(trunks=(trunk,), platforms=(ONE,), routes=(RouteSection(number="+525512345678"),))
    call = msgspec.structs.replace(over("reg"), request_uri=request_uri, to_uri=to_uri)
    session = Reception(config).inbound(call, 1.0, STARTED_AT)
    assert session.record.dialled == dialled
    assert bool(session.hunt.candidates) is (dialled == "+525512345678")


def test_caps_and_new_settings() -> None:
    reception = Reception(Config(platforms=(ONE, TWO)))
    assert [reception.max_calls(name) for name in ("one", "two", "none")] == [0, 3, 0]
    reception.set_config(Config(platforms=(ONE,)))
    assert reception.max_calls("two") == 0


def test_the_doors_decide_who_comes_in() -> None:
    end = End(Blame.CLIENT, "trunk-full", 486, "trunk mx: 1 of 1 calls", 5)

    class Doors:
        def admit(self, call: str, trunk: str) -> End | None:
            return end if (call, trunk) == ("c1", "mx") else None

    reception = Reception(Config(platforms=(ONE,)), Doors())
    assert [reception.admit(over(name)) for name in ("mx", "us")] == [end, None]
    assert Reception(Config()).admit(over("mx")) is None
