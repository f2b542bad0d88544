"""The column `warning`: what is wrong with a recording, or unlike the training; without sound there is no score."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording

import offkey
from offkey.datasets import folder

SECONDS = 1.0


def sound(seed, *, seconds=SECONDS, gain=1.0):
    return gain * recording(np.random.default_rng(seed), hum_hz=90, seconds=seconds)


@pytest.fixture(scope="module")
def detector_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("training")
    (root / "press").mkdir()
    for i in range(24):
        sf.write(root / "press" / f"r{i:02d}.wav", sound(i), RATE, "PCM_16")
    recipe = offkey.Recipe.named("spectral").replace(training__clip_seconds=SECONDS, spectral__check=False)
    offkey.Detector(recipe).fit(folder(root / "press")).save(root / "press.offkey")
    return root / "press.offkey"


@pytest.fixture
def detector(detector_file):
    return offkey.load(detector_file)  # what the file keeps of the training suffices


def of_file(detector, path, samples, rate=RATE, **options):
    sf.write(path, samples, rate, **options)
    (row,) = detector.score(path).rows()
    return row


def test_a_healthy_recording_has_no_warning(detector, tmp_path):
    assert of_file(detector, tmp_path / "a.wav", sound(99))["warning"] is None


@pytest.mark.parametrize(
    ("kind", "samples"),
    [("silent", np.zeros(RATE)), ("constant", np.full(RATE, 0.3)), ("silent", np.zeros(9))],
)
def test_without_sound_there_is_neither_score_nor_decision(detector, tmp_path, kind, samples):
    row = of_file(detector, tmp_path / "dead.wav", samples)
    assert (row["anomaly_score"], row["decision"], row["warning"]) == (None, None, kind)
    assert f"dead.wav: {kind}: there is no sound" in row["error"]


@pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")
def test_all_others_keep_score_and_decision(detector, tmp_path):
    rows = {
        "clipped throughout": of_file(detector, tmp_path / "a.wav", np.sign(sound(1)) * 0.9),
        "clipped (": of_file(detector, tmp_path / "b.wav", np.clip(sound(2), -0.08, 0.08)),
        "quieter than in training": of_file(detector, tmp_path / "c.wav", sound(3, gain=0.05)),
        "8000 Hz, in training 16000 Hz": of_file(detector, tmp_path / "d.wav", sound(4)[::2], 8000),
        "lossy coding, in training lossless": of_file(
            detector, tmp_path / "e.ogg", sound(5), format="OGG", subtype="VORBIS"
        ),
    }
    for text, row in rows.items():
        assert text in (row["warning"] or ""), row
        assert row["error"] is None
        assert np.isfinite(row["anomaly_score"])
        assert row["decision"] in (0, 1)


@pytest.mark.filterwarnings("ignore:false alarms")
def test_silence_within_a_long_recording_is_said_and_not_scored(detector, tmp_path):
    path = tmp_path / "long.wav"
    samples = sound(7, seconds=4 * SECONDS)
    samples[RATE : 2 * RATE] = 0
    row = of_file(detector, path, samples)
    assert row["warning"] == "silent in 1 of 4 windows"
    assert row["error"] is None
    rows = list(detector.score(path, windows="each").rows())
    assert [row["start_s"] for row in rows] == [0, 1, 2, 3]
    assert [row["warning"] for row in rows] == [None, "silent", None, None]
    assert [row["anomaly_score"] is None for row in rows] == [False, True, False, False]
    sf.write(path, np.zeros(4 * RATE), RATE)
    (row,) = detector.score(path).rows()
    assert (row["warning"], row["anomaly_score"]) == ("silent", None)


def test_a_table_keeps_warnings_in_every_format(detector, tmp_path):
    sf.write(tmp_path / "dead.wav", np.zeros(RATE), RATE)
    sf.write(tmp_path / "fine.wav", sound(8), RATE)
    table = detector.score(tmp_path)
    for name in ("t.csv", "t.json"):
        table.write(tmp_path / name)
        assert offkey.ScoreTable.read(tmp_path / name).warning == ["silent", None]
    assert "warning" in table.to_text()


def test_the_command_says_so_and_exits_with_3(detector_file, tmp_path):
    sf.write(tmp_path / "dead.wav", np.zeros(RATE), RATE)
    sf.write(tmp_path / "fine.wav", sound(8), RATE)
    command = [sys.executable, "-m", "offkey", "score", str(detector_file), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "dead.wav: silent" in done.stderr
    assert ",silent" in done.stdout


def test_an_older_detector_knows_no_conditions_but_silence(detector, tmp_path):
    record = detector._state.record
    assert (
        type(record).from_state(record.state()[0], record.state()[1] | {"conditions": None}).conditions
        is None
    )
