"""Decisions on all recordings together, however many: what each row's p-value is made of, in a few numbers for each."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offkey._util.files import encoded
from offkey.scoring.false_discovery import Discoveries
from offkey.scoring.null import Judged, NullDistributions

__all__ = ["Together", "recording_key"]

_AT_ONCE = 1 << 14
_WINDOWS = 1 << 63
"""In the key of a recording that has a row for each of its windows."""


def recording_key(name: str) -> int:
    """Return the number of a recording whose windows have rows; two names have the same once in 10 million millions."""
    digest = hashlib.blake2b(encoded(name), digest_size=8).digest()
    return int.from_bytes(digest, "little") | _WINDOWS


class Together:
    """Decides on rows by a false discovery rate: by ranks among calibration clips, or by a tail where these are coarse.

    Of each row four numbers are kept, from which its p-value is computed when it is needed.

    Parameters
    ----------
    null
        What scores are compared with.
    rate
        The false-alarm rate that p-values serve for, unless no recording can be found by these.
    fdr
        The false discovery rate.
    """

    def __init__(self, null: NullDistributions, *, rate: float, fdr: float) -> None:
        self._null, self._rate, self._fdr = null, rate, fdr
        self._scores = array("d")
        self._windows = array("i")
        self._ids = array("i")
        self._keys = array("Q")
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._discoveries: Discoveries | None = None
        self.note: str | None = None
        """What is to be said of the p-values."""

    def add(self, rows: Iterable[Mapping[str, Any]], windows: Iterable[int]) -> None:
        """Enter rows of a table, as plain data, and of how many windows the score of each is the largest."""
        for row in rows:
            score = row.get("anomaly_score")
            name = row["machine_id"] or "?"
            if name not in self._numbers:
                self._numbers[name] = len(self._names)
                self._names.append(name)
            self._ids.append(self._numbers[name])
            self._keys.append(len(self._scores) if row.get("start_s") is None else recording_key(row["path"]))
            self._scores.append(np.nan if score is None else score)
        self._windows.extend(windows)

    @property
    def discoveries(self) -> Discoveries:
        """What is found among all rows that were entered."""
        if self._discoveries is None:
            recordings = self._recordings()
            found = self._among(recordings)
            if not found.called and found.recordings and found.least_findable != 1:
                self._rate = self._fdr / np.count_nonzero(~np.isnan(self._scores))
                least = "none" if found.least_findable is None else f"no fewer than {found.least_findable}"
                self.note = (
                    f"false discovery: by ranks among calibration clips {least} of {found.recordings} recordings could "
                    "be found, and none is: p-values come from a tail that is fitted to the clips' scores "
                    "(calibration: tail): estimates"
                )
                found = self._among(recordings)
            self._discoveries = found
        return self._discoveries

    def columns(self, start: int, stop: int) -> dict[str, list[Any]]:
        """Return what is decided of some rows, by the column of a table; None where there is no score."""
        decisions = self.discoveries.decisions[start:stop].tolist()
        at, judged = self._judged(start, stop)
        columns: dict[str, list[Any]] = {
            name: [None] * (stop - start) for name in ("p_value", "calibration", "calibration_clips")
        }
        cells = zip(judged.p_value.tolist(), judged.calibration, judged.clips.tolist(), strict=True)
        for row, (p_value, kind, clips) in zip(at.tolist(), cells, strict=True):
            columns["p_value"][row], columns["calibration"][row] = p_value, kind
            columns["calibration_clips"][row] = clips
        decided = [None if decision < 0 else decision for decision in decisions]
        return {"decision": decided, "threshold": [None] * (stop - start), **columns}

    def _among(self, recordings: NDArray[np.int64]) -> Discoveries:
        p_values, smallest = np.full((2, len(self._scores)), np.nan)
        for start, stop in self._chunks():
            at, judged = self._judged(start, stop)
            p_values[start + at] = judged.p_value
            ranks = np.array([kind != "tail" for kind in judged.calibration], dtype=bool)
            counts = np.array(self._windows[start:stop])[at]
            smallest[start + at] = np.minimum(1.0, counts * (ranks / (1 + judged.clips)))
        return Discoveries.among(p_values, smallest_p=smallest, recordings=recordings, rate=self._fdr)

    def _judged(self, start: int, stop: int) -> tuple[NDArray[np.int64], Judged]:
        """Return which of some rows have scores, counted from the first of them, and what these are judged to be."""
        scores = np.array(self._scores[start:stop])
        at = np.flatnonzero(~np.isnan(scores))
        names: Sequence[str] = [self._names[self._ids[start + row]] for row in at.tolist()]
        counts = np.array(self._windows[start:stop], dtype=np.int64)[at]
        return at, self._null.judge(scores[at], names, rate=self._rate, windows=counts)

    def _chunks(self) -> Iterator[tuple[int, int]]:
        count = len(self._scores)
        return ((start, min(count, start + _AT_ONCE)) for start in range(0, count, _AT_ONCE))

    def _recordings(self) -> NDArray[np.int64]:
        """Return of which recording each row is, numbered from 0."""
        keys = np.frombuffer(self._keys, dtype=np.uint64)
        if not (keys >= _WINDOWS).any():
            return np.arange(len(keys))
        return np.unique(keys, return_inverse=True)[1].astype(np.int64)
