"""The near end: one caller's RTP stream, both ways. Knows RTP and codecs; knows no socket and no clock.

Receiving: parse, lock the source (symmetric RTP), count, take digits out, and hand up what the platform is to hear.
Sending: one packet per tick for as long as the call lasts (silence when nobody speaks), with one SSRC, sequence numbers
and timestamps that never jump: neither for a re-INVITE nor for a new far end.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from media import inband, rtp
from media.codecs import CODECS, Codec, Decoder, Encoder
from media.dtmf import DigitReceiver, DigitSender, EventPacket, Press
from media.inband import InbandDetector
from media.mender import Mender
from media.playout import Playout
from media.reorder import Reorder
from media.reporting import Received, Sent
from media.source import LEARN_S, goes_on
from media.srtp import Refused, SrtpSession, session
from media.turns import STRIDE, TurnMeter
from media.uplink import DROP, Uplink
from media.wire import NearReport, NearSpec

Address = tuple[str, int]

STRAGGLERS_S = 0.5
"What comes so soon after the caller has put us on hold was under way, and is no music."
COMFORT_NOISE = 13
"Static payload type of comfort noise (RFC 3389). The filler plays its part."


class NearEnd:
    """One caller. `receive` is called per datagram, `tick` when frames are due."""

    # fmt: off
    __slots__ = (
        "_decoder", "_encoder", "_event_began", "_inband", "_inband_wanted", "_last_heard", "_locked", "_locked_by_sdp",
        "_mark", "_negotiated_at", "_octets", "_reorder", "_sdp_peer", "_sequence", "_silence", "_spec", "_started",
        "_step", "_their_ssrc", "_timestamp", "codec", "digits", "late", "malformed", "max_gap_s", "mender", "on_air",
        "presses", "reception", "sender", "sent", "srtp", "ssrc", "ssrc_changes", "ticks_late", "ticks_skipped",
        "turns", "unauthenticated", "uplink", "wrong_payload_type", "wrong_source",
    )
    # fmt: on

    def __init__(self, *, inband_dtmf: bool = False) -> None:
        self.ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(15)  # the top half would risk SRTP's first wrap (RFC 3711, 3.3.1)
        self._timestamp = secrets.randbits(32)
        self._mark = True
        self._event_began = 0
        "Timestamp of the digit that is being sent."
        self._spec: NearSpec | None = None
        self._sdp_peer: Address = ("", 0)
        self._locked: Address | None = None
        self._locked_by_sdp = False
        self._negotiated_at = self._last_heard = self.max_gap_s = 0.0
        self._their_ssrc: int | None = None
        self._silence = b""
        self._step = 0
        "Timestamp units of one frame."
        self._started = False
        self.codec: Codec = CODECS["PCMU"]
        self._decoder: Decoder | None = None
        self._encoder: Encoder | None = None
        self.turns = TurnMeter(self.codec)
        self._reorder = Reorder()
        self.mender = Mender(self.codec)
        self.srtp: SrtpSession | None = None
        self._inband_wanted = inband_dtmf
        self._inband: InbandDetector | None = None
        self.uplink = Uplink(self.codec.clock_rate_hz)
        self.reception = rtp.Reception(self.codec.clock_rate_hz)
        self.digits = DigitReceiver(self.codec.clock_rate_hz)
        self.sender = DigitSender(self.codec.clock_rate_hz, 20)
        self.on_air: Callable[[bytes], None] | None = None
        "Told what the caller hears, frame by frame, in the codec in use (for the recording)."
        self.presses: list[Press] = []
        "Keys heard; whoever calls `receive` or `tick` takes them out."
        self.wrong_source = self.wrong_payload_type = self.malformed = self.unauthenticated = 0
        self.late = 0
        "Packets that came when nobody waited for them any more. Not those that the reorder window has saved."
        self.ssrc_changes = self.sent = self._octets = self.ticks_late = self.ticks_skipped = 0

    @property
    def started(self) -> bool:
        return self._started

    @property
    def peer(self) -> Address:
        """Where to send: where the caller's packets really come from, else what the SDP says."""
        return self._locked or self._sdp_peer

    @property
    def rtcp_peer(self) -> Address:
        """Where to send RTCP, by the SDP; what that does not name is as with the audio, wherever it really goes."""
        (host, port), spec = self.peer, self._spec
        if spec is None or spec.rtcp_mux:
            return host, port
        return spec.rtcp_host or host, spec.rtcp_port or port + 1

    @property
    def ptime_ms(self) -> int:
        return self._spec.ptime_ms if self._spec else 20

    @property
    def expects_audio(self) -> bool:
        """Who has us on hold may send music, and need not (RFC 3264, 8.4): only one who has begun is expected to."""
        spec = self._spec
        if not self._started or spec is None or not spec.sends:
            return False
        return spec.receives or self._last_heard > self._negotiated_at + STRAGGLERS_S

    def start(self, spec: NearSpec, now: float) -> None:
        """The SDP has been agreed on, for the first time or anew. Raises ValueError for a codec we do not have."""
        if spec.codec not in CODECS:
            raise ValueError(f"no such codec: {spec.codec}")
        moved = (spec.host, spec.port) != self._sdp_peer
        resumed = self._spec is not None and spec.receives and not self._spec.receives
        before, self._spec = self._spec, spec
        if CODECS[spec.codec] is not self.codec:
            self._use(CODECS[spec.codec])
        self._listen_for_keys()
        self.srtp = session(self.srtp, before.srtp if before else None, spec.srtp)
        self._silence = self.codec.silence * (self.codec.frame_bytes(spec.ptime_ms) // self.codec.sample_bytes)
        self._step = self.codec.units(self._silence)
        if moved:
            self._sdp_peer = (spec.host, spec.port)
            self._locked, self._locked_by_sdp = None, False
        self.sender.use(self.codec.clock_rate_hz, spec.ptime_ms, spec.dtmf_payload_type >= 0)
        self._negotiated_at = now
        self._last_heard = now
        self._mark = self._mark or resumed or moved
        self._started = True

    def receive(self, data: bytes, source: Address, now: float) -> bytes | None:
        """One datagram. Returns caller's audio for the platform (silence put in where some is missing), or None."""
        spec = self._spec
        if spec is None:
            return None  # nothing negotiated yet: nobody we know can be sending
        if self.srtp is not None:
            try:
                data = self.srtp.unprotect(data)
            except Refused:
                self.unauthenticated += 1
                return None
        try:
            packet = rtp.parse(data)
        except rtp.Malformed:
            self.malformed += not rtp.is_rtcp(data)  # the shortest reports are shorter than an RTP header
            return None
        payload_type = packet.payload_type
        is_audio = payload_type == spec.payload_type
        if not is_audio and payload_type not in (spec.dtmf_payload_type, COMFORT_NOISE):
            self._refuse(packet, source, data)
            return None
        if source != self._locked and not self._accept(source, packet, now):
            self.wrong_source += 1
            return None
        if packet.ssrc != self._their_ssrc:
            self._new_ssrc(packet.ssrc)
        self.max_gap_s = max(self.max_gap_s, now - self._last_heard)
        self._last_heard = now
        verdict = self.reception.arrive(packet.sequence, packet.timestamp, now, is_audio)
        if verdict == rtp.Reception.STRAY:
            self.late += 1
            return None
        rest = self._new_stream(now) if verdict == rtp.Reception.RESTART else b""
        if not is_audio:
            if payload_type == spec.dtmf_payload_type:
                self.presses += self.digits.receive(packet.timestamp, packet.payload, now)
            if verdict != rtp.Reception.DUPLICATE and self._reorder.is_awaited(packet.sequence):
                return self._deliver_all(self._reorder.skip(packet.sequence, now), False, now)
            return rest or None
        if verdict == rtp.Reception.IN_ORDER and not self._reorder.active:
            return self._deliver(packet, False, now)
        audio = self._out_of_order(packet, verdict, now)
        return rest + (audio or b"") if rest else audio

    def _out_of_order(self, packet: rtp.Packet, verdict: int, now: float) -> bytes | None:
        """Something is missing, late or twice, or has lately been: see media.reorder."""
        reorder = self._reorder
        if verdict == rtp.Reception.DUPLICATE:
            return None
        if verdict == rtp.Reception.LATE:
            awaited = reorder.is_awaited(packet.sequence)
            if not awaited:
                self.late += 1
                reorder.late(self.reception.next_sequence, now)
                return None
        if not reorder.active:
            reorder.gap(now)
            return self._deliver(packet, verdict == rtp.Reception.AHEAD, now)
        return self._deliver_all(reorder.push(packet, now), False, now)

    def _deliver_all(self, packets: list[rtp.Packet], after_loss: bool, now: float) -> bytes | None:
        audio = b"".join(self._deliver(packet, after_loss, now) or b"" for packet in packets)
        return audio or None

    def _deliver(self, packet: rtp.Packet, after_loss: bool, now: float) -> bytes | None:
        """One packet in order: decoded, held against the clock, with what must stand before it."""
        if self._decoder is None:
            line = packet.payload
        else:
            if after_loss:
                self.mender.lose(self.uplink.gap(packet.timestamp))
            try:
                line = self._decoder.decode(packet.payload)
            except ValueError:
                self.malformed += 1
                return None
        codec, uplink, mender = self.codec, self.uplink, self.mender
        if not packet.sequence % STRIDE:
            self.turns.caller(line, mender.last, mender.before, now)
        if self._inband is not None:
            self.presses += self._inband.hear(codec.decode(line))
        quiet = uplink.crowded and codec.is_quiet(line)
        hole = after_loss and uplink.gap(packet.timestamp) > 0
        fill = uplink.admit(packet.timestamp, codec.units(line), quiet, now)
        if hole and fill <= 0:  # the ledger stands ahead, or the packet is left out as well
            mender.miss()
        elif fill == DROP:
            mender.leave_out(line)
        if fill == DROP:
            return None
        missing = self._stand_in(fill, after_loss) if fill else b""
        if mender.is_open:
            line = mender.joined(line)
        mender.before, mender.last = mender.last, line
        return missing + line if missing else line

    def _stand_in(self, units: int, sounding: bool) -> bytes:
        """For packets that are missing the sound before them, fading; for a pause of the caller's silence."""
        if sounding:
            return self.mender.stand_in(units)
        self.mender.pause()
        return self.codec.silence * (self.codec.line_bytes(units) // self.codec.sample_bytes)

    def overdue(self, now: float) -> bytes | None:
        """Asked every tick: audio that was held back for a packet that has not come."""
        return self._deliver_all(self._reorder.due(now), True, now) if len(self._reorder) else None

    def tick(self, frames: int, skipped: int, playout: Playout, now: float, early: float = 0.0) -> list[bytes]:
        """`frames` packets are due, or one is that much `early`; `skipped` had to be left out before them, the
        timestamps run on over these.
        """
        spec = self._spec
        if spec is None:
            return []
        step = self._step
        if skipped:
            self._timestamp = (self._timestamp + skipped * step) & 0xFFFFFFFF
            self.ticks_skipped += skipped
            self._mark = True
        out: list[bytes] = []
        for _ in range(frames):
            heard = playout.next(now, early) or self._silence
            event = self.sender.poll() if self.sender.busy and spec.receives else None
            if spec.receives:
                if event is not None and spec.dtmf_payload_type >= 0:
                    out.append(self._event_packet(event, spec.dtmf_payload_type))
                else:
                    payload = self._encoder.encode(heard) if self._encoder else heard
                    out.append(self._audio_packet(payload, spec.payload_type))
                self._sequence = (self._sequence + 1) & 0xFFFF
            else:  # on hold: the clock runs, the agent's audio waits for nobody
                heard = self._silence
                playout.unheard()
            self._timestamp = (self._timestamp + step) & 0xFFFFFFFF
            self._octets += len(out[-1]) - rtp.HEADER_BYTES if spec.receives else 0
            if heard is not self._silence and (self.turns.is_awaited or not self._sequence % STRIDE):
                self.turns.agent(heard, now)
            if self.on_air is not None:
                self.on_air(heard)
        self.sent += len(out)
        if self.digits.pending:
            self.presses += self.digits.overdue(now)
        return [self.srtp.protect(packet) for packet in out] if self.srtp is not None else out

    def as_sent(self, now: float) -> Sent:
        """Our stream as our RTCP tells of it."""
        return Sent(self.sent, self._octets, self._timestamp, now)

    def as_received(self) -> Received | None:
        """Theirs; None while nothing has come."""
        seen = self.reception
        if self._their_ssrc is None or not seen.received:
            return None
        return Received(self._their_ssrc, seen.expected, seen.received, seen.highest, seen.jitter)

    def filler(self, now: float) -> bytes | None:
        """Asked every tick: what stands in for the caller, whose audio has stopped coming."""
        units = self.uplink.fill(self._step or self.codec.clock_rate_hz // 50, now, self.reception.jitter_ms)
        return self._stand_in(units, True) if units else None

    def quiet_ms(self, now: float) -> int:
        """How long nothing has come from a caller who should be sending."""
        return int((now - self._last_heard) * 1000) if self.expects_audio else 0

    def report(self, send_errors: int) -> NearReport:
        seen = self.reception
        return NearReport(
            received=seen.received,
            expected=seen.expected,
            lost=seen.lost,
            late=self.late,
            duplicate=seen.duplicate,
            wrong_source=self.wrong_source,
            wrong_payload_type=self.wrong_payload_type,
            malformed=self.malformed,
            unauthenticated=self.unauthenticated,
            ssrc_changes=self.ssrc_changes,
            jitter_ms=round(seen.jitter_ms, 3),
            max_gap_ms=round(self.max_gap_s * 1000, 3),
            sent=self.sent,
            send_errors=send_errors,
            ticks_late=self.ticks_late,
            ticks_skipped=self.ticks_skipped,
        )

    def _refuse(self, packet: rtp.Packet, source: Address, data: bytes) -> None:
        """Neither audio nor an event nor comfort noise: count it where an operator would look for it."""
        if rtp.is_rtcp(data):
            return  # it has no business on this port, and does no harm (RFC 5761)
        if source in (self._locked, self._sdp_peer):
            self.wrong_payload_type += 1
        else:
            self.wrong_source += 1

    def _accept(self, source: Address, packet: rtp.Packet, now: float) -> bool:
        """Symmetric RTP with a lock: may this unlocked source speak for the caller?

        The SDP's own address always wins. Another one is believed only within the first seconds and while the SDP's
        address is silent (the caller is behind a NAT), or when the locked one has fallen silent and the stream goes on
        with the same SSRC, which a third party cannot know.
        """
        from_sdp = source == self._sdp_peer
        learning = self._locked is None and now - self._negotiated_at < LEARN_S
        moved = (
            self._locked is not None
            and packet.ssrc == self._their_ssrc
            and goes_on(self.reception, packet.sequence, now - self._last_heard, self.ptime_ms, self.srtp is not None)
        )
        if not (learning or moved or (from_sdp and not self._locked_by_sdp)):
            return False
        self._locked, self._locked_by_sdp = source, from_sdp
        return True

    def _new_ssrc(self, ssrc: int) -> None:
        if self._their_ssrc is not None:
            self.ssrc_changes += 1
            self.reception.restart()
        self._their_ssrc = ssrc

    def _new_stream(self, now: float) -> bytes:
        """Another SSRC, or the far side began anew: returns the audio of packets that were held for the old gaps.

        The decoder begins anew as well. One that remembers another encoder's past answers with a loud scratch, one that
        remembers nothing is at worst quiet for a moment.
        """
        rest = self._deliver_all(self._reorder.reset(), True, now) or b""
        self.uplink.new_stream()
        if self.codec.decoder is not None:
            self._decoder = self.codec.decoder()
        self.mender.renew(self._decoder)
        return rest

    def _listen_for_keys(self) -> None:
        """Tones in the audio: if wanted, in any codec whose rate the detector knows, and no events were agreed on.

        Many a trunk that sends telephone-events leaves the tones in the audio: each key would be heard twice.
        """
        rate_hz, has_events = self.codec.line_rate_hz, self._spec is not None and self._spec.dtmf_payload_type >= 0
        if not self._inband_wanted or has_events or rate_hz not in inband.RATES_HZ:
            self._inband = None
        elif self._inband is None:
            self._inband = InbandDetector(rate_hz)

    def _use(self, codec: Codec) -> None:
        self.codec = codec
        self._decoder = codec.decoder() if codec.decoder else None
        self._encoder = codec.encoder() if codec.encoder else None
        self.mender.use(codec, self._decoder)
        self._reorder.reset()
        self._inband = None
        self.turns.use(codec)
        self.uplink.use_rate(codec.clock_rate_hz)
        self.reception.use_rate(codec.clock_rate_hz)
        self.digits.use_rate(codec.clock_rate_hz)

    def _audio_packet(self, payload: bytes, payload_type: int) -> bytes:
        mark, self._mark = self._mark, False
        return rtp.serialize(payload_type, self._sequence, self._timestamp, self.ssrc, payload, mark)

    def _event_packet(self, event: EventPacket, payload_type: int) -> bytes:
        if event.marker:
            self._event_began = self._timestamp
        return rtp.serialize(payload_type, self._sequence, self._event_began, self.ssrc, event.payload, event.marker)
