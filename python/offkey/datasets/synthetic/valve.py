"""A solenoid valve: it opens and closes in a fixed pattern, clicks, buzzes and lets water through."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.random import Generator

from offkey.datasets.synthetic.signals import (
    Fault,
    Grid,
    band,
    decibel,
    impacts,
    lookup,
    random_modes,
    rms,
    stream,
    table,
)

__all__ = ["Valve"]

_MAINS_HZ = 50.0


class Valve:
    """One valve.

    The magnet pulls the armature against its stop (a bright click), hums at multiples of twice the mains
    frequency while it holds, and lets go: the spring throws the armature onto the seat (a duller click).
    Fluid rushes while it is open.

    Faults: *contamination*, dirt on the seat: a duller closing click with a scrape after it; *leak*, a hiss
    while it should be closed; *sticking*, the armature bounces and clicks again, each time as it likes.
    """

    faults: ClassVar[tuple[str, ...]] = ("contamination", "leak", "sticking")

    def __init__(self, seed: int, machine_id: str, grid: Grid) -> None:
        rng = stream(seed, "valve", machine_id)
        self.grid = grid
        self.period_s = rng.uniform(0.4, 0.9)
        self.open_part = rng.uniform(0.3, 0.6)
        self.rush_level = decibel(rng.uniform(-12.0, -6.0))
        self.buzz_level = decibel(rng.uniform(-20.0, -12.0))
        self.opening = random_modes(rng, grid, count=6, hz=(1200.0, 6500.0), quality=(30.0, 120.0))
        self.closing = random_modes(rng, grid, count=6, hz=(500.0, 4000.0), quality=(20.0, 80.0))
        # the dirty seat takes as much of the blow as the clean one
        dirty = random_modes(rng, grid, count=5, hz=(250.0, 1500.0), quality=(10.0, 30.0))
        self.seat = grid.scaled(dirty, grid.rms(self.closing))
        self.closing_gain = rng.uniform(0.6, 1.0)
        self.buzz = table({m: m ** -rng.uniform(0.7, 1.3) for m in range(1, 16)}, rng)
        self.buzz /= rms(self.buzz)
        low = rng.uniform(400.0, 1200.0)
        self.rush = band(grid, low, rng.uniform(4000.0, 7000.0)) * (
            0.6 + random_modes(rng, grid, count=3, hz=(low, 5000.0), quality=(3.0, 10.0))
        )
        self.grit = band(grid, rng.uniform(1500.0, 2500.0), 7000.0)
        self.hiss = band(grid, rng.uniform(2500.0, 4000.0), 7500.0)

    def spectrum(self, rng: Generator, fault: Fault | None) -> np.ndarray:
        """Return the half spectrum of one clip at any level."""
        grid = self.grid
        opens, closes = self._pattern(rng)
        is_open = self._gate(opens, closes)
        bright = impacts(opens, np.exp(0.08 * rng.standard_normal(len(opens))), grid)
        dull = impacts(closes, self.closing_gain * np.exp(0.08 * rng.standard_normal(len(closes))), grid)
        dirt = fault.level("contamination", plain_db=-1.0, span_db=16.0) if fault else 0.0
        struck = float(np.sqrt(1.0 - dirt * dirt)) * self.closing + dirt * self.seat
        spectrum: np.ndarray = grid.spectrum(bright) * self.opening + grid.spectrum(dull) * struck
        reference = grid.rms(spectrum)
        rush = grid.noise(rng) * (0.05 + is_open)
        cycles = np.arange(grid.samples) * (2.0 * _MAINS_HZ / grid.sample_rate) + rng.random()
        hum = lookup(self.buzz, cycles) * is_open
        changes = 10.0 ** (rng.normal(0.0, 1.0, 2) / 20.0)
        rush_level, buzz_level = self.rush_level * float(changes[0]), self.buzz_level * float(changes[1])
        spectrum += grid.scaled(grid.spectrum(rush) * self.rush, rush_level * reference)
        spectrum += grid.scaled(grid.spectrum(hum), buzz_level * reference)
        if fault is not None:
            spectrum += self._fault(fault, opens, closes, is_open, reference)
        return spectrum

    def _pattern(self, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the times of opening and closing in seconds."""
        period = self.period_s * (1.0 + 0.005 * rng.standard_normal())
        count = int(self.grid.seconds / period) + 2
        opens = (np.arange(count) - rng.random()) * period
        opens += 0.002 * rng.standard_normal(count)
        closes = opens + self.open_part * period + 0.002 * rng.standard_normal(count)
        return opens, closes

    def _gate(self, opens: np.ndarray, closes: np.ndarray) -> np.ndarray:
        """Return 1 while the valve is open, 0 while it is closed."""
        steps = np.zeros(self.grid.samples + 1, dtype=np.float32)
        for times, step in ((opens, 1.0), (closes, -1.0)):
            place = np.clip((times * self.grid.sample_rate).astype(np.int64), 0, self.grid.samples)
            np.add.at(steps, place, np.float32(step))
        return np.cumsum(steps[:-1])

    def _fault(
        self, fault: Fault, opens: np.ndarray, closes: np.ndarray, is_open: np.ndarray, reference: float
    ) -> np.ndarray:
        grid, rng = self.grid, fault.rng
        if fault.kind == "contamination":
            level = fault.level("contamination", plain_db=-4.0, span_db=16.0)
            delays = rng.uniform(0.002, 0.06, (len(closes), 300))
            scrape = impacts((closes[:, None] + delays).ravel(), rng.standard_normal(delays.size), grid)
            part = grid.spectrum(scrape) * self.grit
        elif fault.kind == "leak":
            level = fault.level("leak", plain_db=-8.0, span_db=18.0)
            part = grid.spectrum(grid.noise(rng) * (1.0 - is_open)) * self.hiss
        else:
            level = fault.level("sticking", plain_db=0.0, span_db=14.0)
            bounce = rng.uniform(0.01, 0.06, (len(opens), 3))
            again = impacts((opens[:, None] + bounce).ravel(), rng.uniform(0.3, 1.0, bounce.size), grid)
            part = grid.spectrum(again) * (self.opening + 0.7 * self.closing)
        return grid.scaled(part, level * reference)
