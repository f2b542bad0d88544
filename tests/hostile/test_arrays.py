"""Arrays that are not laid out in row-major order are refused by the native functions, never misread."""

import numpy as np
import pytest

from offkey import _native
from offkey.errors import ArrayError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("which", ["x", "means", "factors"])
def test_quadratic_forms_refuse_column_major_arrays(which):
    arrays = {"x": RNG.random((5, 3)), "means": RNG.random((2, 3)), "factors": RNG.random((2, 3, 3))}

    def squares():
        return _native.QuadraticForms(arrays["means"], arrays["factors"]).all(arrays["x"])

    assert np.isfinite(squares()).all()
    arrays[which] = np.asfortranarray(arrays[which])
    with pytest.raises(ArrayError, match=f"{which}: not C-contiguous"):
        squares()


def test_log_mels_in_column_major_order_are_refused():
    logmels = RNG.random((2, 8, 9)).astype(np.float32)
    with pytest.raises(ArrayError, match="logmels: not C-contiguous"):
        _native.clip_statistics(np.asfortranarray(logmels), None)


def test_strided_samples_are_refused():
    samples = np.zeros(32_000, np.float32)[::2]
    with pytest.raises(ArrayError, match="samples: not C-contiguous"):
        _native.time_shift(samples, shift=3)
