"""`puente call` as a person runs it: a process, its exit status, its words, and what it wrote."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.audio import Samples
from tests.helpers.rig import PATIENCE_S


@dataclass(frozen=True)
class Placed:
    """What became of it."""

    status: int
    said: str
    record: dict[str, Any]


async def place(folder: Path, target: str, *options: str) -> Placed:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "call", target, "--json", str(folder / "call.json"), *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PATIENCE_S * 2):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Placed(process.returncode, said.decode(), json.loads((folder / "call.json").read_bytes()))


def tracks(path: Path) -> tuple[Samples, Samples]:
    """Left the callee, right the tape."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    return both[::2], both[1::2]
