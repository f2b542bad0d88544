"""Each preset against the library that it is named after."""

import sys

import librosa
import numpy as np
import pytest
from logmel_reference import TOLERANCE_DB, librosa_db, machine, torchaudio_db, worst_db

import offkey


def test_paper_is_method_section_2():
    assert offkey.LogMel.paper() == offkey.LogMel(
        sample_rate=16_000,
        n_fft=1024,
        hop_length=512,
        win_length=None,
        window="hann",
        n_mels=128,
        f_min_hz=0.0,
        f_max_hz=None,
        mel_scale="slaney",
        mel_norm="slaney",
        pad_mode="constant",
        spectrum="power",
        floor="max",
        floor_value=1e-10,
    )
    assert offkey.LogMel.paper()(machine(0, samples=160_000)[None]).shape == (1, 128, 313)


def test_librosa_defaults():
    clip = machine(1, samples=66_150, sample_rate=22_050)
    by_name = librosa.power_to_db(librosa.feature.melspectrogram(y=clip.astype(np.float64)), top_db=None)
    got = offkey.LogMel.librosa()(clip[None])[0]
    assert worst_db(got, by_name) < TOLERANCE_DB
    assert worst_db(got, librosa_db(clip, sample_rate=22_050, n_fft=2048)) < TOLERANCE_DB


def test_librosa_with_arguments():
    clip = machine(2)
    arguments = {"n_fft": 512, "hop_length": 160, "n_mels": 40}
    spectrogram = librosa.feature.melspectrogram(y=clip.astype(np.float64), sr=16_000, **arguments)
    expected = librosa.power_to_db(spectrogram, top_db=None)
    assert (
        worst_db(offkey.LogMel.librosa(sample_rate=16_000, **arguments)(clip[None])[0], expected)
        < TOLERANCE_DB
    )


@pytest.mark.filterwarnings("ignore:LogMel. .* hold no frequency")
def test_torchaudio_defaults():
    assert offkey.LogMel.torchaudio().n_fft == 400
    clip = machine(3)
    expected = torchaudio_db(clip, sample_rate=16_000, n_fft=400)
    assert worst_db(offkey.LogMel.torchaudio()(clip[None])[0], expected) < TOLERANCE_DB


@pytest.mark.parametrize(("n_fft", "n_mels", "sample_rate"), [(1024, 128, 16_000), (2048, 64, 44_100)])
def test_torchaudio_of_other_lengths(n_fft, n_mels, sample_rate):
    clip = machine(3)
    logmel = offkey.LogMel.torchaudio(sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels)
    assert logmel.hop_length == n_fft // 2
    expected = torchaudio_db(clip, sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels)
    assert worst_db(logmel(clip[None])[0], expected) < TOLERANCE_DB


def test_dcase_baseline():
    clip = machine(4)
    power = 2.0
    # baseline's common.py, with the padding of the librosa that it pins (0.6): reflect.
    spectrogram = librosa.feature.melspectrogram(
        y=clip.astype(np.float64),
        sr=16_000,
        n_fft=1024,
        hop_length=512,
        n_mels=128,
        power=power,
        pad_mode="reflect",
    )
    expected = 20.0 / power * np.log10(spectrogram + sys.float_info.epsilon)
    got = offkey.LogMel.dcase_baseline()(clip[None])[0]
    assert worst_db(got, expected) < TOLERANCE_DB
    silence = offkey.LogMel.dcase_baseline()(np.zeros((1, 16_000), np.float32))
    np.testing.assert_allclose(silence, 10 * np.log10(sys.float_info.epsilon), atol=2e-5)


def test_presets_differ():
    clip = machine(5, samples=8000)[None]
    presets = [
        offkey.LogMel.paper(),
        offkey.LogMel.torchaudio(n_fft=1024),
        offkey.LogMel.dcase_baseline(),
        offkey.LogMel.librosa(sample_rate=16_000, n_fft=1024, hop_length=512),
    ]
    paper, torchaudio, dcase, librosa_ = (preset(clip) for preset in presets)
    np.testing.assert_array_equal(paper, librosa_)
    assert np.abs(paper - torchaudio).max() > 1
    assert np.abs(paper - dcase).max() > 0.1
