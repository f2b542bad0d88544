"""Benchmarks: ours beside a peer on the same input, in one process; both give the same result, asserted first."""

import os

import numpy as np
import pytest
import soundfile as sf

from offkey import _native

RATE = 16_000


def pytest_configure(config):
    if _native.DEBUG_BUILD:
        pytest.exit("benchmarks need a release build: maturin develop --release", returncode=2)


@pytest.fixture(scope="session", autouse=True)
def one_core():
    """Pin the process, so that no contender has more than one thread's time."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="session")
def clips():
    """Eight clips of 10 s: hum over noise."""
    rng = np.random.default_rng(0)
    t = np.arange(10 * RATE) / RATE
    hum = [sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 12)) for f in rng.uniform(40, 120, 8)]
    return [(0.05 * h + 0.02 * rng.standard_normal(len(t))).astype(np.float32) for h in hum]


@pytest.fixture(scope="session")
def wav(clips, tmp_path_factory):
    """A mono PCM16 WAV file of 10 s."""
    path = tmp_path_factory.mktemp("wav") / "mono.wav"
    sf.write(path, clips[0], RATE, "PCM_16")
    return path


@pytest.fixture(scope="session")
def flac(clips, tmp_path_factory):
    """The same as FLAC."""
    path = tmp_path_factory.mktemp("flac") / "mono.flac"
    sf.write(path, clips[0], RATE, "PCM_16")
    return path
