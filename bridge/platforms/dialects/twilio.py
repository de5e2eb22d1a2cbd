"""Twilio Media Streams, with us in Twilio's place: https://www.twilio.com/docs/voice/media-streams/websocket-messages.

Everything is a text frame, a JSON object that says in `event` what it is; audio is base64 of mu-law at 8 kHz.

    >  connected, start                     the agent need not answer: a socket that stays open is all there is to ready
    >  media, media ...                     the caller, 20 ms each, numbered and timed
    >  dtmf                                 a key of the caller's
    <  media                                the agent: any length, as far ahead of real time as it likes
    <  mark       > mark                    comes back when the audio before it has been sent to the caller
    <  clear      > mark, mark ...          barge-in: what is queued is forgotten, and every mark in it comes back
    <  close                                the agent hung up. Or:
    >  stop, close 1000                     the caller did

Agents of many makers speak this, and each reads another part of it: numbers that Twilio writes as strings are strings,
`streamSid` stands in both places. What they get wrong is counted and costs nothing (Twilio's warnings 31950, 31951).
"""

from __future__ import annotations

import logging
from binascii import b2a_base64
from typing import Annotated, Final

import msgspec

from bridge.platforms.dialects.messages import NONSENSE, SocketDialect, encode
from media.far import Audio, FarHappening, Flush, Frame, Mark, Trouble
from media.wire import FarSpec

log = logging.getLogger(__name__)

MEDIA_FORMAT: Final = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
BYTES_PER_MS: Final = 8
FRAME_BYTES: Final = 20 * BYTES_PER_MS
MOST_NAME_CHARS: Final = 1024
"Of a mark. Names are kept until their audio has left."


class _Message(msgspec.Struct, frozen=True, tag_field="event", rename="camel"):
    """What an agent says. `streamSid` is asked for by Twilio, and left out by some."""

    stream_sid: str = ""

    def meaning(self) -> list[FarHappening]:
        raise NotImplementedError


class _Sound(msgspec.Struct, frozen=True):
    payload: bytes
    "Decoded from base64 by msgspec, in one go with the rest."


class _Name(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=MOST_NAME_CHARS)]


class _Media(_Message, frozen=True, tag="media", kw_only=True):
    media: _Sound

    def meaning(self) -> list[FarHappening]:
        return [Audio(self.media.payload)]


class _Mark(_Message, frozen=True, tag="mark", kw_only=True):
    mark: _Name

    def meaning(self) -> list[FarHappening]:
        return [Mark(self.mark.name)]


class _Clear(_Message, frozen=True, tag="clear"):
    def meaning(self) -> list[FarHappening]:
        return [Flush()]


class _Event(msgspec.Struct, frozen=True):
    event: str


_EVENTS: Final = frozenset({"media", "mark", "clear"})
_messages: Final[msgspec.json.Decoder[_Media | _Mark | _Clear]] = msgspec.json.Decoder(_Media | _Mark | _Clear)
_event: Final = msgspec.json.Decoder(_Event)


class TwilioDialect(SocketDialect):
    """`spec.options` is the `start` object, made by the adapter, without what is always the same."""

    raw_audio: bool = False
    ready_when_open: bool = True
    digits = frozenset("0123456789*#")
    "Twilio knows no others, and agents match on them."

    def __init__(self, spec: FarSpec) -> None:
        super().__init__(spec)
        self._start = {"accountSid": "", "callSid": "", "streamSid": "", "customParameters": {}, **spec.options}
        self._stream_sid = str(self._start["streamSid"])
        self._sequence = 0
        self._chunk = 0
        self._rest = b""
        "Of the caller's audio, less than a frame."
        self._is_misaddressed = False
        # Per packet only numbers and payload are put in.
        self._media_head = f'{{"event":"media","streamSid":"{self._stream_sid}","sequenceNumber":"'

    def on_open(self) -> list[Frame]:
        start = {**self._start, "tracks": ["inbound"], "mediaFormat": MEDIA_FORMAT}
        return [encode(event="connected", protocol="Call", version="1.0.0"), self._numbered("start", start)]

    def on_text(self, text: str) -> list[FarHappening]:
        try:
            message = _messages.decode(text)
        except NONSENSE as error:
            return self._not_understood(text, error)
        if message.stream_sid != self._stream_sid and not self._is_misaddressed:
            self._is_misaddressed = True  # once, as Twilio does; there is only one stream that can be meant
            return [Trouble("streamSid: missing, or not ours"), *message.meaning()]
        return message.meaning()

    def on_binary(self, data: bytes) -> list[FarHappening]:
        return [Trouble("a binary frame: audio is text on this socket")]

    def audio(self, data: bytes, at_ms: int) -> list[Frame]:
        """20 ms in each, as from Twilio, whatever the trunk's ptime is: agents count messages, and cut by them."""
        if len(data) == FRAME_BYTES and not self._rest:
            return [self._media(data, at_ms)]
        at_ms -= len(self._rest) // BYTES_PER_MS
        data = self._rest + data
        whole = len(data) - len(data) % FRAME_BYTES
        self._rest = data[whole:]
        return [
            self._media(data[at : at + FRAME_BYTES], at_ms + at // BYTES_PER_MS) for at in range(0, whole, FRAME_BYTES)
        ]

    def _media(self, data: bytes, at_ms: int) -> Frame:
        self._sequence += 1
        self._chunk += 1
        return (
            f'{self._media_head}{self._sequence}","media":{{"track":"inbound","chunk":"{self._chunk}",'
            f'"timestamp":"{at_ms}","payload":"{b2a_base64(data, newline=False).decode()}"}}}}'
        )

    def digit_frame(self, digit: str) -> Frame:
        return self._numbered("dtmf", {"track": "inbound_track", "digit": digit})

    def on_mark(self, name: str) -> list[Frame]:
        return [self._numbered("mark", {"name": name})]

    def goodbye(self) -> list[Frame]:
        return [self._numbered("stop", {name: self._start[name] for name in ("accountSid", "callSid")})]

    def _numbered(self, event: str, fields: dict[str, object]) -> Frame:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self._stream_sid}
        return encode(**head, **{event: fields})

    def _not_understood(self, text: str, error: Exception) -> list[FarHappening]:
        event = ""
        try:
            event = _event.decode(text).event
        except NONSENSE as worse:
            error = worse
        if event and event not in _EVENTS:
            log.debug("%s: < an event %.40r, passed over", self._platform, event)
            return []
        return [Trouble(f"{event or 'text frame'}: {str(error)[:120]}")]
