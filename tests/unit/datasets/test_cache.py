import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from machines import write_tree

import offkey
from offkey.datasets import cache, dcase2020
from offkey.datasets import source as source_module
from offkey.datasets.training import read_training_clips
from offkey.recipe import Features, Recipe

RATE = 16_000


def write(path, *, subtype="PCM_16", rate=RATE, channels=1, seconds=0.3, seed=0):
    samples = 0.3 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))
    sf.write(path, samples.clip(-1, 1), rate, subtype)
    return path


@pytest.fixture
def recordings(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    paths = [
        write(root / "a.wav"),
        write(root / "b.flac", seconds=0.7, seed=1),
        write(root / "deep.wav", subtype="PCM_24", seed=2),
        write(root / "float.wav", subtype="FLOAT", seed=3),
        write(root / "other_rate.wav", rate=44_100, seed=4),
        write(root / "eight.wav", channels=8, seed=5),
        root / "missing.wav",
        root / "broken.wav",
    ]
    (root / "broken.wav").write_bytes(b"RIFF")
    return paths


def made(paths, folder, **options):
    return cache.decoded(paths, folder=folder, features=Features(), **options)


def caches(folder):
    return [path.name for path in folder.iterdir() if path.name != ".lock"]


def test_what_is_read_is_what_decoding_gives_bit_for_bit(recordings, tmp_path):
    wanted = offkey.read_batch(recordings, sample_rate=RATE, on_error="collect")
    first = made(recordings, tmp_path / "cache")
    for clips in (first, made(recordings, tmp_path / "cache")):
        assert len(clips) == len(recordings)
        assert clips.errors == {i: str(error) for i, error in wanted.errors.items()}
        assert set(clips.errors) == {6, 7}
        for i in range(6):
            np.testing.assert_array_equal(clips[i], wanted[i])
            assert clips[i].dtype == np.float32
    kinds = [stored.dtype for stored in first._stored[:6]]
    assert kinds == [np.int16, np.int16, np.float32, np.float32, np.float32, np.int16]


def test_floats_beyond_full_scale_are_kept(tmp_path):
    loud = np.array([-1.5, 0.25, -1.0, 1.0], np.float32)
    sf.write(tmp_path / "loud.wav", loud, RATE, "FLOAT")
    sf.write(tmp_path / "full.wav", loud.clip(-1, 0.5), RATE, "FLOAT")
    clips = made([tmp_path / "loud.wav", tmp_path / "full.wav"], tmp_path / "cache")
    np.testing.assert_array_equal(clips[0], loud)
    np.testing.assert_array_equal(clips[1], loud.clip(-1, 0.5))
    assert clips._stored[1].dtype == np.int16


def test_an_error_that_may_pass_is_raised_and_not_remembered(recordings, tmp_path, monkeypatch):
    read = source_module.read_batch

    def refused(paths, **options):
        batch = read(paths, **options)
        batch.errors[2] = PermissionError(13, "Permission denied", str(paths[2]))
        return batch

    monkeypatch.setattr(source_module, "read_batch", refused)
    with pytest.raises(PermissionError):
        made(recordings, tmp_path / "cache")
    assert caches(tmp_path / "cache") == []
    monkeypatch.setattr(source_module, "read_batch", read)
    assert 2 not in made(recordings, tmp_path / "cache").errors


MAKES_ONE = """
import json, sys
from pathlib import Path
from offkey.datasets.cache import decoded
from offkey.recipe import Features
*paths, folder = map(Path, sys.argv[1:])
seen = []
decoded(paths, folder=folder, features=Features(), on_progress=lambda done, total: seen.append(done))
print(len(seen))
"""


def test_processes_that_need_one_cache_at_once_make_it_once(recordings, tmp_path):
    command = [sys.executable, "-c", MAKES_ONE, *map(str, recordings), str(tmp_path / "cache")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(process.communicate(timeout=60)[0].strip() for process in started) == ["0", "0", "1"]
    assert len(caches(tmp_path / "cache")) == 1


def test_is_decoded_once(recordings, tmp_path, monkeypatch):
    seen = []
    made(recordings, tmp_path / "cache", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 8)]
    monkeypatch.setattr(source_module, "read_batch", lambda *_, **__: pytest.fail("decoded again"))
    made(recordings, tmp_path / "cache", on_progress=lambda done, total: pytest.fail("decoded again"))


@pytest.mark.parametrize("change", ["content", "rate", "channel", "order"])
def test_anything_else_has_a_cache_of_its_own(recordings, tmp_path, change):
    folder = tmp_path / "cache"
    made(recordings, folder)
    options, paths = {"sample_rate": RATE}, recordings
    if change == "content":
        write(paths[0], seconds=0.4)
    elif change == "rate":
        options["sample_rate"] = 8_000
    elif change == "channel":
        options["channel"] = "mean"
    else:
        paths = paths[::-1]
    clips = cache.decoded(paths, folder=folder, features=Features(**options))
    assert len(caches(folder)) == 2
    wanted = offkey.read_batch(paths[:1] if change != "order" else paths[-1:], **options)
    np.testing.assert_array_equal(clips[0 if change != "order" else 7], wanted[0])


@pytest.mark.parametrize(
    "damage", ["cut", "no index", "nonsense", "no text", "lying", "negative", "fewer clips"]
)
def test_a_damaged_cache_is_made_again(recordings, tmp_path, damage):
    folder = tmp_path / "cache"
    wanted = made(recordings, folder)[0]
    (one,) = (folder / name for name in caches(folder))
    samples, index = one / "samples.bin", one / "index.json"
    text = index.read_text()
    if damage == "cut":
        os.truncate(samples, samples.stat().st_size - 1)
    elif damage == "no index":
        index.unlink()
    elif damage == "nonsense":
        index.write_text("{")
    elif damage == "no text":
        index.write_bytes(b'{"format": "\xff"}')
    elif damage == "fewer clips":
        index.write_text(text.replace('[0,4800,"<i2",16000,false],', ""))
    elif damage == "lying":
        index.write_text(text.replace("[0,4800,", "[0,480000000,"))
    else:
        index.write_text(text.replace("[0,4800,", "[-64,4800,"))
    assert damage not in ("lying", "negative", "fewer clips") or index.read_text() != text
    np.testing.assert_array_equal(made(recordings, folder)[0], wanted)
    assert caches(folder) == [one.name]
    np.testing.assert_array_equal(made(recordings, folder)[0], wanted)


def test_a_failed_write_leaves_nothing(recordings, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/cache/[0-9a-f]{16}'"):
        made(recordings, tmp_path / "cache")
    assert caches(tmp_path / "cache") == []


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of file sizes")
def test_a_full_disk_names_the_cache_and_leaves_the_others(recordings, tmp_path):
    made(recordings[:1], tmp_path / "cache")
    before = caches(tmp_path / "cache")
    code = f"""
import resource
from pathlib import Path
from offkey.datasets import cache
from offkey.recipe import Features
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
paths = [Path(text) for text in {list(map(str, recordings))!r}]
cache.decoded(paths, folder=Path({str(tmp_path / "cache")!r}), features=Features())
"""
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert re.search(rf"File too large: '{tmp_path}/cache/[0-9a-f]{{16}}'", run.stderr), run.stderr
    assert caches(tmp_path / "cache") == before


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_read(tmp_path, monkeypatch):
    root = write_tree(tmp_path / "data", train=3, test=1)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(source_module, "read_batch", None)
    data = dcase2020(root, machine="fan")
    for folder in (tmp_path / "file", tmp_path / "file" / "cache"):
        with pytest.raises(NotADirectoryError, match="file: is no folder"):
            read_training_clips(data, features=Features(), cache=folder)


def test_an_empty_list(tmp_path):
    assert len(made([], tmp_path / "cache")) == 0
    assert len(made([], tmp_path / "cache")) == 0


def test_training_from_a_cache_is_training_from_the_files(tmp_path):
    tree = write_tree(tmp_path / "data", machines=("fan", "pump", "valve"), train=5, test=1)
    broken = tree / "pump" / "train" / "normal_id_00_00000003.wav"
    broken.write_bytes(b"RIFF")
    folder = tmp_path / "cache"
    for machine in ("fan", "pump"):
        data = dcase2020(tree, machine=machine)
        options = {"features": Features(), "moments": True}
        plain, cached = (
            read_training_clips(data, **options),
            read_training_clips(data, cache=folder, **options),
        )
        if machine == "fan":  # without a cache, a clip of another type is read when it is drawn
            at = len(plain.clips) + 3
            np.testing.assert_array_equal(plain.gather(np.array([at]))[0], plain.others[4])
            assert plain.other_types[3] == plain.other_types[4] == "pump"
        assert cached.unread == plain.unread
        assert len(plain.unread) == 1
        assert cached.machine_ids == plain.machine_ids
        for first, second in zip(plain.statistics()[:4], cached.statistics()[:4], strict=True):
            np.testing.assert_allclose(first, second, atol=1e-5)
        readable = [i for i, kind in enumerate(plain.other_types) if (machine, i) != ("fan", 3)]
        assert tuple(plain.other_types[i] for i in readable) == cached.other_types
        for first, second in (
            (plain.clips, cached.clips),
            ([plain.others[i] for i in readable], cached.others),
            (plain.moments, cached.moments),
        ):
            for array, other in zip(first, second, strict=True):
                np.testing.assert_array_equal(array, other)
        assert plain.paths == cached.paths
    # One for each type, shared by the detectors of all types.
    assert len(caches(folder)) == 3


def test_a_clip_without_statistics_is_left_out_by_name_with_a_cache_too(tmp_path):
    tree = write_tree(tmp_path / "data", machines=("fan",), train=5, test=1)
    short = tree / "fan" / "train" / "normal_id_00_00000002.wav"
    sf.write(short, np.full(300, 0.1), RATE, "PCM_16")
    recipe = Recipe.named("spectral").replace(features__pad_mode="reflect")
    data = dcase2020(tree, machine="fan")
    for options in ({}, {"cache": tmp_path / "cache"}):
        found = read_training_clips(data, features=recipe.features, **options)
        assert len(found.unread) == 1
        assert short.name in found.unread[0]
        assert len(found.machine_ids) == 9


def test_a_broken_recording_whose_name_is_no_utf8_is_cached_too(tmp_path):
    names = [b"L\xfcfter.wav", b"broken \xfc.wav"]
    paths = [tmp_path / os.fsdecode(name) for name in names]
    write(tmp_path / "a.wav").rename(paths[0])
    paths[1].write_bytes(b"no sound")
    for _ in range(2):
        clips = made(paths, tmp_path / "cache")
        assert list(clips.errors) == [1]
