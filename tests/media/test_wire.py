from __future__ import annotations

import msgspec
import pytest

from media import wire

FAR = wire.FarSpec(
    platform="main",
    dialect="ultravox",
    url="wss://voice.example/secret-token",
    headers=(("Authorization", "Bearer secret-key"),),
    encoding="mulaw",
    sends_ahead=True,
    options={"client_buffer_ms": 30_000, "tools": ["a"], "nested": {"x": 1}},
)
NEAR = wire.NearSpec(host="192.0.2.1", port=4000, codec="PCMA", payload_type=8, dtmf_payload_type=101, sends=False)

COMMANDS: list[wire.AnyCommand] = [
    wire.Setup(options=wire.WorkerOptions(host="192.0.2.9", first_port=30_000, last_port=30_998), worker=1),
    wire.OpenCall(call="a1", recording="calls/a1.wav"),
    wire.ConnectFar(call="a1", far=FAR, timeout_ms=3000),
    wire.StartNear(call="a1", near=NEAR),
    wire.Digit(call="a1", digit="#"),
    wire.EndFar(call="a1"),
    wire.CloseCall(call="a1", reason="caller hung up"),
    wire.ReportCall(call="a1"),
    wire.Ping(number=7),
    wire.Stop(),
]
REPORT = wire.CallReport(
    near=wire.NearReport(received=10, expected=11, lost=1, jitter_ms=1.25),
    far=wire.FarReport(sent_ms=220, filled_ms=20),
    up_ms=wire.Spread(count=10, p50=0.1, p95=0.2, p99=0.3, max=0.4),
    duration_s=0.22,
    recording="calls/a1.wav",
)
EVENTS: list[wire.AnyEvent] = [
    wire.CallOpened(call="a1", host="127.0.0.1", port=20_000),
    wire.CallFailed(call="a1", why="no RTP port free"),
    wire.FarReady(call="a1", took_ms=12.5),
    wire.KeysUnsent(call="a1", digits="1#"),
    wire.FarFailed(call="a1", cause="refused", detail="HTTP 402 Payment Required", status=402),
    wire.FarEvent(
        call="a1", moment=wire.Moment(kind="transcript", at_s=1.5, who="agent", text="Grüß Gött\n", final=False)
    ),
    wire.FarEnded(call="a1", by="platform", reason="hangup"),
    wire.DigitHeard(call="a1", digit="5", duration_ms=100),
    wire.NearQuiet(call="a1", silent_ms=15_000),
    wire.CallClosed(call="a1", report=REPORT),
    wire.CallReported(call="a1", report=REPORT),
    wire.Pong(number=7, calls=2, cpu_s=0.5),
    wire.Figures(opened=3, near={"lost": 2}, far={"sent_ms": 40}, latencies={"up_ms": [0, 2, 1]}),
]


def name(message: object) -> str:
    return type(message).__name__


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_commands_arrive_as_they_were_sent(command: wire.AnyCommand) -> None:
    assert wire.decode_command(wire.encode(command)) == command


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_events_arrive_as_they_were_sent(event: wire.AnyEvent) -> None:
    assert wire.decode_event(wire.encode(event)) == event


def test_every_message_is_in_the_lists_above() -> None:
    assert {type(command) for command in COMMANDS} == set(wire.AnyCommand.__args__)
    assert {type(event) for event in EVENTS} == set(wire.AnyEvent.__args__)
    assert set(wire.Command.__subclasses__()) == {type(command) for command in COMMANDS}
    assert set(wire.Event.__subclasses__()) == {type(event) for event in EVENTS}


def test_what_is_not_said_has_its_default() -> None:
    encoded = msgspec.msgpack.encode({"is": "OpenCall", "call": "a1"})
    assert wire.decode_command(encoded) == wire.OpenCall(call="a1", recording="")


def test_fields_of_a_newer_version_are_passed_over() -> None:
    encoded = msgspec.msgpack.encode({"is": "Ping", "number": 1, "colour": "red"})
    assert wire.decode_command(encoded) == wire.Ping(number=1)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"is": "Sing"}, "Invalid value 'Sing' - at `$.is`"),
        ({"is": "Pong", "number": 1, "calls": 0, "cpu_s": 0.0}, "Invalid value 'Pong' - at `$.is`"),
        ({"number": 1}, "Object missing required field `is`"),
        ({"is": "Ping"}, "Object missing required field `number`"),
        ({"is": "Ping", "number": "1"}, "Expected `int`, got `str` - at `$.number`"),
        ({"is": "ConnectFar", "call": "a", "far": {"platform": "p", "dialect": "d", "encoding": "mp3"}},
         "Invalid enum value 'mp3' - at `$.far.encoding`"),
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused(raw: object, why: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        wire.decode_command(msgspec.msgpack.encode(raw))
    assert str(caught.value) == why


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa2is", b"not msgpack"])
def test_garbage_is_refused(data: bytes) -> None:
    for decode in (wire.decode_command, wire.decode_event):
        with pytest.raises(msgspec.DecodeError):
            decode(data)


def test_a_credential_never_shows_in_a_repr() -> None:
    shown = repr(COMMANDS)
    assert "<FarSpec main ultravox mulaw/8000>" in shown
    assert "secret" not in shown


def test_the_longest_message_fits_into_one_packet() -> None:
    """A tool call's arguments are the longest thing a platform can make us say."""
    moment = wire.Moment(kind="tool", at_s=1.0, who="agent", text="book", data={"arguments": {"text": "x" * 100_000}})
    assert len(wire.encode(wire.FarEvent(call="a" * 64, moment=moment))) < wire.MAX_MESSAGE_BYTES
