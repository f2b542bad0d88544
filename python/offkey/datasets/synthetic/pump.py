"""A water pump: pressure pulses of its vanes, flow through pipes, a little cavitation, a motor."""

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
    modes,
    ramp,
    random_modes,
    rms,
    slow,
    stream,
    table,
    wander,
)

__all__ = ["Pump"]

_SOUND_IN_WATER = 1400.0  # metres a second


class Pump:
    """One pump.

    Vanes push the water in pulses, at the shaft's rate times their number; the motor whines at the rate of
    its slots. Flow noise is coloured by standing waves in the pipe, whose frequencies are multiples of the
    first. A few vapour bubbles collapse all the time: sparse random clicks through the casing.

    Faults: *leak*, the hiss of a jet at high frequencies; *contamination*, particles that strike the casing a
    few times a second, each as it comes; *clogging*, low pressure at the inlet: many more bubbles, most of
    them as a vane passes, and pulses at half the shaft's rate.
    """

    faults: ClassVar[tuple[str, ...]] = ("leak", "contamination", "clogging")

    def __init__(self, seed: int, machine_id: str, grid: Grid) -> None:
        rng = stream(seed, "pump", machine_id)
        self.grid = grid
        self.shaft_hz = rng.uniform(23.0, 49.0)
        self.vanes = int(rng.choice([3, 4, 5, 6, 7]))
        self.pulse_level = decibel(rng.uniform(-8.0, 0.0))
        self.wave = table(self._orders(rng), rng)
        self.wave /= rms(self.wave)
        self.half = table({1: 1.0, 2: 0.3, 3: 0.6, 5: 0.3}, rng)  # turns at half the shaft's rate
        self.breath = table({self.vanes: 0.4}, rng)
        pipe_hz = _SOUND_IN_WATER / (2.0 * rng.uniform(1.0, 2.5))
        harmonics = np.arange(1, 9)
        pipe = modes(
            grid, pipe_hz * harmonics, rng.uniform(8.0, 20.0, 8), rng.uniform(0.5, 2.0, 8) / harmonics**0.5
        )
        casing = random_modes(rng, grid, count=6, hz=(400.0, 6000.0), quality=(8.0, 30.0))
        fall = (1.0 + (grid.hz / rng.uniform(300.0, 900.0)) ** 2) ** (-rng.uniform(0.4, 0.8) / 2)
        self.flow = (fall * band(grid, 60.0, 7500.0)) * (0.5 + pipe + 0.6 * casing)
        self.body = band(grid, 20.0, 7000.0) * (0.8 + 0.7 * casing)
        self.casing = band(grid, 300.0, 7500.0) * (0.3 + casing)
        self.strike = random_modes(rng, grid, count=4, hz=(900.0, 4500.0), quality=(20.0, 50.0))
        low = rng.uniform(3000.0, 4500.0)
        self.hiss = band(grid, low, 7500.0) * (
            0.6 + random_modes(rng, grid, count=3, hz=(low, 7000.0), quality=(3.0, 8.0))
        )

    def _orders(self, rng: Generator) -> dict[int, float]:
        orders = {k: 0.04 * rng.random() / np.sqrt(k) for k in range(1, 60)}
        for m in range(1, 9):
            orders[m * self.vanes] = m ** -rng.uniform(0.9, 1.6)
        slots = int(rng.choice([18, 24, 28, 36]))
        orders[slots] = orders.get(slots, 0.0) + rng.uniform(0.1, 0.3)
        orders[2 * slots] = orders.get(2 * slots, 0.0) + rng.uniform(0.03, 0.1)
        return orders

    def spectrum(self, rng: Generator, fault: Fault | None) -> np.ndarray:
        """Return the half spectrum of one clip at any level."""
        grid = self.grid
        speed = self.shaft_hz * (1.0 + 0.004 * rng.standard_normal())
        turns = wander(rng, grid, hz=speed, deviation=0.001)
        balance = decibel(rng.normal(0.0, 1.0))
        flow = 1.0 + 0.06 * slow(rng, grid, corner_hz=0.8)
        water = grid.noise(rng) * (1.0 + lookup(self.breath, turns)) * ramp(flow, grid.samples)
        pulses = lookup(self.wave, turns) * np.float32(self.pulse_level * balance)
        spectrum: np.ndarray = grid.spectrum(water) * self.flow + grid.spectrum(pulses) * self.body
        bubbles = grid.spectrum(self._bubbles(rng, 30.0)) * self.casing
        spectrum += grid.scaled(bubbles, decibel(rng.normal(-16.0, 1.0)) * grid.rms(spectrum))
        if fault is not None:
            spectrum += self._fault(fault, turns, grid.rms(spectrum))
        return spectrum

    def _fault(self, fault: Fault, turns: np.ndarray, reference: float) -> np.ndarray:
        grid, rng = self.grid, fault.rng
        if fault.kind == "leak":
            level = fault.level("leak", plain_db=-8.0, span_db=15.0)
            jet = 1.0 + 0.1 * slow(rng, grid, corner_hz=2.0)
            part = grid.spectrum(grid.noise(rng) * ramp(jet, grid.samples)) * self.hiss
        elif fault.kind == "contamination":
            level = fault.level("contamination", plain_db=-5.0, span_db=16.0)
            part = grid.spectrum(self._bubbles(rng, 6.0)) * self.strike
        else:
            level = fault.level("clogging", plain_db=0.0, span_db=14.0)
            crowd = self._bubbles(rng, 400.0) * (1.0 + 2.0 * lookup(self.breath, turns))
            part = grid.scaled(grid.spectrum(crowd) * self.casing, 1.0)
            part += grid.scaled(grid.spectrum(lookup(self.half, 0.5 * turns)) * self.body, 0.5)
        return grid.scaled(part, level * reference)

    def _bubbles(self, rng: Generator, per_second: float) -> np.ndarray:
        """Return impacts at random times, their strength spread widely."""
        count = rng.poisson(per_second * self.grid.seconds)
        return impacts(
            rng.uniform(0.0, self.grid.seconds, count), np.exp(0.6 * rng.standard_normal(count)), self.grid
        )
