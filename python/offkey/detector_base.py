"""What a detector is, whatever it is used for: its recipe, what it knows, and its file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from offkey.datasets.recordings import Recordings
from offkey.datasets.source import Source
from offkey.errors import ParameterError
from offkey.fitted import Fitted
from offkey.history import Event
from offkey.models.base import check_device
from offkey.recipe import Recipe
from offkey.scoring.confirmed import Confirmed

__all__ = ["DetectorBase"]


class DetectorBase:
    """The part of `offkey.Detector` that neither learns nor scores."""

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

    def describe(self) -> dict[str, Any]:
        """Return what the detector is, as plain data: recipe, IDs, scores, thresholds, provenance, history, notes."""
        return self._fitted().describe()

    def _source(self, recordings: Recordings, **options: Any) -> Source:
        return Source.of(recordings, features=self._fitted().features, known_ids=self.machine_ids, **options)

    def _use_device(self, device: str) -> None:
        check_device(device)
        for model in self._fitted().models.values():
            model.use_device(device)

    def _with(self, state: Fitted) -> Self:
        """Return a detector of another state, which is of this one's making."""
        detector = type(self)(state.recipe)
        detector._state, detector.unread = state, self.unread
        return detector

    def _fitted(self) -> Fitted:
        if self._state is None:
            raise ParameterError("detector: not fitted yet; call `fit` first, or `offkey.load` a saved one")
        return self._state
