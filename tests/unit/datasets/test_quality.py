"""Broken training clips are left out and odd ones named; copies are held out together; what later ones differ in."""

import shutil
import warnings

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording
from tiny_recipe import SPECTRAL

from offkey import Detector
from offkey.datasets import folder
from offkey.datasets.quality import Conditions
from offkey.datasets.training import read_training_clips
from offkey.errors import DatasetError, DetectorFileError, OffkeyWarning
from offkey.recipe import Features

COUNT = 24


@pytest.fixture
def healthy(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "press" / "normal"
    root.mkdir(parents=True)
    for i in range(COUNT):
        sf.write(root / f"r{i:02d}.wav", recording(rng, hum_hz=90, seconds=0.5), RATE, "PCM_16")
    return root


def read(root, **options):
    return read_training_clips(folder(root.parent), features=Features(), **options)


def put(root, name, samples, **options):
    sf.write(root / name, samples, options.pop("rate", RATE), **options)


BROKEN = {
    "silent": np.zeros(8000),
    "constant": np.full(8000, 0.3),
    "clipped throughout": np.sign(np.sin(np.arange(8000) / 20)),
}


def test_nothing_is_said_of_healthy_clips(healthy):
    clips = read(healthy)
    assert (clips.broken, clips.odd, len(clips.clips)) == ((), (), COUNT)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("cached", [False, True])
def test_broken_clips_are_left_out_and_named(healthy, tmp_path, kind, cached):
    put(healthy, "r05x.wav", BROKEN[kind])
    cache = tmp_path / "cache" if cached else None
    clips = read(healthy, cache=cache)
    assert len(clips.clips) == len(clips.groups) == len(clips.statistics().mean) == COUNT
    assert not any("r05x" in path for path in clips.paths)
    (note,) = clips.broken
    assert note.startswith(f"left out of training, {kind}: 1 training clip (r05x.wav)")
    assert note in clips.notes
    assert note in clips.left_out
    kept = read(healthy, cache=cache, keep_broken=True)
    assert len(kept.clips) == COUNT + 1
    assert kept.broken == ()
    assert any(note.startswith(f"{kind}, kept as asked: 1 training clip (r05x.wav)") for note in kept.odd)


def test_a_cache_keeps_codings(healthy, tmp_path):
    put(healthy, "coded.ogg", recording(np.random.default_rng(7), hum_hz=90, seconds=0.5), format="OGG")
    plain = read(healthy)
    assert plain.conditions.lossy == (False, True)
    for _ in range(2):  # as it is made, and as it is read
        cached = read(healthy, cache=tmp_path / "cache")
        assert cached.odd == plain.odd
        assert any("(coded.ogg) lossily coded" in note for note in cached.odd)
        assert cached.conditions.state() == plain.conditions.state()


def test_a_broken_part_of_a_long_recording_is_left_out_alone(healthy):
    rng = np.random.default_rng(1)
    long = recording(rng, hum_hz=90, seconds=2.5)
    long[8000:16_000] = 0
    put(healthy, "long.wav", long)
    clips = read(healthy, clip_seconds=0.5, statistics=False, moments=True)
    assert len(clips.clips) == COUNT + 4
    assert len(clips.statistics().mean) == len(clips.moments.frames) == COUNT + 4
    np.testing.assert_allclose(clips.clips[1], long[16_000:24_000], atol=1e-4)
    assert clips.broken[0].startswith("left out of training, silent: 1 training clip (long.wav)")


def test_a_set_that_is_mostly_broken_is_refused(healthy):
    for i in range(COUNT + 1):
        put(healthy, f"dead{i}.wav", np.zeros(8000))
    with pytest.raises(DatasetError, match=r"25 of its 49 normal training clips are broken: .*silent"):
        read(healthy)


def test_odd_clips_stay_and_are_named(healthy):
    rng = np.random.default_rng(2)
    put(healthy, "loud.wav", recording(rng, hum_hz=90, seconds=0.5) * 5)
    gaps = recording(rng, hum_hz=90, seconds=0.5)
    gaps[4000:] = 0
    put(healthy, "gaps.wav", gaps)
    clipped = recording(rng, hum_hz=90, seconds=0.5)
    put(healthy, "clipped.wav", np.clip(clipped, -0.09, 0.09))
    put(healthy, "coded.ogg", recording(rng, hum_hz=90, seconds=0.5), format="OGG", subtype="VORBIS")
    clips = read(healthy)
    assert len(clips.clips) == COUNT + 4
    texts = {note.partition(":")[0]: note for note in clips.odd}
    assert set(texts) == {"level unlike the rest", "gaps", "clipped", "coding unlike the rest"}
    assert "(loud.wav), up to 1" in texts["level unlike the rest"]
    assert "(gaps.wav), up to 4" in texts["gaps"]
    assert "(clipped.wav)" in texts["clipped"]
    assert "(coded.ogg) lossily coded" in texts["coding unlike the rest"]


def test_copies_are_held_out_together(healthy):
    shutil.copy(healthy / "r03.wav", healthy / "r03 (1).wav")
    samples, _ = sf.read(healthy / "r07.wav", dtype="int16")
    put(healthy, "other.flac", samples)
    clips = read(healthy)
    groups = dict(zip(clips.paths, clips.groups, strict=True))
    assert groups["r03 (1).wav"] == groups["r03.wav"]
    assert groups["other.flac"] == groups["r07.wav"]
    assert len(set(clips.groups)) == COUNT
    (note,) = clips.odd
    assert note.startswith("identical: 2 training clips (")


def test_each_kind_is_warned_of_once(healthy):
    put(healthy, "dead.wav", np.zeros(8000))
    put(healthy, "gone.wav", np.zeros(8000))
    shutil.copy(healthy / "r03.wav", healthy / "r03 (1).wav")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector = Detector(SPECTRAL).fit(folder(healthy.parent))
    texts = [str(warning.message) for warning in caught if warning.category is OffkeyWarning]
    assert sum("silent" in text for text in texts) == 1
    assert sum("identical" in text for text in texts) == 1
    assert len(detector.unread) == 1
    assert "silent" in detector.unread[0]


def test_conditions_say_what_later_recordings_differ_in():
    conditions = Conditions(levels_dbfs={"00": (-30.0, 10.0)}, rates_hz=(16_000, 48_000), lossy=(False,))
    as_before = {"level_dbfs": -38.0, "machine_id": "00", "rate_hz": 48_000, "lossy": False}
    assert conditions.unlike(**as_before) == []
    assert conditions.unlike(**as_before | {"level_dbfs": -45.0}) == ["15 dB quieter than in training"]
    assert conditions.unlike(**as_before | {"rate_hz": 8000}) == ["8000 Hz, in training 16000, 48000 Hz"]
    assert conditions.unlike(**as_before | {"lossy": True}) == ["lossy coding, in training lossless"]
    unknown = {"level_dbfs": -np.inf, "machine_id": None, "rate_hz": 0, "lossy": None}
    assert conditions.unlike(**unknown) == []
    assert Conditions.from_state(conditions.state()) == conditions


@pytest.mark.parametrize(
    "change",
    [
        {"levels_dbfs": {"00": [1.0]}},
        {"levels_dbfs": {"00": [1.0, float("nan")]}},
        {"levels_dbfs": []},
        {"rates_hz": ["16000"]},
        {"lossy": [1]},
        {"lossy": None},
    ],
)
def test_conditions_that_are_none_are_refused(change):
    state = {"levels_dbfs": {"00": [-30.0, 10.0]}, "rates_hz": [16_000], "lossy": [False]}
    with pytest.raises(DetectorFileError, match="training: conditions"):
        Conditions.from_state(state | change)
