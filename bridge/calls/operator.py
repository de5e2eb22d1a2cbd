"""The operator: somebody asks for a call, and it is placed once, or refused with the reason.

    CallRequest -> checked, number to E.164 -> key claimed -> ways (Trunks) -> Order -> Desk.dial

A request with an idempotency key is a call once, however often it is sent, and also when the bridge was killed in
between: the key is bound to the call's name in the store before anything is dialled. Where nothing came to be dialled
(no trunk, a limit), the same request may be sent again and is then placed under that name.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Protocol

import msgspec

from bridge.calls.desk import Desk, new_call
from bridge.calls.hunt import Candidate
from bridge.calls.outbound import Order
from bridge.calls.session import CallSettings
from bridge.calls.trunks import Trunks, Wanted, Way
from bridge.calls.words import TransferMode
from bridge.config import Config
from bridge.errors import BridgeError, KeyReused, StoreError
from bridge.records import CallRecord
from bridge.routing import numbers

FULL_RETRY_S = 1
DOWN_RETRY_S = 5
"Retry-After where nobody knows better."
LOOKS, LOOK_AGAIN_S = 3, 0.4
"How often the call of a key that was claimed before is looked for: another bridge may be about to place it."

URI = re.compile(r"sips?:[!#-;=?-~]+", re.IGNORECASE)
"Visible ASCII without quotes and angle brackets: nothing that could end it early in a header."
Text = Annotated[str, msgspec.Meta(max_length=1024)]


class CallRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked for. The body of `POST /v1/calls`."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    "A number, E.164 or as written in `[outbound] country`; a SIP URI only with `trunk`."
    platform: Text = ""
    "Empty: those of `[outbound]`, in order."
    trunk: Text = ""
    "Over this one only."
    region: Text = ""
    "Over trunks of this region only."
    caller: Text = msgspec.field(name="from", default="")
    "The number to be shown. Empty: as the trunk's rules of caller id say."
    context: Annotated[dict[Text, Text], msgspec.Meta(max_length=64)] = {}
    "For the agent."
    ring_timeout_ms: Annotated[int, msgspec.Meta(ge=1000, le=300_000)] | None = None
    max_duration_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None

    @property
    def fingerprint(self) -> str:
        """Two requests are the same when all they ask for is, in whatever order and spacing it was written."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class TransferRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/calls/{call}/transfer`."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    "A number, E.164 or as written in `[outbound] country`; or a SIP URI, over the trunk of the call."
    mode: TransferMode = "blind"


class NotPlaced(BridgeError):
    """The call was not placed. `str()` is a sentence for whoever asked."""

    def __init__(self, status: int, why: str, *, field: str = "", retry_after_s: int = 0) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.status, self.why = status, why
        "Status: HTTP's."
        self.field, self.retry_after_s = field, retry_after_s


class Claim(Protocol):
    @property
    def call(self) -> str: ...
    @property
    def is_new(self) -> bool: ...


class Store(Protocol):
    """What the operator needs of it, see `bridge.store.entries.Keeper`."""

    async def claim(self, key: str, fingerprint: str, call: str) -> Claim:
        """The key is this call's from now on, or was another's before. Raises KeyReused and StoreError."""

    async def find(self, call: str) -> CallRecord | None:
        """Raises StoreError."""


class Operator:
    def __init__(self, desk: Desk, trunks: Trunks, store: Store, config: Config) -> None:
        self.config = config
        "Another one after a reload."
        self._desk, self._trunks, self._store = desk, trunks, store

    async def place(self, request: CallRequest, key: str = "") -> str:
        """Gives the name of the call; a key that has come before with the same request gives that of then.

        Raises NotPlaced.
        """
        wanted, candidates = self._wanted(request), self._candidates(request)
        call = new_call()
        if key:
            call, is_placed = await self._claimed(key, request, call)
            if is_placed:
                return call
        # From here on without a pause: of two requests with one key, the second finds the call of the first.
        if not self._desk.knows(call):
            ways = self._ways(wanted, candidates)
            order = self._order(request, wanted, ways, candidates, key)
            self._desk.dial(order, self._settings(request, call), call)
        return call

    async def _claimed(self, key: str, request: CallRequest, call: str) -> tuple[str, bool]:
        """The call that the key stands for, and whether it has been placed already.

        The key may be claimed and the call not placed: there was no trunk then, or the bridge was killed in between.
        """
        try:
            claim = await self._store.claim(key, request.fingerprint, call)
            if claim.is_new:
                return call, False
            for look in range(LOOKS):
                if look:
                    await asyncio.sleep(LOOK_AGAIN_S)
                if self._desk.knows(claim.call) or await self._store.find(claim.call) is not None:
                    return claim.call, True
            return claim.call, False
        except KeyReused:
            raise NotPlaced(422, "came before, with another request", field="Idempotency-Key") from None
        except StoreError as error:
            # Nobody can tell whether this call has been placed already: better none than two.
            why = f"idempotency keys cannot be kept just now: {error}"
            raise NotPlaced(503, why, retry_after_s=DOWN_RETRY_S) from None

    def transfer(self, call: str, request: TransferRequest) -> None:
        """Hands a call that stands over to somebody else. Raises NotPlaced."""
        to = request.to
        if to.lower().startswith(("sip:", "sips:")):
            _checked_uri(to)
        else:
            to = _number(to, self.config.outbound.country, "to").e164
        if not self._desk.knows(call):
            raise NotPlaced(404, "there is no such call")
        if why_not := self._desk.transfer(call, to, request.mode):
            raise NotPlaced(409, why_not)

    # --- what is asked for

    def _wanted(self, request: CallRequest) -> Wanted:
        outbound = self.config.outbound
        trunks = {trunk.name: trunk for trunk in self.config.trunks}
        if request.trunk and request.trunk not in trunks:
            raise NotPlaced(400, f"no trunk is called {request.trunk!r}", field="trunk")
        if request.region and request.region not in {trunk.region for trunk in trunks.values()}:
            raise NotPlaced(400, f"no trunk is of region {request.region!r}", field="region")
        number, country = request.to, ""
        if request.to.lower().startswith(("sip:", "sips:")):
            if not request.trunk:
                raise NotPlaced(400, "a SIP URI needs a trunk that is to carry it", field="to")
            _checked_uri(request.to)
        else:
            found = _number(request.to, outbound.country, "to")
            number, country = found.e164, found.country
        caller = _number(request.caller, outbound.country, "from").e164 if request.caller else ""
        return Wanted(number=number, country=country, trunk=request.trunk, region=request.region, caller=caller)

    def _candidates(self, request: CallRequest) -> list[Candidate]:
        sections = {section.name: section for section in self.config.platforms}
        if request.platform and request.platform not in sections:
            raise NotPlaced(400, f"no platform is called {request.platform!r}", field="platform")
        names = (request.platform,) if request.platform else self.config.outbound.platforms or tuple(sections)
        return [Candidate(name, sections[name].connect_timeout_ms) for name in names]

    # --- whether it can be had

    def _ways(self, wanted: Wanted, candidates: list[Candidate]) -> tuple[Way, ...]:
        if self._desk.is_closing:
            raise NotPlaced(503, "the bridge is stopping", retry_after_s=DOWN_RETRY_S)
        if len(self._desk) >= self.config.sip.max_calls:
            raise NotPlaced(429, f"{len(self._desk)} calls stand, and no more may", retry_after_s=FULL_RETRY_S)
        if all(self._desk.is_full(candidate.platform) for candidate in candidates):
            names = ", ".join(candidate.platform for candidate in candidates)
            raise NotPlaced(429, f"no agent is free: {names}", retry_after_s=FULL_RETRY_S)
        choices = self._trunks.choices(wanted)
        if choices.ways:
            return choices.ways
        why = "; ".join(choices.left_out)
        if not choices.is_carried:
            raise NotPlaced(400, f"no trunk carries calls there{f' ({why})' if why else ''}", field="to")
        if choices.is_full:
            raise NotPlaced(429, f"all trunks are full: {why}", retry_after_s=choices.retry_after_s or FULL_RETRY_S)
        raise NotPlaced(503, f"no trunk can take it now: {why}", retry_after_s=choices.retry_after_s or DOWN_RETRY_S)

    # --- the order

    def _order(
        self, request: CallRequest, wanted: Wanted, ways: tuple[Way, ...], candidates: list[Candidate], key: str
    ) -> Order:
        if request.ring_timeout_ms:
            ways = tuple(replace(way, ring_timeout_ms=request.ring_timeout_ms) for way in ways)
        connect = self.config.outbound.connect
        if connect == "while-ringing":
            # A telephone may ring for longer than a platform keeps a call for us: then the first is asked anew.
            candidates = [*candidates, candidates[0]]
        return Order(
            to=wanted.number,
            ways=ways,
            candidates=tuple(candidates),
            connect=connect,
            caller=wanted.caller,
            country=wanted.country,
            context=request.context,
            talk_ms=(request.max_duration_s or 0) * 1000,
            request_id=key,
        )

    def _settings(self, request: CallRequest, call: str) -> CallSettings:
        media, outbound = self.config.media, self.config.outbound
        recording = str(Path(media.recording_dir, f"{call}.wav").absolute()) if media.recording_dir else ""
        return CallSettings(
            codecs=media.codecs,
            public_host=media.public_host,
            recording=recording,
            ring_timeout_ms=outbound.ring_timeout_ms,
            setup_timeout_ms=outbound.setup_timeout_ms,
            attempts=outbound.attempts,
        )


def _checked_uri(text: str) -> None:
    if not URI.fullmatch(text) or "@" not in text.partition("?")[0]:
        raise NotPlaced(400, "is no SIP URI", field="to")


def _number(text: str, country: str, field: str) -> numbers.Number:
    try:
        return numbers.parse(text, country)
    except numbers.NumberError as error:
        raise NotPlaced(400, str(error), field=field) from None
