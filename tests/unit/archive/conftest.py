"""Recordings, and a detector, of archives in miniature."""

import numpy as np
import pytest

import offkey
from offkey.archive import run

RATE = 16_000


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Thirty recordings of two machines, of which one is no sound; not to be changed."""
    folder = tmp_path_factory.mktemp("archive") / "recordings"
    rng = np.random.default_rng(0)
    for number in range(30):
        path = folder / f"id_0{number % 2}" / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, rng)
    (folder / "id_00" / "08.wav").write_bytes(b"a diary")
    return folder


def write(path, rng):
    import soundfile as sf

    sf.write(path, 0.1 * rng.standard_normal(RATE), RATE)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Healthy recordings of two machines."""
    folder = tmp_path_factory.mktemp("healthy")
    rng = np.random.default_rng(1)
    for number in range(24):
        path = folder / f"id_0{number % 2}" / f"{number:02}.wav"
        path.parent.mkdir(exist_ok=True)
        write(path, rng)
    return offkey.datasets.folder(folder)


@pytest.fixture(scope="module")
def detector(healthy):
    """A detector of two machines."""
    return offkey.Detector().fit(healthy)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of four recordings, read two by two."""
    monkeypatch.setattr(run, "PART_RECORDINGS", 4)
    monkeypatch.setattr("offkey.datasets.portions.FILES_AT_ONCE", 2)
