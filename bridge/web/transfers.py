"""Transfers asked for over HTTP.

    POST /v1/calls/{call}/transfer   {"to": "+525512345678", "mode": "blind"} -> 202 while it is under way

How it fares stands in the call's moments (`GET /v1/calls/{call}`), of the kind `transfer`.
"""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.calls.operator import NotPlaced, TransferRequest
from bridge.web.answers import Refused, json
from bridge.web.bodies import decoded


class Operator(Protocol):
    def transfer(self, call: str, request: TransferRequest) -> None: ...


def transfer_routes(operator: Operator) -> list[Route]:
    """For `application`, below `/v1`."""

    async def transfer(request: Request) -> Response:
        call, wanted = request.path_params["call"], await decoded(request, TransferRequest)
        try:
            operator.transfer(call, wanted)
        except NotPlaced as not_placed:
            raise Refused(not_placed.status, not_placed.why, field=not_placed.field) from None
        return json({"call": call, "state": "transferring"}, 202)

    return [Route("/calls/{call}/transfer", transfer, methods=["POST"])]
