"""Makes the one result of all parts, however many jobs have written them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from offkey._util.storage import Address, address_of
from offkey.archive.part_file import FDR, KEY, Receipt
from offkey.archive.parts import Parts, Seen, is_folder, parts_of
from offkey.archive.shard import Shard
from offkey.archive.totals import ODDEST, Totals
from offkey.errors import ParameterError
from offkey.score_file import START, Row, check_target, write
from offkey.scores import ScoreTable
from offkey.scoring.together import Together

__all__ = ["check_run", "complete", "merge_scores", "totals_of"]

_WORDS = {"detector": "the detector", "offkey": "offkey's version", "options": "an option"}


def merge_scores(
    result: str | os.PathLike[str], *, on_rows: Callable[[Sequence[Row]], None] = lambda rows: None
) -> Totals:
    """Make the result of an archive's shards: what a run without shards would have written.

    The detector and the recordings need not be there. A file is made of the parts beside it, which are then removed; a
    folder is found to be complete, and its parts stay as they are.

    Parameters
    ----------
    result
        As for `offkey.Detector.score_to`.
    on_rows
        Called with the rows of each part, as plain data.

    Returns
    -------
    Totals
        How many recordings there are in the result, and the oddest of them.

    Raises
    ------
    ParameterError
        If there are no parts, a shard is missing or has not come to its end, shards differ in the detector, an option
        or the recordings, or another process writes to the parts.
    DatasetError
        If a part is damaged.
    MissingExtraError, OSError
        If the result cannot be written; the parts are then still there.
    """
    path = address_of(result)
    parts = parts_of(path)
    if not parts.folder.exists():
        raise ParameterError(
            f"{parts.folder}: no such folder; expected the result that shards have written parts of; "
            "those of a file are gone once it is made of them"
        )
    if not is_folder(path):
        check_target(path)
    with parts.held(Shard()):
        if parts.is_merged():  # by a merge that was stopped while it removed them
            totals = Totals(each=_has_windows(parts, parts.numbers()))
            parts.clear()
            rows = list(ScoreTable.read(path).rows())
            totals.add(rows)
            on_rows(rows)
            return totals
        if not parts.numbers():
            raise ParameterError(f"{parts.folder}: holds no part of scores; nothing to merge")
        if FDR in parts.receipt(parts.numbers()[0]).run["options"]:
            raise ParameterError(
                f"{parts.folder}: its rows are decided on together, for which the detector is needed: give the command "
                "again that has begun it"
            )
        totals = complete(path, parts, on_rows)
        if not is_folder(path):
            parts.note_merged()
            parts.clear()
    return totals


def complete(
    result: Address,
    parts: Parts,
    on_rows: Callable[[Sequence[Row]], None],
    *,
    top: int | None = None,
    together: Together | None = None,
) -> Totals:
    """Make the result of all parts, which are held and stay; see `merge_scores`.

    Parameters
    ----------
    result, parts, on_rows
        As for `merge_scores`.
    top
        Of so many recordings a file has rows, the oddest; None: of all.
    together
        Decides on all rows together. Those of a folder are written anew where that changes them, a part at a time: as
        what is decided follows from what it does not change, it may be stopped, and repeated, at any moment.
    """
    seen = _check_all(parts)
    if together is not None:
        for number in range(seen.parts):
            rows = parts.rows(number)
            together.add(rows, _windows(parts, number, len(rows)))
    entry = _Entry(
        parts, range(seen.parts), on_rows, most=top or ODDEST, together=together, rewrites=is_folder(result)
    )
    if is_folder(result):
        totals = entry.complete()
        parts.end(Shard(), seen)
        parts.clear_shards()
        return totals
    receipts = [parts.receipt(number) for number in range(seen.parts)]
    windows = [receipt.by_windows for receipt in receipts]
    if top is None and None not in windows:  # no pass beside that of the writing
        _write(result, parts, receipts, entry.rows(), cut=any(windows))
        return entry.complete()
    totals = entry.complete()
    if top is None:
        _write(result, parts, receipts, entry.rows_again(), cut=bool(totals.by_windows))
    else:
        cut = any(row[START] is not None for row in totals.oddest)
        _write(result, parts, receipts, [totals.oddest], cut=cut)
    return totals


def totals_of(
    parts: Parts, numbers: Iterable[int], on_rows: Callable[[Sequence[Row]], None], *, most: int = ODDEST
) -> Totals:
    """Return what there is in some parts, whose rows are handed on."""
    return _Entry(parts, list(numbers), on_rows, most=most).complete()


class _Entry:
    """Enters the rows of parts in totals, and hands them on, while somebody reads them; or all of them by itself."""

    def __init__(
        self,
        parts: Parts,
        numbers: Sequence[int],
        on_rows: Callable[[Sequence[Row]], None],
        *,
        most: int,
        together: Together | None = None,
        rewrites: bool = False,
    ) -> None:
        self._parts, self._numbers, self._on_rows = parts, numbers, on_rows
        self._together, self._rewrites = together, rewrites
        self._totals = Totals(each=_has_windows(parts, numbers), most=most)
        self._rows = self._entered()

    def rows(self) -> Iterator[Sequence[Row]]:
        """Yield the rows of each part once."""
        return self._rows

    def rows_again(self) -> Iterator[Sequence[Row]]:
        """Yield the rows of each part once more."""
        return self._decided()

    def complete(self) -> Totals:
        """Return the totals of all parts, and of what has no row."""
        deque(self._rows, maxlen=0)
        if self._together is not None:
            self._totals.discoveries = self._together.discoveries
        for number in self._numbers:
            skipped = self._parts.receipt(number).skipped
            self._totals.add_skipped(skipped)
            self._on_rows([{"path": name, "error": error} for name, error in skipped])
        return self._totals

    def _entered(self) -> Iterator[Sequence[Row]]:
        for rows in self._decided():
            self._totals.add(rows)
            self._on_rows(rows)
            yield rows

    def _decided(self) -> Iterator[Sequence[Row]]:
        """Yield the rows of each part, as they are decided on."""
        start = 0
        for number in self._numbers:
            rows = self._parts.rows(number)
            if self._together is not None:
                columns = self._together.columns(start, start + len(rows))
                start += len(rows)
                cells = zip(*columns.values(), strict=True)
                decided: list[Mapping[str, Any]] = [
                    {**row, **dict(zip(columns, of_row, strict=True))}
                    for row, of_row in zip(rows, cells, strict=True)
                ]
                if self._rewrites and decided != rows:
                    self._parts.rewrite(number, decided)
                rows = decided
            yield rows


def _windows(parts: Parts, number: int, rows: int) -> Sequence[int]:
    """Return of how many windows each row of a part has the largest score."""
    windows = parts.receipt(number).windows or [1] * rows
    if len(windows) != rows:
        raise ParameterError(
            f"{parts.path(number)}: has {rows} rows, and {len(windows)} were scored: on_part must leave all rows where "
            "they are decided on together"
        )
    return windows


def _has_windows(parts: Parts, numbers: Sequence[int]) -> bool:
    """Say whether a recording that was cut has a row for each window; parts that are gone do not say."""
    return bool(numbers) and parts.receipt(numbers[0]).run["options"]["windows"] == "each"


def check_run(receipt: Receipt, run: Mapping[str, Any], part: Address, advice: str) -> None:
    """Refuse a part that another detector, or other options, have made.

    Raises
    ------
    ParameterError
        If they have.
    """
    differs = next((key for key in run if receipt.run.get(key) != run[key]), None)
    if differs is None:
        return
    was, now = receipt.run.get(differs), run[differs]
    if isinstance(now, dict) and isinstance(was, dict):
        differs = next((key for key in (*now, *was) if was.get(key) != now.get(key)), differs)
        was, now = was.get(differs), now.get(differs)
    raise ParameterError(
        f"{part}: was begun with {_WORDS.get(differs, differs)} {was!r}, now {now!r}: {advice}"
    )


def _check_all(parts: Parts) -> Seen:
    """Return what there is, once all parts are known to be there and to be of one run over one source."""
    ended = parts.ended()
    seen = _seen_by_all(parts, ended)
    numbers = parts.numbers()
    missing = sorted(set(range(seen.parts)).difference(numbers))
    if missing:
        raise ParameterError(_of_missing(parts, missing, ended, seen))
    receipts = [parts.receipt(number) for number in numbers]
    for number, receipt in zip(numbers, receipts, strict=True):
        advice = "shards of one result must agree; run those again that are wrong, with restart=True"
        check_run(receipt, receipts[0].run, parts.path(number), advice)
    if len({receipt.on_error for receipt in receipts if receipt.on_error}) > 1:
        raise ParameterError(
            f"{parts.folder}: recordings without a score have rows in some parts and none in others; shards of one "
            "result must agree in on_error; run those again that are wrong, with restart=True"
        )
    if Seen.of((receipt.recordings, receipt.names) for receipt in receipts) != seen:
        raise ParameterError(
            f"{parts.folder}: parts are of other recordings than those that {_named(ended)} saw at the end; run all "
            "shards again over the same recordings, with restart=True"
        )
    return seen


def _seen_by_all(parts: Parts, ended: Mapping[Shard, Seen]) -> Seen:
    if not ended:
        raise ParameterError(f"{parts.folder}: no shard has come to its end; run each of them again")
    (first, seen), *others = ended.items()
    for shard, other in others:
        if other != seen:
            raise ParameterError(
                f"{parts.folder}: shard {first} saw {seen.recordings} recordings, and shard {shard} "
                f"{other.recordings}, or others: shards of one result must be of the same recordings; run them again"
            )
    return seen


def _of_missing(parts: Parts, missing: list[int], ended: Mapping[Shard, Seen], seen: Seen) -> str:
    of = max(shard.of for shard in ended)
    shards = sorted({part % of + 1 for part in missing})
    listed = ", ".join(f"{number}/{of}" for number in shards)
    return (
        f"{parts.folder}: {len(missing)} of {seen.parts} parts are missing, those of shard{'s' * (len(shards) > 1)} "
        f"{listed}, which {'have' if len(shards) > 1 else 'has'} not come to the end: run again what is missing"
    )


def _named(ended: Mapping[Shard, Seen]) -> str:
    return ", ".join(f"shard {shard}" for shard in ended)


def _write(
    result: Address,
    parts: Parts,
    receipts: Sequence[Receipt],
    groups: Iterable[Sequence[Row]],
    *,
    cut: bool,
) -> None:
    """Write the one file of rows of all parts: the same that a table of them would have written."""
    columns = [name for name in receipts[0].columns if name != START or cut]
    recordings = sum(receipt.recordings for receipt in receipts)
    about = {KEY: {"recordings": recordings, "run": receipts[0].run}}
    write(columns, groups, result, parts.place.scratch_folder(), about)
