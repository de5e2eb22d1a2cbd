"""Makes the recordings of demo and simulators from the words beside them: `make speech`.

The WAVs are in the repository, so nobody needs a speech synthesiser to run anything; this is how they were made and how
they are made again after a sentence has changed. flite (Debian package `flite`) speaks with CMU's ARCTIC voices at
16 kHz; a telephone line has 8 kHz and nothing above 3.4 kHz, so the voice is filtered and halved in rate, cut to the
words, and brought to the level of a phone line.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

HERE = Path(__file__).parent
VOICES: dict[Path, str] = {
    HERE.parent / "simulators" / "speech": "slt",
    HERE / "speech": "rms",
}
"Which voice speaks the sentences of which folder: the agent a woman's, the caller a man's, told apart by anyone."

RATE_HZ = 8000
LEVEL_DBFS = -18.0
"RMS over the spoken parts; a usual speech level on digital trunks, with peaks well below clipping."
EDGE_MS = 20
"Silence left at both ends, so that no consonant is cut."
QUIET = 0.01
"What counts as silence at the ends, against the loudest sample."


def speak(words: str, voice: str) -> tuple[Samples, int]:
    """The sentence as flite says it, and its rate."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", words, "-o", file.name], check=True)
        with wave.open(file.name, "rb") as wav:
            if (wav.getsampwidth(), wav.getnchannels()) != (2, 1):
                raise ValueError(f"flite's voice {voice} does not speak 16-bit mono")
            pcm = np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2")
            return pcm.astype(np.float64) / 32768, wav.getframerate()


def halved(samples: Samples, taps: int = 127) -> Samples:
    """Half the rate: a windowed-sinc low pass at 3.4 kHz (of 16 kHz), then every second sample."""
    cutoff = 3400 / (2 * RATE_HZ)
    at = np.arange(taps) - (taps - 1) / 2
    kernel = 2 * cutoff * np.sinc(2 * cutoff * at) * np.blackman(taps)
    filtered: Samples = np.convolve(samples, kernel / kernel.sum(), mode="same")
    return filtered[::2]


def trimmed(samples: Samples) -> Samples:
    """Without the silence at both ends, but for EDGE_MS of it."""
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max())
    edge = RATE_HZ * EDGE_MS // 1000
    return samples[max(loud[0] - edge, 0) : loud[-1] + edge + 1]


def levelled(samples: Samples) -> Samples:
    """Brought to LEVEL_DBFS, measured where somebody speaks: pauses between words do not count."""
    frame = RATE_HZ // 50
    powers = (samples[: len(samples) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1)
    spoken = powers[powers > powers.max() * 1e-3]
    gain = 10 ** (LEVEL_DBFS / 20) / float(np.sqrt(spoken.mean()))
    return np.clip(samples * gain, -0.99, 0.99).astype(np.float64)


def write(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def record(words: Path, voice: str) -> Path:
    """One sentence from `words` into the WAV beside it."""
    spoken, rate_hz = speak(words.read_text().strip(), voice)
    if rate_hz != 2 * RATE_HZ:
        raise ValueError(f"flite's voice {voice} speaks at {rate_hz} Hz, not at {2 * RATE_HZ}")
    path = words.with_suffix(".wav")
    write(path, levelled(trimmed(halved(spoken))))
    return path


def main() -> int:
    for folder, voice in VOICES.items():
        for words in sorted(folder.glob("*.txt")):
            path = record(words, voice)
            with wave.open(str(path), "rb") as wav:
                print(f"{path.relative_to(HERE.parent.parent)}  {wav.getnframes() / RATE_HZ:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
