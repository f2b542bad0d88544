"""One clip: a machine, the factory around it, and the microphones."""

from __future__ import annotations

import functools
from typing import ClassVar, Protocol

import numpy as np
from numpy.random import Generator

from offkey.datasets.synthetic.fan import Fan
from offkey.datasets.synthetic.far import FarMicrophone
from offkey.datasets.synthetic.noise import Factory, Noise
from offkey.datasets.synthetic.premise import TOWARDS, blended, other_machine
from offkey.datasets.synthetic.pump import Pump
from offkey.datasets.synthetic.signals import Fault, Grid, decibel, rms, stream
from offkey.datasets.synthetic.slider import Slider
from offkey.datasets.synthetic.valve import Valve
from offkey.errors import ParameterError

__all__ = ["FAULTS", "MACHINES", "check_clip_format", "check_far", "fault_part", "grid", "mix", "render"]

_ARRAY_RADIUS_M = 0.034
_SOUND_IN_AIR = 343.0
_BENDS = 10
_LEVEL_DBFS = (-42.0, -32.0)


class Machine(Protocol):
    """What the files of the machine types define."""

    faults: ClassVar[tuple[str, ...]]

    def __init__(self, seed: int, machine_id: str, grid: Grid) -> None: ...

    def spectrum(self, rng: Generator, fault: Fault | None) -> np.ndarray:
        """Return the half spectrum of one clip at any level."""


_TYPES: dict[str, type[Machine]] = {"fan": Fan, "pump": Pump, "slider": Slider, "valve": Valve}

MACHINES: tuple[str, ...] = tuple(_TYPES)
"""The machine types that can be made."""

FAULTS: dict[str, tuple[str, ...]] = {name: kind.faults for name, kind in _TYPES.items()}
"""The faults of each machine type."""


def render(
    machine_type: str,
    machine_id: str,
    *,
    clip: int = 0,
    fault: str | None = None,
    severity: float = 1.0,
    snr_db: float | None = 0.0,
    channels: int = 1,
    far_db: float | None = None,
    seconds: float = 10.0,
    sample_rate: int = 16_000,
    seed: int = 0,
) -> np.ndarray:
    """Make the sound of one machine.

    Parameters
    ----------
    machine_type
        One of `MACHINES`.
    machine_id
        Any text: it decides, with `seed`, on speed, geometry and resonances.
    clip
        Which of the machine's clips: speed, load, distance, level and noise differ from clip to clip. A clip
        with a fault is the same clip without it in all these.
    fault
        One of `FAULTS` of that type, one of `TOWARDS`, which are faults of a world in which the premise of outlier
        exposure holds, or None.
    severity
        In [0, 1], from barely audible to plain.
    snr_db
        Level of the machine against the factory noise in [-60, 60] dB; None: no noise.
    channels
        Microphones, evenly on a circle of 34 mm radius; 1 is the first of them.
    far_db
        Where it is given, a second microphone stands far from the machine, where the factory's noise is: how loud the
        machine is there against the first one, in [-60, 0] dB, within 2.5 dB from ID to ID. The first channel is the
        same without it.
    seconds, sample_rate
        Duration in [1, 600] s, rate in [4000, 192000] Hz.
    seed
        The factory and everything in it; at least 0.

    Returns
    -------
    np.ndarray
        ``(channels, samples)`` float32 in [-1, 1], with `far_db` ``(2, samples)``: near and far. The level is random
        and does not depend on the fault: the machine's part has the same RMS with and without it.

    Raises
    ------
    ParameterError
        If a parameter is out of range or a name unknown.
    """
    (mixed,) = mix(
        machine_type,
        machine_id,
        clip=clip,
        fault=fault,
        severity=severity,
        snrs_db=(snr_db,),
        channels=channels,
        far_db=far_db,
        grid=grid(seconds, sample_rate),
        seed=seed,
    )
    return mixed


def mix(
    machine_type: str,
    machine_id: str,
    *,
    clip: int,
    fault: str | None,
    severity: float,
    snrs_db: tuple[float | None, ...],
    channels: int,
    grid: Grid,
    seed: int,
    far_db: float | None,
) -> list[np.ndarray]:
    """Return the same clip at several signal-to-noise ratios (see `render`)."""
    _check(machine_type, machine_id, clip, fault, severity, channels, seed)
    check_far(far_db, channels)
    for snr_db in snrs_db:
        if snr_db is not None and not -60.0 <= snr_db <= 60.0:
            raise ParameterError(f"snr_db = {snr_db}: expected -60 to 60 dB, or None for no noise")
    machine = _machine(machine_type, machine_id, seed, grid)
    key = (machine_type, machine_id, clip)
    broken = None
    if fault is not None:
        broken = Fault(kind=fault, severity=severity, rng=stream(seed, *key, "fault"))
    spectrum = _sound(machine, key, broken, seed, grid)
    placing = stream(seed, *key, "place")
    spectrum *= _colouring(placing, grid)
    spectrum = grid.scaled(spectrum, 1.0)
    level = decibel(placing.uniform(*_LEVEL_DBFS))
    jitter_db = float(placing.normal(0.0, 1.0))
    directions = placing.uniform(0.0, 2.0 * np.pi, 2)
    source = _at_microphones(spectrum, machine_type, machine_id, seed, grid, channels)
    heard = None
    if any(snr is not None for snr in snrs_db):
        heard = _factory(seed, grid).sound(stream(seed, *key, "noise"))
        noise = _delayed(heard.around, directions[0], grid, channels) + _delayed(
            heard.placed, directions[1], grid, channels
        )
    far = None if far_db is None else _at_far_microphone(spectrum, heard, key, far_db, seed, grid)
    mixed = []
    for snr_db in snrs_db:
        loudness = np.float32(0.0 if snr_db is None else decibel(jitter_db - snr_db))
        clip_sound = source if snr_db is None else source + noise * loudness
        gain = np.float32(level / rms(clip_sound[0]))
        if far is not None:
            faint, around, own = far
            at_far = faint + around * loudness + own * np.float32(rms(clip_sound[0]))
            clip_sound = np.stack([clip_sound[0], at_far])
        mixed.append(np.clip(clip_sound * gain, -1.0, 1.0))
    return mixed


def fault_part(
    machine_type: str, machine_id: str, *, clip: int, fault: str, severity: float, grid: Grid, seed: int
) -> np.ndarray:
    """Return what a fault adds to the machine's sound, and takes from it, ``(samples,)`` at any level.

    It is the sound with the fault less the same sound without it; the parameters are those of `mix`.
    """
    machine, key = _machine(machine_type, machine_id, seed, grid), (machine_type, machine_id, clip)
    broken = Fault(kind=fault, severity=severity, rng=stream(seed, *key, "fault"))
    part = _sound(machine, key, broken, seed, grid) - _sound(machine, key, None, seed, grid)
    return grid.time(part * _colouring(stream(seed, *key, "place"), grid))


def _sound(
    machine: Machine, key: tuple[str, str, int], broken: Fault | None, seed: int, grid: Grid
) -> np.ndarray:
    """Return the half spectrum of a machine alone, at any level."""
    if broken is None or broken.kind not in TOWARDS:
        return machine.spectrum(stream(seed, *key, "machine"), broken)
    healthy = machine.spectrum(stream(seed, *key, "machine"), None)
    other_type, other_id = other_machine(broken, *key[:2], types=MACHINES)
    other = _machine(other_type, other_id, seed, grid).spectrum(stream(seed, *key, "other machine"), None)
    return blended(broken, healthy, other, grid)


def _check(
    machine_type: str,
    machine_id: str,
    clip: int,
    fault: str | None,
    severity: float,
    channels: int,
    seed: int,
) -> None:
    if machine_type not in _TYPES:
        raise ParameterError(f"machine type {machine_type!r}: expected one of {', '.join(MACHINES)}")
    if not machine_id:
        raise ParameterError("machine_id: expected a text that is not empty")
    faults = FAULTS[machine_type] + TOWARDS
    if fault is not None and fault not in faults:
        raise ParameterError(f"fault {fault!r}: a {machine_type} has {', '.join(faults)}")
    if not 0.0 <= severity <= 1.0:
        raise ParameterError(f"severity = {severity}: expected 0 to 1")
    for name, value, least in (("clip", clip, 0), ("channels", channels, 1), ("seed", seed, 0)):
        if value < least:
            raise ParameterError(f"{name} = {value}: expected at least {least}")


def check_far(far_db: float | None, channels: int) -> None:
    """Raise ParameterError if there is no such far microphone."""
    if far_db is None:
        return
    if not -60.0 <= far_db <= 0.0:
        raise ParameterError(f"far_db = {far_db}: expected -60 to 0 dB, or None for no far microphone")
    if channels != 1:
        raise ParameterError(f"far_db: beside one near microphone, not {channels}; layout 'mimii' has 8")


def check_clip_format(seconds: float, sample_rate: int) -> None:
    """Raise ParameterError if duration or rate is out of range."""
    if not 1.0 <= seconds <= 600.0:
        raise ParameterError(f"seconds = {seconds}: expected 1 to 600")
    if not isinstance(sample_rate, int) or not 4000 <= sample_rate <= 192_000:
        raise ParameterError(f"sample_rate = {sample_rate}: expected a whole number from 4000 to 192000 Hz")


def grid(seconds: float, sample_rate: int) -> Grid:
    """Return the grid of clips of that duration and rate; the same object each time, for the caches."""
    check_clip_format(seconds, sample_rate)
    return _shared_grid(round(seconds * sample_rate), sample_rate)


@functools.lru_cache(maxsize=4)
def _shared_grid(samples: int, sample_rate: int) -> Grid:
    return Grid(samples, sample_rate)


@functools.lru_cache(maxsize=48)
def _machine(machine_type: str, machine_id: str, seed: int, grid: Grid) -> Machine:
    return _TYPES[machine_type](seed, machine_id, grid)


@functools.lru_cache(maxsize=2)
def _factory(seed: int, grid: Grid) -> Factory:
    return Factory(seed, grid)


def _colouring(rng: Generator, grid: Grid) -> np.ndarray:
    """Return a smooth gain over frequency, within 1 dB or so: no clip has quite the same place."""
    nepers = rng.normal(0.0, 0.8 * np.log(10.0) / 20.0, _BENDS).astype(np.float32)
    gain: np.ndarray = np.exp(nepers @ _bends(grid))
    return gain


@functools.lru_cache(maxsize=4)
def _bends(grid: Grid) -> np.ndarray:
    """Return overlapping triangles over the logarithm of frequency, ``(_BENDS, bins)``."""
    knots = np.linspace(np.log(50.0), np.log(grid.sample_rate / 2), _BENDS)
    position = np.log(np.maximum(grid.hz, 50.0))
    return np.stack([np.interp(position, knots, row) for row in np.eye(_BENDS)]).astype(np.float32)


def _at_microphones(
    spectrum: np.ndarray, machine_type: str, machine_id: str, seed: int, grid: Grid, channels: int
) -> np.ndarray:
    """Return the machine's sound at each microphone: it stands in one direction, some way off."""
    if channels == 1:
        return grid.time(spectrum)[None]
    rng = stream(seed, machine_type, machine_id, "array")
    delays = _delays(rng.uniform(0.0, 2.0 * np.pi), channels)
    gains = 10.0 ** (rng.normal(0.0, 0.5, channels) / 20.0)
    gains[0] = 1.0
    delays -= delays[0]
    out = np.empty((channels, grid.samples), dtype=np.float32)
    for c in range(channels):
        turn = np.exp(grid.hz * np.complex64(-2j * np.pi * delays[c]))
        out[c] = grid.time(spectrum * turn * np.float32(gains[c]))
    return out


def _at_far_microphone(
    spectrum: np.ndarray,
    heard: Noise | None,
    key: tuple[str, str, int],
    far_db: float,
    seed: int,
    grid: Grid,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the far microphone hears of the machine and of the factory, and its own noise beside a near RMS of 1.

    Nothing of a factory that is not heard.
    """
    microphone = FarMicrophone(stream(seed, *key[:2], "far microphone"), grid, machine_db=far_db)
    factory, rng = _factory(seed, grid), stream(seed, *key, "far")
    machine, own = microphone.machine(spectrum, factory), microphone.own_noise(rng)
    if heard is None:
        return machine, np.zeros_like(machine), own
    return machine, microphone.noise(heard, factory, rng), own


def _delayed(sound: np.ndarray, direction: float, grid: Grid, channels: int) -> np.ndarray:
    """Return a sound from a direction at each microphone, to the nearest sample."""
    if channels == 1:
        return sound[None]
    delays = _delays(direction, channels)
    return np.stack([np.roll(sound, round(float(d - delays[0]) * grid.sample_rate)) for d in delays])


def _delays(direction: float, channels: int) -> np.ndarray:
    around = 2.0 * np.pi * np.arange(channels) / channels
    return -_ARRAY_RADIUS_M / _SOUND_IN_AIR * np.cos(around - direction)
