"""Who opens the media socket of this agent, and whether it lets them in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from urllib.parse import parse_qs

from starlette.routing import Route

from bridge.simulators.account import Account
from bridge.simulators.audio import Format
from bridge.simulators.calls import Knock, Opened, Refusal, SimulatedCall
from bridge.simulators.twilio.session import TwilioSession

FORBIDDEN = 403
"What a socket that is not accepted is answered with by the frameworks in which agents are written."


class TwilioService:
    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes: list[Route] = []

    def stop(self) -> None:
        """Nothing runs here."""

    def open(self, knock: Knock, now: float) -> Opened:
        account = self._account
        if not self._lets_in(knock):
            return Refusal(FORBIDDEN)
        failures = account.failures_of_next_call()
        call = account.calls.add(
            lambda number: SimulatedCall(str(uuid.uuid4()), Format("mulaw", 8000), number, failures)
        )
        if failures.socket == "refuse" or failures.rest == "status":
            call.end("refused")
            return Refusal(failures.upgrade_status if failures.socket == "refuse" else failures.status)
        return call, TwilioSession(call, account.part)

    def _lets_in(self, knock: Knock) -> bool:
        """With a key: as a bearer token, as a parameter of the URL, or as the signature that Twilio sends."""
        key = self._account.api_key
        if not key:
            return True
        shown = [
            knock.headers.get("authorization", "").removeprefix("Bearer "),
            *parse_qs(knock.query).get("token", ()),
        ]
        signed = knock.headers.get("x-twilio-signature", "")
        return key in shown or (bool(signed) and hmac.compare_digest(signed, self._signature(knock)))

    def _signature(self, knock: Knock) -> str:
        """Over the URL as it was dialled (https://www.twilio.com/docs/usage/security)."""
        url = f"{self._account.media_url}{knock.path}"
        made = hmac.new(self._account.api_key.encode(), url.encode(), hashlib.sha1)
        return base64.b64encode(made.digest()).decode()
