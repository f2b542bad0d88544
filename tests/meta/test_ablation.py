"""The ablation: rows share a training while it is the same; gains are paired by seed, two standard errors decide."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from safetensors.torch import load_file
from tiny_network import RECIPE, audio_clips

from offkey.benchmark.figures import Figure
from offkey.benchmark.runs import Record, Setting
from offkey.models.base import FitOptions
from offkey.models.network.events import CheckpointSaved
from offkey.models.network.model import NetworkModel

BENCHES = Path(__file__).parents[2] / "benches" / "python"
# Epochs of the recipe `small` (20 + 10) and of the tiny one (3 + 2) at which rows leave the unchanged training.
AS_TINY = {20: 3, 25: 4, 30: 5}


@pytest.fixture(scope="module")
def ablation():
    """The script, with its neighbours importable."""
    sys.path.insert(0, str(BENCHES))
    import ablation

    yield ablation
    sys.path.remove(str(BENCHES))
    for name in ("ablation", "real_set"):
        sys.modules.pop(name, None)


def state_after(recipe, epochs, folder):
    """The tensors of the checkpoint after so many epochs."""
    folder.mkdir()

    def stop(event):
        if isinstance(event, CheckpointSaved) and event.epochs_done == epochs:
            raise KeyboardInterrupt

    options = FitOptions(device="cpu", checkpoint=folder / "state", on_event=stop)
    with pytest.raises(KeyboardInterrupt):
        NetworkModel.fit(audio_clips(), recipe=recipe, options=options)
    return load_file(folder / "state")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    root = tmp_path_factory.mktemp("unchanged")
    return {epochs: state_after(RECIPE, epochs, root / str(epochs)) for epochs in AS_TINY.values()}


def test_a_row_is_the_unchanged_training_until_it_leaves_it(ablation, unchanged, tmp_path):
    for number, (name, at) in enumerate(ablation.LEAVES.items()):
        tiny = {
            "training__stage2_normals": 6,
            "training__pseudo_anomalies": 6,
            "training__stage2_epochs": 1,
            "training__mean_epochs": 1,
        }
        changes = {field: tiny.get(field, value) for field, value in ablation.VARIANTS[name].items()}
        state = state_after(RECIPE.replace(**changes), AS_TINY[at], tmp_path / str(number))
        kept = {key for key in state if key.startswith("best.")}
        expected = unchanged[AS_TINY[at]]
        assert state.keys() - kept == expected.keys(), name
        assert all(np.array_equal(state[key], value) for key, value in expected.items()), name


def test_every_row_is_a_recipe_of_its_own(ablation):
    recipes = [ablation.variant(name, ablation.SMALL) for name in ablation.VARIANTS]
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    assert len({recipe.replace(name="one") for recipe in recipes}) == len(recipes)
    for name, epochs in ablation.LEAVES.items():
        training = ablation.variant(name, ablation.SMALL).training
        assert training.stage1_epochs <= epochs <= 30


def records(*aucs, first_seed=0):
    return [
        Record(
            setting=Setting("fan"),
            recipe="r",
            seed=first_seed + seed,
            labels="",
            figures={"anomaly_score": (Figure("00", auc, 0.5, 1, 1), Figure("02", auc, 0.5, 1, 1))},
            combined=(),
            parameters=0,
            train_clips=0,
            other_clips=0,
            test_clips=0,
            fit_s=0.0,
            score_s=0.0,
            peak_memory_bytes=None,
            device="cpu",
            version="",
            notes=(),
        )
        for seed, auc in enumerate(aucs)
    ]


def test_a_change_pays_from_two_standard_errors_on(ablation):
    found = {
        ablation.UNCHANGED: records(0.70, 0.75, 0.80),
        "fresh Adam in stage 2": records(0.72, 0.78, 0.82),  # 0.023 ± 0.003
        "kernel 31": records(0.70, 0.80, 0.80),  # 0.017 ± 0.017
    }
    assert ablation.favoured([found]) == {"training__stage2_adam": "fresh"}
    assert ablation.gain_cell(found, "fresh Adam in stage 2") == "+0.023 ± 0.003 (3)"
    found["kernel 31"] = records(0.80, 0.85, first_seed=1)
    np.testing.assert_allclose(ablation.gains(found, "kernel 31"), [0.05, 0.05])
    assert ablation.gain_cell(found, "loss sum") == ""
    assert "| kernel 31 | +0.050 ± 0.000 (2) |" in ablation.report({"Synthetic machines, fan": found})
