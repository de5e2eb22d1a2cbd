from __future__ import annotations

import pytest

from sip.cause import Cause


@pytest.mark.parametrize(
    ("cause", "ended_by"),
    [
        (Cause(is_message=True, method="BYE"), "remote"),
        (Cause(is_message=True, method="INVITE", is_ours=True, status=486), "remote"),
        (Cause(is_message=True, method="INVITE", status=487), "remote"),
        (Cause(is_message=True, method="BYE", is_ours=True, status=200), "error"),
        (Cause(method="INVITE", is_ours=True, status=408), "error"),
        (Cause(), "error"),
    ],
    ids=["bye", "busy", "cancel", "no ack", "time-out", "nothing"],
)
def test_whose_doing_an_end_was(cause: Cause, ended_by: str) -> None:
    assert cause.ended_by == ended_by


def test_only_a_redirection_has_a_status_of_its_own() -> None:
    assert [Cause(status=status).redirection for status in (0, 200, 299, 300, 302, 399, 400)] == [
        0,
        0,
        0,
        300,
        302,
        399,
        0,
    ]


def test_sdp_of_what_was_received() -> None:
    text = "SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    assert Cause(received=text).sdp == "v=0\r\n"
    assert Cause(received=text.replace("sdp", "text")).sdp == ""
    assert Cause().sdp == ""


def test_contacts_are_those_of_a_redirection_alone() -> None:
    text = "SIP/2.0 302 Moved\r\nContact: <sip:a@x>\r\nRetry-After: 5\r\n\r\n"
    assert Cause(status=302, received=text).contacts == ("sip:a@x",)
    assert Cause(status=486, received=text).contacts == ()
    assert Cause(status=486, received=text).retry_after_s == 5
    assert (Cause(status=302).contacts, Cause(status=486).retry_after_s) == ((), 0)
