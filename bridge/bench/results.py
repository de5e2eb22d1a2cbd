"""What the benchmark writes down: the schema of its JSON, and of what its processes tell each other."""

from __future__ import annotations

from typing import Literal

import msgspec

from bridge.bench.figures import Figures

SCHEMA = "puente-bench-latency/1"


# --- what the load caller says on its standard output, one JSON line each ---------------------------------------------


class Measuring(msgspec.Struct, frozen=True, kw_only=True, tag="measuring", tag_field="is"):
    """All calls that were going to stand do stand; the measured time begins now."""

    calls_up: int


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag="measured", tag_field="is"):
    """The measured time is over; the calls still stand."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    sent_s: float
    returned_s: float | None
    "time.monotonic(); None: it never came back."


class Turn(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What comes back has changed between silence and sound."""

    at_s: float
    "time.monotonic() of the first packet of the new kind."
    is_loud: bool


class CallOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One call, seen by the load caller. Packets are those of the whole call."""

    call: int
    status: int
    "Final SIP status; 408 also when nobody answered."
    set_up_ms: float | None
    "INVITE -> 200."
    ended_early: bool
    sent: int
    received: int
    lost: int
    "Missing from the bridge's own sequence numbers."
    duplicate: int
    reordered: int
    restarts: int
    "Jumps of the sequence number that are no loss. A continuous stream has none."
    malformed: int
    marks: tuple[Mark, ...]
    "Those sent in the measured time."
    turns: tuple[Turn, ...] = ()
    "Of the whole call. Echoed marks make many."


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load", tag_field="is"):
    """The load caller's last line."""

    calls: tuple[CallOutcome, ...]
    gap_ms: Figures
    "Between two packets of one call as they come back. 20 ms is what a telephone expects."
    send_late_ms: Figures
    "The caller's own lateness: how long after its due time a packet was sent."
    skipped: int
    "Packets not sent because the caller itself had slept."


FromCaller = Measuring | Measured | Load


# --- what the probe says: one call, every frame of it -----------------------------------------------------------------


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has held back everything for this long (time.monotonic())."""

    began_s: float
    ended_s: float


class Spoken(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One frame of the probe's, in the order of their numbers."""

    spoken_s: float
    "When its last sample was spoken: due time of the packet."
    left_s: float | None
    "When it reached the bridge's doorstep, having come down the line. None: lost on the way."


class Came(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One packet of the bridge's."""

    at_s: float
    "In the probe's kernel."
    timestamp: int
    "RTP, unwrapped: it never goes back to zero."
    number: int
    "Which frame of the probe's is in it, -1 for none."
    begins_ms: float
    "How far into the packet."


class Probed(msgspec.Struct, frozen=True, kw_only=True, tag="probed", tag_field="is"):
    """The probe's last line."""

    status: int
    ended_early: bool
    since_s: float
    "The measured time, both ends."
    until_s: float
    spoken: tuple[Spoken, ...]
    came: tuple[Came, ...]
    stalls: tuple[Stall, ...]
    "Of the probe's own line."
    send_late_ms: Figures


FromProbe = Measuring | Measured | Probed


# --- what the echoing platform has heard ------------------------------------------------------------------------------


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    call: int
    index: int
    at_s: float
    "time.monotonic()"
    said_s: float = 0.0
    "When its echo left, where that is later (bridge.bench.delayed_platform)."


class Clear(msgspec.Struct, frozen=True, kw_only=True):
    """The talking platform has interrupted itself."""

    call: int
    at_s: float
    "time.monotonic(), just before the message was handed to the socket."


# --- the results ------------------------------------------------------------------------------------------------------

Role = Literal["control", "sip", "worker", "other", "platform", "caller", "reflector", "beside"]
BRIDGE: tuple[Role, ...] = ("control", "sip", "worker", "other")


Target = Literal["bridge", "reflector", "baresip"]


class ProcessUse(msgspec.Struct, frozen=True, kw_only=True):
    """One process over the measured time."""

    role: Role
    pid: int
    cpu_percent: float
    "Of one core, user and system."
    rss_kib: int
    "At the end of the measured time."
    rss_growth_kib: int
    "Since before the first call."


class CallFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a step. A bridge may be good to most calls and bad to one: the step's figures alone would hide it."""

    call: int
    round_trip_ms: Figures
    packets_lost: int
    marks_lost: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One number of calls at once, against one target."""

    target: Target
    calls: int
    calls_failed: int
    "Not answered with 2xx, ended before we hung up, or silent: not one mark came back."
    seconds: float = 0.0
    "What was measured over, by the clock."
    round_trip_ms: Figures = Figures()
    up_ms: Figures = Figures()
    down_ms: Figures = Figures()
    set_up_ms: Figures = Figures()
    gap_ms: Figures = Figures()
    send_late_ms: Figures = Figures()
    marks_sent: int = 0
    marks_heard: int = 0
    "By the platform."
    marks_lost: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_duplicate: int = 0
    packets_reordered: int = 0
    restarts: int = 0
    skipped: int = 0
    processes: tuple[ProcessUse, ...] = ()
    steal_percent: float = 0.0
    "Time that the host gave to others, of all cores."
    busy_percent: float = 0.0
    "Of all cores, everybody's work."
    refusals: dict[str, int] = {}
    "Final status of the calls that were not answered, and how many."
    by_call: tuple[CallFigures, ...] = ()
    trouble: str = ""
    "Why this step has no figures."


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    cpu: str
    cores: int
    kernel: str
    python: str


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """When and where something was measured, and who else was there."""

    started_at: str
    machine: Machine
    steal_percent: float
    "Time that the host gave to others, of all cores, over the whole run."
    load_average: float
    "Before the run: other people's work."

    def __str__(self) -> str:
        on = self.machine
        return (
            f"{on.cpu}, {on.cores} cores, Linux {on.kernel}, Python {on.python}, "
            f"steal {self.steal_percent:g} %, load before {self.load_average:.2f}"
        )


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = SCHEMA
    started_at: str
    platform: str
    seconds: float
    workers: int
    "As configured: -1 is one per core."
    machine: Machine
    load_average: float = 0.0
    "Before the run."
    steps: tuple[Step, ...]

    @property
    def failed(self) -> bool:
        return any(step.calls_failed or step.trouble for step in self.steps)
