"""A network that has been shown further normal clips: they count as held out, and its weights stay."""

import numpy as np
import pytest
from machines import RATE, recording
from tiny_recipe import BOTH, TINY

import offkey
from offkey.datasets import LogMelArrays
from offkey.errors import OffkeyWarning, ParameterError
from offkey.models.network.model import NetworkModel
from offkey.scoring.gaussian import Gaussian
from offkey.signal.logmel import LogMel

IDS = ("00", "02")


def arrays(recipe, count, *, seed, noise=0.0):
    rng = np.random.default_rng(seed)
    sounds = [
        recording(rng, hum_hz=hum_hz, seconds=0.5) + noise * rng.standard_normal(RATE // 2)
        for hum_hz in (90.0, 113.0)
        for _ in range(count)
    ]
    logmels = LogMel.from_recipe(recipe.features)(np.stack(sounds).astype(np.float32))
    return LogMelArrays(logmels=logmels, machine_ids=tuple(name for name in IDS for _ in range(count)))


def network(detector):
    return detector._state.models["network"]


@pytest.fixture(scope="module")
def fitted():
    return offkey.Detector(TINY).fit(arrays(TINY, 24, seed=0), device="cpu", num_threads=1)


@pytest.fixture(scope="module")
def new():
    return arrays(TINY, 9, seed=1)


@pytest.fixture(scope="module")
def updated(fitted, new):
    return fitted.update(new, force=True, device="cpu", num_threads=1)


def test_weights_stay_and_gaussians_are_of_all_embeddings(fitted, new, updated):
    before, after = (network(d).state()[0] for d in (fitted, updated))
    for name, array in before.items():
        if name.startswith("model."):
            np.testing.assert_array_equal(after[name], array)
    embeddings = np.concatenate(
        [
            *(before[f"outputs.{part}.embeddings"] for part in ("train", "held_out")),
            fitted.embeddings(new, device="cpu", num_threads=1),
        ]
    ).astype(np.float64)
    ids = before["outputs.ids"]
    order = np.concatenate([before["outputs.train.positions"], before["outputs.held_out.positions"]])
    names = [*(IDS[i] for i in ids[order]), *new.machine_ids]
    gaussian = Gaussian.fit(embeddings, names, covariance=TINY.scoring.covariance)
    fresh = arrays(TINY, 3, seed=5)
    expected = gaussian.mahalanobis(fitted.embeddings(fresh, device="cpu", num_threads=1))
    np.testing.assert_allclose(
        network(updated).scores(list(fresh.logmels), num_threads=1)["a_maha"], expected, rtol=1e-6
    )


def test_new_clips_are_calibrated_with_as_held_out_ones(fitted, new, updated):
    before, after = network(fitted).held_out, network(updated).held_out
    assert after.kind == "held_out"
    assert after.indices.tolist() == [*before.indices.tolist(), *range(48, 66)]
    assert after.machine_ids[-18:] == new.machine_ids
    # One that is not in the Gaussians lies farther away than by those that have it.
    within = network(updated).scores(list(new.logmels), num_threads=1)["a_maha"]
    own = within[np.arange(18), np.repeat([0, 1], 9)]
    assert (after.scores["a_maha"][-18:] > own - 1e-9).all()
    assert (after.scores["a_maha"][-18:] > own + 1e-6).any()


def test_the_note_on_ids_is_that_of_all_held_out_clips(fitted, updated):
    notes = [
        [note for note in d.notes if "held-out normal clips are told apart" in note]
        for d in (fitted, updated)
    ]
    counts = [len(network(d).held_out.indices) for d in (fitted, updated)]
    for (note,), count in zip(notes, counts, strict=True):
        assert f"the IDs of {count} held-out" in note


def test_an_updated_network_is_saved_rescored_and_updated_again(updated, tmp_path):
    updated.save(tmp_path / "new.offkey")
    again = offkey.load(tmp_path / "new.offkey")
    fresh = arrays(TINY, 4, seed=6)
    assert again.score(fresh, device="cpu") == updated.score(fresh, device="cpu")
    third = again.update(fresh, force=True, device="cpu")
    assert third.describe()["calibration_clips"]["00"] == updated.describe()["calibration_clips"]["00"] + 4
    scoring = again.recipe.replace(scoring__covariance="oas").scoring
    assert again.rescored(scoring).thresholds != again.thresholds


def test_where_nothing_was_held_out_the_new_clips_are(new):
    recipe = TINY.replace(scoring__holdout_fraction=0)
    fitted = offkey.Detector(recipe).fit(arrays(recipe, 12, seed=0), device="cpu")
    assert network(fitted).held_out.kind == "training"
    updated = fitted.update(new, force=True, device="cpu")
    assert network(updated).held_out.kind == "held_out"
    assert network(updated).held_out.machine_ids == new.machine_ids
    assert not any("nothing is held out" in note for note in updated.notes)


def test_a_network_and_a_closed_form_learn_the_same_clips():
    fitted = offkey.Detector(BOTH).fit(arrays(BOTH, 24, seed=0), device="cpu")
    drifted = arrays(BOTH, 20, seed=2, noise=0.01)
    with pytest.warns(OffkeyWarning, match="drift: "):
        before = fitted.score(arrays(BOTH, 20, seed=3, noise=0.01), device="cpu").decision.mean()
    updated = fitted.update(drifted, force=True, device="cpu")
    after = updated.score(arrays(BOTH, 20, seed=3, noise=0.01), device="cpu").decision.mean()
    assert before > 0.4
    assert after < 0.2


def test_files_that_kept_too_little_cannot_be_updated(fitted, new):
    arrays_, metadata = network(fitted).state()
    older = {name: array for name, array in arrays_.items() if not name.startswith("outputs.")}
    model = NetworkModel.from_state(TINY, older, metadata | {"outputs": None})
    with pytest.raises(ParameterError, match="kept too little of the training clips: fit again"):
        model.updated(None, recipe=TINY, learned=None)
