"""The door of methods that rank clips by one vector each: cross-fitting, calibration, scores, what is saved."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, DatasetError, DetectorFileError, RecipeError
from offkey.models.base import FitOptions, InlierModel, restoring
from offkey.models.spectral.feature_sets import SMALLEST_DEVIATION, StatisticsTable
from offkey.models.spectral.folds import make_folds
from offkey.recipe import Recipe, Section
from offkey.scoring.calibration import Calibration

__all__ = ["Ranker", "Statistic", "VectorModel", "VectorSection"]

_FEWEST = 3  # vectors that a method is fitted to

Statistic = Literal["mean", "lstd", "ldstd", "p5"]
"""A statistic over time of each Mel bin (see `offkey.signal.statistics.ClipStatistics`)."""


class VectorSection(Section, frozen=True):
    """What every recipe of such a method says."""

    statistics: tuple[Statistic, ...] = ("mean", "lstd")
    """What a clip's vector is made of, for each Mel bin: level, and how much it varies."""
    fitted_to: Literal["id", "type"] = "id"
    """Whether each machine ID is compared with its own clips, or with those of all."""
    folds: Annotated[int, msgspec.Meta(ge=2)] = 5
    """Into how many parts the clips are divided, each scored by a fit to the others, for calibration."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.statistics or len(set(self.statistics)) != len(self.statistics):
            raise RecipeError(
                f"{type(self).__name__}.statistics = {self.statistics}: expected one or more, each once"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Ranker(abc.ABC):
    """A fitted method: a dataclass of the arrays that it consists of."""

    @classmethod
    @abc.abstractmethod
    def fit(cls, vectors: np.ndarray, settings: Any, *, seed: int) -> Self:
        """Fit the method to standardised vectors ``(clips, dim)`` float64, 3 or more.

        Parameters
        ----------
        vectors
            Of normal clips.
        settings
            The recipe's section.
        seed
            Every random choice follows from it.
        """

    @abc.abstractmethod
    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return how unlike normal clips ``(clips, dim)`` are: ``(clips,)`` float64."""

    @abc.abstractmethod
    def fits(self, dim: int) -> bool:
        """Return whether the arrays fit each other and vectors of so many values; all are finite."""

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def numbers(self) -> int:
        """Return how many numbers they have."""
        return sum(array.size for array in self.state().values())


@dataclasses.dataclass(frozen=True, slots=True)
class _Standardised:
    """A fitted method, and what vectors are standardised by before: a feature that never varies becomes 0."""

    mean: np.ndarray
    gain: np.ndarray
    ranker: Ranker

    @classmethod
    def fit(cls, method: type[Ranker], vectors: np.ndarray, settings: Any, *, seed: int) -> Self:
        mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
        gain = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation >= SMALLEST_DEVIATION)
        return cls(mean, gain, method.fit((vectors - mean) * gain, settings, seed=seed))

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        return self.ranker.scores((vectors - self.mean) * self.gain)

    def state(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "gain": self.gain} | prefixed("method", self.ranker.state())

    @classmethod
    def from_state(cls, method: type[Ranker], arrays: dict[str, np.ndarray], *, dim: int) -> Self:
        names = [field.name for field in dataclasses.fields(method)]
        of_method = under("method", arrays)
        parts = {name: of_method[name] for name in names}
        mean, gain = arrays["mean"], arrays["gain"]
        floats = (array for array in (mean, gain, *parts.values()) if array.dtype.kind == "f")
        finite = all(np.isfinite(array).all() for array in floats)
        if not finite or mean.shape != (dim,) or gain.shape != (dim,) or not method(**parts).fits(dim):
            raise DetectorFileError("its arrays are not finite, or do not fit each other")
        return cls(mean, gain, method(**parts))


class VectorModel(InlierModel):
    """One fit for all machine IDs, or one for each; made by `fit` or `from_state`.

    A system is a subclass that names its section, its score and its method.
    """

    section: ClassVar[str]
    """The name of its section in a recipe; its score is ``a_`` and that name."""
    method: ClassVar[type[Ranker]]

    def __init__(
        self,
        recipe: Recipe,
        fitted: Sequence[_Standardised],
        *,
        machine_ids: tuple[str, ...],
        held_out: Calibration,
        notes: tuple[str, ...],
    ) -> None:
        self._settings = self._section_of(recipe)
        self._fitted = tuple(fitted)
        self.score_names = (self._score(),)
        self.machine_ids = machine_ids
        self.standardise_on = self.held_out = held_out
        self.notes = notes
        self.further_statistics = frozenset()
        self.parameters = sum(
            each.mean.size + each.gain.size + each.ranker.numbers() for each in self._fitted
        )

    @classmethod
    def vectors(cls, inputs: Any, settings: Any) -> np.ndarray:
        """Return one vector for each clip, ``(clips, dim)`` float64, of what `scores` is given.

        Raises
        ------
        ArrayError
            If there is no clip, or one has values that are not finite.
        """
        if not len(inputs.mean):
            raise ArrayError("clips to score: given none; expected at least one")
        table = StatisticsTable.checked(inputs)
        return np.concatenate([table.columns[name] for name in settings.statistics], axis=1)

    @classmethod
    def training_vectors(cls, clips: TrainingClips, settings: Any, recipe: Recipe) -> np.ndarray:
        """Return those of the training clips."""
        return cls.vectors(clips.statistics(), settings)

    @classmethod
    def _score(cls) -> str:
        return f"a_{cls.section}"

    @classmethod
    def _section_of(cls, recipe: Recipe) -> Any:
        settings = recipe.models.get(cls.section)
        if settings is None:
            raise RecipeError(f"recipe {recipe.name!r}: expected a section `{cls.section}`, given none")
        return settings

    @classmethod
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips.

        Raises
        ------
        RecipeError
            If the recipe has no section of this system.
        """
        cls._section_of(recipe)

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Fit to normal clips; the same seed and clips give the same bytes.

        Parameters
        ----------
        clips
            Normal clips of the target type.
        recipe
            With a section of this system.
        options
            The seed.

        Raises
        ------
        RecipeError
            As `check`.
        DatasetError
            If there are too few clips.
        ArrayError
            If a clip has values that are not finite.
        """
        settings = cls._section_of(recipe)
        names = tuple(sorted(set(clips.machine_ids)))
        ids = np.searchsorted(names, list(clips.machine_ids)).astype(np.int64)
        folds = make_folds(ids, clips.groups, names=names, count=settings.folds, seed=options.seed)
        vectors = cls.training_vectors(clips, settings, recipe)
        errors = np.full((len(ids), len(names)), np.nan)
        for fold in range(int(folds.fold.max()) + 1):
            out = folds.fold == fold
            of_rest = cls._fits(vectors[~out], ids[~out], names, settings, options.seed)
            errors[out] = _columns(of_rest, vectors[out], len(names))
        final = cls._fits(vectors, ids, names, settings, options.seed)
        lacking = [names[i] for i, each in enumerate(final) if each is None]
        if lacking:
            raise DatasetError(
                f"machine ID {', '.join(lacking)}: fewer than {_FEWEST} normal training clips for a fit of its own; "
                f"record more, or set {cls.section}.fitted_to to 'type'"
            )
        return cls(
            recipe,
            [each for each in final if each is not None],
            machine_ids=names,
            held_out=_calibration(errors, ids, names, cls._score()),
            notes=folds.notes,
        )

    @classmethod
    def _fits(
        cls, vectors: np.ndarray, ids: np.ndarray, names: Sequence[str], settings: Any, seed: int
    ) -> list[_Standardised | None]:
        """Return one fit, or one for each ID; None for an ID of too few clips."""
        parts = [vectors[ids == i] for i in range(len(names))] if settings.fitted_to == "id" else [vectors]
        with threadpool_limits(1):  # a sum in another order is another number
            return [
                _Standardised.fit(cls.method, part, settings, seed=seed) if len(part) >= _FEWEST else None
                for part in parts
            ]

    def scores(self, inputs: Any, *, num_threads: int | None = None) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            What `vectors` takes.
        num_threads
            Of no effect: a clip takes microseconds.

        Returns
        -------
        dict of str to ndarray
            For the score ``(clips, ids)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, one has values that are not finite, or another number of them than in training.
        """
        vectors = self.vectors(inputs, self._settings)
        dim = len(self._fitted[0].mean)
        if vectors.shape[1] != dim:
            raise ArrayError(
                f"clips to score: {vectors.shape[1]} values each; expected {dim}, as in training"
            )
        return {self._score(): _columns(self._fitted, vectors, len(self.machine_ids))}

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        calibration, metadata = self.held_out.state()
        arrays = prefixed("held_out", calibration)
        for number, each in enumerate(self._fitted):
            arrays |= prefixed(f"fit{number}", each.state())
        return arrays, {
            "machine_ids": list(self.machine_ids),
            "dim": len(self._fitted[0].mean),
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
        with restoring(cls.section, recipe):
            names = tuple(map(str, metadata["machine_ids"]))
            count = len(names) if cls._section_of(recipe).fitted_to == "id" else 1
            dim = int(metadata["dim"])
            fitted = [
                _Standardised.from_state(cls.method, under(f"fit{n}", arrays), dim=dim) for n in range(count)
            ]
            held_out = Calibration.from_state(under("held_out", arrays), metadata["held_out"])
            if set(held_out.scores) != {cls._score()} or not set(held_out.machine_ids) <= set(names):
                raise DetectorFileError("the calibration is of other scores or machine IDs")
            notes = tuple(map(str, metadata["notes"]))
            return cls(recipe, fitted, machine_ids=names, held_out=held_out, notes=notes)


def _columns(fitted: Sequence[_Standardised | None], vectors: np.ndarray, n_ids: int) -> np.ndarray:
    """Return the scores ``(clips, ids)`` of every fit, one column filling all; NaN where there is no fit."""
    errors = np.full((len(vectors), n_ids), np.nan)
    for number, each in enumerate(fitted):
        if each is not None:
            columns = number if len(fitted) > 1 or n_ids == 1 else slice(None)
            scores = each.scores(vectors)
            errors[:, columns] = scores if isinstance(columns, int) else scores[:, None]
    return errors


def _calibration(errors: np.ndarray, ids: np.ndarray, names: tuple[str, ...], score: str) -> Calibration:
    rows = np.flatnonzero(~np.isnan(errors[np.arange(len(ids)), ids]))
    if not len(rows):
        raise DatasetError(
            "no normal clip could be scored by a fit without its recording; record more clips of each machine ID"
        )
    errors, ids = errors[rows], ids[rows]
    errors = np.where(
        np.isnan(errors), np.nanmax(errors) + 1.0, errors
    )  # an ID without a fit is far from all
    return Calibration(
        kind="out_of_fold",
        indices=rows,
        machine_ids=tuple(names[i] for i in ids),
        scores={score: errors[np.arange(len(ids)), ids]},
        against_all={score: errors},
    )
