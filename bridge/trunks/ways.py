"""From a choice to a way: all that an INVITE over this trunk must say. Pure."""

from __future__ import annotations

from bridge.calls.trunks import Wanted, Way
from bridge.config import TrunkSection
from bridge.routing.callerid import caller_id
from bridge.routing.numbers import Number, find
from bridge.routing.ranking import Choice
from bridge.trunks.places import Place, place_of
from sip.trunks import host_of

DIAL_FORMATS = {
    "e164": lambda number: number.e164,
    "digits": lambda number: number.e164.removeprefix("+"),
    "national": lambda number: number.national,
}


def number_of(wanted: Wanted) -> Number | None:
    """None for a SIP URI."""
    if not wanted.number.startswith("+"):
        return None
    # Whoever asks has parsed it already; what phonenumbers does not know is still a number.
    return find(wanted.number) or Number(wanted.number, wanted.country, wanted.number.removeprefix("+"))


def way(choice: Choice, trunk: TrunkSection, wanted: Wanted, number: Number | None, our_host: str) -> Way:
    """`number`: the wanted one. `our_host`: what we call ourselves where the trunk has no domain for us."""
    place = place_of(trunk)
    uri = wanted.number
    if number is not None:
        assert place is not None, f"{trunk.name} was chosen and has no address"
        uri = f"sip:{DIAL_FORMATS[trunk.dial_format](number)}@{trunk.domain or _host(trunk, place)}"
    registers = trunk.kind == "register"
    caller = caller_id(
        trunk.caller_id,
        wanted.caller,
        domain=trunk.domain or (host_of(trunk.registrar) if registers else "") or _bracketed(our_host),
        account=trunk.username if registers else "",
        country=trunk.countries[0] if trunk.countries else "",
    )
    return Way(
        uri=uri,
        trunk=trunk.name,
        target=choice.target,
        region=trunk.region,
        from_user=caller.from_user,
        from_uri=caller.from_uri,
        headers=caller.headers,
        codecs=trunk.codecs,
        srtp=trunk.srtp,
        public_host=trunk.public_host,
        ring_timeout_ms=trunk.ring_timeout_ms,
        allow_refer=trunk.allow_refer,
        because=choice.because,
    )


def _host(trunk: TrunkSection, place: Place) -> str:
    """As the settings have it: the proxy is only on the way to it."""
    if trunk.proxy and (trunk.host or trunk.registrar):
        return trunk.host or _bracketed(host_of(trunk.registrar))
    return str(place)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
