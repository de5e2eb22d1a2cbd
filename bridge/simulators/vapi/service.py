"""The REST interface of VAPI, and what happens to a call between its creation and its end."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bridge.simulators.account import Account
from bridge.simulators.calls import Knock, Opened, Refusal, SimulatedCall
from bridge.simulators.rest import BadRequest, Json, body_of, failing
from bridge.simulators.vapi.requests import AssistantOverrides, Server, read
from bridge.simulators.vapi.session import Hooks, VapiSession
from bridge.simulators.webhooks import Delivery

CONNECT_WITHIN_S = 25.0
"Undocumented; one report has calls abandoned 20 to 27 s after their creation."
NEVER_CONNECTED = "call.in-progress.error-vapifault-transport-never-connected"

CONCURRENCY_LIMIT = 10

ERRORS = {
    400: ("Bad Request", "Over Concurrency Limit"),
    401: ("Unauthorized", "Invalid Key. Hot tip, you may be using the private key instead of the public key"),
    404: ("Not Found", "The call was not found."),
    429: ("Too Many Requests", "Rate limit exceeded"),
    500: ("Internal Server Error", "Internal server error"),
}

BLOCKED_AGENTS = ("", "python-urllib")
"Fingerprints that the service's front refuses before it looks at the key."

SERVER_MESSAGES = frozenset({"status-update", "tool-calls", "end-of-call-report"})
"Of the documented defaults those that this simulator has occasion to send."

Handler = Callable[[Request], Awaitable[Response]]


class VapiService:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._assistants: dict[str, AssistantOverrides] = {}
        account.calls.on_forget = lambda call_id: self._assistants.pop(call_id, None)
        self._connect_timers: dict[str, asyncio.TimerHandle] = {}
        self._live = 0
        self._hooks = Hooks(self._joined, self._ended, self._call_tool)
        self.routes = [
            Route("/call", self._guarded(self._create), methods=["POST"]),
            Route("/call/{call_id}", self._guarded(self._get), methods=["GET"]),
            # Live call control needs no key: its URL is the credential.
            Route("/{call_id}/control", self._control, methods=["POST"]),
        ]

    def stop(self) -> None:
        for timer in self._connect_timers.values():
            timer.cancel()

    # --- the media socket ---

    def open(self, knock: Knock, now: float) -> Opened:
        match knock.path.strip("/").split("/"):
            case [call_id, "transport"]:
                call = self._account.calls.to_join(call_id)  # a second connection to the same URL is undocumented
            case _:
                call = Refusal(404)
        if isinstance(call, Refusal):
            return call
        if call.failures.rest == "blocked":
            return Refusal(409)
        return call, VapiSession(call, self._assistants[call.id], self._account.part, self._hooks)

    def _joined(self, call: SimulatedCall) -> None:
        if timer := self._connect_timers.pop(call.id, None):
            timer.cancel()
        self._tell(call, "status-update", status="in-progress")

    def _ended(self, call: SimulatedCall, reason: str) -> None:
        if not call.end(reason):
            return
        self._live -= 1
        self._connect_timers.pop(call.id, None)
        self._tell(call, "status-update", status="ended", endedReason=reason)
        self._tell(call, "end-of-call-report", **_report(call))

    def _call_tool(self, call: SimulatedCall, tool_call: dict[str, Any]) -> bool:
        answer = partial(self._on_tool_answer, call.id)
        return self._tell(call, "tool-calls", answer, toolCallList=[tool_call], toolWithToolCallList=[])

    def _on_tool_answer(self, call_id: str, answer: Any) -> None:
        socket = self._account.media.find(call_id) if self._account.media else None
        if socket is not None and isinstance(socket.session, VapiSession):
            socket.act(socket.session.finish_tool(asyncio.get_running_loop().time()))

    # --- REST ---

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            agent = request.headers.get("user-agent", "").lower()
            if agent.split("/")[0] in BLOCKED_AGENTS:
                return PlainTextResponse("error code: 1010", status_code=403)
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not self._account.accepts(key):
                return _error(401)
            try:
                return await handler(request)
            except BadRequest as error:
                body = {"message": [error.reason], "error": "Bad Request", "statusCode": 400}
                return Json(body, status_code=400)

        return guarded

    async def _create(self, request: Request) -> Response:
        body = await body_of(request)
        wanted, assistant = read(body)
        failures = self._account.failures_of_next_call()
        call = self._account.calls.add(
            lambda number: SimulatedCall(str(uuid.uuid4()), wanted.form, number, failures, body)
        )
        if answer := await failing(failures, _error_body(failures.status)):
            self._account.calls.forget(call.id)
            return answer
        self._live += 1
        self._assistants[call.id] = assistant
        self._connect_timers[call.id] = asyncio.get_running_loop().call_later(
            CONNECT_WITHIN_S, self._ended, call, NEVER_CONNECTED
        )
        # `monitor` was seen to be absent here and present in the answer to GET.
        return Json(self._as_json(call), status_code=201)

    async def _get(self, request: Request) -> Response:
        call = self._account.calls.find(request.path_params["call_id"])
        if call is None:
            return _error(404)
        control = {"controlUrl": f"{self._account.rest_url}/{call.id}/control"}
        return Json(self._as_json(call) | {"monitor": control})

    async def _control(self, request: Request) -> Response:
        socket = self._account.media.find(request.path_params["call_id"]) if self._account.media else None
        if socket is None:
            return _error(404)
        try:
            body = await body_of(request)
        except BadRequest:
            return _error(400)
        socket.act(socket.session.on_text(msgspec.json.encode(body).decode(), asyncio.get_running_loop().time()))
        return Response(status_code=204)

    # --- what leaves the house ---

    def _as_json(self, call: SimulatedCall) -> dict[str, Any]:
        request = call.request
        blocked = call.failures.rest == "blocked"
        answer = {
            "id": call.id,
            "orgId": "00000000-0000-4000-8000-000000000000",
            "type": "vapi.websocketCall",
            "status": "ended" if call.ended else "in-progress" if call.joined else "queued",
            "endedReason": call.end_reason or None,
            "createdAt": call.created,
            "updatedAt": call.ended or call.joined or call.created,
            "startedAt": call.joined or None,
            "endedAt": call.ended or None,
            "cost": 0,
            "name": request.get("name"),
            "assistantId": request.get("assistantId"),
            "assistantOverrides": request.get("assistantOverrides", {}),
            "transport": {
                "provider": "vapi.websocket",
                "conversationType": "voice",
                "websocketCallUrl": f"{self._account.media_url}/{call.id}/transport",
            },
            "subscriptionLimits": {
                "concurrencyBlocked": blocked,
                "concurrencyLimit": CONCURRENCY_LIMIT,
                "remainingConcurrentCalls": 0 if blocked else max(0, CONCURRENCY_LIMIT - self._live),
            },
        }
        return {key: value for key, value in answer.items() if value is not None}

    def _tell(
        self, call: SimulatedCall, kind: str, on_answer: Callable[[Any], None] | None = None, **fields: Any
    ) -> bool:
        """One event to the customer's server; False when he has none or does not want it."""
        assistant = self._assistants[call.id]
        wanted = SERVER_MESSAGES if assistant.server_messages is None else frozenset(assistant.server_messages)
        if not assistant.server.url or kind not in wanted:
            return False
        message = {"type": kind, "timestamp": round(time.time() * 1000), "call": self._as_json(call), **fields}
        headers = partial(_server_headers, call.id, assistant.server)
        self._account.courier.send(
            # The default of `backoffPlan` is no retry.
            Delivery(assistant.server.url, {"message": message}, headers, kind, attempts=1, on_answer=on_answer)
        )
        return True


def _server_headers(call_id: str, server: Server, body: bytes) -> dict[str, str]:
    secret = {"X-Vapi-Secret": server.secret} if server.secret else {}
    return {**server.headers, **secret, "x-call-id": call_id}


def _report(call: SimulatedCall) -> dict[str, Any]:
    lines = [f"{'AI' if message.role == 'agent' else 'User'}: {message.text}" for message in call.messages]
    transcript = "\n".join(lines)
    return {
        "endedReason": call.end_reason,
        "startedAt": call.joined or None,
        "endedAt": call.ended,
        "cost": 0,
        "transcript": transcript,
        "summary": "",
        "analysis": {},
        "artifact": {"messages": [], "messagesOpenAIFormatted": [], "transcript": transcript},
    }


def _error_body(status: int) -> dict[str, Any]:
    error, message = ERRORS.get(status, ("Error", "Something went wrong"))
    return {"message": message, "error": error, "statusCode": status}


def _error(status: int) -> Response:
    return Json(_error_body(status), status_code=status)
