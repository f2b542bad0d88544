"""What a detector keeps of its training clips: a seeded choice, names without mount points, a fingerprint."""

import shutil

import numpy as np
import pytest
from machines import write_tree
from tiny_recipe import N_MELS, SPECTRAL

import offkey
from offkey import datasets
from offkey.datasets import LogMelArrays
from offkey.errors import DetectorFileError, ParameterError
from offkey.training_record import TrainingRecord, data_fingerprint, kept_clips

IDS = ("00",) * 30 + ("02",) * 5


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree") / "dev_data", train=12, test=2, seconds=0.3)


def fans(root):
    return datasets.dcase2020(root, machine="fan")


def test_so_many_clips_of_each_id_are_kept():
    for keep, counts in ((0, (0, 0)), (7, (7, 5)), (200, (30, 5)), ("all", (30, 5))):
        clips = kept_clips(IDS, keep=keep, seed=0)
        assert (np.sum(clips < 30), np.sum(clips >= 30)) == counts
        assert (np.diff(clips) > 0).all()
    assert np.array_equal(kept_clips(IDS, keep=7, seed=1), kept_clips(IDS, keep=7, seed=1))
    assert not np.array_equal(kept_clips(IDS, keep=7, seed=1), kept_clips(IDS, keep=7, seed=2))
    for keep in (-1, "none", 1.5, None):
        with pytest.raises(ParameterError, match=r"keep_statistics = .*from 0, or 'all'"):
            kept_clips(IDS, keep=keep, seed=0)


def test_a_wrong_number_is_refused_before_anything_is_read(tree, monkeypatch):
    monkeypatch.setattr(offkey.Detector, "_fitted", lambda _: pytest.fail("fitted"))
    with pytest.raises(ParameterError, match="keep_statistics = -1"):
        offkey.Detector(SPECTRAL).fit(fans(tree), keep_statistics=-1)


def test_statistics_of_the_kept_clips_come_back_from_the_file(tree, tmp_path):
    data = fans(tree)
    detector = offkey.Detector(SPECTRAL).fit(data, keep_statistics=5, seed=3)
    detector.save(tmp_path / "fan.offkey")
    record = offkey.load(tmp_path / "fan.offkey")._fitted().record
    assert record.machine_ids == ("00",) * 12 + ("02",) * 12
    assert np.array_equal(record.indices, kept_clips(record.machine_ids, keep=5, seed=3))
    paths = [path.relative_to(tree / "fan" / "train").as_posix() for path in data.train.paths]
    assert list(record.paths) == paths
    expected, _ = offkey.LogMel.from_recipe(SPECTRAL.features).statistics_from_files(
        [data.train.paths[i] for i in record.indices]
    )
    for column, values in zip(record.statistics[:4], expected[:4], strict=True):
        np.testing.assert_array_equal(column, values)
    size = (tmp_path / "fan.offkey").stat().st_size
    offkey.Detector(SPECTRAL).fit(data, keep_statistics=0, seed=3).save(tmp_path / "none.offkey")
    size_of_statistics = sum(array.nbytes for array in record.statistics.arrays().values())
    assert (
        size_of_statistics == 10 * 4 * 6 * N_MELS
    )  # four statistics, and the mean of a spectrogram of twice the bins
    assert 0 <= size - (tmp_path / "none.offkey").stat().st_size - size_of_statistics < 1000


def test_the_fingerprint_is_of_the_clips_and_not_of_where_they_lie(tree, tmp_path, monkeypatch):
    before = data_fingerprint(fans(tree), others=True)
    moved = tmp_path / "elsewhere" / "data"
    shutil.copytree(tree, moved)
    assert data_fingerprint(fans(moved), others=True) == before
    monkeypatch.chdir(moved.parent)
    assert data_fingerprint(datasets.dcase2020("data", machine="fan"), others=True) == before
    assert data_fingerprint(fans(moved), others=False) != before
    next((moved / "pump" / "train").iterdir()).unlink()
    assert data_fingerprint(fans(moved), others=True) != before
    logmels = np.zeros((2, 4, 3), np.float32)
    arrays = LogMelArrays(logmels=logmels, machine_ids=("a", "b"))
    other = LogMelArrays(logmels=logmels + 1, machine_ids=("a", "b"))
    assert data_fingerprint(arrays, others=True) != data_fingerprint(other, others=True)


def test_a_record_whose_parts_do_not_fit_is_refused(tree):
    detector = offkey.Detector(SPECTRAL).fit(fans(tree))
    arrays, metadata = detector._fitted().record.state()
    TrainingRecord.from_state(arrays, metadata)
    few = np.arange(3)
    for wrong in (
        (arrays | {"groups": few}, metadata),
        (arrays | {"indices": few}, metadata),
        (arrays | {"indices": arrays["indices"] + 1}, metadata),
        (arrays | {"statistics.mean": arrays["statistics.mean"][:3]}, metadata),
        (arrays, metadata | {"paths": ["a"]}),
        (arrays, metadata | {"machine_ids": [0] * 24}),
    ):
        with pytest.raises(DetectorFileError, match="training: "):
            TrainingRecord.from_state(*wrong)
