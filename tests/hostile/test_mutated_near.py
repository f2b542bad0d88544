"""Whatever is wrong with a saved detector of recipe `near`: it loads, or the error names the file."""

import random
import warnings

import pytest
from mutated_detectors import mutated

import offkey
from offkey import detector_file
from offkey.errors import DetectorFileError

pytest.importorskip("torch")


@pytest.fixture(scope="module", params=[None, 2.0], ids=["without rhythm", "with rhythm"])
def detector(request, tmp_path_factory):
    from near_recipe import RECIPE, logmels

    data = offkey.datasets.LogMelArrays(logmels=logmels(24, hz=request.param), machine_ids=["00", "02"] * 12)
    recipe = RECIPE.replace(near__arcface_weight=0.3)
    path = tmp_path_factory.mktemp("near") / "near.offkey"
    offkey.Detector(recipe).fit(data, device="cpu", num_threads=1).save(path)
    return detector_file.read(path)


def test_mutated_detectors(detector, tmp_path):
    path, loaded = tmp_path / "x.offkey", 0
    for seed in range(40):
        path.write_bytes(mutated(*detector, random.Random(seed)))
        try:
            with warnings.catch_warnings(action="ignore"):
                offkey.load(path).describe()
            loaded += 1
        except DetectorFileError as error:
            assert path.name in str(error)  # noqa: PT017 - what is not needed may be of any kind
    assert loaded < 40
