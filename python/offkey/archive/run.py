"""Scores the recordings of an archive part by part, and goes on where an earlier run was stopped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from offkey import __version__
from offkey._util.files import check_folder, is_stream
from offkey._util.parquet import need_pyarrow
from offkey.advance import OnAdvance
from offkey.archive.part_file import Receipt, names_digest
from offkey.archive.parts import Parts
from offkey.archive.totals import Totals
from offkey.datasets.recordings import Item
from offkey.datasets.source import Progress, Source
from offkey.errors import ParameterError
from offkey.fitted import Fitted
from offkey.score_file import ALWAYS, COLUMNS, START, Cell, Row, check_target, write
from offkey.score_progress import ScoringProgress
from offkey.score_rows import ScoreRows
from offkey.scores import ScoreTable

__all__ = ["PART_RECORDINGS", "Archive", "check_result"]

PART_RECORDINGS = 4096
"""A part ends with the first chunk that fills it: what a run that is killed has to score again at most."""
_SCRATCH = ".parts"


def check_result(path: Path) -> None:
    """Find out before anything is scored whether a result can be written to `path`: a file, or a folder of Parquet.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        If it cannot, or there is something else.
    """
    if is_stream(path):
        raise ParameterError(f"{path}: expected a file or a folder; a pipe has no place for parts")
    parts = _parts_of(path)
    parts.check()
    if _is_folder(path):
        need_pyarrow(path)
        check_folder(path)
    else:
        check_target(path)


def _parts_of(result: Path) -> Parts:
    if _is_folder(result):
        return Parts(result, ".parquet")
    return Parts(result.with_name(result.name + _SCRATCH), ".jsonl")


def _is_folder(path: Path) -> bool:
    return path.is_dir() or not path.suffix


class Archive:
    """The scores of a source of recordings, in parts on the disk.

    Parameters
    ----------
    result
        A file, whose ending says its format: it is made of the parts once all are there, and they are removed. Or a
        folder, which is then a table of Parquet files.
    fitted
        What scores.
    options
        All that decides what the scores are, beside the detector.
    """

    def __init__(self, result: Path, fitted: Fitted, options: dict[str, Any]) -> None:
        self._result = result
        self._parts = _parts_of(result)
        self._fingerprint = fitted.fingerprint
        self._each = options["windows"] == "each"
        self._run = {"offkey": __version__, "detector": self._fingerprint, "options": options}
        names = [name for name in fitted.fusion.score_names if name not in ALWAYS]
        self._columns = (*COLUMNS, *names, START)

    def score(
        self,
        source: Source,
        rows: ScoreRows,
        *,
        restart: bool = False,
        num_threads: int | None = None,
        on_part: Callable[[ScoreTable], ScoreTable] = lambda table: table,
        on_progress: Progress | None = None,
        on_advance: OnAdvance | None = None,
    ) -> Totals:
        """Score what has no scores yet, part by part, and make the result of them all.

        Parameters
        ----------
        source
            The recordings; those that an earlier run has scored must be the first of them, in the same order.
        rows
            Scores them.
        restart
            Whether to begin anew.
        num_threads
            Threads of the kernels.
        on_part
            Called with the table of each part before it is written, which is what it returns.
        on_progress
            Called with (done, total) recordings.
        on_advance
            Called with more than that: see `Advance`.

        Raises
        ------
        ParameterError
            If the parts are of another run, or other recordings, or another process writes to them.
        DatasetError
            If a part is damaged, or there is no recording at all.
        OSError
            If a part cannot be written; what was written before is kept.
        """
        with self._parts.held(self._run, restart=restart):
            items = iter(source)
            before = self._skip(items)
            rest = _peeked(items)
            if rest is not None or not before:
                progress = ScoringProgress(source, on_progress, on_advance, before=before)
                self._score(source.over(rest or iter(())), rows, num_threads, on_part, progress)
            totals = self._totals()
            totals.resumed = before
            if not _is_folder(self._result):
                self._merge(totals)
                self._parts.clear()
        return totals

    def _skip(self, items: Iterator[Item]) -> int:
        """Go past the recordings that have scores, and return how many they are."""
        done = 0
        for receipt in self._parts.receipts():
            names = [item.name for item in itertools.islice(items, receipt.recordings)]
            if len(names) < receipt.recordings or names_digest(names) != receipt.names:
                raise ParameterError(
                    f"{self._parts.folder}: was begun with other recordings: those from number {done} to "
                    f"{done + receipt.recordings - 1} are not the same now: begin anew with restart=True, or name "
                    "another result"
                )
            done += receipt.recordings
        return done

    def _score(
        self,
        source: Source,
        rows: ScoreRows,
        num_threads: int | None,
        on_part: Callable[[ScoreTable], ScoreTable],
        progress: ScoringProgress,
    ) -> None:
        names: list[str] = []
        for chunk in source.chunks(num_threads=num_threads):
            rows.add(chunk)
            progress.add(chunk, errors=rows.failed)
            if chunk.continues:
                continue
            names += [item.name for item in chunk.items]
            if len(names) >= PART_RECORDINGS:
                self._write(on_part(rows.take()), names)
                names = []
        if names:
            self._write(on_part(rows.take()), names)

    def _write(self, table: ScoreTable, names: Sequence[str]) -> None:
        receipt = Receipt(recordings=len(names), names=names_digest(names), detector=self._fingerprint)
        self._parts.add(self._columns, [self._row(row) for row in table.rows()], receipt)

    def _row(self, row: Row) -> dict[str, Cell]:
        return {name: row.get(name) for name in self._columns}

    def _totals(self) -> Totals:
        totals = Totals(each=self._each)
        for part in self._parts.rows():
            totals.add(part)
        return totals

    def _merge(self, totals: Totals) -> None:
        """Make the one file of all parts: the same that a table of all rows would have written."""
        columns = self._columns if totals.by_windows else self._columns[:-1]
        parts = ([{name: row[name] for name in columns} for row in part] for part in self._parts.rows())
        write(columns, parts, self._result)


def _peeked(items: Iterator[Item]) -> Iterator[Item] | None:
    """Return the items if there are any."""
    for first in items:
        return itertools.chain([first], items)
    return None
