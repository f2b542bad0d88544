"""Recipe `knn`: how far a clip is from the nearest normal clips of its machine ID.

S. Ramaswamy, R. Rastogi and K. Shim, "Efficient algorithms for mining outliers from large data sets", 2000: the
distance to the k-th nearest neighbour; F. Angiulli and C. Pizzuti, "Fast outlier detection in high dimensional
spaces", 2002: the sum over the k nearest, here their mean. P. Saengthong and T. Shinozaki, "Sub-band spectral matching
with localized score aggregation for robust anomalous sound detection", 2026 (BEAM): each frequency band has a nearest
neighbour of its own, and the score is the mean over bands (`bands`). As many numbers as normal clips times values of a
vector; nothing is trained.

Left open: what a vector is. Here the mean over time of each Mel bin of the log-Mel, in decibels, which is what people
try first; with `pooling` "mean_deviation" its standard deviation over time too. One neighbour by default, as in the
2026 paper and most of its kind; decibels have one unit, so that by default nothing is standardised, and the distance
is Euclidean. Where `standardised` is set, mean and deviation are those of all training clips together. BEAM also has a
form that picks between mean and maximum over time, which is not here, and matches bands of an encoder's output.

Every clip stays in the model: each is scored against the others, without those of its recording, and thresholds and
p-values come from these scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, DatasetError, DetectorFileError, RecipeError
from offkey.models.base import FitOptions, InlierModel, LearnedClips, register, restoring
from offkey.models.baselines.neighbours import Bank, Distance, Scale
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.folds import units_of
from offkey.recipe import Positive, Recipe, Section
from offkey.scoring.calibration import Calibration
from offkey.signal.statistics import ClipStatistics

__all__ = ["Knn", "KnnModel"]

_SCORE = "a_knn"


class Knn(Section, frozen=True):
    """Nearest neighbours (docs/baselines.md)."""

    pooling: Literal["mean", "mean_deviation"] = "mean"
    """What is kept of time: the mean, or mean and standard deviation."""
    neighbours: Positive = 1
    """How many count; where an ID has fewer clips, those."""
    of_neighbours: Literal["mean", "kth"] = "mean"
    """Their mean distance, or that of the last."""
    distance: Distance = "euclidean"
    standardised: bool = False
    """Whether each value is divided by its deviation over the training clips, its mean taken away."""
    bands: Positive = 1
    """Into how many neighbouring parts of the spectrum a vector is cut, each with neighbours of its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Learned:
    """The normal clips of a model, ``(clips, ...)`` each."""

    vectors: np.ndarray
    """``(clips, dim)`` float32."""
    ids: np.ndarray
    """int64: positions of their IDs."""
    units: np.ndarray
    """int64: clips with the same one are of one recording."""

    def extended(self, vectors: np.ndarray, ids: np.ndarray, groups: Sequence[str]) -> Self:
        units = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
        return type(self)(
            np.concatenate([self.vectors, vectors]),
            np.concatenate([self.ids, ids]),
            np.concatenate([self.units, self.units.max() + 1 + units]),
        )


class KnnModel(InlierModel):
    """Nearest neighbours as a model of normal sound; made by `fit` or `from_state`."""

    def __init__(
        self,
        settings: Knn,
        learned: _Learned,
        scale: Scale,
        *,
        machine_ids: tuple[str, ...],
        held_out: Calibration | None,
        notes: tuple[str, ...],
    ) -> None:
        self._settings, self._learned, self._scale = settings, learned, scale
        self._bank = Bank.of(
            scale.apply(learned.vectors.astype(np.float64)),
            ids=learned.ids,
            units=learned.units,
            columns=_columns(settings, learned.vectors.shape[1]),
            distance=settings.distance,
        )
        self.score_names = (_SCORE,)
        self.machine_ids = machine_ids
        self.standardise_on = self.held_out = self._calibration() if held_out is None else held_out
        self.notes = notes
        self.further_statistics = frozenset()
        self.parameters = learned.vectors.size + (2 * len(scale.gain) if settings.standardised else 0)

    @classmethod
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips.

        Raises
        ------
        RecipeError
            If the recipe has no section `knn`, or more bands than Mel bins.
        """
        settings = _settings(recipe)
        if settings.bands > recipe.features.n_mels:
            raise RecipeError(
                f"recipe {recipe.name!r}: knn.bands = {settings.bands}; expected at most as many as Mel bins, "
                f"{recipe.features.n_mels}"
            )

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Keep normal clips; the same clips give the same bytes, whatever the seed.

        Parameters
        ----------
        clips
            Normal clips of the target type.
        recipe
            With a section `knn`.
        options
            Nothing of it matters here.

        Raises
        ------
        RecipeError
            As `check`.
        DatasetError
            If there are too few clips, or nothing varies over them.
        ArrayError
            If a clip has values that are not finite.
        """
        cls.check(recipe, options)
        settings = _settings(recipe)
        names = tuple(sorted(set(clips.machine_ids)))
        ids = np.searchsorted(names, list(clips.machine_ids)).astype(np.int64)
        units, divided = units_of(ids, clips.groups)
        vectors = cls._pooled(clips.statistics(), settings)
        scale = Scale.of(vectors.astype(np.float64), standardised=settings.standardised)
        if (vectors == vectors[0]).all() or not scale.gain.any():
            raise DatasetError(
                f"knn: {len(ids)} normal training clips, of which none differs from the others; expected more clips, "
                "which are neither silent nor copies of one"
            )
        notes = [
            f"ID {names[i]}: all clips come from one recording, which had to be divided: thresholds and p-values may "
            "be too optimistic"
            for i in divided
        ]
        notes += [
            f"knn: ID {names[i]}: one clip only, which cannot be left out to be scored"
            for i in np.flatnonzero(np.bincount(ids) == 1)
        ]
        return cls(
            settings,
            _Learned(vectors, ids, units),
            scale,
            machine_ids=names,
            held_out=None,
            notes=tuple(notes),
        )

    def updated(
        self, clips: TrainingClips, *, recipe: Recipe, learned: LearnedClips, num_threads: int | None = None
    ) -> Self:
        """Return the model with further normal clips of known IDs among its own; the scale stays.

        Parameters
        ----------
        clips, recipe, learned, num_threads
            See `InlierModel.updated`.
        """
        ids = np.searchsorted(self.machine_ids, list(clips.machine_ids)).astype(np.int64)
        vectors = self._vectors(clips.statistics())
        return type(self)(
            self._settings,
            self._learned.extended(vectors, ids, clips.groups),
            self._scale,
            machine_ids=self.machine_ids,
            held_out=None,
            notes=self.notes,
        )

    def scores(self, inputs: ClipStatistics, *, num_threads: int | None = None) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Statistics of the clips, ``(clips, n_mels)`` each.
        num_threads
            Of no effect.

        Returns
        -------
        dict of str to ndarray
            For the score ``(clips, ids)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, one has values that are not finite, or there are other Mel bins than in training.
        """
        vectors = self._scale.apply(self._vectors(inputs).astype(np.float64))
        return {_SCORE: self._bank.distances(vectors, **self._counted)}

    def embeddings(self, inputs: ClipStatistics, *, num_threads: int | None = None) -> np.ndarray:
        """Return the vectors ``(clips, dim)`` float64 of clips, as they are before any scale (see `scores`)."""
        return self._vectors(inputs).astype(np.float64)

    @property
    def _counted(self) -> dict[str, Any]:
        return {"neighbours": self._settings.neighbours, "kth": self._settings.of_neighbours == "kth"}

    def _calibration(self) -> Calibration:
        """Score every clip without its recording; clips whose ID has no other recording have no score."""
        learned = self._learned
        vectors = self._scale.apply(learned.vectors.astype(np.float64))
        distances = self._bank.left_out(vectors, **self._counted)
        own = distances[np.arange(len(learned.ids)), learned.ids]
        rows = np.flatnonzero(~np.isnan(own))
        return Calibration(
            kind="out_of_fold",
            indices=rows,
            machine_ids=tuple(self.machine_ids[i] for i in learned.ids[rows]),
            scores={_SCORE: own[rows]},
            against_all={_SCORE: distances[rows]},
        )

    def _vectors(self, statistics: ClipStatistics) -> np.ndarray:
        vectors = self._pooled(statistics, self._settings)
        dim = self._learned.vectors.shape[1]
        if vectors.shape[1] != dim:
            raise ArrayError(
                f"clips: {vectors.shape[1]} values each; expected {dim}, as the training clips have"
            )
        return vectors

    @staticmethod
    def _pooled(statistics: ClipStatistics, settings: Knn) -> np.ndarray:
        """Return one vector for each clip, ``(clips, dim)`` float32."""
        if not len(statistics.mean):
            raise ArrayError("clips: given none; expected at least one")
        columns = StatisticsTable.checked(statistics).columns
        parts = [columns["mean"]]
        if settings.pooling == "mean_deviation":
            parts.append(np.exp(columns["lstd"]) - 1e-3)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        calibration, metadata = self.held_out.state()
        arrays = {
            "vectors": self._learned.vectors,
            "ids": self._learned.ids,
            "units": self._learned.units,
            "centre": self._scale.centre,
            "gain": self._scale.gain,
        }
        return arrays | prefixed("held_out", calibration), {
            "machine_ids": list(self.machine_ids),
            "held_out": metadata,
            "notes": list(self.notes),
        }

    @classmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores.

        Raises
        ------
        DetectorFileError
            If arrays or metadata are missing or do not fit the recipe.
        """
        with restoring("knn", recipe):
            names = tuple(map(str, metadata["machine_ids"]))
            learned = _Learned(arrays["vectors"], arrays["ids"], arrays["units"])
            scale = Scale(arrays["centre"], arrays["gain"])
            _check_arrays(learned, scale, n_ids=len(names))
            held_out = Calibration.from_state(under("held_out", arrays), metadata["held_out"])
            if set(held_out.scores) != {_SCORE} or not set(held_out.machine_ids) <= set(names):
                raise DetectorFileError("knn: the calibration is of other scores or machine IDs")
            return cls(
                _settings(recipe),
                learned,
                scale,
                machine_ids=names,
                held_out=held_out,
                notes=tuple(map(str, metadata["notes"])),
            )


def _settings(recipe: Recipe) -> Knn:
    settings = recipe.models.get("knn")
    if not isinstance(settings, Knn):
        raise RecipeError(f"recipe {recipe.name!r}: expected a section `knn`, given none")
    return settings


def _columns(settings: Knn, dim: int) -> list[np.ndarray]:
    """Return which values of a vector each band has: of means and of deviations those at its place."""
    blocks = np.arange(dim).reshape(2 if settings.pooling == "mean_deviation" else 1, -1)
    return [part.ravel() for part in np.array_split(blocks, settings.bands, axis=1)]


def _check_arrays(learned: _Learned, scale: Scale, *, n_ids: int) -> None:
    clips, dim = learned.vectors.shape
    floats = (learned.vectors, scale.centre, scale.gain)
    sound = (
        [array.dtype for array in floats] == [np.float32, np.float64, np.float64]
        and learned.ids.dtype == learned.units.dtype == np.int64
        and learned.ids.shape == learned.units.shape == (clips,)
        and scale.centre.shape == scale.gain.shape == (dim,)
        and all(np.isfinite(array).all() for array in floats)
        and np.array_equal(np.unique(learned.ids), np.arange(n_ids))
    )
    if not sound:
        raise DetectorFileError(
            f"knn: {clips} clips of {dim} values; expected as many IDs and recordings, clips of each of {n_ids} IDs, "
            "and finite numbers"
        )


register("knn", section=Knn, score_names=(_SCORE,), inputs="statistics", model=KnnModel)
