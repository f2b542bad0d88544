"""Whole files of several channels, or of another rate, to log-Mels in one call, beside the same in two steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from peers import data
from peers.harness import Bench, Group

group = Group(
    "whole",
    "ms a clip",
    1e3,
    {
        "one_of_8": "20 WAV files of 8 channels: one channel to log-Mel",
        "mean_of_8": "20 WAV files of 8 channels: their mean to log-Mel",
        "stereo": "20 stereo WAV files at 44.1 kHz: their mean at 16 kHz to log-Mel",
    },
)
CHANNEL = {"one_of_8": 3, "mean_of_8": "mean", "stereo": "mean"}
CD_RATE_HZ = 44_100


def stereo_files() -> list[str]:
    """Noise of 10 s in two channels; the files are made once."""
    import soundfile

    paths = [data.folder() / "stereo" / f"{index:04d}.wav" for index in range(data.FILES_8)]
    for index, path in enumerate(paths):
        if not path.exists():
            noise = np.random.default_rng(index).uniform(-0.5, 0.5, (10 * CD_RATE_HZ, 2))
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}")
            soundfile.write(part, noise, CD_RATE_HZ, subtype="PCM_16", format="WAV")
            part.replace(path)
    return [str(Path(path)) for path in paths]


def files(case: str) -> list[str]:
    return stereo_files() if case == "stereo" else data.files("wav8")


@group.contender("offkey", kind="ours", threads=(1,))
def ours(case: str, threads: int) -> Bench:
    import offkey

    logmel, paths, channel = offkey.LogMel.paper(num_threads=1), files(case), CHANNEL[case]

    def check() -> dict[str, float]:
        batch = offkey.read_batch(paths, sample_rate=data.RATE_HZ, channel=channel, num_threads=1)
        same = np.array_equal(logmel.from_files(paths, channel=channel), logmel(batch))
        return {"differing": float(not same)}

    return Bench(lambda: logmel.from_files(paths, channel=channel), len(paths), check)


@group.contender("offkey, clips and then log-Mels", kind="reference", threads=(1,))
def in_steps(case: str, threads: int) -> Bench:
    """Both into memory that is used again: nothing but decoding, resampling and log-Mels is timed."""
    import offkey

    logmel, paths, channel = offkey.LogMel.paper(num_threads=1), files(case), CHANNEL[case]
    clip = np.empty((1, data.SAMPLES), np.float32)
    out = np.empty((1, 128, data.FRAMES), np.float32)

    def run() -> None:
        for path in paths:
            offkey.read_batch([path], sample_rate=data.RATE_HZ, channel=channel, out=clip, num_threads=1)
            logmel(clip, out=out)

    return Bench(run, len(paths))
