from __future__ import annotations

import logging

import pytest

from sip.border import guarded, log_line


def test_a_failing_callback_ends_only_its_own_call(caplog: pytest.LogCaptureFixture) -> None:
    class Callbacks:
        name = "c9"
        failures = 0

        @guarded
        def on_good(self, number: int) -> None:
            self.seen = number

        @guarded
        def on_bad(self) -> None:
            raise KeyError("ours")

        def on_failure(self) -> None:
            self.failures += 1

    callbacks = Callbacks()
    callbacks.on_good(3)
    callbacks.on_bad()
    assert (callbacks.seen, callbacks.failures) == (3, 1)
    assert [(record.getMessage(), getattr(record, "call", "")) for record in caplog.records] == [
        ("on_bad failed", "c9")
    ]


def test_log_lines_of_the_stack(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log_line(1, "broken\n")
    log_line(2, "strange\nin two lines")
    log_line(4, "x" * 9999)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "pjsip: broken"),
        (logging.WARNING, "pjsip: strange\nin two lines"),
        (logging.DEBUG, "pjsip: " + "x" * 500),
    ]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_what_the_world_sends_is_for_debugging_and_its_packets_are_not_shown(
    level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    log_line(level, "Error processing packet from 192.0.2.1:5060: Missing header:\na=crypto:1 X inline:c2VjcmV0\n")
    [record] = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == "pjsip: Error processing packet from 192.0.2.1:5060: Missing header:"
