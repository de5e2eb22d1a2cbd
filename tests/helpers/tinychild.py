"""A child process for tests of `bridge.children`: `python -m tests.helpers.tinychild <what it does> --fd N`.

It answers pings and echoes what it is told; besides, by its first argument:
    good    nothing else
    dies    exits with 3 when told "die"
    hangs   stops answering when told "hang"
    deaf    reads nothing after its first message
    talks   writes log lines to stderr at once
    stubborn ignores Stop and SIGTERM
    broken  exits with 1 before it says anything
    last    says "why" and exits with 1, with words of ours unread
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time

import msgspec


class Say(msgspec.Struct, tag=True):
    text: str


class Ping(msgspec.Struct, tag=True):
    number: int


class Pong(msgspec.Struct, tag=True):
    number: int


class Stop(msgspec.Struct, tag=True):
    pass


Down = Say | Ping | Stop
Up = Say | Pong
decode_down: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)
decode_up: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)


def main(kind: str, fd: int) -> None:
    control = socket.socket(fileno=fd)
    if kind == "broken":
        sys.exit("no such thing as a broken child")
    if kind == "last":
        control.send(msgspec.msgpack.encode(Say("why")))
        sys.exit(1)
    if kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "talks":
        print(json.dumps({"level": "warning", "msg": "it rains", "call": "c7"}), file=sys.stderr)
        print("Traceback: plain words", file=sys.stderr, flush=True)
    while packet := control.recv(65536):
        message = decode_down.decode(packet)
        if isinstance(message, Stop) and kind != "stubborn":
            return
        if isinstance(message, Say) and message.text == "die":
            sys.exit(3)
        if isinstance(message, Say) and message.text == "hang":
            time.sleep(60)
        if isinstance(message, Ping):
            control.send(msgspec.msgpack.encode(Pong(message.number)))
        if isinstance(message, Say):
            control.send(msgspec.msgpack.encode(message))
            if kind == "deaf" and message.text == "sleep":
                time.sleep(60)
    if kind == "stubborn":
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[3]))
