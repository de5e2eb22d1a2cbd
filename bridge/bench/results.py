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


# --- what the echoing platform has heard ------------------------------------------------------------------------------


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    call: int
    index: int
    at_s: float
    "time.monotonic()"


# --- the results ------------------------------------------------------------------------------------------------------

Role = Literal["control", "sip", "worker", "other", "platform", "caller", "reflector"]
BRIDGE: tuple[Role, ...] = ("control", "sip", "worker", "other")


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

    target: Literal["bridge", "reflector"]
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


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = SCHEMA
    started_at: str
    platform: str
    seconds: float
    workers: int
    "As configured: -1 is one per core."
    machine: Machine
    steps: tuple[Step, ...]

    @property
    def failed(self) -> bool:
        return any(step.calls_failed or step.trouble for step in self.steps)
