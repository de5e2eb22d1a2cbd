"""Kamailio between the caller and us: as a trunk that we register with, and as a trunk known by its address.

The callers are baresip phones on 127.0.0.1, an address that belongs to no trunk here: what is heard of them came
through the proxy. Its own log says by which way every request went.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.records import CallRecord
from bridge.simulators.audio import Utterance
from bridge.simulators.failures import Failures
from bridge.simulators.part import Part
from sip import messages as sip
from tests.helpers.audio import gaps
from tests.helpers.baresip import Baresip, baresip, write_wav
from tests.helpers.ears import assert_unstrained, melody, notes, strain
from tests.helpers.kamailio import Kamailio, kamailio
from tests.helpers.placed import place, tracks
from tests.helpers.rig import Rig, eventually, rig
from tests.helpers.sippeer import SipPeer, sdp
from tests.helpers.sipprocess import SipProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUR_NUMBER, OTHER_NUMBER = "100", "110"
PASSWORD_ENV = "PUENTE_E2E_TRUNK_PASSWORD"
PEER_HOST = "127.0.0.3"
EDGE_MS = 40
REFRESHED_AFTER_S = 7
"What the registrar grants; PJSIP comes again five seconds before it is over."

REGISTERING = f"""
[[trunks]]
name = "provider"
kind = "register"
registrar = "{{registrar}}"
domain = "trunk.test"
username = "{OUR_NUMBER}"
password_env = "{PASSWORD_ENV}"
retry_s = 1
"""

PEER = f"""
[[trunks]]
name = "carrier"
kind = "peer"
sources = ["{PEER_HOST}"]
"""


@dataclass(frozen=True)
class Lab:
    """One bridge behind two trunks."""

    house: Rig
    registrar: Kamailio
    proxy: Kamailio

    def way(self, trunk: str) -> Kamailio:
        return self.registrar if trunk == "provider" else self.proxy

    @property
    def bridge_address(self) -> str:
        return "{}:{}".format(*self.house.udp)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    password = secrets.token_hex(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_ENV, password)
        async with (
            kamailio(folder / "registrar", password=password, expires_s=REFRESHED_AFTER_S) as registrar,
            kamailio(folder / "proxy", host=PEER_HOST) as proxy,
            rig(folder, trunks=REGISTERING.format(registrar=registrar.uri) + PEER) as house,
        ):
            await told(house, "= trunk provider is registered")
            yield Lab(house, registrar, proxy)
        assert password not in house.log_path.read_text()


@pytest_asyncio.fixture(loop_scope="module")
async def lab(built: Lab) -> AsyncIterator[Lab]:
    built.house.well()
    yield built
    await built.house.settled()


async def told(house: Rig, words: str, times: int = 1) -> str:
    """The bridge's log line, waited for."""
    return (await eventually(lambda: [line for line in house.log() if words in line][times - 1 :], words))[0]


def account_of(lab: Lab, trunk: str) -> str:
    """What makes a phone call over this trunk: the carrier is its outbound proxy, the provider knows our number."""
    return f';outbound="{lab.proxy.uri};lr"' if trunk == "carrier" else ""


async def dial(phone: Baresip, lab: Lab, trunk: str) -> str:
    """Calls the bridge over this trunk; the Call-ID as soon as it rings."""
    host = lab.bridge_address if trunk == "carrier" else lab.registrar.address
    await phone.dial(f"sip:{OUR_NUMBER}@{host}")
    return (await phone.event("CALL_RINGING"))["id"]


def address_of(phone: Baresip) -> str:
    return "{}:{}".format(*phone.address)


def came_over(record: CallRecord, lab: Lab, trunk: str) -> bool:
    return (record.trunk, record.source) == (trunk, lab.way(trunk).address)


# --- the registration


async def test_registers_with_digest_and_comes_again(lab: Lab) -> None:
    """Challenge, answer, and a refresh before the registrar forgets us."""
    ours = await eventually(
        lambda: [one for one in lab.registrar.heard("REGISTER") if one.source == lab.bridge_address][2:], "refresh"
    )
    first, second = lab.registrar.heard("REGISTER", lab.bridge_address)[:2]
    assert second.cseq == first.cseq + 1
    assert ours[0].cseq > second.cseq
    assert {one.transport for one in (first, second, *ours)} == {"udp"}
    await told(lab.house, "= trunk provider is registered: 200 OK")  # once: that it goes on is no news
    assert lab.house.log(level="warning") == []


async def test_wrong_password_is_told_and_nobody_gets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused is not unreachable: the operator must act, and the next try is not at once."""
    right, wrong = secrets.token_hex(8), secrets.token_hex(8)
    monkeypatch.setenv(PASSWORD_ENV, wrong)
    async with (
        kamailio(tmp_path / "registrar", password=right) as registrar,
        rig(tmp_path, trunks=REGISTERING.format(registrar=registrar.uri)) as house,
        baresip(tmp_path / "phone") as phone,
    ):
        house.expected_errors = ["PJSIP_EFAILEDCREDENTIAL"]
        assert "401" in await told(house, "! trunk provider is refused")
        await phone.dial(f"sip:{OUR_NUMBER}@{registrar.address}")
        assert "404" in await phone.closed()
        assert len(registrar.heard("REGISTER")) == 2
    assert house.records() == []
    written = house.log_path.read_text() + "".join(house.said)
    assert right not in written
    assert wrong not in written
    assert not any("is registered" in line or "unreachable" in line for line in house.log())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_registrar_comes_back_and_we_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """Dead at our start: unreachable, tried again until it is there. At our end: un-registered, so that it does not
    send callers where nobody is."""
    password = secrets.token_hex(8)
    monkeypatch.setenv(PASSWORD_ENV, password)
    async with kamailio(tmp_path / "registrar", password=password, runs=False) as registrar:
        uri = f"{registrar.uri};transport={transport}"
        async with (
            rig(tmp_path, trunks=REGISTERING.format(registrar=uri)) as house,
            baresip(tmp_path / "phone", says=melody((1000, 3000))) as phone,
        ):
            await told(house, "! trunk provider is unreachable")
            await registrar.start()
            await told(house, "= trunk provider is registered")
            await phone.dial(f"sip:{OUR_NUMBER}@{registrar.address}")
            call_id = await phone.established()
            await eventually(lambda: [note for note in notes(phone.heard(), (1000,)) if note.hz], "own tone")
            await phone.hang_up()
            assert (await house.record(call_id)).trunk == "provider"
            assert {one.transport for one in registrar.heard("REGISTER")} == {transport}
        assert [one.expires for one in registrar.heard("REGISTER")][-1] == "0"
        async with baresip(tmp_path / "late") as late:
            await late.dial(f"sip:{OUR_NUMBER}@{registrar.address}")
            assert "404" in await late.closed()
    assert not any("is refused" in line for line in house.log())
    assert password not in house.log_path.read_text()


# --- calls


@pytest.mark.parametrize("trunk", ["provider", "carrier"])
async def test_caller_talks_and_hangs_up_through_the_proxy(lab: Lab, tmp_path: Path, trunk: str) -> None:
    tones = [(600, 300), (1000, 300), (1400, 300)]
    async with baresip(tmp_path, says=melody(*tones), more=account_of(lab, trunk)) as phone:
        call_id = await dial(phone, lab, trunk)
        await eventually(lambda: len(notes(phone.heard(), (600, 1000, 1400))) >= 3, "last tone")
        await asyncio.sleep(0.4)
        await phone.hang_up()
        record = await lab.house.record(call_id)
        assert record.media
        assert sum(gap.lasts_ms for gap in gaps(phone.heard(), longer_than_ms=5)) <= 20 * (
            1 + record.media.far.underruns
        )
        assert_unstrained(strain(notes(phone.heard(), (600, 1000, 1400)), tones, EDGE_MS), record.media, 20)
        assert [len(lab.way(trunk).heard(method, address_of(phone))) for method in ("INVITE", "ACK", "BYE")] == [
            1,
            1,
            1,
        ]
    assert came_over(record, lab, trunk), record
    assert (record.reason, record.blame, record.caller, record.dialled) == (
        "caller-hung-up", "success", "bob", OUR_NUMBER,
    )  # fmt: skip
    assert record.media
    assert (record.media.near.lost, record.media.near.wrong_source) == (0, 0)


@pytest.mark.parametrize("trunk", ["provider", "carrier"])
async def test_our_bye_goes_back_through_the_proxy(lab: Lab, tmp_path: Path, trunk: str) -> None:
    """RFC 3261, 12.2.1.1: the route set from Record-Route, though the phone's Contact would be within reach."""
    words = Utterance(melody((880, 300)), 8000, "goodbye")
    lab.house.ultravox.part = Part(greeting=words, listens=False, after="hang-up")
    byes = len(lab.way(trunk).heard("BYE", lab.bridge_address))
    async with baresip(tmp_path, says=melody((440, 100)), more=account_of(lab, trunk)) as phone:
        call_id = await dial(phone, lab, trunk)
        await phone.closed()
        record = await lab.house.record(call_id)
        assert [note.hz for note in notes(phone.heard(), (440, 880)) if note.hz] == [880]
        assert len(lab.way(trunk).heard("BYE", lab.bridge_address)) == byes + 1
    assert came_over(record, lab, trunk), record
    assert (record.reason, record.blame, record.sip_status) == ("platform-hung-up", "success", 0)


@pytest.mark.parametrize("trunk", ["provider", "carrier"])
async def test_cancel_comes_through_the_proxy(lab: Lab, tmp_path: Path, trunk: str) -> None:
    """The platform says nothing, the caller has had enough of ringing."""
    lab.house.ultravox.failures = Failures(rest="never")
    async with baresip(tmp_path, says=melody((440, 100)), more=account_of(lab, trunk)) as phone:
        call_id = await dial(phone, lab, trunk)
        await phone.hang_up()
        record = await lab.house.record(call_id)
        assert len(lab.way(trunk).heard("CANCEL", address_of(phone))) == 1
        assert phone.count("CALL_ESTABLISHED") == 0
    assert came_over(record, lab, trunk), record
    assert (record.reason, record.sip_status) == ("caller-cancelled", 487)


async def test_stranger_gets_no_answer_while_the_trunks_work(lab: Lab, tmp_path: Path) -> None:
    """An INVITE straight to us, from the phones' own address: dropped and told, and nobody's call suffers."""
    async with (
        await SipPeer.udp(lab.house.udp) as stranger,
        baresip(tmp_path, says=melody((1000, 3000))) as phone,
    ):
        stranger.invite(sdp=sdp(port=40000), user=OUR_NUMBER)
        call_id = await dial(phone, lab, "provider")
        await eventually(lambda: [note for note in notes(phone.heard(), (1000,)) if note.hz], "own tone")
        await phone.hang_up()
        assert came_over(await lab.house.record(call_id), lab, "provider")
        line = await told(lab.house, f"from {stranger.address}:")
        assert "INVITE" in line
        assert stranger.inbox == []


# --- calls of ours


async def test_our_caller_and_our_bridge_meet_through_the_proxy(lab: Lab, tmp_path: Path) -> None:
    """Both ends are ours: `puente call`, too, keeps to the route set that the 200 brought, with ACK and BYE."""
    records_before = len(lab.house.records())
    write_wav(tmp_path / "tape.wav", melody((600, 300), (1000, 300)))
    options = ("--play", str(tmp_path / "tape.wav"), "--seconds", "1.2", "--record", str(tmp_path / "both.wav"))
    call = await place(tmp_path, f"sip:{OUR_NUMBER}@{lab.registrar.address}", *options)
    assert call.status == 0, call.said
    callee, _ = tracks(tmp_path / "both.wav")
    assert [note.hz for note in notes(callee, (600, 1000)) if note.hz] == [600, 1000]
    [record] = await eventually(lambda: lab.house.records()[records_before:], "record")
    assert came_over(record, lab, "provider"), record
    assert (call.record["reason"], record.reason) == ("time-up", "caller-hung-up")
    invite = lab.registrar.heard("INVITE")[-1]
    assert [len(lab.registrar.heard(method, invite.source)) for method in ("INVITE", "ACK", "BYE")] == [1, 1, 1]


async def test_our_call_authenticates_at_the_proxy(tmp_path: Path) -> None:
    """407 and the same INVITE again with credentials (RFC 3261, 22.3): 200, ACK and BYE by way of the trunk."""
    password = secrets.token_hex(8)
    async with (
        baresip(tmp_path / "phone", user=OTHER_NUMBER, says=melody((440, 100))) as phone,
        kamailio(tmp_path / "registrar", password=password, pstn=address_of(phone)) as registrar,
    ):
        trunk = sip.TrunkAccount(
            name="provider",
            kind="register",
            registrar=registrar.uri,
            domain=registrar.address,
            username=OUR_NUMBER,
            password=password,
        )
        async with SipProcess(trunk) as process:
            assert (await process.expect(sip.Registration)).state == "registered"
            process.send(sip.Dial(call="c1", uri=OTHER_NUMBER, sdp=sdp(port=40000), trunk="provider"))
            assert "m=audio" in (await dialled(process)).sdp
            await process.expect(sip.Confirmed)
            await phone.established()
            process.send(sip.Hangup(call="c1"))
            assert (await process.expect(sip.Ended)).by == "local"
            await phone.closed()
            us = "{}:{}".format(*process.udp)
            assert [one.user for one in registrar.heard("INVITE", us)] == [OTHER_NUMBER] * 2
            assert len(registrar.heard("BYE", us)) == 1
            assert password not in str(process.log)


async def dialled(process: SipProcess) -> sip.Answered:
    """The answer; ringing before it is no matter."""
    while isinstance(event := await process.event(), sip.Dialled | sip.Ringing):
        pass
    assert isinstance(event, sip.Answered), event
    return event
