"""Whatever is wrong with a saved detector of a baseline: it loads and scores, or the error names the file."""

import random
import warnings

import numpy as np
import pytest
from mutated_detectors import mutated

import offkey
from offkey import detector_file
from offkey.errors import DetectorFileError
from offkey.recipe import _BASELINES

pytest.importorskip("torch")


@pytest.fixture(scope="module", params=_BASELINES)
def detector(request, tmp_path_factory):
    from baseline_recipe import logmels, recipe_of

    from offkey.recipe import model_kind

    if model_kind(request.param).inputs == "samples":
        pytest.skip("is fitted to recordings")
    data = offkey.datasets.LogMelArrays(logmels=logmels(24), machine_ids=("00", "02") * 12)
    path = tmp_path_factory.mktemp(request.param) / "saved.offkey"
    offkey.Detector(recipe_of(request.param)).fit(data, device="cpu", num_threads=1).save(path)
    new = offkey.datasets.LogMelArrays(logmels=logmels(2, seed=1), machine_ids=("00", "02"))
    return detector_file.read(path), new


def test_mutated_detectors(detector, tmp_path):
    saved, new = detector
    path, loaded = tmp_path / "x.offkey", 0
    for seed in range(40):
        path.write_bytes(mutated(*saved, random.Random(seed)))
        try:
            with warnings.catch_warnings(action="ignore"):
                again = offkey.load(path)
                again.describe()
            loaded += 1
        except DetectorFileError as error:
            assert path.name in str(error)  # noqa: PT017 - what is not needed may be of any kind
            continue
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            assert len(again.score(new, num_threads=1)) == 2
    assert loaded < 40
