"""Options of the training, from clips to a fitted model: what they do; a resumed training ends at the same bits."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_network import RECIPE, audio_clips, logmels_of

from offkey.errors import TrainingError
from offkey.models.base import FitOptions
from offkey.models.network.events import EpochEnded, Resumed, StageStarted
from offkey.models.network.model import NetworkModel

OPTIONS = {
    "14 + 14": {"training__stage2_normals": 6, "training__pseudo_anomalies": 6},
    "fresh Adam": {"training__stage2_adam": "fresh"},
    "BatchNorms apart": {"training__batch_norm_others": "separate"},
    "BatchNorms of clean clips": {"training__batch_norm_from": "clean"},
    "mean": {"training__keep": "mean", "training__mean_epochs": 2},
    "no redundant biases": {"network__redundant_biases": False},
}
OPTIONS["all"] = {name: value for changes in OPTIONS.values() for name, value in changes.items()}
HEADER = "offkey_checkpoint"


def fit(recipe, **options):
    return NetworkModel.fit(audio_clips(), recipe=recipe, options=FitOptions(device="cpu", **options))


def weights(model):
    return model._model.state_dict()


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


@pytest.fixture(scope="module")
def plain():
    return fit(RECIPE)


def stop_in_epoch(number):
    """An observer that presses Ctrl-C once so many epochs are done."""
    ended = []

    def observe(event):
        ended.extend([event] * isinstance(event, EpochEnded))
        if len(ended) == number and isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    return observe


@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_with_an_option_goes_on_to_the_same_bits_and_can_be_saved(name, tmp_path, plain):
    recipe = RECIPE.replace(**OPTIONS[name])
    whole = fit(recipe)
    assert not same(weights(whole), weights(plain))
    for epochs in (3, 4):  # after the first stage, within the second one
        path, events = tmp_path / f"{epochs}", []
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, checkpoint=path, on_event=stop_in_epoch(epochs))
        again = fit(recipe, checkpoint=path, on_event=events.append)
        assert [event.epochs_done for event in events if isinstance(event, Resumed)] == [epochs]
        assert same(weights(again), weights(whole))
    logmels = logmels_of(audio_clips(per_id=2, seed=1))
    restored = NetworkModel.from_state(recipe, *whole.state())
    for score, matrix in whole.scores(logmels).items():
        np.testing.assert_array_equal(restored.scores(logmels)[score], matrix)


def test_events_count_the_steps_of_each_stage():
    events = []
    fit(RECIPE.replace(**OPTIONS["14 + 14"]), on_event=events.append)
    stages = [event for event in events if isinstance(event, StageStarted)]
    assert [stage.steps_per_epoch for stage in stages] == [2, 4]
    etas = [event.eta_s for event in events if isinstance(event, EpochEnded)]
    assert etas[-1] == 0


def test_clean_statistics_are_those_of_the_clips_and_change_no_weight(plain):
    clean = fit(RECIPE.replace(training__batch_norm_from="clean"))
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    for name, value in weights(plain).items():
        assert torch.equal(value, weights(clean)[name]) == (not name.endswith(statistics)), name
    seen = []
    model = clean._model
    hook = model.norm.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    clips = audio_clips()
    held_out = set(clean.held_out.indices.tolist())
    logmels = logmels_of(clips)
    clean.embeddings([logmels[i] for i in range(len(logmels)) if i not in held_out])
    hook.remove()
    # The earlier BatchNorms have seen batches in training mode, and see single clips here: near, not equal.
    torch.testing.assert_close(model.norm.running_mean, torch.cat(seen).mean(dim=0), rtol=0.3, atol=0.1)


def test_one_training_clip_has_no_clean_statistics():
    recipe = RECIPE.replace(training__batch_norm_from="clean", scoring__holdout_fraction=0.0)
    clips = audio_clips({"00": 200.0}, per_id=1)
    models = [
        NetworkModel.fit(clips, recipe=each, options=FitOptions(device="cpu"))
        for each in (recipe, recipe.replace(training__batch_norm_from="training"))
    ]
    assert same(*map(weights, models))


def rewrite(path, change):
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER])
    recipe = json.loads(header["fingerprint"]["recipe"])
    change(recipe)
    header["fingerprint"]["recipe"] = json.dumps(recipe)
    save_file(load_file(path), path, {HEADER: json.dumps(header)})


def test_a_checkpoint_of_before_there_were_options_goes_on(tmp_path, plain):
    def forget(recipe):
        for field in ("stage2_normals", "stage2_adam", "batch_norm_others", "batch_norm_from", "mean_epochs"):
            del recipe["training"][field]
        del recipe["network"]["redundant_biases"]

    path = tmp_path / "old"
    with pytest.raises(KeyboardInterrupt):
        fit(RECIPE, checkpoint=path, on_event=stop_in_epoch(2))
    rewrite(path, forget)
    assert same(weights(fit(RECIPE, checkpoint=path)), weights(plain))


@pytest.mark.parametrize(
    "change", [lambda r: r["training"].update(beta=2.0), lambda r: r.update(nonsense={})]
)
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, change):
    path = tmp_path / "other"
    with pytest.raises(KeyboardInterrupt):
        fit(RECIPE, checkpoint=path, on_event=stop_in_epoch(1))
    rewrite(path, change)
    with pytest.raises(TrainingError, match="another recipe"):
        fit(RECIPE, checkpoint=path)
