"""`--channel`, and what commands say of channels."""

import json

import pytest
from channel_recordings import hiss, machine, silence, write, write_many
from tiny_recipe import SPECTRAL

import offkey as package


@pytest.fixture
def data(tmp_path):
    """The machine is on the second channel."""
    return write_many(tmp_path / "d", hiss, machine)


@pytest.mark.parametrize(
    ("option", "channel", "said"),
    [
        ((), 0, "channel 0 is what is learned"),
        (("--channel", "1"), 1, "channel 1 is what is learned"),
        (("--channel", "mean"), "mean", "the mean of all channels is what is learned"),
        (("--channel", "loudest"), 1, "channel 1 is what is learned"),
        (("--channel", "near,far"), 0, "channel 0 (near) is what is learned"),
        (("--channel", "far, near"), 1, "channel 1 (near) is what is learned"),
    ],
)
def test_the_channel_is_chosen_said_and_kept(offkey, train, data, tmp_path, option, channel, said):
    trained = train(data, "--out", "d.offkey", "--false-alarm-rate", "0.01", *option)
    assert trained.code == 0
    assert f"note: 16 training recordings have 2 channels; {said} (" in trained.err
    assert ("far quieter" in trained.err) == (channel == 0)
    facts = json.loads(offkey("info", "d.offkey", "--json").out)
    assert facts["channel"] == channel
    assert facts["channels_in_training"]["roles"] == {
        "near,far": ["near", "far"],
        "far, near": ["far", "near"],
    }.get(option[-1] if option else "", [])
    faulty = write(tmp_path / "faulty.wav", hiss(99), machine(99, faulty=True))
    assert package.load("d.offkey").score(faulty).decision[0] == (channel != 0)


def test_the_option_stands_above_the_recipe(offkey, data, tmp_path):
    (tmp_path / "r.json").write_text(SPECTRAL.replace(features__channel="mean").to_json())
    assert "the mean of all channels is" in offkey("train", data, "--out", "a", "--recipe", "r.json").err
    told = offkey("train", data, "--out", "a", "--recipe", "r.json", "--channel", "far,near")
    assert "channel 1 (near) is" in told.err


@pytest.mark.parametrize("channel", ["foo", "-1", "1.5", "near", "near,near", "near,far,far", ""])
def test_channels_that_are_none(train, data, channel):
    refused = train(data, "--out", "d.offkey", f"--channel={channel}")
    assert refused.code == 2
    assert "expected the number of a channel, from 0, or mean, loudest, near,far or far,near" in " ".join(
        refused.err.replace("│", " ").split()
    )


@pytest.mark.parametrize("channel", ["2", "5000"])
def test_a_channel_that_no_recording_has(train, data, channel):
    refused = train(data, "--out", "d.offkey", "--channel", channel)
    assert refused.code == 2
    assert f"channel {channel}" in refused.err.replace(" = ", " ")


def test_a_dead_channel_is_refused_with_the_option(train, tmp_path):
    refused = train(write_many(tmp_path / "dead", silence, machine), "--out", "d.offkey")
    assert refused.code == 2
    assert "channel 0 is silent in all 16 training recordings" in refused.err
    assert "--channel" in refused.err
    assert not (tmp_path / "d.offkey").exists()


def test_info_of_a_sound_file_says_its_channels_and_their_levels(offkey, data, tmp_path):
    facts = json.loads(offkey("info", data / "000.wav", "--json").out)
    assert facts["channels"] == 2
    assert facts["channel_rms_dbfs"] == pytest.approx([-50.0, -16.7], abs=0.3)
    assert "channel_rms_dbfs: -50" in offkey("info", data / "000.wav").out
    assert "channel_rms_dbfs" not in json.loads(
        offkey("info", write(tmp_path / "m.wav", machine(0)), "--json").out
    )
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes((data / "000.wav").read_bytes()[:2000])
    facts = json.loads(offkey("info", damaged, "--json").out) if offkey("info", damaged).code == 0 else {}
    assert "channel_rms_dbfs" not in facts
    silent = json.loads(offkey("info", write(tmp_path / "s.wav", silence(), machine(0)), "--json").out)
    assert silent["channel_rms_dbfs"][0] is None
