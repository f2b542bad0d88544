"""What the trend of machines says: a line for each machine, as text, JSON and CSV."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offkey._util.csv_text import to_csv
from offkey._util.files import check_writable, ending_of, write_text
from offkey._util.text_table import text_table

__all__ = ["Alarm", "MachineTrend", "Trends", "check_target"]

_ENDINGS = (".csv", ".json", ".txt")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm of a machine."""

    since: np.datetime64
    """The first recording of the evidence that raised it: about when the change began."""
    at: np.datetime64
    """The recording that raised it."""
    until: np.datetime64 | None
    """The recording at which it was over; None while it goes on."""
    path: str
    """The recording that raised it."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MachineTrend:
    """The recordings of a machine that have a p-value, in the order of time."""

    machine_type: str | None
    machine_id: str | None
    rows: NDArray[np.int64]
    """``(recordings,)``: their rows in the table of scores."""
    times: NDArray[np.datetime64]
    """``(recordings,)`` datetime64[us]; so are the others."""
    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    p_values: NDArray[np.float64]
    evidence: NDArray[np.float64]
    """From 0 to the run length, at which there is an alarm."""
    alarms: tuple[Alarm, ...]
    missing: int
    """Recordings without a p-value, which are left out."""
    calibration: tuple[str, ...]
    """What the p-values come from: ``own``, ``pooled``, ``tail``."""
    calibration_clips: tuple[int, ...]
    worst_of_windows: int
    """Long recordings that stand in the table with their worst window alone."""
    soonest: int | None
    """After so many recordings, each odder than all calibration clips, there is an alarm; None: never."""

    @property
    def name(self) -> str:
        """Type and ID."""
        return " ".join(filter(None, (self.machine_type, self.machine_id))) or "(no ID)"

    @property
    def state(self) -> str:
        """``alarm`` while one goes on, else ``quiet``; ``unknown`` without a recording."""
        if not len(self.times):
            return "unknown"
        return "alarm" if self.alarms and self.alarms[-1].until is None else "quiet"

    def notes(self) -> Iterator[str]:
        """Yield what a user should know."""
        count = len(self.times)
        if self.missing:
            yield f"{self.missing} of {count + self.missing} recordings have no score and are left out"
        if not count:
            return
        equal = count - len(np.unique(self.times))
        if equal:
            yield f"{equal} recordings have the time of another one; these keep the order of their rows"
        if self.soonest is None or count < self.soonest:
            least = f"{self.soonest} or more" if self.soonest else "more than 10,000"
            yield (
                f"{_plural(count, 'recording')}: too few for an alarm, which takes {least} with "
                f"{_plural(max(self.calibration_clips), 'calibration clip')}"
            )
        if self.machine_id is None:
            yield "recordings without an ID are taken for those of one machine"
        if "pooled" in self.calibration or "tail" in self.calibration:
            own = (
                ""
                if self.machine_id is None
                else "; score at a higher false-alarm rate for ranks among its own"
            )
            yield (
                "p-values come from the clips of all IDs, so the run length holds as far as these stand for this "
                f"machine{own}"
            )
        if self.worst_of_windows:
            yield (
                f"{self.worst_of_windows} long recordings have the p-value of their worst window, for which the run "
                "length holds on average over calibration sets, not for nearly each; score each window instead"
            )

    def summary(self) -> dict[str, Any]:
        """Return the machine's line as plain data."""
        last = self.alarms[-1] if self.alarms else None
        return {
            "machine_type": self.machine_type,
            "machine_id": self.machine_id,
            "recordings": len(self.times),
            "missing": self.missing,
            "first": _iso(self.times[0]) if len(self.times) else None,
            "last": _iso(self.times[-1]) if len(self.times) else None,
            "alarms": len(self.alarms),
            "last_alarm": _iso(last.at) if last else None,
            "last_alarm_since": _iso(last.since) if last else None,
            "last_alarm_until": _iso(last.until) if last and last.until is not None else None,
            "evidence": float(self.evidence[-1]) if len(self.times) else None,
            "state": self.state,
        }


@dataclasses.dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Trends:
    """Alarms of machines."""

    run_length: float
    """While a machine is healthy, an alarm takes this many recordings or more, on average ..."""
    delta: float
    """... for at least a part 1 - delta of calibration sets."""
    times: str
    """Where the times come from."""
    machines: tuple[MachineTrend, ...]

    @property
    def alarmed(self) -> tuple[MachineTrend, ...]:
        """The machines with an alarm that goes on."""
        return tuple(machine for machine in self.machines if machine.state == "alarm")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of each machine."""
        return tuple(f"{machine.name}: {note}" for machine in self.machines for note in machine.notes())

    def to_text(self) -> str:
        """Return a plain table for a terminal."""
        return _to_text(self)

    def to_json(self) -> str:
        """Return everything but the single recordings as JSON text, null for what there is not."""
        machines = [
            machine.summary()
            | {
                "alarms": [
                    {
                        "at": _iso(alarm.at),
                        "since": _iso(alarm.since),
                        "until": None if alarm.until is None else _iso(alarm.until),
                        "path": alarm.path,
                    }
                    for alarm in machine.alarms
                ],
                "calibration": list(machine.calibration),
                "calibration_clips": list(machine.calibration_clips),
                "soonest": machine.soonest,
            }
            for machine in self.machines
        ]
        content = {
            "run_length": self.run_length,
            "delta": self.delta,
            "times": self.times,
            "machines": machines,
            "notes": list(self.notes),
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return a line for each machine, with a header; times as in 2024-05-01T12:30:00."""
        lines = [machine.summary() for machine in self.machines]
        return to_csv([list(lines[0]) if lines else [], *(list(line.values()) for line in lines)])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write CSV, JSON or plain text by the file's ending, whole or not at all.

        Raises
        ------
        ParameterError
            If the ending is none of ``.csv``, ``.json``, ``.txt``.
        OSError
            If the file cannot be written.
        """
        forms = {".csv": self.to_csv, ".json": self.to_json, ".txt": self.to_text}
        write_text(Path(path), forms[ending_of(Path(path), _ENDINGS)]())


def check_target(path: Path) -> None:
    """Find out whether trends could be written to `path`.

    Raises
    ------
    ParameterError, OSError
        As `Trends.write`.
    """
    ending_of(path, _ENDINGS)
    check_writable(path)


def _to_text(trends: Trends) -> str:
    header = ["machine", "recordings", "no score", "first", "last", "alarms", "last alarm", "since", "until"]
    lines = []
    for machine in trends.machines:
        line = machine.summary()
        cells = [machine.name, str(line["recordings"]), str(line["missing"]), line["first"], line["last"]]
        cells += [str(line["alarms"]), line["last_alarm"], line["last_alarm_since"], line["last_alarm_until"]]
        evidence = "" if line["evidence"] is None else f"{line['evidence']:.3g}"
        lines.append([_spaced(cell) for cell in cells] + [evidence, line["state"]])
    table = text_table([[*header, "evidence", "state"]], lines)
    promise = (
        f"While a machine is healthy, an alarm takes {trends.run_length:g} recordings or more on average, for "
        f"{1 - trends.delta:.4g} of calibration sets.\nTimes: {trends.times}.\n"
    )
    return f"{promise}\n{table}" + "".join(f"\n{note}" for note in trends.notes) + "\n" * bool(trends.notes)


def _spaced(cell: str | None) -> str:
    return (cell or "").replace("T", " ") if cell and cell[:4].isdigit() else cell or ""


def _iso(time: np.datetime64) -> str:
    """Return a time without the fractions that it has not."""
    return str(np.datetime_as_string(time, unit="us")).removesuffix(".000000")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
