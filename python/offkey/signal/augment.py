"""Effects that augment training clips; `offkey.signal.augmenter` draws one of them for each clip of a batch.

They work on one clip, an array of (samples,) float32 in [-1, 1]; the two masks on its log-Mel
spectrogram. None of them writes to its input unless told to: `out` is an array to write into, for callers with
a loop. Fades and masks take their own input as `out` and then touch only what changes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey.signal import augment_inputs as given
from offkey.signal.augment_inputs import Float32

__all__ = [
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

_CLIP, _LOGMEL = ("samples",), ("n_mels", "frames")


def white_noise(
    clip: npt.NDArray[np.floating], *, snr_db: float, seed: int, out: Float32 | None = None
) -> Float32:
    """Add white Gaussian noise.

    The noise is scaled so that the ratio of the clip's power to its own is exactly `snr_db`. A silent clip
    stays silent: noise at any ratio to nothing is nothing.

    Parameters
    ----------
    clip
        (samples,).
    snr_db
        Ratio of the clip's mean power to the noise's, -100 to 200 dB.
    seed
        The same seed gives the same noise, on every processor.
    out
        (samples,) float32 to write into, apart from the clip; None: a new array.

    Returns
    -------
    (samples,) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples.
    ParameterError
        If the ratio or the seed is out of range.
    """
    samples = given.clip(clip)
    target = None if out is None else given.apart(out, samples, samples.shape)
    return _native.white_noise(samples, snr_db=snr_db, seed=given.unsigned("seed", seed), out=target)


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
    clip
        (samples,).
    fade_in, fade_out
        Lengths in samples, from 0 to the clip's length.
    shape
        The curve of both fades.
    out
        (samples,) float32 to write into, the clip itself if it is to be changed; only the samples that fade are
        then checked. None: a new array.

    Returns
    -------
    (samples,) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples.
    ParameterError
        If a fade is negative or longer than the clip, or the shape has no such name.
    """
    fade_in, fade_out = given.unsigned("fade_in", fade_in), given.unsigned("fade_out", fade_out)
    if out is None:
        return _native.fade(given.clip(clip), fade_in=fade_in, fade_out=fade_out, shape=shape)
    target = given.in_place(out, clip, "clip", _CLIP)
    return _native.fade_in_place(target, fade_in=fade_in, fade_out=fade_out, shape=shape)


def time_shift(clip: npt.NDArray[np.floating], *, samples: int, out: Float32 | None = None) -> Float32:
    """Shift a clip circularly in time, as `numpy.roll` does.

    Parameters
    ----------
    clip
        (samples,).
    samples
        How many samples later; negative: earlier. What leaves at one end comes back at the other.
    out
        (samples,) float32 to write into, apart from the clip; None: a new array.

    Returns
    -------
    (samples,) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples.
    ParameterError
        If the shift is not an integer.
    """
    checked = given.clip(clip)
    shift = given.index("samples", samples) % max(len(checked), 1)
    target = None if out is None else given.apart(out, checked, checked.shape)
    return _native.time_shift(checked, shift=shift, out=target)


def time_stretch(
    clip: npt.NDArray[np.floating], *, rate: float, sample_rate: int = 16_000, out: Float32 | None = None
) -> Float32:
    """Play a clip faster or slower at the same pitch.

    A phase vocoder with an exact phase advance at spectral peaks, phase locking around them and a scaled
    phase gradient over frequency, which keeps steady partials pure, noise at its level and clicks short.
    Partials less than 40 Hz apart beat, and clicks that follow each other within 0.1 s blur.

    Parameters
    ----------
    clip
        (samples,).
    rate
        2 plays twice as fast; 0.25 to 4.
    sample_rate
        In Hz, 1,000 to 768,000; only chooses the length of the vocoder's frames, about 0.128 s.
    out
        (round(samples / rate),) float32 to write into, apart from the clip; None: a new array.

    Returns
    -------
    (round(samples / rate),) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples.
    ParameterError
        If the rate or the sample rate is out of range.
    """
    samples = given.clip(clip)
    target = None if out is None else given.apart(out, samples, ("samples",))  # the kernel knows the length
    return _native.time_stretch(samples, rate=rate, sample_rate=given.rate(sample_rate), out=target)


def pitch_shift(
    clip: npt.NDArray[np.floating],
    *,
    semitones: float,
    sample_rate: int = 16_000,
    out: Float32 | None = None,
) -> Float32:
    """Multiply all frequencies of a clip by ``2 ** (semitones / 12)`` without changing its length.

    A resampling followed by the `time_stretch` that undoes its change of length. What a shift upwards moves
    above the Nyquist frequency is lost.

    Parameters
    ----------
    clip
        (samples,).
    semitones
        -24 to 24.
    sample_rate
        In Hz, 1,000 to 768,000; only chooses the length of the vocoder's frames, about 0.128 s.
    out
        (samples,) float32 to write into, apart from the clip; None: a new array.

    Returns
    -------
    (samples,) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the clip is not a vector of finite floating-point samples.
    ParameterError
        If the shift or the sample rate is out of range.
    """
    samples = given.clip(clip)
    target = None if out is None else given.apart(out, samples, samples.shape)
    return _native.pitch_shift(samples, semitones=semitones, sample_rate=given.rate(sample_rate), out=target)


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
    logmel
        (n_mels, frames).
    start, width
        The frames ``start`` to ``start + width - 1`` are masked.
    value
        What they are set to; None: the minimum of the log-Mel.
    out
        (n_mels, frames) float32 to write into; the log-Mel itself if only the mask is to be touched. None: a new one.

    Returns
    -------
    (n_mels, frames) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the log-Mel is not a matrix of finite floating-point numbers.
    ParameterError
        If the frames are not all there or the value is not finite.
    """
    start, width = given.unsigned("start", start), given.unsigned("width", width)
    if out is None:
        matrix = given.floats("logmel", logmel, _LOGMEL)
        return _native.time_mask(matrix, start=start, width=width, value=value)
    target = given.in_place(out, logmel, "logmel", _LOGMEL)
    return _native.time_mask_in_place(target, start=start, width=width, value=value)


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
    logmel
        (n_mels, frames).
    start, width
        The bins ``start`` to ``start + width - 1`` are masked.
    value
        What they are set to; None: the minimum of the log-Mel.
    out
        (n_mels, frames) float32 to write into; the log-Mel itself if only the mask is to be touched. None: a new one.

    Returns
    -------
    (n_mels, frames) float32; `out` where it was given.

    Raises
    ------
    ArrayError
        If the log-Mel is not a matrix of finite floating-point numbers.
    ParameterError
        If the bins are not all there or the value is not finite.
    """
    start, width = given.unsigned("start", start), given.unsigned("width", width)
    if out is None:
        matrix = given.floats("logmel", logmel, _LOGMEL)
        return _native.frequency_mask(matrix, start=start, width=width, value=value)
    target = given.in_place(out, logmel, "logmel", _LOGMEL)
    return _native.frequency_mask_in_place(target, start=start, width=width, value=value)
