"""Whole clips through a trained network, in windows where they are long."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from offkey.errors import ArrayError
from offkey.models.network.device import full_float32
from offkey.models.network.net.multitask import Model, Outputs
from offkey.models.network.train import Trained, chunks
from offkey.recipe import Features, Recipe
from offkey.scoring.calibration import Calibration, PseudoAnomalies
from offkey.scoring.gaussian import Gaussian

__all__ = ["Calibrated", "ClipOutputs", "Scorer", "calibrate", "infer", "score_names", "window_frames"]

_WINDOW_S = 30.0
_BATCH = 32


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClipOutputs:
    """What the network says of clips, window by window."""

    clips: int
    owners: np.ndarray
    """``(windows,)`` int64: the clip that a window is of."""
    embeddings: np.ndarray
    """``(windows, embedding_dim)`` float64."""
    cosines: np.ndarray | None
    """``(windows, IDs)`` float64."""
    type_logits: np.ndarray | None
    """``(windows,)`` float64."""

    def per_clip(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of ``(windows, ...)`` values over each clip's windows: ``(clips, ...)`` float64."""
        sums = np.zeros((self.clips, *values.shape[1:]))
        np.add.at(sums, self.owners, values)
        windows = np.bincount(self.owners, minlength=self.clips)
        return sums / windows.reshape(-1, *([1] * (values.ndim - 1)))

    def __add__(self, other: ClipOutputs) -> ClipOutputs:
        return ClipOutputs(
            clips=self.clips + other.clips,
            owners=np.concatenate([self.owners, other.owners + self.clips]),
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
            cosines=_joined(self.cosines, other.cosines),
            type_logits=_joined(self.type_logits, other.type_logits),
        )


def window_frames(features: Features) -> int:
    """Return the frames of the longest clip that is scored in one piece: 30 s."""
    return round(_WINDOW_S * features.sample_rate / features.hop_length) + 1


def infer(model: Model, logmels: Sequence[np.ndarray], *, longest: int) -> ClipOutputs:
    """Put clips through the network in eval mode.

    Parameters
    ----------
    model : Model
        In eval mode, on the device that computes.
    logmels : sequence of ndarray
        ``(n_mels, frames)`` float32 in dB each, frames of any number: a clip too short for the network is
        repeated until it suffices.
    longest : int
        Frames of a window; a longer clip is cut into the fewest windows of that size, evenly spread.

    Raises
    ------
    ArrayError
        If a clip has another shape, or values that are not finite.
    """
    if not len(logmels):
        raise ArrayError("clips to score: given none; expected at least one")
    windows: list[np.ndarray] = []
    owners: list[int] = []
    for clip, logmel in enumerate(logmels):
        parts = _windows(_checked(logmel, clip, model.mean.shape[0]), model.min_frames, longest)
        windows += parts
        owners += [clip] * len(parts)
    lengths = np.array([window.shape[1] for window in windows], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")  # windows of one length go through together
    batches = [
        batch[start : start + _BATCH]
        for batch in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)
        for start in range(0, len(batch), _BATCH)
    ]
    made = [_forward(model, np.stack([windows[i] for i in batch])) for batch in batches]
    inverse = np.argsort(order, kind="stable")
    return ClipOutputs(
        clips=len(logmels),
        owners=np.array(owners, dtype=np.int64),
        embeddings=_float64(torch.cat([m.embedding for m in made]))[inverse],
        cosines=_in_order([m.cosine for m in made], inverse),
        type_logits=_in_order([m.type_logit for m in made], inverse),
    )


def _forward(model: Model, logmels: np.ndarray) -> Outputs:
    device = model.mean.device
    with torch.inference_mode(), full_float32(device):
        return model(torch.from_numpy(logmels).to(device))  # type: ignore[no-any-return]


def _in_order(parts: list[Tensor | None], inverse: np.ndarray) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return _float64(torch.cat(present))[inverse] if present else None


def _float64(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.float64)


def _windows(logmel: np.ndarray, shortest: int, longest: int) -> list[np.ndarray]:
    frames = logmel.shape[1]
    if frames < shortest:
        return [np.take(logmel, np.arange(shortest) % frames, axis=1)]
    if frames <= longest:
        return [logmel]
    starts = np.linspace(0, frames - longest, -(-frames // longest)).round().astype(int)
    return [logmel[:, start : start + longest] for start in starts.tolist()]


def _checked(logmel: np.ndarray, clip: int, n_mels: int) -> np.ndarray:
    array = np.asarray(logmel, dtype=np.float32)
    if array.ndim != 2 or array.shape[0] != n_mels or not array.shape[1]:
        raise ArrayError(
            f"log-Mel of clip {clip}: given shape {array.shape}; expected ({n_mels}, frames) and "
            "at least one frame"
        )
    if not np.isfinite(array).all():
        raise ArrayError(f"log-Mel of clip {clip}: has values that are not finite")
    return array


def _joined(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])


_NEAR_CHANCE = 0.25
"""Part of the way from chance to certainty below which IDs count as not told apart."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Everything beside the network that a fitted model consists of."""

    gaussian: Gaussian
    standardise_on: Calibration
    held_out: Calibration
    pseudo_anomalies: PseudoAnomalies | None
    id_accuracy: float | None
    notes: tuple[str, ...]


def score_names(model: Model) -> tuple[str, ...]:
    """Return the scores that a network has the heads for."""
    out = () if model.type_head is None else ("a_out",)
    arc = () if model.id_head is None else ("a_arc",)
    return (*out, *arc, "a_maha")


class Scorer:
    """Raw scores of clips against every ID, higher = more anomalous (Zhang et al. 2023, section 2.3)."""

    def __init__(self, model: Model, gaussian: Gaussian, recipe: Recipe) -> None:
        self._gaussian = gaussian
        self._a_arc = recipe.scoring.a_arc
        self._scale = 1.0 if model.id_head is None else model.id_head.scale

    def matrices(self, outputs: ClipOutputs) -> dict[str, np.ndarray]:
        """Return for each score ``(clips, IDs)`` float64, the mean over each clip's windows.

        `a_out`: minus the log-likelihood of "target type", the same for every ID. `a_arc`: 1 - cos(theta)
        with no margin; `prob`: 1 - softmax(s cos(theta)); `log_prob`: minus its logarithm. `a_maha`:
        Mahalanobis distance.
        """
        made = {}
        if outputs.type_logits is not None:
            columns = len(self._gaussian.ids)
            made["a_out"] = np.repeat(np.logaddexp(0.0, -outputs.type_logits)[:, None], columns, axis=1)
        if outputs.cosines is not None:
            made["a_arc"] = self._angular(outputs.cosines)
        made["a_maha"] = self._gaussian.mahalanobis(outputs.embeddings)
        return {name: outputs.per_clip(values) for name, values in made.items()}

    def _angular(self, cosines: np.ndarray) -> np.ndarray:
        if self._a_arc == "cosine":
            return 1.0 - cosines
        logits = self._scale * cosines
        minus_log = np.logaddexp.reduce(logits, axis=1, keepdims=True) - logits
        return minus_log if self._a_arc == "log_prob" else -np.expm1(-minus_log)


def calibrate(trained: Trained, recipe: Recipe) -> Calibrated:
    """Fit the Gaussians to the training clips and score what was held out.

    Where nothing could be held out, the training clips stand in for it. For the combination `select` the
    pseudo-anomalies are the held-out normals, each against every other ID, and held-out clips of other
    types, each against one ID in turn.
    """
    split, own = trained.split, trained.clips.machine_ids
    train = _outputs(trained, recipe, split.train)
    ids = [own[i] for i in split.train[train.owners].tolist()]
    gaussian = Gaussian.fit(train.embeddings, ids, covariance=recipe.scoring.covariance)
    scorer = Scorer(trained.model, gaussian, recipe)
    on_training = _calibration(trained, split.train, scorer.matrices(train), "training")
    if not len(split.held_out):
        note = "nothing is held out of training: thresholds come from clips that the network has seen"
        return Calibrated(
            gaussian=gaussian,
            standardise_on=on_training,
            held_out=on_training,
            pseudo_anomalies=None,
            id_accuracy=None,
            notes=(note,),
        )
    held_out = _outputs(trained, recipe, split.held_out)
    matrices = scorer.matrices(held_out)
    calibration = _calibration(trained, split.held_out, matrices, "held_out")
    accuracy, notes = _id_accuracy(trained, held_out, calibration.machine_ids)
    pseudo = None
    if recipe.scoring.combine == "select":
        others = split.others_held_out
        foreign = scorer.matrices(_outputs(trained, recipe, others)) if len(others) else None
        pseudo = _pseudo_anomalies(trained.machine_ids, calibration.machine_ids, matrices, foreign)
    return Calibrated(
        gaussian=gaussian,
        standardise_on=on_training if recipe.scoring.standardise_on == "training" else calibration,
        held_out=calibration,
        pseudo_anomalies=pseudo,
        id_accuracy=accuracy,
        notes=notes,
    )


def _outputs(trained: Trained, recipe: Recipe, indices: np.ndarray) -> ClipOutputs:
    longest = window_frames(recipe.features)
    parts = [infer(trained.model, trained.source.clean(chunk), longest=longest) for chunk in chunks(indices)]
    return functools.reduce(operator.add, parts)


def _calibration(
    trained: Trained,
    indices: np.ndarray,
    matrices: dict[str, np.ndarray],
    kind: Literal["held_out", "training"],
) -> Calibration:
    ids = tuple(trained.clips.machine_ids[i] for i in indices.tolist())
    columns = np.array([trained.machine_ids.index(machine_id) for machine_id in ids])
    rows = np.arange(len(ids))
    return Calibration(
        kind=kind,
        indices=indices,
        machine_ids=ids,
        scores={name: matrix[rows, columns] for name, matrix in matrices.items()},
    )


def _pseudo_anomalies(
    known: tuple[str, ...],
    own: tuple[str, ...],
    normals: dict[str, np.ndarray],
    foreign: dict[str, np.ndarray] | None,
) -> PseudoAnomalies | None:
    """Return the scores of held-out normals against every other ID, of foreign ones against one in turn."""
    other = np.array(own)[:, None] != np.array(known)[None, :]
    rows, columns = np.nonzero(other)
    scores = {name: matrix[rows, columns] for name, matrix in normals.items()}
    if foreign is not None:
        rows = np.arange(len(next(iter(foreign.values()))))
        turns = rows % len(known)
        scores = {name: np.concatenate([scores[name], foreign[name][rows, turns]]) for name in scores}
        columns = np.concatenate([columns, turns])
    if not len(columns):
        return None
    return PseudoAnomalies(machine_ids=tuple(known[i] for i in columns.tolist()), scores=scores)


def _id_accuracy(
    trained: Trained, held_out: ClipOutputs, own: tuple[str, ...]
) -> tuple[float | None, tuple[str, ...]]:
    """Return how often held-out normals are told to be of their own ID, mean over IDs, and a note on it."""
    if held_out.cosines is None:
        return None, ()
    told = np.array(trained.machine_ids)[held_out.per_clip(held_out.cosines).argmax(axis=1)]
    ids = np.array(own)
    accuracy = float(np.mean([np.mean(told[ids == i] == i) for i in sorted(set(own))]))
    chance = 1.0 / len(trained.machine_ids)
    text = (
        f"the IDs of {len(own)} held-out normal clips are told apart with accuracy {accuracy:.2f} "
        f"(chance {chance:.2f})"
    )
    if (accuracy - chance) / (1.0 - chance) < _NEAR_CHANCE:
        text += (
            ": near chance, so these IDs hardly differ in sound, and a_arc and a_maha, which are taught by "
            "telling them apart, say little; recipe 'spectral' does not depend on it"
        )
    return accuracy, (text,)
