"""What the store is told: entries, each complete in itself, as they wait in memory and lie in the spool.

An entry may be taken twice and in any order without harm: a call that has ended stays ended, an event has an id. So
whatever was on its way when something died is simply taken again.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from bridge.records import CallRecord, TrunkEvent

Kind = Literal["begun", "ended", "event", "seen"]
KINDS: frozenset[str] = frozenset({"begun", "ended", "event", "seen"})


class InstanceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One life of a bridge, from its start to its stop, and that it breathes."""

    bridge: str
    place: str
    "Boot of the machine and namespace of process ids: two with the same can see each other in /proc."
    pid: int
    born: str
    "Start of the process in the kernel's own ticks: a pid alone comes again."
    host: str
    started_at: str
    seen_at: str
    stopped_at: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    kind: Kind
    key: str
    "Call, event or instance; no white space in it."
    document: bytes
    "The CallRecord, TrunkEvent or InstanceSeen as JSON, as it was at that moment."

    def serialize(self) -> bytes:
        """One line, with its checksum: half of it is known to be half."""
        body = b" ".join((self.kind.encode(), self.key.encode(), self.document))
        return b"%08x %s\n" % (zlib.crc32(body), body)

    @classmethod
    def parse(cls, line: bytes) -> Entry | None:
        """None: it is not a whole line of ours."""
        checksum, _, body = line[:-1].partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
            return None
        kind, _, rest = body.partition(b" ")
        key, _, document = rest.partition(b" ")
        name = kind.decode()
        return cls(name, key.decode(), document) if name in KINDS else None  # type: ignore[arg-type]


def begun(record: CallRecord) -> Entry:
    return Entry("begun", record.call, document(record))


def ended(record: CallRecord) -> Entry:
    return Entry("ended", record.call, document(record))


def happened(event: TrunkEvent) -> Entry:
    return Entry("event", secrets.token_hex(12), document(event))


def seen(instance: InstanceSeen) -> Entry:
    return Entry("seen", instance.bridge, document(instance))


def document(value: CallRecord | TrunkEvent | InstanceSeen) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a stranger's bytes that are no text, kept by somebody as lone surrogates
        return msgspec.json.encode(_as_text(msgspec.to_builtins(value)))


def _as_text(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_as_text(key): _as_text(one) for key, one in value.items()}
        case list():
            return [_as_text(one) for one in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Claim:
    """What an idempotency key stands for."""

    call: str
    is_new: bool
    "False: the key came before with the same request, and `call` is what came of it then."


class Keeper(Protocol):
    """What the desk and the web need of a store."""

    @property
    def instance(self) -> str:
        """Which bridge this is, in records: another one after every start."""

    @property
    def is_well(self) -> bool:
        """False: records wait for a database that is away."""

    def begin(self, record: CallRecord) -> asyncio.Future[None]:
        """There is such a call. Done when a crash cannot take that away; never fails. May be told again and again."""

    def end(self, record: CallRecord) -> asyncio.Future[None]:
        """All about a call that is over."""

    def event(self, event: TrunkEvent) -> None: ...

    async def claim(self, key: str, fingerprint: str, call: str) -> Claim:
        """Binds an idempotency key to a call, once. Raises KeyReused, and StoreDown when nobody can tell."""

    async def find(self, call: str) -> CallRecord | None:
        """A call by its id, as last told. Raises StoreDown."""
