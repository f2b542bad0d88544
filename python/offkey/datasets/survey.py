"""How many recordings there are of what, at which rates, channels and lengths, by their headers alone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from offkey._util.text_table import text_table
from offkey._util.threads import cores, threads
from offkey._util.words import reason, shortlist
from offkey.datasets.labels import LABEL_NAMES
from offkey.datasets.passed_over import PassedOver, any_unread, endings, notes_on
from offkey.errors import OffkeyError
from offkey.signal.audio import AudioInfo, info

if TYPE_CHECKING:
    from offkey.datasets.clips import Clip

__all__ = ["Progress", "Survey", "SurveyKey", "SurveyRow", "Surveyor", "read_headers", "survey_of"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with how many recordings are done, and of how many; None where nobody knows before the last."""

_MOST_VALUES = 6
_MOST_ROWS = 40  # of a table for a person
_HEADERS_AT_ONCE = 1024
_HEADERS_A_TASK = 64


class SurveyKey(NamedTuple):
    """What recordings of one row have in common."""

    machine_type: str | None = None
    machine_id: str | None = None
    split: Literal["train", "test"] | None = None
    label: Literal[0, 1] | None = None
    domain: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SurveyRow:
    """Recordings of one machine, ID, split, label and domain."""

    key: SurveyKey
    recordings: int
    """Those that cannot be read, too."""
    unreadable: int
    sample_rates: dict[int, int]
    """Hz -> recordings."""
    channels: dict[int, int]
    """Number of channels -> recordings."""
    formats: dict[str, int]
    """Container and coding, such as ``WAV PCM_16`` -> recordings."""
    shortest_s: float | None
    """None where no header has a length."""
    longest_s: float | None
    total_s: float
    """Of the recordings whose header has a length."""
    without_length: int
    """Recordings whose header has none, as some of MP3."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was seen: recordings, and what was passed over."""

    rows: tuple[SurveyRow, ...]
    passed_over: tuple[PassedOver, ...] = ()
    """Files that cannot be read, too, as far as their headers tell."""
    root: Path | None = None
    layout: str | None = None
    notes: tuple[str, ...] = ()
    refusal: str | None = None
    """Why nothing can be learned from the folder as it is; the rows then are what its names say."""

    @property
    def recordings(self) -> int:
        """The number of recordings."""
        return sum(row.recordings for row in self.rows)

    @property
    def machines(self) -> dict[str, list[str]]:
        """The IDs of each machine type; ``?`` for recordings without."""
        ids: dict[str, set[str]] = {}
        for row in self.rows:
            ids.setdefault(row.key.machine_type or "?", set()).add(row.key.machine_id or "?")
        return {machine_type: sorted(ids[machine_type]) for machine_type in sorted(ids)}

    @property
    def unread(self) -> bool:
        """Whether something that is or may be a recording could not be read."""
        return any_unread(self.passed_over)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {
            "layout": self.layout,
            "recordings": self.recordings,
            "machines": self.machines,
            "rows": [
                row.key._asdict()
                | {
                    field.name: getattr(row, field.name)
                    for field in dataclasses.fields(row)
                    if field.name != "key"
                }
                for row in self.rows
            ],
            "passed_over": [
                {"path": str(passed.path), "kind": passed.kind, "why": passed.why}
                for passed in self.passed_over
            ],
            "notes": list(self.notes),
            "refusal": self.refusal,
        }

    def summary(self) -> str:
        """Return in one line how many recordings there are, and how they were recorded."""
        rates, channels = Counter[int](), Counter[int]()
        for row in self.rows:
            rates.update(row.sample_rates)
            channels.update(row.channels)
        total_s = sum(row.total_s for row in self.rows)
        parts = [
            f"{self.recordings} recording{'s' * (self.recordings != 1)}",
            *([_duration(total_s)] if total_s else []),
            *([f"{_counts(rates)} Hz"] if rates else []),
            *([f"channels: {_counts(channels)}"] if channels else []),
        ]
        return ", ".join(parts)

    def table(self) -> str:
        """Return the recordings as a table for a person to read, without columns that say nothing."""
        rows = [_cells(row) for row in self.rows]
        names = [name for name in rows[0] if any(cells[name] for cells in rows)] if rows else []
        shown = text_table([names], [[cells[name] for name in names] for cells in rows[:_MOST_ROWS]])
        rest = len(rows) - _MOST_ROWS
        return shown + (f"and {rest} rows more\n" if rest > 0 else "")

    def to_text(self) -> str:
        """Return all for a person to read."""
        others = [passed for passed in self.passed_over if passed.kind == "other"]
        lines = [
            *notes_on(self.passed_over, root=self.root),
            *([f"other files: {sum(p.count for p in others)} ({endings(others)})"] if others else []),
            *self.notes,
            *([f"nothing is learned from this as it is: {self.refusal}"] if self.refusal else []),
        ]
        return "\n".join([self.table(), *(f"- {line}" for line in lines)]).rstrip("\n") + "\n"


class Surveyor:
    """Counts recordings, one after the other."""

    def __init__(self) -> None:
        self._tallies: dict[SurveyKey, _Tally] = {}
        self._unreadable: list[PassedOver] = []

    def add(self, key: SurveyKey, header: AudioInfo | Exception | None, *, path: Path | None = None) -> None:
        """Enter one recording: its header, why that cannot be read, or None where it has none or was not read."""
        tally = self._tallies.setdefault(key, _Tally())
        tally.recordings += 1
        if isinstance(header, Exception):
            tally.unreadable += 1
            if path is not None:
                self._unreadable.append(PassedOver(path=path, why=reason(header), kind="file"))
        elif header is not None:
            tally.add(header)

    def join(self, others: Surveyor) -> None:
        """Enter what was counted elsewhere."""
        for key, tally in others._tallies.items():
            self._tallies.setdefault(key, _Tally()).join(tally)
        self._unreadable += others._unreadable

    def add_all(
        self, recordings: Iterable[tuple[str | None, Literal[0, 1] | None, AudioInfo | None]]
    ) -> None:
        """Enter recordings by their ID, label and header, of which most are like others."""
        for (machine_id, label, header), count in Counter(recordings).items():
            tally = self._tallies.setdefault(SurveyKey(machine_id=machine_id, label=label), _Tally())
            tally.recordings += count
            if header is not None:
                tally.add(header, count)

    def survey(self, *, passed_over: Iterable[PassedOver] = (), **about: Any) -> Survey:
        """Return what was counted.

        Parameters
        ----------
        passed_over
            What was passed over beside.
        **about
            Other fields of `Survey`.
        """
        rows = (tally.row(key) for key, tally in self._tallies.items())
        ordered = sorted(rows, key=lambda row: tuple(str(part) for part in row.key))
        return Survey(rows=tuple(ordered), passed_over=(*self._unreadable, *passed_over), **about)


def survey_of(
    clips: Sequence[Clip],
    *,
    passed_over: Iterable[PassedOver] = (),
    num_threads: int | None = None,
    on_progress: Progress | None = None,
    **about: Any,
) -> Survey:
    """Return the survey of clips, whose headers are read; see `read_headers` and `Surveyor.survey`."""
    surveyor = Surveyor()
    headers = read_headers([clip.path for clip in clips], num_threads=num_threads, on_progress=on_progress)
    for clip, header in zip(clips, headers, strict=True):
        key = SurveyKey(clip.machine_type, clip.machine_id, clip.split, clip.label, clip.domain)
        surveyor.add(key, header, path=clip.path)
    return surveyor.survey(passed_over=passed_over, **about)


class _Tally:
    def __init__(self) -> None:
        self.recordings = self.unreadable = self.without_length = 0
        self.sample_rates: Counter[int] = Counter()
        self.channels: Counter[int] = Counter()
        self.formats: Counter[str] = Counter()
        self.shortest_s: float | None = None
        self.longest_s: float | None = None
        self.total_s = 0.0

    def add(self, header: AudioInfo, count: int = 1) -> None:
        self.sample_rates[header.sample_rate] += count
        self.channels[header.channels] += count
        self.formats[f"{header.format} {header.subtype}"] += count
        seconds = header.duration_s
        if seconds is None:
            self.without_length += count
            return
        self._span(seconds, seconds)
        self.total_s += seconds * count

    def join(self, other: _Tally) -> None:
        self.recordings += other.recordings
        self.unreadable += other.unreadable
        self.without_length += other.without_length
        self.sample_rates += other.sample_rates
        self.channels += other.channels
        self.formats += other.formats
        if other.shortest_s is not None and other.longest_s is not None:
            self._span(other.shortest_s, other.longest_s)
        self.total_s += other.total_s

    def _span(self, shortest_s: float, longest_s: float) -> None:
        self.shortest_s = shortest_s if self.shortest_s is None else min(self.shortest_s, shortest_s)
        self.longest_s = longest_s if self.longest_s is None else max(self.longest_s, longest_s)

    def row(self, key: SurveyKey) -> SurveyRow:
        return SurveyRow(
            key=key,
            recordings=self.recordings,
            unreadable=self.unreadable,
            sample_rates=dict(sorted(self.sample_rates.items())),
            channels=dict(sorted(self.channels.items())),
            formats=dict(sorted(self.formats.items())),
            shortest_s=self.shortest_s,
            longest_s=self.longest_s,
            total_s=self.total_s,
            without_length=self.without_length,
        )


def read_headers(
    paths: Sequence[Path],
    *,
    num_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Iterator[AudioInfo | Exception]:
    """Yield the header of each file, or why it cannot be read; nothing behind it is read.

    Parameters
    ----------
    paths
        The files.
    num_threads
        Files opened side by side, which pays where a disk is far; by default as many as there are cores.
    on_progress
        Called with (done, total) files.
    """
    with ThreadPoolExecutor(threads(num_threads) or cores()) as pool:
        for first in range(0, len(paths), _HEADERS_AT_ONCE):
            portion = paths[first : first + _HEADERS_AT_ONCE]
            tasks = [portion[i : i + _HEADERS_A_TASK] for i in range(0, len(portion), _HEADERS_A_TASK)]
            for headers in pool.map(_headers, tasks):
                yield from headers
            if on_progress is not None:
                on_progress(first + len(portion), len(paths))


def _headers(paths: Sequence[Path]) -> list[AudioInfo | Exception]:
    return [_header(path) for path in paths]


def _header(path: Path) -> AudioInfo | Exception:
    try:
        return info(path)
    except (OffkeyError, OSError) as error:
        return error


def _cells(row: SurveyRow) -> dict[str, str]:
    key = row.key
    return {
        "machine": key.machine_type or "",
        "ID": key.machine_id or "?",
        "domain": key.domain or "",
        "split": key.split or "",
        "label": "?" if key.label is None else LABEL_NAMES[key.label],
        "recordings": str(row.recordings),
        "unreadable": str(row.unreadable or ""),
        "length": _span(row),
        "Hz": _counts(row.sample_rates),
        "channels": _counts(row.channels),
    }


def _counts(counts: Mapping[int, int]) -> str:
    """Return the values in words, with how many there are of each where they differ."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    return shortlist((f"{value} ({counts[value]})" for value in sorted(counts)), most=_MOST_VALUES)


def _span(row: SurveyRow) -> str:
    if row.shortest_s is None or row.longest_s is None:
        return "not in headers" if row.without_length else ""
    ends = list(dict.fromkeys(_duration(seconds) for seconds in (row.shortest_s, row.longest_s)))
    return " to ".join(ends) + (f", {row.without_length} not in headers" if row.without_length else "")


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
