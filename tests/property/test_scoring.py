"""Properties of scores, Gaussians and curves that hold for any input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from offkey.metrics import auc, pauc, resampled_areas, roc_curve
from offkey.scores import ScoreTable, from_csv, from_json
from offkey.scoring.gaussian import Gaussian
from offkey.scoring.null import NullDistributions
from offkey.scoring.standardize import Standardizer

FINITE = st.floats(-1e6, 1e6, allow_nan=False)
# Few distinct values make ties, which is where curves go wrong.
TIED = st.sampled_from([-1.0, 0.0, 0.25, 1.0, 1e-300, 1e300])


@st.composite
def classes(draw):
    """Scores of normals and of anomalies, and the labels of both together."""
    normals = draw(st.lists(TIED | FINITE, min_size=1, max_size=30))
    anomalies = draw(st.lists(TIED | FINITE, min_size=1, max_size=30))
    return normals, anomalies, np.repeat([0, 1], [len(normals), len(anomalies)])


@given(classes())
def test_the_auc_counts_pairs(given_classes):
    normals, anomalies, labels = given_classes
    pairs = [(a > n) + 0.5 * (a == n) for n, a in itertools.product(normals, anomalies)]
    assert auc(labels, normals + anomalies) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert pauc(labels, normals + anomalies, max_fpr=1.0) == pytest.approx(np.mean(pairs), abs=1e-12)


@given(classes(), st.floats(1e-3, 1.0))
def test_areas_mirror_and_keep_their_range(given_classes, max_fpr):
    normals, anomalies, labels = given_classes
    scores = np.array(normals + anomalies)
    assert auc(labels, scores) + auc(labels, -scores) == pytest.approx(1, abs=1e-12)
    assert auc(labels, scores) == auc(1 - labels, -scores)
    assert -1e-12 <= pauc(labels, scores, max_fpr=max_fpr) <= 1 + 1e-12
    ranks = np.unique(scores, return_inverse=True)[1]
    assert auc(labels, ranks) == auc(labels, scores)


@given(classes())
def test_the_curve_rises_from_corner_to_corner(given_classes):
    normals, anomalies, labels = given_classes
    curve = roc_curve(labels, normals + anomalies)
    for rate in (curve.false_positive_rate, curve.true_positive_rate):
        assert rate[0] == 0
        assert rate[-1] == 1
        assert (np.diff(rate) >= 0).all()
    assert (np.diff(curve.thresholds) < 0).all()
    heights = (curve.true_positive_rate[1:] + curve.true_positive_rate[:-1]) / 2
    area = np.sum(heights * np.diff(curve.false_positive_rate))
    assert area == pytest.approx(auc(labels, normals + anomalies), abs=1e-12)


@settings(max_examples=30)
@given(classes(), st.integers(0, 2**32))
def test_bootstrap_samples_lie_around_the_figure(given_classes, seed):
    normals, anomalies, labels = given_classes
    arrays = np.array(normals), np.array(anomalies)
    areas = resampled_areas(*arrays, resamples=50, key=(seed,), max_fpr=0.2)
    assert areas.shape == (2, 50)
    assert ((areas >= -1e-12) & (areas <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(areas, resampled_areas(*arrays, resamples=50, key=(seed,), max_fpr=0.2))
    if len(set(normals)) == len(set(anomalies)) == 1:
        np.testing.assert_allclose(areas[0], auc(labels, normals + anomalies), atol=1e-12)


def test_the_mean_of_bootstrap_samples_is_the_auc():
    rng = np.random.default_rng(0)
    normals, anomalies = rng.normal(size=60), rng.normal(size=50) + 1
    areas = resampled_areas(normals, anomalies, resamples=4000, key=(1,), max_fpr=0.1)
    figure = auc(np.repeat([0, 1], [60, 50]), np.concatenate([normals, anomalies]))
    # Standard error of the mean of 4000 samples: below 0.001.
    assert areas[0].mean() == pytest.approx(figure, abs=0.004)
    hanley = 0.045  # Hanley and McNeil (1982) for AUC 0.76 with 50 and 60 clips
    assert areas[0].std() == pytest.approx(hanley, rel=0.2)


def test_recordings_are_drawn_whole_so_that_their_copies_promise_nothing():
    """Every clip five times over: the intervals are those of the recordings, not those of so many clips."""
    rng = np.random.default_rng(3)
    normals, anomalies = rng.normal(size=30), rng.normal(size=25) + 1
    once = resampled_areas(normals, anomalies, resamples=400, key=(1,), max_fpr=0.1)
    copies = np.repeat(normals, 5), np.repeat(anomalies, 5)
    recordings = np.repeat(np.arange(30), 5), 9 - np.repeat(np.arange(25), 5)
    whole = resampled_areas(*copies, resamples=400, key=(1,), max_fpr=0.1, recordings=recordings)
    apart = resampled_areas(*copies, resamples=400, key=(1,), max_fpr=0.1)
    assert whole[0].std() == pytest.approx(once[0].std(), rel=0.15)
    assert apart[0].std() < 0.6 * once[0].std()


def test_recordings_of_unequal_length_give_samples_of_unequal_size():
    normals, anomalies = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5])
    recordings = np.array([7, 4, 4, 4]), np.array([1])
    areas = resampled_areas(normals, anomalies, resamples=300, key=(0,), max_fpr=1.0, recordings=recordings)
    # Either recording twice, or both: 1 of 1 below, 0 of 3, or 1 of 4.
    assert set(np.round(areas[0], 9)) == {1.0, 0.0, 0.25}
    np.testing.assert_allclose(areas[0], areas[1])


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=FINITE),
    st.sampled_from(["ledoit_wolf", "oas", "empirical"]),
    st.booleans(),
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 3),
)
def test_any_finite_rows_have_finite_distances(x, kind, shared, dtype, count):
    x = x.astype(dtype)
    ids = [f"{at % min(count, len(x)):02d}" for at in range(len(x))]
    fitted = Gaussian.fit(x, ids, covariance=kind, shared=shared)
    distances = fitted.mahalanobis(x)
    assert distances.shape == (len(x), len(fitted.ids))
    assert np.isfinite(distances).all()
    assert (distances >= 0).all()
    np.testing.assert_array_equal(
        fitted.mahalanobis_to(x, ids), distances[np.arange(len(x)), [int(i) for i in ids]]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.floats(0.01, 100))
def test_distances_do_not_depend_on_the_basis(seed, dim, scale):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(10 * dim + 10, dim))
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0] * scale
    ids = ["a", "b"] * (5 * dim + 5)
    for kind in ("ledoit_wolf", "oas", "empirical"):
        here = Gaussian.fit(x, ids, covariance=kind).mahalanobis(x)
        there = Gaussian.fit(x @ basis + 3, ids, covariance=kind).mahalanobis(x @ basis + 3)
        np.testing.assert_allclose(here, there, rtol=1e-7)


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=FINITE), st.integers(1, 4), st.integers(2, 12))
def test_standardised_scores_come_back(scores, count, min_clips):
    ids = [f"{at % count}" for at in range(len(scores))]
    fitted = Standardizer.fit(scores, ids, min_clips=min_clips)
    z = fitted.transform_own(scores, ids)
    place = [fitted.ids.index(i) for i in ids]
    back = z * fitted.deviations[place] + fitted.means[place]
    np.testing.assert_allclose(back, scores, atol=1e-6 + 1e-9 * np.abs(scores).max())


@given(hnp.arrays(np.float64, st.integers(2, 60), elements=FINITE), st.floats(0.01, 0.99))
def test_thresholds_keep_their_promise(scores, rate):
    """Over all ways to take one of some clips for new: exchangeable ones are called no oftener than asked."""
    called = 0
    for new in range(len(scores)):
        null = NullDistributions.fit(np.delete(scores, new), ["a"] * (len(scores) - 1))
        judged = null.judge(scores[[new]], ["a"], rate=rate)
        if judged.calibration == ("own",):
            assert judged.decision[0] == (judged.p_value[0] <= rate * (1 + 1e-9))
            called += int(judged.decision[0])
    assert called <= rate * len(scores) + 1e-9


@given(hnp.arrays(np.float64, st.integers(3, 40), elements=st.floats(-100, 100)), st.integers(2, 12))
def test_scores_standardised_without_themselves_are_what_a_fit_without_them_gives(scores, min_clips):
    ids = ["a"] * len(scores)
    z = Standardizer.leave_one_out(scores, ids, min_clips=min_clips)
    for at in range(len(scores)):
        others = np.delete(scores, at)
        if others.std() > 1e-6 * max(1, np.abs(scores).max()):
            np.testing.assert_allclose(
                z[at], (scores[at] - others.mean()) / others.std(), rtol=1e-6, atol=1e-8
            )


CELL = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text) | st.sampled_from(
    ["a,b", '"', "\n", "\r", "\r\n", " ", "é", "𝄞"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXT, st.none() | TEXT, CELL, CELL, st.sampled_from([0, 1, None])), max_size=8))
def test_tables_survive_the_way_through_a_file(rows):
    table = ScoreTable(
        path=[f"{name}.wav" for name, *_ in rows],
        machine_id=[r[1] for r in rows],
        a_out=[r[2] for r in rows],
        anomaly_score=[r[3] for r in rows],
        label=[r[4] for r in rows],
    )
    assert from_csv(table.to_csv(), "csv") == table
    assert from_json(table.to_json(), "json") == table
