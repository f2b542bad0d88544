"""Small recordings for tests: machines that hum, and faults that can be heard."""

from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 16_000


def recording(
    rng: np.random.Generator, *, hum_hz: float, faulty: bool = False, seconds: float = 1.0
) -> np.ndarray:
    """A hum with harmonics over noise; a fault adds a tone that is not a harmonic."""
    t = np.arange(round(seconds * RATE)) / RATE
    partials = [hum_hz * k for k in range(1, 8)] + ([hum_hz * 9.37] if faulty else [])
    hum = sum(np.sin(2 * np.pi * (f * t + rng.random())) / (1 + i) for i, f in enumerate(partials))
    return (0.05 * rng.uniform(0.8, 1.2) * hum + 0.02 * rng.standard_normal(len(t))).astype(np.float32)


def write_tree(
    root: Path,
    *,
    machines: tuple[str, ...] = ("fan", "pump"),
    ids: tuple[str, ...] = ("00", "02"),
    train: int = 14,
    test: int = 4,
    seconds: float = 1.0,
) -> Path:
    """Write a tree in the layout of DCASE 2020."""
    rng = np.random.default_rng(0)
    for m, machine in enumerate(machines):
        for split in ("train", "test"):
            (root / machine / split).mkdir(parents=True)
        for i, machine_id in enumerate(ids):
            hum_hz = 90.0 + 70 * m + 23 * i
            parts = [("train", "normal", train), ("test", "normal", test), ("test", "anomaly", test)]
            for split, label, count in parts:
                for n in range(count):
                    x = recording(rng, hum_hz=hum_hz, faulty=label == "anomaly", seconds=seconds)
                    sf.write(
                        root / machine / split / f"{label}_id_{machine_id}_{n:08d}.wav", x, RATE, "PCM_16"
                    )
    return root
