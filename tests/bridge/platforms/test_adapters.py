"""Adapters that are replaced while they may still be at work."""

from __future__ import annotations

from bridge.platforms.adapters import Adapters
from tests.fakes import FakePlatform
from tests.helpers.workerbench import until


async def test_replaced_at_once_and_closed_later() -> None:
    old, kept, removed, new = (FakePlatform(name) for name in ("a", "b", "c", "a"))
    adapters = Adapters({"a": old, "b": kept, "c": removed})
    adapters.replace({"a": new}, ["a", "b"], after_s=0.05)
    assert adapters == {"a": new, "b": kept, "c": removed}  # calls that were told of c still find it
    assert not old.is_closed
    await until(lambda: old.is_closed and removed.is_closed)
    assert adapters == {"a": new, "b": kept}
    assert [one.is_closed for one in (new, kept)] == [False, False]
    await adapters.close()
    assert new.is_closed
    assert kept.is_closed


async def test_closed_before_the_retired_ones_have_gone() -> None:
    old, new = FakePlatform("a"), FakePlatform("a")
    adapters = Adapters({"a": old})
    adapters.replace({"a": new}, ["a"])
    await adapters.close()
    await adapters.close()
    assert old.is_closed
    assert new.is_closed
