"""Which channel is learned, and what is said of it."""

import numpy as np
import pytest
import soundfile as sf
from channel_recordings import hiss, machine, silence, write, write_many
from tiny_recipe import N_MELS, SPECTRAL, TINY

import offkey
from offkey.datasets import Clip, Clips, Dataset, LogMelArrays, folder
from offkey.datasets.channels import ChannelChoice, channel_levels, decoded_channel, levels_of
from offkey.errors import DatasetError, OffkeyWarning, ParameterError, RecipeError
from offkey.recipe import Features


def chosen(data, channel=None):
    return ChannelChoice.of(data, Features(channel=channel), max_seconds=100.0)


def test_levels_are_of_each_channel_and_of_their_mean(tmp_path):
    left, right = hiss(1, dbfs=-30), hiss(2, dbfs=-10) * 0.5
    path = write(tmp_path / "a.wav", left, right, -right, 0 * right + 0.25)
    np.testing.assert_allclose(
        channel_levels(path, offkey.audio.info(path)), [-30, -16, -16, -np.inf, -42], atol=0.1
    )


def test_of_a_long_file_the_first_minute_counts(tmp_path):
    loud, quiet = np.full(70 * 100, 0.5), np.zeros(70 * 100)
    loud[1::2] *= -1
    quiet[61 * 100 :] = loud[61 * 100 :]
    path = tmp_path / "long.wav"
    sf.write(path, np.stack([loud, quiet], axis=1), 100)
    levels = channel_levels(path, offkey.audio.info(path))
    np.testing.assert_allclose(levels, [-6.02, -np.inf, -12.04], atol=0.01)


def test_no_samples_are_silence():
    assert levels_of(np.empty((2, 0), np.float32)).tolist() == [-np.inf] * 3


def test_one_channel_needs_no_word(tmp_path):
    choice = chosen(folder(write_many(tmp_path / "d", machine)))
    assert (choice.channel, choice.counts, choice.measured) == (0, {1: 16}, 0)
    assert choice.notes == choice.warnings == ()


@pytest.mark.parametrize(
    ("channel", "learned"),
    [
        (None, "channel 0 is what is learned (10 dB below channel 1, "),
        (0, "channel 0 is what is learned (10 dB below channel 1, "),
        (1, "channel 1 is what is learned (10 dB above channel 0, "),
        ("loudest", "channel 1 is what is learned (10 dB above channel 0, "),
        ("mean", "the mean of all channels is what is learned (6 dB below channel 1, "),
    ],
)
def test_the_choice_is_said(tmp_path, channel, learned):
    data = folder(write_many(tmp_path / "d", lambda i: hiss(i, dbfs=-35), lambda i: hiss(i + 100, dbfs=-25)))
    choice = chosen(data, channel)
    (note,) = choice.notes
    assert note == (
        f"16 training recordings have 2 channels; {learned}by the median RMS level of 16 recordings); choose another "
        "with --channel (in Python features.channel of the recipe); channels count from 0"
    )
    assert choice.warnings == ()


def test_channels_alike_are_said_to_be(tmp_path):
    assert "(as loud as channel 1, " in chosen(folder(write_many(tmp_path / "d", machine, machine))).notes[0]


def test_a_far_quieter_channel_is_a_warning(tmp_path):
    data = folder(write_many(tmp_path / "d", hiss, machine))
    choice = chosen(data)
    assert choice.notes == choice.warnings
    assert "dB below channel 1" in choice.notes[0]
    assert "far quieter: is it the right microphone? Choose another with --channel" in choice.notes[0]
    with pytest.warns(OffkeyWarning, match="far quieter"):
        detector = offkey.Detector(SPECTRAL).fit(data)
    assert choice.notes[0] in detector.notes


def test_channels_that_cancel_each_other(tmp_path):
    data = folder(write_many(tmp_path / "d", machine, lambda i: -0.99 * machine(i)))
    assert "do the channels cancel each other?" in chosen(data, "mean").warnings[0]


def test_the_loudest_is_one_that_most_recordings_have(tmp_path):
    write_many(tmp_path / "d" / "two", hiss, machine, count=6)
    write_many(tmp_path / "d" / "three", hiss, machine, lambda i: 2 * machine(i), count=5)
    choice = chosen(folder(tmp_path / "d", id_from="none"), "loudest")
    assert choice.channel == 1
    assert "6 training recordings have 2, 5 have 3 channels, not recorded alike; channel 1" in choice.notes[0]
    write_many(tmp_path / "d" / "one", machine, count=12)
    assert chosen(folder(tmp_path / "d", id_from="none"), "loudest").channel == 0


def test_one_loud_recording_does_not_choose(tmp_path):
    data = folder(write_many(tmp_path / "d", hiss, lambda i: hiss(i + 100, dbfs=-40)))
    write(tmp_path / "d" / "000.wav", hiss(1, dbfs=-3), hiss(2, dbfs=-40))
    assert chosen(data, "loudest").channel == 1


def test_a_constant_channel_is_not_loud(tmp_path):
    data = folder(write_many(tmp_path / "d", lambda i: silence() + 0.9, machine))
    assert chosen(data, "loudest").channel == 1


def test_a_channel_that_is_dead_everywhere_is_refused_with_the_option(tmp_path):
    data = folder(write_many(tmp_path / "d", silence, machine))
    with pytest.raises(DatasetError, match=r"channel 0 is silent in all 16 .* channel 1 is not; .*--channel"):
        offkey.Detector(SPECTRAL).fit(data)
    detector = offkey.Detector(SPECTRAL.replace(features__channel="loudest")).fit(data)
    assert detector.describe()["channel"] == 1


def test_a_channel_that_is_dead_in_some_is_said(tmp_path):
    data = folder(write_many(tmp_path / "d", machine, machine))
    write(tmp_path / "d" / "003.wav", silence(), machine(3))
    choice = chosen(data)
    assert choice.warnings == choice.notes[1:]
    assert choice.warnings[0].startswith("channel 0 is silent in 1 of the 16 training recordings")
    assert choice.warnings[0].endswith("003.wav")
    assert chosen(data, 1).warnings == ()


def test_all_channels_dead_is_no_matter_of_channels(tmp_path):
    choice = chosen(folder(write_many(tmp_path / "d", silence, silence)))
    assert choice.warnings == ()
    assert "(as silent as channel 1, " in choice.notes[0]


def test_twenty_recordings_of_each_id_are_measured(tmp_path):
    write_many(tmp_path / "d" / "press-a", machine, machine, count=23)
    write_many(tmp_path / "d" / "press-b", machine, machine, count=4)
    choice = chosen(folder(tmp_path / "d"))
    assert (choice.measured, choice.counts) == (24, {2: 27})


def test_recordings_that_cannot_be_read_are_left_to_others(tmp_path):
    data = folder(write_many(tmp_path / "d", machine, machine, count=6))
    (tmp_path / "d" / "000.wav").write_bytes(b"RIFF")
    content = (tmp_path / "d" / "001.wav").read_bytes()
    (tmp_path / "d" / "001.wav").write_bytes(content[:2000])
    choice = chosen(data)
    assert (choice.measured, choice.channel) == (4, 0)


# ------------------------------------------------------------------------------------------------ roles


@pytest.mark.parametrize(
    ("roles", "channel", "names"),
    [
        (("near", "far"), 0, "channel 0 (near) is what is learned (10 dB above channel 1 (far), "),
        (("far", "near"), 1, "channel 1 (near) is what is learned (10 dB below channel 0 (far), "),
    ],
)
def test_the_near_channel_is_learned(tmp_path, roles, channel, names):
    data = folder(write_many(tmp_path / "d", lambda i: hiss(i, dbfs=-25), lambda i: hiss(i, dbfs=-35)))
    data = data.with_channels(*roles)
    assert {clip.channels for clip in data.clips} == {roles}
    choice = chosen(data)
    assert (choice.channel, choice.roles) == (channel, roles)
    assert names in choice.notes[0]
    assert chosen(data, 0).channel == 0  # what is asked for counts


@pytest.mark.parametrize("roles", [("near", "far"), ("far", "near")])
def test_roles_of_recordings_of_one_channel_are_refused_with_their_number(tmp_path, roles):
    root = write_many(tmp_path / "d", machine, hiss)
    for seed in (3, 5, 8):
        write(root / f"{seed:03d}.wav", machine(seed))
    data = folder(root)
    with pytest.raises(
        DatasetError, match=r"of 16 training recordings 3 have 1, the first: .*003\.wav; leave"
    ):
        chosen(data.with_channels(*roles))
    lines = [f"{seed:03d}.wav,ok,{'' if seed in (3, 5, 8) else ','.join(roles)!r}" for seed in range(16)]
    (root / "m.csv").write_text("\n".join(["file,label,channel_roles", *lines]).replace("'", '"'))
    (note,) = chosen(folder(root, manifest=root / "m.csv")).notes
    assert note.startswith("3 training recordings have 1, 13 have 2 channels, not recorded alike; channel ")


@pytest.mark.parametrize("roles", [("near",), ("near", "near"), ("left", "right"), ()])
def test_roles_are_near_and_far(tmp_path, roles):
    data = folder(write_many(tmp_path / "d", machine, machine, count=2))
    with pytest.raises(ParameterError, match="expected 'near,far' or 'far,near'"):
        data.with_channels(*roles)


def test_roles_come_from_a_manifest(tmp_path):
    root = write_many(tmp_path / "d", machine, machine, count=4)
    lines = ["file,label,channel_roles"]
    lines += [f"00{i}.wav,ok,{roles}" for i, roles in enumerate(("far near", "Far+Near", '"far,near"', ""))]
    (root / "m.csv").write_text("\n".join(lines))
    data = folder(root, manifest="m.csv")
    assert [clip.channels for clip in data.clips] == [("far", "near")] * 3 + [()]
    assert chosen(data).channel == 1
    (root / "m.csv").write_text("\n".join(lines).replace("far near", "near far"))
    with pytest.raises(DatasetError, match=r"near,far in 1, far,near in 2 .*one order"):
        chosen(folder(root, manifest="m.csv"))
    (root / "m.csv").write_text("\n".join(lines).replace("far near", "left right"))
    with pytest.raises(DatasetError, match=r"m\.csv, line 2: channels = 'left,right': expected 'near,far'"):
        folder(root, manifest="m.csv")


def test_a_column_that_counts_channels_is_another(tmp_path):
    root = write_many(tmp_path / "d", machine, machine, count=2)
    (root / "m.csv").write_text("file,label,channels\n000.wav,ok,2\n001.wav,ok,2")
    assert all(clip.channels == () for clip in folder(root, manifest="m.csv").clips)


@pytest.mark.parametrize("channels", [1, 3])
def test_roles_need_two_channels(tmp_path, channels):
    data = folder(write_many(tmp_path / "d", *[machine] * channels)).with_channels("near", "far")
    with pytest.raises(
        DatasetError, match=rf"two channels, but of 16 training recordings 16 have {channels}"
    ):
        chosen(data)


# ------------------------------------------------------------------------------------------ the detector


def test_the_loudest_is_kept_as_a_number(tmp_path):
    recipe = SPECTRAL.replace(features__channel="loudest")
    detector = offkey.Detector(recipe).fit(folder(write_many(tmp_path / "d", hiss, machine)))
    detector.save(tmp_path / "d.offkey")
    loaded = offkey.load(tmp_path / "d.offkey")
    assert loaded.describe() == detector.describe()
    assert loaded.describe()["channel"] == 1
    facts = loaded.describe()["channels_in_training"]
    assert (facts["recordings"], facts["measured"]) == ({"2": 16}, 16)
    assert facts["rms_dbfs"][0] == pytest.approx(-50, abs=0.2)
    fine = write(tmp_path / "fine.wav", hiss(50), machine(50))
    faulty = write(tmp_path / "faulty.wav", hiss(51), machine(51, faulty=True))
    assert loaded.score([fine, faulty]).decision.tolist() == [0, 1]
    in_memory = [offkey.audio.read(fine), offkey.audio.read(faulty)]
    np.testing.assert_array_equal(
        loaded.score(in_memory).anomaly_score, loaded.score([fine, faulty]).anomaly_score
    )
    assert detector.recipe == recipe  # another fit chooses anew


def test_other_machine_types_are_read_from_the_same_channel(tmp_path):
    recipe = SPECTRAL.replace(features__channel="loudest")
    with_cache = offkey.Detector(recipe).fit(
        folder(write_many(tmp_path / "d", hiss, machine)), cache=tmp_path / "cache"
    )
    without = offkey.Detector(recipe).fit(folder(tmp_path / "d"))
    path = write(tmp_path / "a.wav", hiss(50), machine(50))
    assert with_cache.score(path).anomaly_score == without.score(path).anomaly_score


def test_the_loudest_is_nothing_without_training_recordings():
    features = Features(channel="loudest")
    with pytest.raises(RecipeError, match="loudest"):
        decoded_channel(features)
    arrays = LogMelArrays(
        logmels=np.random.default_rng(0).normal(size=(8, N_MELS, 9)), machine_ids=("00",) * 8
    )
    recipe = SPECTRAL.replace(features__channel="loudest")
    with pytest.raises(RecipeError, match="training recordings tell"):
        offkey.Detector(recipe).fit(arrays)
    assert [decoded_channel(Features(channel=c)) for c in (None, 0, 3, "mean")] == [0, 0, 3, "mean"]


def test_roles_are_a_column_of_clips():
    clip = Clip(path="a.wav", machine_type="fan", machine_id="00", split="train", label=0, group="a.wav")
    data = Dataset(machine="fan", clips=Clips([clip])).with_channels("far", "near")
    assert data.train.where(channels=("far", "near")).take([0])[0].channels == ("far", "near")


@pytest.mark.parametrize("cached", [False, True])
def test_a_network_learns_the_channel_that_is_chosen(tmp_path, cached):
    data = folder(write_many(tmp_path / "d", lambda i: machine(i) / 2, lambda i: machine(i + 100), count=8))
    path = write(tmp_path / "a.wav", machine(50) / 2, machine(51))
    cache = tmp_path / "cache" if cached else None
    scores = [
        offkey.Detector(TINY.replace(features__channel=channel))
        .fit(data, cache=cache)
        .score(path)
        .anomaly_score[0]
        for channel in (0, 1, "loudest")
    ]
    assert scores[0] != scores[1] == scores[2]
