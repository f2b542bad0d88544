"""Throughput of `offkey score DETECTOR FOLDER --out FILE`, beside the kernel that the detector needs, run alone.

    python benches/python/archives.py [--recordings 20000] [--threads 1 2] [--rounds 5] [--kinds] [--peers]
        [--network] [--out archives.json]

The recordings are links to 64 clips of a synthetic machine with four IDs, 10 s at 16 kHz, in folders of 1,000; the
detector is `spectral`. The kernel alone turns the same files into the spectra and statistics that the detector looks
at, 256 by a call, in a process of its own, and is timed without the start of Python; the command is timed as a whole.
Both take turns, from the file cache; figures are medians. With --kinds also recordings as FLAC, of 8 channels and at
44.1 kHz, beside their decoder alone; with --peers what others would write, without a score: soundfile, librosa and
numpy in a pool of processes, and soundfile and torch in workers of a DataLoader; with --network the command with
recipe `small`, trained for two epochs as what it finds does not matter, beside the network alone, which has its
log-Mels.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

import offkey
from offkey import datasets
from offkey._util.files import write_text
from offkey._util.json_text import to_json
from offkey.datasets import synthetic

CLIPS, IN_FOLDER, AT_ONCE = 64, 1000, 256
KINDS = {"flac": (16_000, 1, ".flac"), "channels": (16_000, 8, ".wav"), "44100": (44_100, 2, ".wav")}
"""Rate, channels and ending."""


def prepared(folder: Path) -> tuple[datasets.Dataset, list[Path]]:
    """Return what a detector learns from, and the clips that links lead to."""
    clips = {"clips_train": 60, "clips_test_normal": CLIPS // 8, "clips_test_anomaly": CLIPS // 8}
    synthetic.write(folder / "machines", machines=("fan",), **clips)
    dataset = datasets.dcase2020(folder / "machines", machine="fan")
    return dataset, dataset.test.paths


def trained(dataset: datasets.Dataset, recipe: offkey.Recipe, folder: Path) -> Path:
    """Return a detector's file."""
    detector = folder / f"{recipe.name}.offkey"
    offkey.Detector(recipe).fit(dataset).save(detector)
    return detector


def linked(clips: Sequence[Path], folder: Path, count: int) -> list[str]:
    """Make so many links, in folders; return their names as they are scored."""
    names = []
    for number in range(count):
        clip = clips[number % len(clips)]
        place = folder / f"{number // IN_FOLDER:04d}"
        if number % IN_FOLDER == 0:
            place.mkdir(parents=True)
        names.append(str(place / f"{number:07d}_{clip.name}"))
        Path(names[-1]).symlink_to(clip.resolve())
    return names


def converted(clips: Sequence[Path], folder: Path, kind: str) -> list[Path]:
    """Return the clips in another format."""
    rate, channels, ending = KINDS[kind]
    folder.mkdir()
    made = []
    for clip in clips:
        samples, source_rate = sf.read(clip, dtype="float32")
        samples = offkey.resample(samples, from_rate=source_rate, to_rate=rate)
        made.append(folder / f"{clip.stem}{ending}")
        sf.write(made[-1], np.stack([samples] * channels, axis=1), rate)
    return made


def batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield some names at a time."""
    return (names[first : first + AT_ONCE] for first in range(0, len(names), AT_ONCE))


def kernel(detector: Path, names: Sequence[str], threads: int) -> None:
    """Turn files into what the detector looks at."""
    fitted = offkey.load(detector)._fitted()
    logmel = offkey.LogMel.from_recipe(fitted.features)
    fine = [offkey.LogMel.from_recipe(features) for features in fitted.plan.fine]
    for batch in batches(names):
        logmel.statistics_from_files(batch, fine=fine, rhythm=fitted.plan.rhythm, num_threads=threads)


def decoder(detector: Path, names: Sequence[str], threads: int) -> None:
    """Read files at the rate of the detector, into memory that is used again."""
    rate = offkey.load(detector).recipe.features.sample_rate
    out = np.empty((AT_ONCE, 10 * rate), np.float32)
    for batch in batches(names):
        offkey.read_batch(batch, sample_rate=rate, out=out[: len(batch)], num_threads=threads)


def network(detector: Path, names: Sequence[str], threads: int) -> None:
    """Put as many log-Mels through the network as there are names: those of the first clips, again and again."""
    fitted = offkey.load(detector)._fitted()
    logmels = offkey.LogMel.from_recipe(fitted.features).from_files(names[:CLIPS])
    (model,) = fitted.models.values()
    for first in range(0, len(names), CLIPS):
        model.scores(logmels[: len(names) - first], num_threads=threads)


def peer_of_one(name: str) -> np.ndarray:
    """Return two spectra and their statistics by librosa and numpy."""
    import librosa

    samples, rate = sf.read(name, dtype="float32")
    features = []
    for n_fft, hop, n_mels in ((1024, 512, 128), (4096, 1024, 256)):
        power = librosa.feature.melspectrogram(y=samples, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels)
        decibels = 10 * np.log10(np.maximum(power, 1e-10))
        features += [decibels.mean(axis=1), decibels.std(axis=1), np.diff(decibels).std(axis=1)]
        features.append(np.percentile(decibels, 5, axis=1))
    return np.concatenate(features)


def peer_pool(_detector: Path, names: Sequence[str], threads: int) -> None:
    """The same in a pool of processes."""
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(threads) as pool:
        for _ in pool.imap(peer_of_one, names, chunksize=16):
            pass


class TorchFiles:
    """The same by torch, a data set for a DataLoader."""

    def __init__(self, names: Sequence[str]) -> None:
        import torch

        self.names = names
        self.mels = [
            (
                n_fft,
                hop,
                torch.from_numpy(offkey.LogMel(n_fft=n_fft, hop_length=hop, n_mels=n_mels).filters()),
            )
            for n_fft, hop, n_mels in ((1024, 512, 128), (4096, 1024, 256))
        ]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, at: int) -> Any:
        import torch

        samples = torch.from_numpy(sf.read(self.names[at], dtype="float32")[0])
        features = []
        for n_fft, hop, filters in self.mels:
            window = torch.hann_window(n_fft)
            power = torch.stft(samples, n_fft, hop, window=window, return_complex=True).abs().square()
            decibels = 10 * torch.log10(torch.clamp(filters @ power, min=1e-10))
            features += [decibels.mean(dim=1), decibels.std(dim=1), decibels.diff(dim=1).std(dim=1)]
            features.append(torch.quantile(decibels, 0.05, dim=1))
        return torch.cat(features)


def peer_workers(_detector: Path, names: Sequence[str], threads: int) -> None:
    """Torch in workers of a DataLoader."""
    from torch.utils.data import DataLoader

    for _ in DataLoader(TorchFiles(names), batch_size=16, num_workers=threads):  # type: ignore[arg-type]
        pass


ALONE: dict[str, Callable[[Path, Sequence[str], int], None]] = {
    "kernel": kernel,
    "decoder": decoder,
    "network": network,
    "librosa": peer_pool,
    "torch": peer_workers,
}


def alone(what: str, detector: Path, folder: Path, most: int, threads: int) -> None:
    """Run one of these in this process, and print how long it took."""
    names = [str(path) for path in sorted(folder.glob("*/*"))][:most]
    started, before_s = time.perf_counter(), processor_s()
    ALONE[what](detector, names, threads)
    print(time.perf_counter() - started, processor_s() - before_s)


def processor_s() -> float:
    """Return the seconds that processors have worked for this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_mib(process: int) -> float:
    """Return the most memory that a process has had so far; not that of its children."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def timed(command: Sequence[str]) -> dict[str, float]:
    """Run a command; return its seconds of the clock and of processors, or those it tells, and its peak of memory."""
    started = time.perf_counter()
    before_s, peak = processor_s(), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            peak = max(peak, peak_mib(process.pid))
            time.sleep(0.02)
        output = process.communicate()[0]
    seconds = time.perf_counter() - started, processor_s() - before_s
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    wall_s, cpu_s = map(float, output.split()) if output.strip() else seconds
    return {"s": wall_s, "cpu_s": cpu_s, "peak_mib": peak}


def measured(
    ways: Sequence[str], detector: Path, folder: Path, count: int, threads: Sequence[int], rounds: int
) -> list[dict[str, Any]]:
    """Return the figures of the command and of what runs alone, which take turns."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for number in threads:
            for way in ways:
                command = [sys.executable, __file__, "--alone", way, str(detector), str(folder)]
                command += [str(count), "--threads", str(number)]
                if way == "score":
                    result = folder.parent / "scores.csv"
                    result.unlink(missing_ok=True)
                    command = [sys.executable, "-m", "offkey", "score", str(detector), str(folder)]
                    command += ["--out", str(result), "--threads", str(number)]
                runs.setdefault((way, number), []).append(timed(command))
                print(way, number, json.dumps(runs[way, number][-1]), file=sys.stderr, flush=True)
    rows = []
    for (way, number), some in runs.items():
        figures = {name: statistics.median(run[name] for run in some) for name in some[0]}
        first = runs[ways[0], number]
        ratios = {
            f"{ways[0]}_over_this_{name}": round(
                statistics.median(run[name] for run in first) / figures[name], 3
            )
            for name in ("s", "cpu_s")
        }
        rows.append(
            {"what": way, "recordings": count, "threads": number}
            | {name: round(value, 2) for name, value in figures.items()}
            | {"files_per_s": round(count / figures["s"])}
            | ratios
        )
    return rows


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recordings", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to make the links; by default a temporary folder")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--alone", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        what, detector, links, most = arguments.alone
        alone(what, Path(detector), Path(links), int(most), arguments.threads[0])
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        dataset, clips = prepared(folder)
        model = trained(dataset, offkey.Recipe.named("spectral"), folder)
        count, few = arguments.recordings, min(arguments.recordings, 2000)
        options = (arguments.threads, arguments.rounds)
        linked(clips, folder / "wav", count)
        rows = measured(["kernel", "score"], model, folder / "wav", count, *options)
        linked(clips, folder / "few", few)
        if arguments.peers:
            rows += measured(["kernel", "score", "librosa", "torch"], model, folder / "few", few, *options)
        if arguments.network:
            recipe = offkey.Recipe.named("small").replace(
                training__stage1_epochs=1, training__stage2_epochs=1
            )
            of_network = measured(
                ["network", "score"], trained(dataset, recipe, folder), folder / "few", few, *options
            )
            rows += [row | {"recipe": recipe.name} for row in of_network]
        for kind in KINDS if arguments.kinds else ():
            linked(converted(clips, folder / f"{kind}_clips", kind), folder / kind, few)
            of_kind = measured(["decoder", "kernel", "score"], model, folder / kind, few, *options)
            rows += [row | {"kind": kind} for row in of_kind]
    text = to_json(rows, indent=1) + "\n"
    print(text, end="")
    if arguments.out is not None:
        write_text(arguments.out, text)


if __name__ == "__main__":
    main()
