"""What is told while the call runs: the test caller's lines, in the words of the scene. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

TIMED = re.compile(r"(?P<what>\S.*?)\s+(?P<at>\d+\.\d+) s")


class Narrator:
    """Turns `puente call`'s lines into the story of two people. Pauses between words are not told."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words
        self._agent_speaks = False
        "Now, to the caller's ear."
        self._agent_told = False
        "Since the caller's last words."
        self._talked_over = False

    def tell(self, line: str) -> str:
        """One line for the terminal, or empty when there is nothing to tell."""
        found = TIMED.fullmatch(line)
        if found is None:
            return ""
        text = self._scene(" ".join(found["what"].split()))
        return f"{float(found['at']):6.2f} s  {text}" if text else ""

    def _scene(self, what: str) -> str:
        match what.split(" ", 1):
            case ["ringing", *_]:
                return "bridge  rings, and calls the platform"
            case ["answered"]:
                return "bridge  answers: the platform is ready"
            case ["playing", name]:
                self._talked_over, self._agent_told = self._agent_speaks, False
                return f"caller  “{self._words.get(name, name)}”"
            case ["heard", "speech started"]:
                return self._agent_begins()
            case ["heard", "speech ended"]:
                return self._agent_pauses()
        return ""

    def _agent_begins(self) -> str:
        self._agent_speaks = True
        if self._agent_told:
            return ""
        self._agent_told = True
        return "agent   speaks"

    def _agent_pauses(self) -> str:
        self._agent_speaks = False
        if not self._talked_over:
            return ""
        self._talked_over = False
        return "agent   falls silent: interrupted"
