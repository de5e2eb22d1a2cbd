"""Codecs with a memory: what goes in comes out, by ear; nonsense is a ValueError."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from media.codecs import CODECS, Codec
from media.conceal import conceal
from media.resample import Resampler
from tests.helpers.audio import loudest_hz, tone

CODED = pytest.mark.parametrize(
    "codec", [row for row in CODECS.values() if row.decoder is not None], ids=lambda row: row.name
)
SPEECH = Path(__file__).parents[2] / "bridge/demo/speech"
PTIMES = pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])


def through(codec: Codec, pcm: np.ndarray, ptime_ms: int) -> tuple[np.ndarray, list[bytes]]:
    assert codec.encoder is not None
    assert codec.decoder is not None
    encoder, decoder = codec.encoder(), codec.decoder()
    size = codec.frame_bytes(ptime_ms)
    line = pcm.astype(np.int16).tobytes()
    payloads = [encoder.encode(line[at : at + size]) for at in range(0, len(line) - size + 1, size)]
    return np.frombuffer(b"".join(decoder.decode(payload) for payload in payloads), np.int16), payloads


@CODED
@PTIMES
def test_a_tone_survives_in_pitch_level_and_length(codec: Codec, ptime_ms: int) -> None:
    song = tone(1000, 0.6, codec.line_rate_hz)
    heard, payloads = through(codec, song, ptime_ms)
    assert len(payloads) == 600 // ptime_ms
    assert all(payloads)
    assert len(heard) == len(song)
    tail = heard[codec.line_rate_hz // 10 :]
    assert loudest_hz(tail, codec.line_rate_hz) == pytest.approx(1000, abs=5)
    loudness = np.sqrt((tail.astype(float) ** 2).mean()) / np.sqrt((song.astype(float) ** 2).mean())
    assert 0.7 < loudness < 1.3


@CODED
def test_a_payload_says_how_long_it_lasts(codec: Codec) -> None:
    _, payloads = through(codec, tone(440, 0.2, codec.line_rate_hz), 20)
    assert codec.decoder is not None
    decoder = codec.decoder()
    assert {codec.units(decoder.decode(payload)) for payload in payloads} == {codec.clock_rate_hz // 50}


@CODED
def test_an_empty_payload_is_no_audio(codec: Codec) -> None:
    assert codec.decoder is not None
    assert codec.decoder().decode(b"") == b""


@pytest.mark.parametrize("name", ["opus", "L16/8000", "L16/16000"])
def test_nonsense_is_a_value_error_and_the_decoder_goes_on(name: str) -> None:
    codec = CODECS[name]
    assert codec.decoder is not None
    _, payloads = through(codec, tone(440, 0.1, codec.line_rate_hz), 20)
    decoder = codec.decoder()
    decoder.decode(payloads[0])
    with pytest.raises(ValueError, match="payload of"):
        decoder.decode(b"\xff" * 3 if name == "opus" else b"123")
    assert codec.units(decoder.decode(payloads[1])) == codec.clock_rate_hz // 50


def test_garbage_never_raises_anything_else() -> None:
    rng = np.random.default_rng(5)
    for name in ("G722", "opus", "L16/8000"):
        make = CODECS[name].decoder
        assert make is not None
        decoder = make()
        for size in range(1, 80):
            try:
                decoder.decode(rng.bytes(size))
            except ValueError:
                continue


def test_l16_is_in_network_byte_order() -> None:
    make = CODECS["L16/8000"].encoder
    assert make is not None
    assert make().encode(np.array([0x0102, -2], "<i2").tobytes()) == b"\x01\x02\xff\xfe"


def test_opus_packets_are_small() -> None:
    _, payloads = through(CODECS["opus"], tone(440, 1.0, 48000), 20)
    assert sum(map(len, payloads)) < 48000 / 8


# --- after a loss ---------------------------------------------------------------------------------------------------


def speech(rate_hz: int) -> np.ndarray:
    """The callers of the demo, one after the other."""
    parts = []
    for path in sorted(SPEECH.glob("caller_*.wav")):
        with wave.open(str(path)) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            parts.append(Resampler(file.getframerate(), rate_hz).push(pcm))
    return np.concatenate(parts)


def nearness_db(codec: Codec, is_told: bool, packets_lost: int) -> float:
    """Of the 20 ms after a loss to what they would have been without it; over all losses inside words."""
    assert codec.encoder is not None
    assert codec.decoder is not None
    encoder, line, size = codec.encoder(), speech(codec.line_rate_hz).tobytes(), codec.frame_bytes(20)
    payloads = [encoder.encode(line[at : at + size]) for at in range(0, len(line) - size + 1, size)]
    whole = codec.decoder()
    truth = [np.frombuffer(whole.decode(payload), np.int16).astype(float) for payload in payloads]
    signal = error = 0.0
    for lost in range(12, len(payloads) - packets_lost, 5):
        back = lost + packets_lost
        if min(np.abs(truth[lost - 1]).mean(), np.abs(truth[back]).mean()) < 300:
            continue
        decoder = codec.decoder()
        before = b"".join([decoder.decode(payload) for payload in payloads[:lost]][-2:])
        if is_told:
            units = packets_lost * codec.clock_rate_hz // 50
            if not decoder.conceal(units * codec.line_rate_hz // codec.clock_rate_hz):
                decoder.follow(conceal(codec, before, units))
        heard = np.frombuffer(decoder.decode(payloads[back]), np.int16)
        signal += float((truth[back] ** 2).sum())
        error += float(((heard - truth[back]) ** 2).sum())
    return 10 * float(np.log10(signal / error))


@pytest.mark.parametrize(("name", "packets_lost", "gain_db"), [("G722", 1, 1.5), ("opus", 1, 3.0), ("opus", 2, 1.0)])
def test_a_decoder_that_is_told_of_a_loss_is_nearer_to_the_truth_after_it(
    name: str, packets_lost: int, gain_db: float
) -> None:
    told, untold = (nearness_db(CODECS[name], is_told, packets_lost) for is_told in (True, False))
    assert told >= untold + gain_db, (told, untold)


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_opus_guesses_as_much_as_it_is_asked_for(ptime_ms: int) -> None:
    codec = CODECS["opus"]
    assert codec.decoder is not None
    _, payloads = through(codec, tone(300, 0.6, 48000), ptime_ms)
    decoder = codec.decoder()
    assert decoder.conceal(480) == b""  # nothing was ever heard
    for payload in payloads:
        last = decoder.decode(payload)
    steps = b"".join(decoder.conceal(480) for _ in range(6))
    assert len(steps) == 6 * 960
    assert np.abs(np.frombuffer(steps, np.int16)[:480].astype(int)).max() > np.abs(codec.decode(last)).max() / 2
    assert len(decoder.conceal(7)) == 14
    assert len(decoder.decode(payloads[0])) == codec.frame_bytes(ptime_ms)


@CODED
def test_a_decoder_goes_on_after_any_loss(codec: Codec) -> None:
    assert codec.decoder is not None
    _, payloads = through(codec, tone(300, 0.2, codec.line_rate_hz), 20)
    decoder = codec.decoder()
    for payload in payloads:
        decoder.follow(b"")
        decoder.follow(codec.silence * 7)
        decoder.conceal(7)
        assert len(decoder.decode(payload)) == codec.frame_bytes(20)


def test_what_is_loaded_beforehand() -> None:
    """In a process of its own: here PyAV is loaded already."""
    for codecs, is_loaded in (((), False), (("PCMU", "L16/8000"), False), (("PCMA", "opus"), True)):
        code = f"import sys; from media import coders; coders.prepare({codecs!r}); print('av' in sys.modules)"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert said.strip() == str(is_loaded)


def test_a_g722_stream_goes_on_when_the_length_of_its_packets_changes() -> None:
    codec = CODECS["G722"]
    assert codec.encoder is not None
    line = tone(330, 0.6, 16000).tobytes()
    whole = codec.encoder()
    expected = b"".join(whole.encode(line[at : at + 320]) for at in range(0, len(line), 320))
    encoder, sent, at = codec.encoder(), b"", 0
    for ptime_ms in (10, 60, 20, 30, 40, 10, 60, 60, 10, 60, 20, 30, 40, 50, 50, 50):
        size = codec.frame_bytes(ptime_ms)
        sent += encoder.encode(line[at : at + size])
        at += size
        assert len(sent) == at // 4
    assert sent == expected[: len(sent)]
