"""Fades of half a second at both ends of one clip."""

from __future__ import annotations

import numpy as np

from peers import clip as clips
from peers import data, floor
from peers.harness import Bench, Group, each
from peers.judge import at_most

FADE = 8_000
SOME = 16
CURVES = ("exponential", "logarithmic", "quarter_sine", "half_sine")
group = Group(
    "fade",
    "us a clip",
    1e6,
    {"linear": "linear fade in and out", "in_place": "linear fade in and out, in place"}
    | {curve: f"{curve} fade in and out" for curve in CURVES},
    same_work=(at_most("error", 1e-5),),
)


def gains(shape: str) -> np.ndarray:
    """(FADE,) float64: the curve of a fade in, as torchaudio's."""
    u = np.linspace(0, 1, FADE)
    return {
        "linear": u,
        "exponential": u * 2 ** (u - 1),
        "logarithmic": np.clip(1 + np.log10(0.1 + u), 0, 1),
        "quarter_sine": np.sin(np.pi * u / 2),
        "half_sine": (1 - np.cos(np.pi * u)) / 2,
    }[shape]


def silence() -> np.ndarray:
    """What may fade any number of times and stays normal: the arithmetic is the same."""
    return np.zeros(data.SAMPLES, np.float32)


def bench(case: str, effect: clips.Effect) -> Bench:
    """The greatest difference of the gains from the curve, in one call on ones."""

    def check() -> dict[str, float]:
        expected, curve = np.ones(data.SAMPLES), gains("linear" if case == "in_place" else case)
        expected[:FADE] *= curve
        expected[-FADE:] *= curve[::-1]
        return {
            "error": float(
                np.abs(np.asarray(effect(np.ones(data.SAMPLES, np.float32))).ravel() - expected).max()
            )
        }

    if case == "in_place":
        clip = silence()
        made = each([clip], effect, 1, SOME)
        made.check = check
        return made
    return clips.bench(effect, 1, check)


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    from offkey.signal import augment

    if case == "in_place":
        return bench(case, lambda clip: augment.fade(clip, fade_in=FADE, fade_out=FADE, out=clip))
    return bench(case, lambda clip: augment.fade(clip, fade_in=FADE, fade_out=FADE, shape=case))


@group.contender("numpy slices")
def numpy_slices(case: str, threads: int) -> Bench:
    """With the gains made once, which a caller who draws the length cannot do."""
    rise = gains("linear" if case == "in_place" else case).astype(np.float32)
    fall = rise[::-1].copy()

    def effect(clip: np.ndarray) -> np.ndarray:
        out = clip if case == "in_place" else clip.copy()
        out[:FADE] *= rise
        out[-FADE:] *= fall
        return out

    return bench(case, effect)


@group.contender("torchaudio", ("linear", *CURVES))
def torchaudio(case: str, threads: int) -> Bench:
    import torch
    from torchaudio.transforms import Fade

    torch.set_num_threads(1)
    transform = Fade(FADE, FADE, case)
    return bench(case, lambda clip: transform(torch.from_numpy(clip)[None])[0].numpy())


@group.contender("a copy", ("linear", *CURVES), kind="floor")
def copy(case: str, threads: int) -> Bench:
    return clips.bench(np.copy, 1)


@group.contender("floor: touching what changes", ("in_place",), kind="floor")
def touching(case: str, threads: int) -> Bench:
    library, clip = floor.library(), silence()
    at = clip.ctypes.data

    def touch(alive: np.ndarray) -> None:
        library.touch(at, 2, data.SAMPLES - FADE, FADE)

    return each([clip], touch, 1, SOME)
