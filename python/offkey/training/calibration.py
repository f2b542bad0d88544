"""From what the network says of clips to raw scores, and the scores of normals that calibrate them."""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Literal

import numpy as np

from offkey.inlier import Calibration, PseudoAnomalies
from offkey.nn.model import Model
from offkey.recipe import Recipe
from offkey.scoring.gaussian import Gaussian
from offkey.training.fitting import Trained, chunks
from offkey.training.inference import ClipOutputs, infer, window_frames

__all__ = ["Calibrated", "Scorer", "calibrate", "score_names"]

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
