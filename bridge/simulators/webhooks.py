"""Deliveries to the customer's own URLs: retried with growing pauses, given up in the end, never in the call's way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST. The URL may hold a token of the customer's: it is never logged."""

    url: str = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    sign: Callable[[bytes], dict[str, str]] = field(default=lambda _: {}, repr=False)
    "Headers that prove who we are; asked anew for each attempt, because a timestamp is part of them."
    what: str = ""
    "For the log: `call.ended`."
    attempts: int = 10
    on_answer: Callable[[Any], None] | None = field(default=None, repr=False)
    "Is handed the JSON of a 200 answer, None when there was none."


def ultravox_signature(body: bytes, secrets: tuple[str, ...], timestamp: str = "") -> dict[str, str]:
    """HMAC-SHA256 over body and then timestamp, without a separator; one signature for each secret.

    https://docs.ultravox.ai/webhooks/securing-webhooks
    """
    stamp = timestamp or datetime.now(UTC).isoformat()
    signatures = [hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256).hexdigest() for key in secrets]
    return {"X-Ultravox-Webhook-Timestamp": stamp, "X-Ultravox-Webhook-Signature": ",".join(signatures)}


class Courier:
    """Owns the deliveries on their way; `close` drops what is not delivered yet."""

    def __init__(self, *, first_pause_s: float = 30.0) -> None:
        self._first_pause_s = first_pause_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self.delivered: list[str] = []
        "The `what` of each delivery that was answered with 2xx; the last 1000."

    def send(self, delivery: Delivery) -> None:
        if self._client is None:
            # No proxy of the environment may stand between a simulator and its neighbour.
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        task = asyncio.create_task(self._deliver(self._client, delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        body = msgspec.json.encode(delivery.body)
        pause_s = self._first_pause_s
        for attempt in range(delivery.attempts):
            if attempt:
                await asyncio.sleep(pause_s)
                pause_s *= 2
            headers = {"Content-Type": "application/json"} | delivery.sign(body)
            try:
                answer = await client.post(delivery.url, content=body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                log.info("! %s was not delivered: %s", delivery.what, type(error).__name__)
                continue
            if answer.is_success:
                self.delivered = [*self.delivered[-999:], delivery.what]
                self._answered(delivery, answer)
                return
            log.info("! %s was answered with %d", delivery.what, answer.status_code)
        self._answered(delivery, None)

    @staticmethod
    def _answered(delivery: Delivery, answer: httpx.Response | None) -> None:
        if delivery.on_answer is None:
            return
        try:
            delivery.on_answer(msgspec.json.decode(answer.content) if answer is not None else None)
        except msgspec.DecodeError:
            delivery.on_answer(None)
