from __future__ import annotations

import pytest

from bridge.calls.trunks import Choices, ListedTrunks, TrunkOutcome, Wanted, Way
from sip.options import Target

ONE, TWO = Way(uri="sip:1@one", trunk="one", region="latam"), Way(uri="sip:1@two", trunk="two", region="europe")


@pytest.mark.parametrize(
    ("way", "address"),
    [
        (ONE, "sip:1@one"),
        (Way(uri="sip:1@x", target=Target("192.0.2.1", 5061, "tls")), "tls:192.0.2.1:5061"),
        (Way(uri="sip:1@x", target=Target("2001:db8::1", 5060)), "udp:[2001:db8::1]:5060"),
    ],
)
def test_addresses_in_the_record(way: Way, address: str) -> None:
    assert way.address == address


class TestListed:
    @pytest.mark.parametrize(
        ("wanted", "ways"),
        [
            (Wanted(number="1"), (ONE, TWO)),
            (Wanted(number="1", trunk="two"), (TWO,)),
            (Wanted(number="1", region="latam"), (ONE,)),
        ],
    )
    def test_all_that_fit(self, wanted: Wanted, ways: tuple[Way, ...]) -> None:
        assert ListedTrunks((ONE, TWO)).choices(wanted) == Choices(ways=ways)

    def test_none_that_fits(self) -> None:
        assert ListedTrunks((ONE,)).choices(Wanted(number="1", trunk="x")) == Choices(is_carried=False)

    def test_full(self) -> None:
        trunks = ListedTrunks((ONE,), caps={"one": 1})
        assert trunks.take("one") == ""
        full = Choices(left_out=("one: 1 calls stand already",), is_full=True, retry_after_s=1)
        assert trunks.choices(Wanted(number="1")) == full
        assert trunks.take("one") == "1 calls stand already"
        trunks.release("one")
        assert trunks.choices(Wanted(number="1")).ways == (ONE,)

    def test_outcomes(self) -> None:
        trunks, outcome = ListedTrunks(), TrunkOutcome(trunk="one", outcome="busy", sip_status=486)
        trunks.on_outcome(outcome)
        assert trunks.outcomes == [outcome]
