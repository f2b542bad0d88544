"""Detectors of the real motors: trained, scored, evaluated, saved, with an ID that no training clip has."""

import warnings

import numpy as np
import pytest
from tiny_recipe import TINY as SMALLEST

import offkey
from offkey import datasets
from offkey.errors import OffkeyWarning

pytestmark = pytest.mark.real

TINY = SMALLEST.replace(training__clip_seconds=2.0)
RECIPES = {
    "spectral": offkey.Recipe.named("spectral"),
    "tiny": TINY,
    "ae": offkey.Recipe.named("ae").replace(ae__epochs=2, ae__hidden=(32,)),
    "pca": offkey.Recipe.named("pca"),
}


@pytest.fixture(scope="module")
def motors(real_dir):
    """The motors, some normals of each kept for testing; MIMII's machines and DCASE's as other types."""
    own = datasets.folder(real_dir / "bldc", manifest="manifest.csv", test_fraction=0.25)
    mimii = datasets.folder(real_dir / "mimii", pattern="{machine_type}_{label}_*.wav", machine="pump")
    dcase = datasets.dcase2020(real_dir / "dcase2020_id_00", machine="dcase2020_id_00")
    few = datasets.Dataset(machine=dcase.machine, clips=dcase.train.take(range(8)))
    return own.with_others(mimii, few)


@pytest.fixture(scope="module", params=RECIPES)
def detector(request, motors):
    return offkey.Detector(RECIPES[request.param]).fit(motors, device="cpu")


def scored_with_notes(detector, recordings):
    """Return the table, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = detector.score(recordings)
    assert {warning.category for warning in caught} == {OffkeyWarning}
    return table, [str(warning.message) for warning in caught]


def scored(detector, recordings):
    table, notes = scored_with_notes(detector, recordings)
    unknown = "ID '04' is not known to the detector, which knows 01, 02, 03: 7 recordings"
    assert any(unknown in note for note in notes)
    return table


def test_the_motor_that_was_never_trained_on_is_noted_and_scored_as_unknown(detector, motors):
    assert "ID 04 only in the test part: scored as unknown" in detector.notes
    assert detector.machine_ids == ("01", "02", "03")
    assert len(motors.others) == 16
    table = scored(detector, motors.test)
    unknown = [i for i, machine_id in enumerate(table.machine_id) if machine_id == "04"]
    assert len(unknown) == 7
    assert {table.scored_as[i] for i in unknown} <= {"01", "02", "03"}
    assert set(table.score_names) == {*detector.recipe.score_names, "anomaly_score"}
    assert np.isfinite(table.anomaly_score).all()


def test_scores_are_evaluated_and_a_saved_detector_gives_them_again(detector, motors, tmp_path):
    table = scored(detector, motors.test)
    result = offkey.evaluate(table, motors.test)
    figures = {row.machine_id: row for row in result.ids if row.score == "anomaly_score"}
    assert {name for name, row in figures.items() if row.auc is not None} == {"01", "02"}
    assert (figures["04"].normals, figures["04"].anomalies) == (0, 7)
    detector.save(tmp_path / "bldc.offkey")
    assert scored(offkey.load(tmp_path / "bldc.offkey"), motors.test) == table


def test_spectral_hears_damaged_propellers(motors):
    detector = offkey.Detector().fit(motors)
    result = offkey.evaluate(scored(detector, motors.test), motors.test)
    assert {row.score: row.auc for row in result.overall}["anomaly_score"] > 0.8


def test_a_stereo_original_at_44100_hz_and_eight_channels_are_scored_too(detector, real_dir):
    table, notes = scored_with_notes(
        detector, [real_dir / "bldc_stereo", real_dir / "mimii" / "fan_abnormal_969.wav"]
    )
    first = real_dir / "bldc_stereo" / "healthy_m1_1400rpm.wav"
    assert any(
        note.startswith(f"resampled from 44100 to 16000 Hz: 1 recording, the first of them {first}")
        for note in notes
    )
    assert sum("the detector was trained on recordings with 1 channel" in note for note in notes) == 2
    assert np.isfinite(table.anomaly_score).all()
    assert table.machine_id == [None, None]
