"""Whether a caller's stream goes on from another address: his NAT has given him another port, or he has moved.

    same SSRC, a number that follows        three packet times after the last packet, at least 60 ms
    the same under SRTP                     at once
    same SSRC, a number that is near        after a second
    anything else                           never: a third party

Pure.
"""

from __future__ import annotations

from media.rtp import Reception, seq_diff

LEARN_S = 5.0
"How long after (re-)negotiation a packet from an address that is not in the SDP may teach us the caller's real one."
MOVED_AFTER_S = 1.0
"A locked source must have been silent this long before the same SSRC may go on from another address (NAT rebinding)."
MISSED_PACKETS, MISSED_S = 3, 0.06
"""Long enough where the stream goes on as if nothing had been: so many packet times, at least this long. No more of a
caller is lost when his NAT gives him another port; and as long as he is heard himself, nobody else is."""
FOLLOWS = 4
"How many numbers more than the packet times that have passed, and half as long ones, may be missing in between."


def goes_on(seen: Reception, sequence: int, silent_s: float, ptime_ms: int, is_authentic: bool) -> bool:
    """Is this, from an address that is not locked but under the locked source's SSRC, that source? It has been silent
    for so long. `is_authentic`: SRTP has proved it.
    """
    if not seen.is_near(sequence):
        return False
    ahead = seq_diff(sequence, seen.next_sequence)
    if is_authentic and ahead >= 0:  # nobody else has his key, and what is old may be a straggler
        return True
    ptime_s = ptime_ms / 1000
    follows = 0 <= ahead <= FOLLOWS + 2 * silent_s / ptime_s
    return silent_s > (max(MISSED_S, MISSED_PACKETS * ptime_s) if follows else MOVED_AFTER_S)
