"""RFC 4475: what a server must be able to read, and what it must refuse, against the real sip process."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path

from sip import messages as m
from tests.helpers.sippeer import SipPeer, parse_sip, sdp
from tests.helpers.sipprocess import LOOPBACK, SipProcess

MESSAGES = {path.stem: path.read_bytes() for path in (Path(__file__).parents[2] / "data" / "torture").glob("*.dat")}
PATIENCE_S = 5.0
SIP_PORT = 5060
"Where a response goes whose request names no port in its Via (RFC 3261, 18.2.2). On an address that is ours alone."

TAKEN, NOTHING = 100, 0
ANSWERS = {
    # 3.1.1: valid
    "wsinv": 481,  # it has a To tag, of no dialog of ours
    "intmeth": 501,
    "esc01": TAKEN,
    "escnull": 405,  # we are no registrar
    "esc02": 501,
    "lwsdisp": 200,
    "longreq": TAKEN,
    "dblreq": 405,
    "semiuri": 200,
    "transports": 200,
    "mpart01": 405,
    "unreason": NOTHING,
    "noreason": NOTHING,
    # 3.1.2: invalid
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": NOTHING,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": TAKEN,  # an element may be lenient; so with the next
    "trws": 200,
    "escruri": 400,
    "baddate": TAKEN,  # nobody here looks at the date
    "regbadct": 400,
    "badaspec": 200,  # lenient; so with the next
    "baddn": 200,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": NOTHING,
    # 3.2: transaction layer
    "badbranch": 200,
    # 3.3: application layer
    "insuf": 400,
    "unkscm": 416,
    "novelsc": 416,
    "unksm2": 405,
    "bext01": 420,
    "invut": 415,
    "regaut01": 400,
    "multi01": 400,
    "mcl01": 400,
    "bcast": NOTHING,
    "zeromf": 200,  # for a server that is no proxy it has arrived
    "cparam01": 405,
    "cparam02": 405,
    "regescrt": 405,
    "sdp01": 406,
    # 3.4: from the time of RFC 2543
    "inv2543": 400,  # without a Contact nobody could be called back
}
OVER_TCP = ANSWERS | {"clerr": NOTHING}
"A stream may bring what is missing yet (18.3)."
HEADERS = {"intmeth": "Allow", "bext01": "Unsupported", "invut": "Accept"}


def test_all_of_the_rfc_are_here() -> None:
    assert set(MESSAGES) == set(ANSWERS)
    assert len(ANSWERS) == 49


async def over_udp(process: SipProcess, host: str, message: bytes) -> list[bytes]:
    """Everything that comes back until somebody else, asking later, has been answered."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((host, SIP_PORT))
        sock.sendto(message, process.udp)
        await somebody_else(process)
        answers = []
        while True:
            try:
                answers.append(sock.recv(65536))
            except BlockingIOError:
                return answers


async def over_tcp(process: SipProcess, host: str, message: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_connection(*process.tcp, local_addr=(host, 0))
    writer.write(message)
    await somebody_else(process)
    try:
        async with asyncio.timeout(0.05):
            return [await reader.read(65536)]
    except TimeoutError:
        return []
    finally:
        writer.close()
        await writer.wait_closed()


async def somebody_else(process: SipProcess) -> None:
    for peer in (await SipPeer.udp(process.udp), await SipPeer.tcp(process.tcp)):
        async with peer:
            assert (await peer.dialog().transact("OPTIONS")).status == 200


async def suffer(process: SipProcess, *, tcp: bool) -> dict[str, int]:
    """Each message from an address of its own, and the first answer to it."""
    first: dict[str, int] = {}
    for number, (name, message) in enumerate(sorted(MESSAGES.items()), start=1):
        answers = await (over_tcp if tcp else over_udp)(process, f"127.44.75.{number}", message)
        answer = parse_sip(answers[0]) if answers and answers[0] else None
        first[name] = answer.status if answer else NOTHING
        if answer and name in HEADERS:
            assert answer[HEADERS[name]], name
        if answer and answer.status >= 400:
            assert answer["Via"], name
    return first


async def endured(tcp: bool) -> dict[str, int]:
    trunk = m.TrunkAccount(name="t", kind="peer", sources=("127.44.75.0/24",))
    async with SipProcess(trunk, LOOPBACK) as process, await SipPeer.udp(process.udp) as peer:
        found = await suffer(process, tcp=tcp)
        taken = {"baddate", "esc01", "longreq", "lwsstart"}
        calls = 0
        while calls < len(taken):
            calls += isinstance(await process.event(), m.Incoming)
        process.send(m.Ping(number=1))
        while not isinstance(event := await process.event(), m.Pong):
            pass
        assert event.calls == len(taken)
        peer.invite(sdp=sdp(port=40000))
        while not isinstance(event := await process.event(), m.Incoming):
            pass  # what has been counted is told in between
        process.send(m.Refuse(call=event.call, status=486))
        await peer.receive(lambda got: got.status == 486, "answer to a normal call")
    return found


async def test_over_udp() -> None:
    assert await endured(tcp=False) == ANSWERS


async def test_over_tcp() -> None:
    assert await endured(tcp=True) == OVER_TCP


async def test_strangers_get_no_answer() -> None:
    async with SipProcess(LOOPBACK) as process:
        assert set((await suffer(process, tcp=False)).values()) == {NOTHING}


def mutated(message: bytes, dice: random.Random) -> bytes:
    """Bytes changed, cut out and put in, or the end missing."""
    data = bytearray(message)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at, roll = dice.randrange(len(data) + 1), dice.random()
        if roll < 0.3 and at < len(data):
            data[at] = dice.randrange(256)
        elif roll < 0.5:
            del data[at : at + dice.randrange(30)]
        elif roll < 0.85:
            data[at:at] = dice.choice(
                (b"\r\n", b'"', b"<", b">", b";", b"%", b"\0", b",", b"A" * 300, b"Via: ", b"\xff")
            )
        else:
            del data[at:]
    return bytes(data)


async def test_thousands_of_broken_ones_do_no_harm() -> None:
    dice = random.Random(4475)
    roaming = m.TrunkAccount(name="r", kind="peer", inbound_username="caller", inbound_password="x")
    async with (
        SipProcess(LOOPBACK, roaming) as process,
        await SipPeer.udp(process.udp, "127.0.0.8") as stranger,
        await SipPeer.udp(process.udp) as partner,
    ):
        messages = list(MESSAGES.values())
        for number in range(2000):
            (partner if number % 3 else stranger).send(mutated(dice.choice(messages), dice))
            if number % 50 == 0:
                process.send(m.Ping(number=number))
                while not isinstance(event := await process.event(), m.Pong):
                    if isinstance(event, m.Incoming):
                        process.send(m.Refuse(call=event.call, status=486))
        assert process.log == [] or all(line["level"] == "debug" for line in process.log)
