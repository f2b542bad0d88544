"""The normal clips that networks are trained on: their log-Mels, and what is measured of them as wholes."""

from __future__ import annotations

import numpy as np

from offkey.datasets.training import TrainingClips
from offkey.errors import DatasetError
from offkey.models.near.features import FEATURES, ClipFeatures, varying_features
from offkey.models.near.gate import Plan
from offkey.models.near.member import ClipInputs
from offkey.models.network.batches import KeptLogMels, crop, source_of
from offkey.models.network.sampling import derived_seed
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.weights import clip_weights
from offkey.recipe import Recipe
from offkey.signal.statistics import ClipStatistics, FrameMoments

__all__ = ["LARGEST_GAIN", "NormalClips"]

_CROPS = 11  # first part of the key of a random stream
_CHUNK = 64  # clips
_SMALLEST_DEVIATION_DB = 1e-3
LARGEST_GAIN = 1 / _SMALLEST_DEVIATION_DB
"""What changes over time are multiplied by at most."""
_FEWEST = (
    8  # clips more than there are IDs; with fewer no part of a part would leave a covariance to estimate
)


class NormalClips:
    """Normal clips of the target type.

    Parameters
    ----------
    clips
        Of them all those of the target type.
    recipe
        Features.
    seed
        Every random choice follows from it.
    num_threads
        Threads of the kernels; all cores if None.

    Raises
    ------
    DatasetError
        If there are too few clips, or nothing varies over them.
    ArrayError
        If a clip is empty, not finite or of the wrong shape.
    """

    def __init__(self, clips: TrainingClips, recipe: Recipe, *, seed: int, num_threads: int | None) -> None:
        self.names = tuple(sorted(set(clips.machine_ids)))
        """The machine IDs."""
        self.ids = np.searchsorted(self.names, list(clips.machine_ids)).astype(np.int64)
        """``(clips,)`` positions in `names`."""
        self.groups = tuple(clips.groups)
        """The recording of each clip."""
        if len(self.ids) - len(self.names) < _FEWEST:
            raise DatasetError(
                f"{len(self.ids)} normal training clips of {len(self.names)} machine ID(s): expected at least "
                f"{len(self.names) + _FEWEST}, that is {_FEWEST} more than there are IDs; some dozens for each ID are "
                "advised"
            )
        self._seed = seed
        self._clips = KeptLogMels(source_of(clips, recipe, seed=seed, num_threads=num_threads))
        self.extract = ClipFeatures(recipe.features, num_threads=num_threads)
        """Makes the features of further clips."""
        blocks, moments = self._read()
        self.features = self.extract.sets(blocks, FEATURES)
        """Of each feature set ``(clips, blocks * n_mels)``."""
        self.varying = {
            name: varying_features(values, feature_set=name) for name, values in self.features.items()
        }
        """Of each feature set which features vary over clips, ``(blocks * n_mels,)`` bool."""
        self.levels = moments.mean
        """``(clips, n_mels)``: mean over time, in dB."""
        deviation = np.sqrt(moments.squares.sum(axis=0) / moments.frames.sum())
        self.dynamics_gain = np.divide(
            1.0, deviation, out=np.zeros_like(deviation), where=deviation >= _SMALLEST_DEVIATION_DB
        )
        """``(n_mels,)``: what a clip's changes over time are multiplied by; 0 where a bin never changes."""
        self.frames = int(np.median(moments.frames))
        """Of a clip as they usually are."""
        statistics = ClipStatistics(**{name: blocks[name] for name in ("mean", "lstd", "ldstd", "p5")})
        self.weights = clip_weights(StatisticsTable.checked(statistics), self.ids)
        """``(clips,)``: what each counts; less where it sounds unlike the rest."""

    def __len__(self) -> int:
        return len(self.ids)

    def _read(self) -> tuple[dict[str, np.ndarray], FrameMoments]:
        """Return the blocks of features ``(clips, n_mels)`` each, and the moments."""
        blocks: list[dict[str, np.ndarray]] = []
        moments: list[FrameMoments] = []
        for start in range(0, len(self.ids), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(self.ids)))
            logmels = self._clips.logmels(rows)
            blocks.append(self.extract.blocks(logmels))
            moments.append(FrameMoments.of(logmels))
        joined = {name: np.concatenate([part[name] for part in blocks]) for name in blocks[0]}
        return joined, FrameMoments.joined(moments)

    def logmels(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return whole clips ``(n_mels, frames)`` float32, in dB."""
        return self._clips.logmels(rows)

    def inputs(self, rows: np.ndarray, plan: Plan) -> ClipInputs:
        """Return whole clips as networks take them."""
        gain = self.dynamics_gain if plan.conformer else None
        return ClipInputs.of(self.logmels(rows), self.extract, plan.feature_sets, gain)

    def crops(self, rows: np.ndarray, *, frames: int, key: tuple[int, ...]) -> np.ndarray:
        """Return a random part of each clip, ``(clips, n_mels, frames)``; `key` says which."""
        return np.stack(
            [
                crop(logmel, frames, seed=derived_seed(self._seed, _CROPS, *key, place))
                for place, logmel in enumerate(self.logmels(rows))
            ]
        )

    def level_deviation_db(self, rows: np.ndarray) -> np.ndarray:
        """Return how much each bin's level varies over the clips of an ID, ``(n_mels,)`` in dB."""
        deviations, weights, ids = self.levels[rows], self.weights[rows], self.ids[rows]
        for i in np.unique(ids):
            own = ids == i
            deviations[own] -= np.average(deviations[own], axis=0, weights=weights[own])
        freedom = max(1.0, weights.sum() - len(np.unique(ids)))
        deviation: np.ndarray = np.sqrt(weights @ np.square(deviations) / freedom)
        return deviation
