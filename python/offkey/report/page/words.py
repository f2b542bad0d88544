"""What a report says in plain English, before any table."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from offkey._util.words import shortlist
from offkey.evaluation.result import Evaluation, MeanResult
from offkey.report.page.machines import Machine, Tally
from offkey.score_file import ANOMALY_SCORE
from offkey.scoring.rarity import odds

__all__ = [
    "VERDICTS",
    "Figure",
    "counted",
    "duration",
    "figure",
    "key_figures",
    "part",
    "rarity",
    "shortened",
    "summary",
    "tally_words",
]

VERDICTS = {1: "sounds wrong", 0: "healthy", None: "undecided"}
_MOST_LETTERS = 600
_MOST_NAMED = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that stands out, and what it is."""

    value: str
    meaning: str


def counted(count: int, noun: str) -> str:
    """Return a number and its noun, such as ``1,000 recordings``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def part(count: int, of: int) -> str:
    """Return a share as a percentage."""
    share = count / of
    return f"{share:.0%}" if count in (0, of) else f"{share:.1%}"


def shortened(text: str, *, end: bool = False) -> str:
    """Return the beginning of a text that is too long for a page, or its end."""
    if len(text) <= _MOST_LETTERS:
        return text
    return f"…{text[-_MOST_LETTERS:]}" if end else f"{text[:_MOST_LETTERS]}…"


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g}%"


def duration(seconds: float) -> str:
    """Return a length or place of time, such as ``10 s`` or ``1:02:03``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"


def rarity(row: Mapping[str, Any]) -> str:
    """Say how rare so odd a sound is among healthy recordings; nothing where there is no p-value."""
    return "" if row["p_value"] is None else " ".join(odds(row))


def figure(value: float | None, interval: Sequence[float] | None = None) -> str:
    """Return an AUC or a rate, with its interval."""
    if value is None:
        return ""
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def tally_words(tally: Tally, asked: float | None) -> Iterator[str]:
    """Yield sentences on how many recordings were called, and how many of them rightly."""
    if tally.decided:
        called = (
            f"{tally.called:,} of {counted(tally.decided, 'recording')} ({part(tally.called, tally.decided)})"
        )
        wanted = "" if asked is None else f", where {_percent(asked)} of healthy ones may"
        yield f"{called} sound wrong{wanted}."
    elif tally.scored:
        yield "There are no decisions: the scores have no threshold."
    if tally.normals:
        wanted = "" if asked is None else f"; asked for was {_percent(asked)}"
        yield (
            f"Of {counted(tally.normals, 'recording')} labelled normal {tally.false_alarms:,} "
            f"({part(tally.false_alarms, tally.normals)}) were called anomalous: the false alarms{wanted}."
        )
    if tally.anomalies:
        yield (
            f"Of {counted(tally.anomalies, 'recording')} labelled anomalous {tally.detections:,} "
            f"({part(tally.detections, tally.anomalies)}) were found."
        )


def key_figures(tally: Tally, asked: float | None, evaluation: Evaluation | None) -> Iterator[Figure]:
    """Yield the few numbers that are to be seen first."""
    if tally.decided:
        chance = (
            "" if asked is None or tally.normals else f"; by chance about {asked * tally.decided:,.0f} would"
        )
        yield Figure(
            value=f"{tally.called:,}", meaning=f"of {counted(tally.decided, 'recording')} sound wrong{chance}"
        )
    else:
        yield Figure(
            value=f"{tally.scored:,}", meaning=f"of {counted(tally.recordings, 'recording')} have a score"
        )
    if tally.anomalies:
        yield Figure(
            value=part(tally.detections, tally.anomalies),
            meaning=f"of {counted(tally.anomalies, 'fault')} found",
        )
    if tally.normals:
        wanted = "" if asked is None else f"; {_percent(asked)} asked for"
        yield Figure(value=part(tally.false_alarms, tally.normals), meaning=f"false alarms{wanted}")
    row = _main_row(evaluation)
    if row is not None:
        yield Figure(value=f"{row.auc:.3f}", meaning="AUC; 1 is perfect, 0.5 is chance")
    if tally.failed:
        yield Figure(value=f"{tally.failed:,}", meaning="could not be scored")


def summary(
    machines: Sequence[Machine],
    tally: Tally,
    *,
    asked: float | None,
    oddest: Mapping[str, Any] | None,
    warnings: Sequence[str],
    evaluation: Evaluation | None,
) -> Iterator[str]:
    """Yield the sentences at the top of a report.

    Parameters
    ----------
    machines, tally
        What there is.
    asked
        Which rate of false alarms was asked for, as far as that is known.
    oddest
        The row of the oddest recording.
    warnings
        Of all rows that have some.
    evaluation
        Of the scores, where there are labels.
    """
    names = shortlist((machine.name for machine in machines), most=6)
    missing = f"; {tally.failed:,} could not be scored" if tally.failed else ""
    yield (
        f"{counted(tally.recordings, 'recording')} of {counted(len(machines), 'machine')} ({names}): "
        f"{tally.scored:,} {'have' if tally.scored != 1 else 'has'} a score{missing}."
    )
    yield from tally_words(tally, asked)
    yield from _most_called(machines)
    if asked is not None and tally.decided and not tally.normals:
        chance = asked * tally.decided
        yield f"Were all machines healthy, about {chance:,.0f} recordings would be called so by chance."
    if oddest is not None:
        rare = f": {rarity(oddest)} healthy recordings sounds as odd" if oddest["p_value"] is not None else ""
        yield f"The oddest is {oddest['name']}{rare}."
    if warnings:
        kinds = Counter(text.partition(" (")[0] for warning in warnings for text in warning.split("; "))
        listed = ", ".join(f"{shortened(kind)} ({count:,})" for kind, count in kinds.most_common(4))
        yield f"{counted(tally.warned, 'recording')} carr{'y' if tally.warned != 1 else 'ies'} a warning: {listed}."
    if evaluation is not None:
        yield from _figures(evaluation)


def _most_called(machines: Sequence[Machine]) -> Iterator[str]:
    """Say which machines sound wrong most often."""
    called = [machine for machine in machines if machine.tally.called]
    if len(machines) < 2 or not called:
        return
    called.sort(key=lambda machine: -machine.tally.called / machine.tally.decided)
    listed = shortlist(
        (
            f"{machine.name} ({machine.tally.called:,} of {machine.tally.decided:,}, "
            f"{part(machine.tally.called, machine.tally.decided)})"
            for machine in called
        ),
        most=_MOST_NAMED,
    )
    yield f"Most often wrong: {listed}."


def _main_row(evaluation: Evaluation | None) -> MeanResult | None:
    """Return the mean of the anomaly score, else of the first score there is."""
    overall = {} if evaluation is None else {row.score: row for row in evaluation.overall}
    return overall.get(ANOMALY_SCORE) or next(iter(overall.values()), None)


def _figures(evaluation: Evaluation) -> Iterator[str]:
    row = _main_row(evaluation)
    if row is None:
        return
    name = "" if row.score == ANOMALY_SCORE else f" of {row.score}"
    worst = f"; the worst is {row.worst_id} with {row.worst_auc:.3f}" if row.machine_ids > 1 else ""
    interval = row.auc_interval
    sure = (
        f" ({evaluation.confidence:.0%} interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    )
    yield f"The AUC{name} is {row.auc:.3f}{sure}, the mean of {counted(row.machine_ids, 'machine')}{worst}."
