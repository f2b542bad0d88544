"""From clips to augmented log-Mels."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import torch

from offkey._util import ranks
from offkey._util.threads import cores
from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, ParameterError
from offkey.models.network.distributed import check_shares
from offkey.models.network.sampling import BalancedSampler, Split, Step, by_label, derived_seed, epoch_steps
from offkey.models.network.stages import NO_ID, Batch
from offkey.recipe import Recipe
from offkey.signal.augmenter import Augmenter, augment_logmel, logmel_classes
from offkey.signal.logmel import LogMel

__all__ = [
    "AudioSource",
    "BatchLoader",
    "ClipSource",
    "KeptLogMels",
    "LogMelSource",
    "Prefetcher",
    "crop",
    "source_of",
]

_CROP = 3  # first part of the key of the crops' random stream
_KEPT_BYTES = 1 << 30  # of log-Mels


class ClipSource(Protocol):
    """Makes log-Mels of training clips, clean or augmented."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the augmentation classes."""

    def clean(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return whole clips as they are: ``(n_mels, frames)`` float32 each."""

    def augmented(
        self, indices: np.ndarray, occurrences: np.ndarray, *, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return augmented crops ``(clips, n_mels, frames)`` float32, and their classes ``(clips,)`` int64.

        Each clip's part is a function of (seed, epoch, clip, occurrence) alone.
        """


class AudioSource:
    """Log-Mels from samples: crop, augment, transform. Clips of one of the `pools` may stand in for each other."""

    def __init__(
        self,
        clips: TrainingClips,
        recipe: Recipe,
        *,
        seed: int,
        num_threads: int | None = None,
        pools: Sequence[np.ndarray] = (),
    ) -> None:
        training, rate = recipe.training, recipe.features.sample_rate
        self._clips = clips
        self._pools = pools
        self._seed = seed
        self._samples = max(1, round(training.clip_seconds * rate))
        self._logmel = LogMel.from_recipe(recipe.features, num_threads=num_threads)
        self._augmenter = Augmenter(training.augmentation, sample_rate=rate, num_threads=num_threads)
        self.classes = self._augmenter.classes

    def clean(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return whole clips as they are (see `ClipSource`)."""
        return _finite(self._logmel.each(self._clips.gather(indices, pools=self._pools)), indices)

    def augmented(
        self, indices: np.ndarray, occurrences: np.ndarray, *, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return augmented crops (see `ClipSource`)."""
        crops = np.stack(
            [
                crop(clip, self._samples, seed=derived_seed(self._seed, _CROP, epoch, i, n))
                for clip, i, n in zip(
                    self._clips.gather(indices, pools=self._pools),
                    indices.tolist(),
                    occurrences.tolist(),
                    strict=True,
                )
            ]
        )
        batch = self._augmenter(crops, seed=self._seed, epoch=epoch, clips=indices, occurrences=occurrences)
        return _finite(self._logmel(batch.samples, masks=batch.masks), indices), batch.classes


class LogMelSource:
    """Log-Mels that were made elsewhere: crop, mask. Classes that need samples are left out."""

    def __init__(
        self, clips: TrainingClips, recipe: Recipe, *, seed: int, num_threads: int | None = None
    ) -> None:
        self._clips = clips
        self._seed = seed
        self._num_threads = num_threads
        self._augmentation = recipe.training.augmentation
        self._n_mels = recipe.features.n_mels
        longest = (
            round(recipe.training.clip_seconds * recipe.features.sample_rate / recipe.features.hop_length) + 1
        )
        self._frames = min(longest, self.clean(np.zeros(1, dtype=np.int64))[0].shape[1])
        self.classes = logmel_classes(self._augmentation)

    def clean(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return whole clips as they are (see `ClipSource`)."""
        logmels = self._clips.gather(indices)
        for logmel, index in zip(logmels, indices.tolist(), strict=True):
            if logmel.shape[0] != self._n_mels:
                raise ArrayError(
                    f"log-Mel of clip {index}: given shape {logmel.shape}; expected (n_mels, frames) with "
                    f"the recipe's features.n_mels = {self._n_mels}"
                )
        return _finite(logmels, indices)

    def augmented(
        self, indices: np.ndarray, occurrences: np.ndarray, *, epoch: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return masked crops (see `ClipSource`)."""
        crops = np.stack(
            [
                crop(clip, self._frames, seed=derived_seed(self._seed, _CROP, epoch, i, n))
                for clip, i, n in zip(
                    self.clean(indices), indices.tolist(), occurrences.tolist(), strict=True
                )
            ]
        )
        batch = augment_logmel(
            crops,
            self._augmentation,
            seed=self._seed,
            epoch=epoch,
            clips=indices,
            occurrences=occurrences,
            num_threads=self._num_threads,
        )
        return batch.logmels, batch.classes


def source_of(
    clips: TrainingClips,
    recipe: Recipe,
    *,
    seed: int,
    num_threads: int | None = None,
    pools: Sequence[np.ndarray] = (),
) -> ClipSource:
    """Return the source that fits the kind of the clips."""
    if clips.inputs == "audio":
        return AudioSource(clips, recipe, seed=seed, num_threads=num_threads, pools=pools)
    return LogMelSource(clips, recipe, seed=seed, num_threads=num_threads)


class KeptLogMels:
    """Whole clips of a source: the first that are asked for stay in memory, others are made again each time."""

    def __init__(self, source: ClipSource) -> None:
        self._source = source
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

    def logmels(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return clips ``(n_mels, frames)`` float32, in dB."""
        missing = np.array(sorted(set(indices.tolist()) - self._kept.keys()), dtype=np.int64)
        made = dict(zip(missing.tolist(), self._source.clean(missing), strict=True)) if len(missing) else {}
        for index, logmel in made.items():
            if self._bytes + logmel.nbytes <= _KEPT_BYTES:
                self._bytes += logmel.nbytes
                self._kept[index] = logmel
        return [made[index] if index in made else self._kept[index] for index in indices.tolist()]


def crop(array: np.ndarray, length: int, *, seed: int) -> np.ndarray:
    """Return a random part of the last axis, `length` long; a shorter array is repeated from its start."""
    size = array.shape[-1]
    if size < length:
        return array[..., np.arange(length) % size]
    start = int(np.random.default_rng(seed).integers(size - length + 1))
    part: np.ndarray = array[..., start : start + length]
    return part


Logmels = TypeVar("Logmels", np.ndarray, list[np.ndarray])


def _finite(logmels: Logmels, indices: np.ndarray) -> Logmels:
    for logmel, index in zip(logmels, indices, strict=True):
        if not np.isfinite(logmel).all():
            raise ArrayError(
                f"clip {int(index)}: its log-Mel has values that are not finite; remove the clip"
            )
    return logmels


T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Makes items ahead in one background thread; a context manager to iterate over within its block.

    An exception in the thread is raised where its item would have come. Leaving the block, by an exception
    or Ctrl-C too, stops the thread once the item that it is making is done.

    Parameters
    ----------
    items : iterable
        Iterated over in the thread.
    depth : int
        How many finished items may wait.
    """

    def __init__(self, items: Iterable[T], *, depth: int = 2) -> None:
        self._items = items
        # (item,) | an error to raise | None at the end
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="offkey-batches", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        while self._thread.is_alive():  # it may wait for room in the queue
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.05)
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    def _work(self) -> None:
        last: BaseException | None = None
        try:
            for item in self._items:
                self._queue.put((item,))
                if self._closed.is_set():
                    return
        except BaseException as error:  # whatever it is, the consumer must hear of it
            last = error
        self._queue.put(last)


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
            clips,
            recipe,
            seed=seed,
            num_threads=_share_of_cores(num_threads),
            pools=(self.split.others, self.split.others_held_out),
        )
        self._clips = clips
        self._pin_memory = pin_memory
        self._epoch = 0
        self._ids = _numbers(clips, self.machine_ids)
        alone, joined = training.batch_size, training.stage2_normals or training.batch_size
        self._normals = {
            pseudo_anomalies: BalancedSampler(
                by_label(clips.machine_ids, self.split.train),
                per_step=per_step,
                seed=derived_seed(seed, _NORMALS),
            )
            for pseudo_anomalies, per_step in ((False, alone), (True, joined))
        }
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
        return self.steps(pseudo_anomalies=self._pseudo_anomalies)

    def steps(self, *, pseudo_anomalies: bool) -> int:
        """Return the number of batches of an epoch with pseudo-anomalies or without."""
        return math.ceil(len(self.split.train) / self._normals[pseudo_anomalies].per_step)

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch, from 0, the next iteration yields: each has crops and augmentations of its own."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        epoch_batches = self.batches(self._epoch, pseudo_anomalies=self._pseudo_anomalies)
        with Prefetcher(epoch_batches) as batches:
            yield from batches
        self._clips.warn(stacklevel=3)

    def batches(self, epoch: int, *, pseudo_anomalies: bool) -> Iterator[Batch]:
        """Yield the batches of an epoch, each made when it is asked for."""
        normals, others = self._normals[pseudo_anomalies], self._others if pseudo_anomalies else None
        steps = self.steps(pseudo_anomalies=pseudo_anomalies)
        for step in epoch_steps(normals, others, epoch=epoch, steps=steps):
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
    return max(1, cores() // ranks.local_world_size())
