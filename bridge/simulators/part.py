"""What the agent does in a call, as values: the part it plays and the manners the account has set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.simulators.audio import SPEECH_DIR, Utterance, load_wav, tone_utterance

After = Literal["listen", "repeat", "hang-up"]

PROMPT_TONE_HZ = 440


@dataclass(frozen=True, kw_only=True)
class Part:
    """Echo, prompt and conversation are three settings of the same agent."""

    echoes: bool = False
    "The caller's audio goes back frame by frame, and nothing else is ever said."
    greeting: Utterance | None = None
    replies: tuple[Utterance, ...] = ()
    "One for each turn of the caller."
    after: After = "listen"
    "When the last reply (or, without replies, the greeting) was spoken."
    listens: bool = True
    "False: the caller can neither be answered nor interrupt."
    thinking_ms: int = 300
    "Between the end of the caller's turn and the first sound of the reply: model and voice."
    caller_lines: tuple[str, ...] = ()
    "What the transcripts let the caller say, turn by turn; we recognise no words."
    tool_on_turn: int = 0
    "The agent uses a tool before its reply to this turn. 0: never."
    tool: str = "lookup"
    "The tool's name when the request that created the call named none."
    hangs_up_early: bool = False
    "Ends the call when its last words are sent, not when the caller can have heard them."

    def caller_line(self, turn: int, talk_ms: int) -> str:
        """What the caller said in this turn, beginning at 1."""
        if turn <= len(self.caller_lines):
            return self.caller_lines[turn - 1]
        return f"[{talk_ms / 1000:.1f} s of speech]"


@dataclass(frozen=True, kw_only=True)
class Manners:
    """When a turn of the caller counts, in the platform's own settings translated to milliseconds."""

    turn_endpoint_ms: int = 384
    minimum_turn_ms: int = 0
    minimum_interruption_ms: int = 90


ECHO = Part(echoes=True)


def prompt(path: Path | None = None, *, after: After = "listen") -> Part:
    """Plays a WAV, or a tone of one second, and is deaf."""
    utterance = load_wav(path) if path else tone_utterance(PROMPT_TONE_HZ, 1000, "beep")
    return Part(greeting=utterance, after=after, listens=False)


def converse(directory: Path = SPEECH_DIR, *, after: After = "hang-up", thinking_ms: int = 300) -> Part:
    """greeting.wav, then answer_*.wav in order, then goodbye.wav."""
    answers = sorted(directory.glob("answer_*.wav"))
    return Part(
        greeting=load_wav(directory / "greeting.wav"),
        replies=tuple(load_wav(path) for path in [*answers, directory / "goodbye.wav"]),
        after=after,
        thinking_ms=thinking_ms,
    )
