"""SDES lines (RFC 4568): what is read, what is chosen, what is refused and in which words; and that no key is shown."""

from __future__ import annotations

import base64
import random
import string
from dataclasses import replace

import pytest

from sip.crypto import SUITES, Crypto, CryptoError, choose, choose_answered, fresh, matching, offer, parse, why_not

BEST, SHORT = SUITES
KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
"From the examples of RFC 4568, as are the other two."
KEY_BYTES = bytes.fromhex("774466766726542B2978473740666235 6A552C5261417D5C7C7030252A23")
OTHER = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
F8 = (
    "2 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
    "inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP"
)


# --- read -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "crypto"),
    [
        pytest.param(f"1 {BEST} inline:{KEY}", Crypto(tag=1, suite=BEST, key=KEY_BYTES), id="plain"),
        pytest.param(
            f"1 {BEST} inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP",
            Crypto(tag=1, suite=BEST, key=KEY_BYTES, lifetime=2**20, mki=b"\0\0\0\1"),
            id="the RFC's example",
        ),
        pytest.param(
            f"1 {BEST} inline:{KEY}|2^20|1:32",
            Crypto(tag=1, suite=BEST, key=KEY_BYTES, lifetime=2**20, mki=bytes(31) + b"\1"),
            id="a long MKI",
        ),
        pytest.param(
            f"7 {SHORT} inline:{KEY}|1066:4",
            Crypto(tag=7, suite=SHORT, key=KEY_BYTES, mki=b"\0\0\x04\x2a"),
            id="an MKI and no lifetime",
        ),
        pytest.param(
            f"0 {SHORT} INLINE:{KEY}|1048576",
            Crypto(tag=0, suite=SHORT, key=KEY_BYTES, lifetime=1048576),
            id="a lifetime in digits",
        ),
        pytest.param(
            f"999999999  {BEST}\tinline:{KEY} KDR=0 WSH=128 -NEW=1",
            Crypto(tag=999999999, suite=BEST, key=KEY_BYTES),
            id="parameters that change nothing",
        ),
    ],
)
def test_lines(line: str, crypto: Crypto) -> None:
    assert parse(line) == crypto


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (F8, "F8_128_HMAC_SHA1_80 is not one of our suites"),
        ("3 AEAD_AES_256_GCM inline:HGAPy4Cedy", "AEAD_AES_256_GCM is not one of our suites"),
        (f"1 {BEST} inline:{KEY}|2^20|1:4;inline:{OTHER}|2^20|2:4", "more than one master key"),
        (f"1 {BEST} inline:{KEY} KDR=1", "session parameter KDR"),
        (f"1 {BEST} inline:{KEY} UNENCRYPTED_SRTP", "session parameter UNENCRYPTED_SRTP"),
        (f"1 {BEST} inline:{KEY} UNENCRYPTED_SRTCP", "session parameter UNENCRYPTED_SRTCP"),
        (f"1 {BEST} inline:{KEY} WSH=64 UNAUTHENTICATED_SRTP", "session parameter UNAUTHENTICATED_SRTP"),
        (f"1 {BEST} inline:{KEY} FEC_KEY=inline:{OTHER}", "session parameter FEC_KEY"),
        (f"1 {BEST} inline:{KEY} inline:{OTHER}", "session parameter (no word)"),
    ],
)
def test_what_we_cannot_use(line: str, why: str) -> None:
    assert (parse(line).why_not, choose([line]), why_not([line])) == (why, None, why)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "has no tag, suite and key"),
        (f"1 {BEST}", "has no tag, suite and key"),
        (f"x {BEST} inline:{KEY}", "has a tag that is no number from 0 to 999999999"),
        (f"-1 {BEST} inline:{KEY}", "has a tag that is no number from 0 to 999999999"),
        (f"1000000000 {BEST} inline:{KEY}", "has a tag that is no number from 0 to 999999999"),
        (f"² {BEST} inline:{KEY}", "has a tag that is no number from 0 to 999999999"),
        (f"1 inline:{KEY} {BEST}", "has a suite that is no word of letters and digits"),
        (f"1 {BEST} uri:{KEY}", "has a key method other than inline"),
        (f"1 {BEST} {KEY}", "has a key method other than inline"),
        (f"1 {BEST} inline:", "has a key of 0 bytes, 30 are needed"),
        (f"1 {BEST} inline:{KEY[:-4]}", "has a key of 27 bytes, 30 are needed"),
        (f"1 {BEST} inline:{KEY}AAAA", "has a key of 33 bytes, 30 are needed"),
        (f"1 {BEST} inline:{KEY[:-1]}!", "has a key that is no base64"),
        (f"1 {BEST} inline:{KEY[:-3]}", "has a key that is no base64"),
        (f"1 {BEST} inline:{KEY[:-1]}é", "has a key that is no base64"),
        (f"1 {BEST} inline:{KEY}|", "has a lifetime that is no number from 1 to 281474976710656"),
        (f"1 {BEST} inline:{KEY}|0", "has a lifetime that is no number from 1 to 281474976710656"),
        (f"1 {BEST} inline:{KEY}|2^49", "has a lifetime (as a power of two) that is no number from 0 to 48"),
        (f"1 {BEST} inline:{KEY}|2^20|2^20", "has two lifetimes"),
        (f"1 {BEST} inline:{KEY}|1:4|2^20", "has something after its MKI"),
        (f"1 {BEST} inline:{KEY}|2^20|1:4|5", "has more than a key, a lifetime and an MKI"),
        (f"1 {BEST} inline:{KEY}|1:0", "has a length of the MKI that is no number from 1 to 128"),
        (f"1 {BEST} inline:{KEY}|1:129", "has a length of the MKI that is no number from 1 to 128"),
        (f"1 {BEST} inline:{KEY}|256:1", "has an MKI that is no number of its length"),
        (f"1 {BEST} inline:{KEY}|x:1", "has an MKI that is no number of its length"),
        (f"1 {BEST} inline:{KEY}|{'9' * 311}:128", "has an MKI that is no number of its length"),
    ],
)
def test_malformed(line: str, problem: str) -> None:
    with pytest.raises(CryptoError) as caught:
        parse(line)
    assert str(caught.value) == f"a=crypto {problem}"


def test_the_longest_mki() -> None:
    assert parse(f"1 {BEST} inline:{KEY}|{256**128 - 1}:128").mki == b"\xff" * 128


def pieces(text: str, size: int = 8) -> set[str]:
    return {text[at : at + size] for at in range(len(text) - size + 1)}


def test_garbage_raises_nothing_else_and_no_word_of_it_holds_the_key() -> None:
    dice = random.Random(4568)
    alphabet = string.printable + "é²\0"
    good = 0
    for _ in range(3000):
        text = list(f"{dice.randrange(20)} {BEST} inline:{KEY}|2^20|1:4 KDR=0")
        for _ in range(dice.randrange(1, 6)):
            text[dice.randrange(len(text))] = dice.choice(alphabet)
        line = "".join(text)
        good += choose([line]) is not None
        assert not pieces(KEY) & pieces(why_not([line]))
    assert 100 < good < 2900  # both ways out were taken


# --- choose -----------------------------------------------------------------------------------------------------------


def test_the_offerers_first_usable_line_wins() -> None:
    lines = [F8, "nonsense", f"5 {SHORT} inline:{OTHER}", f"6 {BEST} inline:{KEY}"]
    assert choose(lines) == Crypto(tag=5, suite=SHORT, key=base64.b64decode(OTHER))


def test_why_none_would_do() -> None:
    assert choose([]) is None
    assert why_not([]) == "no a=crypto line was offered"
    lines = [F8, f"1 {BEST} inline:short"]
    assert choose(lines) is None
    assert why_not(lines) == ("F8_128_HMAC_SHA1_80 is not one of our suites; a=crypto has a key that is no base64")


def test_an_offer_of_ours_and_its_answer() -> None:
    ours = offer()
    assert [(one.tag, one.suite) for one in ours] == [(1, BEST), (2, SHORT)]
    theirs = choose([one.text for one in ours])
    assert theirs == ours[0]
    answer = fresh(2, SHORT)
    assert choose_answered(ours, [answer.text]) == answer


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="none"),
        pytest.param([fresh(1, SHORT).text], id="another suite under our tag"),
        pytest.param([fresh(3, BEST).text], id="a tag of their own"),
        pytest.param([fresh(1, BEST).text, fresh(2, SHORT).text], id="two, where one must be chosen"),
        pytest.param(["1 nonsense"], id="malformed"),
    ],
)
def test_answers_that_take_up_nothing(lines: list[str]) -> None:
    assert choose_answered(offer(), lines) is None


# --- make -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_a_line_of_ours_is_read_back(suite: str) -> None:
    ours = fresh(12, suite)
    assert parse(ours.text) == ours
    assert len(ours.key) == 30
    assert fresh(12, suite).key != ours.key


def test_no_key_is_shown() -> None:
    crypto = parse(f"1 {BEST} inline:{KEY}|2^20|1:4")
    assert repr(crypto) == f"Crypto(tag=1, suite='{BEST}', lifetime=1048576, why_not='')"
    for line in (f"1 {BEST} inline:{KEY}|{KEY}", f"1 {BEST} {KEY}", f"{KEY} {BEST} {KEY}", f"1 {KEY} inline:x"):
        with pytest.raises(CryptoError) as caught:
            parse(line)
        assert KEY not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_our_line_that_goes_with_theirs() -> None:
    ours = offer()
    assert [matching(ours, fresh(7, one.suite)) for one in ours] == [replace(one, tag=7) for one in ours]
    assert matching(ours, None) is None
    assert matching([], ours[0]) is None
    assert matching(ours[:1], ours[1]) is None
