"""Which label, type and ID each scored recording has."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offkey.errors import DatasetError
from offkey.evaluation.matching import matched
from offkey.scores import ScoreTable

if TYPE_CHECKING:
    from offkey.datasets.clips import Clips
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from offkey.errors import ParameterError
from offkey.evaluation.result import Evaluation, IdResult, MeanResult, Protocol
from offkey.metrics import auc, check_max_fpr, interval, pauc, resampled_areas

__all__ = ["PROTOCOLS", "Evaluation", "Labelled", "evaluate", "harmonic_mean", "labelled", "some"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What is known of each row of a score table."""

    machine_types: Sequence[str | None]
    machine_ids: Sequence[str | None]
    labels: NDArray[np.int8]
    """``(rows,)``: 1 anomaly, 0 normal, -1 not known."""
    groups: Sequence[str]
    """The recording that each was cut from."""
    notes: tuple[str, ...] = ()
    """What a user should know of how rows and clips were matched."""


def labelled(scores: ScoreTable, test: Clips | None) -> Labelled:
    """Take labels, types and IDs from the test clips, matched by path (see `matching`), or from the table itself.

    Raises
    ------
    DatasetError
        If a recording occurs twice, has no counterpart on the other side, or another label there.
    """
    if len(set(scores.path)) < len(scores) and not np.isnan(scores.start_s).all():
        raise DatasetError(
            "scores: have a row for each window of a recording; expected one for each recording, that of its worst "
            "window, as `offkey score` gives without `--windows each`"
        )
    if test is None:
        _by_file([os.path.realpath(path) for path in scores.path], scores.path, "scores")
        return Labelled(
            machine_types=scores.machine_type,
            machine_ids=scores.machine_id,
            labels=scores.label,
            groups=[str(path) for path in scores.path],
        )
    files, note = matched(scores.path, test.paths)
    where = _by_file(files, scores.path, "scores")
    clips = _by_file([os.path.realpath(path) for path in test.paths], test.paths, "test clips")
    # a folder that could not be read has a row that says so, and is no clip
    _match({file: row for file, row in where.items() if file in clips or not scores.error[row]}, clips)
    rows = [test[clips[file]] if file in clips else None for file in where]
    labels = np.array(
        [-1 if clip is None or clip.label is None else clip.label for clip in rows], dtype=np.int8
    )
    differs = np.flatnonzero((labels >= 0) & (scores.label >= 0) & (labels != scores.label))
    if differs.size:
        names = some(scores.path[row] for row in differs)
        raise DatasetError(f"labels that do not match files: scores and test clips disagree on {names}")
    return Labelled(
        machine_types=[clip.machine_type if clip else None for clip in rows],
        machine_ids=[clip.machine_id if clip else None for clip in rows],
        labels=labels,
        groups=[clip.group if clip else file for clip, file in zip(rows, where, strict=True)],
        notes=() if note is None else (note,),
    )


def some(names: Iterable[object], *, limit: int = 5) -> str:
    """Return the first few names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def _by_file(files: Sequence[str], paths: Sequence[Path], what: str) -> dict[str, int]:
    """Return the row of each file, in the order of the rows; errors name its path."""
    rows: dict[str, int] = {}
    for row, (file, path) in enumerate(zip(files, paths, strict=True)):
        if rows.setdefault(file, row) != row:
            raise DatasetError(f"{what}: {path} occurs twice; expected each recording once")
    return rows


def _match(scores: dict[str, int], clips: dict[str, int]) -> None:
    without_label = [path for path in scores if path not in clips]
    without_score = [path for path in clips if path not in scores]
    problems = []
    if without_label:
        problems.append(
            f"{len(without_label)} scored files are not among the test clips: {some(without_label)}"
        )
    if without_score:
        problems.append(f"{len(without_score)} test clips have no row of scores: {some(without_score)}")
    if problems:
        raise DatasetError(f"labels that do not match files: {'; '.join(problems)}")


PROTOCOLS = {
    "dcase2020": Protocol(
        name="dcase2020",
        description="DCASE 2020 Task 2: AUC and pAUC of each machine ID, arithmetic means over IDs, then types",
        shows_pauc=True,
    ),
    "mimii": Protocol(
        name="mimii",
        description="MIMII: AUC of each machine ID, arithmetic means over IDs, then types",
        shows_pauc=False,
    ),
}
"""The protocols by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    max_fpr: float
    resamples: int
    confidence: float
    seed: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """An ID's result, and what means over IDs are made of."""

    row: IdResult
    normals: NDArray[np.float64]
    anomalies: NDArray[np.float64]
    resampled: NDArray[np.float64]
    """``(2, resamples)``: AUC and partial AUC of each bootstrap sample."""


def evaluate(
    scores: ScoreTable,
    test: Clips | None = None,
    *,
    protocol: Literal["dcase2020", "mimii"] = "dcase2020",
    max_fpr: float = 0.1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Measure how well each score of a table tells anomalies from normal clips.

    Parameters
    ----------
    scores
        Every score column that has a number is evaluated.
    test
        The test clips, which know labels, types and IDs; one row for each clip, matched by resolved path, or below a
        folder that was another one when they were scored (a note says so). None: the table's own columns are taken.
    protocol
        `dcase2020`: AUC and partial AUC of each machine ID; arithmetic means over IDs, then over types.
        `mimii`: the same, and tables show the AUC alone.
    max_fpr
        In (0, 1]: the partial AUC goes up to this false positive rate.
    resamples
        Bootstrap samples for the confidence intervals; 0 for none. Clips that were cut from one recording
        (`Clip.group`) are drawn together.
    confidence
        In (0, 1): of the intervals.
    seed
        The intervals are a function of it; the other figures do not depend on it.

    Returns
    -------
    Evaluation
        An ID whose clips are all normal or all anomalous has no AUC and is left out of the means, with a note.
        So are clips without a label, and clips without a score.

    Raises
    ------
    DatasetError
        If files and labels do not match, no clip has a label, or no score is there.
    ParameterError
        If an option is outside its range.

    Examples
    --------
    >>> table = ScoreTable(
    ...     path=["1.wav", "2.wav", "3.wav"], machine_type=["fan"] * 3, machine_id=["00"] * 3,
    ...     anomaly_score=[0.1, 0.7, 0.4], label=[0, 1, 0],
    ... )
    >>> evaluate(table).overall[0].auc
    1.0
    """
    if protocol not in PROTOCOLS:
        raise ParameterError(f"protocol = {protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    check_max_fpr(max_fpr)
    interval(np.empty(0), confidence)
    if resamples < 0 or seed < 0:
        raise ParameterError(f"resamples = {resamples}, seed = {seed}: expected numbers of at least 0")
    truth = labelled(scores, test)
    if not (truth.labels >= 0).any():
        raise DatasetError(
            f"labels: none of {len(scores)} recordings has one; give the test clips, or a table with labels"
        )
    if not scores.score_names:
        raise DatasetError(
            f"scores: none of {len(scores)} recordings has one; expected a column such as a_out"
        )
    plan = _Plan(max_fpr, resamples, confidence, seed)
    measured = [m for name in scores.score_names for m in _measure(scores, truth, name, plan)]
    types = [mean for name in scores.score_names for mean in _type_means(measured, name, plan)]
    overall = [mean for name in scores.score_names for mean in _overall(measured, types, name, plan)]
    return Evaluation(
        protocol=PROTOCOLS[protocol],
        max_fpr=max_fpr,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        ids=tuple(m.row for m in measured),
        types=tuple(types),
        overall=tuple(overall),
        notes=tuple(_notes(scores, truth, [m.row for m in measured])),
    )


def harmonic_mean(values: Sequence[float]) -> float:
    """Return the harmonic mean of non-negative numbers; 0 if one of them is 0.

    Examples
    --------
    >>> harmonic_mean([0.5, 1.0])
    0.6666666666666666
    """
    return 0.0 if min(values) == 0 else len(values) / sum(1.0 / value for value in values)


def _machines(truth: Labelled) -> Iterator[tuple[str | None, str | None, NDArray[np.bool_]]]:
    """Yield each type and ID that has a labelled clip, sorted, unknown ones last, and its labelled rows."""
    pairs = list(zip(truth.machine_types, truth.machine_ids, strict=True))
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    for row in np.flatnonzero(truth.labels >= 0).tolist():
        rows.setdefault(pairs[row], []).append(row)
    for kind, name in sorted(rows, key=lambda pair: [(part is None, part or "") for part in pair]):
        mask = np.zeros(len(pairs), dtype=np.bool_)
        mask[rows[kind, name]] = True
        yield kind, name, mask


def _measure(scores: ScoreTable, truth: Labelled, name: str, plan: _Plan) -> Iterator[_Measured]:
    column, numbers = scores.scores(name), {group: i for i, group in enumerate(dict.fromkeys(truth.groups))}
    recordings = np.array([numbers[group] for group in truth.groups], dtype=np.int64)
    for machine_type, machine_id, mine in _machines(truth):
        there = mine & ~np.isnan(column)
        normals, anomalies = column[there & (truth.labels == 0)], column[there & (truth.labels == 1)]
        both = bool(len(normals) and len(anomalies))
        resampled = np.empty((2, 0))
        labels = truth.labels[there]
        if both:
            # The same draws for every score of an ID, whatever other IDs there are.
            key = (plan.seed, zlib.crc32(repr((machine_type, machine_id)).encode("utf-8", "surrogatepass")))
            resampled = resampled_areas(
                normals,
                anomalies,
                resamples=plan.resamples,
                key=key,
                max_fpr=plan.max_fpr,
                recordings=(recordings[there & (truth.labels == 0)], recordings[there & (truth.labels == 1)]),
            )
        decided = there & (scores.decision >= 0) & (name == "anomaly_score")
        row = IdResult(
            machine_type=machine_type,
            machine_id=machine_id,
            score=name,
            normals=len(normals),
            anomalies=len(anomalies),
            missing=int((mine & ~there).sum()),
            auc=auc(labels, column[there]) if both else None,
            pauc=pauc(labels, column[there], max_fpr=plan.max_fpr) if both else None,
            auc_interval=interval(resampled[0], plan.confidence),
            pauc_interval=interval(resampled[1], plan.confidence),
            false_alarm_rate=_rate(scores.decision[decided & (truth.labels == 0)]),
            detection_rate=_rate(scores.decision[decided & (truth.labels == 1)]),
        )
        yield _Measured(row, normals, anomalies, resampled)


def _rate(decisions: NDArray[np.int8]) -> float | None:
    return float(decisions.mean()) if len(decisions) else None


def _type_means(measured: Sequence[_Measured], name: str, plan: _Plan) -> Iterator[MeanResult]:
    for kind in dict.fromkeys(m.row.machine_type for m in measured):
        mine = [m for m in measured if m.row.score == name and m.row.machine_type == kind]
        ids = [m for m in mine if m.row.auc is not None]
        if not ids:
            continue
        normals, anomalies = (np.concatenate([getattr(m, c) for m in mine]) for c in ("normals", "anomalies"))
        labels = np.repeat([0, 1], [len(normals), len(anomalies)])
        pooled = np.concatenate([normals, anomalies])
        yield dataclasses.replace(
            _mean(ids, [ids], name, plan),
            machine_type=kind,
            pooled_auc=auc(labels, pooled),
            pooled_pauc=pauc(labels, pooled, max_fpr=plan.max_fpr),
        )


def _overall(
    measured: Sequence[_Measured], types: Sequence[MeanResult], name: str, plan: _Plan
) -> Iterator[MeanResult]:
    ids = [m for m in measured if m.row.score == name and m.row.auc is not None]
    kinds = [mean.machine_type for mean in types if mean.score == name]
    if kinds:
        groups = [[m for m in ids if m.row.machine_type == kind] for kind in kinds]
        yield _mean(ids, groups, name, plan)


def _mean(
    ids: Sequence[_Measured], groups: Sequence[Sequence[_Measured]], name: str, plan: _Plan
) -> MeanResult:
    """Average first within each group of IDs, then over groups."""
    aucs = [m.row.auc for m in ids if m.row.auc is not None]
    paucs = [m.row.pauc for m in ids if m.row.pauc is not None]
    resampled = np.mean([np.mean([m.resampled for m in group], axis=0) for group in groups], axis=0)
    worst = ids[int(np.argmin(aucs))].row

    def mean(field: str) -> float:
        return float(np.mean([np.mean([getattr(m.row, field) for m in group]) for group in groups]))

    return MeanResult(
        machine_type=None,
        score=name,
        machine_ids=len(ids),
        auc=mean("auc"),
        pauc=mean("pauc"),
        auc_interval=interval(resampled[0], plan.confidence),
        pauc_interval=interval(resampled[1], plan.confidence),
        harmonic_auc=harmonic_mean(aucs),
        harmonic_pauc=harmonic_mean(paucs),
        worst_id=_name(worst.machine_type, worst.machine_id),
        worst_auc=min(aucs),
        pooled_auc=None,
        pooled_pauc=None,
    )


def _name(machine_type: str | None, machine_id: str | None) -> str:
    return f"{machine_type or '?'}/{machine_id or '?'}"


def _notes(scores: ScoreTable, truth: Labelled, rows: Sequence[IdResult]) -> Iterator[str]:
    """Say how rows and clips were matched, and what was left out."""
    yield from truth.notes
    unlabelled = [path for path, label in zip(scores.path, truth.labels, strict=True) if label < 0]
    if unlabelled:
        yield f"{len(unlabelled)} recordings without a label left out: {some(unlabelled, limit=3)}"
    failed = [path for path, text in zip(scores.path, scores.error, strict=True) if text]
    if failed:
        yield f"{len(failed)} recordings could not be scored: {some(failed, limit=3)}"
    explained = set()
    for row in rows:
        name = _name(row.machine_type, row.machine_id)
        if row.missing and row.normals + row.anomalies:
            yield f"{name}, {row.score}: {row.missing} labelled clips without a score left out"
        if row.auc is None and name not in explained:
            explained.add(name)
            yield _why_no_auc(name, row)


def _why_no_auc(name: str, row: IdResult) -> str:
    if row.normals + row.anomalies == 0:
        return f"{name}: none of {row.missing} labelled clips has {row.score}: no AUC, left out of the means"
    kind = "normal" if row.normals else "anomalous"
    return f"{name}: all {row.normals + row.anomalies} clips are {kind}: no AUC, left out of the means"
