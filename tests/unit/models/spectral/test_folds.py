import numpy as np
import pytest

from offkey.errors import DatasetError
from offkey.models.spectral.folds import make_folds


def fold(ids, groups, **changes):
    names = [f"{i:02d}" for i in range(max(ids) + 1)]
    return make_folds(np.array(ids), groups, names=names, **({"count": 5, "seed": 0} | changes))


def test_folds_are_of_like_size_and_share_each_id():
    ids = [0] * 50 + [1] * 30
    folds = fold(ids, [str(k) for k in range(80)])
    for k in range(5):
        held = np.array(ids)[folds.fold == k]
        assert np.bincount(held).tolist() == [10, 6]
    assert folds.notes == ()


def test_clips_of_one_recording_stay_together():
    groups = [f"r{k // 7}" for k in range(70)]
    folds = fold([0] * 70, groups)
    for group in set(groups):
        assert len({f for f, g in zip(folds.fold.tolist(), groups, strict=True) if g == group}) == 1


def test_a_recording_of_two_ids_stays_together_too():
    ids, groups = [0, 1] * 10, [f"r{k // 4}" for k in range(20)]
    folds = fold(ids, groups)
    assert all(len(set(folds.fold[4 * k : 4 * k + 4])) == 1 for k in range(5))


def test_the_seed_orders_the_recordings():
    groups = [f"r{k}" for k in range(40)]
    first = fold([0] * 40, groups, seed=1).fold
    assert np.array_equal(first, fold([0] * 40, groups, seed=1).fold)
    assert not np.array_equal(first, fold([0] * 40, groups, seed=2).fold)


def test_fewer_recordings_than_folds_make_fewer_folds_and_a_note():
    folds = fold([0] * 12, [f"r{k // 4}" for k in range(12)])
    assert folds.fold.max() == 2
    assert any("3 folds instead of 5" in note for note in folds.notes)


def test_a_single_recording_is_divided_and_said_so():
    folds = fold([0] * 10, ["one"] * 10)
    assert np.bincount(folds.fold).tolist() == [2] * 5
    assert any("ID 00: all clips come from one recording" in note for note in folds.notes)


def test_only_the_id_of_one_recording_is_divided():
    groups = ["a"] * 6 + [f"b{k // 3}" for k in range(15)]
    folds = fold([0] * 6 + [1] * 15, groups)
    assert len(set(folds.fold[:6])) > 1
    assert len(set(folds.units[:6].tolist())) == 6
    assert all(len(set(folds.units[6 + 3 * k : 9 + 3 * k].tolist())) == 1 for k in range(5))
    assert all(len(set(folds.fold[6 + 3 * k : 9 + 3 * k])) == 1 for k in range(5))
    assert "ID 00" in folds.notes[0]
    assert "01" not in folds.notes[0]


def test_one_recording_of_nearly_all_clips_is_divided():
    folds = fold([0] * 8, ["big"] * 7 + ["small"])
    assert folds.fold.max() == 4
    assert any("too few recordings" in note for note in folds.notes)
    assert sorted(folds.units.tolist()) == list(range(8))


@pytest.mark.parametrize(("ids", "needed"), [([0] * 3, 5), ([0, 1, 2, 3], 8), ([0, 0, 0, 1, 1], 6)])
def test_too_few_clips_for_folds_say_how_many_are_needed(ids, needed):
    with pytest.raises(DatasetError, match=f"{len(ids)} normal training clips .* at least {needed}"):
        fold(ids, [str(k) for k in range(len(ids))])


def test_too_few_of_any_one_id_is_refused():
    ids = [0, 0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(DatasetError, match="too few of any one ID"):
        fold(ids, [str(k) for k in range(8)], count=2)
