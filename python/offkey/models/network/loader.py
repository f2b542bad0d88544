"""Batches of a dataset for training loops of one's own; to be imported without torch, so that its lack is said."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from offkey.datasets import Dataset, LogMelArrays
from offkey.datasets.source import Progress
from offkey.datasets.training import read_training_clips
from offkey.errors import OffkeyWarning, RecipeError
from offkey.models.base import FitOptions, check_fit
from offkey.recipe import Recipe
from offkey.signal.audio import MAX_SECONDS

if TYPE_CHECKING:
    from offkey.models.network.batches import BatchLoader

__all__ = ["batch_loader"]


def batch_loader(
    data: Dataset | LogMelArrays,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    pseudo_anomalies: bool = True,
    pin_memory: bool = False,
    max_seconds: float = MAX_SECONDS,
    num_threads: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
) -> BatchLoader:
    """Return an iterable of training batches: cropped and augmented clips as log-Mels in dB.

    Clips of other types are read when they are drawn; one that cannot be read is replaced by another of its type.

    Parameters
    ----------
    data
        Its normal training clips, those of other types as pseudo-anomalies.
    recipe
        Features, augmentation and numbers of clips; `paper` if None.
    seed
        Every random choice follows from it.
    pseudo_anomalies
        Whether clips of other types join each batch, as in the second stage.
    pin_memory
        Whether the tensors lie in page-locked memory.
    max_seconds
        As for `offkey.Detector.fit`.
    num_threads
        Threads of the kernels; all cores if None. The batches do not depend on it.
    cache
        A folder for decoded clips, as for `offkey.Detector.fit`.
    on_progress
        Called with (done, total) recordings of the target type while they are read.

    Returns
    -------
    BatchLoader
        An iterable of `Batch`: log-Mels ``(clips, n_mels, frames)`` float32, numbers of machine IDs ``(clips,)``
        int64 (-1 for pseudo-anomalies), numbers of augmentation classes ``(clips,)`` int64, as torch tensors.

    Raises
    ------
    MissingExtraError
        If torch is not installed.
    DatasetError
        If there is no normal training clip, or more than half of a type cannot be read.
    RecipeError
        If the recipe has no network.
    ParameterError
        If other types are asked for and there are none, or the seed is negative.

    Warns
    -----
    OffkeyWarning
        If recordings cannot be read and are left out, once for each kind of error (of other types at the end of the
        epoch in which they were drawn), or were resampled.

    Examples
    --------
    >>> loader = offkey.batch_loader(data, seed=0)  # doctest: +SKIP
    >>> for epoch in range(80):  # doctest: +SKIP
    ...     loader.set_epoch(epoch)
    ...     for logmels, ids, augmentations in loader:
    ...         ...
    """
    recipe = recipe or Recipe.named("paper")
    check_fit(recipe, data, FitOptions(seed=seed, device="cpu", precision="float32"))
    if recipe.network is None:
        raise RecipeError(
            f"recipe {recipe.name!r}: has no network to make batches for; expected a section `network`"
        )
    from offkey.models.network.batches import BatchLoader

    clips = read_training_clips(
        data,
        features=recipe.features,
        clip_seconds=recipe.training.clip_seconds,
        statistics=False,
        max_seconds=max_seconds,
        num_threads=num_threads,
        cache=None if cache is None else Path(cache),
        on_progress=on_progress,
    )
    clips.warn(stacklevel=2)
    for note in clips.rate_notes:
        warnings.warn(note, OffkeyWarning, stacklevel=2)
    return BatchLoader(
        clips,
        recipe,
        seed=seed,
        num_threads=num_threads,
        pseudo_anomalies=pseudo_anomalies,
        pin_memory=pin_memory,
    )
