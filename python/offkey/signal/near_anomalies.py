"""Near anomalies in batches: each clip of normal log-Mel spectrograms with one kind of small fault added.

A network learns from them what a fault is. The kinds are functions of `offkey.signal.near_kinds`; `draw` draws
their parameters from a seed, and `near_anomalies` draws and applies one kind to each clip. What is drawn suits 31.25
frames a second (hop 512 at 16 kHz, where 60 frames are 1.9 s). Widths and shifts in bins are drawn for 128 Mel bins
and scale with their number, widths down to 0.4 bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util.arrays import Float32, Int64, apart, counts, floats
from offkey._util.parameters import choice, integer, unsigned
from offkey._util.threads import threads

__all__ = ["RICH_KINDS", "STATIC_KINDS", "NearAnomalies", "draw", "near_anomalies"]

STATIC_KINDS = ("bumps", "spread", "mel_shift", "gain_and_tilt")
"""The kinds that change levels and deviations."""

RICH_KINDS = (*STATIC_KINDS, "noise_band", "lines", "bursts", "clicks", "tremolo", "time_warp")
"""All kinds: the static ones, added sounds, and changes of the course in time."""

_SEVERAL = ("bumps", "lines", "bursts")
_FLUTTERING = ("noise_band", "lines", "bursts", "clicks")
_LOGMEL = ("n_mels", "frames")
_MOST = 1_000_000


class NearAnomalies(NamedTuple):
    """A batch of near anomalies."""

    logmels: Float32
    """(clips, n_mels, frames)."""
    kinds: Int64
    """(clips,): what was done to each clip, as its position in the kinds that were asked for."""


def near_anomalies(
    logmels: npt.NDArray[np.floating],
    *,
    deviation_db: npt.NDArray[np.floating],
    seeds: npt.ArrayLike,
    kinds: Sequence[str] = RICH_KINDS,
    out: Float32 | None = None,
    num_threads: int | None = None,
) -> NearAnomalies:
    """Change each clip of a batch by one kind of near anomaly.

    The kind is drawn uniformly from the clip's seed, then its parameters as `draw` does. A clip's result depends on
    its log-Mel, its deviations, its seed and the kinds alone: neither on the other clips nor on the threads.

    Parameters
    ----------
    logmels : (clips, n_mels, frames) float array
        The spectrograms, in dB, of magnitude 1e6 at most.
    deviation_db : (n_mels,) or (clips, n_mels) float array
        For each Mel bin the deviation over normal clips of one machine of the clip's mean, in dB, 0 to 1e6.
    seeds : (clips,) int array-like
        From 0.
    kinds : sequence of str, default `RICH_KINDS`
        Those to draw from; one that stands there twice is drawn twice as often.
    out : (clips, n_mels, frames) float32, optional
        An array to write into, apart from the log-Mels; partly written after an error. Default: a new one.
    num_threads : int, optional
        How many threads share a batch. Default: one for each core, but one in a worker of a `DataLoader`.

    Returns
    -------
    NearAnomalies
        Changed spectrograms (`out` where it was given) and kinds.

    Raises
    ------
    ArrayError
        If an array is not of that shape, or its values are not finite or out of range.
    ParameterError
        If a kind has no such name or there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal.near_anomalies import STATIC_KINDS, near_anomalies
    >>> clips = np.random.default_rng(0).normal(-40, 5, (4, 128, 313)).astype(np.float32)
    >>> changed, kinds = near_anomalies(
    ...     clips, deviation_db=np.full(128, 1.5), seeds=range(4), kinds=STATIC_KINDS
    ... )
    >>> changed.shape, kinds.shape
    ((4, 128, 313), (4,))
    """
    values = floats("logmels", logmels, ("clips", *_LOGMEL))
    clips, n_mels = values.shape[:2]
    one_for_all = np.ndim(deviation_db) == 1
    deviations = floats("deviation_db", deviation_db, (n_mels,) if one_for_all else (clips, n_mels))
    changed, positions = _native.near_anomalies(
        values,
        [choice("kinds", kind, RICH_KINDS) for kind in kinds],
        deviations_db=np.ascontiguousarray(np.broadcast_to(deviations, (clips, n_mels))),
        seeds=counts("seeds", np.asarray(seeds), np.zeros(clips, np.int64)),
        out=None if out is None else apart(out, values, values.shape),
        num_threads=threads(num_threads),
    )
    return NearAnomalies(changed, positions)


def draw(kind: str, *, n_mels: int, frames: int, seed: int) -> dict[str, Any]:
    """Draw the parameters of a kind, as `near_anomalies` does.

    "Log-uniform" is uniform in the logarithm. Centres are uniform over the bins. The docstring of each kind in
    `offkey.signal.near_kinds` says how its other parameters are drawn.

    Parameters
    ----------
    kind : str
        One of `RICH_KINDS`.
    n_mels, frames : int
        Size of the log-Mel, from 1.
    seed : int
        From 0.

    Returns
    -------
    dict
        The keyword arguments of the function of that name; of `bumps` and `gain_and_tilt` all but `deviation_db`.

    Raises
    ------
    ParameterError
        If the kind has no such name or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import near_kinds
    >>> from offkey.signal.near_anomalies import draw
    >>> clip = np.random.default_rng(0).normal(-40, 5, (128, 313)).astype(np.float32)
    >>> parameters = draw("noise_band", n_mels=128, frames=313, seed=3)
    >>> sorted(parameters)
    ['centre', 'level_db', 'seed', 'width']
    >>> near_kinds.noise_band(clip, **parameters).shape
    (128, 313)
    """
    columns = _native.draw_near_anomaly(
        choice("kind", kind, RICH_KINDS),
        n_mels=integer("n_mels", n_mels, 1, _MOST),
        frames=integer("frames", frames, 1, _MOST),
        seed=unsigned("seed", seed),
    )
    parameters: dict[str, Any] = {
        name: np.array(values) if kind in _SEVERAL else values[0] for name, values in columns
    }
    return parameters | ({"seed": seed} if kind in _FLUTTERING else {})
