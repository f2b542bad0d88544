"""Gaussians: what they do with few rows, singular covariances, unknown IDs and saved states."""

import subprocess
import sys

import numpy as np
import pytest
from peak_memory import PEAK_KIB

from offkey.errors import ArrayError, DetectorFileError, ParameterError
from offkey.scoring.gaussian import Gaussian

KINDS = ["ledoit_wolf", "oas", "empirical"]


def rows(n, dim, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_with_one_clip_has_the_shared_covariance(kind):
    x = rows(41, 4)
    fitted = Gaussian.fit(x, ["00"] * 20 + ["02"] * 20 + ["04"], covariance=kind)
    shared = Gaussian.fit(x[:40], ["00"] * 20 + ["02"] * 20, covariance=kind, shared=True)
    np.testing.assert_allclose(fitted.covariances[2], shared.covariances[0], rtol=1e-12)
    np.testing.assert_array_equal(fitted.means[2], x[40])
    assert fitted.mahalanobis_to(x[40:], ["04"])[0] == 0.0
    assert len(fitted.distinct_covariances) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True])
def test_one_clip_alone_is_measured_by_euclid(kind, shared):
    x = np.array([[1.0, 2.0, 3.0]])
    fitted = Gaussian.fit(x, ["00"], covariance=kind, shared=shared)
    assert fitted.mahalanobis(np.array([[4.0, 6.0, 3.0]]))[0, 0] == pytest.approx(5.0, rel=1e-12)
    assert fitted.ridges.tolist() == [1.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_singular_covariance_never_fails(kind, dtype):
    few = rows(5, 30, dtype=dtype)
    constant = rows(50, 6, dtype=dtype)
    constant[:, 2] = 0.1
    repeated = np.repeat(rows(50, 3, dtype=dtype), 2, axis=1)
    for x in (few, constant, repeated, np.zeros((4, 3), dtype), rows(2, 1, dtype=dtype)):
        fitted = Gaussian.fit(x, ["a"] * len(x), covariance=kind)
        distances = fitted.mahalanobis(np.concatenate([x, x + 1]))
        assert np.isfinite(distances).all()
        assert distances[len(x) :].mean() > distances[: len(x)].mean()


def test_a_feature_that_does_not_vary_weighs_as_the_ridge_says():
    x = rows(100, 3)
    x[:, 1] = 7.0
    fitted = Gaussian.fit(x, ["a"] * 100, covariance="empirical")
    mean_variance = np.trace(fitted.covariances[0]) / 3
    off = fitted.means + np.array([0.0, 1.0, 0.0])
    assert fitted.ridges.tolist() == [1e-6]
    assert fitted.mahalanobis(off)[0, 0] == pytest.approx(1 / np.sqrt(1e-6 * mean_variance), rel=1e-9)


def test_the_ids_are_the_columns_in_order_whatever_the_order_of_the_rows():
    x = rows(60, 5)
    ids = ["06", "00", "02"] * 20
    fitted = Gaussian.fit(x, ids)
    shuffled = np.random.default_rng(1).permutation(60)
    again = Gaussian.fit(x[shuffled], [ids[i] for i in shuffled])
    assert fitted.ids == again.ids == ("00", "02", "06")
    np.testing.assert_allclose(fitted.mahalanobis(x), again.mahalanobis(x), rtol=1e-9)


def test_the_threads_change_no_bit():
    x = rows(9000, 20, dtype=np.float32)
    ids = ["a", "b", "b"] * 3000
    one, many = (Gaussian.fit(x, ids, num_threads=n) for n in (1, 7))
    np.testing.assert_array_equal(one.covariances, many.covariances)
    np.testing.assert_array_equal(one.mahalanobis(x, num_threads=1), many.mahalanobis(x, num_threads=5))


def test_arrays_that_are_not_contiguous_are_taken_as_they_are_meant():
    x = rows(80, 12, dtype=np.float32)
    fitted = Gaussian.fit(x[::2, ::3], ["a"] * 40)
    np.testing.assert_array_equal(
        fitted.covariances, Gaussian.fit(x[::2, ::3].copy(), ["a"] * 40).covariances
    )
    views = [x[::2, ::3], np.asfortranarray(x[::2, ::3])]
    expected = fitted.mahalanobis(x[::2, ::3].copy())
    for view in views:
        np.testing.assert_array_equal(fitted.mahalanobis(view), expected)


def test_the_input_is_not_written_to():
    x = rows(30, 4)
    before = x.copy()
    x.flags.writeable = False
    Gaussian.fit(x, ["a"] * 30).mahalanobis(x)
    np.testing.assert_array_equal(x, before)


def test_no_rows_give_no_distances():
    fitted = Gaussian.fit(rows(10, 3), ["a"] * 5 + ["b"] * 5)
    assert fitted.mahalanobis(np.empty((0, 3))).shape == (0, 2)
    assert fitted.mahalanobis_to(np.empty((0, 3), np.float32), []).shape == (0,)


def test_state_restores_every_bit():
    x = rows(50, 6)
    fitted = Gaussian.fit(x, ["a", "b"] * 25, covariance="oas")
    again = Gaussian.from_state(fitted.state(), ids=fitted.ids)
    np.testing.assert_array_equal(again.mahalanobis(x), fitted.mahalanobis(x))
    np.testing.assert_array_equal(again.covariances, fitted.covariances)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": None}, "no array means"),
        ({"means": np.zeros((3, 6))}, "means is float64"),
        ({"means": np.float64(0)}, "means is float64"),
        ({"means": np.full((2, 6), np.nan)}, "means: NaN"),
        ({"covariances": np.zeros((2, 6, 6), np.float32)}, "covariances is float32"),
        ({"covariances": np.full((2, 6, 6), np.inf)}, "covariance"),
        ({"covariances": -np.ones((2, 6, 6))}, "negative variance"),
        ({"which": np.array([0, 2])}, "factor 2"),
        ({"which": np.array([0, -1])}, "-1 at position 1"),
    ],
)
def test_a_damaged_state_of_a_gaussian_is_refused_with_what_is_wrong(change, message):
    state = Gaussian.fit(rows(50, 6), ["a", "b"] * 25).state() | change
    state = {name: array for name, array in state.items() if array is not None}
    with pytest.raises(DetectorFileError, match=message):
        Gaussian.from_state(state, ids=["a", "b"])


def test_states_of_other_ids_are_refused():
    state = Gaussian.fit(rows(50, 6), ["a", "b"] * 25).state()
    for ids in ([], ["b", "a"], ["a", "a"], ["a"]):
        with pytest.raises(DetectorFileError):
            Gaussian.from_state(state, ids=ids)


@pytest.mark.parametrize(
    ("x", "ids", "message"),
    [
        (np.zeros((3, 2), np.int64), ["a"] * 3, "dtype int64"),
        (np.zeros((3, 2), np.float16), ["a"] * 3, "dtype float16"),
        (np.zeros((3, 2), ">f4"), ["a"] * 3, "dtype >f4"),
        (np.zeros((3, 2), complex), ["a"] * 3, "dtype complex128"),
        (np.zeros(3), ["a"] * 3, r"shape \(3,\)"),
        (np.zeros((3, 0)), ["a"] * 3, "0 features"),
        (np.zeros((0, 2)), [], "one for each row"),
        (np.zeros((3, 2)), ["a"] * 2, "2 for 3 rows"),
        (np.zeros((3, 2)), ["a", None, "b"], "None at position 1"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), ["a", "a"], "row 1 holds NaN in column 0"),
        (np.array([[0.0, -np.inf], [1.0, 1.0]], np.float32), ["a", "b"], "row 0 holds -inf in column 1"),
        (np.array([[1e200, 0.0], [-1e200, 0.0]]), ["a", "a"], "overflow"),
    ],
)
def test_bad_rows_are_named(x, ids, message):
    with pytest.raises(ArrayError, match=message):
        Gaussian.fit(x, ids)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_are_written_to_the_given_array(dtype):
    x, ids = rows(5000, 7, dtype=dtype), ["00", "02"] * 2500
    fitted = Gaussian.fit(x, ids)
    all_out, own_out = np.full((5000, 2), np.nan), np.full(5000, np.nan)
    assert fitted.mahalanobis(x, out=all_out) is all_out
    np.testing.assert_array_equal(all_out, fitted.mahalanobis(x))
    assert fitted.mahalanobis_to(x, ids, out=own_out) is own_out
    np.testing.assert_array_equal(own_out, fitted.mahalanobis_to(x, ids))


def test_ids_may_be_positions():
    x = rows(300, 4)
    fitted = Gaussian.fit(x, ["00", "02", "04"] * 100)
    expected = fitted.mahalanobis_to(x, ["04", "02", "00"] * 100)
    index = np.array([2, 1, 0] * 100)
    np.testing.assert_array_equal(fitted.mahalanobis_to(x, index), expected)
    np.testing.assert_array_equal(fitted.mahalanobis_to(x, np.repeat(index, 2)[::2]), expected)
    for bad, message in [(-1, "-1 at row 1"), (3, "3 at row 1")]:
        with pytest.raises(ArrayError, match=message):
            fitted.mahalanobis_to(x[:2], np.array([0, bad]))
    with pytest.raises(ArrayError, match="dtype int32"):
        fitted.mahalanobis_to(x, index.astype(np.int32))
    with pytest.raises(ArrayError, match="1 entries"):
        fitted.mahalanobis_to(x, index[:1])


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((2, 3), np.float32), "dtype float32"),
        (np.empty((3, 2)), r"shape \(3, 2\); expected \(2, 3\)"),
        (np.empty(6), r"shape \(6,\)"),
        (np.empty((2, 3), order="F"), "not C-contiguous"),
        (np.empty((2, 6))[:, ::2], "not C-contiguous"),
        (np.broadcast_to(0.0, (2, 3)), "C-contiguous"),
        ([0.0] * 6, "a list"),
    ],
)
def test_a_bad_array_for_results_is_refused(out, message):
    fitted = Gaussian.fit(rows(30, 4), ["00", "02", "04"] * 10)
    with pytest.raises(ArrayError, match="^out: .*" + message):
        fitted.mahalanobis(np.zeros((2, 4)), out=out)


def test_results_never_overwrite_what_is_read():
    x = rows(30, 3)
    fitted = Gaussian.fit(x, ["00", "02", "04"] * 10)
    before = x.copy()
    with pytest.raises(ArrayError, match="shares memory"):
        fitted.mahalanobis(x, out=x)
    np.testing.assert_array_equal(x, before)
    frozen = np.empty((30, 3))
    frozen.flags.writeable = False
    with pytest.raises(ArrayError, match="read-only"):
        fitted.mahalanobis(x, out=frozen)


def test_bad_questions_are_named():
    fitted = Gaussian.fit(rows(30, 4), ["00", "02", "04"] * 10)
    with pytest.raises(ArrayError, match=r"shape \(2, 3\); expected \(n, 4\)"):
        fitted.mahalanobis(np.zeros((2, 3)))
    with pytest.raises(ArrayError, match="row 1 holds inf in column 2"):
        fitted.mahalanobis(np.array([[0, 0, 0, 0], [0, 0, np.inf, 0]], np.float32))
    with pytest.raises(ParameterError, match="'06' not known; expected some of '00', '02', '04'"):
        fitted.mahalanobis_to(np.zeros((2, 4)), ["00", "06"])
    with pytest.raises(ArrayError, match="1 entries"):
        fitted.mahalanobis_to(np.zeros((2, 4)), ["00"])
    with pytest.raises(ParameterError, match="num_threads = 0"):
        fitted.mahalanobis(np.zeros((2, 4)), num_threads=0)
    with pytest.raises(ParameterError, match='covariance = "ridge"'):
        Gaussian.fit(rows(30, 4), ["a"] * 30, covariance="ridge")


def test_a_fit_of_many_ids_needs_little_more_than_its_result():
    """The products of 1,000 IDs with 300 features would take 720 MB, and their parts as much again."""
    code = f"""{PEAK_KIB}
import numpy as np
from offkey.scoring.gaussian import Gaussian
x = np.random.default_rng(0).standard_normal((2000, 300), dtype=np.float32)
ids = [str(i % 1000) for i in range(2000)]
Gaussian.fit(x[:10], ids[:10], shared=True)
before = peak_kib()
Gaussian.fit(x, ids, shared=True)
print(peak_kib() - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 100 << 10
