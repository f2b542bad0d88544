"""When in a clip its statistics are what they are: what each frame adds, through the statistic's derivative.

A level is a mean over frames: each adds its own level less that of a healthy frame of the same rank. Deviations are
made of squares, and a rhythm, by Parseval, of the squared swing at its rates: where they are larger than usual, each
frame adds its part of them; where they are smaller, something is missing at no time more than at others, and all add
the same. A quiet floor is made of the quietest frames.
"""

from __future__ import annotations

import numpy as np

from offkey.signal.statistics import RHYTHM_BANDS, RHYTHM_LOWEST_HZ, RHYTHM_RATES

__all__ = ["of_differences", "of_floor", "of_level", "of_rhythm", "of_squares"]

_NEAR_FLOOR = 0.1  # frames up to this rank share what the quiet floor adds


def of_level(logmel: np.ndarray, slopes: np.ndarray, deviations: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return what each frame adds through the mean level, ``(bins, frames)``; each bin's sum is slope times deviation.

    A healthy recording has frames of its own, louder and quieter ones: a frame is compared with the healthy one of its
    rank, which lies as far from the mean as this clip's does, times the ratio of the usual deviation to the clip's.

    Parameters
    ----------
    logmel
        ``(bins, frames)`` in dB.
    slopes
        ``(bins,)``: what the score gains by 1 dB of mean level.
    deviations
        ``(bins,)``: the mean level less the usual one, in dB.
    usual
        ``(bins,)``: the usual deviation over frames, in parts of this clip's.
    """
    apart = (logmel - logmel.mean(axis=1, keepdims=True)) * (1 - usual[:, None])
    added: np.ndarray = slopes[:, None] * (deviations[:, None] + apart) / logmel.shape[1]
    return added


def of_squares(amounts: np.ndarray, deviations: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Return what each frame adds through a statistic that rises with the sum of squares, ``(bins, frames)``.

    Parameters
    ----------
    amounts
        ``(bins,)``: what the statistic adds.
    deviations
        ``(bins,)``: the statistic less the usual one. Where it is below 0, all frames add the same.
    changes
        ``(bins, frames)``: what is squared.
    """
    squares = np.where(deviations[:, None] > 0, np.square(changes), 1.0)
    totals = squares.sum(axis=1, keepdims=True)
    even = np.full_like(squares, 1 / squares.shape[1])
    shares = np.divide(squares, totals, out=even, where=totals > 0)
    added: np.ndarray = amounts[:, None] * shares
    return added


def of_differences(amounts: np.ndarray, deviations: np.ndarray, logmel: np.ndarray) -> np.ndarray:
    """Return the same of differences of neighbours; both frames of a difference add one half."""
    if logmel.shape[1] < 2:
        return amounts[:, None] * np.ones((1, logmel.shape[1]))
    steps = np.diff(logmel, axis=1)
    shares = of_squares(amounts, deviations, steps - steps.mean(axis=1, keepdims=True)) / 2
    added: np.ndarray = np.pad(shares, ((0, 0), (0, 1))) + np.pad(shares, ((0, 0), (1, 0)))
    return added


def of_floor(amounts: np.ndarray, logmel: np.ndarray) -> np.ndarray:
    """Return what each frame adds through the 5th percentile: the quietest tenth of each bin, in equal parts."""
    count = max(1, round(_NEAR_FLOOR * logmel.shape[1]))
    quietest = np.argpartition(logmel, count - 1, axis=1)[:, :count]
    added = np.zeros(logmel.shape)
    np.put_along_axis(added, quietest, amounts[:, None] / count, axis=1)
    return added


def of_rhythm(
    amounts: np.ndarray, deviations: np.ndarray, logmel: np.ndarray, *, frame_rate_hz: float
) -> np.ndarray:
    """Return what each frame adds through the rhythm: its part of the squared swing of each band at each rate.

    Parameters
    ----------
    amounts, deviations
        ``(rates * bands,)``, as for squares.
    logmel
        ``(bins, frames)`` in dB.
    frame_rate_hz
        Frames a second.
    """
    bins, frames = logmel.shape
    pools = _pools(bins)
    swings = pools @ logmel
    swings = (swings - swings.mean(axis=1, keepdims=True)) * np.hanning(frames)
    spectrum = np.fft.rfft(swings)
    lines = np.fft.rfftfreq(frames, 1 / frame_rate_hz)
    edges = np.geomspace(RHYTHM_LOWEST_HZ, frame_rate_hz / 2, RHYTHM_RATES + 1)
    added = np.zeros((RHYTHM_BANDS, frames))
    tables = (values.reshape(RHYTHM_RATES, RHYTHM_BANDS) for values in (amounts, deviations))
    for rate, (of_bands, apart) in enumerate(zip(*tables, strict=True)):
        inside = (lines >= edges[rate] * (1 - 1e-9)) & (lines < edges[rate + 1] * (1 - 1e-9))
        if not inside.any():
            inside[np.argmin(np.abs(lines - np.sqrt(edges[rate] * edges[rate + 1])))] = True
        added += of_squares(of_bands, apart, np.fft.irfft(spectrum * inside, frames))
    shares: np.ndarray = (pools / pools.sum(axis=1, keepdims=True)).T @ added
    return shares


def _pools(bins: int) -> np.ndarray:
    """Return the means over neighbouring Mels that a rhythm's bands are, ``(bands, bins)``."""
    first = np.floor(np.arange(RHYTHM_BANDS) * bins / RHYTHM_BANDS)
    last = np.ceil((np.arange(RHYTHM_BANDS) + 1) * bins / RHYTHM_BANDS)
    place = np.arange(bins)
    inside = (place >= first[:, None]) & (place < last[:, None])
    pools: np.ndarray = inside / inside.sum(axis=1, keepdims=True)
    return pools
