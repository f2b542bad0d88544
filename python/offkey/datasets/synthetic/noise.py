"""The factory around the machine: other machines, mains hum, clanks, all in a large room."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.random import Generator

from offkey.datasets.synthetic.signals import (
    Grid,
    band,
    decibel,
    impacts,
    lookup,
    ramp,
    random_modes,
    rms,
    slow,
    stream,
    table,
    wander,
)

__all__ = ["Factory", "Gains", "Noise"]

_SOURCES = 10
_TONAL = 5
_CLANKS = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What a microphone hears of the factory in one clip, and of which sources it is made."""

    around: np.ndarray
    """``(samples,)``: from all around."""
    placed: np.ndarray
    """``(samples,)``: from one place."""
    heard: np.ndarray
    """Which broadband sources are heard."""
    powers: np.ndarray
    """Their powers."""
    breath: np.ndarray
    """``(samples,)``: how the level of these swings."""
    level: float
    """What sources were multiplied by."""
    motor: int
    tone: np.ndarray
    """``(samples,)``: of that motor."""
    metal: int
    clanks: np.ndarray
    """``(samples,)``: of that piece of metal."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """How much louder each source is at another place."""

    sources: np.ndarray
    """Amplitudes, as the next two."""
    motors: np.ndarray
    metal: np.ndarray

    @classmethod
    def drawn(cls, rng: Generator, *, mean_db: float, deviation_db: float) -> Gains:
        """Draw those of a place: some sources are nearer to it, others farther away."""
        counts = (_SOURCES, _TONAL, _CLANKS)
        sources, motors, metal = (10 ** (rng.normal(mean_db, deviation_db, n) / 20) for n in counts)
        return cls(sources=sources, motors=motors, metal=metal)


class Factory:
    """One factory hall, the same for all machines of a seed; which sources are heard changes by the clip.

    Broadband sources (fans, flow, conveyors) each have a colour of their own; tonal ones (motors, gears) a
    speed. Clanks are struck metal with the reverberation of the hall.
    """

    def __init__(self, seed: int, grid: Grid) -> None:
        rng = stream(seed, "factory")
        self.grid = grid
        self.colours = np.stack([self._colour(rng) for _ in range(_SOURCES)])
        self.speeds_hz = rng.uniform(15.0, 80.0, _TONAL)
        self.waves = [self._wave(rng) for _ in range(_TONAL)]
        self.metal = [self._metal(rng) for _ in range(_CLANKS)]
        self.hall = self._hall(rng)

    def _colour(self, rng: Generator) -> np.ndarray:
        """Return the power spectrum of one broadband source at power 1."""
        grid = self.grid
        fall = (1.0 + (grid.hz / rng.uniform(100.0, 600.0)) ** 2) ** (-rng.uniform(0.5, 1.2) / 2)
        shape = fall * band(grid, 40.0, 7000.0)
        resonances = random_modes(rng, grid, count=5, hz=(120.0, 4000.0), quality=(2.0, 10.0))
        power: np.ndarray = (shape * (0.7 + np.abs(resonances))) ** 2
        power /= np.mean(power)
        return power.astype(np.float32)

    def _metal(self, rng: Generator) -> np.ndarray:
        """Return the response of one thing of metal that is struck."""
        return random_modes(rng, self.grid, count=8, hz=(300.0, 5000.0), quality=(40.0, 200.0))

    def _wave(self, rng: Generator) -> np.ndarray:
        strong = rng.integers(1, 12, 4)
        orders = {k: 0.1 * rng.random() / k for k in range(1, 40)} | {int(k): rng.random() for k in strong}
        wave = table(orders, rng)
        return wave / np.float32(rms(wave))

    def _hall(self, rng: Generator) -> np.ndarray:
        """Return the response of the hall: a direct sound and a tail that decays by 60 dB in 0.9 s."""
        grid = self.grid
        time = np.arange(grid.samples, dtype=np.float32) / grid.sample_rate
        tail = grid.noise(rng) * np.exp(-6.9 * time / 0.9) * np.float32(np.sqrt(60.0 / grid.sample_rate))
        tail[0] += 1.0
        return grid.spectrum(tail)

    def sound(self, rng: Generator) -> Noise:
        """Return what is heard at the machine; the two parts are together of RMS 1."""
        grid = self.grid
        heard = rng.choice(_SOURCES, 3, replace=False)
        powers = np.exp(rng.normal(0.0, 0.7, 3)).astype(np.float32)
        around = self._broadband(rng, heard, powers)
        breath = ramp(1.0 + 0.12 * slow(rng, grid, corner_hz=0.2), grid.samples)
        around *= breath
        loudness = np.float32(1.0 / max(rms(around), 1e-12))
        around *= loudness
        motor, tone = self._tones(rng)
        metal, clanks = self._clanks(rng)
        placed = tone + clanks
        total = np.float32(np.sqrt(rms(around) ** 2 + rms(placed) ** 2))
        return Noise(
            around=around / total,
            placed=placed / total,
            heard=heard,
            powers=powers,
            breath=breath,
            level=float(loudness / total),
            motor=motor,
            tone=tone / total,
            metal=metal,
            clanks=clanks / total,
        )

    def elsewhere(self, noise: Noise, rng: Generator, gains: Gains) -> tuple[np.ndarray, np.ndarray]:
        """Return what is heard of the same noise at another place, from all around and from one place.

        In a large room, sound that comes from all around has the same spectrum some metres away, but not the same
        samples. `rng` draws these.
        """
        powers = noise.powers * np.square(gains.sources[noise.heard]).astype(np.float32)
        around = self._broadband(rng, noise.heard, powers) * noise.breath * np.float32(noise.level)
        tone = noise.tone * np.float32(gains.motors[noise.motor])
        return around, tone + noise.clanks * np.float32(gains.metal[noise.metal])

    def _broadband(self, rng: Generator, heard: np.ndarray, powers: np.ndarray) -> np.ndarray:
        colour = np.sqrt(np.tensordot(powers, self.colours[heard], axes=1))
        return self.grid.time(self.grid.noise_spectrum(rng) * colour)

    def _tones(self, rng: Generator) -> tuple[int, np.ndarray]:
        """Return which motor is heard, and its sound."""
        grid = self.grid
        motor = int(rng.integers(_TONAL))
        speed = self.speeds_hz[motor] * (1.0 + 0.01 * rng.standard_normal())
        turns = wander(rng, grid, hz=speed, deviation=0.002)
        return motor, lookup(self.waves[motor], turns) * np.float32(decibel(rng.uniform(-16.0, -6.0)))

    def _clanks(self, rng: Generator) -> tuple[int, np.ndarray]:
        """Return which piece of metal is struck, and its sound."""
        grid = self.grid
        count = rng.poisson(0.25 * grid.seconds)
        if count == 0:
            return 0, np.zeros(grid.samples, dtype=np.float32)
        train = impacts(rng.uniform(0.0, grid.seconds, count), np.exp(0.5 * rng.standard_normal(count)), grid)
        metal = int(rng.integers(_CLANKS))
        struck = grid.spectrum(train) * self.metal[metal] * self.hall
        # one clank is as loud as the next, however many there are
        level = decibel(rng.uniform(-14.0, -5.0)) * np.sqrt(count / (0.25 * grid.seconds))
        return metal, grid.time(grid.scaled(struck, float(level)))
