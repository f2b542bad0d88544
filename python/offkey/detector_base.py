"""What a detector is, whatever it is used for: its recipe, what it knows, and its file."""

from __future__ import annotations

import functools
import operator
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast

import numpy as np

from offkey.datasets.recordings import Recordings
from offkey.datasets.source import Source
from offkey.errors import ParameterError
from offkey.fitted import Fitted
from offkey.history import Event
from offkey.models.base import ModelKind, kinds_of, needs_samples
from offkey.recipe import Recipe, Scoring, ScoringPrecision
from offkey.scores import ScoreTable
from offkey.scoring.confirmed import Confirmed
from offkey.signal.audio import MAX_SECONDS

__all__ = ["DetectorBase"]


class DetectorBase:
    """The part of `offkey.Detector` that neither learns nor decides."""

    def __init__(self, recipe: Recipe | str = "spectral") -> None:
        if not isinstance(recipe, Recipe | str):
            raise ParameterError(f"recipe = {recipe!r}: expected a Recipe, or the name of a built-in one")
        self.recipe = Recipe.named(recipe) if isinstance(recipe, str) else recipe
        self.unread: tuple[str, ...] = ()
        """Which training recordings could not be read or are broken, and why; not saved."""
        self._state: Fitted | None = None

    def __repr__(self) -> str:
        state = f"fitted to {self.machine}" if self._state else "not fitted"
        return f"Detector(recipe {self.recipe.name!r}, {state})"

    @property
    def machine(self) -> str | None:
        """The machine type that the detector was fitted to; None where it is not known, and before `fit`."""
        return self._state.machine if self._state else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the fit."""
        return self._state.notes if self._state else ()

    @property
    def machine_ids(self) -> tuple[str, ...]:
        """The machine IDs that the detector knows; none before `fit`."""
        return self._state.fusion.machine_ids if self._state else ()

    @property
    def thresholds(self) -> dict[str | None, float]:
        """The threshold of each ID, and under None that of recordings whose ID is not known.

        Those of the recipe's rate, but where `confirm` has lowered one.
        """
        return self._fitted().thresholds()

    def thresholds_at(self, false_alarm_rate: float) -> dict[str | None, float]:
        """Return the thresholds that at most this share of healthy recordings exceeds.

        Parameters
        ----------
        false_alarm_rate
            Above 0 and below 1.

        Returns
        -------
        dict
            The threshold of each ID, and under None that of recordings whose ID is not known.

        Raises
        ------
        ParameterError
            If the rate is outside its range, or the detector is not fitted.
        """
        return self._fitted().thresholds(false_alarm_rate)

    @property
    def confirmed(self) -> Mapping[str, Confirmed]:
        """The thresholds that `confirm` has lowered, by ID, each with its false-alarm rate; none before."""
        return self._state.confirmed if self._state else MappingProxyType({})

    @property
    def history(self) -> tuple[Event, ...]:
        """What was done to the detector, in order: fitted, updated, confirmed; none in files that do not have it."""
        return self._state.history if self._state else ()

    @property
    def parameters(self) -> int:
        """How many numbers the fit has set: the network's weights, or means and factors in closed form."""
        return self._fitted().parameters

    def rescored(self, scoring: Scoring, *, name: str | None = None) -> Self:
        """Return the detector that a fit with another `scoring` would have given, without training anew.

        What the models said of held-out and training clips is kept in the detector and in its file, so that the
        false-alarm rate, the combination, the covariance and the kind of `a_arc` can be changed in milliseconds.
        Thresholds that `confirm` has lowered are not kept: they stand among other scores.

        Parameters
        ----------
        scoring
            In place of that of the recipe.
        name
            Name of the new recipe; that of the old one if None.

        Returns
        -------
        Detector
            A new one; the models' parameters are shared.

        Raises
        ------
        ParameterError
            If the detector is not fitted, if the training depends on what changes (`holdout_fraction`, `holdout_clips`;
            for a network `combine` to or from `select`), or if the detector's file is older than this method.
        RecipeError
            If `scoring` asks for a score that the models do not give.

        Examples
        --------
        >>> scoring = detector.recipe.replace(scoring__false_alarm_rate=0.01).scoring  # doctest: +SKIP
        >>> careful = detector.rescored(scoring)  # doctest: +SKIP
        """
        return self._with(self._fitted().rescored(scoring, name=name or self.recipe.name))

    def standardised(self, scores: ScoreTable) -> dict[str, np.ndarray]:
        """Return the raw scores of a table that `score` has given in deviations from the mean of their ID.

        Parameters
        ----------
        scores
            Each row is standardised for the ID in its column `scored_as`.

        Returns
        -------
        dict
            For each raw score ``(rows,)`` float64; NaN for recordings that could not be scored.

        Raises
        ------
        ParameterError
            If the detector is not fitted.
        ArrayError
            If the table lacks a score or names an ID that the detector does not know.
        """
        fusion = self._fitted().fusion
        rows = np.flatnonzero([name is not None for name in scores.scored_as])
        ids = [str(scores.scored_as[row]) for row in rows]
        z = fusion.standardised({name: scores.scores(name)[rows] for name in fusion.score_names}, ids)
        full = {name: np.full(len(scores), np.nan) for name in z}
        for name, values in z.items():
            full[name][rows] = values
        return full

    def embeddings(
        self,
        recordings: Recordings,
        *,
        sample_rate: int | None = None,
        device: str = "auto",
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
    ) -> np.ndarray:
        """Return the embeddings ``(recordings, dim)`` float64 of recordings as `score` takes them.

        They are the network's, or the vectors that `knn` compares.

        A recording that `score` cuts into windows has the mean of their embeddings, and is not in memory as a whole.

        Parameters
        ----------
        recordings, sample_rate, device, max_seconds, num_threads
            As for `score`; row i is recording i.

        Raises
        ------
        ParameterError
            If the recipe has neither of them.
        DeviceError
            If the device is not there.
        AudioError, ArrayError, OSError
            If a recording cannot be read, or has no log-Mel.
        """
        kind = self._embedding_kind()
        if kind is None:
            raise ParameterError(f"recipe {self.recipe.name!r} has no network, and so no embeddings")
        self._compute_on(device)
        model = cast(Any, self._fitted().models[kind.name])
        sums: dict[int, np.ndarray] = {}
        windows = Counter[int]()
        source = self._source(recordings, sample_rate=sample_rate, max_seconds=max_seconds)
        for chunk in source.chunks(num_threads=num_threads):
            for part, rows in chunk.attempt(
                lambda clips: model.embeddings(getattr(clips, kind.inputs), num_threads=num_threads)
            ):
                for position, row in zip(part.positions.tolist(), rows, strict=True):
                    sums[position] = sums.get(position, 0.0) + row
                    windows[position] += 1
            for position in sorted(chunk.errors):
                raise chunk.errors[position]
        return np.stack([sums[position] / windows[position] for position in sorted(sums)])

    @property
    def has_embeddings(self) -> bool:
        """Whether there is a network that `embeddings` takes them from."""
        return self._embedding_kind() is not None

    def _embedding_kind(self) -> ModelKind | None:
        models = self._fitted().models
        kinds = kinds_of(self.recipe)
        return next((kind for kind in kinds if hasattr(models[kind.name], "embeddings")), None)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one file: safetensors with JSON metadata, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._fitted().write(Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a detector that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        DetectorFileError
            If the file is no detector, is damaged, or comes from a newer version.
        MissingExtraError
            If it holds a network and torch is not installed.
        """
        state = Fitted.read(Path(path))
        detector = cls(state.recipe)
        detector._state = state
        return detector

    @property
    def fingerprint(self) -> str:
        """What stands for all that the detector is, as Parquet files of its scores name it: its file's checksum."""
        return self._fitted().fingerprint

    def describe(self) -> dict[str, Any]:
        """Return what the detector is, as plain data: recipe, IDs, scores, thresholds, provenance, history, notes."""
        return self._fitted().describe()

    def hears_as(self, other: DetectorBase) -> bool:
        """Say whether another detector hears the same of a recording, so that both can share what is read of it."""
        ours, theirs = self._fitted(), other._fitted()
        fine = {fitted.plan.fine for fitted in (ours, theirs)} - {()}
        return (
            len(fine) <= 1
            and ours.features == theirs.features
            and ours.clip_seconds == theirs.clip_seconds
            and sorted(self.machine_ids) == sorted(other.machine_ids)
        )

    def _source(
        self, recordings: Recordings, *, others: Sequence[DetectorBase] = (), **options: Any
    ) -> Source:
        """Return the source of recordings, measured for other detectors too, which hear the same of them."""
        fitted = self._fitted()
        plans = (each._fitted().plan for each in (self, *others))
        defaults: dict[str, Any] = {
            "features": fitted.features,
            "plan": functools.reduce(operator.or_, plans),
            "clip_seconds": fitted.clip_seconds,
            "keep_samples": any(needs_samples(each.recipe) for each in (self, *others)),
        }
        return Source.of(recordings, known_ids=self.machine_ids, **(defaults | options))

    def _compute_on(self, device: str, precision: ScoringPrecision = "float32") -> None:
        self._fitted().compute_on(device, precision)

    def _with(self, state: Fitted) -> Self:
        """Return a detector of another state, which is of this one's making."""
        detector = type(self)(state.recipe)
        detector._state, detector.unread = state, self.unread
        return detector

    def _fitted(self) -> Fitted:
        if self._state is None:
            raise ParameterError("detector: not fitted yet; call `fit` first, or `offkey.load` a saved one")
        return self._state
