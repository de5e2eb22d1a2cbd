"""Everything the control process and a media worker say to each other.

One Unix SOCK_SEQPACKET socket per worker: one message is one packet, msgpack-encoded. Commands go down (control ->
worker), events come up. No audio ever travels here.

A call's life at a worker:

    OpenCall -> CallOpened | CallFailed          the RTP port is bound
    ConnectFar -> FarReady | FarFailed           the platform's socket is up and the dialect says ready
    ReportCall -> CallReported                   its figures so far, for whoever looks
    StartNear                                    where the caller's RTP goes; again after each re-INVITE
       DigitHeard, FarEvent*, NearQuiet, FarEnded
    CloseCall -> CallClosed                      everything is given back; the report is the last word
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

MAX_MESSAGE_BYTES = 131072


class FarSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker reaches the far end of one call. Made by a platform adapter, opened by its dialect."""

    platform: str
    "The configured platform's name, for logs and reports."
    dialect: str
    "Key of the dialect table: `ultravox`, `vapi`; `tape`: a player and recorder here; `pair`: another call here."
    url: str = ""
    "ws:// or wss:// of the media socket. It is a credential on every platform we know: never log it."
    headers: tuple[tuple[str, str], ...] = ()
    encoding: Literal["s16le", "mulaw"] = "s16le"
    rate_hz: int = 8000
    "The same both ways."
    sends_ahead: bool = False
    "False: the platform paces in real time. True: it bursts, our queue is deep by intent and never drained."
    options: dict[str, Any] = {}
    "Read by the dialect alone."

    def __repr__(self) -> str:  # the URL must not reach a log
        return f"<FarSpec {self.platform} {self.dialect} {self.encoding}/{self.rate_hz}>"


class SrtpKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of one call, agreed on in SDP (RFC 4568). Master key and salt, one after the other."""

    suite: str
    "`AES_CM_128_HMAC_SHA1_80` or `AES_CM_128_HMAC_SHA1_32`."
    ours: bytes
    theirs: bytes
    theirs_mki: bytes = b""

    def __repr__(self) -> str:  # the keys must not reach a log
        return f"<SrtpKeys {self.suite}>"


class NearSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's side as negotiated in SDP."""

    host: str
    port: int
    "Where the SDP says to send. Symmetric RTP may correct it."
    codec: str
    "Name as in rtpmap: `PCMU`, `PCMA`."
    payload_type: int
    dtmf_payload_type: int = -1
    "-1: none negotiated."
    ptime_ms: int = 20
    sends: bool = True
    "False while the caller's SDP says recvonly or inactive: nothing is to be expected from there."
    receives: bool = True
    "False while the caller has us on hold (sendonly, inactive): we keep the stream's clock running but send nothing."
    rtcp_host: str = ""
    rtcp_port: int = 0
    "Where RTCP goes (RFC 3605). Empty and 0: to the audio's host, to the port after its own (RFC 3550, 11)."
    rtcp_mux: bool = False
    "RTCP comes and goes on the audio's own port (RFC 5761)."
    srtp: SrtpKeys | None = None
    "None: plain RTP."


# --- control -> worker ----------------------------------------------------------------------------------------------


class Command(msgspec.Struct, kw_only=True, tag=True, tag_field="is"):
    pass


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    "Local address the RTP sockets are bound to."
    first_port: int = 20000
    last_port: int = 20999
    "The worker's own share of the range, both ends included. RTP takes the even ports (RFC 3550, 11)."
    rest_s: float = 30.0
    "How long a port is left alone after a call: the old peer may still be sending."
    quiet_after_ms: int = 15000
    "No RTP for this long (and not on hold) is told as NearQuiet."
    inband_dtmf: bool = False
    "Listen for digits in the audio of callers with whom no telephone-events were agreed on."
    drain_ms: int = 10000
    "The agent's last words may take at most this long before the call is ended all the same."
    figures_ms: int = 5000
    "How often the worker adds up what its calls have counted, and tells it."


class Setup(Command):
    """First message of all."""

    options: WorkerOptions
    worker: int


class OpenCall(Command):
    call: str
    recording: str = ""
    "Path of the stereo WAV (left caller, right agent). Empty: none."


class ConnectFar(Command):
    call: str
    far: FarSpec
    timeout_ms: int = 5000


class StartNear(Command):
    call: str
    near: NearSpec


class Digit(Command):
    """A digit that came by SIP INFO: the platform is told as if it had come by RFC 4733."""

    call: str
    digit: str


class EndFar(Command):
    """Say goodbye to the platform (the caller hung up). CloseCall does it too if nobody did before."""

    call: str


class CloseCall(Command):
    call: str
    reason: str = ""


class ReportCall(Command):
    """Answered by CallReported, or by nothing when the call is gone."""

    call: str


class Ping(Command):
    number: int


class Stop(Command):
    pass


# --- worker -> control ----------------------------------------------------------------------------------------------


class Event(msgspec.Struct, kw_only=True, tag=True, tag_field="is"):
    pass


class CallOpened(Event):
    call: str
    host: str
    port: int


class CallFailed(Event):
    call: str
    why: str


class FarReady(Event):
    call: str
    took_ms: float


class FarFailed(Event):
    call: str
    cause: Literal["refused", "slow", "lost", "nonsense"]
    "refused: no connection or the upgrade was answered with an error. nonsense: not what the protocol says."
    detail: str
    status: int = 0
    "HTTP status of a refused upgrade."


MomentKind = Literal[
    "transcript",
    "state",
    "flush",
    "tool",
    "digit",
    "trouble",
    "first-audio",
    "speech-started",
    "speech-ended",
    "play",
    "transfer",
]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on the far socket or on the line, for the record and the timeline."""

    kind: MomentKind
    at_s: float
    "time.monotonic() of this machine; comparable between its processes."
    who: str = ""
    text: str = ""
    final: bool = True
    data: dict[str, Any] = {}


class FarEvent(Event):
    call: str
    moment: Moment


FarEndedBy = Literal["platform", "error"]


class FarEnded(Event):
    """The platform has ended the call, and what it had said before has been played out."""

    call: str
    by: FarEndedBy
    reason: str


class DigitHeard(Event):
    call: str
    digit: str
    duration_ms: int


class KeysUnsent(Event):
    """The far end wants these digits pressed, and no telephone-event was agreed on: they must go another way."""

    call: str
    digits: str


class NearQuiet(Event):
    call: str
    silent_ms: int


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of milliseconds, cheap enough to be always on."""

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class NearReport(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's RTP, both ways. Counters are packets unless the name says otherwise."""

    received: int = 0
    expected: int = 0
    "By the sequence numbers (RFC 3550, A.3)."
    lost: int = 0
    late: int = 0
    "Came, and were not heard: nobody waited for them any more."
    duplicate: int = 0
    wrong_source: int = 0
    wrong_payload_type: int = 0
    malformed: int = 0
    unauthenticated: int = 0
    "SRTP that proved not to be the caller's, or came twice."
    ssrc_changes: int = 0
    jitter_ms: float = 0.0
    "Interarrival jitter at the end of the call (RFC 3550, 6.4.1)."
    max_gap_ms: float = 0.0
    sent: int = 0
    send_errors: int = 0
    round_trip_ms: float = 0.0
    "To the caller's RTP stack and back, by RTCP. 0: never told."
    their_loss: float = 0.0
    "Fraction of our packets that the caller's side missed, by its last report."
    their_jitter_ms: float = 0.0
    mos_up: float = 0.0
    "Estimate of what the platform hears (E-model, ITU-T G.107), 1 to 4.5, without buffers that are not ours. 0: none."
    mos_down: float = 0.0
    "Of what the caller hears. 0: the caller's side has reported nothing."
    ticks_late: int = 0
    "Frames that left more than half a ptime after their time."
    ticks_skipped: int = 0
    "Frames whose time had passed altogether; the stream's timestamps ran on."


class FarReport(msgspec.Struct, frozen=True, kw_only=True):
    """The platform's socket, both ways."""

    sent_ms: int = 0
    "Audio sent up, in milliseconds of sound, without what was dropped before it could be."
    filled_ms: int = 0
    "Of it sound of our own making, nearly all of it silence (loss, DTX, hold)."
    concealed_ms: int = 0
    "Of that what stood in for lost packets: the sound before them, fading."
    ahead_dropped_ms: int = 0
    "Caller's audio dropped because it would have run ahead of real time."
    backlog_dropped_ms: int = 0
    "Caller's audio dropped because the socket was too slow."
    received_ms: int = 0
    played_ms: int = 0
    flushed_ms: int = 0
    overflow_ms: int = 0
    "Dropped because the queue towards the caller was full."
    underruns: int = 0
    "Times the queue ran dry inside an utterance."
    marks: int = 0
    "Marks of the platform that were answered."
    trouble: int = 0
    "Messages we could not make sense of."


class CallReport(msgspec.Struct, frozen=True, kw_only=True):
    near: NearReport = NearReport()
    far: FarReport = FarReport()
    up_ms: Spread = Spread()
    "Socket in -> socket out, caller to platform."
    down_ms: Spread = Spread()
    "Arrival from the platform -> RTP out, of audio that was not queued by intent."
    queued_ms: Spread = Spread()
    "Arrival -> RTP out of all audio, the platform's lead included."
    barge_in_ms: Spread = Spread()
    "Flush received -> first silent packet sent."
    tick_late_ms: Spread = Spread()
    turn_ms: Spread = Spread()
    "End of the caller's speech -> first sound of the agent's answer, on the RTP socket (see media.turns)."
    duration_s: float = 0.0
    recording: str = ""
    "Path of the file. Empty: there is none, or it breaks off."
    recording_failed: str = ""
    "Why it breaks off."


class CallClosed(Event):
    call: str
    report: CallReport


class CallReported(Event):
    call: str
    report: CallReport


class Pong(Event):
    number: int
    calls: int
    cpu_s: float
    "CPU time this worker has used since its start."


class Figures(Event):
    """What a worker has counted since its start, over all its calls: those that are over and those that stand."""

    opened: int
    "Calls, since the start."
    near: dict[str, int]
    "Each counter of NearReport, added up; none ever falls."
    far: dict[str, int]
    "The same of FarReport."
    latencies: dict[str, list[int]]
    "By the names of the spreads in CallReport: values per bucket of media.stats, without the empty ones at the end."


AnyCommand = Setup | OpenCall | ConnectFar | StartNear | Digit | EndFar | CloseCall | ReportCall | Ping | Stop
AnyEvent = (
    CallOpened
    | CallFailed
    | FarReady
    | FarFailed
    | FarEvent
    | FarEnded
    | DigitHeard
    | KeysUnsent
    | NearQuiet
    | CallClosed
    | CallReported
    | Pong
    | Figures
)

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)
_events: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


def encode(message: Command | Event) -> bytes:
    return _encoder.encode(message)


def decode_command(data: bytes) -> AnyCommand:
    return _commands.decode(data)


def decode_event(data: bytes) -> AnyEvent:
    return _events.decode(data)
