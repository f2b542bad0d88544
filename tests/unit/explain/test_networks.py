"""Networks say where their scores come from: integrated gradients, and that they are complete."""

from pathlib import Path

import numpy as np
import pytest
from machines import RATE, recording, write_tree

import offkey
from offkey import datasets
from offkey.explain.healthy import HealthyClips
from offkey.models.attribution import ExplainedClip

pytest.importorskip("torch")

from near_recipe import RECIPE as NEAR
from rank_correlation import rank_correlation
from tiny_network import RECIPE as TINY

from offkey.models.network.explain import healthy_like, integrals

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    tree = write_tree(tmp_path_factory.mktemp("networks") / "dev_data", train=10, test=1)
    return datasets.dcase2020(tree, machine="fan")


@pytest.fixture(scope="module")
def whistle():
    """A fan with a tone at 3 kHz in its second half."""
    samples = recording(np.random.default_rng(5), hum_hz=90.0)
    time = np.arange(RATE) / RATE
    return samples + np.where(time > 0.5, 0.1 * np.sin(2 * np.pi * 3000 * time), 0).astype(np.float32)


@pytest.fixture(scope="module")
def near(data):
    recipe = NEAR.replace(near__networks=2, near__steps=10)
    return offkey.Detector(wider(recipe)).fit(data, device="cpu")


def wider(recipe):
    return recipe.replace(
        features__sample_rate=RATE, features__n_fft=512, features__hop_length=256, features__n_mels=24
    )


def test_what_near_adds_is_its_score(near, whistle):
    """The way begins where the score is 0, that of a usual healthy clip."""
    explanation = near.explain(whistle, sample_rate=RATE, machine_id="00", device="cpu")
    (row,) = near.score(whistle, sample_rate=RATE, machine_id="00", device="cpu").rows()
    slope = near._state.fusion.slopes("00")["a_near"]
    assert row["a_near"] > 0
    assert explanation.map.sum() == pytest.approx(slope * row["a_near"], rel=0.01)
    assert (
        sum(added.sum() for added in explanation.attributions["near"].spoken.values())
        >= explanation.map.sum() * 0.99
    )
    added = np.maximum(explanation.map, 0)
    near_tone = np.abs(explanation.picture.cells.centres_hz - 3000) < 400
    assert added[near_tone].sum() / added.sum() > 2 * near_tone.mean()


def test_a_usual_clip_adds_nothing_to_near(near):
    usual = near._state.models["near"]
    clip = recording(np.random.default_rng(7), hum_hz=90.0)
    for seed in range(20):
        clip = recording(np.random.default_rng(seed), hum_hz=90.0)
        (row,) = near.score(clip, sample_rate=RATE, machine_id="00", device="cpu").rows()
        if row["a_near"] <= 0:
            break
    explanation = near.explain(clip, sample_rate=RATE, machine_id="00", device="cpu")
    assert usual.score_names == ("a_near",)
    assert not explanation.map.any()
    assert explanation.spoken == {}


@pytest.fixture(scope="module")
def trained(data):
    recipe = wider(TINY).replace(
        scoring__combine="mean", training__stage1_epochs=1, training__stage2_epochs=1
    )
    return offkey.Detector(recipe).fit(data, device="cpu")


@pytest.mark.parametrize("a_arc", ["cosine", "prob", "log_prob"])
def test_what_a_network_adds_is_the_difference_from_a_healthy_clip(trained, whistle, a_arc):
    detector = trained.rescored(trained.recipe.replace(scoring__a_arc=a_arc).scoring)
    explanation = detector.explain(whistle, sample_rate=RATE, machine_id="02", device="cpu")
    state = detector._state
    model, slopes = state.models["network"], state.fusion.slopes("02")
    assert set(slopes) == {"a_out", "a_arc", "a_maha"}
    clip = ExplainedClip(
        samples=whistle,
        features=state.features,
        plan=state.plan,
        healthy=HealthyClips.of(state.record, "02").statistics,
    )
    scores = [
        sum(slopes[name] * matrix[0, 1] for name, matrix in model.scores([logmel.astype(np.float32)]).items())
        for logmel in (clip.picture.logmel, healthy_like(clip, np.zeros(24)))
    ]
    assert explanation.map.sum() == pytest.approx(scores[0] - scores[1], rel=0.03, abs=0.02)


def test_a_network_with_shuffled_weights_has_other_maps(trained, data, tmp_path):
    import torch

    trained.save(tmp_path / "fan.offkey")
    other = offkey.load(tmp_path / "fan.offkey")
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in other._state.models["network"]._model.parameters():
            order = torch.randperm(weights.numel(), generator=rng)
            weights.copy_(weights.flatten()[order].view_as(weights))
    paths = [path for path, label in zip(data.test.paths, data.test.labels, strict=True) if label]
    maps = [[one.explain(path, device="cpu").map for one in (trained, other)] for path in paths]
    assert np.median([rank_correlation(*pair) for pair in maps]) < 0.3


def test_an_ensemble_adds_up_what_its_models_say():
    detector = offkey.load(GOLDEN / "0.1.0" / "both.offkey")
    explanation = detector.explain(GOLDEN / "recordings" / "anomaly_id_00_00000000.flac", device="cpu")
    assert set(explanation.attributions) == {"network", "spectral"}
    raised = sum(part.raised for part in explanation.attributions.values())
    assert explanation.map.sum() == pytest.approx(raised)
    assert {"pattern", "level"} <= set(explanation.spoken)


def test_integrals_of_a_logarithm():
    """Of ln(x^2 + y^2) from a thousandth of (3, 4) to it, whose logarithm goes evenly."""
    import torch

    end, span = torch.tensor([3.0, 4.0]), np.log(1e3)
    gradient, _ = integrals(
        lambda points, factors: (points * factors).double().square().sum(dim=1).log(),
        lambda at: (end.expand(len(at), -1), torch.exp(-span * (1 - at))[:, None]),
        device=torch.device("cpu"),
    )
    assert span * gradient @ end.double().numpy() == pytest.approx(2 * np.log(1e3), rel=1e-6)


def test_a_clip_of_a_few_frames_is_explained(data, near, whistle):
    for samples in (whistle[:1000], whistle[:300]):
        explanation = near.explain(samples, sample_rate=RATE, machine_id="00", device="cpu")
        assert explanation.map.shape == explanation.picture.logmel.shape
        assert np.isfinite(explanation.map).all()
