"""SDP offers and answers: parse theirs, choose, and write ours. Pure text in, text out.

    offer = parse(text)                                    their INVITE
    choice = choose(offer, ("PCMU", "PCMA"))               in the offerer's order (RFC 3264, 6.1)
    text = build_answer(offer, choice, host=..., port=...)

    text = build_offer(("PCMU", "PCMA"), host=..., port=...)        our INVITE, or our 200 to one without SDP
    choice = choose_answered(parse(text), parse(theirs))

The parser and its types live in `sip.description` and are part of this front door.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sip.description import (
    CODECS,
    RTP_PROFILES,
    Direction,
    Format,
    Media,
    Origin,
    SdpError,
    Session,
    parse,
    parse_origin,
)

__all__ = [
    "Choice",
    "Direction",
    "Format",
    "Media",
    "Origin",
    "SdpError",
    "Session",
    "answer_again",
    "build_answer",
    "build_offer",
    "choose",
    "choose_answered",
    "offer_again",
    "parse",
    "parse_origin",
    "revise",
    "why_not",
]

PTIMES_MS = (10, 20, 30, 40, 50, 60)
TELEPHONE_EVENT = "telephone-event"
OUR_TELEPHONE_EVENT = Format(101, TELEPHONE_EVENT, 8000, fmtp="0-16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was agreed on for the one audio stream, as the media side needs it."""

    line: int
    "Which m= line, from 0."
    host: str
    port: int
    codec: str
    payload_type: int
    clock_hz: int = 8000
    dtmf_payload_type: int = -1
    "-1: no telephone-event at the codec's clock rate."
    ptime_ms: int = 20
    direction: Direction = Direction.SENDRECV
    "The remote's. An address of 0.0.0.0 counts as hold already."

    @property
    def sends(self) -> bool:
        return self.direction.sends

    @property
    def receives(self) -> bool:
        return self.direction.receives


# --- choose ---------------------------------------------------------------------------------------------------------


def choose(offer: Session, accepted: Sequence[str]) -> Choice | None:
    """The offerer's first codec that is in `accepted`, on the first m= line that has one. None: see `why_not`."""
    for number, media in enumerate(offer.media):
        if not media.is_plain_audio:
            continue
        for offered in media.formats:
            codec = next((name for name in accepted if _is_codec(offered, name)), None)
            if codec:
                return _choice(number, media, offered, codec)
    return None


def why_not(offer: Session, accepted: Sequence[str]) -> str:
    """Why `choose` gave None, in one sentence."""
    audio = [media for media in offer.media if media.kind == "audio" and media.port]
    plain = [media for media in audio if media.is_plain_audio]
    if not plain:
        return f"only {', '.join(media.protocol for media in audio)} was offered, we speak {', '.join(RTP_PROFILES)}"
    names = [f"{one.name or one.payload_type}/{one.clock_hz}" for media in plain for one in media.formats]
    return f"no common codec: {', '.join(names)} was offered, we speak {', '.join(accepted)}"


def choose_answered(offer: Session, answer: Session) -> Choice | None:
    """What their answer makes of our offer: their first codec that we offered, on the same m= line."""
    for number, (ours, theirs) in enumerate(zip(offer.media, answer.media, strict=False)):
        if not theirs.is_plain_audio or ours.kind != "audio":
            continue
        for answered in theirs.formats:
            for offered in ours.formats:
                if offered.name != TELEPHONE_EVENT and _is_codec(answered, offered.name):
                    return _choice(number, theirs, answered, offered.name)
    return None


def _is_codec(offered: Format, name: str) -> bool:
    """Name and clock must fit: `PCMU/16000` is nothing that a codec called PCMU here could play."""
    known = CODECS.get(name.upper())
    return (
        known is not None and offered.is_called(name) and offered.clock_hz == known.clock_hz and offered.channels == 1
    )


def _choice(number: int, media: Media, chosen: Format, codec: str) -> Choice:
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
        ptime_ms=_ptime(media),
        direction=media.direction,
    )


def _ptime(media: Media) -> int:
    """What they ask for when we can do it, 20 ms otherwise; never more than they can take in one packet."""
    wanted = media.ptime_ms if media.ptime_ms in PTIMES_MS else 20
    fitting = [ptime for ptime in PTIMES_MS if ptime <= media.maxptime_ms] or [PTIMES_MS[0]]
    return min(wanted, fitting[-1]) if media.maxptime_ms else wanted


# --- build ----------------------------------------------------------------------------------------------------------


def build_answer(offer: Session, choice: Choice, *, host: str, port: int, previous: str = "") -> str:
    """One m= line per offered one, all but the chosen refused with port 0 (RFC 3264, 6).

    `previous` is what we sent before in the same call: the o= line goes on from there.
    """
    formats = [replace(CODECS[choice.codec.upper()], payload_type=choice.payload_type)]
    if choice.dtmf_payload_type >= 0:
        formats.append(
            Format(choice.dtmf_payload_type, TELEPHONE_EVENT, choice.clock_hz, fmtp=OUR_TELEPHONE_EVENT.fmtp)
        )
    lines: list[str] = []
    for number, media in enumerate(offer.media):
        if number == choice.line:
            lines += _audio(port, media.protocol, formats, choice.ptime_ms, choice.direction.mirrored)
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
) -> str:
    """Our codecs in our order, and telephone-event."""
    formats = [*(CODECS[name.upper()] for name in codecs), OUR_TELEPHONE_EVENT]
    return _described(host, _audio(port, "RTP/AVP", formats, ptime_ms, direction), previous)


def answer_again(offer_text: str, previous: str) -> str:
    """Answers a changed offer with what we said before: same address and port, same codecs.

    For offers that must be answered on the spot (UPDATE, RFC 3311, 5.2). Raises SdpError when nothing fits.
    """
    offer, ours = parse(offer_text), parse(previous)
    mine = next(media for media in ours.media if media.kind == "audio" and media.port)
    accepted = [one.name for one in mine.formats if one.name.upper() in CODECS]
    choice = choose(offer, accepted)
    if choice is None:
        raise SdpError(why_not(offer, accepted))
    return build_answer(offer, choice, host=mine.host, port=mine.port, previous=previous)


def offer_again(previous: str) -> str:
    """What we said before as a new offer, asked for by a re-INVITE without SDP (RFC 3261, 14.2; RFC 6337, 5.2.5).

    A hold is the remote's to renew: from our side the audio always flows.
    """
    directions = {f"a={direction}" for direction in Direction}
    lines = ("a=sendrecv" if line in directions else line for line in previous.splitlines())
    return revise("\r\n".join(lines) + "\r\n", previous)


def _audio(port: int, protocol: str, formats: list[Format], ptime_ms: int, direction: Direction) -> list[str]:
    lines = [f"m=audio {port} {protocol} {' '.join(str(one.payload_type) for one in formats)}"]
    for one in formats:
        lines.append(f"a=rtpmap:{one.payload_type} {one.name}/{one.clock_hz}")
        if one.fmtp:
            lines.append(f"a=fmtp:{one.payload_type} {one.fmtp}")
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
