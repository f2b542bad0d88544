import numpy as np
import pytest
from spectral_clips import machine_clips, with_rhythm

from offkey.errors import ArrayError, DatasetError
from offkey.models.spectral.feature_sets import FEATURE_SETS, Scale, StatisticsTable


@pytest.fixture
def statistics():
    clips, ids, _ = machine_clips(0, [6], n_mels=8)
    return with_rhythm(0, clips, ids, fine=(2, 3))


def test_features_stand_side_by_side_in_the_order_of_the_set(statistics):
    table = StatisticsTable.checked(statistics, fine_mels=[16, 24])
    expected = np.concatenate([statistics.mean, statistics.lstd, statistics.ldstd], axis=1)
    assert np.array_equal(table.features("L"), expected.astype(np.float64))
    assert np.array_equal(table.features("F2"), statistics.fine_mean[:, 16:].astype(np.float64))
    assert {name: table.features(name).shape for name in FEATURE_SETS if table.has(name)} == {
        "M": (6, 8),
        "A": (6, 16),
        "P": (6, 8),
        "L": (6, 24),
        "F1": (6, 16),
        "F2": (6, 24),
        "T": (6, 128),
    }


def test_what_the_clips_lack_is_said():
    table = StatisticsTable.checked(machine_clips(0, [6], n_mels=8)[0])
    assert [name for name in FEATURE_SETS if table.has(name)] == ["M", "A", "P", "L"]
    for name, column in (("F1", "fine_mean"), ("F2", "fine_mean"), ("T", "rhythm")):
        with pytest.raises(ArrayError, match=rf"statistics\.{column}: given none.*score recordings, or fit"):
            table.features(name)


def test_a_clip_too_short_for_a_rhythm_is_known_by_a_row_of_nan_and_nothing_else_may_be_nan(statistics):
    statistics.rhythm[2] = np.nan
    table = StatisticsTable.checked(statistics, fine_mels=[40])
    assert table.unknown("T").tolist() == [False, False, True, False, False, False]
    assert not table.unknown("F1").any()
    statistics.rhythm[3, 7] = np.nan
    with pytest.raises(ArrayError, match=r"statistics\.rhythm: clip 3, Mel bin 7 is nan"):
        StatisticsTable.checked(statistics)
    statistics.rhythm[3, 7] = 0.0
    statistics.fine_mean[1] = np.nan
    with pytest.raises(ArrayError, match=r"statistics\.fine_mean: clip 1"):
        StatisticsTable.checked(statistics, fine_mels=[40])
    assert not StatisticsTable.checked(statistics).has("F1")
    with pytest.raises(ArrayError, match=r"statistics\.fine_mean: given 40 bins, expected 16 \+ 16"):
        StatisticsTable.checked(statistics._replace(fine_mean=np.zeros((6, 40))), fine_mels=[16, 16])


@pytest.mark.parametrize("name", ["fine_mean", "rhythm"])
@pytest.mark.parametrize("shape", [(5, 16), (6,), (6, 0)])
def test_further_statistics_of_other_shapes_are_refused(statistics, name, shape):
    with pytest.raises(ArrayError, match=rf"statistics\.{name}: expected \(clips, bins\)"):
        StatisticsTable.checked(
            statistics._replace(**{name: np.zeros(shape, np.float32)}), fine_mels=[16, 24]
        )


def test_the_input_is_copied_to_float64_and_never_written(statistics):
    before = {name: column.copy() for name, column in statistics.arrays().items()}
    table = StatisticsTable.checked(statistics)
    shifted = table.shifted(level_db=np.ones((6, 8)), log_deviation=np.full((6, 8), 2.0))
    assert table.features("M").dtype == np.float64
    for name, old in before.items():
        assert np.array_equal(getattr(statistics, name), old)
    assert np.allclose(shifted.columns["mean"] - table.columns["mean"], 1)
    assert np.allclose(shifted.columns["p5"] - table.columns["p5"], 1)
    assert np.allclose(shifted.columns["lstd"] - table.columns["lstd"], 2)
    assert np.allclose(shifted.columns["ldstd"] - table.columns["ldstd"], 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(statistics, bad):
    statistics.ldstd[4, 3] = bad
    with pytest.raises(ArrayError, match=r"ldstd: clip 4, Mel bin 3 is .*finite"):
        StatisticsTable.checked(statistics)


def test_shapes_and_types_that_do_not_fit_are_refused(statistics):
    with pytest.raises(ArrayError, match=r"statistics\.p5: expected \(clips, n_mels\)"):
        StatisticsTable.checked(statistics._replace(p5=statistics.p5[:, :-1]))
    with pytest.raises(ArrayError, match=r"statistics\.mean"):
        StatisticsTable.checked(statistics._replace(mean=statistics.mean[0]))
    with pytest.raises(ArrayError, match="floats, given int64"):
        StatisticsTable.checked(statistics._replace(lstd=np.zeros((6, 8), dtype=np.int64)))
    with pytest.raises(ArrayError, match="given 8 Mel bins, expected 128"):
        StatisticsTable.checked(statistics, n_mels=128)


def test_scale_standardises_and_names_flat_bins(statistics):
    statistics.mean[:, [0, 1, 2, 7]] = -100.0
    statistics.ldstd[:, 5] = 0.25
    features = StatisticsTable.checked(statistics).features("A")
    scale = Scale.fit(features, np.ones(len(features)), feature_set="A")
    assert scale.dropped() == {"mean": "0-2, 7", "ldstd": "5"}
    scaled = scale.apply(features)
    assert scaled.shape == (6, 11)
    assert scaled.flags.c_contiguous
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(scaled.std(axis=0), 1)


def test_a_bin_is_kept_from_a_deviation_of_a_thousandth_of_a_db():
    below, above = np.array([-1.0, 1.0]) * 0.9e-3, np.array([-1.0, 1.0]) * 1.1e-3
    scale = Scale.fit(np.stack([below, above], axis=1), np.ones(len(below)), feature_set="M")
    assert scale.varying.tolist() == [False, True]


def test_nothing_that_varies_is_refused(statistics):
    statistics.mean[:] = -100.0
    with pytest.raises(DatasetError, match=r"feature set M \(mean\): no Mel bin varies over the 6"):
        features = StatisticsTable.checked(statistics).features("M")
        Scale.fit(features, np.ones(len(features)), feature_set="M")
