"""SDES: the keys of SRTP in SDP (RFC 4568, `a=crypto`). Pure text in, text out.

    crypto = choose(media.crypto)                 the first line of their offer that we can use; None: see `why_not`
    ours = fresh(crypto.tag, crypto.suite)        our answer: same tag and suite, a key of our own (RFC 4568, 5.1.2)
    line = ours.text                              what comes after `a=crypto:`

    ours = offer()                                our offer, one line for each suite
    theirs = choose_answered(ours, media.crypto)  what their answer made of it

Whoever writes a line encrypts with its key: we send with `ours.key` and read with `theirs.key`. Keys are in no `repr`
and in no exception; nothing of a line that could be (part of) a key is ever quoted.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

SUITES = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30}
"What we speak, best first, and the bytes of master key and salt (RFC 4568, 6.2)."
MAX_TAG = 999_999_999
MAX_LIFETIME = 2**48
MAX_MKI_BYTES = 128
HARMLESS = re.compile(r"KDR=0|WSH=\d+|FEC_ORDER=(FEC_SRTP|SRTP_FEC)|-.*")
"""Session parameters that change nothing for us (RFC 4568, 6.3): the default of KDR, a hint about the replay window,
the order of an error correction that we do not do, and what its own `-` allows to be passed over."""
_WORD = re.compile(r"[A-Za-z0-9_]{1,32}")
"Short enough that no key (40 characters) is ever taken for a name and quoted."
_NUMBER = re.compile(r"\d{1,20}")


class CryptoError(ValueError):
    """A line is not what RFC 4568 allows; `str()` is one sentence without a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One a=crypto line."""

    tag: int
    suite: str
    key: bytes = field(default=b"", repr=False)
    "Master key and master salt, one after the other; empty for a suite we do not know."
    lifetime: int = 0
    "Packets that may be sent with the key; 0: not said. A call never comes near the least that is in use, 2^20 (6 h)."
    mki: bytes = field(default=b"", repr=False)
    "Stands before the authentication tag of each packet of whoever wrote the line (RFC 3711, 3.1)."
    why_not: str = ""
    "Why we cannot use it, well-formed as it is."

    @property
    def text(self) -> str:
        """What comes after `a=crypto:`. It holds the key: for the SDP alone. We write neither lifetime nor MKI."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


# --- parse ----------------------------------------------------------------------------------------------------------


def parse(line: str) -> Crypto:
    """Reads what comes after `a=crypto:`: `tag suite inline:key[|lifetime][|MKI:length] [session parameters]`."""
    words = line.split()
    if len(words) < 3:
        raise CryptoError("a=crypto has no tag, suite and key")
    tag = _number(words[0], 0, MAX_TAG, "tag")
    suite = words[1]
    if not _WORD.fullmatch(suite):
        raise CryptoError("a=crypto has a suite that is no word of letters and digits")
    if suite not in SUITES:
        return Crypto(tag=tag, suite=suite, why_not=f"{suite} is not one of our suites")
    key, lifetime, mki = _inline(words[2].partition(";")[0], SUITES[suite])
    why_not = "" if ";" not in words[2] else "more than one master key"
    for parameter in words[3:]:
        if not HARMLESS.fullmatch(parameter):
            name = parameter.partition("=")[0]
            why_not = why_not or f"session parameter {name if _WORD.fullmatch(name) else '(no word)'}"
    return Crypto(tag=tag, suite=suite, key=key, lifetime=lifetime, mki=mki, why_not=why_not)


def _inline(text: str, key_bytes: int) -> tuple[bytes, int, bytes]:
    """`inline:<key||salt, base64>["|" lifetime]["|" MKI ":" length]` (RFC 4568, 6.1)."""
    method, _, rest = text.partition(":")
    if method.lower() != "inline":
        raise CryptoError("a=crypto has a key method other than inline")
    encoded, *fields = rest.split("|")
    if len(fields) > 2:
        raise CryptoError("a=crypto has more than a key, a lifetime and an MKI")
    lifetime, mki = 0, b""
    for position, one in enumerate(fields):
        if ":" in one:
            if position < len(fields) - 1:
                raise CryptoError("a=crypto has something after its MKI")
            mki = _mki(one)
        elif position:
            raise CryptoError("a=crypto has two lifetimes")
        else:
            lifetime = _lifetime(one)
    return _key(encoded, key_bytes), lifetime, mki


def _key(encoded: str, key_bytes: int) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise CryptoError("a=crypto has a key that is no base64") from None
    if len(key) != key_bytes:
        raise CryptoError(f"a=crypto has a key of {len(key)} bytes, {key_bytes} are needed")
    return key


def _lifetime(text: str) -> int:
    if text.startswith("2^"):
        return 1 << _number(text[2:], 0, 48, "lifetime (as a power of two)")
    return _number(text, 1, MAX_LIFETIME, "lifetime")


def _mki(text: str) -> bytes:
    value, _, length = text.partition(":")
    size = _number(length, 1, MAX_MKI_BYTES, "length of the MKI")
    # The number itself may be as long as those bytes: 128 of them are 309 digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 310) or int(value) >= 256**size:
        raise CryptoError("a=crypto has an MKI that is no number of its length")
    return int(value).to_bytes(size, "big")


def _number(text: str, low: int, high: int, what: str) -> int:
    if not text.isascii() or not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise CryptoError(f"a=crypto has a {what} that is no number from {low} to {high}")
    return int(text)


# --- choose ---------------------------------------------------------------------------------------------------------


def choose(lines: Sequence[str]) -> Crypto | None:
    """The first line of an offer that is valid and that we can use; invalid ones are passed over (RFC 4568, 5.1.2)."""
    return next((one for one in map(_read, lines) if isinstance(one, Crypto) and not one.why_not), None)


def why_not(lines: Sequence[str]) -> str:
    """Why `choose` gave None, in one sentence."""
    if not lines:
        return "no a=crypto line was offered"
    return "; ".join(str(one) if isinstance(one, CryptoError) else one.why_not for one in map(_read, lines))


def choose_answered(ours: Sequence[Crypto], lines: Sequence[str]) -> Crypto | None:
    """The one line of their answer, if it takes up one of our offer: same tag, same suite (RFC 4568, 5.1.3)."""
    theirs = choose(lines) if len(lines) == 1 else None
    offered = {(one.tag, one.suite) for one in ours}
    return theirs if theirs is not None and (theirs.tag, theirs.suite) in offered else None


def matching(ours: Sequence[Crypto], theirs: Crypto | None) -> Crypto | None:
    """That line of ours which goes with theirs, as an answer to it: of the same suite, with the tag of theirs."""
    if theirs is None:
        return None
    return next((replace(one, tag=theirs.tag) for one in ours if one.suite == theirs.suite), None)


def _read(line: str) -> Crypto | CryptoError:
    try:
        return parse(line)
    except CryptoError as error:
        return error


# --- make -----------------------------------------------------------------------------------------------------------


def fresh(tag: int, suite: str) -> Crypto:
    """A line of ours with a new key. One for each call and direction: a key is never used for two streams."""
    return Crypto(tag=tag, suite=suite, key=secrets.token_bytes(SUITES[suite]))


def offer() -> list[Crypto]:
    """A line for each of our suites, best first, each with a key of its own (RFC 4568, 5.1.1)."""
    return [fresh(tag, suite) for tag, suite in enumerate(SUITES, 1)]
