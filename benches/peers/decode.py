"""File to float32 samples. The page cache is warm, and each call takes another file."""

from __future__ import annotations

import os
import threading
import wave
from collections.abc import Callable

import numpy as np

from peers import data, floor
from peers.harness import Bench, Group, each
from peers.judge import at_most

group = Group(
    "decode",
    "ms a clip",
    1e3,
    {
        "wav": "mono PCM16 WAV, 10 s at 16 kHz",
        "wav8": "PCM16 WAV of 8 channels, all of them",
        "wav8_one": "PCM16 WAV of 8 channels, one of them",
        "flac": "mono FLAC, 10 s at 16 kHz",
        "flac8": "FLAC of 8 channels, all of them",
        "batch": "128 WAV files, mono PCM16, all clips in memory at the end",
    },
    same_work=(at_most("error", 0),),
    two_threads=("wav", "flac", "batch"),
)
WAV = ("wav", "wav8", "wav8_one")
ALL = ("wav", "wav8", "flac", "flac8")
ONE_BY_ONE = (*ALL, "wav8_one")
SCALE = np.float32(1 / 32_768)
BATCH = 128


def bench(case: str, threads: int, read: Callable[[str], np.ndarray], *, checked: bool = True) -> Bench:
    paths = data.files(case.removesuffix("_one"))
    made = each(paths, read, threads, 4 if "8" in case else 16)
    made.check = (lambda: check(case, paths[3], read(paths[3]))) if checked else None
    return made


def check(case: str, path: str, got: np.ndarray) -> dict[str, float]:
    """The greatest difference from 16-bit samples over 32768."""
    import soundfile

    expected = soundfile.read(path, dtype="int16", always_2d=True)[0] / 32_768.0
    expected = expected[:, 0] if case.endswith("_one") else expected.squeeze()
    got = np.asarray(got, np.float64).squeeze()
    if got.shape != expected.shape:
        got = got.T
    return {"error": float(np.abs(got - expected).max())}


def batch(read: Callable[[list[str]], object]) -> Bench:
    """A call that keeps the clips of many files."""
    paths = data.files("wav")[:BATCH]
    return Bench(lambda: read(paths), BATCH)


@group.contender("offkey", (*ONE_BY_ONE, "batch"), kind="ours")
def ours(case: str, threads: int) -> Bench:
    import offkey

    if case == "batch":
        return batch(lambda paths: offkey.read_batch(paths, num_threads=threads))

    if case == "wav8_one":
        return bench(case, threads, lambda path: offkey.read_batch([path], channel=0, num_threads=1)[0])
    return bench(case, threads, lambda path: offkey.read(path).samples)


@group.contender("offkey, a batch of files", ("wav", "flac"), kind="reference")
def ours_batch(case: str, threads: int) -> Bench:
    import offkey

    paths = data.files(case)[:100]
    return Bench(lambda: offkey.read_batch(paths, num_threads=threads), len(paths))


@group.contender("offkey, into a given array", ("batch",), kind="reference")
def ours_given(case: str, threads: int) -> Bench:
    import offkey

    out = np.empty((BATCH, data.SAMPLES), np.float32)
    return batch(lambda paths: offkey.read_batch(paths, out=out, num_threads=threads))


@group.contender("offkey, each file alone", ("batch",), kind="reference", threads=(1,))
def ours_alone(case: str, threads: int) -> Bench:
    import offkey

    def read(paths: list[str]) -> None:
        for path in paths:  # no clip is kept
            offkey.read_batch([path], num_threads=1)

    return batch(read)


@group.contender("soundfile", (*ONE_BY_ONE, "batch"))
def soundfile(case: str, threads: int) -> Bench:
    import soundfile

    if case == "batch":
        return batch(lambda paths: [soundfile.read(path, dtype="float32")[0] for path in paths])

    if case == "wav8_one":
        return bench(case, threads, lambda path: soundfile.read(path, dtype="float32")[0][:, 0].copy())
    return bench(case, threads, lambda path: soundfile.read(path, dtype="float32")[0])


@group.contender("wave + numpy", WAV)
def wave_numpy(case: str, threads: int) -> Bench:
    def read(path: str) -> np.ndarray:
        with wave.open(path, "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            channels = file.getnchannels()
        if case == "wav8_one":
            return samples[::channels] * SCALE
        return (samples * SCALE).reshape(-1, channels)

    return bench(case, threads, read)


@group.contender("miniaudio", ALL)
def miniaudio(case: str, threads: int) -> Bench:
    import miniaudio

    decode = miniaudio.wav_read_file_f32 if case in WAV else miniaudio.flac_read_file_f32

    def read(path: str) -> np.ndarray:
        decoded = decode(path)
        return np.frombuffer(decoded.samples, np.float32).reshape(-1, decoded.nchannels)

    return bench(case, threads, read)


@group.contender("sphn", ALL, threads=(1,))
def sphn(case: str, threads: int) -> Bench:
    import sphn

    return bench(case, threads, lambda path: sphn.read(path)[0])


@group.contender("librosa.load", ALL, threads=(1,))
def librosa_load(case: str, threads: int) -> Bench:
    import librosa

    return bench(case, threads, lambda path: librosa.load(path, sr=None, mono=False)[0])


@group.contender("torchaudio.load", ALL, threads=(1,))
def torchaudio_load(case: str, threads: int) -> Bench:
    import torchaudio

    return bench(case, threads, lambda path: torchaudio.load(path)[0].numpy())


@group.contender("floor: read and convert", ("wav", "wav8"), kind="floor")
def read_and_convert(case: str, threads: int) -> Bench:
    reader, count = floor.Reader(), data.SAMPLES * (8 if case == "wav8" else 1)

    def read(path: str) -> np.ndarray:
        out = np.empty(count, np.float32)
        reader.into(path, out)
        return out.reshape(-1, 8) if case == "wav8" else out

    return bench(case, threads, read)


@group.contender("floor: the bytes alone", ("wav8_one",), kind="floor")
def bytes_alone(case: str, threads: int) -> Bench:
    local = threading.local()

    def read(path: str) -> int:
        if not hasattr(local, "buffer"):
            local.buffer = bytearray(1 << 22)
        file = os.open(path, os.O_RDONLY)
        count = os.readv(file, [local.buffer])
        os.close(file)
        return count

    return bench(case, threads, read, checked=False)
