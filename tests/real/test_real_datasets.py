"""The real recordings through the loaders."""

import csv

import pytest

from offkey.datasets import dcase2020, find_audio, folder

pytestmark = pytest.mark.real


def test_bldc_through_its_manifest(real_dir):
    data = folder(real_dir / "bldc", manifest="manifest.csv", machine="bldc")
    with (real_dir / "bldc" / "manifest.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert len(data.clips) == len(rows) == 43
    for clip in data.clips:
        row = rows[clip.path.name]
        assert clip.machine_id == row["id"]
        assert clip.label == int(row["label"] == "anomaly")
        assert clip.split == ("test" if clip.label else "train")
    assert any("ID 04 only in the test part: scored as unknown" in note for note in data.notes)
    assert any("no normal test clip" in note for note in data.notes)


def test_bldc_with_normals_to_test_on(real_dir):
    data = folder(real_dir / "bldc", manifest="manifest.csv", test_fraction=0.25)
    assert len(data.train) == 16
    assert (data.test.labels == 0).sum() == 6
    assert set(data.train.machine_ids) == {"01", "02", "03"}


def test_bldc_is_understood_by_its_names(real_dir):
    by_names, by_list = folder(real_dir / "bldc"), folder(real_dir / "bldc", manifest="manifest.csv")
    assert set(by_names.clips) == set(by_list.clips)


def test_dcase_clips(real_dir):
    data = dcase2020(real_dir / "dcase2020_id_00", machine="dcase2020_id_00")
    assert len(data.train) == 75
    assert set(data.train.machine_ids) == {"00"}
    assert [c.label for c in data.test] == [1]
    by_pattern = folder(
        real_dir / "dcase2020_id_00",
        pattern="{split}/{label}_id_{machine_id}_*.wav",
        machine="dcase2020_id_00",
    )
    assert set(by_pattern.clips) == set(data.clips)


def test_mimii_clips_without_folders(real_dir):
    data = folder(real_dir / "mimii", pattern="{machine_type}_{label}_*.wav", machine="valve")
    assert len(data.clips) == 12
    assert (len(data.train), len(data.test), len(data.others)) == (2, 1, 6)


def test_every_real_file_is_found(real_dir):
    assert (
        len(find_audio([real_dir / name for name in ("bldc", "bldc_stereo", "dcase2020_id_00", "mimii")]))
        == 132
    )
