"""The store that forgets does what the others do, as long as it remembers. The contract itself is in test_store."""

from __future__ import annotations

from bridge.store import Forgetful
from bridge.store.memory import KEPT
from tests.bridge.store.samples import event, over, standing


async def test_only_the_last_are_kept() -> None:
    store = Forgetful()
    for number in range(KEPT + 5):
        await store.end(over(f"c{number}"))
        store.event(event(detail=str(number)))
        await store.claim(f"k{number}", "f", "c")
    assert (await store.find("c4"), await store.find("c5")) == (None, over("c5"))
    assert [store.events[0].detail, len(store.events)] == ["5", KEPT]
    assert (await store.claim("k4", "other", "d")).is_new


async def test_a_picture_not_a_window() -> None:
    store, record = Forgetful(), standing()
    await store.begin(record)
    record.caller = "later"
    assert await store.find("c1") == standing()
