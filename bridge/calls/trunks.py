"""The seam to those who know the trunks: which ways a call may go, whether there is room, and how it fared there.

    Wanted -> Trunks.choices -> Choices: ways, best first, each with its "because"
    at each attempt: take -> on_outcome -> release, when the dialog is over

`ListedTrunks` is the simplest of them: tests use it, and `puente call sip:...`, where the URI itself is the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.records import Outcome
from sip.options import Target
from sip.sdp import Srtp


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A call that somebody wants placed."""

    number: str
    "E.164, `+525512345678`; or a SIP URI, which only a trunk named by `trunk` can take."
    country: str = ""
    "ISO 3166 code of the number. Empty: not known (a SIP URI, a number of no country)."
    trunk: str = ""
    "This one and no other."
    region: str = ""
    "A trunk of this region."
    caller: str = ""
    "Who is to be shown as calling, E.164. Empty: as the trunk's rules say."


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One address of one trunk, and all that an INVITE over it must say."""

    uri: str
    "The request URI: `sip:+525512345678@sip.partner.example`."
    trunk: str = ""
    "Empty: no trunk at all, the URI alone."
    target: Target | None = None
    "None: wherever the trunk, or the URI, leads."
    region: str = ""
    from_user: str = "puente"
    from_uri: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    "P-Asserted-Identity, Privacy: the trunk's rules of caller id, applied to this call."
    codecs: tuple[str, ...] = ()
    "Offered in this order. Empty: those of the call's settings."
    srtp: Srtp = "off"
    public_host: str = ""
    "Written into our SDP. Empty: that of the call's settings."
    ring_timeout_ms: int = 0
    "How long it may ring over this trunk, unless whoever asked for the call has said so. 0: as the settings say."
    allow_refer: bool = True
    "It may ask us to transfer the call."
    because: tuple[str, ...] = ()
    "Why this one and at this place: `prefix +52`, `primary`, `0.0080 USD/min`."

    @property
    def address(self) -> str:
        """For the record: `udp:192.0.2.7:5060`, or the URI where nothing else is known."""
        if self.target is None:
            return self.uri
        host = f"[{self.target.address}]" if ":" in self.target.address else self.target.address
        return f"{self.target.transport}:{host}:{self.target.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Where a call may go. No ways: nowhere, and `left_out` says why."""

    ways: tuple[Way, ...] = ()
    "Best first. The next is tried when one refuses, is silent or dead."
    left_out: tuple[str, ...] = ()
    "A sentence for each trunk that is not among them: `acme-mx: 30 of 30 calls stand`."
    is_carried: bool = True
    "False: no trunk is for such a number (or of that name or region), now or later."
    is_full: bool = False
    "There are trunks for this call, and all that keeps it out is their limits: later it may go."
    retry_after_s: int = 0
    "When to ask again, where that can be said."


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkOutcome:
    """How one attempt fared: once for each way that was dialled, when it is answered or over."""

    trunk: str
    target: Target | None = None
    outcome: Outcome
    sip_status: int = 0
    "What the partner said. 0: nothing (time-out, dead transport, cancelled by us)."
    counts_against_trunk: bool = False
    "The partner's fault, as far as can be told. A busy callee is none."
    post_dial_delay_ms: float = -1.0
    "INVITE -> first 18x or 200. -1: there was none."
    retry_after_s: int = 0
    "What a refusal said."
    detail: str = ""


class Trunks(Protocol):
    """What the desk needs of those who know the trunks."""

    def choices(self, wanted: Wanted) -> Choices: ...

    def take(self, trunk: str) -> str:
        """Room for one more call on this trunk, now. Empty when there is and it is taken, else why not."""

    def release(self, trunk: str) -> None:
        """The dialog that `take` was for is over."""

    def on_outcome(self, outcome: TrunkOutcome) -> None: ...


class ListedTrunks:
    """In memory: always the same ways, a cap per trunk. For tests, and for what has no configuration."""

    def __init__(self, ways: Sequence[Way] = (), *, caps: Mapping[str, int] | None = None) -> None:
        self.ways, self.caps = tuple(ways), dict(caps or {})
        self.taken: Counter[str] = Counter()
        self.outcomes: list[TrunkOutcome] = []

    def choices(self, wanted: Wanted) -> Choices:
        fit = [way for way in self.ways if wanted.trunk in ("", way.trunk) and wanted.region in ("", way.region)]
        full = [way for way in fit if self._is_full(way.trunk)]
        left_out = tuple(f"{way.trunk}: {self.taken[way.trunk]} calls stand already" for way in full)
        ways = tuple(way for way in fit if way not in full)
        return Choices(
            ways=ways,
            left_out=left_out,
            is_carried=bool(fit),
            is_full=bool(full) and not ways,
            retry_after_s=1 if full else 0,
        )

    def take(self, trunk: str) -> str:
        if self._is_full(trunk):
            return f"{self.taken[trunk]} calls stand already"
        self.taken[trunk] += 1
        return ""

    def release(self, trunk: str) -> None:
        self.taken[trunk] -= 1

    def on_outcome(self, outcome: TrunkOutcome) -> None:
        self.outcomes.append(outcome)

    def _is_full(self, trunk: str) -> bool:
        return 0 < self.caps.get(trunk, 0) <= self.taken[trunk]
