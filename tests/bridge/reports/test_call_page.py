"""One call's page: every part is there when there is something to say, and strangers' text is text."""

from __future__ import annotations

from rich.console import Console

from bridge.records import Attempt, CallRecord, TrunkAttempt
from bridge.reports.call_list import call_table, event_table, state
from bridge.reports.call_page import WIDTH, page
from media import wire
from tests.bridge.store.samples import event, over, standing


def text_of(*parts: object) -> str:
    with open("/dev/null", "w") as nothing:
        console = Console(width=WIDTH + 80, record=True, file=nothing)
        console.print(*parts)
        return console.export_text()


def test_everything_about_a_call() -> None:
    record = over(
        direction="outbound",
        caller="+49301",
        dialled="+5255",
        country="MX",
        company="Parcels",
        platform="vapi",
        codec="PCMA",
        worker=1,
        times={"invite": 1.0, "answered": 2.0, "ended": 3.0},
        trunk_attempts=[
            TrunkAttempt(
                trunk="mx-1", target="udp:192.0.2.1:5060", outcome="timeout", took_ms=4000.2, because=("primary",)
            ),
            TrunkAttempt(trunk="mx-2", outcome="answered", sip_status=200, took_ms=9.0, detail="the other"),
        ],
        attempts=[Attempt(platform="vapi", outcome="ready", took_ms=200.0)],
        media=wire.CallReport(
            near=wire.NearReport(received=90, expected=100, lost=10, mos_up=4.2),
            up_ms=wire.Spread(count=7, p50=0.25),
            recording="/calls/a.wav",
        ),
    )
    shown = text_of(page(record))
    for words in (
        *(
            "call c1 · +49301 → +5255 · answered",
            "talked 1:30",
            "caller-hung-up (success)",
            "mx · latam · MX",
            "Parcels",
        ),
        *("vapi · PCMA · worker 1", "0.016000 USD for 120 s (0.008 USD/min, 60/60)", "mx-1", "timeout", "primary"),
        *("4000", "the other", "90 of 100 packets, 10 lost", "caller to platform", "0.25", "caller 4.2, agent 0.0"),
        *("/calls/a.wav", "¿Bueno?", "200 answered", "call      ░"),
    ):
        assert words in shown, words


def test_a_recording_that_broke_off_says_why() -> None:
    media = wire.CallReport(recording_failed="OSError: [Errno 28] No space left on device")
    assert "broke off: OSError: [Errno 28] No space left on device" in text_of(page(over(media=media)))


def test_a_call_that_was_refused_has_little_to_tell() -> None:
    record = over(
        answered_at="", duration_s=0.0, cost=None, moments=[], outcome="busy", sip_status=486, reason="platform-busy"
    )
    shown = text_of(page(record))
    assert "platform-busy (success, SIP 486)" in shown
    assert "latency" not in shown
    assert "cost" not in shown


def test_what_strangers_write_is_shown_as_they_wrote_it() -> None:
    record = over(
        caller="[bold red]x[/]", detail="[link=http://x]", moments=[wire.Moment(kind="transcript", at_s=0, text="[b]")]
    )
    for shown in (text_of(page(record)), text_of(call_table([record]))):
        assert "[bold red]x[/]" in shown


def test_a_call_without_an_end_stands_or_is_lost() -> None:
    record = standing(bridge="b1")
    assert [state(record), state(record, {"b1"}), state(over()), state(over(outcome=""))] == [
        *("stands", "lost", "answered", "failed")
    ]
    assert "stands" in text_of(page(record))


def test_the_list() -> None:
    records: list[CallRecord] = [over("aaaaaaaaaaaa"), standing("bbbbbbbbbbbb", direction="outbound", caller="+4930")]
    lines = text_of(call_table(records)).splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:4] == ["2026-11-22", "10:00:00", "aaaaaaaa", "←"]
    assert [word in lines[1] for word in ("answered", "1:30", "0.016000 USD", "caller-hung-up")] == [True] * 4
    assert lines[2].split()[2:5] == ["bbbbbbbb", "→", "+4930"]


def test_events() -> None:
    lines = text_of(event_table([event(), event("registered", status=200, target="udp:192.0.2.1:5060")])).splitlines()
    assert lines[1].split() == ["2026-11-22", "10:00:00", "mx", "down"]
    assert lines[2].split() == ["2026-11-22", "10:00:00", "mx", "registered", "udp:192.0.2.1:5060", "200"]
