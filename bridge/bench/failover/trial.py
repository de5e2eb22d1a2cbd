"""One case from beginning to end: calls stand, calls arrive and go out, the partner fails, is mended, calls return."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx

from bridge.bench.failover.cases import BACKUP, CASES, PRIMARY, Region
from bridge.bench.failover.house import House, prefix, trunk_name
from bridge.bench.failover.network import Call, Network
from bridge.bench.failover.report import CallSeen, CaseReport, StandingSeen, StateSeen, judged
from bridge.bench.failover.talk import ROUND_TRIP_S, Metronome, Talk
from bridge.bench.rig import Trouble

STAND_S = 10.0
"The calls that are to stand must do so by then."
STRAGGLERS_S = 12.0
"The last new calls may take so long: the set-up time of one trunk, and the ringing at the next."
STEADY_CALLS = 4
"Outbound calls in a row over the primary: they have returned."
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Plan:
    standing: int = 6
    "Calls that stand over the primary: half came in, half went out."
    calls_per_s: float = 4.0
    "New ones: half in, half out. Of those that come in every other one tries the primary first."
    lead_s: float = 3.0
    outage_s: float = 15.0
    watch_s: float = 60.0
    "After the repair, at most: until calls have returned."
    tail_s: float = 2.0
    "After they have."


class Trial:
    def __init__(self, region: Region, house: House, plan: Plan) -> None:
        self.region, self.house, self.plan = region, house, plan
        self.case = CASES[region.name]
        self._network: Network = region.network
        self._numbers = itertools.count(1)
        self._metronome = Metronome(self._network.poll)
        self._stream: list[Call] = []
        self._standing: list[Call] = []
        self._posts: set[asyncio.Task[None]] = set()

    async def run(self) -> CaseReport:
        beat = asyncio.create_task(self._metronome.run())
        try:
            return await self._run()
        finally:
            for task in (beat, *self._posts):
                task.cancel()
            await asyncio.gather(beat, *self._posts, return_exceptions=True)

    async def _run(self) -> CaseReport:
        plan = self.plan
        await self._stand()
        stream = asyncio.create_task(self._new_calls())
        watcher = StateWatch(self.house, self.region.name)
        look = asyncio.create_task(watcher.run())
        try:
            await asyncio.sleep(plan.lead_s)
            for call in self._standing:
                assert call.talk
                call.talk.forget_gaps()
            failed_s = time.monotonic()
            await self.case.strike(self.region)
            repaired_s = failed_s
            if self.case.repair:
                await asyncio.sleep(failed_s + plan.outage_s - time.monotonic())
                repaired_s = time.monotonic()
                await self.case.repair(self.region)
            await self._return(time.monotonic() + plan.watch_s, watcher)
            await asyncio.sleep(plan.tail_s)
            await _ended(stream)
            await self._stragglers()
            until_s = time.monotonic()
            standing = tuple(_standing_seen(call, until_s) for call in self._standing)
            await self._leave()
        finally:
            await _ended(stream)
            await _ended(look)
        return judged(
            CaseReport(
                name=self.region.name,
                help=self.case.help,
                home=self.case.home,
                repaired_s=round(repaired_s - failed_s, 3),
                until_s=round(until_s - failed_s, 3),
                calls=tuple(_call_seen(call, failed_s) for call in self._stream),
                standing=standing,
                states=watcher.seen(failed_s),
            )
        )

    # --- calls

    async def _stand(self) -> None:
        for number in range(self.plan.standing):
            talk = Talk(self.region.number * 64 + number, self._network.host)
            self._metronome.talks.append(talk)
            call = self._call_in((PRIMARY,), talk) if number % 2 else self._call_out(talk)
            self._standing.append(call)
            await asyncio.sleep(0.05)
        until = time.monotonic() + STAND_S
        while silent := [call for call in self._standing if not self._stands(call)]:
            if time.monotonic() > until:
                said = "; ".join(f"{call.direction}: {call.why or 'no audio'}" for call in silent)
                raise Trouble(f"{len(silent)} of {len(self._standing)} calls do not stand over the primary ({said})")
            await asyncio.sleep(LOOK_EVERY_S)

    @staticmethod
    def _stands(call: Call) -> bool:
        return call.via == PRIMARY and call.talk is not None and call.talk.flows(time.monotonic())

    def _call_in(self, routes: Sequence[str], talk: Talk | None = None) -> Call:
        return self._network.place(self._number(), routes, time.monotonic(), talk)

    def _call_out(self, talk: Talk | None = None) -> Call:
        call = self._network.expect(self._number(), time.monotonic(), talk)
        task = asyncio.create_task(self._post(call))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)
        return call

    async def _post(self, call: Call) -> None:
        try:
            answer = await self.house.web.post("/v1/calls", json={"to": call.number, "max_duration_s": 600})
        except httpx.HTTPError as error:
            call.why = f"no answer to POST /v1/calls: {error}"
            return
        if answer.status_code != 201:
            call.why = f"POST /v1/calls: {answer.status_code} {answer.text}"

    def _number(self) -> str:
        return f"{prefix(self.region.number)}{next(self._numbers):07}"

    async def _new_calls(self) -> None:
        """Steadily, until cancelled: out, in over the primary if it can be, out, in over the backup."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        turns: tuple[Callable[[], Call], ...] = (
            self._call_out,
            lambda: self._call_in((PRIMARY if self._is_at_home else self.case.home, BACKUP)),
            self._call_out,
            lambda: self._call_in((BACKUP,)),
        )
        for turn in itertools.cycle(turns):
            self._stream.append(turn())
            due += 1 / self.plan.calls_per_s
            await asyncio.sleep(max(0.0, due - loop.time()))

    @property
    def _is_at_home(self) -> bool:
        """The partner's own machines know at once where it is now."""
        return self.case.home == PRIMARY or self.region.primary.is_running

    async def _stragglers(self) -> None:
        until = time.monotonic() + STRAGGLERS_S
        while any(call.answered_s is None for call in self._stream):
            if time.monotonic() > until:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        await asyncio.sleep(ROUND_TRIP_S)

    async def _return(self, until: float, watcher: StateWatch) -> None:
        """Both ways over the primary again, and its breaker closed; or the time is over."""
        repaired_s = time.monotonic()
        while time.monotonic() < until:
            new = [call for call in self._stream if call.answered_s is not None and call.placed_s >= repaired_s]
            out = [call.via for call in new if call.direction == "outbound"][-STEADY_CALLS:]
            back = any(call.via == self.case.home for call in new if call.direction == "inbound")
            is_up = watcher.state_of(trunk_name(self.region.name, PRIMARY)) == "up"
            if back and is_up and out == [self.case.home] * STEADY_CALLS:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _leave(self) -> None:
        self._network.hang_up(time.monotonic())
        await asyncio.sleep(ROUND_TRIP_S)
        for talk in self._metronome.talks:
            talk.is_sending = False


class StateWatch:
    """How the trunks of a region fare over time, as `GET /v1/trunks` tells it."""

    def __init__(self, house: House, region: str) -> None:
        self._house, self._region = house, region
        self._seen: list[tuple[float, StateSeen]] = []
        self._now: dict[str, tuple[str, str, str]] = {}

    def state_of(self, trunk: str) -> str:
        return self._now.get(trunk, ("", "", ""))[0]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(httpx.HTTPError):
                for one in await self._house.states():
                    words = one.state, one.registration, one.because
                    if one.region == self._region and self._now.get(one.name) != words:
                        self._now[one.name] = words
                        self._note(one.name, one.state, one.registration, one.because)
            await asyncio.sleep(LOOK_EVERY_S)

    def _note(self, trunk: str, state: str, registration: str, because: str) -> None:
        seen = StateSeen(at_s=0.0, trunk=trunk, state=state, registration=registration, because=because)
        self._seen.append((time.monotonic(), seen))

    def seen(self, failed_s: float) -> tuple[StateSeen, ...]:
        return tuple(
            StateSeen(
                at_s=round(at_s - failed_s, 2),
                trunk=one.trunk,
                state=one.state,
                registration=one.registration,
                because=one.because,
            )
            for at_s, one in self._seen
        )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _call_seen(call: Call, failed_s: float) -> CallSeen:
    return CallSeen(
        direction=call.direction,
        placed_s=round(call.placed_s - failed_s, 3),
        answered_s=None if call.answered_s is None else round(call.answered_s - failed_s, 3),
        via=call.via,
        tried=tuple(call.tried),
        why=call.why if call.answered_s is None else "",
    )


def _standing_seen(call: Call, now: float) -> StandingSeen:
    assert call.talk
    call.talk.empty()
    return StandingSeen(
        direction=call.direction,
        survived=call.talk.flows(now) and not call.has_ended_early,
        longest_gap_ms=round(call.talk.longest_gap_ms(now), 1),
    )
