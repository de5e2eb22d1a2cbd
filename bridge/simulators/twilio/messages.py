"""What travels on the socket: https://www.twilio.com/docs/voice/media-streams/websocket-messages.

Typed as strictly as the strictest agent reads it: numbers that Twilio writes as strings are strings, `streamSid` stands
in both places, custom parameters are strings.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Sid = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}[0-9a-f]{32}$")]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """From the telephone's side. All but `connected` are numbered, whatever they are."""


class Numbered(Message, frozen=True):
    sequence_number: str
    stream_sid: Sid


class Connected(Message, frozen=True, tag="connected"):
    protocol: Literal["Call"]
    version: str


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: Literal["audio/x-mulaw"]
    sample_rate: Literal[8000]
    channels: Literal[1]


class Beginning(msgspec.Struct, frozen=True, rename="camel"):
    account_sid: Sid
    call_sid: Sid
    stream_sid: Sid
    tracks: list[Literal["inbound", "outbound"]]
    media_format: MediaFormat
    custom_parameters: dict[str, str]


class Start(Numbered, frozen=True, tag="start"):
    start: Beginning


class Sound(msgspec.Struct, frozen=True):
    track: Literal["inbound"]
    chunk: str
    timestamp: str
    "Milliseconds since the start of the stream."
    payload: bytes


class Media(Numbered, frozen=True, tag="media"):
    media: Sound


class Key(msgspec.Struct, frozen=True):
    track: Literal["inbound_track"]
    digit: Annotated[str, msgspec.Meta(pattern="^[0-9*#]$")]


class Dtmf(Numbered, frozen=True, tag="dtmf"):
    dtmf: Key


class Name(msgspec.Struct, frozen=True):
    name: str


class Mark(Numbered, frozen=True, tag="mark"):
    mark: Name


class Ending(msgspec.Struct, frozen=True, rename="camel"):
    account_sid: Sid
    call_sid: Sid


class Stop(Numbered, frozen=True, tag="stop"):
    stop: Ending


AnyMessage = Connected | Start | Media | Dtmf | Mark | Stop

_decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)


def read(text: str) -> AnyMessage:
    """Raises msgspec.DecodeError for what a strict agent would not take."""
    return _decoder.decode(text)


# --- from the agent ---------------------------------------------------------------------------------------------------


class Payload(msgspec.Struct, frozen=True):
    payload: bytes
    "mu-law; base64 on the wire."


class Said(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    event: str
    stream_sid: str
    media: Payload | None = None
    mark: Name | None = None


def media(stream_sid: str, data: bytes) -> str:
    return _text(Said(event="media", stream_sid=stream_sid, media=Payload(data)))


def mark(stream_sid: str, name: str) -> str:
    return _text(Said(event="mark", stream_sid=stream_sid, mark=Name(name)))


def clear(stream_sid: str) -> str:
    return _text(Said(event="clear", stream_sid=stream_sid))


def _text(said: Said) -> str:
    return msgspec.json.encode(said).decode()
