"""What a reload may change, and what must wait."""

from __future__ import annotations

import msgspec

from bridge.config import Config, LogSection, MediaSection, OutboundSection, RouteSection, SipSection, TrunkSection
from bridge.reload import LIVE, Reloaded, merged, named

OLD = Config(trunks=(TrunkSection(name="a"),))


def test_nothing_has_changed() -> None:
    assert merged(OLD, OLD) == (OLD, ())
    assert str(Reloaded()) == "nothing has changed"


def test_what_may_change_changes() -> None:
    new = msgspec.structs.replace(
        OLD,
        trunks=(TrunkSection(name="b"),),
        routes=(RouteSection(),),
        outbound=OutboundSection(country="MX"),
        log=LogSection(level="debug"),
    )
    assert merged(OLD, new) == (new, ())


def test_what_must_wait_stays_and_is_named() -> None:
    new = Config(
        trunks=OLD.trunks,
        sip=SipSection(udp_port=5070, max_calls=3),
        media=MediaSection(workers=7, codecs=("G722",), public_host="192.0.2.1"),
    )
    config, waiting = merged(OLD, new)
    assert waiting == ("sip.udp_port", "sip.max_calls", "media.workers")
    assert (config.sip, config.media.workers) == (OLD.sip, OLD.media.workers)
    assert (config.media.codecs, config.media.public_host) == (("G722",), "192.0.2.1")


def test_every_section_and_key_of_the_table_exists() -> None:
    for name, keys in LIVE.items():
        section = getattr(OLD, name)
        assert keys is None or keys <= set(section.__struct_fields__)


def test_in_words() -> None:
    done = Reloaded(added=named("trunk", ("x", "y")), needs_restart=("sip.udp_port",))
    assert str(done) == "added trunk x, trunk y; needs_restart sip.udp_port"
