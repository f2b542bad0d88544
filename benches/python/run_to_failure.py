"""When `offkey trend` says that a bearing is failing, on records of bearings that ran until they failed.

    python benches/python/run_to_failure.py TREE [--minutes 30 | --part 0.5] [--run-length 8760] [--keep FOLDER]

TREE is the data of the IEEE PHM 2012 challenge (FEMTO-ST, PRONOSTIA): folders ``Learning_set`` and ``Full_Test_Set``
with a folder for each of 17 bearings, in which ``acc_00001.csv`` and so on have a tenth of a second of acceleration at
25.6 kHz, one every ten seconds. Six of them, put together, are one recording a minute, of the horizontal sensor. The
bearings of an operating condition are machines of one type; recipe `spectral` as it is learns the first --minutes of
each, or the first --part of its life, which nobody knows before its end. What comes after is scored and followed. A
bearing was stopped when its vibration exceeded 20 g.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

import offkey
from offkey.datasets import folder

RATE = 25_600
SNAPSHOTS = 6  # of a recording
MINUTE = np.timedelta64(1, "m")
START = np.datetime64("2012-01-01T00:00", "m")  # the runs are counted from here


def bearings(tree: Path) -> dict[str, dict[str, Path]]:
    """Return the folders of bearings by operating condition and by ID."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(tree.glob("*/Bearing[1-3]_*")):
        condition, number = re.fullmatch(r"Bearing(\d)_(\d)", path.name).groups()
        if path.parent.name in ("Learning_set", "Full_Test_Set"):
            found.setdefault(condition, {})[f"0{number}"] = path
    return found


def recordings(bearing: Path) -> list[np.ndarray]:
    """Return the recordings of a bearing, one a minute, as samples in parts of 50 g."""
    snapshots = []
    for path in sorted(bearing.glob("acc_*.csv")):
        text = path.read_text().replace(";", ",")
        snapshots.append(np.array([float(line.split(",")[4]) for line in text.splitlines()]) / 50)
    whole = len(snapshots) // SNAPSHOTS * SNAPSHOTS
    return [np.concatenate(snapshots[at : at + SNAPSHOTS]) for at in range(0, whole, SNAPSHOTS)]


def scored(
    machines: dict[str, Path], minutes: int, part_of_life: float | None, work: Path
) -> tuple[offkey.ScoreTable, dict[str, int]]:
    """Learn the first minutes of each bearing; score all others. Return how many were learned of each, too."""
    later: list[Path] = []
    learned = {}
    for machine_id, bearing in machines.items():
        sounds = recordings(bearing)
        learned[machine_id] = minutes if part_of_life is None else int(part_of_life * len(sounds))
        for minute, samples in enumerate(sounds):
            time = str(START + minute * MINUTE).replace("T", "_").replace(":", "-")
            part = "train" if minute < learned[machine_id] else "later"
            path = work / part / f"normal_id_{machine_id}_{time}.wav"
            path.parent.mkdir(exist_ok=True)
            sf.write(path, samples, RATE, subtype="FLOAT")
            if part == "later":
                later.append(path)
    detector = offkey.Detector(offkey.Recipe.named("spectral")).fit(folder(work / "train"))
    return detector.score(later), learned


def row(
    name: str, machine: offkey.MachineTrend, table: offkey.ScoreTable, at: np.ndarray, minutes: int
) -> str:
    """Return a line of the table: minutes are counted from the start of the run."""
    total = minutes + int(at.sum())
    when = [int((alarm.at - START) / MINUTE) for alarm in machine.alarms]
    since = [int((alarm.since - START) / MINUTE) for alarm in machine.alarms]
    ends = "goes on" if machine.state == "alarm" else "over"
    alarm = f"{when[0]}, from {since[0]}" if when else "none"
    called = table.decision[at] == 1
    first_hour = called[:60]
    cells = [
        name,
        f"{total}",
        alarm,
        f"{total - when[0]}" if when else "",
        f"{len(when)}, the last {ends}" if when else "",
        f"{100 * first_hour.mean():.0f}",
        f"{100 * called[-10:].mean():.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--minutes", type=int, default=30, help="of each bearing that are learned")
    parser.add_argument("--part", type=float, help="of the life of each bearing that is learned instead")
    parser.add_argument("--run-length", type=int, default=8760)
    parser.add_argument("--keep", type=Path, help="write the scores into this folder")
    options = parser.parse_args()
    print(
        "| bearing | ran, min | first alarm, min | before the end | alarms | called in the hour after training, % "
        "| in the last 10 min, % |\n" + "|---" * 7 + "|"
    )
    for condition, machines in bearings(options.tree).items():
        with tempfile.TemporaryDirectory() as work:
            table, learned = scored(machines, options.minutes, options.part, Path(work))
        if options.keep:
            table.write(options.keep / f"condition-{condition}.csv")
        ids = np.array(table.machine_id)
        trends = {
            trend.machine_id: trend for trend in offkey.trend(table, run_length=options.run_length).machines
        }
        for machine_id in machines:
            name = f"{condition}_{machine_id[1:]}"
            print(row(name, trends[machine_id], table, ids == machine_id, learned[machine_id]), flush=True)


if __name__ == "__main__":
    main()
