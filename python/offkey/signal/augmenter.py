"""Batches of training clips, each augmented by one of eight classes that is drawn for it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util.arrays import Batch, Float32, Int64, apart, counts, floats, stacked
from offkey._util.parameters import integer, unsigned
from offkey._util.threads import threads
from offkey.errors import ParameterError
from offkey.recipe import Augmentation
from offkey.signal.augment import RATES_HZ

__all__ = ["Augmented", "AugmentedLogMels", "Augmenter", "augment_logmel", "logmel_classes"]

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
    augmentation : Augmentation, optional
        Classes and ranges. Default: those of the paper.
    sample_rate : int, default 16000
        Of the clips, in Hz, 1,000 to 768,000.
    num_threads : int, optional
        How many threads share a batch. Default: one for each core, but one in a worker of a `DataLoader`.

    Raises
    ------
    ParameterError
        If there is no class, one stands twice, or a range or a number is out of bounds.

    Examples
    --------
    >>> import numpy as np, offkey
    >>> augmenter, logmel = offkey.Augmenter.paper(), offkey.LogMel.paper()
    >>> clips = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 16_000)).astype(np.float32)
    >>> samples, masks, classes = augmenter(clips, seed=0)
    >>> logmel(samples, masks=masks).shape
    (4, 128, 32)
    >>> again = augmenter(clips[2:], seed=0, clips=[2, 3])  # the rest of the batch does not matter
    >>> bool((again.samples == samples[2:]).all())
    True
    """

    def __init__(
        self,
        augmentation: Augmentation | None = None,
        *,
        sample_rate: int = 16_000,
        num_threads: int | None = None,
    ) -> None:
        self._augmentation = augmentation = Augmentation() if augmentation is None else augmentation
        self._sample_rate = integer("sample_rate", sample_rate, *RATES_HZ)
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
        batch : (clips, samples) float array, or sequence of (samples,) float arrays
            The clips, of equal length, in [-1, 1].
        seed, epoch : int
            Of the training run; not negative.
        clips : (clips,) int array-like, optional
            The number of each clip in its data set. Default: 0, 1, 2, ...
        occurrences : (clips,) int array-like, optional
            How often each clip has come up in this epoch before. Default: never.
        out : (clips, samples) float32, optional
            An array to write the samples into, apart from the batch; partly written after an error. Default: a
            new one.
        num_threads : int, optional
            Threads of this call. Default: as the augmenter was made.

        Returns
        -------
        Augmented
            Samples (`out` where it was given), plan of the masks, and classes.

        Raises
        ------
        ArrayError
            If the clips are not finite floating-point samples of one length, or an array of numbers does not
            fit.
        ParameterError
            If the seed or the epoch is out of range.
        """
        samples = stacked(batch)
        augmented, masks, classes = self._native.apply(
            samples,
            seed=unsigned("seed", seed),
            epoch=unsigned("epoch", epoch),
            clips=counts("clips", clips, np.arange(len(samples))),
            occurrences=counts("occurrences", occurrences, np.zeros(len(samples), np.int64)),
            out=None if out is None else apart(out, samples, samples.shape),
            num_threads=threads(self._num_threads if num_threads is None else num_threads),
        )
        return Augmented(augmented, masks, classes)


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
    logmels : (clips, n_mels, frames) float array
        The spectrograms, in dB.
    augmentation : Augmentation, optional
        Classes and ranges. Default: those of the paper.
    seed, epoch, clips, occurrences
        As for `Augmenter`.
    num_threads : int, optional
        How many threads share a batch. Default: one for each core, but one in a worker of a `DataLoader`.

    Returns
    -------
    AugmentedLogMels
        Masked spectrograms and classes.

    Raises
    ------
    ArrayError
        If the spectrograms are not finite, or an array of numbers does not fit.
    ParameterError
        If no class is left, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from offkey.signal.augmenter import augment_logmel
    >>> logmels, classes = augment_logmel(np.zeros((3, 128, 313)), seed=0)
    >>> logmels.shape, classes.shape
    ((3, 128, 313), (3,))
    """
    augmentation = Augmentation() if augmentation is None else augmentation
    names = logmel_classes(augmentation)
    if not names:
        raise ParameterError(
            f"augmentation.classes = {augmentation.classes}: expected at least one of "
            f"{', '.join(_LOGMEL_CLASSES)}, the only classes that need no samples"
        )
    values = floats("logmels", logmels, ("clips", "n_mels", "frames"))
    masked, classes = _native.augment_logmels(
        values,
        names,
        mask_fraction=augmentation.mask_fraction,
        seed=unsigned("seed", seed),
        epoch=unsigned("epoch", epoch),
        clips=counts("clips", clips, np.arange(len(values))),
        occurrences=counts("occurrences", occurrences, np.zeros(len(values), np.int64)),
        num_threads=threads(num_threads),
    )
    return AugmentedLogMels(masked, classes)
