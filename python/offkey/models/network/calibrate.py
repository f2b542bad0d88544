"""From what a trained network says of its clips to everything else that a fitted model consists of.

The outputs are kept, so that Gaussians, standardisation and the choice of scores can be made anew without the network.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np

from offkey._util.named_arrays import prefixed, under
from offkey.errors import DetectorFileError
from offkey.models.network.batches import ClipSource
from offkey.models.network.net.multitask import Model
from offkey.models.network.score import ClipOutputs, Scorer, infer, window_frames
from offkey.models.network.train import Trained, chunks
from offkey.recipe import Features, Scoring
from offkey.scoring.calibration import Calibration, PseudoAnomalies
from offkey.scoring.gaussian import Gaussian

__all__ = ["Calibrated", "FitOutputs", "calibrate", "outputs_of"]

_NEAR_CHANCE = 0.25
"""Part of the way from chance to certainty below which IDs count as not told apart."""

_PARTS = ("train", "held_out", "others_held_out")
_CROSS_FITS = 20
"""Into how many parts the held-out clips are divided, each scored by Gaussians that lack it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FitOutputs:
    """What a trained network says of the clips of its training set."""

    machine_ids: tuple[str, ...]
    """The known IDs, sorted."""
    ids: np.ndarray
    """``(clips,)`` int64: position of each training clip's ID, held-out clips among them."""
    recordings: np.ndarray
    """``(clips,)`` int64: which clips are of one recording."""
    positions: dict[str, np.ndarray]
    """Positions in the training table of `train` and `held_out`, ``(n,)`` int64 each."""
    outputs: dict[str, ClipOutputs]
    """Of `train`, of `held_out` and of `others_held_out`, which are clips of other types; of parts that have any."""
    others: bool
    """Whether there are clips of other types."""

    @classmethod
    def of(cls, trained: Trained, features: Features) -> Self:
        """Put the clips through the network, clean and whole."""
        split, longest = trained.split, window_frames(features)
        positions = {
            "train": split.train,
            "held_out": split.held_out,
            "others_held_out": split.others_held_out,
        }

        return cls(
            machine_ids=trained.machine_ids,
            ids=np.searchsorted(trained.machine_ids, list(trained.clips.machine_ids)).astype(np.int64),
            recordings=np.unique(list(trained.clips.groups), return_inverse=True)[1].astype(np.int64),
            positions={name: positions[name] for name in ("train", "held_out")},
            outputs={
                name: outputs_of(trained.model, trained.source, indices, longest=longest)
                for name, indices in positions.items()
                if len(indices)
            },
            others=len(trained.clips.others) > 0,
        )

    def extended(self, outputs: ClipOutputs, ids: np.ndarray, groups: Sequence[str]) -> Self:
        """Return the outputs with those of further clips, which the network has not seen: they count as held out.

        Parameters
        ----------
        outputs
            Of the clips.
        ids
            ``(clips,)`` int64: positions of their IDs.
        groups
            The recording that each was cut from.
        """
        recordings = np.unique(list(groups), return_inverse=True)[1].astype(np.int64)
        positions = len(self.ids) + np.arange(len(ids))
        held_out = self.outputs.get("held_out")
        return dataclasses.replace(
            self,
            ids=np.concatenate([self.ids, ids]),
            recordings=np.concatenate([self.recordings, self.recordings.max() + 1 + recordings]),
            positions=self.positions | {"held_out": np.concatenate([self.positions["held_out"], positions])},
            outputs=self.outputs | {"held_out": outputs if held_out is None else held_out + outputs},
        )

    def ids_of(self, part: str) -> tuple[str, ...]:
        """Return the ID of each clip of `train` or `held_out`."""
        return tuple(self.machine_ids[i] for i in self.ids[self.positions[part]].tolist())

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and plain data: all that `from_state` needs."""
        arrays = {"ids": self.ids, "recordings": self.recordings}
        arrays |= {f"{name}.positions": array for name, array in self.positions.items()}
        for part, outputs in self.outputs.items():
            arrays |= {f"{part}.{name}": array for name, array in outputs.state().items()}
        return arrays, {"parts": list(self.outputs), "others": self.others, "recordings": True}

    @classmethod
    def from_state(
        cls,
        machine_ids: tuple[str, ...],
        arrays: Mapping[str, np.ndarray],
        metadata: Mapping[str, Any],
        *,
        widths: Mapping[str, int],
    ) -> Self:
        """Restore what `state` gave; `widths` says which columns the outputs have (see `ClipOutputs.from_state`).

        Raises
        ------
        DetectorFileError
            If arrays do not fit each other.
        KeyError
            If one is missing.
        """
        parts = metadata["parts"]
        if "train" not in parts or not set(parts) <= set(_PARTS):
            raise DetectorFileError(f"outputs of the network: parts {parts}; expected some of {_PARTS}")
        outputs = {part: ClipOutputs.from_state(under(part, arrays), widths) for part in parts}
        positions = {part: arrays[f"{part}.positions"] for part in ("train", "held_out")}
        ids = arrays["ids"]
        # Files of format 2 do not say which clips are of one recording.
        recordings = arrays["recordings"] if metadata.get("recordings") else np.arange(len(ids))
        every = np.sort(np.concatenate(list(positions.values())))
        if (
            not np.array_equal(every, np.arange(len(ids)))
            or not np.isin(ids, np.arange(len(machine_ids))).all()
            or recordings.shape != ids.shape
            or not np.isin(recordings, np.arange(len(ids))).all()
        ):
            raise DetectorFileError(
                "outputs of the network: positions, IDs or recordings of the training clips are impossible"
            )
        for part, indices in positions.items():
            clips = outputs[part].clips if part in outputs else 0
            if clips != len(indices):
                raise DetectorFileError(
                    f"outputs of the network: {clips} clips in {part}; expected {len(indices)}"
                )
        return cls(
            machine_ids=machine_ids,
            ids=ids,
            recordings=recordings,
            positions=positions,
            outputs=outputs,
            others=bool(metadata["others"]),
        )


def outputs_of(model: Model, source: ClipSource, indices: np.ndarray, *, longest: int) -> ClipOutputs:
    """Return what a network says of some clips of a source, one or more, clean and whole (see `infer`)."""
    parts = [infer(model, source.clean(part), longest=longest) for part in chunks(indices)]
    return functools.reduce(operator.add, parts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Everything beside the network that a fitted model consists of."""

    gaussian: Gaussian
    standardise_on: Calibration
    held_out: Calibration
    pseudo_anomalies: PseudoAnomalies | None
    id_accuracy: float | None
    notes: tuple[str, ...]

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and plain data: all that `from_state` needs, but for the notes."""
        arrays = prefixed("gaussian", self.gaussian.state())
        metadata: dict[str, Any] = {
            "machine_ids": list(self.gaussian.ids),
            "id_accuracy": self.id_accuracy,
            "pseudo_anomalies": None,
        }
        for name, part in (("standardise_on", self.standardise_on), ("held_out", self.held_out)):
            arrays |= prefixed(name, {**part.scores, "indices": part.indices})
            metadata[name] = {"kind": part.kind, "machine_ids": list(part.machine_ids)}
        if self.held_out.against_all is not None:
            arrays |= prefixed("held_out_against_all", self.held_out.against_all)
            metadata["held_out"]["against_all"] = True  # files of format 2 have none
        if self.pseudo_anomalies is not None:
            arrays |= prefixed("pseudo_anomalies", self.pseudo_anomalies.scores)
            metadata["pseudo_anomalies"] = {"machine_ids": list(self.pseudo_anomalies.machine_ids)}
            if self.pseudo_anomalies.kinds is not None:  # files of before there were kinds have none
                metadata["pseudo_anomalies"]["kinds"] = list(self.pseudo_anomalies.kinds)
        return arrays, metadata

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Self:
        """Restore what `state` gave.

        Raises
        ------
        OffkeyError, KeyError, TypeError
            If something is missing or does not fit the rest.
        """
        pseudo = metadata["pseudo_anomalies"]
        return cls(
            gaussian=Gaussian.from_state(under("gaussian", arrays), ids=metadata["machine_ids"]),
            standardise_on=_restored("standardise_on", arrays, metadata),
            held_out=_restored("held_out", arrays, metadata),
            pseudo_anomalies=None
            if pseudo is None
            else PseudoAnomalies(
                machine_ids=tuple(pseudo["machine_ids"]),
                scores=under("pseudo_anomalies", arrays),
                kinds=tuple(pseudo["kinds"]) if "kinds" in pseudo else None,
            ),
            id_accuracy=metadata["id_accuracy"],
            notes=(),
        )


def _restored(name: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Calibration:
    scores = under(name, arrays)
    indices = scores.pop("indices")
    against_all = None
    if metadata[name].get("against_all"):
        against_all = {score: arrays[f"{name}_against_all.{score}"] for score in scores}
    return Calibration(
        kind=metadata[name]["kind"],
        indices=indices,
        machine_ids=tuple(metadata[name]["machine_ids"]),
        scores=scores,
        against_all=against_all,
    )


def calibrate(fitted: FitOutputs, scoring: Scoring, *, scale: float) -> Calibrated:
    """Fit the Gaussians to all normal clips and score those that were held out.

    A held-out clip is scored by Gaussians that lack its recording, as they lack a recording that comes later: its
    scores are those that it would have as a new one. Where nothing could be held out, the training clips stand in. For
    the combination `select` the pseudo-anomalies are the held-out normals, each against every other ID, and held-out
    clips of other types, each against one ID in turn.

    Parameters
    ----------
    fitted
        What the network says of the clips.
    scoring
        How scores are made of it.
    scale
        The scale of the network's ArcFace head.
    """
    gaussian = _gaussian(fitted, scoring, held_out=np.ones(len(fitted.positions["held_out"]), dtype=bool))
    scorer = Scorer(gaussian, scoring, scale=scale)
    on_training = _calibration(fitted, "train", scorer.matrices(fitted.outputs["train"]))
    if "held_out" not in fitted.outputs:
        note = "nothing is held out of training: thresholds come from clips that the network has seen"
        return Calibrated(
            gaussian=gaussian,
            standardise_on=on_training,
            held_out=on_training,
            pseudo_anomalies=None,
            id_accuracy=None,
            notes=(note,),
        )
    matrices = _cross_fitted(fitted, scoring, scale=scale)
    held_out = _calibration(fitted, "held_out", matrices)
    accuracy, notes = _id_accuracy(fitted)
    pseudo = None
    if scoring.combine == "select":
        others = fitted.outputs.get("others_held_out")
        foreign = None if others is None else scorer.matrices(others)
        pseudo = _pseudo_anomalies(fitted.machine_ids, held_out.machine_ids, matrices, foreign)
    return Calibrated(
        gaussian=gaussian,
        standardise_on=on_training if scoring.standardise_on == "training" else held_out,
        held_out=held_out,
        pseudo_anomalies=pseudo,
        id_accuracy=accuracy,
        notes=notes,
    )


def _cross_fitted(fitted: FitOutputs, scoring: Scoring, *, scale: float) -> dict[str, np.ndarray]:
    """Score held-out clips against every ID, ``(clips, IDs)``, each by Gaussians that lack its recording."""
    held_out = fitted.outputs["held_out"]
    parts = _parts(fitted)
    matrices: dict[str, np.ndarray] = {}
    for part in np.unique(parts).tolist():
        left_out = parts == part
        gaussian = _gaussian(fitted, scoring, held_out=~left_out)
        for name, values in Scorer(gaussian, scoring, scale=scale).matrices(held_out.take(left_out)).items():
            matrices.setdefault(name, np.empty((held_out.clips, values.shape[1])))[left_out] = values
    return matrices


def _parts(fitted: FitOutputs) -> np.ndarray:
    """Return the part of each held-out clip, ``(clips,)`` int64: each ID's recordings in turn, none of them divided."""
    held_out = fitted.positions["held_out"]
    by_id = np.argsort(fitted.ids[held_out], kind="stable")
    _, first, recording = np.unique(
        fitted.recordings[held_out][by_id], return_index=True, return_inverse=True
    )
    parts = np.empty(len(held_out), dtype=np.int64)
    parts[by_id] = np.argsort(np.argsort(first))[recording] % _CROSS_FITS
    return parts


def _gaussian(fitted: FitOutputs, scoring: Scoring, *, held_out: np.ndarray) -> Gaussian:
    """Fit the Gaussians to the training clips and to some of those held out, ``(clips,)`` bool."""
    normals, positions = fitted.outputs["train"], fitted.positions["train"]
    if held_out.any():
        normals += fitted.outputs["held_out"].take(held_out)
        positions = np.concatenate([positions, fitted.positions["held_out"][held_out]])
    ids = [fitted.machine_ids[i] for i in fitted.ids[positions[normals.owners]].tolist()]
    return Gaussian.fit(normals.embeddings, ids, covariance=scoring.covariance)


def _calibration(
    fitted: FitOutputs, part: Literal["train", "held_out"], matrices: dict[str, np.ndarray]
) -> Calibration:
    indices = fitted.positions[part]
    rows, columns = np.arange(len(indices)), fitted.ids[indices]
    return Calibration(
        kind="training" if part == "train" else "held_out",
        indices=indices,
        machine_ids=fitted.ids_of(part),
        scores={name: matrix[rows, columns] for name, matrix in matrices.items()},
        against_all=matrices,
    )


def _pseudo_anomalies(
    machine_ids: tuple[str, ...],
    normal_ids: tuple[str, ...],
    normals: dict[str, np.ndarray],
    foreign: dict[str, np.ndarray] | None,
) -> PseudoAnomalies | None:
    """Return the scores of held-out normals against every other ID, of foreign ones against one in turn."""
    other = np.array(normal_ids)[:, None] != np.array(machine_ids)[None, :]
    rows, columns = np.nonzero(other)
    scores = {name: matrix[rows, columns] for name, matrix in normals.items()}
    kinds = ["other IDs"] * len(columns)
    if foreign is not None:
        rows = np.arange(len(next(iter(foreign.values()))))
        turns = rows % len(machine_ids)
        scores = {name: np.concatenate([scores[name], foreign[name][rows, turns]]) for name in scores}
        columns = np.concatenate([columns, turns])
        kinds += ["other types"] * len(turns)
    if not len(columns):
        return None
    return PseudoAnomalies(
        machine_ids=tuple(machine_ids[i] for i in columns.tolist()), scores=scores, kinds=tuple(kinds)
    )


def _id_accuracy(fitted: FitOutputs) -> tuple[float | None, tuple[str, ...]]:
    """Return how often held-out normals are told to be of their own ID, mean over IDs, and a note on it."""
    outputs = fitted.outputs["held_out"]
    if outputs.cosines is None:
        return None, ()
    nearest = outputs.per_clip(outputs.cosines).argmax(axis=1)
    ids = fitted.ids[fitted.positions["held_out"]]
    accuracy = float(np.mean([np.mean(nearest[ids == i] == i) for i in np.unique(ids)]))
    chance = 1.0 / len(fitted.machine_ids)
    text = (
        f"the IDs of {len(ids)} held-out normal clips are told apart with accuracy {accuracy:.2f} "
        f"(chance {chance:.2f})"
    )
    if (accuracy - chance) / (1.0 - chance) < _NEAR_CHANCE:
        text += (
            ": near chance, so these IDs hardly differ in sound, and a_arc and a_maha, which are taught by "
            "telling them apart, say little; recipe 'spectral' does not depend on it"
        )
    return accuracy, (text,)
