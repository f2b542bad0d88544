"""What every baseline does as the other models do: seeds, threads, resuming, saving; over the registry."""

import functools
import pickle
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from baseline_recipe import BASELINES, logmels, recipe_of, training_clips

from offkey import Detector, Recipe
from offkey.datasets import LogMelArrays
from offkey.datasets.statistics_plan import StatisticsPlan
from offkey.errors import ArrayError, DetectorFileError, ParameterError, RecipeError
from offkey.models import FitOptions
from offkey.models.attribution import ExplainedClip
from offkey.models.base import model_class
from offkey.models.network.events import CheckpointSaved, EpochEnded, Resumed
from offkey.models.network.explain import healthy_like
from offkey.recipe import model_kind
from offkey.signal.statistics import clip_statistics

TRAINED = [name for name in BASELINES if model_kind(name).trained]
OF_LOGMELS = [name for name in BASELINES if model_kind(name).inputs != "samples"]


def fit(name, clips=None, **options):
    recipe = options.pop("recipe", recipe_of(name))
    return model_class(model_kind(name)).fit(
        training_clips() if clips is None else clips, recipe=recipe, options=FitOptions(**options)
    )


@functools.cache
def fitted(name):
    """A model of seed 0, not to be changed."""
    return fit(name, num_threads=1)


def arrays_of(model):
    return model.state()[0]


def equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module")
def data():
    clips = training_clips()
    return LogMelArrays(logmels=np.stack(clips.clips), machine_ids=tuple(clips.machine_ids))


@pytest.mark.parametrize("name", OF_LOGMELS)
def test_a_detector_is_fitted_saved_loaded_and_says_the_same(name, data, tmp_path):
    detector = Detector(recipe_of(name)).fit(data, device="cpu")
    assert detector.machine_ids == ("00", "02")
    assert detector.parameters > 0
    both = np.concatenate([logmels(3, seed=9), logmels(3, seed=9) + 12])
    new = LogMelArrays(logmels=both, machine_ids=("00",) * 6)
    table = detector.score(new)
    assert (table.anomaly_score[3:] > table.anomaly_score[:3]).all()
    assert {"a_" + name, "anomaly_score"} == set(table.score_names)
    assert np.isfinite(table.p_value).all()
    detector.save(tmp_path / "a.offkey")
    again = Detector.load(tmp_path / "a.offkey")
    assert again.score(new) == table
    assert again.describe() == detector.describe()
    assert pickle.loads(pickle.dumps(detector)).score(new) == table


@pytest.mark.parametrize("name", OF_LOGMELS)
def test_the_same_seed_gives_the_same_bytes_and_threads_change_rounding_alone(name):
    model = fitted(name)
    assert equal(arrays_of(model), arrays_of(fit(name, num_threads=1)))
    clips = logmels(5, seed=7)
    one, two = (model.scores(inputs(name, clips), num_threads=n)[f"a_{name}"] for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-4)


def inputs(name, clips):
    return clips if model_kind(name).inputs == "logmels" else clip_statistics(np.asarray(clips))


@pytest.mark.parametrize("name", TRAINED)
def test_another_seed_gives_other_weights(name):
    assert not equal(arrays_of(fitted(name)), arrays_of(fit(name, seed=1)))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("network_of", ["type", "id"])
def test_an_interrupted_training_ends_at_the_same_bytes(name, network_of, tmp_path):
    try:
        recipe = recipe_of(name).replace(**{f"{name}__network_of": network_of})
    except RecipeError:
        pytest.skip("one network learns all IDs")
    settings = recipe.models[name]
    epochs = []
    whole = fit(name, recipe=recipe, num_threads=1, on_event=lambda e: epochs.append(e))
    count = sum(isinstance(event, EpochEnded) for event in epochs)
    assert count == settings.epochs * (2 if network_of == "id" else 1)
    for stop_after in (1, count - 1):
        path = tmp_path / f"{stop_after}.checkpoint"

        def stop(event, stop_after=stop_after):
            if isinstance(event, CheckpointSaved) and event.epochs_done == stop_after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(name, recipe=recipe, num_threads=1, checkpoint=path, on_event=stop)
        events = []
        resumed = fit(name, recipe=recipe, num_threads=1, checkpoint=path, on_event=events.append)
        assert [e.epochs_done for e in events if isinstance(e, Resumed)] == [stop_after]
        assert equal(arrays_of(resumed), arrays_of(whole))


@pytest.mark.parametrize("name", TRAINED)
def test_a_clip_shorter_than_a_window_is_repeated_and_nonsense_is_refused(name):
    model = fitted(name)
    short = logmels(1)[0][:, :2]
    assert np.isfinite(model.scores([short])[f"a_{name}"]).all()
    for clips, message in (
        ([], "given none"),
        ([short[:3]], "given shape"),
        ([np.full_like(short, np.nan)], "not finite"),
    ):
        with pytest.raises(ArrayError, match=message):
            model.scores(clips)


@pytest.mark.parametrize("name", TRAINED)
def test_scores_do_not_depend_on_the_clips_beside(name, monkeypatch):
    model, clips = fitted(name), [clip[:, : 20 + 3 * i] for i, clip in enumerate(logmels(5, seed=2))]
    together = model.scores(clips, num_threads=1)[f"a_{name}"]
    monkeypatch.setattr("offkey.models.baselines.window_scores._BATCH", 40)
    in_parts = model.scores(clips, num_threads=1)[f"a_{name}"]
    alone = np.concatenate([model.scores([clip], num_threads=1)[f"a_{name}"] for clip in clips])
    np.testing.assert_allclose(in_parts, together, rtol=1e-5)
    np.testing.assert_allclose(alone, together, rtol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_half_precision_scores_nearly_the_same(name):
    model, clips = fit(name), logmels(4, seed=2)
    whole = model.scores(clips)[f"a_{name}"]
    model.compute_on("cpu", "float16")
    np.testing.assert_allclose(model.scores(clips)[f"a_{name}"], whole, rtol=0.02)


@pytest.mark.parametrize("name", TRAINED)
def test_a_map_sums_to_what_the_score_has_more_than_that_of_a_healthy_clip(name):
    model, score = fitted(name), f"a_{name}"
    features = recipe_of(name).features
    samples = np.random.default_rng(0).normal(0, 0.1, 6_000).astype(np.float32)
    healthy = clip_statistics(np.stack(training_clips().clips[:12]))
    clip = ExplainedClip(samples=samples, features=features, plan=StatisticsPlan(), healthy=healthy)
    said = model.explain(clip, "02", {score: 0.5})
    assert said.map.shape == clip.picture.logmel.shape
    start = healthy_like(clip, healthy.mean.mean(axis=0)).astype(np.float32)
    ends = model.scores([start, clip.picture.logmel.astype(np.float32)])[score][:, 1]
    assert said.raised == pytest.approx(0.5 * (ends[1] - ends[0]), rel=0.02)
    assert said.map.sum() == pytest.approx(said.raised)
    assert sum(part.sum() for part in said.spoken.values()) == pytest.approx(said.raised)


@pytest.mark.parametrize("name", BASELINES)
def test_a_recipe_of_other_sections_is_refused(name):
    with pytest.raises(RecipeError, match=f"expected a section `{name}`"):
        model_class(model_kind(name)).check(Recipe.named("spectral"), FitOptions())


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_of_no_use_is_refused(name):
    check = model_class(model_kind(name)).check
    for options in (FitOptions(compile=True), FitOptions(precision="bfloat16")):
        with pytest.raises(ParameterError, match="too small to gain by it"):
            check(recipe_of(name), options)
    with pytest.raises(ParameterError, match="fit again"):
        fitted(name).rescored(recipe_of(name).replace(scoring__holdout_clips=3))


@pytest.mark.parametrize("name", OF_LOGMELS)
def test_a_file_that_lacks_a_part_or_has_nonsense_is_refused(name):
    model = fitted(name)
    arrays, metadata = model.state()
    restore = type(model).from_state
    for lost in arrays:
        with pytest.raises(DetectorFileError):
            restore(recipe_of(name), {k: v for k, v in arrays.items() if k != lost}, metadata)
        if arrays[lost].dtype.kind == "f":
            with pytest.raises(DetectorFileError):
                restore(recipe_of(name), {**arrays, lost: np.full_like(arrays[lost], np.nan)}, metadata)
        with pytest.raises(DetectorFileError):
            restore(recipe_of(name), {**arrays, lost: arrays[lost].ravel()[:0]}, metadata)
    for lost in metadata:
        with pytest.raises(DetectorFileError):
            restore(recipe_of(name), arrays, {k: v for k, v in metadata.items() if k != lost})


@pytest.mark.parametrize("name", BASELINES)
def test_every_setting_has_a_word_of_explanation_and_every_file_begins_with_its_source(name):
    module = __import__(model_class(model_kind(name)).__module__, fromlist=["_"])
    head = module.__doc__
    assert f"`{name}`" in head.splitlines()[0]
    assert "Left open" in head
    section = model_kind(name).section
    assert section.__doc__
    assert msgspec.to_builtins(section()) == msgspec.to_builtins(recipe_of_default(name))


def recipe_of_default(name):
    return Recipe.named(name).models[name]


@pytest.mark.parametrize(("name", "lacking"), [("ae", "torch"), ("forest", "sklearn")])
def test_a_package_that_is_not_installed_is_named_with_the_extra_that_brings_it(name, lacking):
    code = f"""
import sys
sys.modules[{lacking!r}] = None
import offkey
assert {name!r} in offkey.recipe.recipe_names()
try:
    offkey.Recipe.named({name!r})
except offkey.errors.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == (
        f"model {name!r} needs {lacking}, which is not installed: pip install 'offkey[baselines]'\n"
    )
