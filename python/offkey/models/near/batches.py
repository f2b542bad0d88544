"""The steps of a network's training: parts of normal clips, and beside each its near anomaly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offkey.errors import DatasetError
from offkey.models.near import Near
from offkey.models.near.clips import NormalClips
from offkey.models.near.deviations import Deviations, DeviationSets
from offkey.models.near.gate import Plan
from offkey.models.near.member import ClipInputs, dynamics_of
from offkey.models.near.net import ConformerPath
from offkey.models.network.sampling import derived_seed
from offkey.models.spectral.folds import make_folds
from offkey.signal.near_anomalies import near_anomalies

__all__ = ["Batch", "Batches", "deviation_sets"]

_DRAWS, _INNER_FOLDS = 12, 13  # first parts of keys of random streams
_INNER = 4  # folds


class Batch(NamedTuple):
    """The clips of a step: normal ones, then the near anomaly of each."""

    deviations: np.ndarray
    """``(clips, sum of sizes)`` float32."""
    dynamics: np.ndarray | None
    """``(clips, n_mels, frames)`` float32."""
    kinds: np.ndarray
    """``(clips / 2,)`` int64: of the near anomalies."""
    ids: np.ndarray
    """``(clips / 2,)`` int64: positions of the normal clips' IDs."""


def deviation_sets(clips: NormalClips, rows: np.ndarray, plan: Plan, settings: Near) -> DeviationSets:
    """Estimate the deviations of a plan's feature sets from the clips at `rows`."""
    sets = {
        name: Deviations.fit(
            clips.features[name][rows][:, clips.varying[name]],
            clips.ids[rows],
            clips.weights[rows],
            feature_set=name,
            n_ids=len(clips.names),
            varying=clips.varying[name],
            n_mels=len(clips.varying[name]) // blocks,
            ridge=settings.ridge,
            tau=settings.tau,
        )
        for name, blocks in plan.blocks.items()
    }
    return DeviationSets(sets, {name: clips.varying[name] for name in sets})


class Batches:
    """Makes the steps of one network; each is a function of (seed, network, step).

    A clip's deviations come from a fit that lacks its recording: of its own fit it would lie too near the mean.

    Parameters
    ----------
    clips
        All normal clips.
    trained
        ``(clips,)`` bool: those that the network is trained on.
    plan, settings
        What it looks at, and how large a step is.
    seed
        Every random choice follows from it.
    number
        Of the network, from 0.
    num_threads
        Threads of the kernels; the batches do not depend on it.
    """

    def __init__(
        self,
        clips: NormalClips,
        trained: np.ndarray,
        plan: Plan,
        settings: Near,
        *,
        seed: int,
        number: int,
        num_threads: int | None,
    ) -> None:
        self._clips, self._plan, self._settings = clips, plan, settings
        self._rows = rows = np.flatnonzero(trained)
        self.held_out = np.flatnonzero(~trained)
        """Positions of the clips that the network never sees."""
        self._seed, self._number, self._num_threads = seed, number, num_threads
        self.final = deviation_sets(clips, rows, plan, settings)
        """Estimated from all clips that the network is trained on: for clips that are not among them."""
        folds = make_folds(
            clips.ids[rows],
            [clips.groups[row] for row in rows.tolist()],
            names=clips.names,
            count=_INNER,
            seed=derived_seed(seed, _INNER_FOLDS, number),
        )
        self._fold = folds.fold
        self._by_fold = [self._without(fold) for fold in range(int(folds.fold.max()) + 1)]
        self._deviation_db = clips.level_deviation_db(rows).astype(np.float32)
        self._shares = clips.weights[rows] / clips.weights[rows].sum()

    def _without(self, fold: int) -> DeviationSets:
        try:
            return deviation_sets(self._clips, self._rows[self._fold != fold], self._plan, self._settings)
        except DatasetError:  # copies of one clip for each ID are left: nothing to measure by
            return self.final

    def step(self, step: int) -> Batch:
        """Return a step, from 0."""
        random = np.random.default_rng(derived_seed(self._seed, _DRAWS, self._number, step))
        places = random.choice(len(self._rows), size=self._settings.batch_size, p=self._shares)
        frames = max(
            ConformerPath.min_frames, round(random.uniform(*self._settings.crop) * self._clips.frames)
        )
        normals = self._clips.crops(self._rows[places], frames=frames, key=(self._number, step))
        anomalies, kinds = near_anomalies(
            normals,
            deviation_db=self._deviation_db,
            seeds=random.integers(1 << 62, size=len(normals)),
            kinds=self._plan.kinds,
            num_threads=self._num_threads,
        )
        both = np.concatenate([normals, anomalies])
        return Batch(
            deviations=self._deviations(both, np.tile(places, 2)),
            dynamics=dynamics_of(both, self._clips.dynamics_gain) if self._plan.conformer else None,
            kinds=kinds,
            ids=self._clips.ids[self._rows[places]],
        )

    def held_out_inputs(self) -> ClipInputs:
        """Return the held-out clips as networks take them."""
        return self._clips.inputs(self.held_out, self._plan)

    def _deviations(self, logmels: np.ndarray, places: np.ndarray) -> np.ndarray:
        features = self._clips.extract.of(logmels, self._plan.feature_sets)
        ids, fold = self._clips.ids[self._rows[places]], self._fold[places]
        deviations = np.empty((len(logmels), sum(self.final.sizes)), dtype=np.float32)
        for number, sets in enumerate(self._by_fold):
            known = sets.known[ids]
            for chosen, at in ((sets, (fold == number) & known), (self.final, (fold == number) & ~known)):
                if at.any():
                    deviations[at] = chosen.own({name: f[at] for name, f in features.items()}, ids[at])
        return deviations
