"""Masks over time and over frequency on the log-Mel of one clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import data, floor
from peers.harness import Bench, Group, each
from peers.judge import at_most

SOME = 16
BANDS: dict[str, dict[str, int]] = {
    "time": {"start": 100, "width": 40},
    "frequency": {"start": 30, "width": 20},
}
group = Group(
    "masks",
    "us a log-Mel",
    1e6,
    {
        "time": "time mask on a log-Mel",
        "frequency": "frequency mask on a log-Mel",
        "time_in_place": "time mask in place",
        "frequency_in_place": "frequency mask in place",
    },
    same_work=(at_most("differing", 0),),
)


def logmels() -> list[np.ndarray]:
    import offkey

    return list(offkey.LogMel.paper()(data.clips(32)))


def place(case: str) -> tuple[slice, ...]:
    band = BANDS[case.removesuffix("_in_place")]
    masked = slice(band["start"], band["start"] + band["width"])
    return (slice(None), masked) if case.startswith("time") else (masked,)


def bench(case: str, effect: Any) -> Bench:
    given = logmels()

    def check() -> dict[str, float]:
        expected = given[0].copy()
        expected[place(case)] = 0
        return {
            "differing": float(np.count_nonzero(np.asarray(effect(given[0].copy())).squeeze() != expected))
        }

    made = each(given, effect, 1, SOME)
    made.check = check
    return made


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    effect = augment.time_mask if case.startswith("time") else augment.frequency_mask
    band = BANDS[case.removesuffix("_in_place")]
    if case.endswith("in_place"):
        return bench(case, lambda logmel: effect(logmel, value=0.0, out=logmel, **band))
    return bench(case, lambda logmel: effect(logmel, value=0.0, **band))


@group.contender("offkey, to the minimum", ("time", "frequency"), kind="reference")
def to_the_minimum(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    effect = augment.time_mask if case == "time" else augment.frequency_mask
    return each(logmels(), lambda logmel: effect(logmel, **BANDS[case]), 1, SOME)


@group.contender("numpy slices")
def numpy_slices(case: str, threads: int) -> Bench:
    where = place(case)

    def effect(logmel: np.ndarray) -> np.ndarray:
        out = logmel if case.endswith("in_place") else logmel.copy()
        out[where] = 0
        return out

    return bench(case, effect)


@group.contender("torchaudio", ("time", "frequency"))
def torchaudio(case: str, threads: int) -> Bench:
    import torch
    from torchaudio.functional import mask_along_axis

    torch.set_num_threads(1)
    band, axis = BANDS[case], 2 if case == "time" else 1
    made = each(
        logmels(),
        lambda logmel: mask_along_axis(torch.from_numpy(logmel)[None], band["width"], 0.0, axis).numpy(),
        1,
    )
    made.check = None  # it draws the place
    return made


@group.contender("a copy", ("time", "frequency"), kind="floor")
def copy(case: str, threads: int) -> Bench:
    return each(logmels(), np.copy, 1, SOME)


@group.contender("floor: filling what changes", ("time_in_place", "frequency_in_place"), kind="floor")
def filling(case: str, threads: int) -> Bench:
    library, band, given = floor.library(), BANDS[case.removesuffix("_in_place")], logmels()
    rows, width = (128, band["width"]) if case.startswith("time") else (1, band["width"] * data.FRAMES)
    first = band["start"] * (1 if case.startswith("time") else data.FRAMES)
    places = [(logmel.ctypes.data + 4 * first, logmel) for logmel in given]  # which must outlive the pointers
    return each(places, lambda place: library.fill(place[0], rows, data.FRAMES, width, 0.0), 1, SOME)
