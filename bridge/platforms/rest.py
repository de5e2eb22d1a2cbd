"""The one way we speak HTTPS to a platform: a budget, no surprises, and every outcome as a PlatformError.

    no connection, TLS, cut off, 5xx, nonsense    PlatformDown
    budget used up, 408                           PlatformSlow
    429                                           PlatformBusy
    any other 4xx                                 PlatformDenied

A caller is listening to ringing meanwhile, so nothing is retried here but a connection that failed before anything was
sent on it; trying elsewhere is the desk's business. Details of errors go to logs and records: they hold the vendor's
words, shortened, without our key and without URLs (a join URL is as good as a key).
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from bridge.errors import PlatformBusy, PlatformDenied, PlatformDown, PlatformError, PlatformSlow
from bridge.platforms.body import clean

MOST_ANSWER_BYTES: Final = 1 << 20
"A call object is a few kB. What is longer is cut, and so becomes nonsense."
MOST_READ_CHARS: Final = 4096
"Of an error's text: cleaning a megabyte of it would hold up every other call."
MOST_DETAIL_CHARS: Final = 200
MOST_RETRY_AFTER_S: Final = 3600
"A platform that says 'tomorrow' is asked again within the hour."
KEEPALIVE_S: Final = 60.0
"TLS to another continent costs 100 ms and more: keep a connection for the next call."

T = TypeVar("T")

_URL = re.compile(r"\w+://\S+")
_SPOKEN = ("message", "detail", "error", "title")
"Where vendors put the sentence that explains a refusal."
_BY_STATUS: Final[dict[int, type[PlatformError]]] = {408: PlatformSlow, 429: PlatformBusy}


class Rest:
    """One account's REST API: keep-alive connections, our key, and a budget per request."""

    def __init__(
        self, platform: str, url: str, *, key: str, auth: Mapping[str, str], budget_ms: int, busy_retry_s: int = 0
    ) -> None:
        """`auth`: the headers that carry `key`. `busy_retry_s`: what a 429 without Retry-After means."""
        if not fits_a_header(key):
            raise PlatformDenied(platform, "the API key holds characters that a header cannot carry")
        if not is_web_address(url):
            raise PlatformDenied(platform, "url: not an http:// or https:// address")
        self._platform, self._key = platform, key
        self._budget_ms, self._busy_retry_s = budget_ms, busy_retry_s
        self._client = httpx.AsyncClient(
            base_url=url,
            # VAPI's edge answers 403 to a missing or a bare library User-Agent, which then looks like a wrong key.
            headers={"User-Agent": f"Puente/{version()}", "Content-Type": "application/json", **(auth if key else {})},
            # One budget for everything, in post(). TCP and TLS get half of it each all the same: cancelled from outside
            # in the middle of a TLS handshake, httpcore forgets to close the socket.
            timeout=httpx.Timeout(None, connect=budget_ms / 2000),
            limits=httpx.Limits(max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_S),
            trust_env=False,  # a proxy or a .netrc of the shell we were started from is no setting of ours
        )

    def __repr__(self) -> str:
        return f"<Rest {self._platform}>"

    async def post(self, path: str, body: Mapping[str, object]) -> bytes:
        """The body of a 2xx answer; everything else is raised."""
        try:
            async with asyncio.timeout(self._budget_ms / 1000):
                status, headers, answer = await self._exchange(path, msgspec.json.encode(body))
        except (TimeoutError, httpx.TimeoutException):
            raise PlatformSlow(self._platform, f"no answer within {self._budget_ms} ms") from None
        except httpx.HTTPError as error:
            raise PlatformDown(self._platform, self._quoted(f"{type(error).__name__}: {error}")) from None
        if 200 <= status < 300:
            return answer
        raise self._refusal(status, headers.get("retry-after", ""), answer)

    def parsed(self, answer: bytes, shape: type[T]) -> T:
        """The answer as a typed object; the error names the field and never its value."""
        try:
            return msgspec.json.decode(answer, type=shape)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise PlatformDown(self._platform, f"nonsense in the answer: {clean(str(error), 120)}") from None

    async def close(self) -> None:
        await self._client.aclose()

    async def _exchange(self, path: str, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        try:
            return await self._once(path, body)
        except httpx.ConnectError:  # nothing was sent yet, so nothing can happen twice
            return await self._once(path, body)

    async def _once(self, path: str, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        answer = bytearray()
        async with self._client.stream("POST", path, content=body) as response:
            async for part in response.aiter_bytes():
                answer += part
                if len(answer) > MOST_ANSWER_BYTES:
                    break
        return response.status_code, response.headers, bytes(answer[:MOST_ANSWER_BYTES])

    def _refusal(self, status: int, retry_after: str, answer: bytes) -> PlatformError:
        error = _BY_STATUS.get(status, PlatformDenied if 400 <= status < 500 else PlatformDown)
        retry_s = retry_after_s(retry_after, datetime.now(UTC)) or (self._busy_retry_s if status == 429 else 0)
        said = self._quoted(spoken(answer))
        return error(self._platform, f"{status} {said}".rstrip(), http_status=status, retry_after_s=retry_s)

    def _quoted(self, text: str) -> str:
        """Redact first, shorten then: half a key is a clue too."""
        line = _URL.sub("<url>", clean(text[:MOST_READ_CHARS], MOST_READ_CHARS))
        return (line.replace(self._key, "***") if self._key else line)[:MOST_DETAIL_CHARS]


def version() -> str:
    try:
        return importlib.metadata.version("puente")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"  # run from a checkout that was never installed


def is_web_address(url: str) -> bool:
    try:
        httpx.URL(url)
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (httpx.InvalidURL, ValueError):  # of urlsplit's: also a port above 65535, which httpx lets pass
        return False


def spoken(answer: bytes) -> str:
    """The readable part of an error answer: a sentence under one of the usual names, else all of it; no web pages."""
    try:
        found = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = answer.decode("utf-8", "replace")
        return "" if text.lstrip().startswith("<") else text
    if isinstance(found, dict):
        found = next((found[name] for name in _SPOKEN if found.get(name)), found)
    if isinstance(found, list) and all(isinstance(part, str) for part in found):
        found = "; ".join(found)
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def retry_after_s(value: str, now: datetime) -> int:
    """Retry-After in seconds: a number or a date (RFC 9110, 10.2.3). 0: there is none, or it makes no sense."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), MOST_RETRY_AFTER_S)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0
    if then.tzinfo is None:  # `-0000`: UTC, and nothing said about local time (RFC 5322, 3.3)
        then = then.replace(tzinfo=UTC)
    return min(max(int((then - now).total_seconds()), 0), MOST_RETRY_AFTER_S)


def is_media_address(url: str) -> bool:
    """Can a worker open a media socket there?"""
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return fit and url.isascii() and url.isprintable() and " " not in url


def fits_a_header(key: str) -> bool:
    return key.isascii() and key.isprintable() and key == key.strip()


def media_address(platform: str, field: str, url: str) -> str:
    """The URL, if it is one."""
    if not is_media_address(url):
        raise PlatformDown(platform, f"nonsense in the answer: `{field}` is not a ws:// or wss:// address")
    return url
