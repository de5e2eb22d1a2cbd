"""Replies to our requests, each to whom it belongs."""

from __future__ import annotations

import logging

import pjsua2 as pj
import pytest

from sip import messages as m
from sip.letters import Reply
from sip.stack.courier import Courier


def test_a_bug_over_one_reply_does_not_cost_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["no reply at all", *(f"{number} 200 1500 1\nOK\nSIP/2.0 200 OK\r\n\r\n" for number in (1, 2))]
    monkeypatch.setattr(pj, "puenteTakeReply", lambda: texts.pop(0) if texts else "")
    monkeypatch.setattr(pj, "puenteTakeLosses", lambda: "")
    monkeypatch.setattr(pj, "puenteSend", lambda *words: pj.PJ_SUCCESS)
    heard: list[int] = []

    def stumble(reply: Reply) -> None:
        raise OverflowError

    courier, there = Courier(lambda loss: None), m.Target(address="127.0.0.1", port=9)
    for on_reply in (stumble, lambda reply: heard.append(reply.number)):
        courier.send("", there, "", on_reply, timeout_ms=1, trunk=m.TrunkAccount(name="t", kind="peer"))
    courier.collect()
    assert heard == [2]
    assert [one.levelno for one in caplog.records if one.exc_info] == [logging.ERROR] * 2
