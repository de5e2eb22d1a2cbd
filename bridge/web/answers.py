"""What every route answers with: JSON, and errors that are JSON too and name the field they are about."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Refused(HTTPException):
    """What was asked for is not done. `field`: the field of the request that is at fault."""

    def __init__(self, status: int, why: str, *, field: str = "", retry_after_s: int = 0) -> None:
        headers = {"retry-after": str(retry_after_s)} if retry_after_s else None
        super().__init__(status, f"{field}: {why}" if field else why, headers)
        self.field = field


async def error(request: Request, failure: Exception) -> Response:
    """For Starlette's table of exceptions."""
    assert isinstance(failure, HTTPException)
    field = {"field": failure.field} if isinstance(failure, Refused) and failure.field else {}
    return json({"error": failure.detail, **field}, failure.status_code, dict(failure.headers or {}))


def json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")
