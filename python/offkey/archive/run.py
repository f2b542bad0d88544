"""Scores the recordings of an archive part by part, and goes on where an earlier run was stopped."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from offkey import __version__
from offkey._util.files import check_folder, is_stream
from offkey._util.parquet import need_pyarrow
from offkey._util.storage import Address, Url
from offkey.advance import OnAdvance
from offkey.archive.blocks import Engine, PartWriter, Scorer
from offkey.archive.known import KnownNames
from offkey.archive.merge import check_run, complete, totals_of
from offkey.archive.part_file import Receipt, names_digest
from offkey.archive.parts import Seen, is_folder, parts_of
from offkey.archive.shard import Shard
from offkey.archive.totals import Totals
from offkey.datasets.recordings import Item
from offkey.datasets.source import Progress, Source
from offkey.errors import ParameterError
from offkey.fitted import Fitted
from offkey.score_file import ALWAYS, COLUMNS, START, Row, check_target
from offkey.score_progress import ScoringProgress
from offkey.score_rows import OnError
from offkey.scores import ScoreTable, check_top
from offkey.scoring.together import Together

__all__ = ["PART_RECORDINGS", "Archive", "check_result", "is_finished_file"]

PART_RECORDINGS = 4096
"""A part has a block of so many recordings of the source, whoever scores it: what a kill costs at most."""
_ADVICE = "begin anew with restart=True, or name another result"


def check_result(path: Address) -> None:
    """Find out before anything is scored whether a result can be written to `path`: a file, or a folder of Parquet.

    Raises
    ------
    ParameterError, MissingExtraError, OSError
        If it cannot, or there is something else.
    """
    if is_stream(path):
        raise ParameterError(f"{path}: expected a file or a folder; a pipe has no place for parts")
    if isinstance(path, Url):
        path.check_kind()
    parts_of(path).check()
    if is_folder(path):
        need_pyarrow(path)
        (path / "new").check_writable() if isinstance(path, Url) else check_folder(path)
    else:
        check_target(path)


def is_finished_file(result: Address) -> bool:
    """Say whether a result is a file whose parts are gone, so that nothing says which recordings it has."""
    return not is_folder(result) and result.is_file() and not parts_of(result).numbers()


class Archive:
    """The scores of a source of recordings, in parts on a disk or on object storage.

    Parameters
    ----------
    result
        A file, whose ending says its format: it is made of the parts once all are there, and they are removed. Or a
        folder, which is then a table of Parquet files.
    fitted
        What scores.
    options
        All that decides what the scores are, beside the detector.
    shard
        Which parts are scored here; the others are another job's, and `offkey.archive.merge` makes the result.
    on_error
        What becomes of recordings without a score. It decides what is in parts that have such, and only in those.
    together
        Decides on all rows together; None: each is decided on by itself.
    """

    def __init__(
        self,
        result: Address,
        fitted: Fitted,
        options: dict[str, Any],
        shard: Shard = Shard(),  # noqa: B008  # immutable
        on_error: OnError = "record",
        together: Together | None = None,
    ) -> None:
        self._all = [self]
        self._result = result
        self._shard = shard
        self._on_error = on_error
        self._together = together
        self._parts = parts_of(result)
        self._run = {"offkey": __version__, "detector": fitted.fingerprint, "options": options}
        names = [name for name in fitted.fusion.score_names if name not in ALWAYS]
        self._columns = (*COLUMNS, *names, START)

    def score(
        self,
        source: Source,
        engine: Engine,
        *,
        others: Sequence[Archive] = (),
        restart: bool = False,
        new_only: bool = False,
        top: int | None = None,
        on_part: Callable[[ScoreTable], ScoreTable] = lambda table: table,
        on_progress: Progress | None = None,
        on_advance: OnAdvance | None = None,
        on_rows: Callable[[Sequence[Row]], None] = lambda rows: None,
    ) -> list[Totals]:
        """Score what has no scores yet, part by part, and make the result of them all.

        Parameters
        ----------
        source
            The recordings; those that an earlier run has scored must be where they were.
        engine
            Scores them.
        others
            Results of other detectors, of the same recordings: each block is scored into a part of every one, and what
            all of them have is not scored again.
        restart
            Whether to begin anew.
        new_only
            Whether to score what has no row yet, wherever it stands in the source, behind all that has. The parts of a
            file are then kept, for the next time.
        top
            How many recordings a file has rows of, the oddest; None: all.
        on_part
            Called with the table of each part before it is written, which is what it returns.
        on_progress
            Called with (done, total) recordings.
        on_advance
            Called with more than that: see `Advance`.
        on_rows
            Called with the rows of each part of this result once all are there, those of earlier runs too.

        Returns
        -------
        list of Totals
            Of each result, this one's first; of a shard, those of its own parts.

        Raises
        ------
        ParameterError
            If the parts are of another run, or other recordings, or another process writes to them.
        DatasetError
            If a part is damaged, or there is no recording at all.
        OSError
            If a part cannot be written; what was written before is kept.
        """
        self._all = [self, *others]
        if top is not None:
            self._check_top(top)
        if self._together is not None and not self._shard.is_whole:
            raise ParameterError(
                f"shard = {self._shard}: what a false discovery rate calls is known once all recordings are scored: "
                "leave out shard or false_discovery_rate"
            )
        if new_only:
            self._check_new_only(restart=restart)
        with contextlib.ExitStack() as stack:
            for archive in self._all:
                stack.enter_context(archive._held(restart=restart))
            receipts = self._receipts_of_all()
            before = sum(receipt.recordings for receipt in receipts.values())
            progress = ScoringProgress(
                source,
                on_progress,
                on_advance,
                before=before,
                share=(lambda _: None) if new_only else partial(_in_shard, self._shard),
            )
            writers = [
                PartWriter(archive._parts, archive._run, archive._columns, on_part) for archive in self._all
            ]
            score = self._score_new if new_only else self._score
            with engine(source, writers, progress) as scorer:
                seen = score(source, receipts, scorer)
            totals = [
                archive._end(seen, on_rows if archive is self else lambda rows: None, top=top, keep=new_only)
                for archive in self._all
            ]
        for of_result in totals:
            of_result.resumed = before
        return totals

    @contextlib.contextmanager
    def _held(self, *, restart: bool) -> Iterator[None]:
        """Hold the parts, and refuse those of another run or begin anew."""
        with self._parts.held(self._shard):
            if restart or self._parts.is_merged():
                self._clear()
            else:
                self._check_others()
            yield

    def _end(
        self, seen: Seen, on_rows: Callable[[Sequence[Row]], None], *, top: int | None, keep: bool
    ) -> Totals:
        """Make the result, now that all parts are there."""
        self._parts.end(self._shard, seen)
        if not self._shard.is_whole:
            return totals_of(self._parts, self._numbers(), on_rows)
        totals = complete(self._result, self._parts, on_rows, top=top, together=self._together)
        if not is_folder(self._result) and not keep:
            self._parts.clear()
        return totals

    def _clear(self) -> None:
        if self._shard.is_whole:
            self._parts.clear()
        else:
            self._parts.reopen(self._shard)
            self._parts.remove(self._numbers())

    def _numbers(self) -> list[int]:
        """Return which parts of this shard are there."""
        return list(filter(self._shard.has, self._parts.numbers()))

    def _check_others(self) -> None:
        """Refuse to add to what shards of another run have written; one of them tells."""
        for number in self._parts.numbers():
            if not self._shard.has(number):
                with contextlib.suppress(FileNotFoundError):  # it begins anew
                    check_run(self._parts.receipt(number), self._run, self._parts.path(number), _ADVICE)
                return

    def _receipts_of_all(self) -> dict[int, Receipt]:
        """Return the receipts of parts that all results have of the same recordings."""
        first, *others = (archive._receipts() for archive in self._all)
        return {
            number: receipt
            for number, receipt in first.items()
            if all(number in of_other and of_other[number].names == receipt.names for of_other in others)
        }

    def _receipts(self) -> dict[int, Receipt]:
        """Return what the parts of this shard have the rows of, all of this very run."""
        receipts = {number: self._parts.receipt(number) for number in self._numbers()}
        for number, receipt in receipts.items():
            check_run(receipt, self._run, self._parts.path(number), _ADVICE)
            if receipt.on_error not in (None, self._on_error):
                raise ParameterError(
                    f"{self._parts.path(number)}: has recordings without a score, and was begun with on_error "
                    f"{receipt.on_error!r}, now {self._on_error!r}: {_ADVICE}"
                )
        return receipts

    def _score(self, source: Source, receipts: Mapping[int, Receipt], scorer: Scorer) -> Seen:
        """Go through the source block by block, and score those of this shard that have no part yet."""
        items = iter(source)
        blocks: list[tuple[int, str]] = []
        last = max(receipts, default=-1)
        ended = self._parts.ended().get(self._shard)
        for number in itertools.count():
            receipt = receipts.get(number)
            block = _peeked(itertools.islice(items, receipt.recordings if receipt else PART_RECORDINGS))
            if block is None and number > last:
                break
            if block and ended and number >= ended.parts:
                raise ParameterError(
                    f"{self._parts.folder}: came to its end with {ended.recordings:,} recordings, and there are more "
                    f"now, of which the first is {next(block).name}: new_only=True scores what is new; or {_ADVICE}"
                )
            if block is None or receipt or not self._shard.has(number):
                names: Sequence[str] = [item.name for item in block or ()]
                self._check(number, names, receipt, sum(recordings for recordings, _ in blocks))
            else:
                names = self._add(number, block, scorer)
            blocks.append((len(names), names_digest(names)))
        source.refuse_none(len(blocks))
        return Seen.of(blocks)

    def _score_new(self, source: Source, receipts: Mapping[int, Receipt], scorer: Scorer) -> Seen:
        """Score what has no row yet, block by block, into parts with numbers that are free."""
        items = KnownNames(self._parts.names(receipts)).new(source)
        blocks = {number: (receipt.recordings, receipt.names) for number, receipt in receipts.items()}
        for number in itertools.filterfalse(receipts.__contains__, itertools.count()):
            block = _peeked(itertools.islice(items, PART_RECORDINGS))
            if block is None:
                break
            names = self._add(number, block, scorer)
            blocks[number] = len(names), names_digest(names)
        source.refuse_none(len(blocks))
        return Seen.of(blocks[number] for number in sorted(blocks))

    def _add(self, number: int, block: Iterator[Item], scorer: Scorer) -> Sequence[str]:
        """Score a block into a part; return the names of its recordings."""
        for archive in self._all:
            archive._parts.reopen(self._shard)
        return scorer.score(number, block)

    def _check_top(self, top: int) -> None:
        check_top(top)
        if is_folder(self._result) or not self._shard.is_whole:
            raise ParameterError(
                f"top = {top}: which recordings are the oddest is known once all are scored: expected a file as the "
                "result, and no shard; or leave out top"
            )

    def _check_new_only(self, *, restart: bool) -> None:
        if not self._shard.is_whole:
            raise ParameterError(
                f"shard = {self._shard}: which recordings are new is known once shards are merged: leave out shard or "
                "new_only"
            )
        if is_finished_file(self._result) and not restart:
            raise ParameterError(
                f"{self._result}: is finished, and the parts are gone that say which recordings it has; a run with "
                f"new_only=True keeps them: {_ADVICE}"
            )

    def _check(self, number: int, names: Sequence[str], receipt: Receipt | None, first: int) -> None:
        """Refuse a source whose block is not the one that a part has the rows of."""
        if receipt and names_digest(names) != receipt.names:
            raise ParameterError(
                f"{self._parts.path(number)}: was begun with other recordings: those from number {first} to "
                f"{first + receipt.recordings - 1} are not the same now: {_ADVICE}; new_only=True scores recordings "
                "that were added, wherever they stand"
            )


def _in_shard(shard: Shard, recordings: int) -> int:
    """Return how many of a source's recordings are in blocks of a shard."""
    blocks, rest = divmod(recordings, PART_RECORDINGS)
    return PART_RECORDINGS * sum(map(shard.has, range(blocks))) + shard.has(blocks) * rest


def _peeked(items: Iterator[Item]) -> Iterator[Item] | None:
    """Return the items if there are any."""
    for first in items:
        return itertools.chain([first], items)
    return None
