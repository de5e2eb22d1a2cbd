from __future__ import annotations

import pytest

from sip.refer import (
    ReferTo,
    Replaces,
    is_clean,
    parse_refer_to,
    parse_replaces,
    sipfrag,
    subscription_state,
    why_no_target,
)

HEADER = "a84b4c76e66710@192.0.2.7;to-tag=8321234356;from-tag=1928301774"
DIALOG = Replaces(HEADER, "a84b4c76e66710@192.0.2.7", "8321234356", "1928301774")
ESCAPED = "a84b4c76e66710%40192.0.2.7%3Bto-tag%3D8321234356%3Bfrom-tag%3D1928301774"


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("sip:+4930@b.example", ReferTo("sip:+4930@b.example")),
        ('"Bob" <sip:bob@b.example;transport=tcp>;x=y', ReferTo("sip:bob@b.example;transport=tcp")),
        ("<tel:+4930111>", ReferTo("tel:+4930111")),
        (f"<sip:bob@b.example?Replaces={ESCAPED}>", ReferTo("sip:bob@b.example", DIALOG)),
        (f"<sip:bob@b.example?Require=replaces&replaces={ESCAPED}>", ReferTo("sip:bob@b.example", DIALOG)),
        ("<sip:bob@b.example?Subject=a%3Db>", ReferTo("sip:bob@b.example")),
        ("", ReferTo("")),
    ],
)
def test_whom_we_are_to_call(value: str, target: ReferTo) -> None:
    assert parse_refer_to(value) == target


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (["<sip:bob@b.example>"], 0),
        ([f"<sip:bob@b.example?Replaces={ESCAPED}>"], 0),
        (["tel:+4930111"], 0),
        ([], 400),
        (["sip:a@b", "sip:a@b"], 400),
        (["bob"], 400),
        (["<:x>"], 400),
        (["<sip:>"], 400),
        (["<sip:a b@c>"], 400),
        (["<mailto:bob@b.example>"], 416),
    ],
)
def test_what_a_refer_must_say(values: list[str], status: int) -> None:
    assert why_no_target(values) == status


@pytest.mark.parametrize(
    "text", ["sip:x@y>", "sip:x@y\r\nFoo: bar", 'sip:"x"@y', "sip:\u00e9@y", "sip:<x@y", "sip:x\x7f@y"]
)
def test_what_would_break_out_of_its_header(text: str) -> None:
    assert is_clean("sip:x@y;transport=tcp?a=b")
    assert not is_clean(text)


@pytest.mark.parametrize("header", ["", "id@x", "id@x;to-tag=1", ";to-tag=1;from-tag=2", "id@x;from-tag=2;x=to-tag"])
def test_a_replaces_that_names_no_dialog(header: str) -> None:
    assert parse_replaces(header) is None


def test_order_case_and_further_parameters_of_replaces_do_not_matter() -> None:
    found = parse_replaces("id@x ; From-Tag = 2;early-only;to-tag=1")
    assert found is not None
    assert (found.sip_call_id, found.to_tag, found.from_tag) == ("id@x", "1", "2")


@pytest.mark.parametrize(
    ("status", "reason", "body"),
    [
        (180, "", "SIP/2.0 180 Ringing\r\n"),
        (200, "Fine", "SIP/2.0 200 Fine\r\n"),
        (499, "", "SIP/2.0 499 Bad Request\r\n"),
        (699, "", "SIP/2.0 699 Busy Everywhere\r\n"),
    ],
)
def test_news_for_the_referrer(status: int, reason: str, body: str) -> None:
    assert sipfrag(status, reason) == body


def test_only_a_final_answer_ends_the_subscription() -> None:
    assert [subscription_state(status).partition(";")[0] for status in (100, 183, 200, 486)] == [
        "active",
        "active",
        "terminated",
        "terminated",
    ]
