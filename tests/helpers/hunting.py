"""A call that looks for its trunk, by hand: two trunks that have room, and a clock."""

from __future__ import annotations

from bridge.calls.trunkhunt import Stage, TrunkHunt
from bridge.calls.trunks import TrunkOutcome, Way
from bridge.calls.words import Command, RingTimeout, SetupTimeout, TakeTrunk, TellTrunks, ToSip
from sip import messages as sip
from sip.options import Target
from tests.fakes import CALL

PRIMARY = Way(
    uri="sip:+525512345678@one.example",
    trunk="one",
    target=Target("192.0.2.1", 5060, "tls", "one.example"),
    from_user="+4930111",
    from_uri='"Ana" <sip:+4930111@one.example>',
    headers=(("P-Asserted-Identity", "<sip:+4930111@one.example>"),),
    because=("prefix +52", "primary"),
)
BACKUP = Way(uri="sip:+525512345678@two.example", trunk="two", because=("backup",))


class Trial:
    """A hunt whose trunks all have room, and the clock in seconds."""

    def __init__(self, *ways: Way, **options: int) -> None:
        self.now = 100.0
        self.hunt = TrunkHunt(CALL, ways or (PRIMARY, BACKUP), **options)
        self.out = self.goes_on(self.hunt.start(self.now))

    def goes_on(self, commands: list[Command]) -> list[Command]:
        """Room is given at once."""
        out = list(commands)
        for command in commands:
            if isinstance(command, TakeTrunk) and self.hunt.is_taken(command.attempt):
                out += self.hunt.dial("v=0", self.now)
        return out

    def rings(self) -> list[Command]:
        self.now += 1
        return self.hunt.on_ringing(self.now)

    def ends(
        self, status: int, by: str = "remote", contacts: tuple[str, ...] = (), retry_after_s: int = 0
    ) -> list[Command]:
        self.now += 1
        event = sip.Ended(
            call=self.hunt.leg,
            status=status,
            reason="Said",
            by=by,  # type: ignore[arg-type]
            contacts=contacts,
            retry_after_s=retry_after_s,
        )
        return self.goes_on(self.hunt.on_ended(event, self.now))

    def after(self, seconds: float, timer: SetupTimeout | RingTimeout) -> list[Command]:
        self.now += seconds
        if isinstance(timer, SetupTimeout):
            return self.goes_on(self.hunt.on_setup_timeout(timer, self.now))
        return self.goes_on(self.hunt.on_ring_timeout(self.now))

    @property
    def story(self) -> list[tuple[str, str]]:
        return [(attempt.trunk, attempt.outcome) for attempt in self.hunt.attempts]

    @property
    def fate(self) -> tuple[str, str, int]:
        assert self.hunt.stage is Stage.FAILED
        assert self.hunt.failure is not None
        return self.hunt.failure.outcome, self.hunt.failure.end.reason, self.hunt.failure.end.sip_status


def dials(commands: list[Command]) -> list[tuple[str, str, str]]:
    """(leg, trunk, URI) of each INVITE."""
    sent = [one.message for one in commands if isinstance(one, ToSip)]
    return [(one.call, one.trunk, one.uri) for one in sent if isinstance(one, sip.Dial)]


def told(commands: list[Command]) -> list[TrunkOutcome]:
    return [one.outcome for one in commands if isinstance(one, TellTrunks)]
