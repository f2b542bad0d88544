"""500 WAV files, in the page cache, to one array of their log-Mels; workers of a DataLoader have started before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from peers import data, floor
from peers.harness import Bench, Group, one_blas_thread, pool
from peers.judge import at_most
from peers.logmel import LogMel, error_db, librosa_logmel, mkl_logmel, torch_logmel, torchaudio_logmel

group = Group(
    "endtoend",
    "ms a clip",
    1e3,
    {"files": "500 WAV files to log-Mel"},
    same_work=(at_most("error_db", 1e-3),),
    two_threads=("files",),
)
CHECKED = (0, 250, 499)
SHAPE = (data.FILES, 128, data.FRAMES)
Read = Callable[[str], np.ndarray]


def bench(run: Callable[[], np.ndarray]) -> Bench:
    def check() -> dict[str, float]:
        import soundfile

        logmels, paths = run(), data.files("wav")
        assert logmels.shape == SHAPE
        clips = [soundfile.read(paths[i], dtype="float32")[0] for i in CHECKED]
        return {"error_db": error_db(clips, [logmels[i] for i in CHECKED])}

    return Bench(run, data.FILES, check, warm=False)


def file_by_file(into: Callable[[str, np.ndarray], None], threads: int) -> Bench:
    """`into` reads a file and fills its row; with threads, each takes every second file."""
    paths = data.files("wav")
    if threads > 1:
        one_blas_thread()
    executor = pool(threads) if threads > 1 else None

    def run() -> np.ndarray:
        out = np.empty(SHAPE, np.float32)

        def part(first: int) -> None:
            for i in range(first, len(paths), threads):
                into(paths[i], out[i])

        list(executor.map(part, range(threads)) if executor else map(part, range(1)))
        return out

    return bench(run)


def reading(read: Read, logmel: LogMel, threads: int) -> Bench:
    def into(path: str, row: np.ndarray) -> None:
        row[:] = logmel(read(path))

    return file_by_file(into, threads)


def by_soundfile() -> Read:
    import soundfile

    return lambda path: soundfile.read(path, dtype="float32")[0]


@group.contender("offkey", kind="ours")
def ours(case: str, threads: int) -> Bench:
    import offkey

    logmel, paths = offkey.LogMel.paper(num_threads=threads), data.files("wav")
    return bench(lambda: logmel.from_files(paths))


@group.contender("scipy + numpy + mkl_fft by an expert", settle_s=0.25)
def expert(case: str, threads: int) -> Bench:
    from scipy.io import wavfile

    scale = np.float32(1 / 32_768)
    return reading(lambda path: wavfile.read(path)[1] * scale, mkl_logmel(), threads)


@group.contender("soundfile + librosa")
def soundfile_librosa(case: str, threads: int) -> Bench:
    return reading(by_soundfile(), librosa_logmel(), threads)


@group.contender("soundfile + torchaudio", threads=(1,))
def soundfile_torchaudio(case: str, threads: int) -> Bench:
    return reading(by_soundfile(), torchaudio_logmel(threads), 1)


@group.contender("soundfile + torch.stft, 25 files at a time")
def soundfile_torch(case: str, threads: int) -> Bench:
    read, logmel, paths = by_soundfile(), torch_logmel(threads), data.files("wav")

    def run() -> np.ndarray:
        out = np.empty(SHAPE, np.float32)
        for i in range(0, len(paths), 25):
            out[i : i + 25] = logmel(np.stack([read(path) for path in paths[i : i + 25]]))
        return out

    return bench(run)


class Files:
    """A data set for torch's DataLoader; each worker makes its own log-Mel."""

    def __init__(self, make: Callable[[], LogMel]) -> None:
        self.paths, self.read, self.make = data.files("wav"), by_soundfile(), make
        self.logmel: LogMel | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        import torch

        self.logmel = self.logmel or self.make()
        return torch.from_numpy(self.logmel(self.read(self.paths[index])))


def start_worker(index: int) -> None:
    import torch

    one_blas_thread()  # two, spinning at their barriers, make librosa three times as slow
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})


def loader(make: Callable[[], LogMel], then: LogMel = lambda batch: batch) -> Bench:
    import torch
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)
    batches: Iterable[Any] = DataLoader(
        Files(make), batch_size=25, num_workers=2, persistent_workers=True, worker_init_fn=start_worker
    )

    def run() -> np.ndarray:
        out, at = np.empty(SHAPE, np.float32), 0
        for batch in batches:
            out[at : at + len(batch)] = then(batch.numpy())
            at += len(batch)
        return out

    return bench(run)


@group.contender("DataLoader: soundfile + librosa", threads=(2,))
def loader_librosa(case: str, threads: int) -> Bench:
    return loader(librosa_logmel)


@group.contender("DataLoader: soundfile + torch.stft", threads=(2,))
def loader_torch(case: str, threads: int) -> Bench:
    return loader(lambda: torch_logmel(1))


@group.contender("DataLoader: soundfile, torch.stft for each batch", threads=(2,))
def loader_torch_batch(case: str, threads: int) -> Bench:
    return loader(lambda: lambda clip: clip, torch_logmel(1))


@group.contender("floor: read, fused prototype", kind="floor")
def floor_files(case: str, threads: int) -> Bench:
    reader, logmel = floor.Reader(), floor.LogMel()

    def into(path: str, row: np.ndarray) -> None:
        reader.into(path, logmel.clip)
        logmel.of_clip(row)

    return file_by_file(into, threads)
