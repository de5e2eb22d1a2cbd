"""An agent that uses a tool nobody here answers: it is noted, the call goes on, and nothing hangs.

VAPI asks the customer's own server, and there is none; Ultravox asks us, and goes on after its own time-out.
"""

from __future__ import annotations

import pytest

from bridge.simulators.audio import Utterance
from bridge.simulators.part import Part
from tests.helpers.ears import melody
from tests.helpers.phone import phone
from tests.helpers.rig import Rig, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ULTRAVOX, VAPI = "1", "2"


@pytest.mark.parametrize("number", [ULTRAVOX, VAPI], ids=["ultravox", "vapi"])
async def test_the_agent_goes_on_without_its_tool(bridge: Rig, number: str) -> None:
    reply = Utterance(melody((1320, 300)), 8000, "never mind")
    for account in bridge.accounts:
        account.part = Part(replies=(reply,), tool_on_turn=1, thinking_ms=0)
    async with phone(bridge.udp) as caller:
        await caller.call(number)
        caller.say(melody((440, 400)))
        await eventually(lambda: caller.ear.notes(1320), "answer without the tool")
        await caller.hang_up()
        record = await bridge.record(caller.sip_call_id)
        assert caller.ear.breaks() == []
    (tool,) = [one for one in record.moments if one.kind == "tool"]
    assert tool.text == "lookup"
    assert record.reason == "caller-hung-up"
