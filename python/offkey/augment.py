"""Augmentations of training clips: eight effects, and the `Augmenter` that draws one of them for each clip.

The effects work on one clip, an array of (samples,) float32 in [-1, 1]; the two masks on its log-Mel
spectrogram. None of them writes to its input unless told to: `out` is an array to write into, for callers with
a loop. Fades and masks take their own input as `out` and then touch only what changes.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey import augment_inputs as given
from offkey.augment_inputs import Batch, Float32, Int64
from offkey.calls import threads
from offkey.errors import ParameterError
from offkey.recipe import Augmentation

__all__ = [
    "Augmented",
    "AugmentedLogMels",
    "Augmenter",
    "FadeShape",
    "augment_logmel",
    "fade",
    "frequency_mask",
    "logmel_classes",
    "pitch_shift",
    "time_mask",
    "time_shift",
    "time_stretch",
    "white_noise",
]

FadeShape = Literal["linear", "exponential", "logarithmic", "quarter_sine", "half_sine"]
"""The curves of a fade, as in torchaudio's `Fade`."""

_LOGMEL_CLASSES = ("none", "time_mask", "frequency_mask")


class Augmented(NamedTuple):
    """An augmented batch."""

    samples: Float32
    """(clips, samples)."""
    masks: Float32
    """(clips, 4): time start and width, frequency start and width as fractions; applied by `offkey.LogMel`."""
    classes: Int64
    """(clips,): what was done to each clip, as its position in `Augmenter.classes`."""


class AugmentedLogMels(NamedTuple):
    """An augmented batch of log-Mel spectrograms."""

    logmels: Float32
    """(clips, n_mels, frames)."""
    classes: Int64
    """(clips,): what was done to each, as its position in `logmel_classes`."""


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
    samples = given.clip(clip)
    lengths = {
        "fade_in": given.unsigned("fade_in", fade_in),
        "fade_out": given.unsigned("fade_out", fade_out),
    }
    if out is None:
        return _native.fade(samples, **lengths, shape=shape)
    return _native.fade_in_place(given.filled(out, clip, samples), **lengths, shape=shape)


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
    matrix = given.floats("logmel", logmel, ("n_mels", "frames"))
    start, width = given.unsigned("start", start), given.unsigned("width", width)
    if out is None:
        return _native.time_mask(matrix, start=start, width=width, value=value)
    target = given.filled(out, logmel, matrix)
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
    matrix = given.floats("logmel", logmel, ("n_mels", "frames"))
    start, width = given.unsigned("start", start), given.unsigned("width", width)
    if out is None:
        return _native.frequency_mask(matrix, start=start, width=width, value=value)
    target = given.filled(out, logmel, matrix)
    return _native.frequency_mask_in_place(target, start=start, width=width, value=value)


class Augmenter:
    """Draws one augmentation for each clip of a batch and applies it.

    The class is drawn uniformly among those of the recipe, then its parameters uniformly from the recipe's
    ranges (fades: each length uniform from nothing to half of the clip, any of the five shapes; masks: any
    place, width uniform up to the recipe's fraction, at least one bin). A stretched clip is cut off, or
    repeated from its start, to the length that it had. The masks are only planned: `offkey.LogMel` applies
    them.

    What happens to a clip depends on (seed, epoch, number of the clip, occurrence) and on nothing else:
    neither on the batch that it is in nor on the number of threads.

    Parameters
    ----------
    augmentation
        Classes and ranges.
    sample_rate
        Of the clips, in Hz, 1,000 to 768,000.
    num_threads
        How many threads share a batch; None: one for each core, but one in a worker of a `DataLoader`.

    Raises
    ------
    ParameterError
        If there is no class, one stands twice, or a range or a number is out of bounds.
    """

    def __init__(
        self,
        augmentation: Augmentation | None = None,
        *,
        sample_rate: int = 16_000,
        num_threads: int | None = None,
    ) -> None:
        self._augmentation = augmentation = Augmentation() if augmentation is None else augmentation
        self._sample_rate = given.rate(sample_rate)
        threads(num_threads)  # checked now; what None stands for depends on where the call is made
        self._num_threads = num_threads
        self._native = _native.Augmenter(
            augmentation.classes,
            sample_rate=self._sample_rate,
            snr_db=augmentation.snr_db,
            shift_s=augmentation.shift_s,
            stretch_rate=augmentation.stretch_rate,
            pitch_semitones=augmentation.pitch_semitones,
            mask_fraction=augmentation.mask_fraction,
        )

    @classmethod
    def paper(cls, *, sample_rate: int = 16_000, num_threads: int | None = None) -> Augmenter:
        """Return the augmenter of the paper: all eight classes, ranges of Hojjati and Armanfard (2022)."""
        return cls(Augmentation(), sample_rate=sample_rate, num_threads=num_threads)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._augmentation, self._sample_rate, self._num_threads)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their labels."""
        return self._augmentation.classes

    def __call__(
        self,
        batch: Batch,
        *,
        seed: int,
        epoch: int = 0,
        clips: npt.ArrayLike | None = None,
        occurrences: npt.ArrayLike | None = None,
        out: Float32 | None = None,
        num_threads: int | None = None,
    ) -> Augmented:
        """Augment a batch.

        Parameters
        ----------
        batch
            (clips, samples) array, or a sequence of (samples,) arrays of equal length.
        seed, epoch
            Of the training run; not negative.
        clips
            (clips,) number of each clip in its data set; None: 0, 1, 2, ...
        occurrences
            (clips,) how often each clip has come up in this epoch before; None: never.
        out
            (clips, samples) float32 to write the samples into, apart from the batch; None: a new array. After an
            error it is partly written.
        num_threads
            Threads of this call; None: as the augmenter was made.

        Returns
        -------
        Samples (`out` where it was given), plan of the masks, and classes.

        Raises
        ------
        ArrayError
            If the clips are not finite floating-point samples of one length, or an array of numbers does not
            fit.
        ParameterError
            If the seed or the epoch is out of range.
        """
        stacked = given.batch(batch)
        samples, masks, classes = self._native.apply(
            stacked,
            seed=given.unsigned("seed", seed),
            epoch=given.unsigned("epoch", epoch),
            clips=given.numbers("clips", clips, np.arange(len(stacked))),
            occurrences=given.numbers("occurrences", occurrences, np.zeros(len(stacked), np.int64)),
            out=None if out is None else given.apart(out, stacked, stacked.shape),
            num_threads=threads(self._num_threads if num_threads is None else num_threads),
        )
        return Augmented(samples, masks, classes)


def _rebuild(augmentation: Augmentation, sample_rate: int, num_threads: int | None) -> Augmenter:
    return Augmenter(augmentation, sample_rate=sample_rate, num_threads=num_threads)


def logmel_classes(augmentation: Augmentation | None = None) -> tuple[str, ...]:
    """Return those classes of a recipe that need no samples, in the order of their labels."""
    augmentation = Augmentation() if augmentation is None else augmentation
    return tuple(name for name in augmentation.classes if name in _LOGMEL_CLASSES)


def augment_logmel(
    logmels: npt.NDArray[np.floating],
    augmentation: Augmentation | None = None,
    *,
    seed: int,
    epoch: int = 0,
    clips: npt.ArrayLike | None = None,
    occurrences: npt.ArrayLike | None = None,
    num_threads: int | None = None,
) -> AugmentedLogMels:
    """Augment log-Mel spectrograms whose samples are not at hand.

    As `Augmenter`, but with the classes of `logmel_classes` only: a label is a position in that list, which
    is shorter than the recipe's.

    Parameters
    ----------
    logmels
        (clips, n_mels, frames).
    augmentation
        Classes and ranges; None: those of the paper.
    seed, epoch, clips, occurrences
        As for `Augmenter`.
    num_threads
        How many threads share a batch; None: one for each core, but one in a worker of a `DataLoader`.

    Returns
    -------
    Masked spectrograms and classes.

    Raises
    ------
    ArrayError
        If the spectrograms are not finite, or an array of numbers does not fit.
    ParameterError
        If no class is left, or a number is out of range.
    """
    augmentation = Augmentation() if augmentation is None else augmentation
    names = logmel_classes(augmentation)
    if not names:
        raise ParameterError(
            f"augmentation.classes = {augmentation.classes}: expected at least one of "
            f"{', '.join(_LOGMEL_CLASSES)}, the only classes that need no samples"
        )
    stacked = given.floats("logmels", logmels, ("clips", "n_mels", "frames"))
    masked, classes = _native.augment_logmels(
        stacked,
        names,
        mask_fraction=augmentation.mask_fraction,
        seed=given.unsigned("seed", seed),
        epoch=given.unsigned("epoch", epoch),
        clips=given.numbers("clips", clips, np.arange(len(stacked))),
        occurrences=given.numbers("occurrences", occurrences, np.zeros(len(stacked), np.int64)),
        num_threads=threads(num_threads),
    )
    return AugmentedLogMels(masked, classes)
