"""Which clips are trained with, and which are kept out."""

from __future__ import annotations

import dataclasses

import numpy as np

from offkey.recipe import Recipe
from offkey.training.data import TrainingClips
from offkey.training.sampling import derived_seed, holdout

__all__ = ["Split"]

_OTHERS_HELD_OUT = 8  # first part of the key of a random stream


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Positions of clips, ``(n,)`` int64 each; other types are counted on from the target type's clips."""

    train: np.ndarray
    held_out: np.ndarray
    others: np.ndarray
    others_held_out: np.ndarray
    """Only for the combination `select`, which needs pseudo-anomalies that were not trained with."""

    @classmethod
    def of(cls, clips: TrainingClips, recipe: Recipe, *, seed: int) -> Split:
        """Keep a part of each ID's clips out of training, and for `select` the same part of each other type's."""
        fraction = recipe.scoring.holdout_fraction
        kept, held_out = holdout(clips.machine_ids, clips.groups, fraction=fraction, seed=seed)
        others, others_held_out = holdout(
            clips.other_types,
            clips.other_groups,
            fraction=fraction if recipe.scoring.combine == "select" else 0.0,
            seed=derived_seed(seed, _OTHERS_HELD_OUT),
        )
        first = len(clips.clips)
        return cls(
            train=kept, held_out=held_out, others=first + others, others_held_out=first + others_held_out
        )
