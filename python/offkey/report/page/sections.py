"""What stands on the page, section by section."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from offkey._util.words import shortlist
from offkey.errors import DatasetError
from offkey.evaluation.protocols import evaluate
from offkey.evaluation.result import Evaluation, IdResult
from offkey.report.page.charts import MOST_DOTS, Points, calibration_chart, histogram, roc_chart, scores_chart
from offkey.report.page.clips import Clip, ClipReader
from offkey.report.page.embeddings import Place, embedding_map, places_of
from offkey.report.page.labels import with_labels
from offkey.report.page.machines import Columns, Machine, machines_of
from offkey.report.page.results import Origin, Results
from offkey.report.page.rows import Row, Rows
from offkey.report.page.tables import Grid, benchmark_grids, described, evaluation_grid
from offkey.report.page.words import (
    Figure,
    counted,
    figure,
    key_figures,
    part,
    rarity,
    shortened,
    summary,
    tally_words,
)
from offkey.score_file import ANOMALY_SCORE
from offkey.scores import ScoreTable
from offkey.scoring.drift import note_of_drift

if TYPE_CHECKING:
    from offkey.datasets import Clips
    from offkey.detector import Detector

__all__ = ["MOST_CLIPS", "Page", "Section", "page_of", "with_clips", "with_embeddings"]

_MOST_SECTIONS = 30
_MOST_LISTED = 500
_MOST_FAILED = 100
MOST_CLIPS = 60
"""Recordings that are shown, by default."""
_MOST_MISSING = 3
_MOST_EVALUATED = 1000
"""Machines; of more there are no AUCs."""
_MOST_RESAMPLED, _RESAMPLES, _FEW_RESAMPLES = 20_000, 1000, 100
"""Of more recordings with labels the intervals come from fewer bootstrap samples, and are narrow in any case."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing and what it shows."""

    svg: str
    caption: str
    wide: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What there is to say of one machine."""

    anchor: str
    name: str
    words: Sequence[str]
    charts: Sequence[Chart]
    oddest: Sequence[Row]
    clips: Sequence[tuple[Row, Clip]] = ()
    """The oddest again, to look at and listen to, as far as they are shown."""

    def has(self, name: str) -> bool:
        """Whether any of the oddest has something in a column."""
        return any(getattr(row, name) not in (None, "") for row in self.oddest)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole page."""

    title: str
    summary: Sequence[str]
    key: Sequence[Figure]
    """What to see first, in a number or two."""
    notes: Sequence[str]
    """What a reader must know: warnings, and what is left out."""
    overview: Grid | None
    """A line for each machine."""
    sections: Sequence[Section]
    score: str
    """The name of the score that is shown."""
    failed: Sequence[tuple[str, str]]
    """Recordings without a score, and why."""
    failures: int
    """How many there are; some of many are shown."""
    figures: Sequence[Grid]
    origins: Sequence[Origin]
    detector: Sequence[tuple[str, str]]
    clips: Sequence[Clip] = ()
    """Those of all sections, the most important first."""
    places: Sequence[Place] = ()
    """Recordings for a map of embeddings."""
    embeddings: Chart | None = None


def page_of(
    results: Results, *, detector: Detector | None, labels: Clips | None, time_pattern: str | None
) -> Page:
    """Return what stands on the page of results; parameters as of `html`."""
    given = [evaluation_grid(evaluation, name) for name, evaluation in results.evaluations]
    given += [grid for name, benchmark in results.benchmarks for grid in benchmark_grids(benchmark, name)]
    described_detector, notes = _of_detector(detector, results)
    if results.scores is None:
        names = [origin.content for origin in results.origins]
        return Page(
            title=f"Report: {', '.join(dict.fromkeys(names))}",
            summary=list(_of_evaluations(results)),
            key=(),
            notes=notes,
            overview=None,
            sections=(),
            score="",
            failed=(),
            failures=0,
            figures=given,
            origins=results.origins,
            detector=described_detector,
        )
    table = results.scores
    if labels is not None:
        table, told = with_labels(table, labels)
        notes += told
    page = _of_scores(table, results.false_alarm_rate or _own_rate(detector, table), time_pattern)
    return dataclasses.replace(
        page,
        notes=[*notes, *page.notes],
        figures=[*page.figures, *given],
        origins=results.origins,
        detector=described_detector,
    )


def with_clips(
    page: Page, reader: ClipReader, *, most: int, on_progress: Callable[[int, int], None] | None
) -> Page:
    """Return a page with the oddest recordings shown: of each machine the oddest first.

    Parameters
    ----------
    page
        Without them.
    reader
        Finds and shows them.
    most
        How many.
    on_progress
        Called with (done, total) of them.
    """
    ranks = itertools.zip_longest(
        *([(at, row) for row in range(len(section.oddest))] for at, section in enumerate(page.sections))
    )
    places = [place for rank in ranks for place in rank if place is not None][:most]
    shown: dict[tuple[int, int], Clip] = {}
    missing = []
    for done, (at, place) in enumerate(places, 1):
        row = page.sections[at].oddest[place]
        clip = reader.clip(row.source, anchor=f"clip-{done}", machine_id=row.machine_id, start_s=row.start_s)
        if isinstance(clip, Clip):
            shown[at, place] = clip
        else:
            missing.append(clip)
        if on_progress is not None:
            on_progress(done, len(places))
    notes = []
    if missing:
        first = shortlist(map(shortened, missing), most=_MOST_MISSING)
        notes.append(f"{len(missing)} of {len(places)} recordings are not shown: {first}")
    sections = [
        dataclasses.replace(
            section,
            oddest=[
                dataclasses.replace(row, anchor=shown[at, place].anchor) if (at, place) in shown else row
                for place, row in enumerate(section.oddest)
            ],
            clips=[
                (row, shown[at, place]) for place, row in enumerate(section.oddest) if (at, place) in shown
            ],
        )
        for at, section in enumerate(page.sections)
    ]
    return dataclasses.replace(page, sections=sections, clips=[*shown.values()], notes=[*page.notes, *notes])


def with_embeddings(page: Page, reader: ClipReader, detector: Detector | None) -> Page:
    """Return a page with the map of the embeddings of a detector's network, if it has one."""
    if detector is None or not detector.has_embeddings or not page.places:
        return page
    drawn = embedding_map(page.places, reader, detector)
    if isinstance(drawn, str):
        return dataclasses.replace(page, notes=[*page.notes, drawn])
    svg, caption = drawn
    return dataclasses.replace(page, embeddings=Chart(svg=svg, caption=caption))


def _own_rate(detector: Detector | None, table: ScoreTable) -> float | None:
    """Return the detector's own rate of false alarms, if the thresholds of a table are those that it stands for."""
    if detector is None:
        return None
    facts = detector.describe()
    own = [*facts["thresholds"].values(), facts["threshold_of_unknown_ids"]]
    known = table.threshold[~np.isnan(table.threshold)]
    same = len(known) > 0 and np.isclose(known[:, None], own, rtol=1e-9).any(axis=1).all()
    return float(facts["false_alarm_rate"]) if same else None


def _of_evaluations(results: Results) -> list[str]:
    """Return sentences on results that have no scores of single recordings."""
    sentences = []
    for name, evaluation in results.evaluations:
        for row in evaluation.overall:
            if row.score == ANOMALY_SCORE:
                said = figure(row.auc, row.auc_interval)
                sentences.append(f"{name}: AUC {said}, the mean of {counted(row.machine_ids, 'machine')}.")
    for name, benchmark in results.benchmarks:
        done = f"{len(benchmark.records):,} of {counted(benchmark.runs, 'run')} done"
        sentences.append(f"{name}: benchmark {benchmark.suite}, {done}.")
    return sentences


def _of_detector(detector: Detector | None, results: Results) -> tuple[list[tuple[str, str]], list[str]]:
    """Return what a detector is, and what is to be said of it."""
    if detector is None:
        return [], []
    fingerprint = detector.fingerprint
    others = {origin.name: origin.facts.get("detector", fingerprint) for origin in results.origins}
    notes = [
        f"{name}: was scored by another detector than the one described here: its fingerprint is {other}"
        for name, other in others.items()
        if other != fingerprint
    ]
    return described({"fingerprint": fingerprint, **detector.describe()}), notes


def _of_scores(table: ScoreTable, asked: float | None, time_pattern: str | None) -> Page:
    columns = Columns(table)
    machines = machines_of(table, columns, time_pattern)
    evaluation, why = _evaluated(table, len(machines))
    chosen = _chosen(machines, columns)
    whole = columns.tally(slice(None))
    oddest = min(
        (int(machine.oddest[0]) for machine in machines if len(machine.oddest)),
        key=lambda row: columns.ranks[row],
        default=None,
    )
    rows = Rows(table)
    failed = [row for row, error in enumerate(table.error) if error is not None]
    failures = [
        (rows.names(path), (table.error[row] or "").removeprefix(f"{path}: "))
        for row, path in ((row, rows.paths[row]) for row in failed[:_MOST_FAILED])
    ]
    failures += [
        (shortened(name, end=True), error.removeprefix(f"{name}: "))
        for name, error in table.skipped[: _MOST_FAILED - len(failures)]
    ]
    return Page(
        title=f"Report on {counted(whole.recordings, 'recording')} of {counted(len(machines), 'machine')}",
        summary=list(
            summary(
                machines,
                whole,
                asked=asked,
                oddest=None if oddest is None else rows.cells(oddest),
                warnings=[text for text in table.warning if text is not None],
                evaluation=evaluation,
            )
        ),
        key=list(key_figures(whole, asked, evaluation)),
        notes=[*_notes(rows, machines, chosen, whole.normals + whole.anomalies), *why],
        overview=_overview(machines, chosen, rows) if len(machines) > 1 else None,
        sections=[
            _section(at, machine, columns, rows, evaluation, asked) for at, machine in enumerate(chosen)
        ],
        score=rows.score.replace("_", " "),
        failed=[(name, shortened(error)) for name, error in failures],
        failures=len(failed) + len(table.skipped),
        figures=[evaluation_grid(evaluation, "the scores")] if evaluation else [],
        origins=(),
        detector=(),
        places=places_of(table, machines, columns),
    )


def _evaluated(table: ScoreTable, machines: int) -> tuple[Evaluation | None, list[str]]:
    """Return the figures of scores with labels; None and why where there are none."""
    if not (table.label >= 0).any() or not table.score_names:
        return None, []
    if machines > _MOST_EVALUATED:
        return None, [f"no AUCs: {machines:,} machines are more than {_MOST_EVALUATED:,}"]
    labelled = np.count_nonzero(table.label >= 0)
    try:
        return evaluate(table, resamples=_RESAMPLES if labelled <= _MOST_RESAMPLED else _FEW_RESAMPLES), []
    except DatasetError as error:
        return None, [f"no AUCs: {error}"]


def _chosen(machines: Sequence[Machine], columns: Columns) -> list[Machine]:
    """Return the machines that have a section: of many those with the oddest recordings, in their order."""
    if len(machines) <= _MOST_SECTIONS:
        return [*machines]

    def oddness(at: int) -> int:
        rows = machines[at].oddest
        return int(columns.ranks[rows[0]]) if len(rows) else len(columns.ranks)

    return [machines[at] for at in sorted(sorted(range(len(machines)), key=oddness)[:_MOST_SECTIONS])]


def _notes(rows: Rows, machines: Sequence[Machine], chosen: Sequence[Machine], labelled: int) -> list[str]:
    table = rows.table
    notes = [*note_of_drift(table.drift)]
    if rows.names.folder:
        notes.append(f"recordings are named by where they are below {shortened(rows.names.folder, end=True)}")
    if table.discoveries is not None:
        notes.append(table.discoveries.summary())
    if len(chosen) < len(machines):
        notes.append(
            f"{len(chosen)} of {len(machines):,} machines have a section of their own: those with the oddest recordings"
        )
    if not labelled and (table.label >= 0).any():
        notes.append("the recordings with a label have no decision, so that no alarm is counted as false")
    return notes


def _overview(machines: Sequence[Machine], chosen: Sequence[Machine], rows: Rows) -> Grid:
    listed = machines if len(machines) <= _MOST_LISTED else chosen
    left_out = len(machines) - len(listed)
    anchors = {id(machine): _anchor(at) for at, machine in enumerate(chosen)}
    return Grid(
        title="How many recordings of each machine there are, and how many sound wrong",
        anchors=[anchors.get(id(machine), "") for machine in listed],
        header=(
            "machine",
            "recordings",
            "without a score",
            "sound wrong",
            "share",
            "with a warning",
            "oddest",
        ),
        rows=[
            (
                machine.name,
                f"{machine.tally.recordings:,}",
                f"{machine.tally.failed:,}",
                f"{machine.tally.called:,}" if machine.tally.decided else "",
                part(machine.tally.called, machine.tally.decided) if machine.tally.decided else "",
                f"{machine.tally.warned:,}",
                rarity(rows.cells(int(machine.oddest[0]))) if len(machine.oddest) else "",
            )
            for machine in listed
        ],
        notes=(f"{left_out:,} more machines are not listed",) if left_out else (),
    )


def _anchor(at: int) -> str:
    return f"machine-{at + 1}"


def _section(
    at: int,
    machine: Machine,
    columns: Columns,
    rows: Rows,
    evaluation: Evaluation | None,
    asked: float | None,
) -> Section:
    words = list(tally_words(machine.tally, asked))
    if machine.tally.failed:
        words.append(f"{counted(machine.tally.failed, 'recording')} could not be scored.")
    result = _result_of(machine, evaluation, rows.score)
    if result is not None and result.auc is not None:
        words.append(
            f"AUC {figure(result.auc, result.auc_interval)}, pAUC {figure(result.pauc, result.pauc_interval)}."
        )
    return Section(
        anchor=_anchor(at),
        name=machine.name,
        words=words,
        charts=_charts(machine, columns, rows, evaluation),
        oddest=[rows.row(row) for row in machine.oddest.tolist()],
    )


def _result_of(machine: Machine, evaluation: Evaluation | None, score: str) -> IdResult | None:
    rows = evaluation.ids if evaluation is not None else ()
    key = machine.machine_type, machine.machine_id, score
    return next((row for row in rows if (row.machine_type, row.machine_id, row.score) == key), None)


def _charts(machine: Machine, columns: Columns, rows: Rows, evaluation: Evaluation | None) -> list[Chart]:
    scored = ~np.isnan(columns.scores[machine.rows])
    if not scored.any():
        return []
    table, places = rows.table, machine.rows[scored]
    points = Points(
        scores=columns.scores[places],
        thresholds=table.threshold[places],
        p_values=table.p_value[places],
        called=table.decision[places] == 1,
        labels=table.label[places],
        times=None if machine.times is None else machine.times[scored],
        score=rows.score,
    )
    each = "a cross is one that sounds wrong, a dot another"
    if len(places) > MOST_DOTS:
        each = (
            "light: from the least to the largest; dark: the middle 80%; line: the median; crosses: the highest that "
            "sound wrong"
        )
    charts = [Chart(svg=scores_chart(points, machine.name), caption=f"Scores: {each}.", wide=True)]
    apart = " Filled: normal; a line alone: anomalous." if points.classes == 2 else ""
    charts.append(
        Chart(svg=histogram(points, machine.name), caption=f"How many recordings have which score.{apart}")
    )
    if points.classes == 2:
        limit = evaluation.max_fpr if evaluation is not None else 0.1
        charts.append(Chart(svg=roc_chart(points, machine.name, max_fpr=limit), caption="ROC curve."))
        calibration = calibration_chart(points, machine.name)
        if calibration is not None:
            charts.append(
                Chart(
                    svg=calibration,
                    caption="False alarms among normal recordings. Dotted: as asked for; "
                    "grey: where 95% of such curves lie if so.",
                )
            )
    return charts
