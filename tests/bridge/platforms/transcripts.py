"""Recorded conversations with a platform, replayed into its dialect.

One JSON object per line of tests/data/<name>.jsonl:

    {"<": <message>, "=": [...]}         this came as a text frame ("raw": exactly these characters), and it means that
    {"close": <code>, "=": [...]}        the platform closed the socket
    {"do": "open" | "digit" | "mark" | "audio" | "goodbye", ">": [<message>, ...]}      what the dialect says then
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from media.far import Dialect

DATA = Path(__file__).parents[2] / "data"


def transcript(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def messages(platform: str) -> list[dict[str, Any]]:
    """Every well-formed message in the recordings of a platform."""
    lines = (line for path in sorted(DATA.glob(f"{platform}_*.jsonl")) for line in transcript(path.stem))
    return [line["<"] for line in lines if isinstance(line.get("<"), dict)]


def replayed(dialect: Dialect, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same lines with what the dialect really made of them."""
    return [{**line, **_answer(dialect, line)} for line in lines]


def _answer(dialect: Dialect, line: dict[str, Any]) -> dict[str, Any]:
    match line:
        case {"do": "open"}:
            return {">": [json.loads(frame) for frame in dialect.on_open()]}
        case {"do": "digit", "digit": digit}:
            return {">": [json.loads(frame) for frame in dialect.on_digit(digit)]}
        case {"do": "mark", "name": name}:
            return {">": [json.loads(frame) for frame in dialect.on_mark(name)]}
        case {"do": "audio", "bytes": size, "at_ms": at_ms}:
            return {">": [json.loads(frame) for frame in dialect.audio(b"\xff" * size, at_ms)]}
        case {"do": "goodbye"}:
            return {">": [json.loads(frame) for frame in dialect.goodbye()]}
        case {"close": code}:
            ended = dialect.on_close(code, "")
            return {"=": [repr(ended)] if ended else []}
    text = line["raw"] if "raw" in line else json.dumps(line["<"])
    return {"=": [repr(happening) for happening in dialect.on_text(text)]}
