"""How soon `offkey trend` says that a synthetic machine has a fault that grows, or that its normal state has changed.

    python benches/python/growing_faults.py [--clips 60]

Of each type a detector of recipe `spectral` learns two machines from ``--clips`` healthy clips each. The first is then
recorded every hour: 200 healthy recordings, and 200 in which the fault grows from severity 0, barely audible, to 1, or
in which the microphone is another one, whose treble falls off (a mean over 4 samples). A row says at which recording of
the 200 the alarm comes, how severe the fault is then, from which recording on there is evidence, how many of the 200
healthy ones were called anomalous at 5%, and how many false alarms of the machine there were.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

import offkey
from offkey.datasets import folder, synthetic

SECONDS, RATE = 5.0, 16_000
HEALTHY, GROWING = 200, 200
START = np.datetime64("2026-05-01T00", "h")


def sound(machine: str, machine_id: str, clip: int, **fault: object) -> np.ndarray:
    """A recording of a machine, ``(samples,)``."""
    return synthetic.render(machine, machine_id, clip=clip, seconds=SECONDS, sample_rate=RATE, **fault)[0]


def recordings(machine: str, change: str) -> Iterator[np.ndarray]:
    """The recordings of a machine, one after the other."""
    for at in range(HEALTHY + GROWING):
        grown = max(0, at - HEALTHY) / GROWING
        clip = 10_000 + at
        if at < HEALTHY:
            yield sound(machine, "00", clip)
        elif change == "microphone":
            yield np.convolve(sound(machine, "00", clip), np.full(4, 0.25), mode="same").astype(np.float32)
        else:
            yield sound(machine, "00", clip, fault=change, severity=grown)


def table(machine: str, clips: int, work: Path) -> Iterator[tuple[str, offkey.ScoreTable]]:
    """Scores of a machine of this type with each change."""
    for machine_id in ("00", "02"):
        for clip in range(clips):
            path = work / "train" / f"normal_id_{machine_id}_{clip:04}.wav"
            path.parent.mkdir(exist_ok=True)
            sf.write(path, sound(machine, machine_id, clip), RATE)
    detector = offkey.Detector(offkey.Recipe.named("spectral")).fit(folder(work / "train"))
    for change in (*synthetic.FAULTS[machine], "microphone"):
        paths = []
        for at, samples in enumerate(recordings(machine, change)):
            time = str(START + at).replace("T", "_")
            paths.append(work / f"{change}_id_00_{time}-00.wav")
            sf.write(paths[-1], samples, RATE)
        yield change, detector.score(paths)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--machines", nargs="+", default=list(synthetic.MACHINES), choices=synthetic.MACHINES)
    parser.add_argument("--keep", type=Path, help="write the scores into this folder")
    options = parser.parse_args()
    print("| machine | change | alarm at | severity | evidence from | healthy called | false alarms |")
    print("|---|---|---|---|---|---|---|")
    for machine in options.machines:
        with tempfile.TemporaryDirectory() as work:
            for change, scores in table(machine, options.clips, Path(work)):
                if options.keep:
                    scores.write(options.keep / f"{machine}-{change}.csv")
                row = offkey.trend(scores).machines[0]
                hours = [int((alarm.at - START) / np.timedelta64(1, "h")) - HEALTHY for alarm in row.alarms]
                true = [(at, alarm) for at, alarm in zip(hours, row.alarms, strict=True) if at >= 0]
                cells = ["none", "", ""]
                if true:
                    at, alarm = true[0]
                    since = int((alarm.since - START) / np.timedelta64(1, "h")) - HEALTHY
                    cells = [f"{at + 1}", f"{at / GROWING:.2f}" * (change != "microphone"), f"{since + 1}"]
                called = int((scores.decision[:HEALTHY] == 1).sum())
                line = [machine, change, *cells, f"{called} of {HEALTHY}", f"{len(hours) - len(true)}"]
                print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
