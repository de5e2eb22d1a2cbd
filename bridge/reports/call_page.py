"""One call on a page for a terminal: its facts, its time as a picture, who was tried, how it sounded, what happened."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.records import CallRecord
from bridge.reports.call_list import ARROWS, clock, cost, state, talk
from bridge.reports.timeline import happenings, lanes, length_s
from media.wire import CallReport

WIDTH = 118
NAME_WIDTH = 10
LANE_WIDTH = WIDTH - NAME_WIDTH - 6


def page(record: CallRecord, dead: Collection[str] = ()) -> RenderableType:
    parts: list[RenderableType] = [_pairs(facts(record))]
    for part in (picture(record), trunk_attempts(record), platform_attempts(record)):
        if part is not None:
            parts += [Text(), part]
    if record.media is not None:
        parts += [Text(), latencies(record.media), Text(), _pairs(figures(record.media))]
    parts += [Text(), happened(record)]
    outcome = state(record, dead)
    title = Text(f"call {record.call} · {record.caller} {ARROWS[record.direction]} {record.dialled} · {outcome}")
    border = "green" if record.blame == "success" else "red" if record.ended_at else "yellow"
    return Panel(Group(*parts), title=title, border_style=border, width=WIDTH)


def facts(record: CallRecord) -> Iterator[tuple[str, str]]:
    yield "when", f"{clock(record.started_at)} UTC, answered {record.answered_at[11:23] or '-'}, talked {talk(record)}"
    if record.ended_at:
        status = f", SIP {record.sip_status}" if record.sip_status else ""
        detail = f": {record.detail}" if record.detail else ""
        yield "end", f"{record.ended_at[11:23]} {record.reason} ({record.blame}{status}){detail}"
    yield "trunk", _joined(record.trunk, record.region, record.country, record.source)
    yield "business", _joined(record.company, record.flow, record.call_type, record.route and f"route {record.route}")
    yield "platform", _joined(record.platform, record.codec, record.worker >= 0 and f"worker {record.worker}")
    if record.cost:
        price = f"{record.cost.per_minute} {record.cost.currency}/min, {record.cost.billing}"
        yield "cost", f"{cost(record)} for {record.cost.billed_s} s ({price})"
    request = f"request {record.request_id}" if record.request_id else ""
    yield "ids", _joined(record.sip_call_id, request, f"bridge {record.bridge}")


def _joined(*words: object) -> str:
    return " · ".join(str(word) for word in words if word) or "-"


def picture(record: CallRecord) -> Text | None:
    drawn = lanes(record, LANE_WIDTH)
    if not drawn:
        return None
    end = f"{length_s(record):.1f} s"
    text = Text(f"{'':{NAME_WIDTH}}0 s{end:>{LANE_WIDTH - 3}}\n", style="dim", no_wrap=True)
    for number, (name, row) in enumerate(drawn):
        text.append(f"{name:<{NAME_WIDTH}}", style="bold")
        text.append(row, style="red" if name == "trouble" else "cyan")
        if number < len(drawn) - 1:
            text.append("\n")
    return text


def trunk_attempts(record: CallRecord) -> Table | None:
    if not record.trunk_attempts:
        return None
    table = _table("trunk", "target", "outcome", "SIP", "ms", "because")
    for one in record.trunk_attempts:
        words = "; ".join(filter(None, (", ".join(one.because), one.detail)))
        status = str(one.sip_status) if one.sip_status else ""
        table.add_row(*map(Text, (one.trunk, one.target, one.outcome, status, f"{one.took_ms:.0f}", words)))
    return table


def platform_attempts(record: CallRecord) -> Table | None:
    if not record.attempts:
        return None
    table = _table("platform", "outcome", "ms", "detail")
    for one in record.attempts:
        table.add_row(*map(Text, (one.platform, one.outcome, f"{one.took_ms:.0f}", one.detail)))
    return table


def latencies(media: CallReport) -> Table:
    table = _table("latency, ms")
    for name in ("p50", "p95", "p99", "max", "count"):
        table.add_column(name, justify="right", style="cyan")
    rows = (
        ("caller to platform", media.up_ms),
        ("platform to caller", media.down_ms),
        ("queued by intent", media.queued_ms),
        ("barge-in", media.barge_in_ms),
        ("turn", media.turn_ms),
    )
    for name, spread in rows:
        if spread.count:
            values = (f"{value:.2f}" for value in (spread.p50, spread.p95, spread.p99, spread.max))
            table.add_row(name, *values, str(spread.count))
    return table


def figures(media: CallReport) -> Iterator[tuple[str, str]]:
    near, far = media.near, media.far
    lost = f"{near.received} of {near.expected} packets, {near.lost} lost, {near.late} late"
    yield "RTP in", f"{lost}, jitter {near.jitter_ms:.1f} ms, longest gap {near.max_gap_ms:.0f} ms"
    yield "RTP out", f"{near.sent} packets, {near.ticks_late} late, {near.ticks_skipped} skipped"
    if near.mos_up or near.mos_down:
        yield "MOS", f"caller {near.mos_up:.1f}, agent {near.mos_down:.1f} (E-model estimate; 0: unknown)"
    played = f"{far.played_ms / 1000:.1f} s played, {far.flushed_ms} ms taken back, {far.underruns} underruns"
    yield "platform", f"{far.sent_ms / 1000:.1f} s up ({far.concealed_ms} ms concealed), {played}"
    if media.recording or media.recording_failed:
        yield "recording", media.recording or f"broke off: {media.recording_failed}"


def happened(record: CallRecord) -> Table:
    table = _table("s", "what", "")
    for at_s, what, words in happenings(record):
        table.add_row(f"{at_s:.3f}", Text(what), Text(words))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, style="" if name else "dim")
    return table


def _pairs(rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True, min_width=NAME_WIDTH - 1)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    return table
