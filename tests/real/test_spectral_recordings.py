"""The closed-form model on the real clips of one DCASE 2020 machine: 75 normals, 1 anomaly."""

import numpy as np
import pytest
import soundfile

from offkey.datasets.statistics_plan import Measures
from offkey.models.base import statistics_plan
from offkey.models.spectral.model import SpectralModel
from offkey.recipe import Recipe

pytestmark = pytest.mark.real


def statistics(paths):
    clips = [soundfile.read(path, dtype="float32")[0] for path in paths]
    recipe = Recipe.named("spectral")
    return Measures(recipe.features, statistics_plan(recipe)).statistics(clips, num_threads=None)


def test_the_anomaly_outranks_normals_that_were_not_trained_on(real_dir):
    folder = real_dir / "dcase2020_id_00"
    normals = sorted((folder / "train").glob("normal*.wav"))
    anomalies = sorted((folder / "test").glob("anomaly*.wav"))
    assert (len(normals), len(anomalies)) == (75, 1)
    recipe = Recipe.named("spectral")
    train, rest = [p for k, p in enumerate(normals) if k % 5], normals[::5]
    model = SpectralModel.of_statistics(
        statistics(train), ["00"] * 60, [p.name for p in train], recipe=recipe, seed=0
    )
    found = model.scores(statistics(anomalies))["a_spectral"]
    normal = model.scores(statistics(rest))["a_spectral"]
    assert found.shape == (1, 1)
    assert (normal < found).mean() >= 0.8

    # One clip for each recording: nothing to say but what the check chose, how much rhythm there is, and that one clip
    # of the sixty is odd.
    choice, rhythm, odd = model.notes
    assert "check" in choice
    assert "no rhythm to speak of" in rhythm
    assert odd.startswith("spectral: 1 training clip sounds unlike the rest (normal_id_00_00000038.wav)")
    assert model.choice["ridge"] in (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    assert len(model.held_out.indices) == 60
    again = SpectralModel.from_state(recipe, *model.state())
    assert np.array_equal(again.scores(statistics(anomalies))["a_spectral"], found)


def test_other_machines_are_anomalous_to_it(real_dir):
    normals = sorted((real_dir / "dcase2020_id_00" / "train").glob("normal*.wav"))
    motors = sorted((real_dir / "bldc").glob("normal*.wav"))
    recipe = Recipe.named("spectral").replace(spectral__check=False)
    model = SpectralModel.of_statistics(
        statistics(normals), ["00"] * 75, [p.name for p in normals], recipe=recipe, seed=0
    )
    assert (model.scores(statistics(motors))["a_spectral"] > model.held_out.scores["a_spectral"].max()).all()
