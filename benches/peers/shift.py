"""Circular shift of one clip."""

from __future__ import annotations

import numpy as np

from peers import clip as clips
from peers import data
from peers.harness import Bench, Group
from peers.judge import at_most

SHIFT = 12_345
group = Group(
    "shift",
    "us a clip",
    1e6,
    {"fresh": "circular shift", "out": "circular shift into a given array"},
    same_work=(at_most("differing", 0),),
)


def bench(effect: clips.Effect) -> Bench:
    """Whether the result is numpy.roll's to the bit: 0 or the number of samples that differ."""
    clip = data.clips(1)[0]

    def check() -> dict[str, float]:
        return {
            "differing": float(np.count_nonzero(np.asarray(effect(clip)).ravel() != np.roll(clip, SHIFT)))
        }

    return clips.bench(effect, 1, check)


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    out = np.empty(data.SAMPLES, np.float32) if case == "out" else None
    return bench(lambda clip: augment.time_shift(clip, samples=SHIFT, out=out))


@group.contender("numpy slices")
def numpy_slices(case: str, threads: int) -> Bench:
    given = np.empty(data.SAMPLES, np.float32)

    def effect(clip: np.ndarray) -> np.ndarray:
        out = given if case == "out" else np.empty_like(clip)
        out[SHIFT:], out[:SHIFT] = clip[:-SHIFT], clip[-SHIFT:]
        return out

    return bench(effect)


@group.contender("numpy.roll", ("fresh",))
def numpy_roll(case: str, threads: int) -> Bench:
    return bench(lambda clip: np.roll(clip, SHIFT))


@group.contender("audiomentations", ("fresh",))
def audiomentations(case: str, threads: int) -> Bench:
    settings = {"shift_unit": "samples", "rollover": True, "fade_duration": 0.0}
    return bench(clips.audiomentation("Shift", SHIFT, SHIFT, **settings))


@group.contender("a copy", kind="floor")
def copy(case: str, threads: int) -> Bench:
    out = np.empty(data.SAMPLES, np.float32)
    return clips.bench((lambda clip: np.copyto(out, clip)) if case == "out" else np.copy, 1)
