"""Offers and answers as the session uses them (what SDP itself is, sip.sdp is tested for)."""

from __future__ import annotations

import msgspec
import pytest

from bridge.calls.near import NearSide, NotAcceptable
from bridge.config import MediaSection
from bridge.errors import Blame, End
from media import codecs
from media.wire import NearSpec, SrtpKeys
from sip import crypto, sdp
from tests.fakes import NEAR, OFFER, offer

BEST, SHORT = crypto.SUITES
KEY = crypto.Crypto(tag=1, suite=BEST, key=bytes(range(30)))


def near(public_host: str = "", *, srtp: sdp.Srtp = "off") -> NearSide:
    side = NearSide(("PCMU", "PCMA"), public_host, srtp)
    side.on_port("10.0.0.1", 20000)
    return side


def secure(key: crypto.Crypto, *, profile: str = "RTP/SAVP", port: int = 4000) -> str:
    return offer(port=port).replace("RTP/AVP", profile) + f"a=crypto:{key.text}\n"


def keys_in(text: str) -> list[crypto.Crypto]:
    return [crypto.parse(line.removeprefix("a=crypto:")) for line in text.splitlines() if line.startswith("a=crypto:")]


def version(text: str) -> int:
    return int(text.splitlines()[1].split()[2])


def test_their_offer() -> None:
    side = near()
    side.take_offer(OFFER)
    assert "m=audio 20000 RTP/AVP 8 101" in side.answer()
    assert side.spec() == NEAR


def test_behind_a_nat() -> None:
    side = near("203.0.113.5")
    side.take_offer(OFFER)
    assert "c=IN IP4 203.0.113.5" in side.answer()


def test_nothing_is_known_before_an_answer() -> None:
    side = near()
    assert side.spec() is None
    assert "RTP/AVP 0 8 101" in side.answer()  # no offer of theirs: ours
    assert side.spec() is None
    assert side.take_answer(offer(formats="8 101"))
    assert side.spec() == NEAR
    assert not side.take_answer(offer(formats="8 101"))


def test_an_answer_to_nothing() -> None:
    side = near()
    assert not side.take_answer(OFFER)
    assert side.spec() is None


def test_what_we_said_is_offered_again_by_the_sip_process() -> None:
    """A re-INVITE without SDP: what they make of it counts, e.g. another address (RFC 3261, 14.2)."""
    side = near()
    side.take_offer(OFFER)
    side.answer()
    assert side.take_answer(offer(host="192.0.2.8", port=4010, formats="8 101", direction="sendonly"))
    assert side.spec() == msgspec.structs.replace(NEAR, host="192.0.2.8", port=4010, receives=False)
    with pytest.raises(NotAcceptable):
        side.take_answer(offer(formats="0"))  # not what was agreed on, so not what was offered
    assert side.spec() == msgspec.structs.replace(NEAR, host="192.0.2.8", port=4010, receives=False)


def test_the_version_goes_up_with_every_change() -> None:
    side = near()
    side.take_offer(OFFER)
    first = side.answer()
    side.take_offer(offer())
    assert side.answer() == first
    side.take_offer(offer(direction="sendonly"))
    assert version(side.answer()) == version(first) + 1


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("v=0\n", End(Blame.CLIENT, "bad-sdp", 400, "SDP has no m=audio line")),
        (
            offer(formats="18"),
            End(Blame.CLIENT, "no-common-codec", 488, "no common codec: G729/8000 was offered, we speak PCMU, PCMA"),
        ),
    ],
)
def test_a_bad_offer_changes_nothing(text: str, end: End) -> None:
    side = near()
    side.take_offer(OFFER)
    side.answer()
    with pytest.raises(NotAcceptable) as raised:
        side.take_offer(text)
    assert raised.value.end() == end
    assert side.spec() == NEAR


def test_the_tables_of_signalling_media_and_settings_agree() -> None:
    """Three rooms that do not know each other: names, payload types and clocks must be the same in all."""
    assert {name: codec.offered.clock_hz for name, codec in sdp.CODECS.items()} == {
        name: codec.clock_rate_hz for name, codec in codecs.CODECS.items()
    }
    for name, codec in codecs.CODECS.items():
        number = sdp.CODECS[name].offered.payload_type
        assert number == codec.payload_type if codec.payload_type >= 0 else number >= 96
    assert msgspec.convert({"codecs": list(sdp.CODECS)}, MediaSection).codecs == tuple(sdp.CODECS)


def test_a_codec_goes_to_the_worker_by_its_name() -> None:
    side = NearSide(("L16/16000",))
    side.on_port("10.0.0.1", 20000)
    text = offer(formats="98 97").replace("a=rtpmap:101 telephone-event/8000", "a=rtpmap:97 L16/16000\na=ptime:40")
    side.take_offer(text)
    assert side.spec() == NearSpec(host="192.0.2.7", port=4000, codec="L16/16000", payload_type=97, ptime_ms=40)


def test_where_reports_go_is_told_to_the_worker() -> None:
    side = near()
    side.take_offer(OFFER + "a=rtcp:4005 IN IP4 192.0.2.8\r\na=rtcp-mux\r\n")
    assert "a=rtcp-mux" in side.answer().splitlines()
    assert side.spec() == msgspec.structs.replace(NEAR, rtcp_host="192.0.2.8", rtcp_port=4005, rtcp_mux=True)


class TestSrtp:
    def test_their_key_and_ours(self) -> None:
        side = near(srtp="required")
        side.take_offer(secure(KEY))
        [ours] = keys_in(side.answer())
        assert (ours.tag, ours.suite) == (KEY.tag, KEY.suite)
        assert ours.key != KEY.key
        spec = side.spec()
        assert spec == msgspec.structs.replace(NEAR, srtp=SrtpKeys(suite=BEST, ours=ours.key, theirs=KEY.key))
        assert repr(ours.key) not in repr(spec)

    def test_their_mki(self) -> None:
        side = near(srtp="optional")
        side.take_offer(secure(KEY).replace(f"a=crypto:{KEY.text}", f"a=crypto:{KEY.text}|2^20|1:4"))
        side.answer()
        spec = side.spec()
        assert spec is not None
        assert spec.srtp is not None
        assert spec.srtp.theirs_mki == bytes([0, 0, 0, 1])

    def test_a_key_of_ours_lives_as_long_as_theirs(self) -> None:
        side = near(srtp="optional")
        side.take_offer(secure(KEY))
        first = side.answer()
        side.take_offer(secure(KEY))
        assert side.answer() == first
        side.take_offer(secure(crypto.Crypto(tag=5, suite=BEST, key=KEY.key), port=4002))
        assert [(one.tag, one.key) for one in keys_in(side.answer())] == [(5, keys_in(first)[0].key)]
        for other in (crypto.fresh(1, BEST), crypto.fresh(1, SHORT)):
            before = keys_in(side.ours)
            side.take_offer(secure(other))
            [ours] = keys_in(side.answer())
            assert ours.suite == other.suite
            assert ours.key != before[0].key

    def test_in_the_clear_and_back(self) -> None:
        """A call that is handed on to a phone without keys and back again; a key is not used a second time."""
        side = near(srtp="optional")
        side.take_offer(secure(KEY))
        [first] = keys_in(side.answer())
        side.take_offer(OFFER)
        assert keys_in(side.answer()) == []
        assert side.spec() == NEAR
        side.take_offer(secure(KEY))
        [second] = keys_in(side.answer())
        assert second.key != first.key

    def test_what_the_sip_process_has_answered(self) -> None:
        """With what we said before: so our key stays, whatever they do with theirs, and nothing else can change."""
        side = near(srtp="optional")
        side.take_offer(secure(KEY))
        [ours] = keys_in(side.answer())
        other = crypto.fresh(4, BEST)
        side.take_offer(secure(other, port=4002), answered=True)
        spec = side.spec()
        assert spec is not None
        assert (spec.port, spec.srtp) == (4002, SrtpKeys(suite=BEST, ours=ours.key, theirs=other.key))
        with pytest.raises(NotAcceptable):
            side.take_offer(OFFER, answered=True)
        assert side.spec() == spec

        plain = near(srtp="optional")
        plain.take_offer(OFFER)
        plain.answer()
        plain.take_offer(secure(KEY, profile="RTP/AVP"), answered=True)
        assert plain.spec() == NEAR

    @pytest.mark.parametrize(
        ("srtp", "text", "reason"),
        [
            ("required", OFFER, "srtp-required"),
            ("required", offer(formats="18"), "no-common-codec"),
            ("required", OFFER.replace("RTP/AVP", "RTP/SAVP"), "no-common-codec"),
            ("off", secure(KEY), "no-common-codec"),
        ],
    )
    def test_refused(self, srtp: sdp.Srtp, text: str, reason: str) -> None:
        side = near(srtp=srtp)
        with pytest.raises(NotAcceptable) as raised:
            side.take_offer(text)
        assert (raised.value.status, raised.value.reason) == (488, reason)
        assert side.spec() is None

    @pytest.mark.parametrize("suite", [BEST, SHORT])
    def test_an_offer_of_ours(self, suite: str) -> None:
        side = near(srtp="required")
        ours = keys_in(side.answer())
        assert [one.suite for one in ours] == [BEST, SHORT]
        taken = next(one for one in ours if one.suite == suite)
        theirs = crypto.fresh(taken.tag, suite)
        assert side.take_answer(secure(theirs))
        spec = side.spec()
        assert spec is not None
        assert spec.srtp == SrtpKeys(suite=suite, ours=taken.key, theirs=theirs.key)
        side.take_offer(secure(theirs))  # a re-INVITE of theirs: nothing has changed
        assert [one.key for one in keys_in(side.answer())] == [taken.key]

    def test_an_answer_in_the_clear(self) -> None:
        side = near(srtp="required")
        side.answer()
        with pytest.raises(NotAcceptable):
            side.take_answer(OFFER)
        side = near(srtp="optional")
        side.answer()
        assert side.take_answer(OFFER)
        assert side.spec() == NEAR
