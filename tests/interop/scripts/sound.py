"""What the caller of all three clients sends: silence, a tone into the greeting, silence, in frames of 20 ms."""

import math
import struct
from collections.abc import Iterator


def caller(rate_hz: int, *, quiet_ms: int = 600, tone_ms: int = 800, then_ms: int = 4000) -> Iterator[bytes]:
    samples_per_frame = rate_hz // 50
    for start, end, loud in ((0, quiet_ms, 0), (quiet_ms, quiet_ms + tone_ms, 8000), (0, then_ms, 0)):
        for frame in range(start // 20, end // 20):
            first = frame * samples_per_frame
            yield struct.pack(
                f"<{samples_per_frame}h",
                *(
                    round(loud * math.sin(2 * math.pi * 400 * sample / rate_hz))
                    for sample in range(first, first + samples_per_frame)
                ),
            )
