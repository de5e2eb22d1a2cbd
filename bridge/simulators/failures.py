"""What shall go wrong, as one frozen value: for tests of whoever uses the platform, and for `--fail`.

Written as `name[:number[:number]]`:

    429:5 503:30 401 402 500      REST answers this status, with Retry-After when a number follows
    nonsense                      REST answers 201 with what is no JSON
    never                         REST does not answer
    blocked                       VAPI: 201, but over the concurrency limit
    refuse:403                    the media socket's upgrade is answered with this status
    close                         the socket opens and closes at once
    text                          text frames arrive where audio is due
    silent:2000                   nothing more is sent after 2000 ms, the socket stays open
    drop:2000                     the connection is cut after 2000 ms, without a close frame
    stall:2000:500                after 2000 ms nothing for 500 ms, then all of it at once
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RestFailure = Literal["", "status", "nonsense", "never", "blocked"]
SocketFailure = Literal["", "refuse", "close", "text", "silent", "drop", "stall"]


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Nothing fails by default."""

    rest: RestFailure = ""
    "What happens to a request that creates a call."
    status: int = 500
    "Answer of `status`."
    retry_after_s: int = 0
    "Retry-After header when above 0."
    socket: SocketFailure = ""
    upgrade_status: int = 403
    "Answer of `refuse`."
    after_ms: int = 0
    "When `silent`, `drop` or `stall` begins, counted from the opening of the socket."
    stall_ms: int = 500
    first: int = 0
    "Only this many calls are hit, the later ones are well. 0: all."

    def hit(self, number: int) -> bool:
        """Is the call with this running number, beginning at 1, to suffer?"""
        return not self.first or number <= self.first


NONE = Failures()

_TIMED = {"silent": 1, "drop": 1, "stall": 2}


def parse(words: list[str], *, first: int = 0) -> Failures:
    """One REST failure and one socket failure at most. Raises ValueError with a sentence for the command line."""
    settings: dict[str, int | str] = {"first": first}
    for word in words:
        settings |= _parse_word(word)
    return Failures(**settings)  # type: ignore[arg-type]  # keys and types are made by the table below


def _parse_word(word: str) -> dict[str, int | str]:
    name, *rest = word.split(":")
    found: dict[str, int | str] = {}
    if not all(number.isdigit() for number in rest) or len(rest) > _TIMED.get(name, 1):
        raise ValueError(f"{word!r}: numbers are written name:number[:number]")
    numbers = [int(number) for number in rest]
    if name.isdigit() and 400 <= int(name) <= 599:
        found = {"rest": "status", "status": int(name), **_named(numbers, "retry_after_s")}
    elif name == "refuse":
        found = {"socket": name, **_named(numbers, "upgrade_status")}
    elif name in _TIMED:
        found = {"socket": name, **_named(numbers, "after_ms", "stall_ms")}
    elif name in ("nonsense", "never", "blocked") and not numbers:
        found = {"rest": name}
    elif name in ("close", "text") and not numbers:
        found = {"socket": name}
    if found:
        return found
    raise ValueError(f"{word!r} is no failure we can play")


def _named(numbers: list[int], *names: str) -> dict[str, int | str]:
    return dict(zip(names, numbers, strict=False))
