"""What the desk does for a transfer: ways, dialogs of several names, calls that tell each other."""

from __future__ import annotations

import msgspec
import pytest

from bridge.calls.trunks import ListedTrunks, Way
from media import wire
from sip import messages as sip
from tests.bridge.calls.test_desk import Office, until
from tests.fakes import CALL, OFFER, closed, ended, incoming, opened

TO = "sip:+4930222@192.0.2.9"
BESIDE = f"{CALL}.b1-1"


def office() -> Office:
    return Office(trunks=ListedTrunks([Way(uri=TO, trunk="local"), Way(uri=TO, trunk="other")]))


async def test_a_refer_is_followed() -> None:
    desk = office()
    await desk.talk()
    desk.desk.on_sip(sip.Referred(call=CALL, to_uri=TO))
    await until(lambda: "Dial" in desk.sip())
    new = f"{CALL}.t1"
    desk.desk.on_sip(sip.Answered(call=new, sdp=OFFER))
    desk.desk.on_sip(ended(CALL))
    assert len(desk.desk) == 1
    desk.desk.on_sip(ended(new))
    desk.desk.on_worker(CALL, closed())
    assert (len(desk.desk), desk.records.written[0].reason) == (0, "caller-hung-up")


async def test_a_call_beside_is_placed_joined_and_ends_with_the_first() -> None:
    desk = office()
    await desk.talk()
    assert desk.desk.transfer(CALL, TO, "bridge") == ""
    assert desk.desk.transfer(CALL, TO, "bridge") == "it is being transferred already"
    await until(lambda: desk.workers.placed == [CALL, BESIDE])
    desk.desk.on_worker(BESIDE, opened(BESIDE))
    await until(lambda: "Dial" in desk.sip())
    desk.desk.on_sip(sip.Answered(call=BESIDE, sdp=OFFER))
    await until(lambda: desk.media().count("ConnectFar") == 2)
    desk.desk.on_worker(BESIDE, wire.FarReady(call=BESIDE, took_ms=1.0))
    desk.desk.on_sip(ended(CALL))
    desk.desk.on_worker(CALL, closed())
    desk.desk.on_worker(BESIDE, wire.FarEnded(call=BESIDE, by="platform", reason="gone"))
    desk.desk.on_worker(BESIDE, closed(BESIDE))
    assert [record.reason for record in desk.records.written] == ["caller-hung-up", "other-party-hung-up"]
    assert len(desk.desk) == 0


async def test_an_invite_in_place_of_a_call_is_no_call_of_its_own() -> None:
    desk = office()
    await desk.talk()
    desk.desk.on_sip(msgspec.structs.replace(incoming("new"), replaces=CALL))
    assert (len(desk.desk), desk.sip()[-2:]) == (1, ["Answer", "Hangup"])
    desk.desk.on_sip(ended(CALL))
    desk.desk.on_sip(ended("new"))
    desk.desk.on_worker(CALL, closed())
    assert len(desk.records.written) == 1


async def test_in_place_of_a_call_that_is_gone_it_is_a_call_as_any_other() -> None:
    desk = office()
    desk.desk.on_sip(msgspec.structs.replace(incoming("new"), replaces="gone"))
    assert len(desk.desk) == 1
    assert desk.desk.knows("new")


@pytest.mark.parametrize("call", ["gone", CALL])
async def test_what_cannot_be_transferred(call: str) -> None:
    desk = office()
    desk.desk.on_sip(incoming())
    assert desk.desk.transfer(call, TO) == {"gone": "there is no such call"}.get(
        call, "nobody talks in this call just now"
    )
