"""A second microphone, far from the machine: it hears the factory as the first one does, and the machine faintly."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from offkey.datasets.synthetic.noise import Factory, Gains, Noise
from offkey.datasets.synthetic.signals import Grid, decibel

__all__ = ["FarMicrophone"]

_NOISE_GAIN_DB = (3.0, 4.0)  # mean and deviation over sources: it stands where the noise is
_REACH_MS = (6.0, 15.0)  # 2 to 5 m of air from the machine
_NEARER_MS = 9.0  # sources in one place may be 3 m nearer to either microphone
_SPREAD_DB = 2.5  # of the machine's level, from ID to ID
_OWN_NOISE_DB = -30.0  # against the near microphone's sound


class FarMicrophone:
    """The place of one machine's far microphone: it stays there for all clips.

    Each source of noise has a gain of its own there, since it is nearer to one of the two microphones; what comes from
    all around has other samples of the same spectrum, as in any large room; what comes from one place arrives earlier
    or later. The machine arrives through the hall, late and with most of its sound reverberant.
    """

    def __init__(self, rng: Generator, grid: Grid, *, machine_db: float) -> None:
        """Draw the place; `machine_db` is the machine's level there against the near microphone, within 2.5 dB."""
        self._grid = grid
        self._gains = Gains.drawn(rng, mean_db=_NOISE_GAIN_DB[0], deviation_db=_NOISE_GAIN_DB[1])
        self._machine = decibel(machine_db + rng.uniform(-_SPREAD_DB, _SPREAD_DB))
        self._late_ms = rng.uniform(*_REACH_MS)
        self._apart_ms = rng.uniform(-_NEARER_MS, _NEARER_MS)

    def machine(self, spectrum: np.ndarray, factory: Factory) -> np.ndarray:
        """Return the machine's samples there, of the half spectrum that the near microphone hears."""
        grid = self._grid
        through_hall = grid.scaled(spectrum * factory.hall, self._machine * grid.rms(spectrum))
        return self._late(grid.time(through_hall), self._late_ms)

    def noise(self, noise: Noise, factory: Factory, rng: Generator) -> np.ndarray:
        """Return the factory's samples there, of the noise that the near microphone hears."""
        around, placed = factory.elsewhere(noise, rng, self._gains)
        heard: np.ndarray = around + self._late(placed, self._apart_ms)
        return heard

    def own_noise(self, rng: Generator) -> np.ndarray:
        """Return what the microphone adds itself where the near one hears an RMS of 1."""
        return self._grid.noise(rng) * np.float32(decibel(_OWN_NOISE_DB))

    def _late(self, sound: np.ndarray, ms: float) -> np.ndarray:
        late: np.ndarray = np.roll(sound, round(ms / 1000.0 * self._grid.sample_rate))
        return late
