"""What an auto-encoder's error follows: the rows and the picture of `benches/python/baseline_errors.py`."""

import sys
from pathlib import Path

import numpy as np
import pytest
from machines import write_tree

import offkey

BENCHES = Path(__file__).parents[2] / "benches" / "python"

pytestmark = pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")


@pytest.fixture(scope="module")
def baseline_errors():
    sys.path.insert(0, str(BENCHES))
    import baseline_errors

    yield baseline_errors
    sys.path.remove(str(BENCHES))
    sys.modules.pop("baseline_errors", None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return offkey.datasets.dcase2020(
        write_tree(tmp_path_factory.mktemp("fans"), machines=("fan",), train=12, test=8, seconds=0.5),
        machine="fan",
    )


def test_an_error_that_is_restlessness_is_explained_and_one_that_is_the_fault_is_not(baseline_errors, data):
    random = np.random.default_rng(0)
    restless, other = random.normal(size=(2, len(data.test)))
    faulty = data.test.labels == 1
    follows = {"restless": restless, "error": 3 * restless + 1, "spectral": other + 9 * faulty}
    cells = baseline_errors.row("fan", data, follows).split(" | ")
    assert cells[1] == "100 %"
    assert cells[-1] == "1.000 |"
    hears = {"restless": restless, "error": other + 9 * faulty, "spectral": other}
    cells = baseline_errors.row("fan", data, hears).split(" | ")
    assert int(cells[1].split()[0]) < 40
    assert float(cells[4]) > 5
    assert cells[5] == "1.000"


def test_a_recipe_is_trained_and_drawn(baseline_errors, data, tmp_path):
    clips = baseline_errors.measured(data, offkey.Recipe.named("pca"), seed=0)
    assert {name: len(values) for name, values in clips.items()} == dict.fromkeys(
        ("restless", "error", "spectral"), len(data.test)
    )
    baseline_errors.picture({"fan": (data, clips)}, "pca", tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 5_000
