"""The test audio: 500 mono WAV files of 10 s, their FLAC copies, and 20 of each with eight channels.

A clip is coloured noise and harmonic tones with slow modulation, as machines sound. Files are made once and kept in
the folder that PEERS_DIR names, or else in the system's folder for temporary files (about 400 MB).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

RATE_HZ = 16_000
SAMPLES = 10 * RATE_HZ
FRAMES = 313
FILES = 500
FILES_8 = 20
KINDS = {
    "wav": ("wavs", ".wav"),
    "flac": ("flac", ".flac"),
    "wav8": ("wav8", ".wav"),
    "flac8": ("flac8", ".flac"),
}


def folder() -> Path:
    return Path(os.environ.get("PEERS_DIR") or Path(tempfile.gettempdir()) / "offkey-peers")


def files(kind: str) -> list[str]:
    """Paths of all files of a kind: wav, flac, wav8, flac8."""
    name, ending = KINDS[kind]
    return sorted(str(path) for path in (folder() / name).glob(f"*{ending}"))


def clips(count: int) -> list[np.ndarray]:
    """The first mono files as float32 arrays of (samples,)."""
    import soundfile

    return [soundfile.read(path, dtype="float32")[0] for path in files("wav")[:count]]


def machine_clip(seed: int, channels: int = 1) -> np.ndarray:
    """(samples, channels) float64 in [-1, 1)."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(SAMPLES) / RATE_HZ
    hz = rng.uniform(40, 400)
    partials = (k for k in range(1, 12) if hz * k < 7500)
    tone = sum(0.05 / k * np.sin(2 * np.pi * hz * k * time_s + rng.uniform(0, 6.28)) for k in partials)
    tone *= 1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.5, 8) * time_s)
    out = np.empty((SAMPLES, channels))
    for channel in range(channels):
        spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
        spectrum /= np.sqrt(1 + (np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ) / rng.uniform(200, 2000)) ** 2)
        noise = np.fft.irfft(spectrum, SAMPLES)
        out[:, channel] = tone + 0.05 * noise / noise.std()
    return np.clip(out, -1, 1 - 2**-15)


def make() -> None:
    """Write the files that are missing."""
    for kinds, count, first, channels in (
        (("wav", "flac"), FILES, 0, 1),
        (("wav8", "flac8"), FILES_8, 10_000, 8),
    ):
        for index in range(count):
            paths = [folder() / KINDS[kind][0] / f"{index:04d}{KINDS[kind][1]}" for kind in kinds]
            if not all(path.exists() for path in paths):
                _write(paths, np.round(machine_clip(first + index, channels) * 32_767).astype(np.int16))


def _write(paths: list[Path], samples: np.ndarray) -> None:
    import soundfile

    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}")  # a run that is cut off leaves no half of a file
        soundfile.write(part, samples, RATE_HZ, subtype="PCM_16", format=path.suffix[1:].upper())
        part.replace(path)
