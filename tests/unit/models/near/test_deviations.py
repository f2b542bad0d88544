import numpy as np
import pytest

from offkey.errors import DatasetError, DetectorFileError
from offkey.models.near.deviations import Deviations, DeviationSets
from offkey.models.spectral.likelihood_ratio import Moments

N_MELS = 12


def features(clips=60, *, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(0, 1, (clips, 2 * N_MELS)) @ random.normal(0, 1, (2 * N_MELS, 2 * N_MELS))


def fit(values, ids, weights=None, n_ids=2):
    return Deviations.fit(
        values,
        ids,
        np.ones(len(ids)) if weights is None else weights,
        feature_set="A",
        n_ids=n_ids,
        varying=np.ones(values.shape[1], dtype=bool),
        n_mels=N_MELS,
        ridge=1e-3,
        tau=0.01,
    )


@pytest.fixture
def ids():
    return np.arange(60) % 2


def test_the_squared_length_is_the_likelihood_ratio_of_spectral_over_the_number_of_features(ids):
    values, weights = features(), np.linspace(0.2, 1, 60)
    moments = Moments.fit(values, ids, weights, feature_set="A", n_ids=2, own_ids=())
    ratio = np.exp(moments.model(own_covariance=False, ridge=1e-3, tau=0.01).log_scores(values)) - 1e-12
    length = np.square(fit(values, ids, weights).all(values)).sum(axis=2)
    np.testing.assert_allclose(2 * N_MELS * length, ratio, rtol=1e-3)


def test_own_deviations_are_those_against_the_own_id(ids):
    values = features()
    deviations = fit(values, ids)
    # Equal up to the order of the sums, which a matrix product chooses by its shape and the processor.
    terms = np.abs(values - deviations.means[ids]) @ np.abs(deviations.root.astype(np.float64))
    difference = np.abs(deviations.own(values, ids) - deviations.all(values)[np.arange(60), ids])
    assert (difference <= 2 * N_MELS * np.finfo(np.float32).eps * terms).all()


def test_an_id_without_clips_has_no_deviations(ids):
    deviations = fit(features(), ids, n_ids=3)
    sets = DeviationSets({"A": deviations}, {"A": np.ones(2 * N_MELS, dtype=bool)})
    assert sets.known.tolist() == [True, True, False]
    assert np.isnan(sets.all({"A": features()})[:, 2]).all()


def test_copies_of_one_clip_for_each_id_are_refused(ids):
    with pytest.raises(DatasetError, match="60 training clips differ between machine IDs only"):
        fit(features()[ids], ids)


def stored(ids):
    sets = DeviationSets({"A": fit(features(), ids)}, {"A": np.ones(2 * N_MELS, dtype=bool)})
    return sets, sets.state()


def test_what_is_stored_gives_the_same_deviations(ids):
    sets, arrays = stored(ids)
    again = DeviationSets.from_state(arrays, ["A"], n_ids=2, n_mels=N_MELS)
    assert again.sizes == [2 * N_MELS]
    assert np.array_equal(again.all({"A": features(seed=1)}), sets.all({"A": features(seed=1)}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("A.root", lambda array: array[:-1]),
        ("A.root", lambda array: array * np.nan),
        ("A.root", lambda array: array.astype(np.float64)),
        ("A.means", lambda array: array[:1]),
        ("A.means", lambda array: array * np.inf),
        ("A.varying", lambda array: array[:-1]),
        ("A.varying", lambda array: array.astype(np.int64)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(ids, name, change):
    _, arrays = stored(ids)
    with pytest.raises(DetectorFileError, match="near, feature set A"):
        DeviationSets.from_state(arrays | {name: change(arrays[name])}, ["A"], n_ids=2, n_mels=N_MELS)
