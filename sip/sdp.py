"""SDP offers and answers: parse theirs, choose, and write ours. Pure text in, text out.

    offer = parse(text)                                    their INVITE
    choice = choose(offer, ("PCMU", "opus"))               in the offerer's order (RFC 3264, 6.1)
    text = build_answer(offer, choice, host=..., port=...)

    text = build_offer(("PCMU", "opus"), host=..., port=...)        our INVITE, or our 200 to one without SDP
    choice = choose_answered(parse(text), parse(theirs))

Encryption is the trunk's policy, `srtp`: `off`; `optional`, then whoever offers keys is answered with keys, under
RTP/AVP too (which is how phones offer it to those who may not know it); `required`, then nothing goes in the clear.
Keys are those of `sip.crypto`: theirs come in `Choice.crypto`, ours are given to whoever writes.

The parser and its types live in `sip.description`, the codecs in `sip.formats`; both are part of this front door.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sip import crypto
from sip.crypto import Crypto
from sip.description import (
    RTP_PROFILES,
    SRTP_PROFILES,
    Direction,
    Media,
    Origin,
    SdpError,
    Session,
    parse,
    parse_origin,
)
from sip.formats import CODECS, EVENTS, TELEPHONE_EVENT, Format, codec_of

__all__ = [
    "CODECS",
    "Choice",
    "Direction",
    "Format",
    "Media",
    "Origin",
    "SdpError",
    "Session",
    "Srtp",
    "answer_again",
    "build_answer",
    "build_offer",
    "choose",
    "choose_answered",
    "has_audio",
    "offer_again",
    "parse",
    "parse_origin",
    "revise",
    "why_not",
]

Srtp = Literal["off", "optional", "required"]
SPOKEN = {"off": RTP_PROFILES, "optional": RTP_PROFILES + SRTP_PROFILES, "required": SRTP_PROFILES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was agreed on for the one audio stream, as the media side needs it."""

    line: int
    "Which m= line, from 0."
    host: str
    port: int
    codec: str
    "A name of `CODECS`."
    payload_type: int
    clock_hz: int = 8000
    dtmf_payload_type: int = -1
    "-1: no telephone-event at the codec's clock rate."
    ptime_ms: int = 20
    direction: Direction = Direction.SENDRECV
    "The remote's. An address of 0.0.0.0 counts as hold already."
    rtcp_host: str = ""
    "Where their reports are wanted, if not where the audio is (RFC 3605)."
    rtcp_port: int = 0
    "0: on the port after the audio's."
    rtcp_mux: bool = False
    "Both sides want RTCP on the audio's own port (RFC 5761)."
    crypto: Crypto | None = None
    "Their key. None: plain RTP."

    @property
    def sends(self) -> bool:
        return self.direction.sends

    @property
    def receives(self) -> bool:
        return self.direction.receives


# --- choose ---------------------------------------------------------------------------------------------------------


def choose(offer: Session, accepted: Sequence[str], srtp: Srtp = "off") -> Choice | None:
    """The offerer's first codec that is in `accepted`, on the first m= line that has one. None: see `why_not`."""
    for number, media in enumerate(offer.media):
        theirs = _their_key(media, srtp)
        if not _is_usable(media, theirs, srtp):
            continue
        for offered in media.formats:
            codec = codec_of(offered)
            if codec is not None and codec in accepted:
                return _choice(number, media, offered, codec, theirs, media.rtcp_mux)
    return None


def has_audio(text: str) -> bool:
    """There is sound in it that could be agreed on. Not in an offer for fax alone (T.38), or one that stops it all."""
    try:
        return any(media.is_rtp_audio for media in parse(text).media)
    except SdpError:
        return False


def why_not(offer: Session, accepted: Sequence[str], srtp: Srtp = "off") -> str:
    """Why `choose` gave None, in one sentence."""
    audio = [media for media in offer.media if media.kind == "audio" and media.port]
    usable = [media for media in audio if _is_usable(media, _their_key(media, srtp), srtp)]
    if usable:
        names = [f"{one.name or one.payload_type}/{one.clock_hz}" for media in usable for one in media.formats]
        return f"no common codec: {', '.join(names)} was offered, we speak {', '.join(accepted)}"
    keyless = [media for media in audio if media.is_rtp_audio and srtp != "off"]
    if keyless:
        offered = (f"{media.protocol}: {crypto.why_not(media.crypto)}" for media in keyless)
        return f"no key for SRTP that we can use: {'; '.join(offered)}"
    return f"only {', '.join(media.protocol for media in audio)} was offered, we speak {', '.join(SPOKEN[srtp])}"


def choose_answered(offer: Session, answer: Session, keys: Sequence[Crypto] = (), srtp: Srtp = "off") -> Choice | None:
    """What their answer makes of our offer: their first codec that we offered, on the same m= line.

    `keys` are those of our offer; an answer that takes up none of them is in the clear.
    """
    for number, (ours, theirs) in enumerate(zip(offer.media, answer.media, strict=False)):
        key = crypto.choose_answered(keys, theirs.crypto)
        if not _is_usable(theirs, key, srtp) or ours.kind != "audio":
            continue
        offered = {codec_of(one) for one in ours.formats}
        for answered in theirs.formats:
            codec = codec_of(answered)
            if codec is not None and codec in offered:
                return _choice(number, theirs, answered, codec, key, ours.rtcp_mux and theirs.rtcp_mux)
    return None


def _their_key(media: Media, srtp: Srtp) -> Crypto | None:
    return None if srtp == "off" else crypto.choose(media.crypto)


def _is_usable(media: Media, key: Crypto | None, srtp: Srtp) -> bool:
    """Audio that we can carry with this key, or, where the policy and they themselves allow it, without one."""
    return media.is_rtp_audio and (key is not None or (media.is_plain and srtp != "required"))


def _choice(number: int, media: Media, chosen: Format, codec: str, key: Crypto | None, rtcp_mux: bool) -> Choice:
    events = (one for one in media.formats if one.is_called(TELEPHONE_EVENT) and one.clock_hz == chosen.clock_hz)
    dtmf = next(events, None)
    return Choice(
        line=number,
        host=media.host,
        port=media.port,
        codec=codec,
        payload_type=chosen.payload_type,
        clock_hz=chosen.clock_hz,
        dtmf_payload_type=dtmf.payload_type if dtmf else -1,
        ptime_ms=_ptime(media, CODECS[codec].ptimes_ms),
        direction=media.direction,
        rtcp_host=media.rtcp_host,
        rtcp_port=media.rtcp_port,
        rtcp_mux=rtcp_mux,
        crypto=key,
    )


def _ptime(media: Media, ptimes_ms: Sequence[int]) -> int:
    """What they ask for when we can do it, 20 ms otherwise; never more than they can take in one packet."""
    wanted = media.ptime_ms if media.ptime_ms in ptimes_ms else 20
    fitting = [ptime for ptime in ptimes_ms if ptime <= media.maxptime_ms] or [ptimes_ms[0]]
    return min(wanted, fitting[-1]) if media.maxptime_ms else wanted


# --- build ----------------------------------------------------------------------------------------------------------


def build_answer(
    offer: Session, choice: Choice, *, host: str, port: int, previous: str = "", key: Crypto | None = None
) -> str:
    """One m= line per offered one, all but the chosen refused with port 0 (RFC 3264, 6).

    `previous` is what we sent before in the same call: the o= line goes on from there. `key` is ours, to be given if,
    and only if, the choice has theirs. RTCP goes on the audio's port if, and only if, they have offered that.
    """
    formats = [replace(CODECS[choice.codec].offered, payload_type=choice.payload_type)]
    if choice.dtmf_payload_type >= 0:
        formats.append(replace(EVENTS[choice.clock_hz], payload_type=choice.dtmf_payload_type))
    lines: list[str] = []
    for number, media in enumerate(offer.media):
        if number == choice.line:
            keys = [] if key is None else [key]
            lines += _audio(port, media.protocol, formats, choice.ptime_ms, choice.direction.mirrored, keys)
            lines += ["a=rtcp-mux"] if choice.rtcp_mux else []
        else:
            lines.append(f"m={media.kind} 0 {media.protocol} {media.tokens[0]}")
    return _described(host, lines, previous)


def build_offer(
    codecs: Sequence[str],
    *,
    host: str,
    port: int,
    ptime_ms: int = 20,
    direction: Direction = Direction.SENDRECV,
    previous: str = "",
    srtp: Srtp = "off",
    keys: Sequence[Crypto] = (),
) -> str:
    """Our codecs in our order, telephone-event for each of their clocks, and our keys unless `srtp` is off."""
    audio = [CODECS[name].offered for name in codecs]
    events = [EVENTS[clock_hz] for clock_hz in dict.fromkeys(one.clock_hz for one in audio)]
    protocol = "RTP/SAVP" if srtp == "required" else "RTP/AVP"
    return _described(host, _audio(port, protocol, [*audio, *events], ptime_ms, direction, keys), previous)


def answer_again(offer_text: str, previous: str) -> str:
    """Answers a changed offer with what we said before: same address and port, same codecs, same key.

    For offers that must be answered on the spot (UPDATE, RFC 3311, 5.2). What was encrypted stays so, what was not as
    well. Raises SdpError when nothing fits.
    """
    offer, ours = parse(offer_text), parse(previous)
    mine = next(media for media in ours.media if media.kind == "audio" and media.port)
    accepted = [codec for one in mine.formats if (codec := codec_of(one))]
    srtp: Srtp = "required" if mine.crypto else "off"
    choice = choose(offer, accepted, srtp)
    if choice is None:
        raise SdpError(why_not(offer, accepted, srtp))
    key = crypto.matching([crypto.parse(line) for line in mine.crypto], choice.crypto)
    if choice.crypto is not None and key is None:
        raise SdpError(f"{choice.crypto.suite} is not the suite that was agreed on")
    return build_answer(offer, choice, host=mine.host, port=mine.port, previous=previous, key=key)


def offer_again(previous: str) -> str:
    """What we said before as a new offer, asked for by a re-INVITE without SDP (RFC 3261, 14.2; RFC 6337, 5.2.5).

    A hold is the remote's to renew: from our side the audio always flows.
    """
    directions = {f"a={direction}" for direction in Direction}
    lines = ("a=sendrecv" if line in directions else line for line in previous.splitlines())
    return revise("\r\n".join(lines) + "\r\n", previous)


def _audio(
    port: int, protocol: str, formats: list[Format], ptime_ms: int, direction: Direction, keys: Sequence[Crypto]
) -> list[str]:
    lines = [f"m=audio {port} {protocol} {' '.join(str(one.payload_type) for one in formats)}"]
    for one in formats:
        lines.append(f"a=rtpmap:{one.payload_type} {one.rtpmap}")
        if one.fmtp:
            lines.append(f"a=fmtp:{one.payload_type} {one.fmtp}")
    lines += [f"a=crypto:{key.text}" for key in keys]
    return [*lines, f"a=ptime:{ptime_ms}", f"a={direction}"]


def _described(host: str, media: list[str], previous: str) -> str:
    family = "IP6" if ":" in host else "IP4"
    origin = f"o=- {secrets.randbits(31)} 1 IN {family} {host}"
    body = "\r\n".join(["v=0", origin, "s=-", f"c=IN {family} {host}", "t=0 0", *media]) + "\r\n"
    return revise(body, previous)


def revise(text: str, previous: str) -> str:
    """`text` with the o= line that must follow `previous`, what we sent last in the same call ("": nothing).

    Same session id; the version goes up by one if, and only if, anything has changed (RFC 3264, 8).
    """
    before = next((line for line in previous.splitlines() if line.startswith("o=")), "")
    origin = parse_origin(before[2:])
    if origin is None:
        return text
    if _without_origin(text) == _without_origin(previous):
        return previous
    words = before.split()
    words[2] = str(origin.version + 1)
    return "".join(
        " ".join(words) + "\r\n" if line.startswith("o=") else line for line in text.splitlines(keepends=True)
    )


def _without_origin(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("o=")]
