"""What a call costs: duration, price and billing step in, money out. Decimals only: money is never a float. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from bridge.records import Cost

UNIT = Decimal("0.000001")
"Amounts are kept to a millionth: a second at 0.008 a minute costs 0.000133."


@dataclass(frozen=True, slots=True)
class Price:
    per_minute: Decimal
    currency: str
    first_s: int
    "Charged as soon as the call is answered."
    step_s: int
    "Beyond that, in steps of."

    def __str__(self) -> str:
        return f"{self.per_minute} {self.currency}/min"

    @property
    def billing(self) -> str:
        return f"{self.first_s}/{self.step_s}"


def price_of(per_minute: str, currency: str, billing: str) -> Price | None:
    """From settings, which have been checked; None when the trunk has no price."""
    if not per_minute:
        return None
    first, step = billing.split("/")
    return Price(Decimal(per_minute), currency, int(first), int(step))


def billed_s(seconds: float, first_s: int, step_s: int) -> int:
    """0 for a call that never was answered; an answered one pays the first step however short it was."""
    if seconds <= 0:
        return 0
    # A microsecond of clock dust must not cost a step.
    beyond = max(0.0, seconds - first_s - 1e-6)
    return first_s + step_s * math.ceil(beyond / step_s)


def cost(seconds: float, price: Price) -> Cost:
    """`seconds` from the answer to the end."""
    billed = billed_s(seconds, price.first_s, price.step_s)
    amount = (price.per_minute * billed / 60).quantize(UNIT, ROUND_HALF_UP)
    return Cost(
        currency=price.currency,
        per_minute=str(price.per_minute),
        billing=price.billing,
        billed_s=billed,
        amount=f"{amount:f}",
    )
