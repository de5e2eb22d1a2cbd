"""What each answer means: for the call, for the next trunk, for the trunk that gave it."""

from __future__ import annotations

from typing import get_args

import pytest

from bridge.routing import outcome
from bridge.routing.outcome import By, Outcome, of


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, outcome.ANSWERED),
        (302, outcome.REDIRECTED),
        (401, outcome.REFUSED),
        (402, outcome.REFUSED),
        (403, outcome.REFUSED),
        (404, outcome.NOT_FOUND),
        (407, outcome.REFUSED),
        (408, outcome.UNREACHABLE),
        (410, outcome.NO_SUCH_NUMBER),
        (415, outcome.NOT_ACCEPTABLE),
        (420, outcome.NOT_ACCEPTABLE),
        (480, outcome.NO_ANSWER),
        (484, outcome.NO_SUCH_NUMBER),
        (486, outcome.BUSY),
        (487, outcome.CANCELLED),
        (488, outcome.NOT_ACCEPTABLE),
        (500, outcome.TRUNK_FAILED),
        (503, outcome.TRUNK_FAILED),
        (504, outcome.TRUNK_FAILED),
        (580, outcome.TRUNK_FAILED),
        (600, outcome.BUSY),
        (603, outcome.DECLINED),
        (604, outcome.NO_SUCH_NUMBER),
        (606, outcome.GLOBAL),
        (607, outcome.DECLINED),
        (608, outcome.DECLINED),
        (0, outcome.TRUNK_FAILED),
    ],
)
def test_what_the_partner_says(status: int, expected: Outcome) -> None:
    assert of(status, "remote") is expected


@pytest.mark.parametrize("status", [486, 600, 603, 480, 487, 607, 608, 604, 606])
def test_the_callee_has_been_reached_so_nobody_else_is_asked(status: int) -> None:
    found = of(status, "remote")
    assert (found.next_trunk, found.counts_against_trunk) == (False, False)


@pytest.mark.parametrize(
    ("status", "by", "rang", "expected"),
    [
        (408, "remote", True, outcome.NO_ANSWER),
        (408, "error", True, outcome.NO_ANSWER),
        (408, "error", False, outcome.UNREACHABLE),
        (503, "error", False, outcome.UNREACHABLE),
        (503, "error", True, outcome.UNREACHABLE),
        (487, "local", True, outcome.CANCELLED),
        (503, "local", False, outcome.CANCELLED),
        (200, "local", True, outcome.ANSWERED),
    ],
)
def test_who_ended_it_and_whether_it_rang(status: int, by: By, rang: bool, expected: Outcome) -> None:
    assert of(status, by, rang=rang) is expected


def test_what_counts_against_a_trunk_is_worth_another_trunk() -> None:
    outcomes = [of(status, by) for status in range(700) for by in get_args(By)]
    assert all(one.next_trunk for one in outcomes if one.counts_against_trunk)
    assert {one.kind for one in outcomes if one.next_trunk} == {"failed"}
