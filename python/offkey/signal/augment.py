"""Effects that augment training clips; `offkey.Augmenter` draws one of them for each clip of a batch.

They work on one clip, an array of (samples,) float32 in [-1, 1]; the two masks on its log-Mel
spectrogram. None of them writes to its input unless told to: `out` is an array to write into, for callers with
a loop. Fades and masks take their own input as `out` and then touch only what changes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util.arrays import Float32, apart, floats, in_place
from offkey._util.parameters import index, integer, unsigned

__all__ = [
    "RATES_HZ",
    "FadeShape",
    "fade",
    "frequency_mask",
    "pitch_shift",
    "time_mask",
    "time_shift",
    "time_stretch",
    "white_noise",
]

FadeShape = Literal["linear", "exponential", "logarithmic", "quarter_sine", "half_sine"]
"""The curves of a fade, as in torchaudio's `Fade`."""

RATES_HZ = (1_000, 768_000)
"""The least and the greatest sample rate that `time_stretch` and `pitch_shift` take."""

_CLIP, _LOGMEL = ("samples",), ("n_mels", "frames")


def white_noise(
    clip: npt.NDArray[np.floating], *, snr_db: float, seed: int, out: Float32 | None = None
) -> Float32:
    """Add white Gaussian noise.

    The noise is scaled so that the ratio of the clip's power to its own is exactly `snr_db`. A silent clip
    stays silent: noise at any ratio to nothing is nothing.

    Parameters
    ----------
    clip : (samples,) float array
        The samples, in [-1, 1].
    snr_db : float
        Ratio of the clip's mean power to the noise's, -100 to 200 dB.
    seed : int
        From 0. The same seed gives the same noise, on every processor.
    out : (samples,) float32, optional
        An array to write into, apart from the clip. Default: a new one.

    Returns
    -------
    (samples,) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples, or `out` does not fit.
    ParameterError
        If the ratio or the seed is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> clip = np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    >>> noise = augment.white_noise(clip, snr_db=6.0, seed=1) - clip
    >>> round(float(10 * np.log10(np.square(clip).mean() / np.square(noise).mean())), 2)
    6.0
    """
    samples = floats("clip", clip, _CLIP)
    target = None if out is None else apart(out, samples, samples.shape)
    return _native.white_noise(samples, snr_db=snr_db, seed=unsigned("seed", seed), out=target)


def fade(
    clip: npt.NDArray[np.floating],
    *,
    fade_in: int,
    fade_out: int,
    shape: FadeShape = "linear",
    out: Float32 | None = None,
) -> Float32:
    """Fade a clip in and out.

    With u running from 0 to 1 over the fade in (from 1 to 0 over the fade out) the gain is u (linear), u 2^(u
    - 1) (exponential), 1 + log10(0.1 + u) within 0 and 1 (logarithmic), sin(pi u / 2) (quarter_sine) or (1 -
    cos(pi u)) / 2 (half_sine): the curves of torchaudio's `Fade`. Fades that overlap multiply.

    Parameters
    ----------
    clip : (samples,) float array
        The samples, in [-1, 1].
    fade_in, fade_out : int
        Lengths in samples, from 0 to the clip's length.
    shape : {"linear", "exponential", "logarithmic", "quarter_sine", "half_sine"}, default "linear"
        The curve of both fades.
    out : (samples,) float32, optional
        An array to write into, the clip itself if it is to be changed; only the samples that fade are then
        checked. Default: a new one.

    Returns
    -------
    (samples,) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples, or `out` does not fit.
    ParameterError
        If a fade is negative or longer than the clip, or the shape has no such name.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> augment.fade(np.ones(6), fade_in=3, fade_out=2)
    array([0. , 0.5, 1. , 1. , 1. , 0. ], dtype=float32)
    """
    fade_in, fade_out = unsigned("fade_in", fade_in), unsigned("fade_out", fade_out)
    samples = floats("clip", clip, _CLIP) if out is None else in_place(out, clip, "clip", _CLIP)
    return _native.fade(samples, fade_in=fade_in, fade_out=fade_out, shape=shape, in_place=out is not None)


def time_shift(clip: npt.NDArray[np.floating], *, samples: int, out: Float32 | None = None) -> Float32:
    """Shift a clip circularly in time, as `numpy.roll` does.

    Parameters
    ----------
    clip : (samples,) float array
        The samples, in [-1, 1].
    samples : int
        How many samples later; negative: earlier. What leaves at one end comes back at the other.
    out : (samples,) float32, optional
        An array to write into, apart from the clip. Default: a new one.

    Returns
    -------
    (samples,) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples, or `out` does not fit.
    ParameterError
        If the shift is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> augment.time_shift(np.array([1.0, 2.0, 3.0]), samples=1)
    array([3., 1., 2.], dtype=float32)
    """
    values = floats("clip", clip, _CLIP)
    shift = index("samples", samples) % max(len(values), 1)
    target = None if out is None else apart(out, values, values.shape)
    return _native.time_shift(values, shift=shift, out=target)


def time_stretch(
    clip: npt.NDArray[np.floating], *, rate: float, sample_rate: int = 16_000, out: Float32 | None = None
) -> Float32:
    """Play a clip faster or slower at the same pitch.

    A phase vocoder with an exact phase advance at spectral peaks, phase locking around them (Laroche and Dolson
    1999) and a scaled phase gradient over frequency (Prusa and Holighaus 2017), which keeps steady partials pure,
    noise at its level and clicks short. Partials less than 40 Hz apart beat, and clicks that follow each other
    within 0.1 s blur.

    Parameters
    ----------
    clip : (samples,) float array
        The samples, in [-1, 1].
    rate : float
        2 plays twice as fast; 0.25 to 4.
    sample_rate : int, default 16000
        In Hz, 1,000 to 768,000; only chooses the length of the vocoder's frames, about 0.128 s.
    out : (round(samples / rate),) float32, optional
        An array to write into, apart from the clip. Default: a new one.

    Returns
    -------
    (round(samples / rate),) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples, or `out` does not fit.
    ParameterError
        If the rate or the sample rate is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> augment.time_stretch(np.zeros(16_000), rate=1.25).shape
    (12800,)
    """
    samples = floats("clip", clip, _CLIP)
    target = None if out is None else apart(out, samples, _CLIP)  # the kernel knows the length
    sample_rate = integer("sample_rate", sample_rate, *RATES_HZ)
    return _native.time_stretch(samples, rate=rate, sample_rate=sample_rate, out=target)


def pitch_shift(
    clip: npt.NDArray[np.floating],
    *,
    semitones: float,
    sample_rate: int = 16_000,
    out: Float32 | None = None,
) -> Float32:
    """Multiply all frequencies of a clip by ``2 ** (semitones / 12)`` without changing its length.

    A resampling and the `time_stretch` that undoes its change of length. What a shift upwards moves
    above the Nyquist frequency is lost.

    Parameters
    ----------
    clip : (samples,) float array
        The samples, in [-1, 1].
    semitones : float
        -24 to 24.
    sample_rate : int, default 16000
        In Hz, 1,000 to 768,000; only chooses the length of the vocoder's frames, about 0.128 s.
    out : (samples,) float32, optional
        An array to write into, apart from the clip. Default: a new one.

    Returns
    -------
    (samples,) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples, or `out` does not fit.
    ParameterError
        If the shift or the sample rate is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> clip = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    >>> octave_higher = augment.pitch_shift(clip, semitones=12)
    >>> int(np.abs(np.fft.rfft(octave_higher)).argmax())  # Hz, as the clip lasts a second
    880
    """
    samples = floats("clip", clip, _CLIP)
    target = None if out is None else apart(out, samples, samples.shape)
    sample_rate = integer("sample_rate", sample_rate, *RATES_HZ)
    return _native.pitch_shift(samples, semitones=semitones, sample_rate=sample_rate, out=target)


def time_mask(
    logmel: npt.NDArray[np.floating],
    *,
    start: int,
    width: int,
    value: float | None = None,
    out: Float32 | None = None,
) -> Float32:
    """Set some frames of a log-Mel spectrogram to its minimum or another value.

    Parameters
    ----------
    logmel : (n_mels, frames) float array
        The spectrogram, in dB.
    start, width : int
        The frames ``start`` to ``start + width - 1`` are masked.
    value : float, optional
        What they are set to. Default: the minimum of the log-Mel.
    out : (n_mels, frames) float32, optional
        An array to write into; the log-Mel itself if only the mask is to be touched. Default: a new one.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the log-Mel is not a matrix of finite floating-point numbers, or `out` does not fit.
    ParameterError
        If the frames are not all there or the value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> augment.time_mask(np.array([[-20.0, -30.0], [-40.0, -50.0]]), start=0, width=1)
    array([[-50., -30.],
           [-50., -50.]], dtype=float32)
    """
    return _mask("time", logmel, start, width, value, out)


def frequency_mask(
    logmel: npt.NDArray[np.floating],
    *,
    start: int,
    width: int,
    value: float | None = None,
    out: Float32 | None = None,
) -> Float32:
    """Set some Mel bins of a log-Mel spectrogram to its minimum or another value.

    Parameters
    ----------
    logmel, value, out
        As for `time_mask`.
    start, width : int
        The bins ``start`` to ``start + width - 1`` are masked.

    Returns
    -------
    (n_mels, frames) float32
        `out` where it was given.

    Raises
    ------
    ArrayError
        If the log-Mel is not a matrix of finite floating-point numbers, or `out` does not fit.
    ParameterError
        If the bins are not all there or the value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal import augment
    >>> augment.frequency_mask(np.array([[-20.0, -30.0], [-40.0, -50.0]]), start=0, width=1, value=0.0)
    array([[  0.,   0.],
           [-40., -50.]], dtype=float32)
    """
    return _mask("frequency", logmel, start, width, value, out)


def _mask(
    axis: Literal["time", "frequency"],
    logmel: npt.NDArray[np.floating],
    start: int,
    width: int,
    value: float | None,
    out: Float32 | None,
) -> Float32:
    start, width = unsigned("start", start), unsigned("width", width)
    matrix = floats("logmel", logmel, _LOGMEL) if out is None else in_place(out, logmel, "logmel", _LOGMEL)
    return _native.mask(matrix, axis=axis, start=start, width=width, value=value, in_place=out is not None)
