import dataclasses

import numpy as np
import pytest
import torch
from tiny_network import RECIPE, audio_clips, logmels_of, tone
from torch.nn.modules.module import register_module_forward_pre_hook

from offkey.datasets.training import TrainingClips
from offkey.errors import DetectorFileError, DeviceError, ParameterError, RecipeError, TrainingError
from offkey.models.base import FitOptions
from offkey.models.network.events import EpochEnded, Note
from offkey.models.network.model import NetworkModel
from offkey.recipe import Recipe
from offkey.scoring.gaussian import Gaussian
from offkey.signal.logmel import LogMel

# The IDs of these tests differ in pitch, which the augmentations of the paper shift by more than they differ.
LONGER = RECIPE.replace(
    training__stage1_epochs=20,
    training__stage2_epochs=40,
    training__augmentation__classes=["none", "white_noise", "time_shift", "frequency_mask"],
)


def fit(clips=None, recipe=RECIPE, **options):
    options = FitOptions(device="cpu", **options)
    return NetworkModel.fit(audio_clips() if clips is None else clips, recipe=recipe, options=options)


@pytest.fixture
def callers_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fitted():
    return fit(recipe=LONGER)


@pytest.fixture(scope="module")
def logmels():
    return logmels_of(audio_clips(per_id=3, seed=1))


def same(first, second):
    arrays, metadata = first.state()
    other, other_metadata = second.state()
    return (
        metadata == other_metadata
        and arrays.keys() == other.keys()
        and all(np.array_equal(arrays[k], other[k]) for k in arrays)
    )


def test_scores_every_clip_against_every_id(fitted, logmels):
    assert fitted.score_names == ("a_out", "a_arc", "a_maha")
    assert fitted.machine_ids == ("00", "02", "04")
    scores = fitted.scores(logmels)
    assert tuple(scores) == fitted.score_names
    for matrix in scores.values():
        assert matrix.shape == (9, 3)
        assert matrix.dtype == np.float64
        assert np.isfinite(matrix).all()
    assert (scores["a_out"] == scores["a_out"][:, :1]).all()
    assert ((scores["a_arc"] >= 0) & (scores["a_arc"] <= 2)).all()


def test_learns_to_tell_ids_and_types_apart(fitted, logmels):
    scores = fitted.scores(logmels)
    own = np.repeat(np.arange(3), 3)
    assert (scores["a_arc"].argmin(axis=1) == own).mean() > 0.8
    assert (scores["a_maha"].argmin(axis=1) == own).mean() > 0.8
    assert fitted.id_accuracy > 0.8
    random = np.random.default_rng(7)
    foreign = LogMel.from_recipe(RECIPE.features)([tone(hz, random) for hz in (700.0, 1100.0) * 9])
    strange = fitted.scores(foreign)
    assert strange["a_out"][:, 0].mean() > scores["a_out"][:, 0].mean()
    rows = np.arange(9)
    assert strange["a_maha"].min(axis=1).min() > np.median(scores["a_maha"][rows, own])


def test_raw_scores_are_what_the_paper_says(fitted, logmels):
    with torch.inference_mode():
        made = fitted._model(torch.from_numpy(np.stack(logmels)))
    scores = fitted.scores(logmels)
    likelihood = torch.sigmoid(made.type_logit.double()).numpy()
    np.testing.assert_allclose(scores["a_out"][:, 0], -np.log(likelihood), rtol=1e-4, atol=1e-6)
    centres = fitted._model.id_head.centres.double().detach().numpy()
    x = made.embedding.double().numpy()
    cosine = (x @ centres.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(centres, axis=1)
    np.testing.assert_allclose(scores["a_arc"], 1 - cosine, atol=1e-5)
    np.testing.assert_allclose(fitted.embeddings(logmels), x, atol=1e-4)


def test_the_gaussians_are_those_of_all_normals(fitted, logmels):
    clips = audio_clips()
    gaussian = Gaussian.fit(fitted.embeddings(logmels_of(clips)), clips.machine_ids)
    expected = gaussian.mahalanobis(fitted.embeddings(logmels))
    np.testing.assert_allclose(fitted.scores(logmels)["a_maha"], expected, rtol=1e-3)


@pytest.mark.parametrize("option", ["prob", "log_prob"])
def test_options_of_a_arc(fitted, logmels, option):
    arrays, metadata = fitted.state()
    recipe = LONGER.replace(scoring__a_arc=option)
    made = NetworkModel.from_state(recipe, arrays, metadata).scores(logmels)["a_arc"]
    fitted.compute_on("cpu", "float32")
    logits = 16.0 * (1 - fitted.scores(logmels)["a_arc"])
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = 1 - probability if option == "prob" else -np.log(probability)
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-9)


def test_held_out_clips_calibrate(fitted):
    held_out = fitted.held_out
    assert fitted.standardise_on is held_out
    assert held_out.kind == "held_out"
    assert sorted(held_out.machine_ids) == ["00"] * 3 + ["02"] * 3 + ["04"] * 3
    clips = audio_clips()
    assert [clips.machine_ids[i] for i in held_out.indices] == list(held_out.machine_ids)
    matrices = fitted.scores([logmels_of(clips)[i] for i in held_out.indices])
    columns = [fitted.machine_ids.index(i) for i in held_out.machine_ids]
    for name in ("a_out", "a_arc"):
        expected = matrices[name][np.arange(9), columns]
        np.testing.assert_allclose(held_out.scores[name], expected, rtol=1e-4, atol=1e-5)
    assert fitted.pseudo_anomalies is None


def test_a_held_out_clip_is_scored_by_gaussians_without_it(fitted):
    clips = audio_clips()
    embeddings, ids = fitted.embeddings(logmels_of(clips)), np.array(clips.machine_ids)
    for i, score in zip(fitted.held_out.indices, fitted.held_out.scores["a_maha"], strict=True):
        rest = np.arange(30) != i
        expected = Gaussian.fit(embeddings[rest], ids[rest]).mahalanobis_to(embeddings[[i]], [ids[i]])
        assert score == pytest.approx(expected[0], rel=1e-3)


def test_held_out_clips_are_never_trained_on():
    clips = audio_clips()
    held_out = fit(clips).held_out.indices
    changed = list(clips.clips)
    for i in held_out.tolist():
        changed[i] = np.random.default_rng(i).normal(size=4000).astype(np.float32)
    first, second = fit(clips), fit(dataclasses.replace(clips, clips=changed))
    assert same_weights(first, second)
    assert not np.allclose(first.held_out.scores["a_maha"], second.held_out.scores["a_maha"])


def same_weights(first, second):
    states = [model._model.state_dict() for model in (first, second)]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_select_gets_pseudo_anomalies_that_were_not_trained_on():
    made = fit(recipe=RECIPE.replace(scoring__combine="select", scoring__standardise_on="training"))
    assert made.standardise_on.kind == "training"
    assert len(made.standardise_on.indices) == 21
    assert made.held_out.kind == "held_out"
    pseudo = made.pseudo_anomalies
    # 9 held-out normals against 2 other IDs each, and 2 held-out clips of each of 2 types against one ID in turn
    assert len(pseudo.machine_ids) == 9 * 2 + 4
    assert pseudo.machine_ids[18:] == ("00", "02", "04", "00")
    assert pseudo.kinds == ("other IDs",) * 18 + ("other types",) * 4
    assert all(values.shape == (22,) for values in pseudo.scores.values())
    for i, own in enumerate(made.held_out.machine_ids):
        assert own not in pseudo.machine_ids[2 * i : 2 * i + 2]


def test_without_a_held_out_part_the_training_clips_calibrate():
    made = fit(recipe=RECIPE.replace(scoring__holdout_fraction=0.0))
    assert made.held_out.kind == "training"
    assert len(made.held_out.indices) == 30
    assert made.id_accuracy is None
    assert any("nothing is held out" in note for note in made.notes)


def test_recordings_are_not_split():
    clips = audio_clips()
    groups = [f"{i // 5}" for i in range(30)]
    made = fit(dataclasses.replace(clips, groups=groups))
    held_out = made.held_out.indices
    assert len(held_out) == 15
    assert not {groups[i] for i in held_out} & {groups[i] for i in set(range(30)) - set(held_out.tolist())}
    whole = fit(dataclasses.replace(clips, groups=["one" + i for i in clips.machine_ids]))
    assert any("00, 02, 04: one recording only" in note for note in whole.notes)


# ------------------------------------------------------------------------------------ what cannot be trained


def test_one_id_leaves_out_the_id_task():
    made = fit(audio_clips({"00": 200.0}))
    assert made.score_names == ("a_out", "a_maha")
    assert any("one machine ID only (00)" in note and "a_arc" in note for note in made.notes)
    assert {k: v.shape for k, v in made.scores(logmels_of(audio_clips(per_id=1))).items()} == {
        "a_out": (3, 1),
        "a_maha": (3, 1),
    }
    assert made.id_accuracy is None


def test_no_other_types_leave_out_the_type_task():
    events = []
    made = fit(audio_clips(others=()), on_event=events.append)
    assert made.score_names == ("a_arc", "a_maha")
    assert any("no clips of other machine types" in note and "a_out" in note for note in made.notes)
    assert [e.text for e in events if isinstance(e, Note)] == list(made.notes)
    assert sum(isinstance(e, EpochEnded) for e in events) == 5


def test_one_id_and_nothing_else_still_gives_a_score():
    made = fit(audio_clips({"00": 200.0}, others=()), RECIPE.replace(scoring__combine="select"))
    assert made.score_names == ("a_maha",)
    assert made.pseudo_anomalies is None


def test_no_second_stage_leaves_out_the_type_task():
    made = fit(recipe=RECIPE.replace(training__stage2_epochs=0))
    assert made.score_names == ("a_arc", "a_maha")
    assert any("no epochs for stage 2" in note for note in made.notes)


def test_an_id_with_one_clip_is_trained_and_scored():
    clips = audio_clips(others=())
    one = TrainingClips(
        inputs="audio", clips=clips.clips[9:], machine_ids=clips.machine_ids[9:], groups=clips.groups[9:]
    )
    made = fit(one)
    assert made.machine_ids == ("00", "02", "04")
    assert "00" not in made.held_out.machine_ids
    assert np.isfinite(made.scores(logmels_of(one)[:2])["a_maha"]).all()


def test_nothing_to_train_is_refused():
    clips = audio_clips({"00": 200.0}, others=())
    with pytest.raises(TrainingError, match="nothing to train: 1 machine ID"):
        fit(clips, RECIPE.replace(training__augmentation__classes=["none"]))


def test_ids_that_do_not_differ_are_reported():
    made = fit(audio_clips({"00": 200.0, "02": 200.0, "04": 200.0}, per_id=20))
    assert made.id_accuracy < 0.6
    assert any("near chance" in note for note in made.notes)


# ------------------------------------------------------------------------------------ inputs


def logmel_clips(**options):
    clips = audio_clips(**options)
    others = dataclasses.replace(
        clips, clips=clips.others, machine_ids=clips.other_types, groups=clips.other_groups, others=(),
        other_types=(), other_groups=(),
    )  # fmt: skip
    return dataclasses.replace(clips, inputs="logmel", clips=logmels_of(clips), others=logmels_of(others))


def test_trains_on_logmels():
    made = fit(logmel_clips())
    assert made.score_names == ("a_out", "a_arc", "a_maha")
    assert any(
        "augmentations that need samples are left out (white_noise, fade" in note for note in made.notes
    )
    assert made._model.augmentation_classes == 3


def test_one_id_of_logmels_alone():
    clips = dataclasses.replace(
        logmel_clips(pitches={"00": 200.0}), others=(), other_types=(), other_groups=()
    )
    assert fit(clips).score_names == ("a_maha",)


def test_clips_of_mixed_lengths_are_trained_and_scored():
    long, short = audio_clips(seconds=0.8), audio_clips(seconds=0.3)
    mixed = dataclasses.replace(
        long, clips=[a if i % 2 else b for i, (a, b) in enumerate(zip(long.clips, short.clips, strict=True))]
    )
    made = fit(mixed)
    assert np.isfinite(made.scores(logmels_of(mixed))["a_maha"]).all()


def test_silent_bins_are_ignored_and_named():
    clips = logmel_clips()
    muted = [np.concatenate([np.full_like(c[:1], -100.0), c[1:]]) for c in clips.clips]
    made = fit(dataclasses.replace(clips, clips=muted))
    assert "Mel bins that never change are ignored: 0" in made.notes
    loud = [np.concatenate([np.zeros_like(c[:1]), c[1:]]) for c in muted[:4]]
    np.testing.assert_array_equal(made.scores(loud)["a_maha"], made.scores(muted[:4])["a_maha"])


# ------------------------------------------------------------------------------------ the same bits


def test_the_callers_random_numbers_change_nothing():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = fit(num_threads=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert same(first, fit(num_threads=1))
    assert not same_weights(first, fit(seed=1))


def test_torch_computes_with_the_threads_that_are_asked_for_and_has_its_own_afterwards(
    logmels, callers_threads
):
    seen = set()
    hook = register_module_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads()))
    try:
        made = fit(num_threads=1)
        made.scores(logmels, num_threads=1)
        made.embeddings(logmels, num_threads=1)
        assert seen == {1}
        assert torch.get_num_threads() == callers_threads
        seen.clear()
        made.scores(logmels)
        assert seen == {callers_threads}
    finally:
        hook.remove()
    with pytest.raises(ParameterError, match="num_threads = 0"):
        made.scores(logmels, num_threads=0)


def test_a_training_goes_on_where_the_data_set_has_moved(tmp_path):
    def clips(folder):
        clips = audio_clips()
        groups, others = (tuple(f"{folder}/{g}" for g in part) for part in (clips.groups, clips.other_groups))
        return dataclasses.replace(clips, groups=groups, other_groups=others)

    events = []
    whole = fit(clips("/mnt/a"), checkpoint=tmp_path / "training")
    again = fit(clips("/data/b"), checkpoint=tmp_path / "training", on_event=events.append)
    assert same(whole, again)
    assert not any(isinstance(event, EpochEnded) for event in events)
    other = dataclasses.replace(clips("/data/b"), groups=["one", "one", *clips("/data/b").groups[2:]])
    with pytest.raises(TrainingError, match="another list of clips"):
        fit(other, checkpoint=tmp_path / "training")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": RECIPE.replace(training__learning_rate=1e-4)}, "another recipe"),
        ({"seed": 1}, "another seed"),
        ({"clips": audio_clips(per_id=9)}, "another list of clips"),
        ({"clips": audio_clips(seed=1)}, "another content of the clips"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(tmp_path, options, message):
    path = tmp_path / "network.safetensors"
    fit(checkpoint=path)
    with pytest.raises(TrainingError, match=message):
        fit(**{"checkpoint": path, **options})


def test_a_saved_model_gives_equal_scores(fitted, logmels):
    arrays, metadata = fitted.state()
    again = NetworkModel.from_state(LONGER, arrays, metadata)
    assert same(fitted, again)
    for name, matrix in fitted.scores(logmels).items():
        np.testing.assert_array_equal(again.scores(logmels)[name], matrix)
    assert again.notes == fitted.notes
    assert again.id_accuracy == fitted.id_accuracy


def test_pseudo_anomalies_are_saved(logmels):
    recipe = RECIPE.replace(scoring__combine="select")
    made = fit(recipe=recipe)
    again = NetworkModel.from_state(recipe, *made.state())
    assert again.pseudo_anomalies.machine_ids == made.pseudo_anomalies.machine_ids
    assert again.pseudo_anomalies.kinds == made.pseudo_anomalies.kinds
    assert same(made, again)
    arrays, metadata = made.state()
    del metadata["pseudo_anomalies"]["kinds"]  # as files of before there were kinds
    assert NetworkModel.from_state(recipe, arrays, metadata).pseudo_anomalies.kinds is None


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, metadata: arrays.pop("model.norm.weight"),
        lambda arrays, metadata: arrays.update({"model.norm.weight": np.zeros(3, np.float32)}),
        lambda arrays, metadata: arrays.pop("gaussian.means"),
        lambda arrays, metadata: arrays.pop("held_out.indices"),
        lambda arrays, metadata: metadata.pop("machine_ids"),
        lambda arrays, metadata: metadata.update(machine_ids=["00"]),
        lambda arrays, metadata: metadata.update(machine_ids=None),
        lambda arrays, metadata: metadata.update(augmentation_classes="many"),
        lambda arrays, metadata: metadata.update(type_task=False),
        lambda arrays, metadata: metadata.update(held_out=None),
    ],
)
def test_a_state_that_does_not_fit_is_refused(fitted, change):
    arrays, metadata = fitted.state()
    change(arrays, metadata)
    with pytest.raises(DetectorFileError):
        NetworkModel.from_state(LONGER, arrays, metadata)


def test_a_state_of_another_recipe_is_refused(fitted):
    with pytest.raises(DetectorFileError, match="does not fit recipe 'tiny'"):
        NetworkModel.from_state(RECIPE.replace(network__dim=8), *fitted.state())
    with pytest.raises(DetectorFileError, match="does not fit recipe 'spectral': it has no network"):
        NetworkModel.from_state(Recipe.named("spectral"), *fitted.state())


def test_bad_arguments_are_refused(monkeypatch):
    with pytest.raises(RecipeError, match="has no network to train"):
        fit(recipe=Recipe.named("spectral"))
    with pytest.raises(RecipeError, match=r"training.batch_size = 1; expected 2"):
        fit(recipe=RECIPE.replace(training__batch_size=1))
    with pytest.raises(ParameterError, match="seed = -1: expected a whole number from 0"):
        fit(seed=-1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="device 'cuda'"):
        NetworkModel.fit(audio_clips(), recipe=RECIPE, options=FitOptions(device="cuda"))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_trains_and_scores_like_the_cpu(logmels):
    made = NetworkModel.fit(audio_clips(), recipe=LONGER, options=FitOptions(device="cuda"))
    assert made.id_accuracy > 0.8
    there = made.scores(logmels)
    made.compute_on("cpu", "float32")
    for name, matrix in made.scores(logmels).items():
        np.testing.assert_allclose(there[name], matrix, rtol=1e-2, atol=1e-3)
