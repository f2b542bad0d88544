"""The ablation of recipe `near`: every row is a recipe of its own, seeds take their trees in turn, gains are paired."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from offkey.datasets import synthetic
from offkey.signal.near_anomalies import RICH_KINDS, STATIC_KINDS

BENCHES = Path(__file__).parents[2] / "benches" / "python"


@pytest.fixture(scope="module")
def ablation():
    """The script."""
    sys.path.insert(0, str(BENCHES))
    import near_ablation

    yield near_ablation
    sys.path.remove(str(BENCHES))
    sys.modules.pop("near_ablation", None)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Three clips of each of two machines to learn from, two trees."""
    root = tmp_path_factory.mktemp("trees")
    for seed in (1, 2):
        synthetic.write(
            root / str(seed),
            machines=("fan",),
            ids=("00", "02"),
            clips_train=3,
            clips_test_normal=1,
            clips_test_anomaly=1,
            seconds=1.0,
            seed=seed,
        )
    return [root / "1", root / "2"]


def columns(ablation, trees, **changes):
    """What the script trains on."""
    options = {"synthetic": trees, "uav": [], "machines": "fan", "clips": [None], "tree_of_seed": False}
    return list(ablation.learned(argparse.Namespace(**options | changes)))


def test_every_row_is_a_recipe_of_its_own(ablation):
    names = [*ablation.OTHERS, *ablation.VARIANTS]
    recipes = [ablation.recipe_of(name, {"near__networks": 3}) for name in names]
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    assert len({recipe.replace(name="one") for recipe in recipes}) == len(recipes)
    rows = dict(zip(names, recipes, strict=True))
    assert rows["near"].near.networks == 3
    assert rows["8 networks"].near.networks == 8
    assert rows["static without spread"].near.kinds == tuple(k for k in STATIC_KINDS if k != "spread")
    assert rows["rich without clicks"].near.kinds == tuple(k for k in RICH_KINDS if k != "clicks")


def test_what_is_set_for_all_rows(ablation):
    assert ablation.setting_of("networks=2") == ("near__networks", 2)
    assert ablation.setting_of("crop=[1.0, 1.0]") == ("near__crop", [1.0, 1.0])
    assert ablation.setting_of("conformer=off") == ("near__conformer", "off")


def test_seeds_take_their_trees_in_turn_or_learn_each_of_them(ablation, trees):
    recipe = ablation.recipe_of("near", {})
    (in_turn,) = columns(ablation, trees, tree_of_seed=True)
    assert [in_turn.run(recipe, seed).root for seed in range(3)] == [trees[0], trees[1], trees[0]]
    each = columns(ablation, trees)
    assert [column.title for column in each] == ["fan, 1", "fan, 2"]
    assert [column.run(recipe, 1).root for column in each] == trees


def test_fewer_clips_are_the_first_of_each_id(ablation, trees):
    whole, few = columns(ablation, trees, tree_of_seed=True, clips=[3, 2])
    recipe = ablation.recipe_of("near", {})
    run = few.run(recipe, 0)
    assert few.title == "fan, 2 clips"
    assert run.data.train.machine_ids == ["00", "00", "02", "02"]
    everything = whole.run(recipe, 0).data
    assert set(run.data.train.paths) < set(everything.train.paths)
    assert run.data.test.paths == everything.test.paths


def results(ablation, *aucs, first_seed=0):
    return [
        ablation.Result(first_seed + seed, auc, 0.5, alarms=0.04, called=0.5, seconds=seed)
        for seed, auc in enumerate(aucs)
    ]


def test_gains_are_paired_by_seed(ablation):
    unchanged = results(ablation, 0.70, 0.75, 0.80)
    changed = results(ablation, 0.72, 0.78, 0.82)
    assert ablation.gain_cell(changed, unchanged) == "+0.023 ± 0.003, +0.000 ± 0.000"
    assert ablation.gain_cell(changed[1:2], unchanged) == "+0.030, +0.000"
    assert ablation.gain_cell(results(ablation, 0.9, first_seed=3), unchanged) == ""
    assert ablation.cell(changed) == "0.773 ± 0.050, 0.500 ± 0.000, 1 s"
    text = ablation.report({"near": {"fan": unchanged}, "125 steps": {"fan": changed}})
    assert "| 125 steps | 4.0, 50 |" in text
    assert "| 125 steps | +0.023 ± 0.003, +0.000 ± 0.000 |" in text
    assert np.count_nonzero([line.startswith("| near |") for line in text.splitlines()]) == 2
