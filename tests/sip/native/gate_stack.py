"""A PJSUA2 endpoint of its own, in a process of its own, for the tests of the native module.

Prints one JSON line per event. Understands one word per line on standard input: `allow TEXT` (with commas for
newlines), `dropped`, `refused`, `bye` (hang up every call), `stop`. Waits as the product does: on PJSIP's epoll
descriptor and its next timer.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import pjsua2 as pj

ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)


# PJLIB greets on standard output before any log setting can be made: our words go out on a copy, it talks to nobody.
OUT = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def tell(**event: Any) -> None:
    print(json.dumps(event), file=OUT, flush=True)


class Call(pj.Call):  # type: ignore[misc]  # SWIG module without types
    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        tell(is_="state", state=info.stateText, status=info.lastStatusCode)


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def onIncomingCall(self, prm: Any) -> None:
        """PCMU is answered; anything else is refused, with a status that PJSUA never picks by itself."""
        tell(is_="incoming", source=prm.rdata.srcAddress)
        call = Call(self, prm.callId)
        self.calls.append(call)
        answer = pj.CallOpParam()
        answer.statusCode = 200 if "PCMU" in prm.rdata.wholeMsg else 606
        if answer.statusCode == 200:
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
        self.ports = [self.listen(kind) for kind in (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_TCP)]
        self.endpoint.libStart()
        self.started = pj.puenteGateStart()
        self.account = Account()
        account = pj.AccountConfig()
        account.idUri = "sip:puente@127.0.0.1"
        account.mediaConfig.useLoopMedTp = True
        account.mediaConfig.lockCodecEnabled = False
        self.account.create(account, True)

    def listen(self, kind: int) -> int:
        config = pj.TransportConfig()
        config.boundAddress = "127.0.0.1"
        config.port = 0
        return int(
            self.endpoint.transportGetInfo(self.endpoint.transportCreate(kind, config)).localAddress.split(":")[1]
        )

    def obey(self, line: str) -> bool:
        word, _, text = line.strip().partition(" ")
        if word == "allow":
            tell(is_="allowed", count=pj.puenteGateAllow(text.replace(",", "\n")))
        elif word == "dropped":
            tell(is_="dropped", lines=sorted(pj.puenteGateTakeDropped().splitlines()))
        elif word == "refused":
            tell(is_="refused", lines=pj.puenteGateTakeRefused().splitlines())
        elif word == "calls":
            tell(is_="calls", count=pj.puenteCallCount())
        return word not in ("stop", "")

    def pump(self) -> None:
        waits = select.epoll()
        waits.register(pj.puenteEpollFd(), select.EPOLLIN)
        waits.register(sys.stdin.fileno(), select.EPOLLIN)
        awake = True
        while awake:
            timer_ms = pj.puenteNextTimerMs()
            ready = waits.poll(None if timer_ms < 0 else timer_ms / 1000)
            if any(fd == sys.stdin.fileno() for fd, _ in ready):
                awake = self.obey(sys.stdin.readline())
            self.endpoint.libHandleEvents(0)

    def close(self) -> None:
        self.account.calls.clear()
        self.account.shutdown()
        self.endpoint.libDestroy()


def main() -> None:
    stack = Stack()
    udp_port, tcp_port = stack.ports
    tell(is_="ready", udp_port=udp_port, tcp_port=tcp_port, gate=stack.started)
    stack.pump()
    stack.close()


if __name__ == "__main__":
    main()
