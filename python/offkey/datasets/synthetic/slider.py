"""A slide rail: a carriage driven to and fro by a belt, slowing down, turning and speeding up."""

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
)

__all__ = ["Slider"]


class Slider:
    """One slide rail.

    The motor and the teeth of the belt sing at a pitch that follows the speed, so every stroke is a sweep up,
    a steady tone and a sweep down. Rolling noise grows with the speed and sounds through the rail. Each
    reversal knocks.

    Faults: *rail_damage*, a click wherever the carriage passes a dent, in both directions; *missing_grease*,
    friction noise at high frequencies, torn into bursts by stick and slip; *loose_belt*, a flutter of the
    pitch's level and a rattle after each reversal.
    """

    faults: ClassVar[tuple[str, ...]] = ("rail_damage", "missing_grease", "loose_belt")

    def __init__(self, seed: int, machine_id: str, grid: Grid) -> None:
        rng = stream(seed, "slider", machine_id)
        self.grid = grid
        self.stroke_s = rng.uniform(0.7, 1.5)
        self.turn_s = self.stroke_s * rng.uniform(0.2, 0.35)
        self.tooth_hz = rng.uniform(250.0, 600.0)
        self.tone_level = decibel(rng.uniform(-10.0, -3.0))
        teeth = {m: m ** -rng.uniform(0.8, 1.6) for m in range(1, 11)}
        self.wave = table(teeth | {12: 0.2 * rng.random()}, rng)
        self.wave /= rms(self.wave)
        rail = random_modes(rng, grid, count=7, hz=(250.0, 6000.0), quality=(10.0, 40.0), gain=(0.5, 2.0))
        fall = (1.0 + (grid.hz / rng.uniform(500.0, 1500.0)) ** 2) ** (-rng.uniform(0.4, 0.8) / 2)
        self.rolling = (fall * band(grid, 80.0, 7500.0)) * (0.6 + rail)
        self.body = band(grid, 60.0, 7500.0) * (0.8 + 0.6 * rail)
        self.knock = random_modes(rng, grid, count=4, hz=(60.0, 500.0), quality=(4.0, 10.0))
        self.click = random_modes(rng, grid, count=4, hz=(1200.0, 5500.0), quality=(12.0, 40.0))
        low = rng.uniform(1800.0, 3000.0)
        ringing = random_modes(rng, grid, count=3, hz=(low, 6000.0), quality=(5.0, 15.0))
        self.friction = band(grid, low, 6500.0) * (0.5 + ringing)

    def spectrum(self, rng: Generator, fault: Fault | None) -> np.ndarray:
        """Return the half spectrum of one clip at any level."""
        grid = self.grid
        pace = 1.0 + 0.008 * rng.standard_normal()
        speed, position, turning = self._motion(rng, pace)
        balance = decibel(rng.normal(0.0, 1.0))
        load = ramp(1.0 + 0.08 * slow(rng, grid, corner_hz=1.0), grid.samples)
        fast = np.abs(speed)
        rolling = grid.noise(rng) * fast * load
        teeth = np.cumsum(fast, dtype=np.float64) * (self.tooth_hz * pace / grid.sample_rate) + rng.random()
        tone = lookup(self.wave, teeth) * np.sqrt(fast) * np.float32(self.tone_level * balance)
        if fault is not None and fault.kind == "loose_belt":
            # the belt slaps at its own few hertz and takes the level of the tone with it
            depth = min(1.0, 2.0 * fault.level("loose_belt", plain_db=-7.0, span_db=16.0))
            flutter_hz = fault.rng.uniform(7.0, 13.0)
            time = np.arange(grid.samples, dtype=np.float32) / np.float32(grid.sample_rate)
            tone *= 1.0 + np.float32(depth) * np.sin(np.float32(2.0 * np.pi * flutter_hz) * time)
        knocks = impacts(turning, np.exp(0.15 * rng.standard_normal(len(turning))), grid)
        spectrum: np.ndarray = grid.spectrum(rolling) * self.rolling + grid.spectrum(tone) * self.body
        knock_level = decibel(rng.normal(-8.0, 1.0)) * grid.rms(spectrum)
        spectrum += grid.scaled(grid.spectrum(knocks) * self.knock, knock_level)
        if fault is not None:
            spectrum += self._fault(fault, position, fast, turning, grid.rms(spectrum))
        return spectrum

    def _motion(self, rng: Generator, pace: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return speed in [-1, 1], position in strokes, and the times of the reversals in seconds."""
        grid = self.grid
        stroke = self.stroke_s / pace
        start = 2.0 * stroke * rng.random()
        time = start + np.arange(grid.samples, dtype=np.float64) / grid.sample_rate
        phase = time / stroke
        inside = phase - np.floor(phase)
        edge = self.turn_s / self.stroke_s
        trapezoid = np.minimum(1.0, np.minimum(inside, 1.0 - inside) / edge).astype(np.float32)
        speed = trapezoid * np.where(np.floor(phase).astype(np.int64) % 2 == 0, 1.0, -1.0).astype(np.float32)
        position = np.cumsum(speed, dtype=np.float64) / (grid.sample_rate * stroke * (1.0 - edge))
        # the sum starts anywhere within a stroke: let the path run from 0 to 1
        position -= position.min()
        position /= max(position.max(), 1e-9)
        first = np.ceil(start / stroke)
        count = int(np.floor(time[-1] / stroke) - first) + 1
        return speed, position, (first + np.arange(max(count, 0))) * stroke - start

    def _fault(
        self, fault: Fault, position: np.ndarray, fast: np.ndarray, turning: np.ndarray, reference: float
    ) -> np.ndarray:
        grid, rng = self.grid, fault.rng
        if fault.kind == "rail_damage":
            level = fault.level("rail_damage", plain_db=-7.0, span_db=14.0)
            part = grid.spectrum(self._dents(rng, position, fast)) * self.click
        elif fault.kind == "missing_grease":
            level = fault.level("missing_grease", plain_db=-7.0, span_db=14.0)
            sticking = _stick_slip(rng, grid)
            part = grid.spectrum(grid.noise(rng) * fast * sticking) * self.friction
        else:
            level = fault.level("loose_belt", plain_db=-7.0, span_db=16.0)
            part = grid.spectrum(self._rattle(rng, turning)) * self.click
        return grid.scaled(part, level * reference)

    def _dents(self, rng: Generator, position: np.ndarray, fast: np.ndarray) -> np.ndarray:
        trains = []
        for place in rng.uniform(0.15, 0.85, int(rng.integers(1, 4))):
            passed = np.flatnonzero(np.diff(position > place))
            strength = fast[passed] * np.exp(0.2 * rng.standard_normal(len(passed)))
            trains.append((passed / self.grid.sample_rate, strength))
        times = np.concatenate([t for t, _ in trains])
        return impacts(times, np.concatenate([a for _, a in trains]), self.grid)

    def _rattle(self, rng: Generator, turning: np.ndarray) -> np.ndarray:
        """Return a dozen weakening strokes within a third of a second after each reversal."""
        delays = rng.exponential(0.1, (len(turning), 12))
        return impacts((turning[:, None] + delays).ravel(), np.exp(-delays / 0.1).ravel(), self.grid)


def _stick_slip(rng: Generator, grid: Grid) -> np.ndarray:
    """Return the bursts in which dry parts slip: some forty a second, each decaying."""
    count = max(1, rng.poisson(40.0 * grid.seconds))
    starts = np.sort(rng.uniform(0.0, grid.seconds, count))
    time = np.arange(grid.samples) / grid.sample_rate
    last = np.searchsorted(starts, time, side="right") - 1
    since = np.where(last >= 0, time - starts[np.maximum(last, 0)], 1.0)
    return (0.3 + np.exp(-since / 0.012)).astype(np.float32)
