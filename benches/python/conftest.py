"""Benchmarks run on one core, so that no contender has more than one thread's time, and on a release build."""

import os

import pytest
from peers import data

from offkey import _native


def pytest_configure(config):
    if _native.DEBUG_BUILD:
        pytest.exit("benchmarks need a release build: maturin develop --release", returncode=2)


@pytest.fixture(scope="session", autouse=True)
def one_core():
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="session")
def files():
    """The sound files that the contenders read, made once."""
    data.make()
