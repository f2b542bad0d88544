import dataclasses
import warnings

import numpy as np
import pytest
import torch
from near_recipe import N_MELS, RECIPE, logmels, training_clips

import offkey
from offkey.datasets import LogMelArrays
from offkey.errors import (
    ArrayError,
    DatasetError,
    DetectorFileError,
    DeviceError,
    ParameterError,
    RecipeError,
    TrainingError,
)
from offkey.metrics import auc
from offkey.models.base import FitOptions
from offkey.models.near.model import NearModel
from offkey.models.network.events import CheckpointSaved, EpochEnded, Note, Resumed
from offkey.recipe import Recipe


def fit(clips=None, recipe=RECIPE, **options):
    options = FitOptions(**{"device": "cpu", "num_threads": 1} | options)
    return NearModel.fit(training_clips() if clips is None else clips, recipe=recipe, options=options)


@pytest.fixture(scope="module")
def fitted():
    return fit()


@pytest.fixture(scope="module")
def rich():
    return fit(training_clips(hz=6.0))


def faulty(clips, *, size_db=3.0):
    changed = clips.copy()
    changed[:, 3:6] += size_db
    return changed


def test_faulty_clips_score_higher_than_new_normal_ones(fitted):
    normals = logmels(30, seed=9)
    scores = fitted.scores(np.concatenate([normals, faulty(normals)]))["a_near"][:, 0]
    assert auc(np.repeat([0, 1], 30), scores) > 0.9


def test_a_clip_is_nearest_to_its_own_id(fitted):
    scores = fitted.scores(np.concatenate([logmels(20, seed=9), logmels(20, seed=8, level=1)]))["a_near"]
    assert np.mean(scores.argmin(axis=1) == np.repeat([0, 1], 20)) > 0.9


def test_normal_clips_that_no_network_has_seen_score_as_the_held_out_ones(fitted):
    held_out = fitted.held_out
    assert held_out.kind == "held_out"
    assert held_out.indices.tolist() == list(range(24))
    new = fitted.scores(logmels(200, seed=7))["a_near"][:, 0]
    assert abs(np.median(new) - np.median(held_out.scores["a_near"])) < 1


def test_a_rhythm_brings_rich_near_anomalies_all_feature_sets_and_a_conformer_path(fitted, rich):
    assert any("these machines have no rhythm" in note and "M + A + P," in note for note in fitted.notes)
    assert any("these machines have a rhythm" in note and "M + A + P + L + T" in note for note in rich.notes)
    assert rich.parameters > fitted.parameters
    assert rich.embeddings(logmels(3)).shape == (3, 2 * 128)
    assert fitted.embeddings(logmels(3)).shape == (3, 2 * 64)


def test_float16_serves_the_conformer_path_and_changes_little(fitted, rich):
    clips = logmels(20, seed=9)
    for model, same in ((fitted, True), (rich, False)):
        whole = model.scores(clips)["a_near"]
        model.compute_on("cpu", "float16")
        half = model.scores(clips)["a_near"]
        beyond_float16 = model.scores(clips * np.float32(1e5))["a_near"]
        model.compute_on("cpu", "float32")
        assert np.array_equal(half, whole) == same
        np.testing.assert_allclose(half, whole, atol=0.02 * whole.std())
        np.testing.assert_array_equal(beyond_float16, model.scores(clips * np.float32(1e5))["a_near"])


@pytest.mark.parametrize("hz", [None, 6.0])
def test_the_same_seed_gives_the_same_bytes(hz):
    one, other = (fit(training_clips(hz=hz)).state() for _ in range(2))
    assert one[0].keys() == other[0].keys()
    assert all(np.array_equal(one[0][name], other[0][name], equal_nan=True) for name in one[0])
    different = fit(training_clips(hz=hz), seed=1).state()[0]
    assert not np.array_equal(one[0]["net0.near.weight"], different["net0.near.weight"])


def test_a_fit_leaves_the_callers_random_numbers_and_threads_as_they_were():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    fit()
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("model", ["fitted", "rich"])
def test_what_is_stored_gives_the_same_scores(model, request):
    model = request.getfixturevalue(model)
    again = NearModel.from_state(RECIPE, *model.state())
    clips = logmels(5, seed=4, hz=5.0)
    assert np.array_equal(again.scores(clips)["a_near"], model.scores(clips)["a_near"])
    assert again.notes == model.notes
    assert again.provenance == model.provenance


def test_a_saved_detector_scores_as_before(tmp_path):
    data = LogMelArrays(logmels=logmels(24, seed=2), machine_ids=["00", "02"] * 12)
    detector = offkey.Detector(RECIPE).fit(data, device="cpu", num_threads=1)
    detector.save(tmp_path / "near.offkey")
    clips = LogMelArrays(logmels=logmels(4, seed=3), machine_ids=["00", "02", "02", "00"])
    scores, again = (d.score(clips) for d in (detector, offkey.load(tmp_path / "near.offkey")))
    assert np.array_equal(scores.anomaly_score, again.anomaly_score)
    assert np.array_equal(scores.p_value, again.p_value)


@pytest.mark.parametrize("model", ["fitted", "rich"])
def test_clips_of_any_length_are_scored_alone_as_together(model, request):
    model = request.getfixturevalue(model)
    clips = [logmels(1, seed=5)[0], logmels(1, seed=6)[0][:, :17], logmels(1, seed=6)[0][:, :1]]
    together = model.scores(clips)["a_near"]
    assert np.isfinite(together).all()
    alone = np.concatenate([model.scores([clip])["a_near"] for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_silence_and_the_loudest_sound_have_finite_scores(fitted, rich):
    extremes = np.stack([np.full((N_MELS, 20), level, np.float32) for level in (-100.0, 100.0)])
    for model in (fitted, rich):
        assert np.isfinite(model.scores(extremes)["a_near"]).all()


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "given none"),
        ([np.zeros((N_MELS + 1, 20), np.float32)], "log-Mel of clip 0: given shape"),
        ([np.zeros((N_MELS, 0), np.float32)], "at least one frame"),
        ([np.zeros((N_MELS, 9), np.float32), np.full((N_MELS, 9), np.nan, np.float32)], "clip 1: has values"),
    ],
)
def test_clips_that_cannot_be_scored_are_refused(fitted, clips, message):
    with pytest.raises(ArrayError, match=message):
        fitted.scores(clips)


def test_an_id_with_one_clip_is_known_but_cannot_be_calibrated():
    model = fit(training_clips({"00": 14, "02": 1}))
    assert model.machine_ids == ("00", "02")
    assert set(model.held_out.machine_ids) == {"00"}
    assert np.isfinite(model.scores(logmels(3))["a_near"]).all()


def test_clips_of_one_recording_are_held_out_together():
    groups = [str(i // 4) for i in range(24)]
    model = fit(training_clips(groups=groups))
    state, _ = model.state()
    assert len(model.held_out.indices) == 24
    assert state["calibration.of_network"].shape == (2,)


def test_one_machine_id_suffices():
    model = fit(training_clips({"?": 16}))
    assert model.scores(logmels(2))["a_near"].shape == (2, 1)


def test_naming_the_id_is_a_task_where_it_has_a_weight_and_a_conformer_path():
    events = []
    recipe = RECIPE.replace(near__arcface_weight=0.3, near__conformer="on")
    model = fit(recipe=recipe, on_event=events.append)
    assert {"id"} <= next(event for event in events if isinstance(event, EpochEnded)).losses.keys()
    again = NearModel.from_state(recipe, *model.state())
    assert np.array_equal(again.scores(logmels(3))["a_near"], model.scores(logmels(3))["a_near"])


def test_torchruns_processes_are_refused(monkeypatch):
    monkeypatch.setattr("offkey._util.ranks.launched", lambda: True)
    with pytest.raises(ParameterError, match="train them by one process"):
        NearModel.check(RECIPE, FitOptions())


def test_too_few_clips_are_refused():
    with pytest.raises(DatasetError, match="expected at least 10"):
        fit(training_clips({"00": 3, "02": 3}))


def test_a_training_that_was_interrupted_goes_on_to_the_same_bytes(tmp_path):
    path, events = tmp_path / "near.checkpoint", []

    def stop(event):
        if isinstance(event, CheckpointSaved):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=path, on_event=stop)
    resumed = fit(checkpoint=path, on_event=events.append)
    assert [event.epochs_done for event in events if isinstance(event, Resumed)] == [10]
    assert [event.stage for event in events if isinstance(event, EpochEnded)] == [2] * 10
    whole = fit()
    for name, array in whole.state()[0].items():
        assert np.array_equal(array, resumed.state()[0][name], equal_nan=True)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "near.checkpoint"
    fit(checkpoint=path)
    with pytest.raises(TrainingError, match="another seed"):
        fit(checkpoint=path, seed=1)
    with pytest.raises(TrainingError, match="another recipe"):
        fit(checkpoint=path, recipe=RECIPE.replace(near__steps=11))


def test_progress_is_told_and_notes_are_those_of_the_model():
    events = []
    model = fit(on_event=events.append)
    ends = [event for event in events if isinstance(event, EpochEnded)]
    assert [(end.stage, end.epoch) for end in ends] == [(s, e) for s in (1, 2) for e in range(1, 11)]
    assert ends[-1].eta_s == 0
    assert ends[-1].losses.keys() == {"total", "near", "kind"}
    assert tuple(event.text for event in events if isinstance(event, Note)) == model.notes


def test_a_loss_that_is_not_finite_ends_the_training():
    with pytest.raises(TrainingError, match="network 1, epoch"):
        fit(recipe=RECIPE.replace(near__statistics_learning_rate=1e30))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"compile": True}, ParameterError, "compile = True"),
        ({"precision": "bfloat16"}, ParameterError, "precision = 'bfloat16'"),
        ({"seed": -1}, ParameterError, "seed = -1"),
        ({"device": "cuda:99"}, DeviceError, "cuda:99"),
    ],
)
def test_what_these_networks_cannot_do_is_refused_before_clips_are_read(options, error, message):
    with pytest.raises(error, match=message):
        NearModel.check(RECIPE, FitOptions(**options))


def test_a_recipe_without_the_section_is_refused():
    with pytest.raises(RecipeError, match="expected a section `near`"):
        NearModel.check(Recipe.named("spectral"), FitOptions())


def test_further_clips_are_refused(fitted):
    with pytest.raises(ParameterError, match="a_near takes no further clips: fit again"):
        fitted.updated(training_clips(), recipe=RECIPE, learned=None)


@pytest.mark.parametrize("crop", [(0.0, 1.0), (0.9, 0.5), (0.5, 1.5)])
def test_shares_of_a_clip_that_cannot_be_are_refused(crop):
    with pytest.raises(RecipeError, match="crop"):
        RECIPE.replace(near__crop=crop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, m: a.pop("gain"), "near: has no 'gain'"),
        (lambda a, m: a.update({"gain": a["gain"][:-1]}), "gain of shape"),
        (lambda a, m: a.update({"gain": a["gain"] * 1e300}), "gain of shape"),
        (lambda a, m: a.update({"net0.near.weight": np.zeros((1, 3), np.float32)}), "does not fit recipe"),
        (
            lambda a, m: a.update({"net1.near.weight": a["net1.near.weight"] * np.nan}),
            "network 2 has weights that are not finite",
        ),
        (lambda a, m: m.update(networks=3), "near: has no"),
        (lambda a, m: m.update(feature_sets=["M", "X"]), "near: has no"),
        (lambda a, m: m.update(feature_sets=[]), "expected at least one network"),
        (lambda a, m: m.update(networks="x"), "does not fit recipe"),
        (lambda a, m: m.update(networks=0), "expected at least one network"),
        (lambda a, m: m.update(machine_ids=["00"]), "do not fit each other"),
    ],
)
def test_a_state_with_something_wrong_in_it_is_refused(fitted, change, message):
    arrays, metadata = fitted.state()
    metadata = dict(metadata)
    change(arrays, metadata)
    with pytest.raises(DetectorFileError, match=message):
        NearModel.from_state(RECIPE, arrays, metadata)


def test_clips_from_audio_are_trained_with_too():
    from tiny_network import audio_clips

    clips = audio_clips()
    model = fit(clips, recipe=RECIPE)
    assert model.machine_ids == ("00", "02", "04")
    assert dataclasses.is_dataclass(clips)


@pytest.mark.parametrize(("hz", "least", "most"), [(None, 0, 0.1), (2.0, 1.9, 2.0)])
def test_what_the_networks_count_beside_other_models_follows_from_the_rhythm(hz, least, most):
    model = fit(training_clips(hz=hz))
    assert least < model.weight <= most
    again = NearModel.from_state(RECIPE, *model.state())
    assert again.weight == model.weight


def test_the_ensemble_weighs_closed_form_and_networks(tmp_path):
    recipe = Recipe.named("ensemble").replace(features__n_mels=N_MELS, near__networks=2, near__steps=10)
    data = LogMelArrays(logmels=logmels(24, seed=2, hz=2.0), machine_ids=["00", "02"] * 12)
    detector = offkey.Detector(recipe).fit(data, device="cpu", num_threads=1)
    assert any("0.67 a_near, 0.33 a_spectral" in note for note in detector.notes)
    clips = LogMelArrays(logmels=logmels(4, seed=3), machine_ids=["00", "02", "02", "00"])
    scores = detector.score(clips)
    z = detector.standardised(scores)
    np.testing.assert_allclose(scores.anomaly_score, (2 * z["a_near"] + z["a_spectral"]) / 3)
    detector.save(tmp_path / "both.offkey")
    assert np.array_equal(
        offkey.load(tmp_path / "both.offkey").score(clips).anomaly_score, scores.anomaly_score
    )
    with pytest.raises(ParameterError, match="a_near takes no further clips"):
        detector.update(LogMelArrays(logmels=logmels(4, seed=8), machine_ids=["00"] * 4), force=True)


@pytest.mark.long
@pytest.mark.parametrize("hz", [None, 2.0])
def test_fresh_healthy_clips_are_called_about_as_often_as_asked_for_and_rather_less(hz):
    rates = []
    for seed in range(4):
        recipe = RECIPE.replace(near__networks=4, near__steps=40)
        clips = LogMelArrays(logmels=logmels(60, seed=seed, hz=hz), machine_ids=["00"] * 60)
        detector = offkey.Detector(recipe).fit(clips, seed=seed, device="cpu", num_threads=1)
        fresh = LogMelArrays(logmels=logmels(500, seed=100 + seed, hz=hz), machine_ids=["00"] * 500)
        with warnings.catch_warnings(
            action="ignore"
        ):  # of 60 clips a few sets look as if the machine had changed
            rates.append(np.mean(detector.score(fresh).decision))
    assert 0.005 < np.mean(rates) < 0.07  # 0.05 was asked for; 60 clips alone leave it open by 0.03
