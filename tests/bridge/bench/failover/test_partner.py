from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from bridge.bench.failover import partner as module
from bridge.bench.failover.authority import LabCA, Pair
from bridge.bench.failover.cases import CASES
from bridge.bench.failover.partner import Account, partner
from bridge.bench.rig import Trouble
from tests.helpers.sippeer import SipPeer

HOST = "127.0.46.2"
ACCOUNT = Account("100", "secret")


async def status(address: tuple[str, int], within_s: float = 0.5) -> int | None:
    """Of an answer to OPTIONS; None: there was none."""
    async with await SipPeer.udp(address) as peer:
        dialog = peer.dialog()
        dialog.target = f"sip:{address[0]}:{address[1]}"
        try:
            async with asyncio.timeout(within_s):
                return (await dialog.transact("OPTIONS")).status
        except TimeoutError:
            return None


async def test_dies_freezes_and_comes_back(tmp_path: Path) -> None:
    async with partner(tmp_path / "p", host=HOST, network="127.0.0.1:9", account=ACCOUNT) as one:
        assert await status(one.address, 5) == 200
        one.freeze()
        assert await status(one.address) is None
        one.thaw()
        assert await status(one.address, 5) == 200
        await one.kill()
        assert not one.is_running
        assert await status(one.address) is None
        await one.kill()
        await one.start()
        assert await status(one.address, 5) == 200
        address = one.address
    assert await status(address) is None


async def test_shows_its_certificate(tmp_path: Path) -> None:
    authority = LabCA(tmp_path)
    certificate = authority.certificate("p.lab")
    async with partner(
        tmp_path / "p", host=HOST, network="127.0.0.1:9", account=ACCOUNT, certificate=certificate
    ) as one:
        _, writer = await asyncio.open_connection(HOST, one.tls_port, ssl=authority.client(), server_hostname="p.lab")
        shown = writer.get_extra_info("peercert")
        assert shown["subjectAltName"] == (("DNS", "p.lab"),)
        writer.close()
        await writer.wait_closed()


async def test_one_that_does_not_start_is_trouble(tmp_path: Path) -> None:
    nothing = Pair(tmp_path / "no.pem", tmp_path / "no.key")
    with pytest.raises(Trouble, match="a Kamailio ended with code"):
        async with partner(tmp_path / "p", host=HOST, network="127.0.0.1:9", account=ACCOUNT, certificate=nothing):
            pass


async def test_without_kamailio_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAM", None)
    with pytest.raises(Trouble, match="apt install kamailio kamailio-tls-modules"):
        async with partner(tmp_path, host=HOST, network="127.0.0.1:9", account=ACCOUNT):
            pass


def test_the_words_of_the_cases_are_those_of_the_settings() -> None:
    text = module.CONFIG.read_text()
    assert set(re.findall(r'lab=>mode\) == "(\w+)"', text)) == {"refuse", "slow"}
    assert {"refusing", "slow", "credentials"} <= set(CASES)
    assert "lab=>password" in text
