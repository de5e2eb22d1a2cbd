from __future__ import annotations

from dataclasses import replace

import pytest

from sip.sdp import (
    Choice,
    Direction,
    SdpError,
    answer_again,
    build_answer,
    build_offer,
    choose,
    choose_answered,
    offer_again,
    parse,
    parse_origin,
    revise,
    why_not,
)

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
EVENTS_8 = "a=rtpmap:101 telephone-event/8000\r\n"
OFFER = HEAD + "m=audio 4000 RTP/AVP 8 0 101\r\n" + EVENTS_8
BOTH = ("PCMU", "PCMA")
CHOSEN = Choice(line=0, host="192.0.2.1", port=4000, codec="PCMA", payload_type=8, dtmf_payload_type=101)


def origin(text: str) -> tuple[int, int]:
    line = next(line for line in text.splitlines() if line.startswith("o="))
    read = parse_origin(line[2:])
    assert read is not None
    return read.session_id, read.version


def without_origin(text: str) -> list[str]:
    return [line for line in text.split("\r\n") if not line.startswith("o=")]


class TestChoose:
    def test_the_offerers_order_counts_not_ours(self) -> None:
        assert choose(parse(OFFER), ("PCMU", "PCMA")) == CHOSEN
        assert choose(parse(OFFER), ("PCMU",)) == replace(CHOSEN, codec="PCMU", payload_type=0)

    def test_dynamic_payload_types_by_name_whatever_its_case(self) -> None:
        text = HEAD + "m=audio 4000 RTP/AVP 97 101\r\na=rtpmap:97 pcmu/8000\r\n" + EVENTS_8
        assert choose(parse(text), BOTH) == replace(CHOSEN, codec="PCMU", payload_type=97)

    @pytest.mark.parametrize("other", ["PCMU/16000", "PCMU/8000/2", "G726-32/8000"])
    def test_a_clock_or_channels_that_do_not_fit(self, other: str) -> None:
        offer = parse(HEAD + f"m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 {other}\r\n")
        assert choose(offer, BOTH) is None

    def test_telephone_event_only_at_the_codecs_clock_rate(self) -> None:
        text = HEAD + "m=audio 4000 RTP/AVP 0 110 101\r\na=rtpmap:110 telephone-event/48000\r\n"
        assert choose(parse(text), BOTH) == replace(CHOSEN, codec="PCMU", payload_type=0, dtmf_payload_type=-1)
        text += "a=rtpmap:101 Telephone-Event/8000\r\n"
        assert choose(parse(text), BOTH) == replace(CHOSEN, codec="PCMU", payload_type=0, dtmf_payload_type=101)

    def test_the_first_usable_of_several_audio_lines(self) -> None:
        text = (
            HEAD
            + "m=audio 4000 RTP/SAVP 0\r\nm=audio 0 RTP/AVP 0\r\nm=audio 4004 RTP/AVP 3\r\n"
            + "m=video 4006 RTP/AVP 0\r\nm=audio 4008 RTP/AVPF 8\r\n"
        )
        assert choose(parse(text), BOTH) == replace(CHOSEN, line=4, port=4008, dtmf_payload_type=-1)

    @pytest.mark.parametrize(
        ("lines", "ptime_ms"),
        [
            ("", 20),
            ("a=ptime:30\r\n", 30),
            ("a=ptime:20.0\r\n", 20),
            ("a=ptime:25\r\n", 20),
            ("a=ptime:200\r\n", 20),
            ("a=ptime:0\r\n", 20),
            ("a=ptime:60\r\na=maxptime:40\r\n", 40),
            ("a=maxptime:10\r\n", 10),
            ("a=maxptime:5\r\n", 10),
            ("a=maxptime:150\r\n", 20),
        ],
    )
    def test_ptime(self, lines: str, ptime_ms: int) -> None:
        assert choose(parse(OFFER + lines), BOTH) == replace(CHOSEN, ptime_ms=ptime_ms)

    @pytest.mark.parametrize(
        ("direction", "sends", "receives"),
        [("sendrecv", True, True), ("sendonly", True, False), ("recvonly", False, True), ("inactive", False, False)],
    )
    def test_direction_is_the_remotes(self, direction: str, sends: bool, receives: bool) -> None:
        choice = choose(parse(OFFER + f"a={direction}\r\n"), BOTH)
        assert choice == replace(CHOSEN, direction=Direction(direction))
        assert choice is not None
        assert (choice.sends, choice.receives) == (sends, receives)


WIDE = ("PCMU", "opus", "G722", "L16/8000", "L16/16000")


class TestCodecs:
    @pytest.mark.parametrize(
        ("formats", "maps", "codec", "payload_type", "clock_hz", "dtmf"),
        [
            ("9 0 101", "101 telephone-event/8000", "G722", 9, 8000, 101),
            (
                "96 0 101 110",
                "96 opus/48000/2|101 telephone-event/8000|110 telephone-event/48000",
                "opus",
                96,
                48000,
                110,
            ),
            ("96 101", "96 opus/48000/2|101 telephone-event/8000", "opus", 96, 48000, -1),
            ("10 11 97", "97 L16/8000/1", "L16/8000", 97, 8000, -1),
            ("98 97 102", "98 L16/16000|97 L16/8000|102 telephone-event/16000", "L16/16000", 98, 16000, 102),
            ("96 97 0", "96 opus/48000|97 L16/44100/2", "PCMU", 0, 8000, -1),
        ],
    )
    def test_clock_channels_and_events(
        self, formats: str, maps: str, codec: str, payload_type: int, clock_hz: int, dtmf: int
    ) -> None:
        rtpmaps = "".join(f"a=rtpmap:{one}\r\n" for one in maps.split("|"))
        choice = choose(parse(HEAD + f"m=audio 4000 RTP/AVP {formats}\r\n{rtpmaps}"), WIDE)
        assert choice == replace(
            CHOSEN, codec=codec, payload_type=payload_type, clock_hz=clock_hz, dtmf_payload_type=dtmf
        )

    @pytest.mark.parametrize(
        ("rtpmap", "ptimes"),
        [
            ("PCMU/8000", {10: 10, 20: 20, 30: 30, 40: 40, 50: 50, 60: 60}),
            ("opus/48000/2", {10: 10, 20: 20, 30: 20, 40: 40, 50: 20, 60: 60}),
            ("L16/16000", {10: 10, 20: 20, 30: 30, 40: 40, 50: 20, 60: 20}),
        ],
    )
    def test_packets_that_a_codec_can_not_fill(self, rtpmap: str, ptimes: dict[int, int]) -> None:
        offer = HEAD + f"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {rtpmap}\r\na=ptime:"
        chosen = {asked: choose(parse(f"{offer}{asked}\r\n"), WIDE) for asked in ptimes}
        assert {asked: choice.ptime_ms for asked, choice in chosen.items() if choice} == ptimes

    def test_answer(self) -> None:
        offer = parse(
            HEAD + "m=audio 4000 RTP/AVP 96 0 110\r\na=rtpmap:96 opus/48000/2\r\na=ptime:40\r\n"
            "a=fmtp:96 useinbandfec=1;stereo=1\r\na=rtpmap:110 telephone-event/48000\r\n"
        )
        choice = choose(offer, WIDE)
        assert choice is not None
        text = build_answer(offer, choice, host="192.0.2.7", port=20000)
        assert without_origin(text)[4:] == [
            "m=audio 20000 RTP/AVP 96 110",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 stereo=0;useinbandfec=0",
            "a=rtpmap:110 telephone-event/48000",
            "a=fmtp:110 0-16",
            "a=ptime:40",
            "a=sendrecv",
            "",
        ]

    def test_offer_with_events_for_every_clock(self) -> None:
        text = build_offer(("opus", "G722", "L16/16000", "PCMU", "L16/8000"), host="192.0.2.7", port=20000)
        assert without_origin(text)[4:] == [
            "m=audio 20000 RTP/AVP 111 9 113 0 112 103 101 102",
            "a=rtpmap:111 opus/48000/2",
            "a=fmtp:111 stereo=0;useinbandfec=0",
            "a=rtpmap:9 G722/8000",
            "a=rtpmap:113 L16/16000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:112 L16/8000",
            "a=rtpmap:103 telephone-event/48000",
            "a=fmtp:103 0-16",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=rtpmap:102 telephone-event/16000",
            "a=fmtp:102 0-16",
            "a=ptime:20",
            "a=sendrecv",
            "",
        ]

    @pytest.mark.parametrize("codec", WIDE)
    def test_two_of_ours_back_to_back(self, codec: str) -> None:
        offer = build_offer(WIDE, host="192.0.2.7", port=20000)
        choice = choose(parse(offer), (codec,))
        assert choice is not None
        assert choice.codec == codec
        answer = build_answer(parse(offer), choice, host="192.0.2.8", port=30000)
        theirs = choose_answered(parse(offer), parse(answer))
        assert theirs == replace(choice, host="192.0.2.8", port=30000)
        assert theirs.dtmf_payload_type >= 0
        assert without_origin(answer_again(offer, answer)) == without_origin(answer)


class TestWhyNot:
    def test_no_common_codec(self) -> None:
        offer = parse(HEAD + "m=audio 4000 RTP/AVP 3 96\r\na=rtpmap:3 GSM/8000\r\n")
        assert why_not(offer, BOTH) == "no common codec: GSM/8000, 96/0 was offered, we speak PCMU, PCMA"

    def test_encryption_is_never_answered_in_the_clear(self) -> None:
        offer = parse(HEAD + "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n")
        assert choose(offer, BOTH) is None
        assert why_not(offer, BOTH) == "only RTP/SAVP was offered, we speak RTP/AVP, RTP/AVPF"

    def test_no_rtp_at_all(self) -> None:
        offer = parse(HEAD + "m=audio 4000 udp/tls/sctp webrtc\r\n")
        assert choose(offer, BOTH) is None
        assert why_not(offer, BOTH) == "only UDP/TLS/SCTP was offered, we speak RTP/AVP, RTP/AVPF"


class TestAnswer:
    def test_one_codec_and_telephone_event(self) -> None:
        text = build_answer(parse(OFFER), CHOSEN, host="198.51.100.7", port=20000)
        assert without_origin(text) == [
            "v=0",
            "s=-",
            "c=IN IP4 198.51.100.7",
            "t=0 0",
            "m=audio 20000 RTP/AVP 8 101",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=ptime:20",
            "a=sendrecv",
            "",
        ]
        assert origin(text)[1] == 1

    def test_every_line_is_answered_all_but_the_chosen_with_port_0(self) -> None:
        text = (
            HEAD
            + "m=image 4000 udptl t38\r\nm=audio 4002 RTP/AVPF 98\r\na=rtpmap:98 PCMU/8000\r\n"
            + "m=video 4004 RTP/AVP 96 97\r\nm=audio 4006 RTP/AVP 0\r\n"
        )
        offer = parse(text)
        choice = choose(offer, BOTH)
        assert choice is not None
        lines = build_answer(offer, choice, host="2001:db8::7", port=20000).split("\r\n")
        assert [line for line in lines if line[:2] in ("m=", "c=")] == [
            "c=IN IP6 2001:db8::7",
            "m=image 0 UDPTL t38",
            "m=audio 20000 RTP/AVPF 98",
            "m=video 0 RTP/AVP 96",
            "m=audio 0 RTP/AVP 0",
        ]

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")],
    )
    def test_direction_is_mirrored(self, theirs: str, ours: str) -> None:
        choice = replace(CHOSEN, direction=Direction(theirs))
        text = build_answer(parse(OFFER), choice, host="192.0.2.7", port=20000)
        assert text.endswith(f"a={ours}\r\n")

    def test_no_telephone_event_where_none_was_agreed(self) -> None:
        text = build_answer(parse(OFFER), replace(CHOSEN, dtmf_payload_type=-1), host="192.0.2.7", port=20000)
        assert "m=audio 20000 RTP/AVP 8\r\n" in text
        assert "telephone-event" not in text

    def test_the_version_goes_up_only_when_something_changed(self) -> None:
        first = build_answer(parse(OFFER), CHOSEN, host="192.0.2.7", port=20000)
        again = build_answer(parse(OFFER), CHOSEN, host="192.0.2.7", port=20000, previous=first)
        assert again == first
        held = replace(CHOSEN, direction=Direction.SENDONLY)
        other = build_answer(parse(OFFER), held, host="192.0.2.7", port=20000, previous=first)
        assert origin(other) == (origin(first)[0], 2)
        back = build_answer(parse(OFFER), CHOSEN, host="192.0.2.7", port=20000, previous=other)
        assert origin(back) == (origin(first)[0], 3)
        assert without_origin(back) == without_origin(first)

    def test_two_calls_have_two_session_ids(self) -> None:
        texts = {build_answer(parse(OFFER), CHOSEN, host="192.0.2.7", port=20000) for _ in range(8)}
        assert len(texts) == 8


class TestOffer:
    def test_our_codecs_in_our_order(self) -> None:
        text = build_offer(("PCMA", "PCMU"), host="192.0.2.7", port=20000, ptime_ms=30)
        assert without_origin(text)[4:] == [
            "m=audio 20000 RTP/AVP 8 0 101",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=ptime:30",
            "a=sendrecv",
            "",
        ]

    def test_what_they_answer(self) -> None:
        ours = parse(build_offer(BOTH, host="192.0.2.7", port=20000))
        assert choose_answered(ours, parse(OFFER)) == CHOSEN
        assert choose_answered(ours, parse(OFFER.replace(" 8 0 101", " 0"))) == replace(
            CHOSEN, codec="PCMU", payload_type=0, dtmf_payload_type=-1
        )

    def test_an_answer_with_nothing_that_we_offered(self) -> None:
        ours = parse(build_offer(("PCMU",), host="192.0.2.7", port=20000))
        assert choose_answered(ours, parse(HEAD + "m=audio 4000 RTP/AVP 8\r\n")) is None
        assert choose_answered(ours, parse(HEAD + "m=audio 4000 RTP/SAVP 0\r\n")) is None
        assert choose_answered(ours, parse(HEAD + "m=audio 0 RTP/AVP 0\r\nm=audio 4000 RTP/AVP 0\r\n")) is None

    def test_two_of_ours_back_to_back(self) -> None:
        offer = build_offer(BOTH, host="192.0.2.7", port=20000)
        choice = choose(parse(offer), ("PCMA",))
        assert choice is not None
        answer = build_answer(parse(offer), choice, host="192.0.2.8", port=30000)
        assert choose_answered(parse(offer), parse(answer)) == replace(CHOSEN, host="192.0.2.8", port=30000)


class TestOnTheSpot:
    ours = build_answer(parse(OFFER), CHOSEN, host="198.51.100.7", port=20000)

    def test_a_changed_offer_gets_the_same_port_and_codec(self) -> None:
        text = answer_again(OFFER.replace("4000", "4010").replace(" 8 0 101", " 0 8 101") + "a=sendonly\r\n", self.ours)
        assert origin(text) == (origin(self.ours)[0], 2)
        assert without_origin(text) == without_origin(self.ours.replace("a=sendrecv", "a=recvonly"))

    def test_the_same_offer_gets_the_same_answer(self) -> None:
        assert answer_again(OFFER, self.ours) == self.ours

    @pytest.mark.parametrize("offer", ["", HEAD + "m=audio 4000 RTP/AVP 3\r\n", HEAD + "m=audio 0 RTP/AVP 8\r\n"])
    def test_an_offer_that_does_not_fit(self, offer: str) -> None:
        with pytest.raises(SdpError):
            answer_again(offer, self.ours)

    def test_a_hold_is_theirs_to_renew(self) -> None:
        held = self.ours.replace("a=sendrecv", "a=inactive")
        text = offer_again(held)
        assert without_origin(text) == without_origin(self.ours)
        assert origin(text) == (origin(self.ours)[0], 2)
        assert offer_again(self.ours) == self.ours


def test_revise_without_anything_before() -> None:
    assert revise(OFFER, "") == OFFER
    assert revise(OFFER, "nonsense") == OFFER
