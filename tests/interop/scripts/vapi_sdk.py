"""VAPI's own SDK creates a call at argv[1] and judges each text frame; a summary goes to stdout as JSON.

`ClientMessage`, the union of the SDK, cannot tell its members apart, so the class is chosen here by the frame's type.
"""

# mypy: ignore-errors
import asyncio
import json
import sys
import time

import websockets
from sound import caller
from vapi import Vapi
from vapi.core.api_error import ApiError
from vapi.types import (
    ClientInboundMessage,
    ClientMessageConversationUpdate,
    ClientMessageSpeechUpdate,
    ClientMessageTranscript,
    ClientMessageUserInterrupted,
    ClientMessageVoiceInput,
    CreateOutboundCallDto,
)

RATE_HZ = 16000

CLASSES = {
    "speech-update": ClientMessageSpeechUpdate,
    "transcript": ClientMessageTranscript,
    "user-interrupted": ClientMessageUserInterrupted,
    "conversation-update": ClientMessageConversationUpdate,
    "voice-input": ClientMessageVoiceInput,
}

TRANSPORT = {
    "provider": "vapi.websocket",
    "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": RATE_HZ},
}


async def talk(url: str) -> dict:
    types, audio_bytes = [], 0

    async with websockets.connect(url, compression=None) as socket:

        async def speak() -> None:
            start = time.monotonic()
            for count, frame in enumerate(caller(RATE_HZ, then_ms=1800)):
                await socket.send(frame)
                await asyncio.sleep(max(0.0, start + count * 0.02 - time.monotonic()))
            for message in ({"type": "say", "content": "one moment"}, {"type": "end-call"}):
                ClientInboundMessage.model_validate({"message": message})
                await socket.send(json.dumps(message))

        speaking = asyncio.create_task(speak())
        async for frame in socket:
            if isinstance(frame, bytes):
                audio_bytes += len(frame)
                continue
            message = json.loads(frame)
            types.append(message["type"])
            if message["type"] in CLASSES:
                CLASSES[message["type"]].model_validate(message)
        await speaking
        return {"types": types, "audio_ms": audio_bytes * 1000 / (2 * RATE_HZ), "close_code": socket.close_code}


def main(url: str) -> None:
    client = Vapi(token="private-key", base_url=url)
    body = {"assistantId": "a1", "transport": TRANSPORT, "assistantOverrides": {"variableValues": {"name": "Ada"}}}
    CreateOutboundCallDto.model_validate(body)
    call = client.calls.create(
        assistant_id="a1", transport=TRANSPORT, assistant_overrides={"variableValues": {"name": "Ada"}}
    )
    summary = asyncio.run(talk(call.transport.websocketCallUrl))
    summary["concurrency_blocked"] = call.subscriptionLimits["concurrencyBlocked"]
    ended = client.calls.get(call.id)
    summary |= {"status": ended.status, "ended_reason": ended.ended_reason}
    try:
        client.calls.create(assistant_id="a1", transport=TRANSPORT, name="n" * 41)
    except ApiError as error:
        summary["refused"] = error.status_code
    print(json.dumps(summary))


main(sys.argv[1])
