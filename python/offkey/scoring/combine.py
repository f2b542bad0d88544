"""One score out of several, all standardised first (see `offkey.scoring.standardize`)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.arrays import finite_vector
from offkey.errors import ArrayError, ParameterError
from offkey.metrics import auc

__all__ = ["Selection", "combine", "oracle", "select", "subsets"]

Scores = Mapping[str, ArrayLike]


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which scores were chosen, by what, and how every subset did."""

    kind: Literal["select", "oracle"]
    """`select`: chosen without any test label. `oracle`: chosen by test labels, for comparison only."""
    chosen: tuple[str, ...]
    criterion: float
    """AUC of the chosen subset, mean over IDs; over several kinds of pseudo-anomalies the mean of each kind's."""
    criteria: Mapping[tuple[str, ...], float]
    """The same of every subset."""
    by_kind: Mapping[str, Mapping[tuple[str, ...], float]] = dataclasses.field(default_factory=dict)
    """The AUC of every subset for each kind of pseudo-anomalies, where there are kinds."""


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all non-empty subsets, small ones first, in the order of `names`.

    Examples
    --------
    >>> subsets(["a_out", "a_arc"])
    [('a_out',), ('a_arc',), ('a_out', 'a_arc')]
    """
    sizes = range(1, len(names) + 1)
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def combine(
    scores: Scores, chosen: Sequence[str], weights: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """Return the mean of the chosen standardised scores; one alone is returned as it is.

    Parameters
    ----------
    scores
        Arrays of one shape by name: ``(n,)``, or ``(n, ids)`` for scores against every ID.
    chosen
        Names of some of them.
    weights
        What each of these counts, from 0, some of them more; by default all count the same.

    Raises
    ------
    ParameterError
        If nothing is chosen, or a score that is not there.
    ArrayError
        If scores differ in shape or are not finite.
    """
    if not chosen or set(chosen) - set(scores):
        raise ParameterError(
            f"chosen = {tuple(chosen)}: expected one or more of {', '.join(scores) or 'no score at all'}"
        )
    arrays = [np.asarray(scores[name], dtype=np.float64) for name in chosen]
    for name, array in zip(chosen, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise ArrayError(f"{name}: shape {array.shape}; expected {arrays[0].shape} as {chosen[0]} has")
        finite_vector(array.ravel(), name)
    if (
        weights is None
    ):  # rounds otherwise than a mean with equal weights, and detectors' files hold such scores
        plain: NDArray[np.float64] = np.mean(arrays, axis=0)
        return plain
    weighted: NDArray[np.float64] = np.average(arrays, axis=0, weights=[weights[name] for name in chosen])
    return weighted


def select(
    normals: Scores,
    pseudo: Scores,
    *,
    ids: Sequence[str] | None = None,
    pseudo_ids: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
) -> Selection:
    """Choose the subset of scores that best separates held-out normals from pseudo-anomalies; no label is seen.

    Parameters
    ----------
    normals
        Standardised scores by name, each ``(n,)``: of held-out normal clips, against their own ID.
    pseudo
        The same scores, each ``(m,)``: of pseudo-anomalies (clips of other IDs or other machine types).
    ids, pseudo_ids
        The ID that each score is against. If given, the AUC is taken for each ID that has both, and averaged;
        else over all clips at once.
    kinds
        What each pseudo-anomaly is, such as another ID or another type. If given, every kind weighs the same, however
        many clips it has: the criterion is the mean of each kind's AUC. A kind none of whose clips is of an ID with
        normals is left out.

    Returns
    -------
    Selection
        Of subsets that do equally well, the one with the most scores: it leans on no single one.

    Raises
    ------
    ArrayError
        If lengths differ, scores are not finite, or no ID has both normals and pseudo-anomalies.
    ParameterError
        If the two sides have different scores, or only one side has IDs.
    """
    if set(normals) != set(pseudo) or not normals:
        raise ParameterError(
            f"pseudo: scores {', '.join(pseudo) or 'none'}; expected those of normals: {', '.join(normals)}"
        )
    if (ids is None) != (pseudo_ids is None):
        raise ParameterError("pseudo_ids: expected IDs for both normals and pseudo-anomalies, or for neither")
    both, labels = {}, np.array([], dtype=np.int8)
    for name in normals:
        parts = [finite_vector(normals[name], name), finite_vector(pseudo[name], f"pseudo {name}")]
        both[name] = np.concatenate(parts)
        labels = np.repeat(np.array([0, 1], dtype=np.int8), [len(part) for part in parts])
    machine_ids = None if ids is None or pseudo_ids is None else [*ids, *pseudo_ids]
    groups = _groups(labels, machine_ids)
    if kinds is None:
        return _best("select", both, labels, {"": groups})
    anomalies = int(labels.sum())
    if len(kinds) != anomalies:
        raise ArrayError(f"kinds: {len(kinds)} for {anomalies} pseudo-anomalies; expected one for each")
    of_kind = np.array([""] * (len(labels) - anomalies) + list(kinds), dtype=object)
    parts_of = {
        kind: [group & ((labels == 0) | (of_kind == kind)) for group in groups] for kind in sorted(set(kinds))
    }
    return _best("select", both, labels, parts_of)


def oracle(scores: Scores, labels: ArrayLike, *, ids: Sequence[str] | None = None) -> Selection:
    """Choose the subset of scores with the best AUC on labelled test clips: it peeks, and is for comparison only.

    Parameters
    ----------
    scores
        Standardised scores by name, each ``(n,)``.
    labels
        ``(n,)``: 1 anomaly, 0 normal.
    ids
        The machine ID of each clip. If given, the AUC is the mean over IDs that have both classes.

    Raises
    ------
    ArrayError
        If lengths differ, scores are not finite, or no ID has both classes.
    """
    vectors, truth = (
        {name: finite_vector(values, name) for name, values in scores.items()},
        np.asarray(labels),
    )
    return _best("oracle", vectors, truth, {"": _groups(truth, ids)})


def _groups(labels: NDArray[np.int8], ids: Sequence[str] | None) -> list[NDArray[np.bool_]]:
    """Return which clips each machine ID has, ``(clips,)`` each; all of them without IDs."""
    if ids is not None and len(ids) != len(labels):
        raise ArrayError(f"ids: {len(ids)} for {len(labels)} clips; expected one for each")
    names = np.array(["all"] * len(labels) if ids is None else list(ids), dtype=object)
    return [names == name for name in sorted(set(names))]


def _best(
    kind: Literal["select", "oracle"],
    scores: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.int8],
    parts: Mapping[str, Sequence[NDArray[np.bool_]]],
) -> Selection:
    """Return the subset with the highest mean over parts of the mean AUC over a part's groups."""
    two_sided = {name: [g for g in groups if len(set(labels[g])) == 2] for name, groups in parts.items()}
    two_sided = {name: groups for name, groups in two_sided.items() if groups}
    if not two_sided:
        raise ArrayError(
            f"{kind}: no machine ID has clips on both sides; expected normals and anomalies of one"
        )
    aucs: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in two_sided}
    for subset in subsets(list(scores)):
        z = combine(scores, subset)
        if len(z) != len(labels):
            raise ArrayError(f"labels: {len(labels)} for {len(z)} scores; expected one for each")
        for name, groups in two_sided.items():
            aucs[name][subset] = float(np.mean([auc(labels[group], z[group]) for group in groups]))
    criteria = {
        subset: float(np.mean([of_part[subset] for of_part in aucs.values()]))
        for subset in subsets(list(scores))
    }
    chosen = max(criteria, key=lambda subset: (criteria[subset], len(subset)))
    return Selection(kind, chosen, criteria[chosen], criteria, {name: a for name, a in aucs.items() if name})
