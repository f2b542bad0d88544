"""Throughput of scoring one long recording in windows, beside the same audio in files of a window each.

    python benches/python/long_recordings.py [--minutes 60] [--rate 16000] [--threads 1] [--rounds 5] [--out long.json]

The audio is synthetic: a hum and noise, 16 bits. The detector is `spectral`, fitted to 60 clips of it. Both ways read
from disk, in the file cache, and score every window once; their scores are checked to be the same. Processor times are
medians over rounds, which take turns; the first is left out. The peaks are of the whole process while it scores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf

import offkey
from offkey import datasets
from offkey._util.files import write_text
from offkey._util.json_text import to_json
from offkey.benchmark.runs import PeakMemory

CLIP_S = 10
WAYS = ("windows", "clips")


def audio(seconds: int, rate: int, *, seed: int) -> np.ndarray:
    """Return a hum of 120 Hz and noise, ``(samples,)`` int16."""
    time_s = np.arange(seconds * rate) / rate
    noise = np.random.default_rng(seed).standard_normal(len(time_s), dtype=np.float32)
    return (3000 * np.sin(2 * np.pi * 120 * time_s) + 1000 * noise).astype(np.int16)


def write_clips(folder: Path, samples: np.ndarray, rate: int) -> Path:
    """Write samples as files of a clip each, and return their folder."""
    folder.mkdir()
    for i, clip in enumerate(samples.reshape(-1, CLIP_S * rate)):
        sf.write(folder / f"{i:05d}.wav", clip, rate)
    return folder


def measured(minutes: int, rate: int, threads: int, rounds: int, folder: Path) -> dict[str, float | int]:
    """Return the figures of both ways."""
    training = write_clips(folder / "training", audio(60 * CLIP_S, rate, seed=1), rate)
    detector = offkey.Detector().fit(datasets.folder(training), num_threads=threads)
    samples = audio(60 * minutes, rate, seed=2)
    sources = {"windows": folder / "long.wav", "clips": write_clips(folder / "clips", samples, rate)}
    sf.write(sources["windows"], samples, rate)
    del samples
    tables = {}
    peaks = dict.fromkeys(WAYS, 0)
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(1 + rounds):
        for way in WAYS:
            with PeakMemory() as memory:
                started = time.process_time()
                tables[way] = detector.score(sources[way], windows="each", num_threads=threads)
                times[way].append(time.process_time() - started)
            peaks[way] = max(peaks[way], memory.bytes or 0)
    np.testing.assert_allclose(tables["windows"].anomaly_score, tables["clips"].anomaly_score, rtol=1e-5)
    medians = {way: statistics.median(times[way][1:]) for way in WAYS}
    return {
        "minutes": minutes,
        "rate_hz": rate,
        "threads": threads,
        "windows_scored": len(tables["windows"]),
        **{f"{way}_cpu_s": round(seconds, 3) for way, seconds in medians.items()},
        **{f"{way}_times_real_time": round(60 * minutes / seconds) for way, seconds in medians.items()},
        "clips_over_windows": round(medians["clips"] / medians["windows"], 2),
        **{f"{way}_peak_mib": round(peak / 2**20) for way, peak in peaks.items()},
    }


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=int, default=16_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(
            arguments.minutes, arguments.rate, arguments.threads, arguments.rounds, Path(folder)
        )
    text = to_json(figures, indent=1) + "\n"
    print(text, end="")
    if arguments.out is not None:
        write_text(arguments.out, text)


if __name__ == "__main__":
    main()
