"""Pipecat's Ultravox service on the join URL of a call made at argv[1]; the frames it saw go to stdout as JSON."""

# mypy: ignore-errors
import asyncio
import json
import sys
import time

import aiohttp
from loguru import logger
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterruptionFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.ultravox.llm import JoinUrlInputParams, UltravoxRealtimeLLMService
from pipecat.workers.runner import WorkerRunner
from sound import caller

RATE_HZ = 48000

seen = {"audio_ms": 0.0, "text": "", "heard": [], "interruptions": 0}


class Sink(FrameProcessor):
    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        note(frame)
        await self.push_frame(frame, direction)


def note(frame) -> None:
    match frame:
        case TTSAudioRawFrame():
            seen["audio_ms"] += len(frame.audio) * 1000 / (2 * frame.sample_rate)
        case LLMTextFrame():
            seen["text"] += frame.text
        case TranscriptionFrame():
            seen["heard"].append(frame.text)
        case InterruptionFrame():
            seen["interruptions"] += 1


async def main(url: str) -> None:
    request = {
        "model": None,
        "voice": None,
        "maxDuration": "3600.000000s",
        "medium": {"serverWebSocket": {"inputSampleRate": RATE_HZ}},
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/api/calls", headers={"X-Api-Key": "k" * 41}, json=request) as answer,
    ):
        join_url = (await answer.json())["joinUrl"]
    service = UltravoxRealtimeLLMService(params=JoinUrlInputParams(join_url=join_url))
    top = Sink()
    worker = PipelineWorker(Pipeline([top, service, Sink()]), params=PipelineParams(audio_in_sample_rate=16000))
    ready = asyncio.Event()

    async def started(*_) -> None:
        ready.set()

    worker.add_event_handler("on_pipeline_started", started)

    async def speak() -> None:
        await ready.wait()
        start = time.monotonic()
        for count, frame in enumerate(caller(16000, then_ms=2500)):
            await worker.queue_frame(InputAudioRawFrame(audio=frame, sample_rate=16000, num_channels=1))
            await asyncio.sleep(max(0.0, start + count * 0.02 - time.monotonic()))
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    speaking = asyncio.create_task(speak())
    await runner.add_workers(worker)
    await runner.run()
    await speaking
    print(json.dumps(seen))


logger.remove()
logger.add(sys.stderr, level="WARNING")
asyncio.run(main(sys.argv[1]))
