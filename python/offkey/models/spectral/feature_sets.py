"""What the closed-form model looks at: a clip's statistics over time, as matrices of features."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

from offkey.errors import ArrayError, DatasetError
from offkey.models.spectral import MOST_SPECTRA
from offkey.signal.statistics import ClipStatistics

__all__ = ["FEATURE_SETS", "FINE_SETS", "SMALLEST_DEVIATION", "Scale", "StatisticsTable", "statistic_of"]

FINE_SETS = tuple(f"F{number}" for number in range(1, MOST_SPECTRA + 1))
"""The means of each finer spectrogram."""
_FINE = "fine_mean"
FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "M": ("mean",),
    "A": ("mean", "ldstd"),
    "P": ("p5",),
    "L": ("mean", "lstd", "ldstd"),
    **{name: (f"{_FINE}_{name[1:]}",) for name in FINE_SETS},
    "T": ("rhythm",),
}
"""Name of a feature set -> the statistics it is made of, one block of bins each (docs/spectral.md)."""

_AT_MEL_BINS = ("mean", "lstd", "ldstd", "p5")
SMALLEST_DEVIATION = 1e-3
"""Of a feature over clips, in dB or of a logarithm; below it a bin carries the floor of the logarithm, not a sound."""


@dataclasses.dataclass(frozen=True, slots=True)
class StatisticsTable:
    """Checked statistics of some clips in float64, each ``(clips, bins)``."""

    columns: dict[str, np.ndarray]

    @classmethod
    def checked(
        cls, statistics: ClipStatistics, *, n_mels: int | None = None, fine_mels: Sequence[int] = ()
    ) -> Self:
        """Take the statistics of `offkey.signal.logmel` after a look at their shapes and values.

        `fine_mels` are the Mel bins of each finer spectrogram that is looked at; without any, `fine_mean` is left out.
        A clip that is too short for a rhythm has NaN in all of its row there, and keeps it.

        Raises
        ------
        ArrayError
            If they are no finite matrices, the four at Mel bins of one shape and the others of as many clips, or have
            another number of bins than `n_mels` or all `fine_mels` together.
        """
        columns: dict[str, np.ndarray] = {
            name: np.asarray(values)
            for name, values in statistics.arrays().items()
            if name != _FINE or fine_mels
        }
        shape = columns["mean"].shape
        for name, values in columns.items():
            expected = shape if name in _AT_MEL_BINS else (*shape[:1], *values.shape[1:])
            if values.ndim != 2 or values.shape != expected or values.shape[1] == 0:
                raise ArrayError(
                    f"statistics.{name}: expected (clips, {'n_mels' if name in _AT_MEL_BINS else 'bins'}) as the "
                    f"others have it, given {values.shape} where statistics.mean has {shape}"
                )
            if values.dtype.kind != "f":
                raise ArrayError(f"statistics.{name}: expected floats, given {values.dtype}")
            finite = np.isfinite(values)
            if name == "rhythm":
                finite |= np.isnan(values).all(axis=1, keepdims=True)
            if not finite.all():
                clip, mel = np.argwhere(~finite)[0]
                raise ArrayError(
                    f"statistics.{name}: clip {clip}, Mel bin {mel} is {values[clip, mel]}; expected finite "
                    "numbers; was the log-Mel computed from finite samples?"
                )
        if n_mels is not None and shape[1] != n_mels:
            raise ArrayError(
                f"statistics: given {shape[1]} Mel bins, expected {n_mels}, which the model was fitted with"
            )
        if _FINE in columns:
            columns |= _apart(columns.pop(_FINE), fine_mels)
        return cls({name: values.astype(np.float64) for name, values in columns.items()})

    def __len__(self) -> int:
        return len(self.columns["mean"])

    @property
    def n_mels(self) -> int:
        """How many Mel bins each statistic of the log-Mel has."""
        return int(self.columns["mean"].shape[1])

    def has(self, feature_set: str) -> bool:
        """Say whether the clips have all statistics that a feature set is made of."""
        return all(name in self.columns for name in FEATURE_SETS[feature_set])

    def unknown(self, feature_set: str) -> np.ndarray:
        """Return which clips are too short for a feature set, ``(clips,)`` bool."""
        columns = (self.columns[name] for name in FEATURE_SETS[feature_set])
        mask: np.ndarray = np.any([np.isnan(column[:, 0]) for column in columns], axis=0)
        return mask

    def take(self, rows: np.ndarray) -> StatisticsTable:
        """Return the clips at `rows`, a mask or positions."""
        return StatisticsTable({name: values[rows] for name, values in self.columns.items()})

    def shifted(self, *, level_db: np.ndarray, log_deviation: np.ndarray) -> StatisticsTable:
        """Return the table with ``(clips, n_mels)`` added to levels and to logarithms of deviations."""
        shifts = {"mean": level_db, "p5": level_db, "lstd": log_deviation, "ldstd": log_deviation}
        return StatisticsTable(self.columns | {name: self.columns[name] + shifts[name] for name in shifts})

    def features(self, feature_set: str) -> np.ndarray:
        """Return the blocks of a feature set side by side, ``(clips, blocks * bins)``.

        Raises
        ------
        ArrayError
            If the clips lack one.
        """
        if not self.has(feature_set):
            lacking = ", ".join(
                statistic_of(name) for name in FEATURE_SETS[feature_set] if name not in self.columns
            )
            raise ArrayError(
                f"statistics.{lacking}: given none, but the model was fitted with it; of log-Mels made elsewhere there "
                "is none: score recordings, or fit a detector to log-Mels"
            )
        return np.concatenate([self.columns[name] for name in FEATURE_SETS[feature_set]], axis=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """Centre and unit of each feature, and which features say anything at all."""

    feature_set: str
    varying: np.ndarray
    """``(blocks * n_mels,)`` bool: False where a feature does not vary over the clips."""
    center: np.ndarray
    """``(varying,)`` mean over clips."""
    unit: np.ndarray
    """``(varying,)`` standard deviation over clips."""

    @classmethod
    def fit(cls, features: np.ndarray, weights: np.ndarray, *, feature_set: str) -> Self:
        """Take mean and deviation of ``(clips, blocks * n_mels)`` features, weighted; flat ones are dropped.

        Raises
        ------
        DatasetError
            If every feature is flat.
        """
        shares = weights / weights.sum()
        center = shares @ features
        unit = np.sqrt(shares @ np.square(features - center))
        varying = unit >= SMALLEST_DEVIATION
        if not varying.any():
            raise DatasetError(
                f"feature set {feature_set} ({', '.join(FEATURE_SETS[feature_set])}): no Mel bin varies over "
                f"the {len(features)} training clips; are they all silent, or copies of one clip?"
            )
        return cls(feature_set, varying, center[varying], unit[varying])

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Return ``(clips, varying)`` features in units of their deviation, C-contiguous.

        Raises
        ------
        ArrayError
            If there are more or fewer than were fitted.
        """
        if features.shape[1] != len(self.varying):
            raise ArrayError(
                f"statistics of feature set {self.feature_set}: given {features.shape[1]} bins, expected "
                f"{len(self.varying)}, which the model was fitted with"
            )
        # Picking columns with a mask leaves Fortran order, in which the kernels take no array.
        return np.ascontiguousarray((features[:, self.varying] - self.center) / self.unit)

    def dropped(self) -> dict[str, str]:
        """Name the flat bins: statistic -> ranges such as ``0-2, 127``; empty if there are none."""
        names = FEATURE_SETS[self.feature_set]
        blocks = zip(names, self.varying.reshape(len(names), -1), strict=True)
        return {name: _ranges(np.flatnonzero(~mask)) for name, mask in blocks if not mask.all()}


def statistic_of(block: str) -> str:
    """Return the name in `ClipStatistics` of the statistic that a block of a feature set is all or part of."""
    return _FINE if block.startswith(_FINE) else block


def _apart(fine_mean: np.ndarray, fine_mels: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the columns of each finer spectrogram."""
    if fine_mean.shape[1] != sum(fine_mels):
        raise ArrayError(
            f"statistics.{_FINE}: given {fine_mean.shape[1]} bins, expected {' + '.join(map(str, fine_mels))}, those "
            "of the finer spectrograms of the recipe"
        )
    parts = np.split(fine_mean, np.cumsum(fine_mels)[:-1], axis=1)
    return {FEATURE_SETS[name][0]: part for name, part in zip(FINE_SETS, parts, strict=False)}


def _ranges(positions: np.ndarray) -> str:
    runs = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
