"""How much the set T, the rhythm, counts beside the other sets: by how much rhythm the normal clips have.

The mean T of a machine is a table of rates and bands. Noise without rhythm has a spectrum that is the same in all bands
but for its level, and a table of rows plus columns; a machine that beats, clicks or swings in some bands at some rates
has one that is not. The strength of a rhythm is what is left of the table without its rows and columns, in units of the
scatter of clips about it. It is read off normal clips alone, those of one ID suffice.
"""

from __future__ import annotations

import numpy as np

from offkey.signal.statistics import RHYTHM_RATES

__all__ = ["rhythm_note", "rhythm_strength", "rhythm_weight"]

_FULL_STRENGTH = 0.4  # from here on the rhythm counts in full
_HARDLY = 0.1  # weights below it are as good as none


def rhythm_strength(rhythm: np.ndarray, ids: np.ndarray, weights: np.ndarray) -> float:
    """Return the strength Q of the rhythm of normal clips: mean over IDs.

    Parameters
    ----------
    rhythm
        ``(clips, 128)``: for each rate, the lowest first, its bands.
    ids
        ``(clips,)`` positions of the clips' machine IDs.
    weights
        ``(clips,)`` above 0, at most 1: what each clip counts.

    Returns
    -------
    float
        From 0. IDs that are too few clips for a scatter, or whose clips are copies, do not count; without others it
        is 0.
    """
    strengths = []
    for i in np.unique(ids):
        clips, shares = rhythm[ids == i], weights[ids == i]
        freedom = shares.sum() - 1
        if freedom < 1:
            continue
        mean = shares @ clips / shares.sum()
        scatter = np.mean(shares @ np.square(clips - mean)) / freedom
        table = mean.reshape(RHYTHM_RATES, -1)
        rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        if scatter > 0:
            strengths.append(rest.var() / scatter)
    return float(np.mean(strengths)) if strengths else 0.0


def rhythm_weight(strength: float) -> float:
    """Return the share of its full weight that the set T counts with, from 0 to 1."""
    return min(1.0, (strength / _FULL_STRENGTH) ** 2)


def rhythm_note(strength: float, weight: float) -> str:
    """Say how much the rhythm counts, and why."""
    if weight < _HARDLY:
        found, verdict = "no rhythm to speak of", f"counts {weight:.0%}"
    elif weight < 1:
        found, verdict = "some rhythm", f"counts {weight:.0%}"
    else:
        found, verdict = "a rhythm", "counts fully"
    return f"spectral: these machines have {found} ({strength:.2f}): it {verdict}"
