"""What the page tells about a made-up call, line by line."""

from __future__ import annotations

import numpy as np

from bridge.demo.sound import Tracks
from bridge.demo.story import Figure, Line, Story, figures, flow, said_by_agent, said_by_caller, spreads
from bridge.records import CallRecord
from media.wire import CallReport, Spread
from tests.bridge.demo.records import WORDS, ZERO, bridge_record, caller_record, moment, story


def test_flow_is_the_whole_call_in_the_order_of_time() -> None:
    assert flow(story()) == [
        Line(0.0, "caller", "bridge", "INVITE +525512345678", "sip"),
        Line(0.002, "bridge", "caller", "180 Ringing", "sip"),
        Line(0.01, "bridge", "platform", "create call at vapi", "platform"),
        Line(0.03, "platform", "bridge", "vapi: platform-busy", "platform"),
        Line(0.03, "bridge", "platform", "create call at ultravox", "platform"),
        Line(0.09, "platform", "bridge", "media socket up, agent ready", "platform"),
        Line(0.091, "bridge", "caller", "200 OK", "sip"),
        Line(0.093, "caller", "bridge", "ACK", "sip"),
        Line(0.132, "platform", "bridge", "first sound of the agent", "speech"),
        Line(0.135, "platform", "caller", "“Hello, this is the parcel desk, how can I help you?”", "speech"),
        Line(3.9, "caller", "platform", "“Good morning, can you tell me where my parcel is?”", "speech"),
        Line(9.0, "platform", "caller", "“Your parcel left our depot this morning at”", "speech"),
        Line(12.2, "caller", "platform", "“Sorry, can you bring it tomorrow instead?”", "speech"),
        Line(12.5, "platform", "bridge", "interrupted: clear the buffer", "turn"),
        Line(12.5072, "bridge", "caller", "silence on the wire, 7.2 ms later", "turn"),
        Line(12.73, "caller", "caller", "is sure that the agent is silent", "turn"),
        Line(15.3, "platform", "caller", "“Of course, I have moved it to tomorrow.”", "speech"),
        Line(17.0, "caller", "platform", "digit 1", "turn"),
        Line(20.0, "caller", "bridge", "BYE (caller-hung-up)", "end"),
    ]


def test_the_bridge_hangs_up_when_the_platform_did() -> None:
    assert flow(story(reason="platform-hung-up"))[-1] == Line(20.0, "bridge", "caller", "BYE (platform-hung-up)", "end")


def test_a_refused_call_ends_with_its_status() -> None:
    record = bridge_record(
        times={"invite": ZERO + 0.001, "ringing": ZERO + 0.002, "ended": ZERO + 0.1},
        attempts=[],
        moments=[],
        media=None,
        reason="platform-busy",
        blame="upstream_error",
        sip_status=486,
    )
    assert flow(Story(record, caller_record(times={}, moments=[]))) == [
        Line(0.0, "caller", "bridge", "INVITE +525512345678", "sip"),
        Line(0.001, "bridge", "caller", "180 Ringing", "sip"),
        Line(0.099, "bridge", "caller", "486 (platform-busy)", "end"),
    ]


def test_an_empty_record_tells_an_invite_and_nothing_else() -> None:
    nothing = CallRecord(call="1", direction="inbound", started_at="")
    assert flow(Story(nothing, nothing)) == [Line(0.0, "caller", "bridge", "INVITE ", "sip")]


def test_tools_and_trouble_are_told_and_states_are_not() -> None:
    moments = [moment("tool", 1.0, "agent", "lookup"), moment("trouble", 2.0, text="no JSON"), moment("state", 3.0)]
    told = flow(story(moments=moments, attempts=[], times={"invite": ZERO}))
    assert [line for line in told if line.source == "platform"] == [
        Line(1.0, "platform", "bridge", "tool lookup", "turn"),
        Line(2.0, "platform", "bridge", "trouble: no JSON", "turn"),
    ]


def test_without_known_words_the_platform_has_the_word() -> None:
    told = Story(bridge_record(), caller_record())
    assert said_by_caller(told) == [(8.7, "[3.2 s of speech]"), (14.9, "[2.3 s of speech]")]


def test_words_stand_where_their_speaker_began() -> None:
    assert said_by_caller(story()) == [(3.9, WORDS["caller_1"]), (12.2, WORDS["caller_2"])]
    assert [at_s for at_s, _ in said_by_agent(story())] == [0.135, 9.0, 15.3]


def test_agent_without_states_speaks_when_the_transcript_comes() -> None:
    moments = [moment("transcript", 3.5, "agent", "Hello"), moment("transcript", 4.5, "agent", "still")]
    assert said_by_agent(story(moments=moments)) == [(3.5, "Hello"), (4.5, "still")]


def test_every_figure_says_what_was_measured() -> None:
    assert figures(story()) == [
        Figure("set-up", "92 ms", "INVITE sent → 200 received, the platform's own time in it"),
        Figure("platform ready", "89 ms", "INVITE → call created and media socket up, seen from the bridge"),
        Figure("round trip", "8.6 ms", "bridge only, p50 up + p50 down: no network, no thinking"),
        Figure("barge-in", "7.2 ms (once)", "platform's clear → first silent packet on the wire"),
        Figure("jitter", "0.42 ms in · 0.77 ms out", "RFC 3550, at bridge and caller"),
        Figure("loss", "1 of 996 in · 3 of 993 out", "RTP packets"),
        Figure("packets", "995 in · 993 out", "RTP, counted at the bridge"),
        Figure("codec", "PCMU", "as negotiated"),
        Figure("end", "caller-hung-up", "whose doing: success"),
    ]


def test_what_was_not_measured_is_not_a_figure() -> None:
    values = {row.name: row.value for row in figures(story(media=None, times={}, codec=""))}
    assert "round trip" not in values
    assert (values["platform ready"], values["barge-in"], values["codec"]) == ("-", "nobody interrupted", "-")


def test_several_interruptions_show_the_worst() -> None:
    report = CallReport(barge_in_ms=Spread(count=3, p50=4.0, p95=9.0, p99=9.0, max=9.04))
    assert {row.name: row.value for row in figures(story(media=report))}["barge-in"] == "9.0 ms (3 times)"


def test_the_recording_adds_what_only_ears_can_tell() -> None:
    rate_hz = 8000
    tone = np.sin(np.arange(rate_hz) * 0.5) * 0.5  # one second
    silence = np.zeros(rate_hz)
    caller = np.concatenate([tone, silence, silence[:4000], tone, silence])
    agent = np.concatenate([silence, silence[:2000], tone, tone, silence])[: len(caller)]
    told = Story(bridge_record(), caller_record(), WORDS, Tracks(caller, agent, rate_hz))
    heard = {row.name: row.value for row in figures(told)}
    assert (heard["answer"], heard["talk-over"]) == ("250 ms", "750 ms")


def test_spreads_name_all_four_distributions() -> None:
    assert [(name, spread.p50) for name, spread, _ in spreads(story())] == [
        ("added, up", 0.11),
        ("added, down", 8.5),
        ("down, with lead", 900.0),
        ("clock", 0.08),
    ]
