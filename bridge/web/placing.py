"""Calls asked for and ended over HTTP: what the operator is told, and what he says as status and JSON.

    POST   /v1/calls          {"to": "+525512345678", ...}  -> 201 {"call": ...}
    DELETE /v1/calls/{call}   -> 202 while it ends, 200 when it had ended before; also as POST .../hangup

With an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) a request that is sent again is answered as the
first was and places no second call; the key with another request is refused with 422.
"""

from __future__ import annotations

import re
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.calls.operator import CallRequest, NotPlaced
from bridge.errors import StoreError
from bridge.web.answers import Refused, json
from bridge.web.bodies import decoded
from bridge.web.house import Finder

KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255})')
"A string as in RFC 8941, 3.3.3, without escapes; or bare, as most clients send it."


class Operator(Protocol):
    async def place(self, request: CallRequest, key: str = "") -> str: ...


class Desk(Protocol):
    def hang_up(self, call: str) -> bool: ...


def call_routes(operator: Operator, desk: Desk, store: Finder) -> list[Route]:
    """For `application`, below `/v1`."""

    async def place(request: Request) -> Response:
        key = _key(request)
        wanted = await decoded(request, CallRequest)
        try:
            call = await operator.place(wanted, key)
        except NotPlaced as not_placed:
            raise Refused(
                not_placed.status, not_placed.why, field=not_placed.field, retry_after_s=not_placed.retry_after_s
            ) from None
        return json({"call": call}, 201, {"location": f"/v1/calls/{call}"})

    async def hang_up(request: Request) -> Response:
        call = request.path_params["call"]
        if desk.hang_up(call):
            return json({"call": call, "state": "closing"}, 202)
        try:
            if await store.find(call) is not None:
                return json({"call": call, "state": "ended"})
        except StoreError as error:
            raise Refused(503, str(error), retry_after_s=5) from None
        raise Refused(404, "there is no such call")

    return [
        Route("/calls", place, methods=["POST"]),
        Route("/calls/{call}", hang_up, methods=["DELETE"]),
        Route("/calls/{call}/hangup", hang_up, methods=["POST"]),
    ]


def _key(request: Request) -> str:
    given = request.headers.get("idempotency-key")
    if given is None:
        return ""
    found = KEY.fullmatch(given.strip())
    if found is None:
        raise Refused(400, "must be 1 to 255 printable ASCII characters", field="Idempotency-Key")
    return found[1] or found[2]
