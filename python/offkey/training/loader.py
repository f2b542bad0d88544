"""Batches of augmented log-Mels, made ahead of the training by the kernels on all cores."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
import torch

from offkey import ranks
from offkey.errors import ParameterError
from offkey.recipe import Recipe
from offkey.training.batches import ClipSource, source_of
from offkey.training.data import TrainingClips
from offkey.training.distributed import check_shares
from offkey.training.prefetch import Prefetcher
from offkey.training.sampling import BalancedSampler, Step, by_label, derived_seed, epoch_steps
from offkey.training.split import Split
from offkey.training.stages import NO_ID, Batch

__all__ = ["BatchLoader"]

_NORMALS, _OTHERS = 6, 7  # first parts of keys of random streams


class BatchLoader:
    """Yields the batches of an epoch, as a torch DataLoader does, from one thread and the kernels' own.

    A clip's crop and augmentation are functions of (seed, epoch, clip, how often it came up in the epoch), its
    place of (seed, step): the same bytes for any number of threads. Under torchrun each process gets its share of
    every batch. Worker processes are not needed: the kernels release the GIL.

    Parameters
    ----------
    clips
        Normal clips of the target type and of others.
    recipe
        Features, augmentation, numbers of clips a batch.
    seed
        Every random choice follows from it.
    num_threads
        Threads of the kernels; None: all cores, shared with the other processes of torchrun. The batches do not
        depend on it.
    pseudo_anomalies
        Whether clips of other types join each batch, after the normals.
    pin_memory
        Whether the tensors lie in page-locked memory, for copies to a GPU that overlap with its work.
    split
        Which clips are trained with; None: as the recipe and the seed say.

    Raises
    ------
    ParameterError
        If other types are asked for and there are none, or torchrun's processes cannot share a batch evenly.

    Examples
    --------
    >>> for epoch in range(10):  # doctest: +SKIP
    ...     loader.set_epoch(epoch)
    ...     for logmels, ids, augmentations in loader:
    ...         loss = ...
    """

    def __init__(
        self,
        clips: TrainingClips,
        recipe: Recipe,
        *,
        seed: int = 0,
        num_threads: int | None = None,
        pseudo_anomalies: bool = True,
        pin_memory: bool = False,
        split: Split | None = None,
    ) -> None:
        training = recipe.training
        check_shares(training)
        self.split = Split.of(clips, recipe, seed=seed) if split is None else split
        self.machine_ids = tuple(sorted(set(clips.machine_ids)))
        """What the numbers in `Batch.ids` stand for."""
        self.source: ClipSource = source_of(
            clips, recipe, seed=seed, num_threads=_share_of_cores(num_threads)
        )
        self._pin_memory = pin_memory
        self._epoch = 0
        self._steps = math.ceil(len(self.split.train) / training.batch_size)
        self._ids = _numbers(clips, self.machine_ids)
        self._normals = BalancedSampler(
            by_label(clips.machine_ids, self.split.train),
            per_step=training.batch_size,
            seed=derived_seed(seed, _NORMALS),
        )
        self._others: BalancedSampler | None = None
        if len(self.split.others):
            self._others = BalancedSampler(
                by_label([*clips.machine_ids, *clips.other_types], self.split.others),
                per_step=training.pseudo_anomalies,
                seed=derived_seed(seed, _OTHERS),
            )
        elif pseudo_anomalies:
            raise ParameterError(
                "pseudo_anomalies = True: there are no clips of other machine types to train with"
            )
        self._pseudo_anomalies = pseudo_anomalies

    @property
    def augmentations(self) -> tuple[str, ...]:
        """What the numbers in `Batch.augmentations` stand for."""
        return self.source.classes

    def __len__(self) -> int:
        """Return the number of batches of an epoch: as many as the normals fill."""
        return self._steps

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch, from 0, the next iteration yields: each has crops and augmentations of its own."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        made = self.batches(self._epoch, pseudo_anomalies=self._pseudo_anomalies)
        with Prefetcher(made) as batches:
            yield from batches

    def batches(self, epoch: int, *, pseudo_anomalies: bool) -> Iterator[Batch]:
        """Yield the batches of an epoch, each made when it is asked for."""
        others = self._others if pseudo_anomalies else None
        for step in epoch_steps(self._normals, others, epoch=epoch, steps=self._steps):
            yield self._batch(_share(step), epoch)

    def _batch(self, step: Step, epoch: int) -> Batch:
        logmels, classes = self.source.augmented(step.clips, step.occurrences, epoch=epoch)
        batch = Batch(
            logmels=torch.from_numpy(logmels),
            ids=torch.from_numpy(self._ids[step.clips]),
            augmentations=torch.from_numpy(classes),
        )
        return Batch(*(tensor.pin_memory() for tensor in batch)) if self._pin_memory else batch


def _numbers(clips: TrainingClips, machine_ids: tuple[str, ...]) -> np.ndarray:
    number = {machine_id: i for i, machine_id in enumerate(machine_ids)}
    return np.array([number[i] for i in clips.machine_ids] + [NO_ID] * len(clips.others), dtype=np.int64)


def _share(step: Step) -> Step:
    """Return this process's part of a step: every one of the normals, and of the others, that is its turn.

    The processes divide the number of normals (`check_shares`), so one stride over both goes on in turn.
    """
    rank, size = ranks.rank(), ranks.world_size()
    return Step(clips=step.clips[rank::size], occurrences=step.occurrences[rank::size])


def _share_of_cores(num_threads: int | None) -> int | None:
    if num_threads is not None or ranks.local_world_size() == 1:
        return num_threads
    return max(1, len(os.sched_getaffinity(0)) // ranks.local_world_size())
