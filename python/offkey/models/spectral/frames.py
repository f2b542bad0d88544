"""When in a clip its statistics are what they are: what each frame adds, through the statistic's derivative.

A level is a mean over frames: each adds its own level less that of a healthy frame of the same rank. Fluctuation,
spread and rhythm rise with a sum of squares of something that is linear in the level, ``|L x|^2``: as a form is shared
out over features by deviation times half the gradient, so is this one over frames, by ``x_t (L'L x)_t``, which sum to
it. Where there is less of them than usual, something is missing at no time more than at others, and all frames add the
same. So they do where the quiet floor lies higher than usual: what never stops is there at all times. A lower floor is
made of the quietest frames.
"""

from __future__ import annotations

import numpy as np

from offkey.signal.statistics import RHYTHM_BANDS, RHYTHM_LOWEST_HZ, RHYTHM_RATES

__all__ = ["of_differences", "of_floor", "of_level", "of_rhythm", "of_spread"]

_NEAR_FLOOR = 0.1  # frames up to this rank share what a lower quiet floor adds


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


def of_spread(amounts: np.ndarray, deviations: np.ndarray, logmel: np.ndarray) -> np.ndarray:
    """Return what each frame adds through the deviation over frames, ``(bins, frames)``: its square is its share.

    Parameters
    ----------
    amounts
        ``(bins,)``: what the statistic adds.
    deviations
        ``(bins,)``: the statistic less the usual one. Where it is below 0, all frames add the same.
    logmel
        ``(bins, frames)`` in dB.
    """
    centred = logmel - logmel.mean(axis=1, keepdims=True)
    return _of_squares(amounts, deviations, centred, centred)


def of_differences(amounts: np.ndarray, deviations: np.ndarray, logmel: np.ndarray) -> np.ndarray:
    """Return the same through the deviation of differences of neighbouring frames."""
    centred = logmel - logmel.mean(axis=1, keepdims=True)
    steps = np.diff(centred, axis=1)
    steps -= steps.mean(axis=1, keepdims=True) if steps.shape[1] else 0.0
    gradient = np.pad(steps, ((0, 0), (1, 0))) - np.pad(steps, ((0, 0), (0, 1)))
    return _of_squares(amounts, deviations, centred, gradient)


def of_floor(amounts: np.ndarray, deviations: np.ndarray, logmel: np.ndarray) -> np.ndarray:
    """Return what each frame adds through the 5th percentile, ``(bins, frames)``.

    Where it lies higher than usual all frames add the same, where it lies lower the quietest tenth of each bin does.
    """
    frames = logmel.shape[1]
    count = max(1, round(_NEAR_FLOOR * frames))
    quietest = np.argpartition(logmel, count - 1, axis=1)[:, :count]
    shares = np.zeros(logmel.shape)
    np.put_along_axis(shares, quietest, 1 / count, axis=1)
    added: np.ndarray = amounts[:, None] * np.where(deviations[:, None] > 0, 1 / frames, shares)
    return added


def of_rhythm(
    amounts: np.ndarray, deviations: np.ndarray, logmel: np.ndarray, *, frame_rate_hz: float
) -> np.ndarray:
    """Return what each cell adds through the rhythm, ``(bins, frames)``: its part of each band's swing at each rate.

    Parameters
    ----------
    amounts, deviations
        ``(rates * bands,)``, as of the spread.
    logmel
        ``(bins, frames)`` in dB.
    frame_rate_hz
        Frames a second.
    """
    bins, frames = logmel.shape
    pools = _pools(bins)
    levels = (logmel - logmel.mean(axis=1, keepdims=True)) * np.hanning(frames)
    bands = pools @ levels
    spectrum = np.fft.rfft(bands)
    lines = np.fft.rfftfreq(frames, 1 / frame_rate_hz)
    edges = np.geomspace(RHYTHM_LOWEST_HZ, frame_rate_hz / 2, RHYTHM_RATES + 1)
    added = np.zeros((bins, frames))
    tables = (values.reshape(RHYTHM_RATES, RHYTHM_BANDS) for values in (amounts, deviations))
    for rate, (of_bands, apart) in enumerate(zip(*tables, strict=True)):
        inside = (lines >= edges[rate] * (1 - 1e-9)) & (lines < edges[rate + 1] * (1 - 1e-9))
        if not inside.any():
            inside[np.argmin(np.abs(lines - np.sqrt(edges[rate] * edges[rate + 1])))] = True
        swings = np.fft.irfft(spectrum * inside, frames)
        power = (bands * swings).sum(axis=1)
        swinging = (apart > 0) & (power > 0)
        factors = np.divide(of_bands, power, out=np.zeros(RHYTHM_BANDS), where=swinging)
        added += levels * (pools.T @ (factors[:, None] * swings))
        added += (pools.T @ np.where(swinging, 0.0, of_bands))[:, None] / frames
    return added


def _of_squares(
    amounts: np.ndarray, deviations: np.ndarray, level: np.ndarray, gradient: np.ndarray
) -> np.ndarray:
    """Share amounts ``(bins,)`` out over frames, by the products of the level and the gradient, ``(bins, frames)``."""
    products = np.where(deviations[:, None] > 0, level * gradient, 1.0)
    totals = products.sum(axis=1, keepdims=True)
    even = np.full_like(products, 1 / products.shape[1])
    added: np.ndarray = amounts[:, None] * np.divide(products, totals, out=even, where=totals > 0)
    return added


def _pools(bins: int) -> np.ndarray:
    """Return the means over neighbouring Mels that a rhythm's bands are, ``(bands, bins)``."""
    first = np.floor(np.arange(RHYTHM_BANDS) * bins / RHYTHM_BANDS)
    last = np.ceil((np.arange(RHYTHM_BANDS) + 1) * bins / RHYTHM_BANDS)
    place = np.arange(bins)
    inside = (place >= first[:, None]) & (place < last[:, None])
    pools: np.ndarray = inside / inside.sum(axis=1, keepdims=True)
    return pools
