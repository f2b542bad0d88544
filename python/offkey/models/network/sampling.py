"""Which clips make up a step: balanced draws, and the part of the normals that training never sees.

Every draw is a function of (seed, step), not of a state, so that a resumed run draws what an uninterrupted
one does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError
from offkey.recipe import Recipe

__all__ = ["BalancedSampler", "Split", "Step", "by_label", "derived_seed", "epoch_steps", "holdout"]

_PERMUTATION, _HOLDOUT = 1, 2  # first parts of keys, so that the random streams of two purposes never meet


def derived_seed(seed: int, *key: int) -> int:
    """Return a seed within [0, 2**63) that is a function of `seed` and a key of non-negative integers."""
    return int(np.random.SeedSequence([seed, *key]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def by_label(labels: Sequence[str], indices: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each label, sorted, those of `indices` that have it, in their order."""
    positions: dict[str, list[int]] = {}
    for index in indices.tolist():
        positions.setdefault(labels[index], []).append(index)
    return {label: np.array(positions[label], dtype=np.int64) for label in sorted(positions)}


class BalancedSampler:
    """Draws the same number of clips of each class at every step.

    Where the classes do not divide the number of clips, the remainder rotates over them. Each class cycles
    through a permutation of its clips, a new one for each cycle, and goes on at the next step and epoch
    where it stopped.

    Parameters
    ----------
    classes : Mapping of str to ndarray
        The clips of each class, ``(clips of the class,)`` int64.
    per_step : int
        Clips drawn at each step, over all classes.
    seed : int
        Seed of the permutations.

    Raises
    ------
    ArrayError
        If there is no class, or a class without clips.
    """

    def __init__(self, classes: Mapping[str, np.ndarray], *, per_step: int, seed: int) -> None:
        empty = [name for name, clips in classes.items() if not len(clips)]
        if not classes or empty:
            raise ArrayError(
                f"sampler: expected at least one clip of each class, given none of {empty or 'any'}"
            )
        self._clips = list(classes.values())
        self.per_step = per_step
        self._seed = seed
        self._permutations: dict[int, tuple[int, np.ndarray]] = {}

    def draw(self, step: int) -> np.ndarray:
        """Return the clips of a step, counted from 0 over the whole training: ``(per_step,)`` int64."""
        chosen = []
        for index, clips in enumerate(self._clips):
            for draw in range(self._drawn(index, step), self._drawn(index, step + 1)):
                cycle, position = divmod(draw, len(clips))
                chosen.append(self._permutation(index, cycle)[position])
        return np.array(chosen, dtype=np.int64)

    def _drawn(self, index: int, steps: int) -> int:
        """How many clips of a class the first steps draw: draw d is of class d modulo the number of them."""
        return (self.per_step * steps + len(self._clips) - 1 - index) // len(self._clips)

    def _permutation(self, index: int, cycle: int) -> np.ndarray:
        permutation = self._permutations.get(index)
        if permutation is None or permutation[0] != cycle:
            random = np.random.default_rng(derived_seed(self._seed, _PERMUTATION, index, cycle))
            permutation = (cycle, random.permutation(self._clips[index]))
            self._permutations[index] = permutation
        return permutation[1]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The clips of one step of the optimiser."""

    clips: np.ndarray
    """``(clips,)`` int64 positions, normals first."""
    occurrences: np.ndarray
    """``(clips,)`` int64: how often the clip came up in the epoch before."""


def epoch_steps(
    normals: BalancedSampler, others: BalancedSampler | None, *, epoch: int, steps: int
) -> Iterator[Step]:
    """Yield the steps of an epoch.

    Parameters
    ----------
    normals, others : BalancedSampler
        Where the target type's clips and the pseudo-anomalies come from; None: no pseudo-anomalies.
    epoch : int
        Counted from 0 over all stages.
    steps : int
        Steps of an epoch.
    """
    counts: dict[int, int] = {}
    for step in range(epoch * steps, (epoch + 1) * steps):
        drawn = [normals.draw(step)] + ([] if others is None else [others.draw(step)])
        clips = np.concatenate(drawn)
        occurrences = np.empty_like(clips)
        for position, clip in enumerate(clips.tolist()):
            occurrences[position] = counts.get(clip, 0)
            counts[clip] = counts.get(clip, 0) + 1
        yield Step(clips=clips, occurrences=occurrences)


_LARGEST_PART = 3  # a third of a label's clips: the network has to learn from the rest


def holdout(
    labels: Sequence[str], groups: Sequence[str], *, fraction: float, least: int = 0, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split clips into those to train on and those to keep out, recordings (groups) never split.

    Of each label, recordings are taken in seeded random order, one that would bring the clips taken above
    the number asked for (see `fraction`) being passed over; if all were, the smallest is taken. A recording
    with clips of several labels is taken for all of them. One recording of each label is always left to train
    on; so a label with a single recording keeps nothing out.

    Parameters
    ----------
    labels, groups : sequence of str
        Label and recording of each clip, ``n`` of each.
    fraction : float
        Part of each label's clips to keep out, rounded, at least 1; within [0, 1). 0: nothing.
    least : int
        As many clips are kept out where they are more than that, though never more than a third of the label's.
    seed : int
        Seed of the order.

    Returns
    -------
    train, held_out : ndarray
        Positions, ``(n_train,)`` and ``(n_held_out,)`` int64, each ascending.
    """
    classes = by_label(labels, np.arange(len(labels))) if fraction > 0 else {}
    recordings = {
        label: {name: len(own) for name, own in by_label(groups, clips).items()}
        for label, clips in classes.items()
    }
    left = {label: len(sizes) for label, sizes in recordings.items()}
    labels_of: dict[str, set[str]] = {}
    for label, name in zip(labels, groups, strict=True):
        labels_of.setdefault(name, set()).add(label)
    out: set[str] = set()

    def keep_out(name: str) -> bool:
        spared = all(left[label] > 1 for label in labels_of[name])
        if spared:
            out.add(name)
            left.update({label: left[label] - 1 for label in labels_of[name]})
        return spared

    for number, sizes in enumerate(recordings.values()):
        names = list(sizes)
        order = np.random.default_rng(derived_seed(seed, _HOLDOUT, number)).permutation(len(names)).tolist()
        clips = sum(sizes.values())
        wanted = max(1, math.floor(fraction * clips + 0.5), min(least, clips // _LARGEST_PART))
        taken = sum(size for name, size in sizes.items() if name in out)
        candidates = [names[i] for i in order if names[i] not in out]
        for name in candidates:
            if taken + sizes[name] <= wanted and keep_out(name):
                taken += sizes[name]
        if not taken:
            any(keep_out(name) for name in sorted(candidates, key=sizes.__getitem__))  # the first that can be
    kept_out = np.array([name in out for name in groups], dtype=bool)
    return np.flatnonzero(~kept_out), np.flatnonzero(kept_out)


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
        train, held_out = holdout(
            clips.machine_ids,
            clips.groups,
            fraction=fraction,
            least=recipe.scoring.holdout_clips,
            seed=seed,
        )
        others, others_held_out = holdout(
            clips.other_types,
            clips.other_groups,
            fraction=fraction if recipe.scoring.combine == "select" else 0.0,
            seed=derived_seed(seed, _OTHERS_HELD_OUT),
        )
        first = len(clips.clips)
        return cls(
            train=train, held_out=held_out, others=first + others, others_held_out=first + others_held_out
        )

    def notes(self, clips: TrainingClips) -> tuple[str, ...]:
        """Return what a user should know of it: of which IDs nothing could be held out."""
        divided = {clips.machine_ids[i] for i in self.held_out.tolist()}
        whole = sorted(set(clips.machine_ids) - divided)
        if not whole:
            return ()
        return (
            f"machine ID {', '.join(whole)}: one recording only, so nothing could be held out of training",
        )
