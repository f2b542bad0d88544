"""Channels that are none, in recipes, in detector files and in recordings."""

import copy

import numpy as np
import pytest
import soundfile as sf
from channel_recordings import RATE, hiss, machine, write, write_many
from tiny_recipe import SPECTRAL

import offkey
from offkey import detector_file
from offkey.datasets import folder
from offkey.datasets.channels import ChannelChoice
from offkey.errors import DatasetError, DetectorFileError, OffkeyWarning, RecipeError

CHOICE = ChannelChoice(
    channel=1, counts={1: 3, 2: 16}, roles=("far", "near"), levels_dbfs=(-np.inf, -20.0, -26.0), measured=16
)


@pytest.mark.parametrize("channel", [-1, 1.5, "first", "0", "near", [], {}])
def test_channels_of_recipes(channel):
    with pytest.raises(RecipeError, match="channel"):
        SPECTRAL.replace(features__channel=channel)


def test_a_choice_comes_back():
    assert ChannelChoice.from_state(CHOICE.state()) == CHOICE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("channel", value) for value in (-1, 1.5, None, "loudest", "", [], 2**70)),
        *(
            ("counts", value)
            for value in (None, 3, [3], [[0, 1]], [[2, 0]], [[2, -1]], [["x", 1]], [[None, 1]])
        ),
        *(("roles", value) for value in (["near"], ["near", "near"], [1, 2], 7, "near,far")),
        *(
            ("levels_dbfs", value)
            for value in (None, [1.0], [1.0, 2.0], ["x"] * 3, [np.nan] * 3, [np.inf] * 3, [[]])
        ),
        *(("measured", value) for value in (None, "x", [])),
        *(("silent", value) for value in (None, 3)),
    ],
)
def test_choices_of_damaged_files(key, value):
    state = copy.deepcopy(CHOICE.state())
    state[key] = value
    with pytest.raises(DetectorFileError, match="channels: "):
        ChannelChoice.from_state(state)
    del state[key]
    with pytest.raises(DetectorFileError, match="channels: "):
        ChannelChoice.from_state(state)


@pytest.mark.parametrize("state", ["", "x", 0, 3, True, [], [1], {}])
def test_a_detector_file_whose_channels_are_something_else(tmp_path, state):
    path = tmp_path / "d.offkey"
    offkey.Detector(SPECTRAL).fit(folder(write_many(tmp_path / "d", machine, machine))).save(path)
    arrays, metadata = detector_file.read(path)
    assert offkey.load(path).describe()["channel"] == 0
    detector_file.write(path, arrays, metadata | {"channels": state})
    with pytest.raises(DetectorFileError, match=r"d\.offkey: channels: "):
        offkey.load(path)


def test_a_few_recordings_that_lack_the_channel_are_left_out_by_name(tmp_path):
    write_many(tmp_path / "d", hiss, machine)
    write(tmp_path / "d" / "mono.wav", machine(99))
    with pytest.warns(
        OffkeyWarning, match=r"1 recording that cannot be read .*mono\.wav: channel 1 was asked for"
    ):
        detector = offkey.Detector(SPECTRAL.replace(features__channel="loudest")).fit(folder(tmp_path / "d"))
    assert len(detector.unread) == 1
    assert any(
        note.startswith(
            "1 training recording has 1, 16 have 2 channels, not recorded alike; channel 1 is what is learned ("
        )
        for note in detector.notes
    )


def test_many_that_lack_it_are_refused(tmp_path):
    write_many(tmp_path / "d", machine)
    write(tmp_path / "d" / "stereo.wav", hiss(1), machine(99))
    with pytest.raises(
        DatasetError, match=r"only 1 of its 17 .* channel 1 was asked for, but the file has 1 channel"
    ):
        offkey.Detector(SPECTRAL.replace(features__channel=1)).fit(folder(tmp_path / "d"))


def test_many_channels(tmp_path):
    path = tmp_path / "d" / "0.wav"
    path.parent.mkdir()
    for i in range(8):
        samples = 1e-3 * np.random.default_rng(i).standard_normal((2000, 256))
        samples[:, 200] *= 100
        sf.write(path.with_name(f"{i}.wav"), samples, RATE, "PCM_16")
    detector = offkey.Detector(SPECTRAL.replace(features__channel="loudest")).fit(folder(path.parent))
    assert detector.describe()["channel"] == 200
