"""Decoding one file of 10 s beside soundfile."""

import numpy as np
import pytest
import soundfile as sf

import offkey


@pytest.mark.parametrize("which", ["offkey", "soundfile"])
@pytest.mark.parametrize("form", ["wav", "flac"])
def test_decode(benchmark, request, form, which):
    path = request.getfixturevalue(form)
    benchmark.group = f"decode {form}"
    ours = lambda: offkey.read(path).samples  # noqa: E731
    theirs = lambda: sf.read(path, dtype="float32", always_2d=True)[0]  # noqa: E731
    np.testing.assert_array_equal(ours(), theirs().T)
    benchmark(ours if which == "offkey" else theirs)
