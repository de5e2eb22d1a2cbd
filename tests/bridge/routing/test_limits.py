"""Calls at once and calls per second."""

from __future__ import annotations

import random

from bridge.routing.limits import Bucket, Full, Limiter


def test_no_limits() -> None:
    limiter = Limiter()
    assert [limiter.take(0.0) for _ in range(1000)] == [None] * 1000
    assert limiter.calls == 1000


def test_at_once() -> None:
    limiter = Limiter(max_calls=2)
    assert (limiter.take(0.0), limiter.take(0.0, inbound=True)) == (None, None)
    assert limiter.take(0.0) == Full("2 of 2 calls", 5, is_rate=False)
    limiter.release()
    assert limiter.full(0.0) is None
    assert limiter.take(0.0) is None
    assert (limiter.calls, limiter.refused) == (2, 1)


def test_a_release_too_many_makes_no_room_that_is_not_there() -> None:
    limiter = Limiter(max_calls=1)
    limiter.release()
    assert limiter.take(0.0) is None
    assert limiter.take(0.0) is not None


def test_per_second_each_direction_by_itself() -> None:
    limiter = Limiter(calls_per_s=2.0)
    assert [limiter.take(0.0) for _ in range(3)] == [None, None, Full("2 calls per second", 1, is_rate=True)]
    assert limiter.take(0.0, inbound=True) is None
    assert limiter.take(0.4) is not None
    assert limiter.take(0.5) is None


def test_less_than_one_a_second_says_when() -> None:
    limiter = Limiter(calls_per_s=0.1)
    assert limiter.take(100.0) is None
    assert limiter.take(101.0) == Full("0.1 calls per second", 9, is_rate=True)
    assert limiter.take(110.0) is None


def test_what_stands_already_counts() -> None:
    limiter = Limiter(max_calls=2, calls=3)
    assert limiter.take(0.0) == Full("3 of 2 calls", 5, is_rate=False)


def test_looking_takes_nothing() -> None:
    limiter = Limiter(max_calls=1, calls_per_s=1)
    assert [limiter.full(0.0) for _ in range(3)] == [None] * 3
    assert limiter.take(0.0) is None


def test_in_the_long_run_no_more_than_the_rate_and_no_less() -> None:
    dice = random.Random(11)
    for _ in range(30):
        rate = dice.choice([0.5, 1, 3, 20])
        bucket, now, passed = Bucket(rate), 0.0, 0
        while now < 100:
            passed += bucket.take(now)
            now += dice.uniform(0, 0.3 / rate)
        # What overflows between two calls is lost: a bucket of one call holds no more.
        assert 80 * rate <= passed <= 100 * rate + max(1, rate) + 1


def test_a_clock_that_steps_back_takes_nothing_away() -> None:
    bucket = Bucket(1.0)
    assert bucket.take(10.0)
    assert not bucket.take(9.0)
    assert bucket.take(10.0)
