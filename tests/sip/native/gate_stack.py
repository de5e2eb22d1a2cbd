"""A PJSUA2 endpoint of its own, in a process of its own, for the tests of the native module.

Answers one JSON line per line of input: `allow TEXT` (commas for newlines), `dropped`, `refused`, `calls`, `sdp`,
`asked` (the Call-IDs of the INVITEs that reached the application). Ends when its input does. It waits as the product
does: on PJSIP's epoll descriptor and its next timer.
"""

from __future__ import annotations

import json
import os
import re
import select
import sys
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)
REFUSED_BY_APPLICATION = 606
"A status that PJSUA never picks by itself."


class Account(pj.Account):  # type: ignore[misc]  # a SWIG module has no types
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[pj.Call] = []
        self.asked: list[str] = []
        self.waiting: list[tuple[pj.Call, bool]] = []

    def onIncomingCall(self, prm: Any) -> None:
        invite = prm.rdata.wholeMsg
        found = re.search(r"^Call-ID: *(\S+)", invite, re.MULTILINE)
        assert found
        self.asked.append(found[1])
        self.calls.append(pj.Call(self, prm.callId))
        self.waiting.append((self.calls[-1], "PCMU" in invite))

    def answer(self) -> None:
        """PCMU is answered, anything else refused. Not in the callback: PJSUA would forget the SDP."""
        while self.waiting:
            call, is_good = self.waiting.pop()
            answer = pj.CallOpParam()
            answer.statusCode = 200 if is_good else REFUSED_BY_APPLICATION
            if is_good:
                answer.sdp.wholeSdp = ANSWER
            call.answer(answer)


class Stack:
    def __init__(self) -> None:
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 16
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.medConfig.hasIoqueue = False
        config.medConfig.threadCnt = 0
        self.endpoint.libInit(config)
        self.udp_port = self.listen(pj.PJSIP_TRANSPORT_UDP)
        self.tcp_port = self.listen(pj.PJSIP_TRANSPORT_TCP)
        self.endpoint.libStart()
        self.gate = pj.puenteGateStart()
        account = pj.AccountConfig()
        account.idUri = "sip:puente@127.0.0.1"
        account.mediaConfig.useLoopMedTp = True
        account.mediaConfig.lockCodecEnabled = False
        self.account = Account()
        self.account.create(account, True)

    def listen(self, kind: int) -> int:
        config = pj.TransportConfig()
        config.boundAddress = "127.0.0.1"
        config.port = 0
        address: str = self.endpoint.transportGetInfo(self.endpoint.transportCreate(kind, config)).localAddress
        return int(address.rpartition(":")[2])

    def obey(self, line: str) -> Any:
        word, _, text = line.strip().partition(" ")
        commands: dict[str, Callable[[], Any]] = {
            "allow": lambda: pj.puenteGateAllow(text.replace(",", "\n")),
            "dropped": lambda: sorted(pj.puenteGateTakeDropped().splitlines()),
            "refused": lambda: pj.puenteGateTakeRefused().splitlines(),
            "calls": pj.puenteCallCount,
            "sdp": lambda: [pj.puenteCallSdp(self.account.calls[-1].getId(), which) for which in (0, 1)],
            "asked": lambda: self.account.asked,
        }
        return commands[word]()

    def pump(self, tell: Callable[[Any], None]) -> None:
        waits = select.epoll()
        waits.register(pj.puenteEpollFd(), select.EPOLLIN)
        waits.register(sys.stdin.fileno(), select.EPOLLIN)
        while True:
            timer_ms = pj.puenteNextTimerMs()
            ready = {fd for fd, _ in waits.poll(None if timer_ms < 0 else timer_ms / 1000)}
            self.endpoint.libHandleEvents(0)
            self.account.answer()
            if sys.stdin.fileno() in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                tell(self.obey(line))

    def close(self) -> None:
        self.account.calls.clear()
        self.account.shutdown()
        self.endpoint.libDestroy()


def main() -> None:
    # PJLIB greets on standard output before any log setting can be made: our words go out on a copy, its to nobody.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def tell(answer: Any) -> None:
        print(json.dumps(answer), file=out, flush=True)

    if "twice" in sys.argv:  # one endpoint after the other in one process
        Stack().close()
    stack = Stack()
    tell([stack.gate, stack.udp_port, stack.tcp_port])
    stack.pump(tell)
    stack.close()


if __name__ == "__main__":
    main()
