from __future__ import annotations

from collections.abc import Callable

import pytest

from sip.messages import Registration, Target, TrunkAccount
from sip.registrar import IMPATIENT_MS, SPREAD_S, Answer, Question, Registrar, refresh_in, retry_in

A, B, C = (Target(address=f"198.51.100.{number}", port=5060) for number in (1, 2, 3))
PROVIDER = TrunkAccount(
    name="provider", kind="register", registrar="sip:sip.example", username="b", retry_s=4, expires_s=100
)
OK = Answer(200, "OK", expires_s=60)
DEAD = Answer(408, "Request Timeout")


def test_waits_grow_to_a_ceiling_and_are_diced() -> None:
    assert [retry_in(failures, 2, lambda: 1.0) for failures in (1, 2, 3, 6, 7, 99)] == [2, 4, 8, 64, 120, 120]
    assert [retry_in(failures, 2, lambda: 0.0) for failures in (1, 2, 99)] == [1, 2, 60]


def test_renewals_are_spread_and_early_enough_for_another_try() -> None:
    assert [refresh_in(100, lambda: 0.0), refresh_in(100, lambda: 0.5), refresh_in(100, lambda: 1.0)] == [70, 80, 90]
    assert refresh_in(1, lambda: 0.0) == 1.0


class Stack:
    """Asks nobody; the loop's timers are a list, and dice always show six."""

    def __init__(self, *targets: Target, registrar: str = "sip:sip.example") -> None:
        self.told: list[Registration] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.asked: list[Question] = []
        self.answers: list[Callable[[Answer], None]] = []
        trunk = TrunkAccount(
            name="provider",
            kind="register",
            registrar=registrar,
            username="b",
            retry_s=4,
            expires_s=100,
            targets=targets,
        )
        self.registrar = Registrar(
            trunk,
            self.ask,
            self.told.append,
            lambda wait, call: self.timers.append((wait, call)),
            patience_ms=8000,
            roll=lambda: 1.0,
        )
        self.registrar.start()

    def ask(self, question: Question, on_answer: Callable[[Answer], None]) -> None:
        self.asked.append(question)
        self.answers.append(on_answer)

    def let_time_pass(self) -> float:
        """To the next timer."""
        wait_s, call = self.timers.pop(0)
        call()
        return wait_s

    def answer(self, answer: Answer) -> None:
        self.answers.pop(0)(answer)

    def states(self) -> list[tuple[str, int, float]]:
        states: list[tuple[str, int, float]] = [(told.state, told.status, told.retry_in_s) for told in self.told]
        self.told.clear()
        return states


def registered(*targets: Target) -> Stack:
    stack = Stack(*targets)
    assert stack.let_time_pass() == 0
    stack.answer(OK)
    return stack


class TestRegistering:
    def test_registered_and_renewed_at_the_same_target(self) -> None:
        stack = registered(A, B)
        assert stack.asked == [Question(A, 100, IMPATIENT_MS)]
        assert stack.told == [
            Registration(
                trunk="provider", state="registered", status=200, reason="OK", expires_s=60, retry_in_s=0.0, target=A
            )
        ]
        assert stack.registrar.is_registered
        assert stack.let_time_pass() == 54
        stack.answer(OK)
        assert stack.asked[1] == stack.asked[0]
        assert len(stack.told) == 1
        stack.let_time_pass()
        stack.answer(Answer(200, "OK", expires_s=30))
        assert stack.told[1].expires_s == 30
        assert stack.let_time_pass() == 27

    def test_the_only_target_is_given_all_the_time_there_is(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        assert stack.asked == [Question(A, 100, 8000)]

    def test_an_address_as_registrar_needs_no_targets(self) -> None:
        stack = Stack(registrar="sip:192.0.2.7;transport=tls")
        stack.let_time_pass()
        assert stack.asked[0].target == Target(address="192.0.2.7", port=5061, transport="tls")

    def test_a_name_that_nobody_has_looked_up(self) -> None:
        stack = Stack()
        stack.let_time_pass()
        assert (stack.asked, stack.told[0].reason) == ([], "no address of sip.example is known")
        assert stack.states() == [("unreachable", 503, 4)]
        stack.registrar.set_targets((B,))
        assert stack.timers.pop()[0] == SPREAD_S
        stack.registrar.set_targets(())
        stack.let_time_pass()
        assert stack.asked == []

    def test_they_want_longer(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        stack.answer(Answer(423, "Interval Too Brief", min_expires_s=600))
        stack.answer(Answer(200, "OK", expires_s=600))
        assert [question.expires_s for question in stack.asked] == [100, 600]
        assert stack.states() == [("registered", 200, 0)]

    def test_they_never_have_enough(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        for least_s in (200, 300, 400):
            stack.answer(Answer(423, "Interval Too Brief", min_expires_s=least_s))
        assert stack.states() == [("unreachable", 423, 4)]
        assert stack.let_time_pass() == 4
        stack.answer(Answer(423, "Interval Too Brief", min_expires_s=10**9))
        stack.answer(Answer(423, "Interval Too Brief", min_expires_s=10**9))
        assert stack.states() == [("unreachable", 423, 8)]
        stack.let_time_pass()
        assert [question.expires_s for question in stack.asked] == [100, 200, 300, 100, 86_400, 100]

    def test_what_one_target_wants_is_not_asked_of_the_next(self) -> None:
        stack = Stack(A, B)
        stack.let_time_pass()
        stack.answer(Answer(423, "Interval Too Brief", min_expires_s=600))
        stack.answer(DEAD)
        assert [question.expires_s for question in stack.asked] == [100, 600, 100]

    @pytest.mark.parametrize("least_s", [0, 100, 50])
    def test_423_that_asks_for_nothing_longer_is_a_failure(self, least_s: int) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        stack.answer(Answer(423, "Interval Too Brief", min_expires_s=least_s))
        assert stack.states() == [("unreachable", 423, 4)]

    def test_a_200_that_grants_nothing_is_none(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        stack.answer(Answer(200, "OK"))
        assert stack.told[0].reason == "OK, but for 0 seconds"
        assert stack.states() == [("refused", 200, 16)]


class TestFailure:
    def test_a_dead_registrar_is_tried_with_growing_waits(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        waits = []
        for _ in range(4):
            stack.answer(DEAD)
            waits.append(stack.let_time_pass())
        assert waits == [4, 8, 16, 32]
        assert stack.states()[1] == ("unreachable", 408, 8)
        stack.answer(OK)
        stack.let_time_pass()
        stack.answer(Answer(503, "Later"))
        assert stack.let_time_pass() == 4

    def test_the_next_target_is_asked_at_once_and_the_best_first_after_a_wait(self) -> None:
        stack = Stack(A, B, C)
        stack.let_time_pass()
        stack.answer(DEAD)
        stack.answer(Answer(503, "Down"))
        stack.answer(DEAD)
        assert [question.target for question in stack.asked] == [A, B, C]
        assert [question.timeout_ms for question in stack.asked] == [IMPATIENT_MS, IMPATIENT_MS, 8000]
        assert stack.states() == [("unreachable", 408, 0), ("unreachable", 503, 0), ("unreachable", 408, 4)]
        stack.let_time_pass()
        assert stack.asked[-1].target == A

    def test_a_renewal_that_fails_moves_to_the_next_target_at_once(self) -> None:
        stack = registered(A, B)
        stack.let_time_pass()
        stack.answer(DEAD)
        assert not stack.registrar.is_registered
        stack.answer(OK)
        assert [(told.state, told.target) for told in stack.told] == [
            ("registered", A),
            ("unreachable", A),
            ("registered", B),
        ]
        stack.let_time_pass()
        assert stack.asked[-1].target == B

    @pytest.mark.parametrize("status", [401, 403, 404, 407, 603])
    def test_a_refusal_is_not_hammered_nor_tried_elsewhere(self, status: int) -> None:
        stack = Stack(A, B)
        stack.let_time_pass()
        stack.answer(Answer(status, "No"))
        assert stack.states() == [("refused", status, 16)]
        assert stack.let_time_pass() == 16
        assert [question.target for question in stack.asked] == [A, A]

    def test_they_say_when_to_come_back(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        stack.answer(Answer(503, "Later", retry_after_s=30))
        assert stack.let_time_pass() == 30
        stack.answer(Answer(503, "Later", retry_after_s=999_999_999))
        assert stack.let_time_pass() == 600


class TestMoving:
    def test_a_target_that_is_none_any_more_is_left_at_once(self) -> None:
        stack = registered(A, B)
        stack.registrar.set_targets((B, C))
        assert stack.timers.pop()[0] == SPREAD_S
        stack = registered(A)
        stack.registrar.set_targets((C,))
        renewal, move = stack.timers
        move[1]()
        renewal[1]()  # void by now
        assert [question.target for question in stack.asked] == [A, C]

    def test_while_it_is_asked(self) -> None:
        stack = Stack(A, B)
        stack.let_time_pass()
        stack.registrar.set_targets((B,))
        stack.let_time_pass()
        stack.answer(OK)  # A's, too late
        assert stack.told == []
        stack.answer(OK)
        assert stack.told[0].target == B

    def test_other_targets_than_its_own_are_no_reason_to_move(self) -> None:
        stack = registered(A, B)
        stack.registrar.set_targets((C, A))
        assert len(stack.timers) == 1
        stack.let_time_pass()
        assert stack.asked[-1].target == A

    def test_a_new_target_ends_the_wait(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        stack.answer(DEAD)
        stack.registrar.set_targets((A, B))
        assert [wait_s for wait_s, _ in stack.timers] == [4, SPREAD_S]

    def test_a_lost_connection_is_a_reason_to_ask_again(self) -> None:
        stack = Stack(A)
        stack.registrar.on_connection_lost()
        stack.let_time_pass()
        stack.registrar.on_connection_lost()
        assert stack.timers == []
        stack.answer(OK)
        stack.registrar.on_connection_lost()
        assert stack.timers.pop()[0] == SPREAD_S

    def test_a_partner_that_lives_again_is_asked_again(self) -> None:
        """It may have forgotten us. Where we are not registered its life is no news, unless we are nowhere."""
        stack = registered(A, B)
        stack.timers.clear()
        stack.registrar.on_back(B)
        assert stack.timers == []
        stack.registrar.on_back(A)
        assert stack.let_time_pass() == SPREAD_S
        assert stack.asked[-1].target == A
        stack.registrar.on_back(A)
        assert stack.timers == []
        for _ in (A, B):
            stack.answer(DEAD)
        stack.timers.clear()
        stack.registrar.on_back(B)
        stack.let_time_pass()
        assert stack.asked[-1].target == A
        stack.registrar.leave()
        stack.registrar.on_back(A)
        assert stack.timers == []

    def test_other_settings_are_used_at_once(self) -> None:
        stack = registered(A)
        stack.registrar.change(TrunkAccount(name="provider", kind="register", expires_s=33, targets=(B,)))
        stack.timers.pop()[1]()
        assert stack.asked[-1] == Question(B, 33, 8000)


class TestLeaving:
    def test_the_registration_is_given_back(self) -> None:
        stack = registered(A)
        stack.registrar.leave()
        stack.registrar.leave()
        assert stack.asked[1:] == [Question(A, 0, 8000)]
        quiet = [stack.registrar.is_quiet]
        stack.answer(Answer(200, "OK"))
        assert [*quiet, stack.registrar.is_quiet] == [False, True]
        assert stack.states() == [("registered", 200, 0), ("unregistered", 200, 0)]
        stack.let_time_pass()
        assert len(stack.asked) == 2

    def test_a_dead_registrar_can_not_be_told(self) -> None:
        stack = registered(A)
        stack.registrar.leave()
        stack.answer(DEAD)
        assert stack.states()[1] == ("unregistered", 408, 0)
        assert stack.registrar.is_quiet

    def test_while_it_is_asked(self) -> None:
        """The answer may grant what nobody wants any more: what was asked last counts."""
        stack = Stack(A)
        stack.let_time_pass()
        stack.registrar.leave()
        stack.answer(OK)
        assert stack.states() == []
        stack.answer(Answer(200, "OK"))
        assert stack.states() == [("unregistered", 200, 0)]

    def test_nothing_is_tried_again(self) -> None:
        stack = Stack(A)
        stack.let_time_pass()
        stack.answer(DEAD)
        stack.registrar.leave()
        assert stack.registrar.is_quiet
        stack.let_time_pass()
        stack.registrar.set_targets((B,))
        assert len(stack.asked) == 1
