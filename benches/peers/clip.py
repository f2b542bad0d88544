"""What the groups of effects share: one clip in, one out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peers import data
from peers.harness import Bench, Check, each

Effect = Callable[[np.ndarray], np.ndarray]
CLIPS = 32


def bench(effect: Effect, threads: int, check: Check | None = None) -> Bench:
    made = each(data.clips(CLIPS), effect, threads)
    made.check = check
    return made


def audiomentation(name: str, *arguments: Any, **settings: Any) -> Effect:
    """A transform of audiomentations that is always applied."""
    import audiomentations

    transform = getattr(audiomentations, name)(*arguments, p=1.0, **settings)
    return lambda clip: transform(clip, data.RATE_HZ)


def signalsmith(*, semitones: float = 0.0, rate: float = 1.0) -> Effect:
    """Signalsmith's library through python-stretch."""
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch()
    stretch.preset(1, data.RATE_HZ, False)
    if semitones:
        stretch.setTransposeSemitones(semitones)
    if rate != 1:
        stretch.setTimeFactor(rate)

    def effect(clip: np.ndarray) -> np.ndarray:
        stretch.reset()
        return stretch.process(clip[None])[0]

    return effect


def quality(effect: Effect, *, frequency_ratio: float = 1.0, time_ratio: float = 1.0) -> dict[str, float]:
    """The probes that the tests use, see `tests/quality_probes.py`."""
    from dataclasses import asdict

    from quality_probes import measure

    return asdict(measure(effect, frequency_ratio=frequency_ratio, time_ratio=time_ratio))
