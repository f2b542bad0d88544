"""Recordings of several channels: a machine on some, hiss or nothing on others."""

import numpy as np
import soundfile as sf

RATE = 16_000
SECONDS = 0.6


def machine(seed, *, faulty=False):
    """A hum, and a whine where the machine is faulty."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    noise = 0.03 * np.random.default_rng(seed).standard_normal(len(time))
    whine = 0.1 * np.sin(2 * np.pi * 3333 * time) * faulty
    return 0.2 * np.sin(2 * np.pi * 120 * time) + noise + whine


def hiss(seed, *, dbfs=-50.0):
    """Noise of a level."""
    noise = np.random.default_rng(1_000_000 + seed).standard_normal(round(SECONDS * RATE))
    return 10 ** (dbfs / 20) * noise / noise.std()


def silence(seed=0):
    """A dead microphone."""
    del seed
    return np.zeros(round(SECONDS * RATE))


def write(path, *channels):
    """Write one recording, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.stack(channels, axis=1), RATE, "PCM_16")
    return path


def write_many(folder, *channels, count=16):
    """Write recordings whose channels are made by functions of a seed, and return the folder."""
    for seed in range(count):
        write(folder / f"{seed:03d}.wav", *(channel(seed) for channel in channels))
    return folder
