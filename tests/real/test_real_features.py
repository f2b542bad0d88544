"""Every real recording, channel 0, against librosa in float64."""

import numpy as np
import pytest
import soundfile
from logmel_reference import TOLERANCE_DB, librosa_db, numpy_statistics, worst_db

import offkey

pytestmark = pytest.mark.real


def recordings(folder):
    files = sorted(folder.rglob("*.wav"))
    assert len(files) > 100
    return files


def test_every_recording_agrees_with_librosa(real_dir):
    for path in recordings(real_dir):
        clip, rate = soundfile.read(path, dtype="float32", always_2d=True)
        logmel = offkey.LogMel(sample_rate=rate)
        expected = librosa_db(clip[:, 0], sample_rate=rate)
        got = logmel.from_files([path])[0]
        np.testing.assert_array_equal(got, logmel([clip[:, 0]])[0])
        # All of the recording, down to its faintest band: no recording here needs the 80 dB that are promised.
        assert np.abs(got - expected).max() < TOLERANCE_DB, path
        statistics, errors = logmel.statistics_from_files([path])
        assert not errors
        for mine, theirs in zip(statistics[:4], numpy_statistics(expected[None]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4, err_msg=str(path))


@pytest.mark.filterwarnings("ignore:.*hold no frequency")  # 128 filters on torchaudio's 400 samples
@pytest.mark.filterwarnings("ignore:Empty filters")  # librosa's words for it
@pytest.mark.parametrize("preset", ["torchaudio", "dcase_baseline"])
def test_presets_on_genuine_machines(real_dir, preset):
    logmel = getattr(offkey.LogMel, preset)()
    files = sorted((real_dir / "mimii").glob("*.wav"))
    settings = {name: getattr(logmel, name) for name in logmel.__dataclass_fields__}
    for path, got in zip(files, logmel.each_from_files(files), strict=True):
        clip = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
        assert worst_db(got, librosa_db(clip, **settings)) < TOLERANCE_DB


def test_all_channels_of_a_recording(real_dir):
    path = next(iter(sorted((real_dir / "mimii").glob("*.wav"))))
    clip = soundfile.read(path, dtype="float32", always_2d=True)[0]
    logmel = offkey.LogMel.paper()
    for channel in range(clip.shape[1]):
        np.testing.assert_array_equal(
            logmel.from_files([path], channel=channel)[0], logmel([np.ascontiguousarray(clip[:, channel])])[0]
        )
