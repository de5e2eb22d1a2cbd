from __future__ import annotations

import httpx
import pytest

from bridge.calls.operator import NotPlaced, TransferRequest
from bridge.web.api import application
from bridge.web.transfers import transfer_routes
from tests.bridge.web.test_api import FakeHouse


class FakeOperator:
    def __init__(self, refusal: NotPlaced | None = None) -> None:
        self.refusal = refusal
        self.asked: list[tuple[str, TransferRequest]] = []

    def transfer(self, call: str, request: TransferRequest) -> None:
        self.asked.append((call, request))
        if self.refusal:
            raise self.refusal


async def posted(operator: FakeOperator, body: object) -> httpx.Response:
    app = application(FakeHouse(), lambda: b"", "", transfer_routes(operator))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as web:
        return await web.post("/v1/calls/c1/transfer", json=body)


async def test_under_way() -> None:
    operator = FakeOperator()
    answer = await posted(operator, {"to": "+4930222", "mode": "attended"})
    assert (answer.status_code, answer.json()) == (202, {"call": "c1", "state": "transferring"})
    await posted(operator, {"to": "+4930222"})
    assert operator.asked == [
        ("c1", TransferRequest(to="+4930222", mode="attended")),
        ("c1", TransferRequest(to="+4930222", mode="blind")),
    ]


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_refused(status: int) -> None:
    answer = await posted(FakeOperator(NotPlaced(status, "no", field="to")), {"to": "+4930222"})
    assert (answer.status_code, answer.json()) == (status, {"error": "to: no", "field": "to"})


@pytest.mark.parametrize("body", [{}, {"to": ""}, {"to": "+4930222", "mode": "half"}, {"to": "+4930222", "more": 1}])
async def test_what_makes_no_sense(body: dict[str, object]) -> None:
    operator = FakeOperator()
    assert (await posted(operator, body)).status_code == 400
    assert operator.asked == []
