"""An industrial fan: blades that chop the air, turbulent flow, a motor, a housing that resonates."""

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
    ramp,
    random_modes,
    rms,
    slow,
    stream,
    table,
    wander,
)

__all__ = ["Fan"]


class Fan:
    """One fan.

    Each blade passes with a pulse of pressure: tones at the shaft's rate times the number of blades and its
    multiples, the blade-pass harmonics. No two blades are alike, so all orders of the shaft are there
    faintly. Turbulence falls with frequency, breathes with the blades, and sounds through the resonances of
    the housing.

    Faults: *imbalance* strengthens the first orders and puts sidebands of the shaft's rate around the
    blade-pass tones; *clogging* starves the blades (weaker tones, slow surging rumble); *bearing*: a pitted
    outer race clicks at some 3.6 times the shaft's rate, a little irregularly because rollers slip, and rings
    in the kilohertz.
    """

    faults: ClassVar[tuple[str, ...]] = ("imbalance", "clogging", "bearing")

    def __init__(self, seed: int, machine_id: str, grid: Grid) -> None:
        rng = stream(seed, "fan", machine_id)
        self.grid = grid
        self.shaft_hz = rng.uniform(18.0, 32.0)
        self.blades = int(rng.choice([5, 6, 7, 8, 9, 11]))
        self.tone_level = decibel(rng.uniform(-9.0, 0.0))
        self.race_factor = rng.uniform(3.2, 4.2)
        self.wave = table(self._orders(rng), rng)
        self.wave /= rms(self.wave)
        sidebands = {m * self.blades + side: 0.6 for m in (1, 2, 3) for side in (-1, 1)}
        self.imbalance = table({1: 1.0, 2: 0.5, 3: 0.2} | sidebands, rng)
        self.imbalance /= rms(self.imbalance)
        self.breath = table({self.blades: 0.35, 2 * self.blades: 0.1}, rng)
        corner = rng.uniform(200.0, 600.0)
        slope = rng.uniform(0.5, 0.9)
        flow = (1.0 + (grid.hz / corner) ** 2) ** (-slope / 2) * band(grid, 30.0, 7500.0)
        housing = random_modes(rng, grid, count=7, hz=(150.0, 5000.0), quality=(6.0, 25.0), gain=(0.5, 2.0))
        self.flow = flow * (0.7 + housing)
        self.body = band(grid, 20.0, 7000.0) * (0.7 + housing)
        self.race = random_modes(rng, grid, count=3, hz=(2200.0, 5200.0), quality=(15.0, 40.0))
        self.rumble = band(grid, 50.0, 400.0)

    def _orders(self, rng: Generator) -> dict[int, float]:
        orders = {k: 0.03 * rng.random() / np.sqrt(k) for k in range(1, 120)}
        for m in range(1, 13):
            orders[m * self.blades] = m ** -rng.uniform(0.8, 1.4)
        return orders

    def spectrum(self, rng: Generator, fault: Fault | None) -> np.ndarray:
        """Return the half spectrum of one clip at any level."""
        grid = self.grid
        speed = self.shaft_hz * (1.0 + 0.006 * rng.standard_normal())
        turns = wander(rng, grid, hz=speed, deviation=0.0015)
        balance = decibel(rng.normal(0.0, 1.0))
        flow = 1.0 + 0.05 * slow(rng, grid, corner_hz=0.5)
        tone = lookup(self.wave, turns)
        air = grid.noise(rng) * (1.0 + lookup(self.breath, turns)) * ramp(flow, grid.samples)
        starved = fault.level("clogging", plain_db=0.0, span_db=15.0) if fault else 0.0
        tone *= self.tone_level * balance * (1.0 - 0.5 * starved)
        spectrum: np.ndarray = grid.spectrum(air) * self.flow + grid.spectrum(tone) * self.body
        if fault is not None:
            spectrum += self._fault(fault, turns, grid.rms(spectrum))
        return spectrum

    def _fault(self, fault: Fault, turns: np.ndarray, reference: float) -> np.ndarray:
        grid = self.grid
        if fault.kind == "imbalance":
            level = fault.level("imbalance", plain_db=0.0, span_db=16.0)
            part = grid.spectrum(lookup(self.imbalance, turns)) * self.body
        elif fault.kind == "clogging":
            level = fault.level("clogging", plain_db=4.0, span_db=14.0)
            surge = 1.0 + 0.35 * slow(fault.rng, grid, corner_hz=1.0)
            part = grid.spectrum(grid.noise(fault.rng) * ramp(surge, grid.samples)) * self.rumble
        else:
            level = fault.level("bearing", plain_db=-8.0, span_db=16.0)
            part = grid.spectrum(self._clicks(fault.rng, turns)) * self.race
        return grid.scaled(part, level * reference)

    def _clicks(self, rng: Generator, turns: np.ndarray) -> np.ndarray:
        grid = self.grid
        count = int((turns[-1] - turns[0]) * self.race_factor)
        slip = 0.02 * rng.standard_normal(count)
        at = turns[0] + (np.arange(count) + rng.random() + slip) / self.race_factor
        times = np.interp(at, turns[::64], np.arange(0, grid.samples, 64) / grid.sample_rate)
        load = (1.0 + 0.6 * np.cos(2.0 * np.pi * at)) * np.exp(0.3 * rng.standard_normal(count))
        return impacts(times, load, grid)
