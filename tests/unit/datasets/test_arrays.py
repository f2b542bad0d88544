"""Log-Mel arrays made elsewhere."""

import numpy as np
import pytest

from offkey.datasets import LogMelArrays
from offkey.errors import ArrayError, DatasetError


def make(clips=4, n_mels=8, frames=5, **fields):
    values = np.random.default_rng(0).normal(size=(clips, n_mels, frames))
    return LogMelArrays(**{"logmels": values, "machine_ids": ["00", "02"] * (clips // 2)} | fields)


def test_defaults():
    arrays = make()
    assert arrays.logmels.dtype == np.float32
    assert arrays.machine_ids == ("00", "02", "00", "02")
    assert len(set(arrays.groups)) == len(arrays) == 4
    assert (arrays.n_mels, arrays.frames) == (8, 5)


@pytest.mark.parametrize("others", [None, make(clips=2, groups=["a", "a"])])
def test_round_trip(tmp_path, others):
    arrays = make(groups=["r1", "r1", "r2", "Aufnahme 3ü"], others=others)
    arrays.save(tmp_path / "mels")  # no ending: the name is taken as it is
    again = LogMelArrays.load(tmp_path / "mels")
    assert again.machine_ids == arrays.machine_ids
    assert again.groups == arrays.groups
    np.testing.assert_array_equal(again.logmels, arrays.logmels)
    assert (again.others is None) == (others is None)
    if others is not None:
        np.testing.assert_array_equal(again.others.logmels, others.logmels)
        assert again.others.groups == others.groups
    assert [p.name for p in tmp_path.iterdir()] == ["mels"]


def test_files_made_elsewhere(tmp_path):
    np.savez(
        tmp_path / "x.npz",
        logmels=np.zeros((2, 3, 4)),
        machine_ids=np.array([0, 2]),
        other_logmels=np.zeros((1, 3, 4)),
    )
    arrays = LogMelArrays.load(tmp_path / "x.npz")
    assert arrays.machine_ids == ("0", "2")
    assert arrays.others.machine_ids == ("other",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"logmels": np.zeros((3, 4))}, r"shape \(clips, n_mels, frames\) without zeros, given \(3, 4\)"),
        ({"logmels": np.zeros((0, 4, 4))}, r"given \(0, 4, 4\)"),
        ({"logmels": np.full((4, 2, 2), "x")}, "real numbers, given dtype <U1"),
        ({"logmels": np.full((4, 2, 2), 1j)}, "dtype complex128"),
        ({"logmels": np.array([0, 1, np.nan, 0]).repeat(4).reshape(4, 2, 2)}, "clip 2 has a value"),
        ({"logmels": np.full((4, 2, 2), 1e300)}, "clip 0 has a value that is not finite"),
        ({"machine_ids": ["00"]}, "machine_ids: expected 4, one for each clip of logmels, given 1"),
        ({"machine_ids": "0000"}, "expected a sequence of 4 texts, given one text"),
        ({"machine_ids": ["00", "", "00", "02"]}, "texts that are not empty, given ''"),
        ({"machine_ids": ["00", None, "00", "02"]}, "given None"),
        ({"groups": ["a"]}, "groups: expected 4"),
        ({"others": make(n_mels=9)}, "others.logmels: 9 Mel bins, but logmels has 8"),
        ({"others": make(others=make())}, "others.others: expected None"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(ArrayError, match=message):
        make(**fields)


def test_files_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        LogMelArrays.load(tmp_path / "lost.npz")
    path = tmp_path / "x.npz"
    np.savez(path, logmels=np.zeros((2, 3, 4)), machine_ids=np.array(["a", {}], dtype=object))
    with pytest.raises(DatasetError, match=r"not an \.npz file of plain arrays"):
        LogMelArrays.load(path)
    np.savez(path, machine_ids=np.array(["a"]))
    with pytest.raises(DatasetError, match="no array logmels; it has machine_ids"):
        LogMelArrays.load(path)
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(DatasetError, match=r"x\.npy: not an \.npz file"):
        LogMelArrays.load(tmp_path / "x.npy")
    whole = tmp_path / "whole.npz"
    make().save(whole)
    for damaged in (whole.read_bytes()[:200], b"", b"PK\x03\x04", whole.read_bytes()[:-5]):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"not an \.npz file"):
            LogMelArrays.load(path)


def test_no_flipped_byte_gets_past_as_another_exception(tmp_path):
    path = tmp_path / "x.npz"
    make(clips=2, n_mels=2, frames=2).save(path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            LogMelArrays.load(path)
        except (DatasetError, ArrayError):
            continue
