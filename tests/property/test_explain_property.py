"""Explanations are complete: what statistics, bins and frames add sums to what is explained."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spectral_clips import faulty_statistics, machine_clips, with_rhythm

import offkey
from offkey.models.attribution import ExplainedClip
from offkey.models.spectral import frames
from offkey.models.spectral.contributions import SetContributions
from offkey.models.spectral.model import SpectralModel

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 90))


def clip_of(seed, shape):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape[0]), rng.normal(size=shape[0]), rng.normal(-40, 5, shape)


@settings(max_examples=40)
@given(SEEDS, SHAPES)
def test_frames_add_up_to_what_their_bin_adds(seed, shape):
    amounts, deviations, logmel = clip_of(seed, shape)
    flat = np.full(shape, -100.0)  # nothing varies
    for picture in (logmel, flat):
        sums = {
            "level": frames.of_level(picture, amounts, deviations, np.full(shape[0], 0.7)),
            "spread": frames.of_spread(amounts, deviations, picture),
            "differences": frames.of_differences(amounts, deviations, picture),
            "floor": frames.of_floor(amounts, deviations, picture),
        }
        for name, added in sums.items():
            assert added.shape == shape, name
            expected = amounts * deviations if name == "level" else amounts
            np.testing.assert_allclose(added.sum(axis=1), expected, atol=1e-9, err_msg=name)


@settings(max_examples=40)
@given(SEEDS, st.tuples(st.integers(8, 70), st.integers(2, 90)))
def test_a_rhythm_adds_up_over_all_cells(seed, shape):
    _, _, logmel = clip_of(seed, shape)
    amounts, deviations = np.random.default_rng(seed).normal(size=(2, 128))
    added = frames.of_rhythm(amounts, deviations, logmel, frame_rate_hz=31.25)
    assert added.shape == shape
    np.testing.assert_allclose(added.sum(), amounts.sum(), atol=1e-9)


@pytest.fixture(scope="module")
def fitted():
    statistics, ids, groups = machine_clips(3, (30, 30))
    statistics = with_rhythm(3, statistics, ids, beat=2.0)
    recipe = offkey.Recipe.named("spectral")
    return SpectralModel.of_statistics(statistics, ids, groups, recipe=recipe, seed=0)


@settings(max_examples=20)
@given(SEEDS)
def test_statistics_add_up_to_the_quadratic_form_and_sets_to_the_score(fitted, seed):
    clip = with_rhythm(seed, faulty_statistics(np.random.default_rng(seed), 1), ["00"], beat=0.5)
    scores = fitted.scores(clip)["a_spectral"][0]
    for column, machine_id in enumerate(fitted.machine_ids):
        parts = [of_set.part() for of_set in fitted.contributions(clip, machine_id)]
        np.testing.assert_allclose(sum(part.raised for part in parts), scores[column], rtol=1e-8)
        for part in parts:
            ratio = fitted._ratios[part.name]
            form = np.exp(ratio.log_scores(fitted._table(clip).features(part.name))[0, column]) - 1e-12
            added = sum(values.sum() for values in part.amounts.values())
            np.testing.assert_allclose([added, part.ratio], form, rtol=1e-8)


def test_halving_a_contribution_is_what_the_gradient_says(fitted):
    """Half the numerical gradient of the form, times the deviation, is each contribution."""
    clip = with_rhythm(1, faulty_statistics(np.random.default_rng(1), 1), ["00"])
    ratio, features = fitted._ratios["A"], fitted._table(clip).features("A")[0]
    of_set = SetContributions.of(ratio, features, 0, 1.0, 0.0, 1.0)
    amounts = np.concatenate(list(of_set.part().amounts.values()))
    apart = np.concatenate(list(of_set.deviations.values()))

    def form(values):
        return np.exp(ratio.log_scores(values[None])[0, 0])

    for place in range(0, len(features), 7):
        step = np.zeros(len(features))
        step[place] = 1e-4
        gradient = (form(features + step) - form(features - step)) / 2e-4
        assert np.isclose(amounts[place], apart[place] * gradient / 2, rtol=1e-4, atol=1e-8)


@settings(max_examples=4)
@given(SEEDS)
def test_a_map_sums_to_what_the_sets_raise(seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.1, (24, 16_000)).astype(np.float32)
    recipe = offkey.Recipe.named("spectral").replace(
        features__n_fft=256, features__hop_length=256, features__n_mels=16
    )
    features, plan = recipe.features, recipe.spectral.statistics_plan(recipe.features)
    clips = [ExplainedClip(samples=row, features=features, plan=plan, healthy=None) for row in noise]
    statistics = type(clips[0].statistics).joined([clip.statistics for clip in clips])
    model = SpectralModel.of_statistics(
        statistics, ["00"] * 24, [str(n) for n in range(24)], recipe=recipe, seed=0
    )
    louder = noise[0] * np.where(np.arange(16_000) > 8000, 1.5, 1).astype(np.float32)
    for healthy in (None, statistics):
        clip = ExplainedClip(samples=louder, features=features, plan=plan, healthy=healthy)
        attribution = model.explain(clip, "00", {"a_spectral": 1.0})
        positive = sum(max(part.raised, 0.0) for part in attribution.parts)
        np.testing.assert_allclose(
            [
                attribution.map.sum(),
                attribution.raised,
                sum(added.sum() for added in attribution.spoken.values()),
            ],
            positive,
            rtol=1e-6,
        )
