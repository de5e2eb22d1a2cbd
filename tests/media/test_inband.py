"""In-band DTMF: every digit that Q.24 says must be taken, none that it says must be refused, and no speech."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs import CODECS
from media.dtmf import Press
from media.inband import COLUMNS_HZ, KEYS, ROWS_HZ, InbandDetector, Samples
from tests.helpers.audio import silence, tone

DIGITS = "".join(KEYS)
ROOT = Path(__file__).parent.parent.parent
SPEECH = sorted(ROOT.glob("bridge/*/speech/*.wav"))
LEVEL_DB = -16.0
"Of each tone, below a full-scale sine: about -13 dBm0."


def key(
    digit: str,
    duration_ms: float = 100,
    *,
    rate_hz: int = 8000,
    level_db: float = LEVEL_DB,
    twist_db: float = 0.0,
    row_off: float = 0.0,
    column_off: float = 0.0,
    phase: float = 0.7,
) -> Samples:
    """The two tones of a digit. `twist_db`: how much stronger the column is than the row; the louder has `level_db`."""
    row = next(n for n, keys in enumerate(KEYS) if digit in keys)
    column = KEYS[row].index(digit)
    row_db, column_db = level_db - max(0.0, twist_db), level_db + min(0.0, twist_db)
    low_hz, high_hz = ROWS_HZ[row] * (1 + row_off), COLUMNS_HZ[column] * (1 + column_off)
    return mixed(
        sine(low_hz, duration_ms, rate_hz, row_db, phase),
        sine(high_hz, duration_ms, rate_hz, column_db, 2 * phase + 1),
    )


def sine(hz: float, duration_ms: float, rate_hz: int, level_db: float, phase: float = 0.0) -> Samples:
    return tone(hz, duration_ms / 1000, rate_hz, peak=round(32767 * 10 ** (level_db / 20)), phase=phase)


def mixed(*parts: Samples) -> Samples:
    return clipped(np.sum([part.astype(np.int32) for part in parts], axis=0))


def clipped(wave: npt.NDArray[np.generic]) -> Samples:
    pcm: Samples = np.clip(wave, -32768, 32767).astype(np.int16)
    return pcm


def noisy(pcm: Samples, ratio_db: float, seed: int = 24) -> Samples:
    """With white noise that much below what is loud in it."""
    loud = pcm[np.abs(pcm) > 0].astype(float)
    noise = np.random.default_rng(seed).normal(0, np.sqrt(np.mean(loud**2) / 10 ** (ratio_db / 10)), len(pcm))
    return clipped(pcm + noise)


def dialled(digits: str, tone_ms: float = 50, pause_ms: float = 50, *, rate_hz: int = 8000, **how: float) -> Samples:
    pause = silence(pause_ms / 1000, rate_hz)
    parts = [
        part for n, digit in enumerate(digits) for part in (key(digit, tone_ms, rate_hz=rate_hz, phase=n, **how), pause)
    ]
    return np.concatenate([silence(0.1, rate_hz), *parts, silence(0.1, rate_hz)])


def presses(pcm: Samples, rate_hz: int = 8000, frame: int = 160) -> list[Press]:
    detector = InbandDetector(rate_hz)
    return [press for at in range(0, len(pcm), frame) for press in detector.hear(pcm[at : at + frame])]


def heard(pcm: Samples, rate_hz: int = 8000) -> str:
    """The digits in this sound and the silence after it: a key is told when it is released."""
    pcm = np.concatenate([pcm, silence(0.1, rate_hz)])
    return "".join(press.digit for press in presses(pcm, rate_hz, rate_hz // 50))


# --- what must be taken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("level_db", [-6.1, -16, -26, -36])
@pytest.mark.parametrize(("tone_ms", "pause_ms"), [(40, 40), (50, 50), (100, 45), (45, 200)])
def test_all_sixteen(rate_hz: int, level_db: float, tone_ms: float, pause_ms: float) -> None:
    assert heard(dialled(DIGITS, tone_ms, pause_ms, rate_hz=rate_hz, level_db=level_db), rate_hz) == DIGITS


@pytest.mark.parametrize("twist_db", [4, 2, -4, -8])
@pytest.mark.parametrize("off", [(0, 0), (0.015, 0.015), (-0.015, 0.015), (0.015, -0.015), (-0.015, -0.015)])
def test_out_of_balance_and_out_of_tune(twist_db: float, off: tuple[float, float]) -> None:
    assert heard(dialled(DIGITS, 40, 40, twist_db=twist_db, row_off=off[0], column_off=off[1])) == DIGITS


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("twist_db", [4, 0, -8])
def test_in_noise(rate_hz: int, twist_db: float) -> None:
    pcm = dialled(DIGITS, 50, 50, rate_hz=rate_hz, twist_db=twist_db)
    assert heard(noisy(pcm, 15), rate_hz) == DIGITS


def test_louder_than_full_scale() -> None:
    """Two tones of 0 dBm0 each do not fit into G.711: they are clipped, and still a digit."""
    assert heard(dialled(DIGITS, 50, 50, level_db=-3.1)) == DIGITS


@pytest.mark.parametrize("level_db", [-6.1, -20, -36])
@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_after_g711(law: str, level_db: float) -> None:
    codec = CODECS[law]
    assert heard(codec.decode(codec.encode(dialled(DIGITS, 50, 50, level_db=level_db)))) == DIGITS


def test_whatever_the_alignment() -> None:
    for lead in range(64):
        pcm = np.concatenate([np.zeros(lead, np.int16), dialled("1D60", 40, 40)])
        assert heard(pcm) == "1D60", lead


@pytest.mark.parametrize("frame", [1, 7, 80, 160, 161, 480, 100_000])
@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_frames_of_any_length(frame: int, rate_hz: int) -> None:
    pcm = dialled("19#", 60, 60, rate_hz=rate_hz)
    assert presses(pcm, rate_hz, frame) == presses(pcm, rate_hz, 160)
    assert [press.digit for press in presses(pcm, rate_hz, frame)] == ["1", "9", "#"]


def test_empty_frames() -> None:
    detector = InbandDetector(8000)
    pcm = dialled("5")
    found = [
        press for at in range(0, len(pcm), 160) for press in detector.hear(pcm[at : at + 160]) + detector.hear(pcm[:0])
    ]
    assert [press.digit for press in found] == ["5"]


# --- one press or two, and for how long -------------------------------------------------------------------------------


@pytest.mark.parametrize("pause_ms", [40, 60, 500])
def test_the_same_key_again(pause_ms: float) -> None:
    assert heard(dialled("5555", 40, pause_ms)) == "5555"


@pytest.mark.parametrize("break_ms", [2, 5, 10])
def test_a_break_in_a_tone_does_not_make_it_two(break_ms: int) -> None:
    for lead in range(0, 64, 5):
        parts = [np.zeros(lead, np.int16), key("8", 60), silence(break_ms / 1000), key("8", 60)]
        assert heard(np.concatenate(parts)) == "8"


@pytest.mark.parametrize("duration_ms", [40, 65, 100, 250, 1000])
@pytest.mark.parametrize("digit", "1*D")
def test_how_long(digit: str, duration_ms: int) -> None:
    (press,) = presses(np.concatenate([silence(0.05), key(digit, duration_ms), silence(0.1)]))
    assert press.digit == digit
    assert press.duration_ms == pytest.approx(duration_ms, abs=8)


def test_it_is_told_when_the_key_is_released() -> None:
    detector = InbandDetector(8000)
    parts = [np.concatenate([silence(0.05), key("7", 300)]), silence(0.02), silence(0.03), silence(1.0)]
    told = [([press.digit for press in detector.hear(part)], detector.is_down) for part in parts]
    assert told == [([], True), ([], True), (["7"], False), ([], False)]


def test_reset_forgets_a_key_that_is_down() -> None:
    detector = InbandDetector(8000)
    detector.hear(key("7", 300))
    detector.reset()
    assert not detector.is_down
    assert detector.hear(silence(0.5)) == []
    assert [press.digit for press in detector.hear(dialled("3"))] == ["3"]


# --- what must be refused ---------------------------------------------------------------------------------------------


def test_too_short() -> None:
    for digit, lead in itertools.product(DIGITS, range(0, 32, 4)):
        assert heard(np.concatenate([np.zeros(lead, np.int16), key(digit, 23)])) == ""


@pytest.mark.parametrize("off", [0.035, -0.035, 0.05])
def test_out_of_tune(off: float) -> None:
    assert heard(dialled(DIGITS, 100, 50, row_off=off)) == ""
    assert heard(dialled(DIGITS, 100, 50, column_off=off)) == ""


@pytest.mark.parametrize("twist_db", [8, -12])
def test_out_of_balance(twist_db: float) -> None:
    assert heard(dialled(DIGITS, 100, 50, twist_db=twist_db)) == ""


def test_too_quiet() -> None:
    assert heard(dialled(DIGITS, 100, 50, level_db=-46)) == ""


@pytest.mark.parametrize("hz", [350, 425, 440, 697, 941, 1004, 1209, 1477, 2100])
def test_one_tone_alone(hz: float) -> None:
    assert heard(sine(hz, 2000, 8000, -10)) == ""


@pytest.mark.parametrize(
    "others",
    [
        pytest.param((350, 440), id="dial tone"),
        pytest.param((480, 620), id="busy"),
        pytest.param((697, 770), id="two rows"),
        pytest.param((1209, 1336), id="two columns"),
        pytest.param((697, 1209, 1394, 2418), id="a 1 with the harmonics of a voice"),
        pytest.param((770, 1336, 2672), id="a 5 with one"),
        pytest.param((697, 1209, 440), id="a 1 and something else"),
        pytest.param((697, 852, 1209, 1477), id="1, 3, 7 and 9 at once"),
    ],
)
def test_chords(others: tuple[float, ...]) -> None:
    assert heard(mixed(*(sine(hz, 1000, 8000, -18) for hz in others))) == ""


@pytest.mark.parametrize(("digit", "harmonic_hz"), [("1", 2 * 1209), ("5", 2 * 1336), ("*", 2 * 941), ("#", 2 * 941)])
def test_a_voice_has_a_second_harmonic(digit: str, harmonic_hz: float) -> None:
    """10 dB below the tones: pure enough to be a digit, were it not for what a generator does not make."""
    for below_db, digits in ((10, ""), (24, digit)):
        harmonic = sine(harmonic_hz, 300, 8000, LEVEL_DB - below_db)
        assert heard(mixed(key(digit, 300), harmonic)) == digits


def test_noise_and_a_tone_that_glides() -> None:
    noise = np.random.default_rng(1).normal(0, 6000, 160_000)
    assert heard(clipped(noise)) == ""
    at = np.arange(8000) / 8000
    for up_hz in (2000, 3000, 5000):  # per second: it crosses every row and column, and stays at none for 40 ms
        glides = [np.sin(2 * np.pi * (hz * at + up_hz / 2 * at**2)) for hz in (300, 900)]
        assert heard(clipped(9000 * np.sum(glides, axis=0))) == ""


# --- talk-off ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: str(path.stem))
@pytest.mark.parametrize("speed", [0.7, 0.85, 1.0, 1.2, 1.5])
def test_speech_is_no_digit(path: Path, speed: float) -> None:
    """Played slower and faster too: other voices, as far as pitch and vowels go."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    played = np.interp(np.arange(0, len(pcm) - 1, speed), np.arange(len(pcm)), pcm).astype(np.int16)
    assert heard(played) == ""
    assert heard(mixed(played, played, played)) == ""  # shouted


def test_there_is_speech_to_test_with() -> None:
    assert len(SPEECH) >= 7


@pytest.mark.parametrize("path", SPEECH[:2], ids=lambda path: str(path.stem))
def test_digits_between_words(path: Path) -> None:
    with wave.open(str(path)) as file:
        words = np.frombuffer(file.readframes(8000), np.int16)
    assert heard(np.concatenate([words, dialled("42#"), words, dialled("0"), words])) == "42#0"
