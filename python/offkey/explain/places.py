"""The strongest bands and stretches of a map."""

from __future__ import annotations

import numpy as np

__all__ = ["LEAST_SHARE", "Run", "strongest_bands", "strongest_stretches"]

Run = tuple[int, int]
"""First and last place of a run, the last one included."""

LEAST_SHARE = 0.1
"""Of all that raised the score: weaker bands are not named, but for the strongest."""
_MOST_BANDS = 3
_LEAST_OF_PEAK = 0.5  # of the strongest bin: a band ends where it is weaker
_MOST_STRETCHES = 50
_EVEN = 0.68  # of a sum in the stronger half of the frames: with less, no half is stronger than the other,
_PEAKS = 3.0  # and where the strongest frames are not so many times as strong as the middle one, no peak is
_SMOOTHED_S = 0.1
_GAP_S = 0.1  # shorter gaps do not part stretches
_WEAK = 0.1  # of the strongest stretch: weaker ones are not named


def strongest_bands(added: np.ndarray) -> list[tuple[Run, float]]:
    """Return the bands that add most, the strongest first, and their shares of all that is added.

    Parameters
    ----------
    added
        ``(bins,)``: what each adds, negative where it takes away.
    """
    strength = np.maximum(added, 0.0)
    total = strength.sum()
    if not total > 0:
        return []
    inside = strength >= _LEAST_OF_PEAK * strength.max()
    runs = [(run, float(strength[run[0] : run[1] + 1].sum() / total)) for run in _runs(inside, gap=1)]
    named = [(run, share) for run, share in runs if share >= LEAST_SHARE]
    return sorted(named or runs[:1], key=lambda pair: -pair[1])[:_MOST_BANDS]


def strongest_stretches(added: np.ndarray, *, frame_s: float) -> list[tuple[Run, float]]:
    """Return when most is added, in the order of time, and the shares of it; all frames as one where it is throughout.

    Parameters
    ----------
    added
        ``(frames,)``: what each adds.
    frame_s
        Seconds from one frame to the next.
    """
    strength = np.maximum(_time_smoothed(np.maximum(added, 0.0), round(_SMOOTHED_S / frame_s)), 0.0)
    total, ordered = strength.sum(), np.sort(strength)
    if not total > 0:
        return []
    quiet, usual, loud = np.quantile(strength, (0.1, 0.5, 0.98))
    even = ordered[len(ordered) // 2 :].sum() < _EVEN * total and loud < _PEAKS * usual
    if len(strength) < 4 or even:
        return [((0, len(strength) - 1), 1.0)]
    middle = (quiet + loud) / 2
    runs = [
        (run, float(strength[run[0] : run[1] + 1].sum() / total))
        for run in _runs(strength >= middle, gap=round(_GAP_S / frame_s))
    ]
    least = _WEAK * max(share for _, share in runs)
    strongest = sorted((pair for pair in runs if pair[1] >= least), key=lambda pair: -pair[1])
    return sorted(strongest[:_MOST_STRETCHES])


def _time_smoothed(values: np.ndarray, width: int) -> np.ndarray:
    if width < 2:
        return values
    kernel = np.hanning(width + 2)[1:-1]
    smoothed: np.ndarray = np.convolve(np.pad(values, width // 2, mode="edge"), kernel / kernel.sum(), "same")
    return smoothed[width // 2 : width // 2 + len(values)]


def _runs(inside: np.ndarray, *, gap: int) -> list[Run]:
    """Return the runs of true values; those with at most `gap` false ones between them are one."""
    places = np.flatnonzero(inside)
    parts = np.split(places, np.flatnonzero(np.diff(places) > gap + 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts]
