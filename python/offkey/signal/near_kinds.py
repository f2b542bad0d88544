"""Kinds of near anomalies: normal log-Mel spectrograms with a small fault added, from which a network learns faults.

Each is a function of one log-Mel with explicit parameters; `offkey.signal.near_anomalies` draws them, and does so for
batches. The static kinds change levels and deviations; the others add sounds and change the course in time. Bumps are
Gaussian over the Mel bins, ``exp(-(j - centre)^2 / (2 width^2))``, and end at six widths; outside of them nothing
changes by a bit. Lengths in time are in frames and rates in cycles a frame.

Added sounds lie `level_db` above the mean over time of each bin, in dB, of the clip itself: a sound is then as near
in quiet bins as in loud ones, where a level relative to the whole clip would vanish under the loud bins and drown
the quiet ones. In each cell their power is multiplied by a flutter of ``(0.5 - ln u) / 1.5``, u uniform: the power of
noise in a cell, averaged somewhat, with mean 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util.arrays import Float32, apart, finite_vector, floats
from offkey._util.parameters import number, unsigned
from offkey.errors import ArrayError

__all__ = [
    "bumps",
    "bursts",
    "clicks",
    "gain_and_tilt",
    "lines",
    "mel_shift",
    "noise_band",
    "spread",
    "time_warp",
    "tremolo",
]

_LOGMEL = ("n_mels", "frames")


def bumps(
    logmel: npt.NDArray[np.floating],
    *,
    deviation_db: npt.NDArray[np.floating],
    centres: npt.ArrayLike,
    widths: npt.ArrayLike,
    amplitudes: npt.ArrayLike,
    out: Float32 | None = None,
) -> Float32:
    """Raise or lower some bands by bumps, in all frames alike.

    Drawn: one to four bumps, width uniform from 0.5 to 4 bins, amplitude log-uniform from 0.05 to 1, either sign.

    Parameters
    ----------
    logmel : (n_mels, frames) float array
        The spectrogram, in dB, of magnitude 1e6 at most.
    deviation_db : (n_mels,) float array
        For each Mel bin the deviation over normal clips of one machine of the clip's mean, in dB, 0 to 1e6.
    centres, widths : (bumps,) float array-like
        In bins; widths from 0.001.
    amplitudes : (bumps,) float array-like
        In units of the bin's deviation, -1000 to 1000.
    out : (n_mels, frames) float32, optional
        An array to write into, apart from the log-Mel. Default: a new one.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If an array is not of that shape, or its values are not finite or out of range.
    ParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import near_kinds
    >>> clip, deviation = np.zeros((5, 2)), np.full(5, 2.0)
    >>> near_kinds.bumps(clip, deviation_db=deviation, centres=[2], widths=[0.1], amplitudes=[0.5])[:, 0]
    array([0., 0., 1., 0., 0.], dtype=float32)
    """
    rows = _columns(centres=centres, widths=widths, amplitudes=amplitudes)
    return _altered("bumps", logmel, rows, out, deviation_db=deviation_db)


def spread(
    logmel: npt.NDArray[np.floating],
    *,
    centre: float,
    width: float,
    amplitude: float,
    out: Float32 | None = None,
) -> Float32:
    """Let a band fluctuate more or less about its mean over time, by ``1 + amplitude * bump``.

    Drawn: width uniform from 0.5 to 8 bins, amplitude log-uniform from 0.03 to 0.5, either sign.

    Parameters
    ----------
    logmel, out
        As for `bumps`.
    centre, width : float
        Of the bump, in bins; width from 0.001.
    amplitude : float
        -1 (no fluctuation is left) to 1000.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    return _altered("spread", logmel, _row(centre=centre, width=width, amplitude=amplitude), out)


def mel_shift(logmel: npt.NDArray[np.floating], *, bins: float, out: Float32 | None = None) -> Float32:
    """Move the spectrum along the Mel axis; beyond the ends, the first and the last bin are held.

    Linear between bins. As bins that flutter independently would flutter less in between, which would give the shift
    away, each bin's deviation over time is then brought to that between its two neighbours.

    Drawn: log-uniform from 0.05 to 1 bins, either sign.

    Parameters
    ----------
    logmel, out
        As for `bumps`.
    bins : float
        How far up; negative: down.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    return _altered("mel_shift", logmel, _row(bins=bins), out)


def gain_and_tilt(
    logmel: npt.NDArray[np.floating],
    *,
    deviation_db: npt.NDArray[np.floating],
    gain: float,
    tilt: float,
    out: Float32 | None = None,
) -> Float32:
    """Add ``(gain + tilt * l) * deviation_db`` to each bin, l from -1 to 1 over the bins (0 of a single one).

    Drawn: gain and tilt each uniform from -s to s, with one s log-uniform from 0.1 to 2.

    Parameters
    ----------
    logmel, deviation_db, out
        As for `bumps`.
    gain, tilt : float
        In units of the bin's deviation, -1000 to 1000.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    return _altered("gain_and_tilt", logmel, _row(gain=gain, tilt=tilt), out, deviation_db=deviation_db)


def noise_band(
    logmel: npt.NDArray[np.floating],
    *,
    centre: float,
    width: float,
    level_db: float,
    seed: int,
    out: Float32 | None = None,
) -> Float32:
    """Add steady noise in a band.

    Drawn: width uniform from 2 to 20 bins, level uniform from -18 to 0 dB.

    Parameters
    ----------
    logmel, out
        As for `bumps`.
    centre, width : float
        Of the band's power, a bump in bins; width from 0.001.
    level_db : float
        Of the noise at the centre above the mean over time of each bin, -300 to 300. At most 300 dB above a cell.
    seed : int
        Of the flutter, from 0.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    row = _row(centre=centre, width=width, level_db=level_db)
    return _altered("noise_band", logmel, row, out, seed=seed)


def lines(
    logmel: npt.NDArray[np.floating],
    *,
    centres: npt.ArrayLike,
    widths: npt.ArrayLike,
    levels_db: npt.ArrayLike,
    seed: int,
    out: Float32 | None = None,
) -> Float32:
    """Add steady lines.

    Drawn: one to five lines, the first anywhere, the others each as far above the one before it, uniform from 2 to 32
    bins; those above the last bin are left out. Widths uniform from 0.4 to 0.8 bins, levels from -14 to 1 dB.

    Parameters
    ----------
    logmel, seed, out
        As for `noise_band`.
    centres, widths : (lines,) float array-like
        In bins; widths from 0.001.
    levels_db : (lines,) float array-like
        Above the mean over time of each bin, -300 to 300.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    rows = _columns(centres=centres, widths=widths, levels_db=levels_db)
    return _altered("lines", logmel, rows, out, seed=seed)


def bursts(
    logmel: npt.NDArray[np.floating],
    *,
    starts: npt.ArrayLike,
    lengths: npt.ArrayLike,
    centres: npt.ArrayLike,
    widths: npt.ArrayLike,
    levels_db: npt.ArrayLike,
    seed: int,
    out: Float32 | None = None,
) -> Float32:
    """Add bursts of noise.

    Drawn: one to four bursts of ``3 + 57 u^2`` frames, u uniform, or as many as there are; start uniform where it fits;
    widths uniform from 2 to 20 bins, levels from -10 to 4 dB.

    Parameters
    ----------
    logmel, seed, out
        As for `noise_band`.
    starts, lengths : (bursts,) float array-like
        In frames, from 0, fractions cut off; what lies beyond the last frame is lost.
    centres, widths : (bursts,) float array-like
        In bins; widths from 0.001.
    levels_db : (bursts,) float array-like
        Above the mean over time of each bin, -300 to 300.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    rows = _columns(starts=starts, lengths=lengths, centres=centres, widths=widths, levels_db=levels_db)
    return _altered("bursts", logmel, rows, out, seed=seed)


def clicks(
    logmel: npt.NDArray[np.floating],
    *,
    period: float,
    first: float,
    decay: float,
    centre: float,
    width: float,
    level_db: float,
    seed: int,
    jitter: float = 0.02,
    out: Float32 | None = None,
) -> Float32:
    """Add clicks one after another.

    A click has its full power in the frame that it falls in, and ``exp(-n / decay)`` of it n frames later; clicks that
    overlap add up.

    Drawn: period log-uniform from 3 to 60 frames, the first click uniform within a period, decay uniform from 0.5 to
    2.5 frames, width from 5 to 40 bins, level from -10 to 6 dB.

    Parameters
    ----------
    logmel, centre, width, level_db, out
        As for `noise_band`.
    period : float
        Frames from one click to the next, from 1.
    first : float
        When the first click is due, in frames, from 0.
    decay : float
        In frames, from 0.01.
    seed : int
        Of the flutter and of the jitter, from 0.
    jitter : float, default 0.02
        Each click comes so much of a period early or late at most, uniform; 0 to 1.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    row = _row(
        period=period, first=first, jitter=jitter, decay=decay, centre=centre, width=width, level_db=level_db
    )
    return _altered("clicks", logmel, row, out, seed=seed)


def tremolo(
    logmel: npt.NDArray[np.floating],
    *,
    rate: float,
    phase: float,
    centre: float,
    width: float,
    depth_db: float,
    out: Float32 | None = None,
) -> Float32:
    """Let the level of a band swing, by ``depth_db * bump * sin(2 pi (rate * t + phase))`` in frame t.

    Drawn: rate log-uniform from 0.0096 to 0.384 cycles a frame (0.3 to 12 Hz at 31.25 frames a second), phase uniform,
    width uniform from 2 to 20 bins, depth log-uniform from 0.2 to 3 dB.

    Parameters
    ----------
    logmel, out
        As for `bumps`.
    rate : float
        In cycles a frame, 0 to 0.5.
    phase : float
        In cycles, 0 to 1.
    centre, width : float
        Of the bump, in bins; width from 0.001.
    depth_db : float
        At the centre, 0 to 300.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    row = _row(rate=rate, phase=phase, centre=centre, width=width, depth_db=depth_db)
    return _altered("tremolo", logmel, row, out)


def time_warp(
    logmel: npt.NDArray[np.floating],
    *,
    depth: float,
    rate: float,
    phase: float,
    speed: float = 1.0,
    out: Float32 | None = None,
) -> Float32:
    """Let time run unevenly: frame t becomes that of ``speed * t + depth * sin(2 pi (rate * t + phase))``.

    The nearest frame is taken whole, as frames that are mixed would flutter less. Time beyond either end is mirrored.

    Drawn: depth uniform from 1 to 10 frames, rate log-uniform from 0.0032 to 0.064 cycles a frame (0.1 to 2 Hz at 31.25
    frames a second), phase uniform; speed 1 in half of the clips, else uniform from 0.8 to 1.2.

    Parameters
    ----------
    logmel, out
        As for `bumps`.
    depth : float
        In frames, from 0.
    rate, phase : float
        As for `tremolo`.
    speed : float, default 1.0
        0.1 to 10.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError, ParameterError
        As for `bumps`.
    """
    return _altered("time_warp", logmel, _row(depth=depth, rate=rate, phase=phase, speed=speed), out)


def _row(**parameters: float) -> npt.NDArray[np.float64]:
    """Return the parameters of what is there once, in the order of the kernel."""
    return np.array([[number(name, value) for name, value in parameters.items()]])


def _columns(**parameters: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the parameters of what may be there several times, a row for each time."""
    columns = {name: finite_vector(values, name) for name, values in parameters.items()}
    first, *others = columns
    for name in others:
        if len(columns[name]) != len(columns[first]):
            raise ArrayError(
                f"{name}: {len(columns[name])} values; expected {len(columns[first])}, as many as {first}"
            )
    return np.column_stack(list(columns.values()))


def _altered(
    kind: str,
    logmel: npt.NDArray[np.floating],
    parameters: npt.NDArray[np.float64],
    out: Float32 | None,
    *,
    deviation_db: npt.NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Float32:
    values = floats("logmel", logmel, _LOGMEL)
    return _native.near_anomaly(
        kind,
        parameters,
        values,
        deviation_db=None if deviation_db is None else floats("deviation_db", deviation_db, (len(values),)),
        seed=unsigned("seed", seed),
        out=None if out is None else apart(out, values, values.shape),
    )
