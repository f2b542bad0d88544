"""How far a scoring has come."""

import numpy as np
import pytest
import soundfile as sf

import offkey
from offkey.advance import Advance

pytestmark = pytest.mark.filterwarnings("ignore:false alarms:offkey.errors.OffkeyWarning")  # twenty clips


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy")
    rng = np.random.default_rng(0)
    for number in range(20):
        sf.write(folder / f"{number}.wav", rng.normal(0, 0.1, 16_000), 16_000)
    return offkey.Detector().fit(offkey.datasets.folder(folder))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    for name, seconds in (("a", 1), ("b", 2), ("long", 47)):
        sf.write(tmp_path / f"{name}.wav", rng.normal(0, 0.1, seconds * 16_000), 16_000)
    (tmp_path / "broken.wav").write_bytes(b"")
    sf.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    return tmp_path


@pytest.mark.parametrize("portion_bytes", [100_000_000, 1_500_000])
@pytest.mark.parametrize("windows", ["worst", "each"])
def test_windows_count_once_and_errors_are_those_of_recordings(
    detector, folder, monkeypatch, portion_bytes, windows
):
    monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", portion_bytes)
    advances, calls = [], []
    detector.score(
        folder, windows=windows, on_advance=advances.append, on_progress=lambda *call: calls.append(call)
    )
    assert advances[0] == Advance(done=0, total=5)
    assert advances[-1] == Advance(done=5, total=5, errors=2, audio_s=51.0)
    assert [(advance.done, advance.total) for advance in advances[1:]] == calls
    assert (np.diff([advance.audio_s for advance in advances]) >= 0).all()
    chunks = 1 if portion_bytes == 100_000_000 else 3
    assert len(calls) >= chunks


def test_the_end_of_an_iterator_is_not_known(detector, folder):
    advances = []
    detector.score((path for path in [folder / "a.wav", folder / "b.wav"]), on_advance=advances.append)
    assert [advance.total for advance in advances] == [None, None]
    assert advances[-1].audio_s == 3


def test_a_result_on_the_disk_tells_the_same(detector, folder):
    advances, calls = [], []
    detector.score_to(
        folder.parent / f"{folder.name}.csv",
        folder,
        on_advance=advances.append,
        on_progress=lambda *call: calls.append(call),
    )
    assert advances[-1] == Advance(done=5, total=5, errors=2, audio_s=51.0)
    assert calls[-1] == (5, 5)
