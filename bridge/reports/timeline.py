"""A call as lanes over one axis of time: what it was doing, who said something when, and what went wrong. Pure.

0 s                                        93.1 s
call     ░░████████████████████████████████████▒
caller        ▪     ▪            ▪
agent      ▪     ▪       ▪           ▪
barge-in                         ◂
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.records import CallRecord, Milestone
from media.wire import Moment

RINGING, TALKING, CLOSING = "░", "█", "▒"
TROUBLE_MARK = "!"

Lane = tuple[str, str, Callable[[Moment], bool]]

LANES: tuple[Lane, ...] = (
    ("caller", "▪", lambda one: one.kind == "transcript" and one.who != "agent" and one.final),
    ("agent", "▪", lambda one: one.kind == "transcript" and one.who == "agent" and one.final),
    ("barge-in", "◂", lambda one: one.kind == "flush"),
    ("tools", "◆", lambda one: one.kind == "tool"),
    ("digits", "#", lambda one: one.kind == "digit"),
    ("trouble", TROUBLE_MARK, lambda one: one.kind == "trouble"),
)
"Name, mark, and which moments are on it. A lane without any is not drawn; digits mark themselves."


def zero(record: CallRecord) -> float:
    """Monotonic second of the first thing that happened."""
    return min([*record.times.values(), *(moment.at_s for moment in record.moments[:1])], default=0.0)


def length_s(record: CallRecord) -> float:
    return max([*record.times.values(), *(moment.at_s for moment in record.moments)], default=0.0) - zero(record)


def lanes(record: CallRecord, width: int) -> list[tuple[str, str]]:
    """Name and drawing of each. Empty when nothing is known of the times."""
    if not record.times:
        return []
    start, span = zero(record), max(length_s(record), 0.001)

    def column(at_s: float) -> int:
        return max(0, min(width - 1, int((at_s - start) / span * (width - 1) + 0.5)))

    drawn = [("call", _phases(record, column, width))]
    for name, mark, belongs in LANES:
        row = [" "] * width
        for moment in filter(belongs, record.moments):
            row[column(moment.at_s)] = moment.text[:1] or mark if name == "digits" else mark
        if set(row) != {" "}:
            drawn.append((name, "".join(row).rstrip()))
    return drawn


def _phases(record: CallRecord, column: Callable[[float], int], width: int) -> str:
    times = record.times
    end = times.get("ended", times.get("closed"))
    stop = column(end) + 1 if end is not None else width
    talk = column(times["answered"]) if "answered" in times else stop
    return RINGING * min(talk, stop) + TALKING * max(0, stop - talk) + CLOSING * (width - stop)


def happenings(record: CallRecord) -> list[tuple[float, str, str]]:
    """Everything in the order in which it happened: seconds since the beginning, what, and the words to it."""
    start = zero(record)
    found = [(at_s - start, WORDS.get(name, name), "") for name, at_s in record.times.items()]
    found += [
        (moment.at_s - start, " ".join(filter(None, (moment.who, moment.kind))), _words(moment))
        for moment in record.moments
        if moment.final
    ]
    return sorted(found, key=lambda one: one[0])


WORDS: dict[Milestone, str] = {
    "invite": "INVITE",
    "ringing": "180 ringing",
    "port": "RTP port",
    "far-ready": "platform ready",
    "answered": "200 answered",
    "confirmed": "ACK",
    "ended": "ended",
    "closed": "record closed",
}


def _words(moment: Moment) -> str:
    extra = " ".join(f"{name}={value}" for name, value in moment.data.items() if isinstance(value, str | int | float))
    return " ".join(filter(None, (moment.text, extra)))
