"""What happened in one call, told from two records: the bridge's own and the test caller's. Pure.

Both records carry time.monotonic() of one machine, so what the caller saw and what the bridge did go onto one axis. Its
zero is the moment the caller sent the INVITE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from bridge.demo.sound import Tracks, answers, interruptions
from bridge.records import CallRecord, Milestone
from media.wire import CallReport, Moment, Spread

Party = Literal["caller", "bridge", "platform"]
Kind = Literal["sip", "platform", "speech", "turn", "end"]


@dataclass(frozen=True, slots=True)
class Story:
    """What is known about the call."""

    record: CallRecord
    "As the bridge wrote it."
    caller: CallRecord
    "As the test caller wrote it."
    words: Mapping[str, str] = field(default_factory=dict)
    "What the caller says in each recording, by its name without `.wav`."
    tracks: Tracks | None = None

    @property
    def zero(self) -> float:
        """The INVITE as the caller sent it, or as it came in when the caller has not said."""
        times = self.caller.times or self.record.times
        return times.get("invite", min(times.values(), default=0.0))

    @property
    def media(self) -> CallReport:
        return self.record.media or CallReport()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ladder: an arrow from `source` to `target`, or a note when they are the same."""

    at_s: float
    source: Party
    target: Party
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing, with what exactly was measured: a number without that is worth nothing."""

    name: str
    value: str
    measured: str


SIGNALLING: tuple[tuple[Milestone, Party, Party, str, Kind], ...] = (
    ("ringing", "bridge", "caller", "180 Ringing", "sip"),
    ("far-ready", "platform", "bridge", "media socket up, agent ready", "platform"),
    ("answered", "bridge", "caller", "200 OK", "sip"),
    ("confirmed", "caller", "bridge", "ACK", "sip"),
)


def flow(story: Story) -> list[Line]:
    """The whole call, in the order of time."""
    record, zero = story.record, story.zero
    lines = [
        Line(zero, "caller", "bridge", f"INVITE {record.dialled}", "sip"),
        *(
            Line(record.times[milestone], source, target, text, kind)
            for milestone, source, target, text, kind in SIGNALLING
            if milestone in record.times
        ),
        *attempts(record),
        *(Line(at_s + zero, "caller", "platform", f"“{text}”", "speech") for at_s, text in said_by_caller(story)),
        *(Line(at_s + zero, "platform", "caller", f"“{text}”", "speech") for at_s, text in said_by_agent(story)),
        *(line for moment in record.moments for line in told(moment, story)),
        *heard(story),
        *ending(record),
    ]
    return [
        Line(round(line.at_s - zero, 6), line.source, line.target, line.text, line.kind)
        for line in sorted(lines, key=lambda line: line.at_s)
    ]


def said_by_caller(story: Story) -> list[tuple[float, str]]:
    """What the caller said, and when it began. What was really played is better than what was understood."""
    played = [
        (round(moment.at_s - story.zero, 3), story.words[moment.text])
        for moment in story.caller.moments
        if moment.kind == "play" and moment.text in story.words
    ]
    return played or [
        (round(moment.at_s - story.zero, 3), moment.text) for moment in transcripts(story.record, "caller")
    ]


def said_by_agent(story: Story) -> list[tuple[float, str]]:
    """What the agent said, and when it began: a transcript is final when the words are over, or were cut off.

    An agent may begin as soon as its socket is up; the caller hears it from the answer on.
    """
    said: list[tuple[float, str]] = []
    answered = story.record.times.get("answered", 0.0)
    began: float | None = None
    finals = transcripts(story.record, "agent")
    for moment in story.record.moments:
        if moment.kind == "state" and moment.text == "speaking":
            began = moment.at_s
        elif moment in finals:
            at_s = max(moment.at_s if began is None else began, answered)
            said.append((round(at_s - story.zero, 3), moment.text))
            began = None
    return said


def transcripts(record: CallRecord, who: str) -> list[Moment]:
    return [
        moment
        for moment in record.moments
        if moment.kind == "transcript" and moment.final and moment.who == who and moment.text
    ]


def attempts(record: CallRecord) -> list[Line]:
    """The platforms that were asked. The record has how long each took: counted back from the one that was ready."""
    at_s = record.times.get("far-ready", record.times.get("ended", 0.0))
    lines: list[Line] = []
    for attempt in reversed(record.attempts):
        if attempt.outcome != "ready":
            lines.append(Line(at_s, "platform", "bridge", f"{attempt.platform}: {attempt.outcome}", "platform"))
        at_s = max(at_s - attempt.took_ms / 1000, record.times.get("invite", at_s))
        lines.append(Line(at_s, "bridge", "platform", f"create call at {attempt.platform}", "platform"))
    return lines[::-1]


def told(moment: Moment, story: Story) -> list[Line]:
    """What one moment of the bridge's record is on the ladder. States are drawn in the picture only."""
    at_s = moment.at_s
    match moment.kind:
        case "first-audio":
            return [Line(at_s, "platform", "bridge", "first sound of the agent", "speech")]
        case "flush":
            return [Line(at_s, "platform", "bridge", "interrupted: clear the buffer", "turn"), *silence(at_s, story)]
        case "tool":
            return [Line(at_s, "platform", "bridge", f"tool {moment.text}", "turn")]
        case "digit":
            return [Line(at_s, "caller", "platform", f"digit {moment.text}", "turn")]
        case "trouble":
            return [Line(at_s, "platform", "bridge", f"trouble: {moment.text}", "turn")]
        case _:
            return []


def silence(flush_s: float, story: Story) -> list[Line]:
    """When the flushed agent was silent on the wire. The report has a distribution, not a time for each flush."""
    spread = story.media.barge_in_ms
    if not spread.count:
        return []
    return [
        Line(flush_s + spread.max / 1000, "bridge", "caller", f"silence on the wire, {spread.max:.1f} ms later", "turn")
    ]


def heard(story: Story) -> Iterator[Line]:
    """After each interruption: when the test caller's ear had made sure that the agent is silent."""
    stops = [moment.at_s for moment in story.caller.moments if moment.kind == "speech-ended"]
    for flush in (moment.at_s for moment in story.record.moments if moment.kind == "flush"):
        stop = next((at_s for at_s in stops if at_s >= flush), None)
        if stop is not None:
            yield Line(stop, "caller", "caller", "is sure that the agent is silent", "turn")


def ending(record: CallRecord) -> Iterator[Line]:
    if "ended" not in record.times:
        return
    at_s = record.times["ended"]
    if "answered" not in record.times:
        yield Line(at_s, "bridge", "caller", f"{record.sip_status} ({record.reason})", "end")
    elif record.reason.startswith("caller"):
        yield Line(at_s, "caller", "bridge", f"BYE ({record.reason})", "end")
    else:
        yield Line(at_s, "bridge", "caller", f"BYE ({record.reason})", "end")


def spreads(story: Story) -> list[tuple[str, Spread, str]]:
    """The distributions of one call: name, figures, what was measured."""
    media = story.media
    return [
        ("added, up", media.up_ms, "caller's packet in → frame out to the platform"),
        ("added, down", media.down_ms, "platform's frame in → packet out, if not ahead"),
        ("down, with lead", media.queued_ms, "all audio, what was sent ahead and held included"),
        ("clock", media.tick_late_ms, "how late a 20 ms tick came"),
    ]


def figures(story: Story) -> list[Figure]:
    record, near, ear = story.record, story.media.near, (story.caller.media or CallReport()).near
    times = story.caller.times if "answered" in story.caller.times else record.times
    rows = [
        Figure(
            "set-up",
            between(times.get("invite"), times.get("answered")),
            "INVITE sent → 200 received, the platform's own time in it",
        ),
        Figure(
            "platform ready",
            between(record.times.get("invite"), record.times.get("far-ready")),
            "INVITE → call created and media socket up, seen from the bridge",
        ),
        Figure("round trip", round_trip(story.media), "bridge only, p50 up + p50 down: no network, no thinking"),
        *heard_figures(story.tracks),
        Figure(
            "barge-in", barge_in_time(story.media.barge_in_ms), "platform's clear → first silent packet on the wire"
        ),
        Figure("jitter", f"{near.jitter_ms:.2f} ms in · {ear.jitter_ms:.2f} ms out", "RFC 3550, at bridge and caller"),
        Figure("loss", f"{near.lost} of {near.expected} in · {ear.lost} of {ear.expected} out", "RTP packets"),
        Figure("packets", f"{near.received} in · {near.sent} out", "RTP, counted at the bridge"),
        Figure("codec", record.codec or "-", "as negotiated"),
        Figure("end", record.reason or "-", f"whose doing: {record.blame or 'nobody knows'}"),
    ]
    return [row for row in rows if row.value]


def heard_figures(tracks: Tracks | None) -> list[Figure]:
    """What only ears can tell: measured in the recording."""
    if tracks is None:
        return []
    rows = []
    if gaps := answers(tracks):
        rows.append(
            Figure(
                "answer",
                f"{median(gaps) * 1000:.0f} ms",
                "heard: caller's last sound → agent's first, platform's turn in it",
            )
        )
    if stops := interruptions(tracks):
        rows.append(
            Figure(
                "talk-over",
                f"{median(stops) * 1000:.0f} ms",
                "heard: caller's first sound → agent silent, platform's ear in it",
            )
        )
    return rows


def between(start_s: float | None, end_s: float | None) -> str:
    if start_s is None or end_s is None:
        return "-"
    return f"{(end_s - start_s) * 1000:.0f} ms"


def round_trip(media: CallReport) -> str:
    if not (media.up_ms.count and media.down_ms.count):
        return ""
    return f"{media.up_ms.p50 + media.down_ms.p50:.1f} ms"


def barge_in_time(spread: Spread) -> str:
    if not spread.count:
        return "nobody interrupted"
    times = "once" if spread.count == 1 else f"{spread.count} times"
    return f"{spread.max:.1f} ms ({times})"
