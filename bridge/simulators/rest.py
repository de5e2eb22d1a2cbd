"""What both REST interfaces share: reading a body, failing on demand, answering JSON."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bridge.simulators.failures import Failures

MAX_BODY_BYTES = 1024 * 1024


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


@dataclass(frozen=True)
class BadRequest(Exception):
    """The request breaks the vendor's rules; `reason` is for the vendor's own error shape."""

    reason: str


async def body_of(request: Request) -> dict[str, Any]:
    data = await request.body()
    if len(data) > MAX_BODY_BYTES:
        raise BadRequest("the body is too large")
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is no JSON object: {error}") from None


def without_nulls(value: Any) -> Any:
    """null means unset, as in the JSON form of protocol buffers; real clients send it."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


async def failing(failures: Failures, error_body: Any) -> Response | None:
    """The answer that the script wants in place of the right one; None when all is well."""
    if failures.rest == "status":
        headers = {"Retry-After": str(failures.retry_after_s)} if failures.retry_after_s else {}
        return Json(error_body, status_code=failures.status, headers=headers)
    if failures.rest == "nonsense":
        return PlainTextResponse("<html>It works!</html>", status_code=201)
    if failures.rest == "never":
        await asyncio.Event().wait()
    return None
