"""Alarms of machines: the p-values of each, in the order of time, become evidence."""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from offkey._util.parameters import integer
from offkey.errors import DatasetError, ParameterError
from offkey.monitoring.bets import bets_on
from offkey.monitoring.evidence import evidence, recordings_to_alarm
from offkey.monitoring.result import Alarm, MachineTrend, Trends
from offkey.monitoring.times import Times, times_of_names
from offkey.scores import ScoreTable

__all__ = ["RUN_LENGTH", "check_scores", "trend"]

RUN_LENGTH = 8760.0
"""A year, at a recording every hour."""
_LONGEST = 1e12  # recordings
_MOST_CLIPS = 10**9
_ADVICE = "score the recordings again with a detector that gives p-values (`offkey score`, `Detector.score`)"


def trend(
    scores: ScoreTable,
    *,
    times: Times | None = None,
    run_length: float = RUN_LENGTH,
    delta: float = 0.05,
    calibration_clips: int | None = None,
) -> Trends:
    """Turn each machine's p-values, in the order of time, into alarms of the machine.

    Parameters
    ----------
    scores
        Scores of recordings with their p-values, as `Detector.score` gives them. Recordings of one machine ID are those
        of one machine, and so are all without one. Windows of a recording (`start_s`) stand in time within it.
    times
        When they were made (`offkey.monitoring.times_of_names` and its kin); by default as the names say.
    run_length
        While a machine is healthy, an alarm takes this many recordings or more, on average. Above 1, at most 1e12.
    delta
        In (0, 1): that holds for at least a part 1 - delta of calibration sets; see docs/trend.md.
    calibration_clips
        How many clips the p-values come from, where the table does not say.

    Raises
    ------
    DatasetError
        If the table has no p-values, fewer than two, a recording twice, or scores of different detectors for one ID, or
        a name has no time.
    ParameterError
        If a parameter is out of its range, or `calibration_clips` is missing, or given though the table has them.

    Examples
    --------
    >>> days = [f"fan_2026-05-{day:02}.wav" for day in range(1, 31)]
    >>> p_values = [0.5] * 20 + [1 / 61] * 10  # the last ten sound odder than all 60 calibration clips
    >>> scores = ScoreTable(path=days, p_value=p_values, calibration_clips=[60] * 30)
    >>> (alarm,) = trend(scores).machines[0].alarms
    >>> print(alarm.since.astype("datetime64[D]"), alarm.at.astype("datetime64[D]"), alarm.until)
    2026-05-21 2026-05-25 None
    """
    run_length = _recordings(run_length)
    delta = _part("delta", delta)
    if times is None:
        times = times_of_names(scores.path)
    if len(times.values) != len(scores):
        raise ParameterError(
            f"times = {len(times.values)} times: expected {len(scores)}, one for each recording"
        )
    check_scores(scores)
    clips = _clips(scores, calibration_clips)
    starts = np.nan_to_num(scores.start_s)
    moments = times.values.astype("datetime64[us]") + np.round(starts * 1e6).astype("timedelta64[us]")
    machines = tuple(
        _machine(scores, rows, moments, clips, run_length=run_length, delta=delta)
        for rows in _machines(scores)
    )
    return Trends(run_length=run_length, delta=delta, times=times.source, machines=machines)


def _machines(scores: ScoreTable) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each machine."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(scores.machine_type, scores.machine_id, strict=True)):
        rows.setdefault((key[0] or "", key[1] or ""), []).append(row)
    for key in sorted(rows):
        yield np.array(rows[key], dtype=np.int64)


def _machine(
    scores: ScoreTable,
    rows: NDArray[np.int64],
    moments: NDArray[np.datetime64],
    clips: NDArray[np.int64],
    *,
    run_length: float,
    delta: float,
) -> MachineTrend:
    judged = rows[~np.isnan(scores.p_value[rows])]
    judged = judged[np.argsort(moments[judged], kind="stable")]
    _check_detector(scores, judged)
    counts = sorted(set(clips[judged].tolist()))
    paid = np.empty((0, 0))
    for count in counts:
        mine = clips[judged] == count
        part = bets_on(count, delta / len(counts)).paid(scores.p_value[judged[mine]])
        if paid.size == 0:
            paid = np.empty((len(part), len(judged)))
        paid[:, mine] = part
    values, raised = evidence(paid, run_length) if len(judged) else (np.empty(0), ())
    alarms = tuple(
        Alarm(
            since=moments[judged[one.since]],
            at=moments[judged[one.at]],
            until=None if one.until is None else moments[judged[one.until]],
            path=str(scores.path[judged[one.at]]),
        )
        for one in raised
    )
    return MachineTrend(
        machine_type=scores.machine_type[rows[0]],
        machine_id=scores.machine_id[rows[0]],
        rows=judged,
        times=moments[judged],
        scores=scores.anomaly_score[judged],
        thresholds=scores.threshold[judged],
        p_values=scores.p_value[judged],
        evidence=values,
        alarms=alarms,
        missing=len(rows) - len(judged),
        calibration_clips=tuple(counts),
        calibration=tuple(sorted({scores.calibration[row] or "own" for row in judged.tolist()})),
        worst_of_windows=_worst_of_windows(scores, judged),
        soonest=recordings_to_alarm(max(counts), delta / len(counts), run_length) if counts else None,
    )


def _worst_of_windows(scores: ScoreTable, rows: NDArray[np.int64]) -> int:
    """Return how many rows are a long recording's worst window: rows of windows that stand alone."""
    windows = Counter(scores.path[row] for row in rows.tolist() if not math.isnan(scores.start_s[row]))
    return sum(count == 1 for count in windows.values())


def check_scores(scores: ScoreTable) -> None:
    """Refuse a table that no trend can be made of.

    Raises
    ------
    DatasetError
        If it has no p-values, only some, fewer than two, or a recording twice.
    """
    judged = ~np.isnan(scores.p_value)
    if not judged.any():
        raise DatasetError(f"the {len(scores)} rows have no p-values (column 'p_value'); {_ADVICE}")
    without = np.flatnonzero(~judged & ~np.isnan(scores.anomaly_score))
    if without.size:
        row = int(without[0])
        raise DatasetError(
            f"row {row}: {scores.path[row]}: a score, but no p-value, where others have one; {_ADVICE}"
        )
    if np.count_nonzero(judged) < 2:
        raise DatasetError(
            "1 recording has a p-value; expected several of a machine, made one after the other"
        )
    places: dict[tuple[str, float], int] = {}
    starts = np.nan_to_num(scores.start_s, nan=-1.0).tolist()
    for row, place in enumerate(zip(map(str, scores.path), starts, strict=True)):
        if places.setdefault(place, row) != row:
            raise DatasetError(
                f"rows {places[place]} and {row}: {place[0]}: the same recording twice; expected each once, or it "
                "would count twice as evidence"
            )


def _check_detector(scores: ScoreTable, rows: NDArray[np.int64]) -> None:
    """Refuse thresholds, or numbers of calibration clips, of which one detector has but one for an ID."""
    first: dict[tuple[str, str | None], tuple[float, int]] = {}
    for row in rows.tolist():
        kind = scores.calibration[row]
        told = [("calibration clips", float(scores.calibration_clips[row]))]
        if np.isnan(scores.start_s[row]):  # of the worst of several windows it is that of a smaller rate
            told.append(("a threshold", float(scores.threshold[row])))
        for name, value in told:
            if math.isnan(value):
                continue
            other, there = first.setdefault((name, kind), (value, row))
            if other != value:
                raise DatasetError(
                    f"rows {there} and {row}: machine ID {scores.machine_id[row] or 'not given'} has {name} "
                    f"{other:.6g} and {value:.6g}: scores of different detectors, or for different false-alarm rates; "
                    "score all recordings with one detector and rate"
                )


def _clips(scores: ScoreTable, told: int | None) -> NDArray[np.int64]:
    """Return how many clips each p-value comes from; 0 where there is none."""
    clips = np.where(np.isnan(scores.p_value), 0.0, scores.calibration_clips)
    missing = np.flatnonzero(np.isnan(clips))
    if told is None:
        if missing.size:
            raise ParameterError(
                f"row {missing[0]}: {scores.path[missing[0]]}: the table does not say from how many clips the p-value "
                "comes (column 'calibration_clips'): give calibration_clips"
            )
    elif not missing.size:
        raise ParameterError(
            f"calibration_clips = {told}: the table has the column, which counts; leave it out"
        )
    else:
        clips[missing] = integer("calibration_clips", told, 1, _MOST_CLIPS)
    return clips.astype(np.int64)


def _recordings(value: object) -> float:
    number = float(value) if isinstance(value, numbers.Real) else math.nan
    if not 1 < number <= _LONGEST:
        raise ParameterError(
            f"run_length = {value!r}: expected a number of recordings above 1, at most {_LONGEST:g}"
        )
    return number


def _part(name: str, value: object) -> float:
    number = float(value) if isinstance(value, numbers.Real) else math.nan
    if not 0 < number < 1:
        raise ParameterError(f"{name} = {value!r}: expected a number above 0 and below 1")
    return number
