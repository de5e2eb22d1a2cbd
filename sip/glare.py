"""Two re-INVITEs that have met (491), or an offer that can not be made just now: when to try again. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable

MAX_TRIES = 5
"Two that roll dice meet again with odds of a few in a thousand; who refuses so often means it."
REFRESH_AGAIN_S = 10.0
"After a refresh of the session timer that was refused for another reason than glare."


def wait_s(owns_call_id: bool, roll: Callable[[], float] = random.random) -> float:
    """Seconds until our offer is made again, in steps of 10 ms (RFC 3261, 14.1).

    Who made the Call-ID waits longer, so that the two can not meet for ever.
    """
    first_ms, last_ms = (2100, 4000) if owns_call_id else (0, 2000)
    return round((first_ms + roll() * (last_ms - first_ms)) / 10) / 100
