"""From scored faults to the detector whose thresholds they exceed."""

from __future__ import annotations

import dataclasses

import numpy as np

from offkey.errors import ArrayError, DatasetError, ParameterError
from offkey.fitted import Fitted
from offkey.history import Event
from offkey.scores import ScoreTable
from offkey.scoring.confirmed import Confirmed

__all__ = ["check_max_rate", "confirmed"]

_MOST_NAMED = 5  # recordings that a note names
_DOUBLES = 1e-12  # of a p-value: 3 times 13/121 is not 39/121
_ROUNDING = 1e-6  # of a score, which another program may have written with fewer digits


def check_max_rate(fitted: Fitted, max_rate: float) -> float:
    """Return the largest false-alarm rate that confirmed anomalies may lead to, if it is one.

    Raises
    ------
    ParameterError
        If it is not between the detector's own rate and 1.
    """
    own = fitted.false_alarm_rate
    is_rate = isinstance(max_rate, int | float) and not isinstance(max_rate, bool)
    if not is_rate or not own <= max_rate < 1:
        raise ParameterError(
            f"max_false_alarm_rate = {max_rate!r}: expected a number below 1, and at least {own:g}, the rate of the "
            "detector's thresholds, which are never raised"
        )
    return float(max_rate)


def confirmed(fitted: Fitted, table: ScoreTable, *, max_rate: float) -> tuple[Fitted, tuple[str, ...]]:
    """Lower the thresholds of IDs below their confirmed anomalies.

    Parameters
    ----------
    fitted
        What gave the scores.
    table
        The confirmed anomalies.
    max_rate
        The largest share of healthy recordings that may exceed a threshold.

    Returns
    -------
    tuple
        The detector with these thresholds, and what a user should know: which anomalies stay below them, or are of
        unknown IDs, and which thresholds stay as they are.

    Raises
    ------
    DatasetError
        If a recording is labelled normal, or none has a score and a known ID.
    ParameterError
        If the detector has not given these scores.
    """
    by_id = _rows_by_id(fitted, table)
    _check_scores(fitted, table)
    before, lowered = fitted.thresholds(), dict(fitted.confirmed)
    for name, rows in by_id.items():
        below = Confirmed.below(
            fitted.fusion.null.of(name, rate=fitted.false_alarm_rate),
            table.anomaly_score[rows],
            table.p_value[rows],
            np.isnan(table.start_s[rows]),
            max_rate=max_rate,
        )
        if below.threshold < before[name]:
            lowered[name] = below
    after = dataclasses.replace(fitted, confirmed=lowered)
    thresholds = after.thresholds()
    event = Event.now(
        "confirm",
        clips={name: len(rows) for name, rows in by_id.items()},
        thresholds_before={name: before[name] for name in by_id},
        thresholds={name: thresholds[name] for name in by_id},
        false_alarm_rates={name: _rate_of(after, name) for name in by_id},
    )
    notes = [_missed(after, table, name, rows, max_rate) for name, rows in by_id.items()]
    for (name, rows), missed in zip(by_id.items(), list(notes), strict=True):
        if not missed and thresholds[name] == before[name]:
            notes.append(f"ID {name}: {_all_called(len(rows))}: its threshold stays at {before[name]:.6g}")
    notes += _left_out(table, sum(map(len, by_id.values())))
    history = (*fitted.history, event)
    return dataclasses.replace(after, history=history), tuple(filter(None, notes))


def _rows_by_id(fitted: Fitted, table: ScoreTable) -> dict[str, np.ndarray]:
    """Return where the anomalies of each known ID stand in the table."""
    for path, label in zip(table.path, table.label.tolist(), strict=True):
        if label == 0:
            raise DatasetError(f"{path}: labelled normal; expected recordings of confirmed anomalies")
    scored = ~np.isnan(table.anomaly_score)
    ids = np.array([name or "?" for name in table.machine_id], dtype=object)  # as `Fusion.apply` has them
    rows = {name: np.flatnonzero(scored & (ids == name)) for name in fitted.fusion.machine_ids}
    if not any(map(len, rows.values())):
        raise DatasetError(
            "no recording of a known ID could be scored; expected confirmed anomalies of ID "
            f"{', '.join(fitted.fusion.machine_ids)}"
        )
    return {name: at for name, at in rows.items() if len(at)}


def _left_out(table: ScoreTable, used: int) -> list[str]:
    """Say which recordings have no say in any threshold."""
    notes = []
    if failed := [text for text in table.error if text]:
        notes.append(f"{len(failed)} of the recordings could not be scored, the first: {failed[0]}")
    if unknown := np.count_nonzero(~np.isnan(table.anomaly_score)) - used:
        notes.append(
            f"{unknown} of the recordings are of an ID that the detector does not know, or of none: thresholds of "
            "recordings without a known ID stay as they are"
        )
    return notes


def _rate_of(fitted: Fitted, name: str) -> float:
    if name in fitted.confirmed:
        return fitted.confirmed[name].false_alarm_rate
    return fitted.false_alarm_rate


def _all_called(count: int) -> str:
    return "its confirmed anomaly exceeds it" if count == 1 else f"its {count} confirmed anomalies exceed it"


def _missed(fitted: Fitted, table: ScoreTable, name: str, rows: np.ndarray, max_rate: float) -> str:
    """Say which confirmed anomalies of an ID stay below its threshold; nothing where all exceed it."""
    threshold, rate = fitted.thresholds()[name], _rate_of(fitted, name)
    whole = np.isnan(table.start_s[rows])
    called = np.where(
        whole, table.anomaly_score[rows] > threshold, table.p_value[rows] <= rate * (1 + _DOUBLES)
    )
    missed = rows[~called]
    if not len(missed):
        return ""
    listed = ", ".join(
        f"{table.path[row]} ({table.anomaly_score[row]:.6g}, p-value {table.p_value[row]:.3g})"
        for row in missed[:_MOST_NAMED].tolist()
    )
    more = ", ..." * (len(missed) > _MOST_NAMED)
    return (
        f"ID {name}: {len(missed)} of {len(rows)} confirmed anomalies stay below the threshold {threshold:.6g}, which "
        f"may go no lower at max_false_alarm_rate = {max_rate:g}: {listed}{more}"
    )


def _check_scores(fitted: Fitted, table: ScoreTable) -> None:
    """Refuse scores of another detector: raw scores, standardised and combined by this one, give other numbers."""
    reason = ""
    rows = np.flatnonzero(~np.isnan(table.anomaly_score))
    fusion = fitted.fusion
    try:
        names = [str(table.scored_as[row]) for row in rows]
        raw = {name: table.scores(name)[rows] for name in fusion.score_names}
        expected = fusion.combined(raw, names)
    except (ArrayError, ParameterError) as error:
        reason = str(error)
    else:
        if np.isnan(table.p_value[rows]).any():
            reason = "there are scores without a p-value"
        elif not np.allclose(table.anomaly_score[rows], expected, rtol=_ROUNDING, atol=_ROUNDING):
            reason = "it would combine the raw scores to other anomaly scores"
    if reason:
        raise ParameterError(
            f"the scores given are not of this detector: {reason}; score the recordings with it"
        )
