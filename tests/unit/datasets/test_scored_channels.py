"""What is noticed of the channels of recordings that are scored."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from channel_recordings import hiss, machine, silence, write, write_many
from tiny_recipe import SPECTRAL

import offkey
from offkey.datasets import Clip, Clips, LogMelArrays, folder
from offkey.errors import OffkeyWarning


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """Learned the first of two channels, 10 dB louder than the other."""
    root = tmp_path_factory.mktemp("scored")
    data = folder(write_many(root / "d", lambda i: machine(i), lambda i: machine(i + 100) / 3))
    return offkey.Detector(SPECTRAL).fit(data)


@pytest.fixture(scope="module")
def of_second(tmp_path_factory):
    """Learned the second of two channels."""
    root = tmp_path_factory.mktemp("second")
    recipe = SPECTRAL.replace(features__channel=1)
    return offkey.Detector(recipe).fit(folder(write_many(root / "d", hiss, machine)))


def noted(detector, recordings, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector.score(recordings, **options)
    assert all(warning.category is OffkeyWarning for warning in caught)
    return [str(warning.message) for warning in caught]


def test_recordings_as_in_training_need_no_word(detector, tmp_path):
    assert noted(detector, write(tmp_path / "a.wav", machine(50), machine(51) / 3)) == []
    assert noted(detector, write(tmp_path / "b.wav", machine(50) / 20, machine(51) / 60)) == []  # both quiet


@pytest.mark.parametrize("kind", ["file", "bytes", "samples"])
@pytest.mark.parametrize(
    ("dead", "said"),
    [
        (silence, "channel 0 is silent, unlike channel 1"),
        (lambda: silence() + 0.3, "channel 0 is silent, unlike channel 1"),
        (lambda: hiss(3, dbfs=-70), "channel 0 is 53 dB quieter, unlike channel 1"),
    ],
    ids=["silent", "constant", "quiet"],
)
def test_a_dead_channel_is_noticed(detector, tmp_path, dead, said, kind):
    path = write(tmp_path / "a.wav", dead(), machine(51))
    recordings = {"file": path, "bytes": path.read_bytes(), "samples": offkey.audio.read(path)}[kind]
    with pytest.warns(OffkeyWarning) as caught:
        table = detector.score(recordings)
    (note,) = [str(warning.message) for warning in caught if "channel 0" in str(warning.message)]
    assert note.startswith(
        "channel 0, which is scored, is silent or far quieter than another channel in 1 recording,"
    )
    assert ("clip 0" if kind == "bytes" else "a.wav") in note
    assert said in table.warning[0]
    assert (f"({said}): there is no sound to score" in str(table.error[0])) == ("is silent" in said)


def test_dead_channels_are_counted(detector, tmp_path):
    notes = noted(detector, write_many(tmp_path / "d", lambda _: silence(), machine, count=3))
    (note,) = [note for note in notes if "channel 0" in note]
    assert "in 3 recordings, unlike in training; is its microphone dead? The first of them" in note
    assert note.endswith("000.wav")


def test_a_long_recording_with_a_dead_channel(detector, tmp_path):
    long = np.tile(machine(5), 40)
    path = write(tmp_path / "long.wav", 0 * long, long)
    assert sum("which is scored, is silent" in note for note in noted(detector, path)) == 1


def test_another_number_of_channels_is_noticed(detector, tmp_path):
    write(tmp_path / "d" / "1.wav", machine(50))
    write_many(tmp_path / "d" / "three", machine, machine, machine, count=2)
    one, three = noted(detector, tmp_path / "d")
    assert one.startswith(
        "1 recording has 1 channel, but the detector was trained on recordings with 2 channels; channel 0 is what is "
        "scored; the first of them "
    )
    assert three.startswith("2 recordings have 3 channels, but the detector was trained on")


def test_stereo_for_a_detector_of_mono(tmp_path):
    detector = offkey.Detector(SPECTRAL).fit(folder(write_many(tmp_path / "d", machine)))
    (note,) = noted(detector, write(tmp_path / "a.wav", machine(50), hiss(50)))
    assert "has 2 channels, but the detector was trained on recordings with 1 channel; channel 0 is" in note


def test_stereo_for_a_detector_of_log_mels(tmp_path):
    data = folder(write_many(tmp_path / "d", machine))
    logmel = offkey.LogMel.from_recipe(SPECTRAL.features)
    arrays = LogMelArrays(logmels=logmel.from_files(data.train.paths), machine_ids=("00",) * 16)
    detector = offkey.Detector(SPECTRAL).fit(arrays)
    detector.save(tmp_path / "d.offkey")
    (note,) = noted(offkey.load(tmp_path / "d.offkey"), write(tmp_path / "a.wav", machine(50), hiss(50)))
    assert note.startswith("1 recording has 2 channels; channel 0 is what is scored; the first of them")


@pytest.mark.parametrize("kind", ["file", "bytes", "samples"])
def test_a_missing_channel_is_the_error_of_its_recording(of_second, tmp_path, kind):
    good = write(tmp_path / "good.wav", hiss(50), machine(50))
    buffer = io.BytesIO()
    sf.write(buffer, machine(51), 16_000, format="WAV")
    path = write(tmp_path / "mono.wav", machine(51))
    mono = {"file": path, "bytes": buffer.getvalue(), "samples": offkey.audio.read(path)}[kind]
    with pytest.warns(OffkeyWarning, match="1 recording has 1 channel, but the detector was trained on"):
        table = of_second.score([good, mono])
    assert table.error[0] is None
    assert "channel 1 was asked for" in table.error[1]
    assert "the detector was trained on channel 1: record as for training, or train another" in table.error[1]


def test_clips_of_the_other_microphone_are_noticed(detector, tmp_path):
    path = write(tmp_path / "a.wav", machine(50), machine(51) / 3)
    clip = Clip(path=path, machine_type="d", machine_id="00", split="test", label=0, group="a")
    near, far = ({"channels": roles} for roles in (("near", "far"), ("far", "near")))

    def clips(**columns):
        return Clips([Clip(**{name: getattr(clip, name) for name in clip.__slots__} | columns)])

    assert noted(detector, clips(**near)) == []
    (note,) = noted(detector, clips(**far))
    assert note.startswith(
        "channel 0 is what is scored, but is of the other microphone in 1 recording; the first"
    )
    mean = offkey.Detector(SPECTRAL.replace(features__channel="mean"))
    mean.fit(folder(write_many(tmp_path / "d", machine, machine)))
    assert noted(mean, clips(**far)) == []


def test_stereo_for_a_detector_of_an_older_version(tmp_path):
    detector = offkey.load(Path(__file__).parents[2] / "golden" / "0.1.0" / "spectral.offkey")
    assert detector.describe()["channels_in_training"] is None
    notes = noted(detector, write(tmp_path / "a.wav", machine(50), hiss(50)))
    assert any(note.startswith("1 recording has 2 channels; channel 0 is what is scored;") for note in notes)
