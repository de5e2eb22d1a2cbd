"""The REST interface of Ultravox, and what happens to a call between its creation and its end.

Durations, the key's header and the status codes are the vendor's; the bodies of its errors are undocumented. A join
that comes too late or twice is known to fail; with which status is undocumented.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.simulators.account import Account
from bridge.simulators.audio import Format
from bridge.simulators.calls import Knock, Opened, Refusal, SimulatedCall
from bridge.simulators.rest import BadRequest, Json, body_of, failing
from bridge.simulators.ultravox.requests import (
    AgentCallRequest,
    Callback,
    CallRequest,
    DirectCallRequest,
    read,
    seconds,
)
from bridge.simulators.ultravox.session import UltravoxSession
from bridge.simulators.webhooks import Delivery, ultravox_signature

ERRORS = {
    401: "Invalid API key.",
    402: "The subscription or the free minutes are exhausted.",
    404: "Not found.",
    422: "The call has not been joined or has already ended.",
    429: "Too many calls.",
    503: "No capacity.",
}

ROLES = {"user": "MESSAGE_ROLE_USER", "agent": "MESSAGE_ROLE_AGENT"}

Handler = Callable[[Request], Awaitable[Response]]
CallHandler = Callable[[Request, SimulatedCall], Awaitable[Response]]


class Webhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A URL that is told of all calls, as long as its `events` name what happened."""

    url: str
    events: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    agent_id: str | None = None

    def __repr__(self) -> str:  # URL and secrets are credentials
        return f"<Webhook {','.join(self.events)}>"


class UltravoxService:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._requests: dict[str, CallRequest] = {}
        account.calls.on_forget = lambda call_id: self._requests.pop(call_id, None)
        self._join_timers: dict[str, asyncio.TimerHandle] = {}
        self._webhooks: list[Webhook] = []
        call = "/api/calls/{call_id}"
        self.routes = [
            Route("/api/calls", self._keyed(partial(self._create, DirectCallRequest)), methods=["POST"]),
            Route(
                "/api/agents/{agent_id}/calls", self._keyed(partial(self._create, AgentCallRequest)), methods=["POST"]
            ),
            Route(call, self._keyed(self._of_call(self._get)), methods=["GET"]),
            Route(call, self._keyed(self._of_call(self._delete)), methods=["DELETE"]),
            Route(call + "/messages", self._keyed(self._of_call(self._get_messages)), methods=["GET"]),
            Route(call + "/events", self._keyed(self._of_call(self._get_events)), methods=["GET"]),
            Route(call + "/send_data_message", self._keyed(self._of_call(self._send_message)), methods=["POST"]),
            Route("/api/webhooks", self._keyed(self._add_webhook), methods=["POST"]),
        ]

    def stop(self) -> None:
        for timer in self._join_timers.values():
            timer.cancel()

    # --- the media socket ---

    def open(self, knock: Knock, now: float) -> Opened:
        match knock.path.strip("/").split("/"):
            case ["calls", call_id, "server_web_socket"]:
                call = self._account.calls.to_join(call_id)
            case _:
                call = Refusal(404)
        if isinstance(call, Refusal):
            return call
        request = self._requests[call.id]
        return call, UltravoxSession(call, request, self._account.part, self._joined, self._ended)

    def _joined(self, call: SimulatedCall) -> None:
        if timer := self._join_timers.pop(call.id, None):
            timer.cancel()
        self._tell("call.joined", call)

    def _ended(self, call: SimulatedCall, reason: str) -> None:
        if not call.end(reason):
            return
        self._join_timers.pop(call.id, None)
        self._tell("call.ended", call)
        self._tell("call.billed", call)

    # --- REST ---

    def _keyed(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            # Starlette finds headers whatever their case; clients write X-API-Key and X-Api-Key.
            if not self._account.accepts(request.headers.get("x-api-key", "")):
                return _error(401)
            try:
                return await handler(request)
            except BadRequest as error:
                return Json({"detail": error.reason}, status_code=400)

        return guarded

    def _of_call(self, handler: CallHandler) -> Handler:
        async def found(request: Request) -> Response:
            call = self._account.calls.find(request.path_params["call_id"])
            return _error(404) if call is None else await handler(request, call)

        return found

    async def _create(self, kind: type[CallRequest], request: Request) -> Response:
        body = await body_of(request)
        wanted = read(body, kind)
        failures = self._account.failures_of_next_call()
        rate_hz = wanted.socket.input_sample_rate
        call = self._account.calls.add(
            lambda number: SimulatedCall(str(uuid.uuid4()), Format("s16le", rate_hz), number, failures, body)
        )
        if answer := await failing(failures, _error_body(failures.status)):
            self._account.calls.forget(call.id)
            return answer
        self._requests[call.id] = wanted
        self._join_timers[call.id] = asyncio.get_running_loop().call_later(
            seconds(wanted.join_timeout), self._ended, call, "unjoined"
        )
        self._tell("call.started", call)
        return Json(self._as_json(call) | {"agentId": request.path_params.get("agent_id")}, status_code=201)

    async def _get(self, request: Request, call: SimulatedCall) -> Response:
        return Json(self._as_json(call))

    async def _delete(self, request: Request, call: SimulatedCall) -> Response:
        if not call.ended:
            return Json({"detail": "The call is live."}, status_code=400)
        self._account.calls.forget(call.id)
        return Response(status_code=204)

    async def _get_messages(self, request: Request, call: SimulatedCall) -> Response:
        results = [
            {"role": ROLES[message.role], "text": message.text, "medium": "MESSAGE_MEDIUM_VOICE"}
            | {"callStageMessageIndex": index}
            for index, message in enumerate(call.messages)
        ]
        return _page(results)

    async def _get_events(self, request: Request, call: SimulatedCall) -> Response:
        return _page([{"severity": "warning", "type": "simulated", "text": warning} for warning in call.warnings])

    async def _send_message(self, request: Request, call: SimulatedCall) -> Response:
        body = await body_of(request)
        if body.get("type") not in ("forced_agent_message", "hang_up", "user_text_message"):
            raise BadRequest("type must be forced_agent_message, hang_up or user_text_message")
        socket = self._account.media.find(call.id) if self._account.media else None
        if socket is None or call.ended:
            return _error(422)
        socket.act(socket.session.on_text(msgspec.json.encode(body).decode(), asyncio.get_running_loop().time()))
        return Response(status_code=204)

    async def _add_webhook(self, request: Request) -> Response:
        try:
            webhook = msgspec.convert(await body_of(request), Webhook)
        except msgspec.ValidationError as error:
            raise BadRequest(str(error)) from None
        self._webhooks.append(webhook)
        return Json({"webhookId": str(uuid.uuid4()), "status": "normal", "events": webhook.events}, status_code=201)

    # --- what leaves the house ---

    def _as_json(self, call: SimulatedCall) -> dict[str, Any]:
        request = self._requests[call.id]
        return {
            "callId": call.id,
            "clientVersion": None,
            "created": call.created,
            "joined": call.joined or None,
            "ended": call.ended or None,
            "endReason": call.end_reason or None,
            "joinTimeout": request.join_timeout,
            "maxDuration": request.max_duration,
            "medium": call.request.get("medium"),
            "model": getattr(request, "model", "ultravox-v0.7"),
            "metadata": request.metadata,
            "recordingEnabled": request.recording_enabled,
            "joinUrl": f"{self._account.media_url}/calls/{call.id}/server_web_socket",
            "billedDuration": None,
            "billingStatus": "BILLING_STATUS_FREE_OTHER" if call.ended else "BILLING_STATUS_PENDING",
            "shortSummary": "A simulated call." if call.ended and call.joined else None,
            "summary": None,
            "agent": None,
            "sipDetails": None,
            "errorCount": len(call.warnings),
        }

    def _tell(self, event: str, call: SimulatedCall) -> None:
        targets: list[Webhook | Callback] = [hook for hook in self._webhooks if event in hook.events]
        own: Callback | None = getattr(self._requests[call.id].callbacks, event.removeprefix("call."), None)
        body = {"event": event, "call": self._as_json(call)}
        if own:
            targets.append(own)
        for target in targets:
            sign = partial(ultravox_signature, secrets=target.secrets)
            self._account.courier.send(Delivery(target.url, body, sign, event))


def _error_body(status: int) -> dict[str, str]:
    return {"detail": ERRORS.get(status, "Something went wrong.")}


def _error(status: int) -> Response:
    return Json(_error_body(status), status_code=status)


def _page(results: list[dict[str, Any]]) -> Response:
    return Json({"next": None, "previous": None, "results": results, "total": len(results)})
