"""Checks of arrays: what fits comes through without a copy, what does not is named."""

import numpy as np
import pytest

from offkey._util import arrays
from offkey.errors import ArrayError


def test_fitting_floats_are_not_copied() -> None:
    values = np.zeros((3, 5), np.float32)
    assert arrays.floats("x", values, ("clips", 5)) is values
    assert arrays.output(values, (3, "frames")) is values


@pytest.mark.parametrize(
    "values",
    [
        np.ones((3, 5)),
        np.ones((3, 5), np.float16),
        np.ones((3, 5), ">f4"),
        np.ones((5, 3), np.float32).T,
        np.ones((3, 10), np.float32)[:, ::2],
        np.ones(61, np.uint8)[1:].view("<f4").reshape(3, 5) * 0 + 1,
        [[1.0] * 5] * 3,
    ],
)
def test_other_floats_become_float32(values) -> None:
    got = arrays.floats("x", values, ("clips", 5))
    assert got.dtype == np.float32
    assert got.flags.carray
    np.testing.assert_array_equal(got, np.ones((3, 5)))


@pytest.mark.parametrize(
    ("values", "axes", "message"),
    [
        (np.zeros(3, int), ("n",), r"x: dtype int64; expected a floating-point array of shape \(n,\)$"),
        (np.zeros(3, int), ("samples",), r"x: dtype int64; .*; integer samples must be scaled to \[-1, 1\]$"),
        (np.zeros((2, 3)), ("clips", 4), r"x: shape \(2, 3\); expected .* of shape \(clips, 4\)$"),
        (np.zeros(()), ("samples",), r"x: shape \(\); expected"),
        (["a"], ("samples",), r"x: dtype <U1; expected"),
        (None, ("samples",), r"x: dtype object; expected"),
    ],
)
def test_what_does_not_fit_is_named(values, axes, message) -> None:
    with pytest.raises(ArrayError, match=message):
        arrays.floats("x", values, axes)


@pytest.mark.parametrize(
    ("values", "length", "message"),
    [
        ([1.0, np.nan], None, "scores: nan at position 1; expected finite numbers only"),
        ([1.0, 2.0], 3, "scores: 2 values; expected 3, one for each clip"),
        ([[1.0]], None, r"scores: dtype float64, shape \(1, 1\); expected real numbers of shape \(n,\)"),
        (["a"], None, "scores: dtype <U1"),
    ],
)
def test_vectors_that_are_not_finite_numbers(values, length, message) -> None:
    with pytest.raises(ArrayError, match=message):
        arrays.finite_vector(values, "scores", length)
    np.testing.assert_array_equal(arrays.finite_vector([1, 2], "scores", 2), [1.0, 2.0])
