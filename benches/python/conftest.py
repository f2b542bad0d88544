"""Every benchmark refuses to run on a debug build of the kernels, and runs on one core."""

import os

import pytest

from offkey import _native


@pytest.fixture(scope="session", autouse=True)
def release_build() -> None:
    """Stop before anything is measured that nobody would ship."""
    if _native.debug_build:
        pytest.exit(
            "offkey._native is a debug build; build it with `maturin develop --release`", returncode=2
        )


@pytest.fixture(scope="session", autouse=True)
def one_core(release_build: None):
    """Pin the process, so that no contender has more than one thread's time."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)
