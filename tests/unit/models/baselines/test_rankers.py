"""Methods of scikit-learn: what is saved of them scores as they do."""

import numpy as np
import pytest
from baseline_recipe import logmels, recipe_of, training_clips
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from offkey.errors import ArrayError, DatasetError
from offkey.models import FitOptions
from offkey.models.base import model_class
from offkey.models.baselines.forest import Forest, ForestRanker
from offkey.models.baselines.gmm import Gmm, GmmRanker
from offkey.models.baselines.lof import Lof, LofRanker
from offkey.models.baselines.pca import Pca, PcaRanker
from offkey.models.baselines.svm import Svm, SvmRanker
from offkey.recipe import model_kind
from offkey.signal.statistics import clip_statistics

METHODS = ["forest", "gmm", "lof", "pca", "svm"]


@pytest.fixture
def vectors():
    random = np.random.default_rng(0)
    normal = random.normal(0, 1, (70, 9)) @ random.normal(0, 1, (9, 9))
    return (normal - normal.mean(axis=0)) / normal.std(axis=0)


@pytest.fixture
def new():
    return np.random.default_rng(1).normal(0, 2, (40, 9))


@pytest.mark.parametrize("clips_of_tree", [256, 32, 3])
def test_a_forest_scores_as_scikit_learn_s(vectors, new, clips_of_tree):
    ours = ForestRanker.fit(vectors, Forest(trees=30, clips_of_tree=clips_of_tree), seed=5)
    theirs = IsolationForest(n_estimators=30, max_samples=min(70, clips_of_tree), random_state=5).fit(vectors)
    for clips in (vectors, new):
        np.testing.assert_allclose(ours.scores(clips), -theirs.score_samples(clips), rtol=1e-6)


def test_a_mixture_scores_as_scikit_learn_s(vectors, new):
    ours = GmmRanker.fit(vectors, Gmm(components=3), seed=5)
    theirs = GaussianMixture(3, covariance_type="diag", reg_covar=0.01, random_state=5).fit(vectors)
    np.testing.assert_allclose(9 * ours.scores(new), -theirs.score_samples(new), rtol=1e-9)


def test_local_outlier_factors_are_scikit_learn_s(vectors, new):
    ours = LofRanker.fit(vectors, Lof(neighbours=7), seed=0)
    theirs = LocalOutlierFactor(n_neighbors=7, novelty=True).fit(vectors)
    np.testing.assert_array_equal(ours.scores(new), -theirs.score_samples(new))


def test_a_support_vector_machine_scores_as_scikit_learn_s(vectors, new):
    ours = SvmRanker.fit(vectors, Svm(nu=0.2), seed=0)
    theirs = OneClassSVM(gamma="scale", nu=0.2).fit(vectors)
    np.testing.assert_allclose(ours.scores(new), -theirs.decision_function(new), rtol=1e-6, atol=1e-9)


def test_residuals_are_what_scikit_learn_s_components_leave(vectors, new):
    ours = PcaRanker.fit(vectors, Pca(variance=0.8), seed=0)
    theirs = PCA(0.8, svd_solver="full").fit(vectors)
    left = new - theirs.inverse_transform(theirs.transform(new))
    np.testing.assert_allclose(ours.scores(new), np.square(left).mean(axis=1), rtol=1e-9)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("fitted_to", ["id", "type"])
def test_an_id_is_compared_with_its_own_clips_or_with_all(name, fitted_to):
    recipe = recipe_of(name).replace(**{f"{name}__fitted_to": fitted_to})
    model = model_class(model_kind(name)).fit(training_clips(), recipe=recipe, options=FitOptions())
    scores = model.scores(clip_statistics(logmels(6, seed=9)))[f"a_{name}"]
    assert scores.shape == (6, 2)
    if fitted_to == "id":
        assert (scores[:, 0] < scores[:, 1]).all()
    else:
        assert np.array_equal(scores[:, 0], scores[:, 1])
    assert model.held_out.kind == "out_of_fold"
    assert len(model.held_out.indices) == 24


@pytest.mark.parametrize("name", METHODS)
def test_features_that_never_vary_are_left_out(name):
    clips = training_clips()
    for clip in clips.clips:
        clip[3] = -100.0
    model = model_class(model_kind(name)).fit(clips, recipe=recipe_of(name), options=FitOptions())
    new = logmels(3, seed=4)
    new[:, 3] = -100.0
    usual = model.scores(clip_statistics(new))[f"a_{name}"]
    new[:, 3] += 30.0
    assert np.array_equal(model.scores(clip_statistics(new))[f"a_{name}"], usual)


def test_too_few_clips_and_other_clips_are_refused_by_name():
    model = model_class(model_kind("pca"))
    with pytest.raises(DatasetError, match=r"machine ID 02: fewer than 3 normal.*fitted_to to 'type'"):
        model.fit(training_clips({"00": 12, "02": 2}), recipe=recipe_of("pca"), options=FitOptions())
    fitted = model.fit(training_clips(), recipe=recipe_of("pca"), options=FitOptions())
    with pytest.raises(ArrayError, match="20 values each; expected 32"):
        fitted.scores(clip_statistics(logmels(2)[:, :10]))
