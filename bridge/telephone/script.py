"""What a test call plays: from a WAV file or a script of steps to the far end that a worker opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bridge.calls.hunt import Candidate
from media import tape, wire

RATE_HZ, WIDE_RATE_HZ = 8000, 16000
WIDE = frozenset({"G722", "opus", "L16/16000"})
"Codecs that carry more than 4 kHz of sound."


def far_end(script: list[dict[str, Any]], codecs: tuple[str, ...]) -> Candidate:
    """Raises ScriptError for what cannot be played, before anybody's telephone rings."""
    rate_hz = WIDE_RATE_HZ if WIDE.intersection(codecs) else RATE_HZ
    tape.parse_script(script, rate_hz)
    return Candidate(
        "tape",
        spec=wire.FarSpec(
            platform="tape", dialect="tape", rate_hz=rate_hz, sends_ahead=True, options={"script": script}
        ),
    )


def listener(candidate: Candidate) -> wire.FarSpec:
    """The same without a word to say: it hears what comes before the answer."""
    assert candidate.spec is not None
    return msgspec.structs.replace(candidate.spec, options={})


def read_script(path: Path) -> list[dict[str, Any]]:
    """WAV files are looked for beside the script, then from here. Raises ScriptError."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise tape.ScriptError(f"{path}: {error}") from None
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise tape.ScriptError(f"{path}: must be a list of steps")
    for step in steps:
        if isinstance(step.get("play"), str):
            beside = path.parent / step["play"]
            step["play"] = str((beside if beside.exists() else Path(step["play"])).absolute())
    return steps
