"""A model from outside joins the package: by registration in Python, by an entry point on the command line."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from machines import write_tree

import offkey
from offkey.errors import OffkeyError, ParameterError, RecipeError
from offkey.models import InlierModel, Section, register

BASELINES = "ae, forest, gmm, idcae, idnn, knn, lof, mimii_ae, pca, svm, vae"
MODELS = "ae, forest, gmm, idcae, idnn, knn, lof, mimii_ae, near, network, pca, spectral, svm, vae"
TESTS = Path(__file__).parents[2]


class Empty(Section, frozen=True):
    pass


class NoModel(InlierModel):
    pass


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree") / "dev_data", train=12, test=4, seconds=0.5)


@pytest.fixture
def installed(tmp_path):
    """An environment in which a package with the model is installed: its metadata name the entry point."""
    package = tmp_path / "site" / "distance-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: distance\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[offkey.models]\ndistance = plugin_model\nlost = no_such_module\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), str(TESTS), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_a_model_from_outside_is_fitted_saved_loaded_and_scored(distance, tree, tmp_path):
    data = offkey.datasets.dcase2020(tree, machine="fan")
    recipe = offkey.Recipe.named("distance")
    assert recipe == offkey.Recipe(name="distance", distance=distance.Distance())
    assert offkey.Recipe.from_json(recipe.replace(distance__power=3).to_json()).distance.power == 3.0
    detector = offkey.Detector("distance").fit(data)
    table = detector.score(data.test)
    assert table.score_names == ("a_distance", "anomaly_score")
    assert np.isfinite(table.a_distance).all()
    detector.save(tmp_path / "fan.offkey")
    again = offkey.load(tmp_path / "fan.offkey")
    assert again.score(data.test) == table
    assert again.describe() == detector.describe()
    for copied in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
        assert copied.score(data.test) == table
    for ending in ("csv", "json", "parquet"):
        table.write(tmp_path / f"scores.{ending}")
        assert offkey.ScoreTable.read(tmp_path / f"scores.{ending}") == table
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == ",".join(
        [*offkey.scores.COLUMNS, "a_distance"]
    )
    assert {row.score for row in offkey.evaluate(table).overall} == {"a_distance", "anomaly_score"}


def test_a_model_from_outside_stands_beside_those_of_offkey(distance, tree):
    data = offkey.datasets.dcase2020(tree, machine="fan")
    recipe = offkey.Recipe.named("spectral").replace(distance={}, scoring__combine="mean")
    assert recipe.score_names == ("a_distance", "a_spectral")
    table = offkey.Detector(recipe).fit(data).score(data.test)
    assert table.score_names == ("a_spectral", "a_distance", "anomaly_score")


def test_the_command_line_finds_models_of_installed_packages(installed, tree, tmp_path):
    fans = (tree, "--machine", "fan")
    commands = [
        ("train", *fans, "--recipe", "distance", "--out", "fan.offkey"),
        ("score", "fan.offkey", tree / "fan" / "test", "--out", "scores.csv"),
        ("info", "fan.offkey", "--json"),
        ("evaluate", "scores.csv", "--data", *fans),
        ("train", *fans, "--recipe", "lost", "--out", "x.offkey"),
        ("train", *fans, "--recipe", "none", "--out", "x.offkey"),
    ]
    code = f"""
import contextlib, io, json
from offkey.cli import run
for command in {[[str(argument) for argument in command] for command in commands]}:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(command)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=installed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    trained, scored, info, evaluated, lost, unknown = map(json.loads, done.stdout.splitlines())
    assert [shown[0] for shown in (trained, scored, info, evaluated, lost, unknown)] == [0, 0, 0, 0, 2, 2]
    assert json.loads(info[1])["scores"] == ["a_distance"]
    assert "a_distance" in evaluated[1]
    assert "model 'lost': no_such_module cannot be imported" in lost[2]
    assert (
        f"expected one of paper, small, near, ensemble, spectral, {BASELINES}, distance, lost" in unknown[2]
    )


def test_a_detector_of_a_model_that_is_not_installed_names_it(distance, tree, tmp_path):
    offkey.Detector("distance").fit(offkey.datasets.dcase2020(tree, machine="fan")).save(
        tmp_path / "fan.offkey"
    )
    offkey.recipe._KINDS.pop("distance")
    with pytest.raises(OffkeyError, match=rf"fan\.offkey: .*unknown field `distance`.*model: {MODELS}"):
        offkey.load(tmp_path / "fan.offkey")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two words"}, "expected a name that a recipe's field can have"),
        ({"name": "scoring"}, "and none has"),
        ({"section": dict}, "expected a subclass of offkey.models.Section"),
        ({"score_names": ()}, "one or more names"),
        ({"score_names": ("distance",)}, "after a_"),
        ({"score_names": ("a_spectral",)}, "a_spectral is a score of model 'spectral'"),
        ({"inputs": "pictures"}, "expected statistics, logmels or samples"),
    ],
)
def test_what_cannot_be_registered_is_refused(changes, message):
    offkey.Recipe.named("spectral")
    arguments = {
        "name": "empty",
        "section": Empty,
        "score_names": ("a_empty",),
        "inputs": "samples",
        "model": NoModel,
    }
    arguments |= changes
    with pytest.raises(ParameterError, match=message):
        register(arguments.pop("name"), **arguments)


def test_a_class_that_is_no_whole_model_says_what_it_lacks(tree):
    register("empty", section=Empty, score_names=("a_empty",), inputs="samples", model=NoModel)
    try:
        with pytest.raises(TypeError, match="abstract method"):
            NoModel()
        with pytest.raises(RecipeError, match="its models give only a_empty"):
            offkey.Recipe.named("empty").replace(scoring__combine="a_full")
    finally:
        offkey.recipe._KINDS.pop("empty")
