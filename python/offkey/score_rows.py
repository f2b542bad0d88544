"""From chunks of a source to the rows of a score table: one for each recording, or for each window of a long one."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from offkey.datasets.channels import decoded_channel
from offkey.datasets.ids import IdCounts
from offkey.datasets.quality import broken
from offkey.datasets.recordings import Item, Samples
from offkey.datasets.scored_channels import ScoredChannels
from offkey.datasets.source import Chunk
from offkey.datasets.source_rates import SourceRates
from offkey.datasets.windows import WHOLE
from offkey.errors import DatasetError, ParameterError
from offkey.fitted import Fitted
from offkey.scores import ScoreTable
from offkey.scoring import false_discovery, null
from offkey.scoring.drift import Drift, drifts
from offkey.scoring.null import Judged
from offkey.scoring.together import Together
from offkey.signal.quality import ClipQuality

__all__ = ["OnError", "RowsSummary", "ScoreRows", "Windows", "check_on_error", "check_windows"]

Windows: TypeAlias = Literal["worst", "each"]
"""Of a recording that is cut: one row with the scores of its worst window, or a row for each."""

OnError: TypeAlias = Literal["record", "skip", "fail"]
"""Of a recording without a score: a row that says why, no row, or an end to the scoring."""

_RATE_ADVICE = ", so the detector hears silence there, unless it was trained on such recordings"


def check_windows(windows: str) -> None:
    """Refuse what is neither `worst` nor `each`.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if windows not in ("worst", "each"):
        raise ParameterError(f"windows = {windows!r}: expected 'worst' or 'each'")


def check_on_error(on_error: str) -> None:
    """Refuse what is none of `record`, `skip` and `fail`.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if on_error not in ("record", "skip", "fail"):
        raise ParameterError(f"on_error = {on_error!r}: expected 'record', 'skip' or 'fail'")


class _Scored(NamedTuple):
    """Raw scores of some clips, in the order of their recordings."""

    positions: np.ndarray
    """``(clips,)`` int64: where each clip's recording stands in the source."""
    starts: np.ndarray
    """``(clips,)`` int64: where it starts in its recording, in samples."""
    raw: Mapping[str, np.ndarray]
    """For each score ``(clips, IDs)``."""

    @classmethod
    def joined(cls, parts: Sequence[_Scored]) -> _Scored:
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.starts for part in parts]),
            {name: np.concatenate([part.raw[name] for part in parts]) for name in parts[0].raw},
        )

    def take(self, rows: np.ndarray) -> _Scored:
        return _Scored(
            self.positions[rows], self.starts[rows], {name: matrix[rows] for name, matrix in self.raw.items()}
        )


@dataclasses.dataclass(frozen=True)
class _Heard:
    """What was seen of some clips' samples, in the order of their recordings."""

    positions: np.ndarray
    """``(clips,)`` int64: where each clip's recording stands in the source."""
    starts: np.ndarray
    """``(clips,)`` int64: where it starts in its recording, in samples."""
    rates_hz: np.ndarray
    """``(clips,)`` int64: the recordings' own rates."""
    quality: ClipQuality
    flawed: np.ndarray
    """``(clips,)`` bool: whether there is anything to be said of the samples; nearly all recordings are spared that."""

    @classmethod
    def of(cls, part: Chunk, quality: ClipQuality) -> _Heard:
        flawed = np.logical_or.reduce([*broken(quality).values(), quality.clipped_in_part])
        return cls(part.positions, part.starts, part.source_rates, quality, flawed)

    @classmethod
    def joined(cls, parts: Sequence[_Heard]) -> _Heard:
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.rates_hz for part in parts]),
            ClipQuality.joined([part.quality for part in parts]),
            np.concatenate([part.flawed for part in parts]),
        )

    def rows(self, chunk: Chunk) -> list[slice]:
        """Return which clips each recording of a chunk has."""
        ends = np.searchsorted(self.positions, chunk.first + np.arange(len(chunk.items) + 1)).tolist()
        return list(itertools.starmap(slice, itertools.pairwise(ends)))

    def is_flawed(self, rows: slice) -> bool:
        """Say whether there is anything to be said of a recording's samples."""
        return any(self._flawed[rows])

    def level_dbfs(self, rows: slice) -> float:
        """Return a recording's level."""
        if rows.stop - rows.start > 1:
            return float(10 * np.log10(self.quality.mean_square[rows].mean()))
        level: float = self._levels_dbfs[rows.start]
        return level

    @functools.cached_property
    def _flawed(self) -> list[bool]:
        flags: list[bool] = self.flawed.tolist()
        return flags

    @functools.cached_property
    def _levels_dbfs(self) -> list[float]:
        levels: list[float] = self.quality.rms_dbfs.tolist()
        return levels


class RowsSummary(NamedTuple):
    """What there is to say of recordings that were scored, beside their rows."""

    failed: int
    most_windows: int
    rates: SourceRates
    ids: IdCounts
    channels: ScoredChannels
    apart: Mapping[str | None, array[float]]


class ScoreRows:
    """Scores the chunks of a source one after the other, and keeps the rows.

    Parameters
    ----------
    fitted
        What scores them.
    rate
        The share of healthy recordings that may be called anomalous; None: what the detector stands for, that of its
        recipe or the thresholds of confirmed anomalies.
    fdr
        The false discovery rate by which all recordings are decided on together; None: each is on its own.
    windows
        Whether a recording that is cut has one row or many.
    num_threads
        Threads of the kernels and of torch; all cores if None.
    on_error
        What becomes of a recording, or of a window that has a row of its own, without a score.

    Raises
    ------
    ParameterError
        If a rate is not above 0 and below 1, or `windows` or `on_error` is none of its words.
    """

    def __init__(
        self,
        fitted: Fitted,
        *,
        rate: float | None,
        fdr: float | None,
        windows: Windows,
        num_threads: int | None,
        on_error: OnError = "record",
    ) -> None:
        check_windows(windows)
        check_on_error(on_error)
        self._on_error = on_error
        self._skipped: list[tuple[str, str]] = []  # name and why
        self._fitted = fitted
        self._rate = fitted.false_alarm_rate if rate is None else null.check_rate(rate)
        self._fdr = None if fdr is None else false_discovery.check_rate(fdr)
        self._confirmed = fitted.confirmed if rate is None and fdr is None else {}
        self._each = windows == "each"
        self._num_threads = num_threads
        self._sample_rate = fitted.recipe.features.sample_rate
        self._rates = SourceRates(self._sample_rate)
        self._ids = IdCounts(fitted.fusion.machine_ids)
        self._channels = ScoredChannels(fitted.channels, decoded_channel(fitted.features))
        self._most_windows = 1
        self.failed = 0
        """Recordings that have no score, or a window without one."""
        self._scored: list[_Scored] = []  # of a recording whose chunks go on
        self._heard: list[_Heard] = []  # likewise
        self._errors: dict[int, Exception] = {}
        self._counts: dict[int, int] = {}  # of windows, where one row has the scores of the worst
        self._rows: list[dict[str, Any]] = []  # as `ScoreTable.from_rows` takes them
        self._windows: list[int] = []  # of how many clips the scores of each row are the largest
        self._apart: dict[
            str | None, array[float]
        ] = {}  # scores of recordings of one clip, by ID, for `Drift`
        self._table_notes: tuple[str, ...] = ()

    def prepared(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """Return chunks to be added; some may be read ahead."""
        return self._fitted.prepared(chunks)

    def add(self, chunk: Chunk) -> None:
        """Score a chunk; the rows of a recording that goes on in the next one come with its last."""
        self._rates.add(chunk, recordings=True)
        self._channels.add(chunk)
        for part, raw in chunk.attempt(lambda clips: self._fitted.scores(clips, self._num_threads)):
            scored = _Scored(part.positions, part.starts, raw)
            if part.quality is not None:
                self._heard.append(_Heard.of(part, part.quality))
                scored = scored.take(~(part.quality.silent | part.quality.constant))
            self._scored.append(scored)
        self._errors = chunk.errors | self._errors
        if chunk.continues:
            return
        scores = self._scores(chunk)
        heard = _Heard.joined(self._heard) if self._heard else None
        heard_rows = heard.rows(chunk) if heard else []
        for position, item in enumerate(chunk.items, chunk.first):
            self._ids.count(item.machine_id, item.unread_id)
            error = self._errors.get(position)
            cells = (
                scores.get(position, [])
                if error is None
                else [{"error": self._channels.explained(error, item)}]
            )
            if heard is not None and error is None:
                cells = self._with_warnings(cells, item, heard, heard_rows[position - chunk.first])
            cells = self._without_errors(item, cells)
            known = self._known_of(item) | (_length(item) if error is None else {})
            self._rows += [known | cell for cell in cells]
            self._remember(item, cells)
            self._windows += [self._counts.get(position, 1)] * len(cells)
        self._scored, self._heard, self._errors, self._counts = [], [], {}, {}

    def _without_errors(self, item: Item, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the cells of the rows that a recording has, as errors are to be dealt with."""
        errors = [cell["error"] for cell in cells if "error" in cell]
        if not errors:
            return cells
        if self._on_error == "fail":
            raise DatasetError(f"{errors[0]}; on_error = 'fail' ends the scoring here")
        self.failed += 1
        if self._on_error == "record":
            return cells
        self._skipped.append((item.name, errors[0]))
        return [cell for cell in cells if "error" not in cell]

    def _remember(self, item: Item, cells: Sequence[Mapping[str, Any]]) -> None:
        """Keep the score of a recording of one clip, to be compared with calibration clips.

        A set with labels is made for evaluation, and may have any number of faulty ones.
        """
        if item.label is not None:
            return
        known = item.machine_id if item.machine_id in self._fitted.fusion.machine_ids else None
        scores = [
            cell["anomaly_score"] for cell in cells if "anomaly_score" in cell and "start_s" not in cell
        ]
        self._apart.setdefault(known, array("d")).extend(scores)

    def take(self) -> ScoreTable:
        """Return the rows so far, each as it stands for itself, and keep them no longer."""
        table = ScoreTable.from_rows(self._rows)
        table.skipped = tuple(self._skipped)
        table.windows = tuple(self._windows)
        self._rows, self._windows, self._skipped = [], [], []
        return table

    def summary(self) -> RowsSummary:
        """Return what there is to say of the recordings so far, for the `join` of another process."""
        return RowsSummary(
            self.failed, self._most_windows, self._rates, self._ids, self._channels, self._apart
        )

    def join(self, summary: RowsSummary) -> None:
        """Enter what there is to say of later recordings, which another process has scored."""
        self.failed += summary.failed
        self._most_windows = max(self._most_windows, summary.most_windows)
        self._rates.join(summary.rates)
        self._ids.join(summary.ids)
        self._channels.join(summary.channels)
        for name, scores in summary.apart.items():
            self._apart.setdefault(name, array("d")).extend(scores)

    def _with_warnings(
        self, cells: list[dict[str, Any]], item: Item, heard: _Heard, rows: slice
    ) -> list[dict[str, Any]]:
        """Return a recording's cells with what is to be said of its samples, and those that silence has in their place.

        Parameters
        ----------
        cells
            Of each row that has scores.
        item
            The recording.
        heard, rows
            What was seen of its clips, and where that stands.
        """
        if not self._each:
            cells = cells or [self._without_sound(item, heard, rows)]
            return [cell | self._warning(cell, item, heard, rows) for cell in cells]
        by_start = {cell.get("start_s"): cell for cell in cells}
        result = []
        for row in range(rows.start, rows.stop):
            start, own = int(heard.starts[row]), slice(row, row + 1)
            place = {} if start == WHOLE else {"start_s": start / self._sample_rate}
            cell = by_start.get(place.get("start_s")) or place | self._without_sound(item, heard, own)
            result.append(cell | self._warning(cell, item, heard, own))
        return result

    def _warning(self, cell: Mapping[str, Any], item: Item, heard: _Heard, rows: slice) -> dict[str, str]:
        texts = _flaws(heard.quality.take(rows)) if heard.is_flawed(rows) else []
        if self._fitted.conditions is not None and "error" not in cell:
            texts += self._fitted.conditions.unlike(
                level_dbfs=heard.level_dbfs(rows),
                machine_id=cell.get("scored_as"),
                rate_hz=int(heard.rates_hz[rows.start]),
                lossy=item.lossy,
            )
        if of_channel := self._channels.warning(int(heard.positions[rows.start])):
            texts.append(of_channel)
        return {"warning": "; ".join(texts)} if texts else {}

    def _without_sound(self, item: Item, heard: _Heard, rows: slice) -> dict[str, str]:
        kind = "silent" if heard.quality.take(rows).silent.all() else "constant"
        of_channel = self._channels.warning(int(heard.positions[rows.start]))
        why = f" ({of_channel})" if of_channel else ""
        return {
            "error": f"{item.name}: {kind}{why}: there is no sound to score; is the microphone connected?"
        }

    def _known_of(self, item: Item) -> dict[str, Any]:
        return {
            "path": item.name,
            "machine_type": self._fitted.machine,
            "machine_id": item.machine_id,
            "label": item.label,
        }

    def _scores(self, chunk: Chunk) -> dict[int, list[dict[str, Any]]]:
        """Return the scores of each recording that has some, as the ID that it was scored as."""
        if not self._scored:
            return {}
        scored = _Scored.joined(self._scored)
        scored = scored.take(~np.isin(scored.positions, list(self._errors)))
        if not len(scored.positions):
            return {}
        positions, counts = scored.positions, np.ones(len(scored.positions), dtype=np.int64)
        if not self._each:
            positions, counts = np.unique(positions, return_counts=True)
            self._counts = dict(zip(positions.tolist(), counts.tolist(), strict=True))
            self._most_windows = max(self._most_windows, *counts.tolist(), 1)
        fusion = self._fitted.fusion
        fused = fusion.apply(
            scored.raw,
            [chunk.items[position - chunk.first].machine_id for position in positions.tolist()],
            rate=self._rate,
            clips=counts,
            confirmed=self._confirmed,
        )
        columns: dict[str, list[Any]] = {
            "scored_as": [fusion.machine_ids[column] for column in fused.column.tolist()],
            **{name: matrix[fused.clip, fused.column].tolist() for name, matrix in scored.raw.items()},
            "anomaly_score": fused.anomaly_score.tolist(),
            **_columns(fused.judged),
        }
        starts = scored.starts[fused.clip].tolist()
        scores: dict[int, list[dict[str, Any]]] = {}
        for position, start, *cells in zip(positions.tolist(), starts, *columns.values(), strict=True):
            row = dict(zip(columns, cells, strict=True))
            if start != WHOLE:
                row["start_s"] = start / self._sample_rate
            scores.setdefault(position, []).append(row)
        return scores

    def table(self) -> ScoreTable:
        """Return the rows, decided on together if that is asked for, and how they differ from calibration clips."""
        together = self.together()
        if together is not None:
            together.add(self._rows, self._windows)
            columns = together.columns(0, len(self._rows))
            for row, cells in zip(self._rows, zip(*columns.values(), strict=True), strict=True):
                row |= zip(columns, cells, strict=True)
            self._table_notes += tuple(filter(None, [together.note]))
        table = ScoreTable.from_rows(self._rows)
        table.skipped = tuple(self._skipped)
        table.discoveries = None if together is None else together.discoveries
        table.drift = self.drift()
        return table

    def together(self) -> Together | None:
        """Return what decides on rows together; None if each is decided on by itself."""
        if self._fdr is None:
            return None
        return Together(self._fitted.fusion.null, rate=self._rate, fdr=self._fdr)

    def drift(self) -> tuple[Drift, ...]:
        """Compare recordings of one clip with calibration clips that are recordings of their own."""
        scores = {name: np.array(of_id) for name, of_id in self._apart.items()}
        return drifts(scores, self._fitted.apart_calibration())

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know: other rates, IDs unknown or not read, estimated thresholds."""
        of_null = self._fitted.fusion.null.notes(self._rate, windows=self._most_windows)
        told = self._most_windows == 1 and self._rate == self._fitted.false_alarm_rate  # at the training
        return (
            *self._rates.notes("recording", advice=_RATE_ADVICE),
            *self._channels.notes(),
            *self._ids.notes(),
            *(() if told else of_null),
            *self._table_notes,
            *self._confirmed_note(),
        )

    def _confirmed_note(self) -> tuple[str, ...]:
        if not self._fitted.confirmed or self._confirmed:
            return ()
        listed = ", ".join(self._fitted.confirmed)
        return (
            f"a rate was asked for: thresholds that were confirmed by anomalies (ID {listed}) do not count",
        )


def _length(item: Item) -> dict[str, Any]:
    """Return how long a recording is, and at which rate it was recorded, as far as that is known."""
    if item.header is not None:
        return {"duration_s": item.header.duration_s, "sample_rate": item.header.sample_rate}
    if isinstance(item.content, Samples):
        duration_s = item.content.samples.shape[-1] / item.content.sample_rate
        return {"duration_s": duration_s, "sample_rate": item.content.source_rate or None}
    return {}


def _columns(judged: Judged) -> dict[str, list[Any]]:
    return {
        "decision": judged.decision.tolist(),
        "threshold": judged.threshold.tolist(),
        "p_value": judged.p_value.tolist(),
        "calibration": list(judged.calibration),
        "calibration_clips": judged.clips.tolist(),
    }


def _flaws(quality: ClipQuality) -> list[str]:
    """Return what is wrong with the samples of a recording's clips."""
    texts = [_of_some(kind, flags) for kind, flags in broken(quality).items() if flags.any()]
    if quality.clipped_in_part.any():
        texts.append(f"clipped ({100 * quality.clipped_share.max():.1f}% of the samples)")
    return texts


def _of_some(kind: str, flags: np.ndarray) -> str:
    """Return what is true of a recording, or of some of its windows."""
    count = np.count_nonzero(flags)
    return kind if count == len(flags) else f"{kind} in {count} of {len(flags)} windows"
