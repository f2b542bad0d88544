"""What a fitted model keeps of every clip that it was fitted to, so that it can take further ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from offkey.errors import DetectorFileError

__all__ = ["LearnedTable"]


@dataclasses.dataclass(frozen=True, slots=True)
class LearnedTable:
    """IDs, weights and recordings of the training clips, ``(clips,)`` each."""

    ids: np.ndarray
    """int64: positions of their IDs."""
    weights: np.ndarray
    """float64 above 0: what each counts."""
    units: np.ndarray
    """int64: clips with the same one are held out together."""

    def extended(self, ids: np.ndarray, groups: Sequence[str]) -> Self:
        """Return the table with further clips, each of which counts in full, those of one group as one unit."""
        units = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
        return dataclasses.replace(
            self,
            ids=np.concatenate([self.ids, ids]),
            weights=np.concatenate([self.weights, np.ones(len(ids))]),
            units=np.concatenate([self.units, self.units.max() + 1 + units]),
        )

    def weight_of_ids(self, n_ids: int) -> np.ndarray:
        """Return the sum of the weights of each ID's clips, ``(ids,)``."""
        return np.bincount(self.ids, weights=self.weights, minlength=n_ids)

    def clips_of_ids(self, n_ids: int) -> np.ndarray:
        """Return how many clips each ID has, ``(ids,)``."""
        return np.bincount(self.ids, minlength=n_ids)

    def whole(self, indices: np.ndarray) -> np.ndarray:
        """Return the mask of those `indices` whose whole unit is among them."""
        given = np.isin(np.arange(len(self.ids)), indices)
        broken = np.unique(self.units[~given])
        mask: np.ndarray = ~np.isin(self.units[indices], broken)
        return mask

    def state(self) -> dict[str, np.ndarray]:
        """Return arrays: all that `from_state` needs."""
        return {"ids": self.ids, "weights": self.weights, "units": self.units}

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, np.ndarray], *, n_ids: int, indices: np.ndarray, ids: np.ndarray
    ) -> Self | None:
        """Restore what `state` gave; None for files that do not have it.

        Parameters
        ----------
        n_ids
            How many IDs there are.
        indices, ids
            Positions of the clips that have a calibration score, and of their IDs.

        Raises
        ------
        DetectorFileError
            If the arrays do not fit each other or the rest.
        """
        if not arrays:
            return None
        table = cls(arrays["ids"], arrays["weights"], arrays["units"])
        clips = len(table.ids)
        shapes = {array.shape for array in table.state().values()}
        sound = (
            shapes == {(clips,)}
            and table.ids.dtype == table.units.dtype == np.int64
            and np.array_equal(np.unique(table.ids), np.arange(n_ids))
            and ((table.weights > 0) & (table.weights <= 1)).all()
            and np.isin(table.units, np.arange(clips)).all()
            and np.isin(indices, np.arange(clips)).all()
            and np.array_equal(table.ids[indices], ids)
        )
        if not sound:
            raise DetectorFileError(
                f"spectral model: training clips of shapes {shapes}; expected the ID, weight and recording of each of "
                f"{clips} clips of {n_ids} IDs"
            )
        return table
