"""What is said of recordings that several processes have scored is what one would have said."""

import dataclasses
import pickle

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording
from tiny_recipe import SPECTRAL

import offkey
from offkey.datasets.source import Source
from offkey.score_rows import ScoreRows


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("healthy")
    for number in range(24):
        path = folder / f"id_0{number % 2}" / f"{number:02}.wav"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, recording(rng, hum_hz=90), RATE)
    return offkey.Detector(SPECTRAL).fit(offkey.datasets.folder(folder))._fitted()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Of other rates, channels, IDs and lengths than in training, with a dead channel and no sound file among them."""
    folder, rng = tmp_path_factory.mktemp("incoming"), np.random.default_rng(1)
    for number in range(40):
        samples = recording(rng, hum_hz=90, faulty=True)
        if number % 7 == 1:
            samples = np.stack([0 * samples, samples], axis=1)
        rate = 8_000 if number % 5 == 2 else 44_100 if number % 11 == 3 else RATE
        sf.write(folder / f"id_0{number % 3}_{number:02}.wav", samples, rate)
    (folder / "id_00_08.wav").write_bytes(b"a diary")
    sf.write(folder / "id_01_long.wav", np.tile(samples, 25), RATE)
    return sorted(folder.iterdir())


def told(fitted, groups):
    """Return what is said of groups of recordings, each scored by itself."""
    options = {"rate": None, "fdr": None, "windows": "worst", "num_threads": 1}
    features = {"features": fitted.features, "plan": fitted.plan, "clip_seconds": fitted.clip_seconds}
    whole, survey = ScoreRows(fitted, **options), Source.of(groups[0], **features).surveyor
    for group in groups:
        rows, source = ScoreRows(fitted, **options), Source.of(group, **features)
        for chunk in source.chunks():
            rows.add(chunk)
        summary, surveyor = pickle.loads(pickle.dumps((rows.summary(), source.surveyor)))
        whole.join(summary)
        survey.join(surveyor)
    return whole.notes(), whole.drift(), whole.failed, survey.survey()


@pytest.mark.parametrize("parts", [2, 41])
def test_what_parts_tell_together_is_what_the_whole_tells(fitted, recordings, parts):
    notes, drift, failed, survey = told(fitted, [recordings])
    assert len(notes) >= 5
    assert failed == 7
    assert len(drift) == 1
    size = -(-len(recordings) // parts)
    groups = [recordings[first : first + size] for first in range(0, len(recordings), size)]
    notes_of_parts, drift_of_parts, failed_of_parts, survey_of_parts = told(fitted, groups)
    assert notes_of_parts == notes
    assert drift_of_parts == drift
    assert failed_of_parts == failed
    for row, expected in zip(survey_of_parts.rows, survey.rows, strict=True):
        assert row.total_s == pytest.approx(expected.total_s)
        assert dataclasses.replace(row, total_s=0.0) == dataclasses.replace(expected, total_s=0.0)
