"""What a report says in plain English, before any table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from offkey._util.words import shortlist
from offkey.evaluation.result import Evaluation
from offkey.report.page.machines import Machine, Tally
from offkey.score_file import ANOMALY_SCORE
from offkey.scoring.rarity import odds

__all__ = [
    "VERDICTS",
    "counted",
    "duration",
    "figure",
    "part",
    "rarity",
    "shortened",
    "summary",
    "tally_words",
]

VERDICTS = {1: "sounds wrong", 0: "healthy", None: "undecided"}
_MOST_LETTERS = 600


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
    if asked is not None and tally.decided and not tally.normals:
        chance = asked * tally.decided
        yield f"Were all machines healthy, about {chance:,.0f} recordings would be called so by chance."
    if oddest is not None:
        rare = f": {rarity(oddest)} healthy recordings sounds as odd" if oddest["p_value"] is not None else ""
        yield f"The oddest is {shortened(str(oddest['path']), end=True)}{rare}."
    if warnings:
        kinds = Counter(text.partition(" (")[0] for warning in warnings for text in warning.split("; "))
        listed = ", ".join(f"{shortened(kind)} ({count:,})" for kind, count in kinds.most_common(4))
        yield f"{counted(tally.warned, 'recording')} carr{'y' if tally.warned != 1 else 'ies'} a warning: {listed}."
    if evaluation is not None:
        yield from _figures(evaluation)


def _figures(evaluation: Evaluation) -> Iterator[str]:
    overall = {row.score: row for row in evaluation.overall}
    row = overall.get(ANOMALY_SCORE) or next(iter(overall.values()), None)
    if row is None:
        return
    name = "" if row.score == ANOMALY_SCORE else f" of {row.score}"
    worst = f"; the worst is {row.worst_id} with {row.worst_auc:.3f}" if row.machine_ids > 1 else ""
    interval = row.auc_interval
    sure = (
        f" ({evaluation.confidence:.0%} interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    )
    yield f"The AUC{name} is {row.auc:.3f}{sure}, the mean of {counted(row.machine_ids, 'machine')}{worst}."
