"""Clips to a trained network: what to train with, what to leave out, and the training itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, RecipeError
from offkey.models.base import check_seed
from offkey.models.network import Network
from offkey.models.network.batches import BatchLoader, ClipSource, crop
from offkey.models.network.checkpoint import Checkpoint
from offkey.models.network.device import Compute, full_float32, seeded
from offkey.models.network.distributed import check_agreement, check_shares, join_batch_norms, process_group
from offkey.models.network.events import Note, Observer
from offkey.models.network.loop import Trainer
from offkey.models.network.net.batch_norm import estimate_anew
from offkey.models.network.net.multitask import Model
from offkey.models.network.sampling import Split, derived_seed
from offkey.models.network.stages import Stage, plan_stages
from offkey.recipe import Recipe
from offkey.signal.statistics import FrameMoments

__all__ = ["Trained", "checked", "chunks", "gain_of", "level_statistics", "train"]

_WEIGHTS, _CLEAN = 5, 9  # first parts of keys of random streams
_CHUNK = 64  # clips whose log-Mels are in memory at a time: 10 MB of 10 s clips
_MIN_DEVIATION_DB = 1e-3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained network, and what is needed to calibrate its scores."""

    model: Model
    machine_ids: tuple[str, ...]
    clips: TrainingClips
    source: ClipSource
    split: Split
    notes: tuple[str, ...]
    history: list[dict[str, float]]
    """The losses of each epoch."""


def train(
    clips: TrainingClips,
    *,
    recipe: Recipe,
    seed: int,
    compute: Compute,
    num_threads: int | None,
    checkpoint: Path | None,
    observer: Observer,
) -> Trained:
    """Train a network from its first weights or a checkpoint to its last epoch (see `NetworkModel.fit`)."""
    network = checked(recipe, seed)
    loader = BatchLoader(
        clips,
        recipe,
        seed=seed,
        num_threads=num_threads,
        pseudo_anomalies=False,
        pin_memory=compute.device.type == "cuda",
    )
    source, split, machine_ids = loader.source, loader.split, loader.machine_ids
    stages = plan_stages(
        recipe.training,
        machine_ids=len(machine_ids),
        others=len(clips.others) > 0,
        augmentation_classes=len(source.classes),
    )
    mean, deviation = level_statistics(_moments(clips, source, split.train))
    notes = _notes(clips, recipe, machine_ids, source, stages, split, deviation)
    for text in notes:
        observer(Note(text=text))
    with seeded(derived_seed(seed, _WEIGHTS), torch.device("cpu")):  # the same first weights on every device
        model = Model(
            network,
            n_mels=recipe.features.n_mels,
            machine_ids=len(machine_ids),
            type_task=any(stage.pseudo_anomalies for stage in stages),
            augmentation_classes=len(source.classes),
        )
    if network.normalisation == "standard":
        model.set_normalisation(torch.from_numpy(mean), torch.from_numpy(gain_of(deviation)))
    same = _fingerprint(clips, recipe, seed, compute)
    with process_group(compute.device):
        check_agreement("trainings", same)
        join_batch_norms(model)
        trainer = Trainer(
            model.to(compute.device),
            training=recipe.training,
            stages=stages,
            batches=lambda stage, epoch: loader.batches(epoch, pseudo_anomalies=stage.pseudo_anomalies),
            steps=lambda stage: loader.steps(pseudo_anomalies=stage.pseudo_anomalies),
            seed=seed,
            compute=compute,
            checkpoint=None
            if checkpoint is None
            else Checkpoint(checkpoint, same, levels=torch.from_numpy(mean)),
            observer=observer,
        )
        history = trainer.run()
        if recipe.training.batch_norm_from == "clean":
            with full_float32(compute.device):
                estimate_anew(model, _clean_batches(source, split.train, recipe, seed, compute.device))
    return Trained(
        model=model,
        machine_ids=machine_ids,
        clips=clips,
        source=source,
        split=split,
        notes=notes,
        history=history,
    )


def level_statistics(moments: FrameMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each Mel bin over all frames, in dB: ``(n_mels,)`` float64 each.

    Raises
    ------
    ArrayError
        If no bin changes by as much as 0.001 dB: the clips are silence.
    """
    mean, deviation = moments.pooled()
    if (deviation < _MIN_DEVIATION_DB).all():
        raise ArrayError(
            f"training clips: no Mel bin of {len(moments.frames)} clips changes by {_MIN_DEVIATION_DB} dB or more: "
            "they are silence or constant; expected recordings of machines"
        )
    return mean, deviation


def _moments(clips: TrainingClips, source: ClipSource, indices: np.ndarray) -> FrameMoments:
    if clips.moments is not None:
        return clips.moments.take(indices)
    return FrameMoments.joined([FrameMoments.of(source.clean(chunk)) for chunk in chunks(indices)])


def _clean_batches(
    source: ClipSource, indices: np.ndarray, recipe: Recipe, seed: int, device: torch.device
) -> Iterator[Tensor]:
    """Yield all clips once, not augmented, cut or repeated to the recipe's length, in batches of mixed IDs.

    A single clip yields nothing: it has no variance.
    """
    features, training = recipe.features, recipe.training
    frames = round(training.clip_seconds * features.sample_rate / features.hop_length) + 1
    shuffled = np.random.default_rng(derived_seed(seed, _CLEAN)).permutation(indices)
    batches = max(1, len(indices) // training.batch_size)  # each of that size or more
    for batch in np.array_split(shuffled, batches) if len(indices) > 1 else ():
        logmels = [
            crop(logmel, frames, seed=derived_seed(seed, _CLEAN, clip))
            for logmel, clip in zip(source.clean(batch), batch.tolist(), strict=True)
        ]
        yield torch.from_numpy(np.stack(logmels)).to(device)


def chunks(indices: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the positions in parts that are small enough to hold in memory."""
    for start in range(0, len(indices), _CHUNK):
        yield indices[start : start + _CHUNK]


def gain_of(deviation: np.ndarray) -> np.ndarray:
    """Return what each bin is multiplied by to have a deviation of 1; 0 for one that never changes."""
    heard = deviation >= _MIN_DEVIATION_DB
    gain: np.ndarray = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=heard)
    return gain


def checked(recipe: Recipe, seed: int) -> Network:
    """Return the recipe's network, once recipe and seed are known to suit a training."""
    if recipe.network is None:
        raise RecipeError(f"recipe {recipe.name!r}: has no network to train; expected a section `network`")
    if recipe.training.batch_size < 2:
        raise RecipeError(
            f"recipe {recipe.name!r}: training.batch_size = {recipe.training.batch_size}; expected 2 or "
            "more, since the network normalises over a batch"
        )
    check_seed(seed)
    check_shares(recipe.training)
    return recipe.network


def _fingerprint(clips: TrainingClips, recipe: Recipe, seed: int, compute: Compute) -> dict[str, str]:
    """Return what must be the same for a training to go on, or to be shared by processes."""
    columns = [
        clips.inputs,
        list(clips.paths),
        list(clips.machine_ids),
        _numbered(clips.groups),
        list(clips.other_types),
        _numbered(clips.other_groups),
    ]
    return {
        "recipe": recipe.of_training().to_json(),
        "seed": str(seed),
        "precision": compute.precision + ", compiled" * compute.compile,
        "list of clips": hashlib.sha256(json.dumps(columns).encode()).hexdigest(),
    }


def _numbered(groups: Sequence[str]) -> list[int]:
    """Return which clips belong together without their groups' names, which may say where the data set lies."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(group, len(numbers)) for group in groups]


def _notes(
    clips: TrainingClips,
    recipe: Recipe,
    machine_ids: tuple[str, ...],
    source: ClipSource,
    stages: tuple[Stage, ...],
    split: Split,
    deviation: np.ndarray,
) -> tuple[str, ...]:
    """Return what a user should know: what was left out, and why."""
    notes = []
    tasks = {task for stage in stages for task in stage.tasks}
    if len(machine_ids) == 1:
        notes.append(
            f"one machine ID only ({machine_ids[0]}): the ID task is left out, and with it the score a_arc"
        )
    if not len(clips.others):
        notes.append(
            "no clips of other machine types: the type task is left out, and with it the score a_out"
        )
    elif "type" not in tasks:
        notes.append("no epochs for stage 2: the type task is left out, and with it the score a_out")
    missing = [name for name in recipe.training.augmentation.classes if name not in source.classes]
    if missing:
        notes.append(
            f"training on log-Mels: augmentations that need samples are left out ({', '.join(missing)})"
        )
    if "augmentation" not in tasks:
        notes.append("fewer than two augmentation classes: the augmentation task is left out")
    if recipe.scoring.holdout_fraction > 0:
        notes += split.notes(clips)
    silent = np.flatnonzero(deviation < _MIN_DEVIATION_DB)
    if recipe.network is not None and recipe.network.normalisation == "standard" and len(silent):
        bins = ", ".join(str(i) for i in silent.tolist())
        notes.append(f"Mel bins that never change are ignored: {bins}")
    return tuple(notes)
