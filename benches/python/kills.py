"""What it costs that `offkey score` is killed: at many random moments, each time started again by the same command.

    python benches/python/kills.py [--kills 100] [--recordings 20480] [--seconds 0.5] [--result scores.csv]
    python benches/python/kills.py --ray [--recordings 40960]

The recordings are links to 64 clips of noise of two IDs, the detector is `spectral`. A run that was not killed gives
the bytes that are expected, its time and how far it reads. Then runs are killed by SIGKILL at moments drawn evenly
from that time (from a seed), and started again, until they come to an end; the result is compared, removed, and begun
anew, until there were so many kills. What the kills cost is what all runs took beyond those that were not killed. How
many recordings were read twice is told by the bytes that killed processes had read (Linux), without those of a start.

With --ray the workers of a cluster of this machine score: once undisturbed, once with a worker killed half-way, and
once with the command killed half-way and given again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

import offkey
from offkey._util.files import write_text
from offkey._util.json_text import to_json
from offkey.archive import PART_RECORDINGS

CLIPS, IN_FOLDER, RATE = 64, 1000, 16_000


@dataclasses.dataclass
class Run:
    """A process that scores, from its start to its end."""

    seconds: float
    processor_s: float
    read_bytes: int
    was_killed: bool


def prepared(folder: Path, recordings: int, seconds: float) -> list[str]:
    """Make a detector and recordings; return the command that scores them, without its result."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(CLIPS):
        clips.append(folder / "clips" / f"id_0{number % 2}_{number:02d}.wav")
        clips[-1].parent.mkdir(exist_ok=True)
        sf.write(clips[-1], 0.1 * rng.standard_normal(int(seconds * RATE)), RATE)
    detector = folder / "noise.offkey"
    offkey.Detector().fit(offkey.datasets.folder(folder / "clips")).save(detector)
    for number in range(recordings):
        clip = clips[number % CLIPS]
        place = folder / "wav" / f"{number // IN_FOLDER:04d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:07d}_{clip.name}").symlink_to(clip)
    return [sys.executable, "-m", "offkey", "score", str(detector), str(folder / "wav"), "--out"]


def bytes_read(process: int) -> int:
    """Return how many bytes a process has read so far; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/io").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("rchar")), 0)


def scored(command: Sequence[str], kill_after_s: float | None = None) -> Run:
    """Run a command, and kill it if it has not ended by then.

    Raises
    ------
    RuntimeError
        If it ends otherwise.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    read, pid = 0, 0
    while not pid:
        read = max(read, bytes_read(process.pid))
        if kill_after_s is not None and time.perf_counter() - started > kill_after_s:
            process.kill()
            kill_after_s = None
        time.sleep(0.005)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{' '.join(command)}: ended with {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, read, process.returncode != 0)


def content(result: Path) -> dict[str, bytes]:
    """Return the bytes of a result: of the file, or of the files of data in the folder."""
    files = sorted(result.glob("[!_]*")) if result.is_dir() else [result]
    return {file.name: file.read_bytes() for file in files}


def remove(result: Path) -> None:
    """Remove a result."""
    shutil.rmtree(result) if result.is_dir() else result.unlink()


def killed(command: Sequence[str], result: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill runs so many times; return what that cost."""
    command = [*command, str(result), "--threads", "1"]
    scored(command)  # it fills the file cache
    remove(result)
    alone = scored(command)
    expected = content(result)
    remove(result)
    one = Path(command[5]) / "0000"
    recording = next(one.iterdir())
    start = scored([*command[:5], str(recording), *command[6:]])
    remove(result)
    moments = iter(np.random.default_rng(seed).uniform(0, alone.seconds, 100 * kills).tolist())
    lost: list[Run] = []
    all_s, all_processor_s, ended, resumed = 0.0, 0.0, 0, 0
    parts = result if not result.suffix else result.with_name(f"{result.name}.parts")
    run = alone
    while len(lost) < kills or run.was_killed:
        before = len(list(parts.glob("part-*")))
        run = scored(command, next(moments) if len(lost) < kills else None)
        all_s, all_processor_s = all_s + run.seconds, all_processor_s + run.processor_s
        print(f"{len(lost)}: {run}", file=sys.stderr, flush=True)
        if run.was_killed:
            lost.append(run)
            continue
        if content(result) != expected:
            raise RuntimeError(f"{result}: not what an undisturbed run gives")
        remove(result)
        ended, resumed = ended + 1, resumed + before
    read = sum(max(0, run.read_bytes - start.read_bytes) for run in lost) / recording.stat().st_size
    return {
        "kills": len(lost),
        "results_that_were_the_same": ended,
        "left_behind": [path.name for path in result.parent.iterdir()],
        "undisturbed": dataclasses.asdict(alone),
        "start": dataclasses.asdict(start),
        "extra_s_per_kill": round((all_s - ended * alone.seconds) / len(lost), 3),
        "extra_processor_s_per_kill": round((all_processor_s - ended * alone.processor_s) / len(lost), 3),
        "read_twice_per_kill": round((read - resumed * PART_RECORDINGS) / len(lost)),
        "median_life_s": round(statistics.median(run.seconds for run in lost), 2),
    }


def workers_below(process: int) -> list[int]:
    """Return the processes of Ray's workers that score, below a process."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(stat[1]), words
    below, found = {process}, []
    while more := {child for child, (parent, _) in parents.items() if parent in below} - below:
        below |= more
        found += [child for child in more if parents[child][1].startswith(b"ray::Worker")]
    return found


def on_a_cluster(command: Sequence[str], result: Path, recordings: int) -> list[dict[str, object]]:
    """Return how long two workers on this machine take: undisturbed, one of them killed, the command killed."""
    rows: list[dict[str, object]] = []
    expected: dict[str, bytes] = {}
    command = [*command, str(result), "--engine", "ray", "--workers", "2"]
    for what in ("undisturbed", "a worker is killed", "the command is killed"):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        row: dict[str, object] = {"what": what}
        if what != "undisturbed":
            there = half_way(process, result.with_name(f"{result.name}.parts"), recordings)
            row |= {"parts_when_killed": there, "s_when_killed": round(time.perf_counter() - started, 2)}
            os.kill(workers_below(process.pid)[0] if "worker" in what else process.pid, signal.SIGKILL)
        if "command" in what:
            process.wait()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if process.wait():
            raise RuntimeError(f"{what}: ended with {process.returncode}")
        expected = expected or content(result)
        if content(result) != expected:
            raise RuntimeError(f"{what}: not what an undisturbed run gives")
        remove(result)
        rows.append(row | {"s": round(time.perf_counter() - started, 2)})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def half_way(process: subprocess.Popen[bytes], parts: Path, recordings: int) -> int:
    """Wait until half of the parts are there; return how many that are."""
    while (there := len(list(parts.glob("part-*")))) < recordings / PART_RECORDINGS / 2:
        if process.poll() is not None:
            raise RuntimeError(f"{parts}: ended with {process.returncode}, before it was killed")
        time.sleep(0.02)
    return there


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--recordings", type=int, default=5 * PART_RECORDINGS)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of each")
    parser.add_argument("--result", default="scores.csv", help="a name with an ending, or of a folder")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command = prepared(folder, arguments.recordings, arguments.seconds)
        result = folder / "results" / arguments.result
        result.parent.mkdir()
        figures: object = (
            on_a_cluster(command, result, arguments.recordings)
            if arguments.ray
            else killed(command, result, arguments.kills, arguments.seed)
        )
    text = to_json(figures, indent=1) + "\n"
    print(text, end="")
    if arguments.out is not None:
        write_text(arguments.out, text)


if __name__ == "__main__":
    main()
