"""Whole calls that are transferred: by their phone (REFER, Replaces), and by us, asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bridge.records import CallRecord
from tests.helpers.ears import melody
from tests.helpers.phone import Phone, phone
from tests.helpers.rig import Rig, eventually, rig
from tests.helpers.sippeer import SipMessage

pytestmark = pytest.mark.asyncio(loop_scope="module")

ULTRAVOX = "100"
"Echoes what it hears."
SETTINGS = """
[[trunks]]
name = "loop"
sources = ["127.0.0.1"]

[[trunks]]
name = "firm"
sources = ["127.0.0.4"]
allow_refer = false

[web]
port = 0
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("transfers")
    async with rig(folder, trunks=SETTINGS, media=f'recording_dir = "{folder}"', workers=2) as built:
        yield built


@asynccontextmanager
async def call_up(house: Rig, host: str = "127.0.0.1", formats: str = "0 101") -> AsyncIterator[Phone]:
    """A telephone whose call is up and talks to the echo."""
    async with phone(house.udp, host=host, formats=formats) as caller:
        await caller.call(ULTRAVOX)
        await hears_itself(caller)
        yield caller


# --- what telephones do


def uri_of(target: Phone) -> str:
    return f"sip:target@{target.peer.address}"


async def rings(target: Phone) -> SipMessage:
    target.dialog, invite = await target.peer.accept("INVITE")
    target.dialog.respond(invite, 180)
    return invite


async def picks_up(target: Phone, invite: SipMessage) -> None:
    target.dialog.respond(invite, 200, sdp=target.ear.offer())
    await target.dialog.request("ACK")
    target.dialog.them = invite["From"]
    target.ear.connect(invite.body)
    target.ear.payload_type = int(target.ear.formats.split()[0])


def refer(caller: Phone, target: Phone) -> None:
    caller.dialog.send("REFER", headers=[("Refer-To", f"<{uri_of(target)}>")])


async def notified(caller: Phone, last: str) -> list[str]:
    """Status lines of NOTIFYs, until the last."""
    lines: list[str] = []
    while not lines or lines[-1] != last:
        notify = await caller.dialog.request("NOTIFY")
        caller.dialog.respond(notify, 200)
        lines.append(notify.body.strip().removeprefix("SIP/2.0 "))
    return lines


def tell(caller: Phone, status: str, state: str) -> None:
    headers = [("Event", "refer"), ("Subscription-State", state)]
    caller.dialog.send("NOTIFY", body=f"SIP/2.0 {status}\r\n", content_type="message/sipfrag", headers=headers)


async def hears_itself(one: Phone, hz: int = 800) -> None:
    await hears(one, one, hz)


async def hears(one: Phone, other: Phone, hz: int) -> None:
    since = len(one.ear.heard)
    other.say(melody((hz, 400)))
    await eventually(lambda: one.ear.notes(hz, since=since), f"{hz} Hz")


# --- what is left of it


def transfers(record: CallRecord) -> list[str]:
    return [str(moment.data["how"]) for moment in record.moments if moment.kind == "transfer"]


async def records(house: Rig, caller: Phone, target: Phone) -> tuple[CallRecord, CallRecord]:
    return await house.record(caller.sip_call_id), await house.record(target.sip_call_id)


async def ask(house: Rig, to: str, mode: str = "blind") -> httpx.Response:
    """Over HTTP, for the oldest call."""
    line = next(line for line in house.said if line.startswith("web "))
    async with httpx.AsyncClient(base_url=line.split()[1], trust_env=False) as web:
        calls = (await web.get("/v1/calls")).json()["calls"]
        return await web.post(f"/v1/calls/{calls[0]['record']['call']}/transfer", json={"to": to, "mode": mode})


class TestAskedByThePeer:
    async def test_the_call_goes_on_with_the_target(self, bridge: Rig) -> None:
        """The agent stays: its call and its RTP port are the same, and what it says now goes to the target."""
        async with call_up(bridge) as caller, phone(bridge.udp, formats="8 101") as target:
            refer(caller, target)
            assert (await caller.dialog.response("REFER")).status == 202
            invite = await rings(target)
            assert await notified(caller, "180 Ringing") == ["100 Trying", "180 Ringing"]
            await hears_itself(caller)
            await picks_up(target, invite)
            await notified(caller, "200 OK")
            await caller.hang_up()
            assert target.ear.target == caller.ear.target
            await hears_itself(target, 1000)
            await target.hang_up()
            record = await bridge.record(caller.sip_call_id)
        assert (record.reason, record.platform, record.codec) == ("caller-hung-up", "ultravox", "PCMA")
        assert transfers(record) == ["asked-by-peer", "moved"]
        assert [attempt.outcome for attempt in record.trunk_attempts] == ["answered"]
        assert len(bridge.ultravox.calls) == 1

    async def test_a_referrer_that_waits_for_our_bye(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            refer(caller, target)
            await picks_up(target, await rings(target))
            await notified(caller, "200 OK")
            await caller.hears_bye()
            await hears_itself(target)
            await target.hang_up()
            await bridge.record(caller.sip_call_id)

    async def test_a_referrer_that_does_not_wait_at_all(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            refer(caller, target)
            invite = await rings(target)
            await caller.hang_up()
            await caller.ear.hush()
            await picks_up(target, invite)
            await hears_itself(target)
            await target.hang_up()
            assert transfers(await bridge.record(caller.sip_call_id)) == ["asked-by-peer", "moved"]

    async def test_a_target_that_is_busy(self, bridge: Rig) -> None:
        """The referrer is told, and goes on talking."""
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            refer(caller, target)
            invite = await rings(target)
            target.dialog.respond(invite, 486, "Busy Here")
            await notified(caller, "486 Busy Here")
            await hears_itself(caller)
            await caller.hang_up()
            record = await bridge.record(caller.sip_call_id)
        assert (record.reason, transfers(record)) == ("caller-hung-up", ["asked-by-peer", "failed"])

    async def test_a_target_that_is_busy_and_a_referrer_that_is_gone(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            refer(caller, target)
            invite = await rings(target)
            await caller.hang_up()
            target.dialog.respond(invite, 486, "Busy Here")
            record = await bridge.record(caller.sip_call_id)
        assert (record.reason, record.detail) == ("transfer-failed", f"{uri_of(target)}: 486 busy")

    async def test_a_trunk_that_may_not(self, bridge: Rig) -> None:
        async with call_up(bridge, host="127.0.0.4") as caller, phone(bridge.udp) as target:
            refer(caller, target)
            assert (await caller.dialog.response("REFER")).status == 603
            await hears_itself(caller)
            await caller.hang_up()
            assert target.peer.inbox == []
            assert transfers(await bridge.record(caller.sip_call_id)) == ["refused"]

    async def test_attended_somebody_else_takes_the_call_over(self, bridge: Rig) -> None:
        """INVITE with Replaces: the new phone has the agent, the old one a BYE."""
        async with call_up(bridge) as caller, phone(bridge.udp, formats="8 101") as target:
            ours, theirs = caller.dialog.them.partition("tag=")[2], caller.dialog.us.partition("tag=")[2]
            header = f"{caller.sip_call_id};to-tag={ours};from-tag={theirs}"
            target.dial("anybody", headers=[("Replaces", header)])
            answer = await target.dialog.talk()
            target.ear.connect(answer.body)
            await caller.hears_bye()
            assert target.ear.target == caller.ear.target
            await hears_itself(target, 1000)
            await target.hang_up()
            record = await bridge.record(caller.sip_call_id)
        assert (record.reason, record.codec, transfers(record)) == ("caller-hung-up", "PCMA", ["replaced"])

    async def test_attended_and_the_target_is_asked_with_their_replaces(self, bridge: Rig) -> None:
        """Refer-To with a dialog that is not ours: the INVITE names it (RFC 5589, 7.3)."""
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            named = "abc%40192.0.2.1%3Bto-tag%3D1%3Bfrom-tag%3D2"
            headers = [("Refer-To", f"<{uri_of(target)}?Replaces={named}>"), ("Referred-By", "<sip:agent@192.0.2.1>")]
            caller.dialog.send("REFER", headers=headers)
            invite = await rings(target)
            assert invite["Replaces"] == "abc@192.0.2.1;to-tag=1;from-tag=2"
            assert invite["Referred-By"] == "<sip:agent@192.0.2.1>"
            await picks_up(target, invite)
            await notified(caller, "200 OK")
            await caller.hang_up()
            await target.hang_up()
            await bridge.record(caller.sip_call_id)


class TestAskedByUs:
    async def test_the_peer_does_it(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            assert (await ask(bridge, uri_of(target))).status_code == 202
            request = await caller.dialog.request("REFER")
            assert request["Refer-To"] == f"<{uri_of(target)}>"
            caller.dialog.respond(request, 202)
            tell(caller, "180 Ringing", "active;expires=60")
            tell(caller, "200 OK", "terminated;reason=noresource")
            await caller.hears_bye()
            record = await bridge.record(caller.sip_call_id)
            assert target.peer.inbox == []
        assert (record.reason, record.blame, record.detail) == ("transferred", "success", uri_of(target))
        assert transfers(record) == ["asked", "done"]

    async def test_the_peer_will_not_and_the_bridge_stays_in_between(self, bridge: Rig) -> None:
        """Both hear each other, each in its own codec; keys pass; who hangs up ends both."""
        async with call_up(bridge) as caller, phone(bridge.udp, formats="8 101") as target:
            assert (await ask(bridge, uri_of(target))).status_code == 202
            caller.dialog.respond(await caller.dialog.request("REFER"), 603)
            invite = await rings(target)
            await hears_itself(caller)
            await picks_up(target, invite)
            await eventually(lambda: not bridge.live_calls(), "end of the agent")
            await hears(caller, target, 1000)
            await hears(target, caller, 600)
            target.ear.press("5")
            await eventually(lambda: any(packet.payload_type == 101 for packet in caller.ear.heard), "key")
            assert caller.ear.breaks() == []
            await caller.hang_up()
            await target.hears_bye()
            first, second = await records(bridge, caller, target)
        assert (first.reason, second.reason) == ("caller-hung-up", "other-party-hung-up")
        assert transfers(first) == ["asked", "joined"]
        assert (first.codec, second.codec, first.worker) == ("PCMU", "PCMA", second.worker)
        assert second.direction == "outbound"
        assert first.media
        assert second.media
        recorded = {path.name for path in bridge.folder.glob("*.wav")}
        assert recorded >= {f"{first.call}.wav", f"{second.call}.wav"}

    async def test_keys_for_a_target_that_knows_no_events_go_by_info(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp, formats="0") as target:
            await ask(bridge, uri_of(target), "bridge")
            await picks_up(target, await rings(target))
            await hears(caller, target, 1000)
            caller.ear.press("5")
            info = await target.dialog.request("INFO")
            target.dialog.respond(info, 200)
            assert (info["Content-Type"], info.body) == ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n")
            await caller.hang_up()
            await target.hears_bye()
            await records(bridge, caller, target)

    async def test_the_target_hangs_up(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            await ask(bridge, uri_of(target), "bridge")
            await picks_up(target, await rings(target))
            await hears(caller, target, 1000)
            await target.hang_up()
            await caller.hears_bye()
            first, second = await records(bridge, caller, target)
        assert (first.reason, second.reason) == ("other-party-hung-up", "callee-hung-up")

    async def test_nobody_answers_there(self, bridge: Rig) -> None:
        """The call goes on with its agent."""
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            await ask(bridge, uri_of(target), "bridge")
            again = await ask(bridge, uri_of(target))
            assert (again.status_code, again.json()["error"]) == (409, "it is being transferred already")
            invite = await rings(target)
            target.dialog.respond(invite, 486, "Busy Here")
            await bridge.record(target.sip_call_id)
            await hears_itself(caller)
            await caller.hang_up()
            first, second = await records(bridge, caller, target)
        assert (first.reason, transfers(first)) == ("caller-hung-up", ["asked", "failed"])
        assert (second.reason, second.outcome) == ("busy", "busy")

    async def test_the_caller_hangs_up_while_it_rings(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            await ask(bridge, uri_of(target), "bridge")
            invite = await rings(target)
            await caller.hang_up()
            target.dialog.respond(await target.dialog.request("CANCEL"), 200)
            target.dialog.respond(invite, 487)
            first, second = await records(bridge, caller, target)
        assert (first.reason, second.reason, second.outcome) == ("caller-hung-up", "cancelled", "cancelled")

    async def test_attended_the_peer_takes_over_the_call_that_we_have_placed(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            await ask(bridge, uri_of(target), "attended")
            invite = await rings(target)
            await picks_up(target, invite)
            request = await caller.dialog.request("REFER")
            tag = target.dialog.us.partition("tag=")[2]
            assert f"Replaces={invite['Call-ID']}%3Bto-tag%3D{tag}%3B" in request["Refer-To"]
            caller.dialog.respond(request, 202)
            await target.hang_up()  # replaced by the caller's own call
            tell(caller, "200 OK", "terminated;reason=noresource")
            await caller.hears_bye()
            first, second = await records(bridge, caller, target)
        assert (first.reason, second.reason) == ("transferred", "callee-hung-up")

    async def test_attended_and_the_peer_will_not(self, bridge: Rig) -> None:
        async with call_up(bridge) as caller, phone(bridge.udp) as target:
            await ask(bridge, uri_of(target), "attended")
            await picks_up(target, await rings(target))
            caller.dialog.respond(await caller.dialog.request("REFER"), 405)
            await hears(caller, target, 1000)
            await hears(target, caller, 600)
            await caller.hang_up()
            await target.hears_bye()
            assert transfers((await records(bridge, caller, target))[0]) == ["asked", "joined"]

    async def test_of_no_call_or_to_nowhere(self, bridge: Rig) -> None:
        line = next(line for line in bridge.said if line.startswith("web "))
        async with httpx.AsyncClient(base_url=line.split()[1], trust_env=False) as web:
            nobody = await web.post("/v1/calls/none/transfer", json={"to": "+4930111"})
            odd = await web.post("/v1/calls/none/transfer", json={"to": "+49", "mode": "half"})
        assert (nobody.status_code, odd.status_code) == (404, 400)
        async with call_up(bridge) as caller:
            assert (await ask(bridge, "+4930123456")).status_code == 202  # no trunk carries calls there
            await hears_itself(caller)
            await caller.hang_up()
            assert transfers(await bridge.record(caller.sip_call_id)) == ["asked", "failed"]
