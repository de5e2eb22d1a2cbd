"""What went wrong, as values: how a call ended, and the errors that know their own ending.

    BridgeError
    +-- ConfigError            a setting is wrong; names file, line and key
    +-- PlatformError          a voice platform did not take the call
    |   +-- PlatformBusy       over a limit (429, concurrency): 486 Busy Here
    |   +-- PlatformDown       5xx, refused, lost, nonsense: 503 with Retry-After
    |   +-- PlatformSlow       no answer in time: 503 with Retry-After
    |   +-- PlatformDenied     our account or request (400, 401, 402, 403): 480, the operator must act
    +-- MediaError             no worker or no RTP port: 503 with Retry-After
    +-- StoreError             the store of records cannot be used, and waiting does not help: the operator must act
    |   +-- StoreDown          it cannot be reached just now
    +-- KeyReused              an idempotency key that another request has had

The SIP answers: RFC 3261 21.4.18 (480), 21.4.24 (486), 21.5.4 (503). 503 makes a good trunk try its next route; 480 is
for what no other route of the trunk can mend.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Blame(StrEnum):
    """Whose doing the end of a call was. The same five words in records, metrics and failover."""

    SUCCESS = "success"
    SERVER = "server_error"
    CLIENT = "client_error"
    UPSTREAM = "upstream_error"
    UNKNOWN = "indeterminate"


@dataclass(frozen=True, slots=True)
class End:
    """How a call ended."""

    blame: Blame
    reason: str
    "Short, stable, countable: `caller-hung-up`, `platform-busy`, `no-common-codec`."
    sip_status: int = 0
    "What the caller was or is to be told before the answer; 0 after it."
    detail: str = ""
    retry_after_s: int = 0
    try_next: bool = False
    "May another platform be tried?"


class BridgeError(Exception):
    """Everything that we raise ourselves about the world."""


class ConfigError(BridgeError):
    """A setting is wrong. `str()` reads `configs/dev.toml:12: sip.port: ...`."""

    def __init__(self, file: str, line: int, key: str, problem: str) -> None:
        super().__init__(f"{file}:{line}: {key}: {problem}")
        self.file, self.line, self.key, self.problem = file, line, key, problem


class PlatformError(BridgeError):
    """A platform did not take the call. `detail` is for the log and holds no secret."""

    reason = "platform-error"
    sip_status = 503
    try_next = True

    def __init__(self, platform: str, detail: str, *, http_status: int = 0, retry_after_s: int = 0) -> None:
        super().__init__(f"{platform}: {detail}")
        self.platform, self.detail = platform, detail
        self.http_status, self.retry_after_s = http_status, retry_after_s

    def end(self) -> End:
        return End(
            Blame.UPSTREAM, self.reason, self.sip_status, str(self), self.retry_after_s or self.default_retry_s, True
        )

    default_retry_s = 0


class PlatformBusy(PlatformError):
    reason = "platform-busy"
    sip_status = 486


class PlatformDown(PlatformError):
    reason = "platform-down"
    default_retry_s = 5


class PlatformSlow(PlatformError):
    reason = "platform-slow"
    default_retry_s = 5


class PlatformDenied(PlatformError):
    reason = "platform-denied"
    sip_status = 480


class MediaError(BridgeError):
    """No worker could take the call."""

    def end(self) -> End:
        return End(Blame.SERVER, "no-media", 503, str(self), 5)


class StoreError(BridgeError):
    """The store of records cannot be used. The text names no password."""


class StoreDown(StoreError):
    """Just now: refused, slow, full, restarting. It is tried again."""


class KeyReused(BridgeError):
    """This idempotency key came before, with another request."""
