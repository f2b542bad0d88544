"""What all machines are made of: rotating phases, noise, impacts and resonances, on one grid.

Everything is float32 and vectorised over the samples of a clip. Filters act by the FFT and so wrap around:
what rings on past the end of a clip is heard at its start, as in a sound that goes on for ever.
"""

from __future__ import annotations

import dataclasses
import functools
import zlib

import numpy as np
from numpy.random import Generator

__all__ = [
    "Fault",
    "Grid",
    "band",
    "decibel",
    "impacts",
    "lookup",
    "modes",
    "ramp",
    "random_modes",
    "rms",
    "slow",
    "stream",
    "table",
    "wander",
]

_TABLE = 8192
_KNOTS_HZ = 10.0  # how often the slow changes of speed and flow are drawn


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a machine in one clip."""

    kind: str
    severity: float
    """In [0, 1]: barely audible to plain."""
    rng: Generator
    """A stream of its own, so that all else in the clip is as it would be without the fault."""

    def level(self, kind: str, *, plain_db: float, span_db: float) -> float:
        """Return the amplitude of this fault against the machine's RMS: 0 if the fault is of another kind."""
        return 0.0 if self.kind != kind else decibel(plain_db - span_db * (1.0 - self.severity))


@dataclasses.dataclass(frozen=True)
class Grid:
    """Samples and frequencies of a clip."""

    samples: int
    sample_rate: int

    @functools.cached_property
    def size(self) -> int:
        """The length of the FFT: the next product of 2, 3 and 5."""
        size = self.samples
        while _rest(size) > 1:
            size += 1
        return size

    @functools.cached_property
    def hz(self) -> np.ndarray:
        """Frequencies of the half spectrum, ``(size // 2 + 1,)``."""
        return np.fft.rfftfreq(self.size, 1.0 / self.sample_rate).astype(np.float32)

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate

    def spectrum(self, samples: np.ndarray) -> np.ndarray:
        """Return the half spectrum of a clip."""
        return np.fft.rfft(samples, self.size).astype(np.complex64, copy=False)

    def time(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the samples of a half spectrum (of the last axis)."""
        return np.fft.irfft(spectrum, self.size)[..., : self.samples].astype(np.float32, copy=False)

    def rms(self, spectrum: np.ndarray) -> float:
        """Return the root mean square of the clip that a half spectrum stands for (Parseval)."""
        return float(np.sqrt(2.0 * np.vdot(spectrum, spectrum).real)) / self.size

    def scaled(self, spectrum: np.ndarray, level: float) -> np.ndarray:
        """Return the half spectrum at another root mean square; silence stays silent."""
        return spectrum * np.float32(level / max(self.rms(spectrum), 1e-20))

    def noise(self, rng: Generator) -> np.ndarray:
        """Return white Gaussian noise of deviation 1."""
        return rng.standard_normal(self.samples, dtype=np.float32)

    def noise_spectrum(self, rng: Generator) -> np.ndarray:
        """Return the half spectrum of white Gaussian noise of deviation 1."""
        pairs = rng.standard_normal(2 * len(self.hz), dtype=np.float32)
        pairs *= np.float32(np.sqrt(self.size / 2))
        return pairs.view(np.complex64)


def stream(seed: int, *key: str | int) -> Generator:
    """Return the random stream of a key; streams of different keys are unrelated."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    return np.random.default_rng([seed, len(words), *words])


def decibel(db: float) -> float:
    """Return the amplitude of a level in dB."""
    return float(10.0 ** (db / 20.0))


def rms(samples: np.ndarray) -> float:
    """Return the root mean square."""
    flat = samples.ravel()
    return float(np.sqrt(np.dot(flat, flat) / len(flat)))


def ramp(knots: np.ndarray, samples: int) -> np.ndarray:
    """Return `samples` values on straight lines through evenly spaced knots."""
    steps = len(knots) - 1
    block = -(-samples // steps)
    weight = np.arange(block, dtype=np.float32) / np.float32(block)
    knots = knots.astype(np.float32)
    lines: np.ndarray = knots[:-1, None] + np.diff(knots)[:, None] * weight
    return lines.ravel()[:samples]


def slow(rng: Generator, grid: Grid, *, corner_hz: float) -> np.ndarray:
    """Return slow random knots of deviation 1, ten a second: a first-order process with the given corner."""
    count = max(2, int(np.ceil(grid.seconds * _KNOTS_HZ)) + 1)
    keep = float(np.exp(-2.0 * np.pi * corner_hz / _KNOTS_HZ))
    steps = rng.standard_normal(count) * np.sqrt(1.0 - keep * keep)
    value = rng.standard_normal()
    knots = np.empty(count)
    for i, step in enumerate(steps):
        value = keep * value + step
        knots[i] = value
    return knots


def wander(rng: Generator, grid: Grid, *, hz: float, deviation: float, corner_hz: float = 0.3) -> np.ndarray:
    """Return the angle of a rotating part in turns, ``(samples,)`` float64: its speed wanders slowly.

    Parameters
    ----------
    hz
        Mean turns a second.
    deviation
        Relative standard deviation of the speed within the clip.
    corner_hz
        How fast it wanders.
    """
    speed = hz * (1.0 + deviation * slow(rng, grid, corner_hz=corner_hz))
    turns = np.cumsum(ramp(speed, grid.samples), dtype=np.float64)
    turns *= 1.0 / grid.sample_rate
    turns += rng.random()
    return turns


def table(orders: dict[int, float], rng: Generator) -> np.ndarray:
    """Return one turn of a periodic wave: amplitude of each order (harmonic of the turn), random phases."""
    half = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    for order, amplitude in orders.items():
        if order < len(half) - 1:
            half[order] += amplitude * np.exp(2j * np.pi * rng.random()) * _TABLE / 2
    return np.fft.irfft(half, _TABLE).astype(np.float32)


def lookup(wave: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return the periodic wave at an angle in turns."""
    index = (turns * len(wave)).astype(np.int64)
    index &= len(wave) - 1
    return wave.take(index)


def impacts(times_s: np.ndarray, amplitudes: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a train of impulses at times between samples, each of the energy that its amplitude says."""
    place = times_s * grid.sample_rate
    first = np.floor(place).astype(np.int64)
    inside = (first >= 0) & (first < grid.samples - 1)
    place, first, amplitudes = place[inside], first[inside], amplitudes[inside]
    later = place - first
    train = np.bincount(first, amplitudes * (1.0 - later), grid.samples)
    train += np.bincount(first + 1, amplitudes * later, grid.samples)
    return train.astype(np.float32)


def modes(grid: Grid, hz: np.ndarray, quality: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the response of damped resonances side by side, complex64; each peaks at its gain."""
    response = np.zeros(len(grid.hz), dtype=np.complex64)
    f = grid.hz
    for centre, q, g in zip(hz.astype(np.float32), quality.astype(np.float32), gain, strict=True):
        # g / (1 + jQ (f / centre - centre / f)), written so that f = 0 needs no care
        width = f * (centre / q)
        shape = np.empty(len(f), dtype=np.complex64)
        shape.real = width
        shape.imag = f * f - centre * centre
        response += np.float32(g) * width / shape
    return response


def random_modes(
    rng: Generator,
    grid: Grid,
    *,
    count: int,
    hz: tuple[float, float],
    quality: tuple[float, float],
    gain: tuple[float, float] = (0.5, 1.5),
) -> np.ndarray:
    """Return the response of resonances drawn from ranges, their frequencies evenly in the logarithm."""
    centres = np.exp(rng.uniform(np.log(hz[0]), np.log(hz[1]), count))
    return modes(grid, centres, rng.uniform(*quality, count), rng.uniform(*gain, count))


def band(grid: Grid, low_hz: float, high_hz: float, *, order: int = 2) -> np.ndarray:
    """Return the magnitude of a band with smooth edges, float32 on the half spectrum."""
    f = np.maximum(grid.hz, 1.0)
    rise, fall = 1.0 + (low_hz / f) ** (2 * order), 1.0 + (f / high_hz) ** (2 * order)
    magnitude: np.ndarray = 1.0 / np.sqrt(rise * fall)
    return magnitude.astype(np.float32)


def _rest(size: int) -> int:
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    return size
