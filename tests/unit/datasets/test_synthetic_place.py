"""Where synthetic faults are heard: half-power bands and times, and the file that has them."""

import csv

import numpy as np
import pytest

from offkey.datasets import synthetic
from offkey.datasets.synthetic.place import Place
from offkey.datasets.synthetic.scene import fault_part, grid

RATE = 16_000


def test_the_place_of_a_burst_of_tone():
    time = np.arange(2 * RATE) / RATE
    burst = np.where((time > 0.5) & (time < 1.0), np.sin(2 * np.pi * 3000 * time), 0)
    noise = np.random.default_rng(0).normal(size=len(time))
    place = Place.of(0.1 * burst, noise + 0.1 * burst, RATE)
    ((low, high),) = place.bands_hz
    assert 2800 < low < 3000 < high < 3200
    ((start, end),) = place.times_s
    assert start == pytest.approx(0.5, abs=0.06)
    assert end == pytest.approx(1.0, abs=0.06)
    assert Place.of(burst, 7 * (noise + 0.1 * burst), RATE) == place  # levels do not matter


def test_a_fault_that_is_not_heard_has_no_place():
    assert Place.of(np.zeros(RATE), np.ones(RATE), RATE) == Place(bands_hz=(), times_s=())


@pytest.mark.parametrize("sample_rate", [4000, 11_025, 16_000, 44_100, 192_000])
def test_every_rate_has_places(sample_rate):
    part = fault_part("pump", "00", clip=1, fault="leak", severity=1.0, grid=grid(1.0, sample_rate), seed=0)
    place = Place.of(part, part + np.random.default_rng(0).normal(0, 0.1, len(part)), sample_rate)
    assert all(0 <= low < high <= sample_rate / 2 for low, high in place.bands_hz)
    assert all(0 <= start < end <= 1 for start, end in place.times_s)


def test_a_fault_part_is_what_the_fault_changes():
    """With and without a fault, but for the level, a clip differs by it alone."""
    parameters = {"clip": 3, "fault": "bearing", "severity": 1.0, "seed": 1}
    part = fault_part("fan", "00", grid=grid(2.0, RATE), **parameters).astype(np.float64)
    sounds = {
        fault: synthetic.render("fan", "00", seconds=2.0, snr_db=None, **parameters | {"fault": fault})[0]
        for fault in ("bearing", None)
    }
    basis = np.stack([sounds[None], part], axis=1).astype(np.float64)
    rest = sounds["bearing"] - basis @ np.linalg.lstsq(basis, sounds["bearing"], rcond=None)[0]
    assert np.square(rest).mean() < 1e-6 * np.square(sounds["bearing"]).mean()


@pytest.fixture
def write(tmp_path):
    def made(name="tree", **more):
        options = {"machines": ("fan",), "ids": ("00",), "clips_train": 1, "clips_test_normal": 1}
        return synthetic.write(tmp_path / name, clips_test_anomaly=3, seconds=1.0, **options | more)

    return made


def rows_of(written):
    with written.places.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_names_every_faulty_clip_and_no_other(write):
    written = write()
    with written.manifest.open(newline="") as file:
        faulty = {row["file"]: row["fault"] for row in csv.DictReader(file) if row["fault"]}
    rows = rows_of(written)
    assert {row["file"]: row["fault"] for row in rows} == faulty
    for row in rows:
        for name, top in (("bands_hz", 8000), ("times_s", 1)):
            intervals = [tuple(map(float, text.split("-"))) for text in row[name].split()]
            assert intervals
            assert all(0 <= low < high <= top for low, high in intervals)


def test_an_interrupted_or_older_dataset_gets_the_same_file(write):
    written = write()
    before = written.places.read_bytes()
    written.places.unlink()
    synthetic.load(written.root, machine="fan")
    next(written.root.rglob("anomaly*.wav")).unlink()
    assert write(resume=True).places.read_bytes() == before


def test_each_snr_has_places_of_its_own(write):
    rows = rows_of(write(layout="mimii", snr_db=(-6.0, 6.0)))
    assert len(rows) == 6
    assert {row["file"].lstrip("'").split("/")[0] for row in rows} == {"-6_dB_fan", "6_dB_fan"}
