"""What is odd, to be heard alone."""

import dataclasses

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree

import offkey
from offkey import datasets
from offkey.explain import Band, Stretch, healthy_file, odd_part, write_sounds

RECIPE = offkey.Recipe.named("spectral").replace(spectral__check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(
        tmp_path_factory.mktemp("listen") / "dev_data", machines=("fan",), ids=("00",), train=12, test=1
    )


@pytest.fixture(scope="module")
def explanation(tree):
    detector = offkey.Detector(RECIPE).fit(datasets.dcase2020(tree, machine="fan"))
    return detector.explain(tree / "fan" / "test" / "anomaly_id_00_00000000.wav")


def with_bands(explanation, *bands):
    return dataclasses.replace(
        explanation,
        bands=tuple(
            Band(
                low_hz=low,
                high_hz=high,
                share=0.5,
                stretches=(Stretch(start_s=start, end_s=end, share=0.5),),
            )
            for low, high, start, end in bands
        ),
    )


def test_all_bands_at_all_times_are_the_recording(explanation):
    everything = with_bands(explanation, (0.0, RATE / 2, 0.0, 1.0))
    np.testing.assert_allclose(odd_part(everything), explanation.samples, atol=1e-6)


def test_no_band_is_silence(explanation):
    assert not odd_part(with_bands(explanation)).any()


@pytest.mark.parametrize("start_s", [None, 30.0])
def test_only_the_band_and_its_time_stay(explanation, start_s):
    time = np.arange(RATE) / RATE
    tones = {hz: 0.1 * np.sin(2 * np.pi * hz * time) for hz in (1000.0, 4000.0)}
    offset = start_s or 0.0
    both = dataclasses.replace(
        with_bands(explanation, (3800.0, 4200.0, offset + 0.5, offset + 1.0)),
        samples=sum(tones.values()).astype(np.float32),
        start_s=start_s,
    )
    odd = odd_part(both)
    late = slice(int(0.6 * RATE), int(0.9 * RATE))
    np.testing.assert_allclose(odd[late], tones[4000.0][late], atol=1e-3)
    assert np.abs(odd[: int(0.4 * RATE)]).max() < 1e-4


def test_the_fault_of_a_recording_stays(explanation):
    """The fault is a tone at 843 Hz: it is louder against the rest than in the recording."""
    odd = odd_part(explanation)
    power = {name: np.abs(np.fft.rfft(x)) ** 2 for name, x in (("all", explanation.samples), ("odd", odd))}
    near = slice(835, 852)
    assert power["odd"][near].sum() / power["odd"].sum() > 3 * power["all"][near].sum() / power["all"].sum()


def test_files_are_written_and_the_healthy_recording_is_found(explanation, tree, tmp_path):
    nearest = explanation.nearest[0].path
    for folder in (tree / "fan" / "train", tree.parent):
        assert healthy_file(explanation, folder) == tree / "fan" / "train" / nearest
    assert healthy_file(explanation, tmp_path) is None
    healthy = healthy_file(explanation, tree)
    files = write_sounds(explanation, tmp_path / "new", name="a", healthy=healthy)
    assert [path.name for path in files] == ["a.wav", "a-odd.wav", "a-healthy.wav"]
    assert all(sf.info(path).samplerate == RATE for path in files)
    np.testing.assert_allclose(sf.read(files[0])[0], explanation.samples, atol=2**-15)
    np.testing.assert_array_equal(sf.read(files[2])[0], sf.read(healthy)[0])
    assert len(write_sounds(explanation, tmp_path / "new", name="b")) == 2


@pytest.mark.parametrize("taken", ["a.wav", "a-odd.wav", "a-healthy.wav"])
def test_no_file_is_written_over(explanation, tmp_path, taken):
    (tmp_path / taken).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=taken):
        write_sounds(explanation, tmp_path, name="a")
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_bytes() == b"mine"


def test_a_short_recording_can_be_heard(explanation):
    few = dataclasses.replace(
        explanation, samples=recording(np.random.default_rng(0), hum_hz=90, seconds=0.01)
    )
    assert len(odd_part(few)) == len(few.samples)
