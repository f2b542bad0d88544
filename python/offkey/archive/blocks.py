"""Scores blocks of a source of recordings, each of which becomes a part."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeAlias

import numpy as np

from offkey.archive.part_file import FDR, Receipt, names_digest
from offkey.archive.parts import Parts
from offkey.datasets.recordings import Item
from offkey.datasets.source import Source
from offkey.score_progress import ScoringProgress
from offkey.score_rows import ScoreRows
from offkey.scores import ScoreTable

__all__ = ["BlockScorer", "Engine", "PartWriter", "Scorer", "scorer_here"]


class PartWriter:
    """Writes tables of scores as parts of one run.

    Parameters
    ----------
    parts
        Where they go.
    run, columns
        As in each `Receipt`.
    on_part
        Called with each table; what it returns is written.
    """

    def __init__(
        self,
        parts: Parts,
        run: Mapping[str, Any],
        columns: Sequence[str],
        on_part: Callable[[ScoreTable], ScoreTable],
    ) -> None:
        self.parts = parts
        self._run, self._columns, self._on_part = run, columns, on_part

    def write(self, number: int, names: Sequence[str], table: ScoreTable) -> Receipt:
        """Write a part, whole or not at all: the rows of the recordings of these names."""
        skipped, windows = table.skipped, table.windows
        table = self._on_part(table)
        columns = {name: table.cells(name) for name in self._columns}
        scored = (error is None for error in table.error)
        receipt = Receipt(
            recordings=len(names),
            names=names_digest(names),
            run=self._run,
            columns=self._columns,
            failed=sum(error is not None for error in table.error),
            skipped=skipped,
            by_windows=sum(map(operator.and_, scored, (~np.isnan(table.start_s)).tolist())),
            windows=windows if max(windows, default=1) > 1 and FDR in self._run["options"] else (),
        )
        self.parts.write(number, columns, receipt)
        return receipt


class Scorer(Protocol):
    """Scores blocks of a source, or has them scored."""

    def score(self, number: int, block: Iterator[Item]) -> Sequence[str]:
        """See that a block is scored and its part written, now or soon; return the names of its recordings."""
        ...


Engine: TypeAlias = Callable[[Source, Sequence[PartWriter], ScoringProgress], AbstractContextManager[Scorer]]
"""Gives what scores the blocks of a source, into a part of each result; on leaving, all of them are."""


@contextmanager
def scorer_here(
    source: Source,
    writers: Sequence[PartWriter],
    progress: ScoringProgress,
    *,
    rows: Sequence[ScoreRows],
    num_threads: int | None,
) -> Iterator[BlockScorer]:
    """Yield what scores blocks in this process."""
    yield BlockScorer(source, rows, num_threads, writers, progress)


class BlockScorer:
    """Scores blocks of a source, one after the other.

    Parameters
    ----------
    source
        The source.
    rows
        Score its chunks, of which each feature is computed once.
    num_threads
        Threads of the kernels.
    writers
        Write the parts of each: the first is the last, so that the others have what it has.
    progress
        Is told of each chunk, and of the errors of the first.
    """

    def __init__(
        self,
        source: Source,
        rows: Sequence[ScoreRows],
        num_threads: int | None,
        writers: Sequence[PartWriter],
        progress: ScoringProgress,
    ) -> None:
        self._source, self._rows, self._num_threads = source, rows, num_threads
        self._writers, self._progress = writers, progress

    def score(self, number: int, block: Iterator[Item]) -> Sequence[str]:
        """Score a block and write its parts; return the names of its recordings."""
        names: list[str] = []
        chunks = self._source.over(block).chunks(num_threads=self._num_threads)
        first = self._rows[0]
        for chunk in first.prepared(chunks):
            errors = dict(chunk.errors)
            for rows in self._rows:
                rows.add(chunk)
                chunk = chunk.with_errors(errors)  # what one refuses the next may take
            self._progress.add(chunk, errors=first.failed)
            if not chunk.continues:
                names += [item.name for item in chunk.items]
        for rows, writer in reversed(list(zip(self._rows, self._writers, strict=True))):
            writer.write(number, names, rows.take())
        return names
