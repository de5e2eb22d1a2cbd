"""One stream of one call, mended: what stands in where audio is missing, and how it goes on after it.

    lost        heard ~~~~ ~~~__ ___~ heard      the sound before it, fading; then the real one over its continuation
    left out    heard ~.                          a queue that has ended: what would have come, faded at once

So nothing clicks: there is no step that was not in the sound itself. Used both ways, for packets that the caller's line
has lost and for a platform whose audio does not come in time. Pure.
"""

from __future__ import annotations

from media.codecs import Codec, Decoder
from media.conceal import JOIN_MS, SILENT_MS, conceal, ended, faded, join, risen


class Mender:
    """Whoever passes a packet on keeps it here (`before, last = last, line`), and while `is_open` has it `joined`."""

    __slots__ = (
        "_codec",
        "_cut",
        "_decoder",
        "_is_guess",
        "_ready",
        "_silent_after",
        "_stood_in",
        "before",
        "concealed_ms",
        "is_open",
        "last",
    )

    def __init__(self, codec: Codec) -> None:
        self.concealed_ms = 0
        self.use(codec, None)

    def use(self, codec: Codec, decoder: Decoder | None) -> None:
        """Another codec, or another stream. `decoder`: what the next packets will be decoded with, if it remembers."""
        self._codec, self._decoder = codec, decoder
        self._silent_after = SILENT_MS * codec.clock_rate_hz // 1000
        self.forget()

    def forget(self) -> None:
        """What comes next begins as it begins."""
        self.before = self.last = b""
        "The last two packets' audio, in line form."
        self._close()

    def renew(self, decoder: Decoder | None) -> None:
        """Another stream in the same codec goes on where this one has stopped."""
        self._decoder, self._is_guess, self._ready = decoder, False, b""
        self.is_open = bool(self.last)

    def _close(self) -> None:
        self.is_open = False
        "Something is missing before the packet that comes next."
        self._cut = b""
        "What would have come where something was left out."
        self._stood_in = 0
        "Timestamp units that have stood in since the last packet."
        self._ready = b""
        "Made before the packet behind the loss was decoded, to stand in when it is known how much of it must."
        self._is_guess = False
        "What stood in is the codec's own: its decoder goes on from there by itself."

    def lose(self, units: int) -> None:
        """So many units are missing before the packet that is decoded next: a decoder that remembers must know it."""
        if self._decoder is not None and self.last:
            missing = min(units, self._silent_after) - self._stood_in
            self._ready = self._made(missing, self._stood_in) if missing > 0 else b""

    def stand_in(self, units: int) -> bytes:
        """So much audio in place of what is missing."""
        size = self._codec.line_bytes(units)
        if not self.last:  # nothing has been heard yet: a silence that is real, and no part of a later loss
            return self._codec.silence * (size // self._codec.sample_bytes)
        most = max(0, self._silent_after - self._stood_in)
        self.concealed_ms += min(units, most) * 1000 // self._codec.clock_rate_hz
        self.is_open = True
        line, self._ready = self._ready[:size], self._ready[size:]
        made = self._codec.units(line)
        if made < units:
            line += self._made(units - made, self._stood_in + made)
        self._stood_in += units
        return line

    def go_on(self, units: int) -> bytes | None:
        """As `stand_in`, until it has faded out: then, or when it was quiet before, None."""
        if not self.last or self._stood_in >= self._silent_after or self._codec.is_quiet(self.last):
            return None
        return self.stand_in(units)

    def end(self, units: int) -> bytes | None:
        """So much audio in which what was heard falls silent at once; None when it was quiet."""
        onward = self._onward()
        self.unheard()
        return None if self._codec.is_quiet(onward) else ended(self._codec, onward, units)

    def unheard(self) -> None:
        """What was passed on last reached nobody: what comes next is faded in."""
        self._close()
        self._stood_in, self.is_open = self._silent_after, bool(self.last)

    def pause(self) -> None:
        """The silence before the next packet is real: it begins as it begins."""
        cut = self._cut
        self._close()
        self.leave_out(cut)

    def miss(self) -> None:
        """Something is missing, and nothing stands in for it: what comes next is joined all the same."""
        self.is_open = bool(self.last)

    def leave_out(self, line: bytes) -> None:
        """This would have come next."""
        if line:
            self._cut = self._cut or line
            self.is_open = True

    def joined(self, line: bytes) -> bytes:
        """The first packet after what is missing."""
        if not self.last:
            pass
        elif self._is_guess and not self._cut:
            line = risen(self._codec, line, self._stood_in)
        else:
            line = join(self._codec, self._onward(), line)
        self._close()
        return line

    def _onward(self) -> bytes:
        """What would come now, a few milliseconds of it."""
        overlap = JOIN_MS * self._codec.clock_rate_hz // 1000
        return self._cut or conceal(self._codec, self.before + self.last, overlap, self._stood_in)

    def _made(self, units: int, since: int) -> bytes:
        codec, decoder = self._codec, self._decoder
        before = self.before + self.last
        sounding = max(0, min(units, self._silent_after - since)) if before else 0
        if decoder is not None and sounding:
            guess = decoder.conceal(codec.line_bytes(sounding) // codec.sample_bytes)
            if guess:
                self._is_guess = True
                missing = codec.line_bytes(units) - len(guess)
                return faded(codec, guess, since) + codec.silence * (missing // codec.sample_bytes)
        line = conceal(codec, before, units, since)
        if decoder is not None and sounding:
            decoder.follow(line[: codec.line_bytes(sounding)])
        return line
