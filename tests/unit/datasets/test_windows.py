"""Long recordings are cut into clips: the same ones in memory, from blocks, in training, and from a cache."""

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording

import offkey
from offkey.datasets import Clip, Clips, Dataset, LogMelArrays
from offkey.datasets.source import Source
from offkey.datasets.training import read_training_clips
from offkey.datasets.windows import WHOLE, cut, cut_blocks, starts
from offkey.errors import AudioError, DatasetError
from offkey.recipe import Features

FEATURES = Features()
CLIP_S = 0.5
WINDOW = RATE // 2


def write(path, seconds, *, seed=0, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, recording(np.random.default_rng(seed), hum_hz=90, seconds=seconds), rate, "PCM_16")
    return path


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    return path


def dataset(paths, others=()):
    clips = [
        Clip(path=path, machine_type=kind, machine_id="00", split="train", label=0, group=str(path))
        for kind, files in (("fan", paths), ("pump", others))
        for path in files
    ]
    return Dataset(machine="fan", clips=Clips(clips))


@pytest.fixture
def paths(tmp_path):
    return [
        write(tmp_path / "short.wav", 0.4),
        write(tmp_path / "long.wav", 2.3, seed=1),
        write(tmp_path / "twice.wav", 1.0, seed=2),
        write(tmp_path / "four_s.flac", 2.0, seed=3, rate=8000),
    ]


@pytest.fixture
def one_by_one(monkeypatch):
    """No recording fits in memory: those that are cut come in chunks of two windows."""
    monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 2 * 4 * WINDOW)


def test_up_to_twice_the_length_a_recording_stays_whole():
    assert starts(1, 10) == starts(19, 10) == starts(20, 10) == [WHOLE]
    assert starts(21, 10) == [0, 10, 11]
    assert starts(30, 10) == [0, 10, 20]


@pytest.mark.parametrize("samples", [0, 1, 9, 10, 19, 20, 21, 29, 30, 31, 57])
def test_windows_hold_every_sample_and_are_the_same_from_blocks(samples):
    clip = np.arange(samples, dtype=np.float32)
    windows = cut(clip, 10)
    assert set(np.concatenate([window for _, window in windows]).tolist()) == set(clip.tolist())
    if samples > 20:
        assert {len(window) for _, window in windows} == {10}
    blocks = [clip[start : start + 10] for start in range(0, samples, 10)]
    streamed = list(cut_blocks(blocks, 10))
    assert [start for start, _ in streamed] == [start for start, _ in windows]
    for (_, window), (_, expected) in zip(streamed, windows, strict=True):
        np.testing.assert_array_equal(window, expected)


def clips_of(recordings, **options):
    chunks = list(Source.of(recordings, features=FEATURES, clip_seconds=CLIP_S, **options).chunks())
    return chunks, [
        (position, start, clip)
        for chunk in chunks
        for position, start, clip in zip(
            chunk.positions.tolist(), chunk.starts.tolist(), chunk.samples, strict=True
        )
    ]


def test_a_source_gives_the_same_windows_where_a_recording_does_not_fit_in_memory(paths, monkeypatch):
    _, at_once = clips_of(paths)
    assert [(position, start) for position, start, _ in at_once] == [
        (0, WHOLE),
        *((1, start) for start in (0, 8000, 16000, 24000, 28800)),
        (2, WHOLE),
        *((3, start) for start in range(0, 64_000, 8000)),
    ]
    monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 2 * 4 * WINDOW)
    for recordings in (paths, [path.read_bytes() for path in paths]):
        chunks, streamed = clips_of(recordings)
        assert max(len(chunk) for chunk in chunks) == 2
        assert [chunk.first for chunk in chunks if not chunk.continues] == [0, 1, 2, 3]
        for (position, start, clip), expected in zip(streamed, at_once, strict=True):
            assert (position, start) == expected[:2]
            np.testing.assert_array_equal(clip, expected[2])


def test_progress_counts_recordings_while_one_is_read_in_parts(paths, one_by_one):
    seen = []
    source_of_paths = Source.of(paths, features=FEATURES, clip_seconds=CLIP_S)
    for _ in source_of_paths.chunks(on_progress=lambda *numbers: seen.append(numbers)):
        pass
    assert seen[-1] == (4, 4)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 4


@pytest.mark.parametrize("in_parts", [False, True])
def test_what_cannot_be_read_to_its_end_is_an_error_once(paths, in_parts, monkeypatch):
    if in_parts:
        monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 2 * 4 * WINDOW)
    truncated(paths[3])
    chunks, _ = clips_of(paths)
    errors = [error for chunk in chunks for error in chunk.errors.items()]
    assert [position for position, _ in errors] == [3]
    assert isinstance(errors[0][1], AudioError)
    assert "four_s.flac" in str(errors[0][1])


def test_a_recording_longer_than_max_seconds_is_refused_in_parts_too(paths, one_by_one):
    chunks, clips = clips_of(paths, max_seconds=2.1)
    errors = [str(error) for chunk in chunks for error in chunk.errors.values()]
    assert len(errors) == 2
    assert "long.wav: longer than 2.1 s" in errors[0]
    assert {position for position, _, _ in clips} == {0, 2}


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("in_parts", [False, True])
def test_training_takes_windows_as_clips_of_one_group(paths, tmp_path, cached, in_parts, monkeypatch):
    if in_parts:
        monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 2 * 4 * WINDOW)
    _, expected = clips_of(paths)
    clips = read_training_clips(
        dataset(paths),
        features=FEATURES,
        clip_seconds=CLIP_S,
        moments=True,
        cache=tmp_path / "cache" if cached else None,
    )
    assert len(clips.clips) == len(expected) == 15
    assert list(clips.groups) == ["short.wav", *["long.wav"] * 5, "twice.wav", *["four_s.flac"] * 8]
    assert list(clips.paths) == list(clips.groups)
    for i, (_, _, samples) in enumerate(expected):
        np.testing.assert_array_equal(clips.clips[i], samples)
    backwards = clips.gather(np.arange(15)[::-1])
    for samples, (_, _, wanted) in zip(backwards[::-1], expected, strict=True):
        np.testing.assert_array_equal(samples, wanted)
    assert clips.statistics().mean.shape == (15, FEATURES.n_mels)
    assert clips.moments.frames.shape == (15,)
    (note,) = [note for note in clips.notes if "cut into" in note]
    assert note.startswith("2 recordings longer than 1 s cut into 13 clips of 0.5 s")


@pytest.mark.parametrize("cached", [False, True])
def test_a_recording_that_breaks_off_leaves_nothing_behind(paths, tmp_path, cached, one_by_one):
    truncated(paths[1])
    clips = read_training_clips(
        dataset(paths), features=FEATURES, clip_seconds=CLIP_S, cache=tmp_path / "cache" if cached else None
    )
    assert set(clips.groups) == {"short.wav", "twice.wav", "four_s.flac"}
    assert len(clips.clips) == len(clips.statistics().mean) == 10
    (text,) = clips.unread
    assert "long.wav" in text


@pytest.mark.parametrize("cached", [False, True])
def test_more_than_half_of_the_recordings_must_be_readable_however_many_clips_they_give(tmp_path, cached):
    paths = [write(tmp_path / f"{n}.wav", 6.0, seed=n) for n in range(3)]
    for path in paths[1:]:
        truncated(path)
    with pytest.raises(DatasetError, match="only 1 of its 3 normal training clips can be read"):
        read_training_clips(
            dataset(paths),
            features=FEATURES,
            clip_seconds=CLIP_S,
            cache=tmp_path / "cache" if cached else None,
        )


@pytest.mark.parametrize("cached", [False, True])
def test_long_recordings_of_other_types_are_cut_by_their_headers(paths, tmp_path, cached):
    broken = truncated(write(tmp_path / "broken.wav", 3.0))
    clips = read_training_clips(
        dataset(paths[:1], [paths[1], broken, paths[2]]),
        features=FEATURES,
        clip_seconds=CLIP_S,
        cache=tmp_path / "cache" if cached else None,
    )
    if cached:
        assert len(clips.others) == 6
    drawn = clips.gather(1 + np.arange(5))
    for samples, (_, wanted) in zip(drawn, cut(offkey.read_batch([paths[1]])[0], WINDOW), strict=True):
        np.testing.assert_array_equal(samples, wanted)
    stand_ins = clips.gather(1 + np.arange(len(clips.others)))
    assert len(stand_ins) == len(clips.others)
    assert len(clips.unread) == 1  # of a recording that cannot be read, not of each of its windows


def test_the_cache_of_another_length_is_another(paths, tmp_path):
    for clip_seconds, count in ((0.5, 15), (0.7, 12), (None, 4), (0.5, 15)):
        clips = read_training_clips(
            dataset(paths), features=FEATURES, clip_seconds=clip_seconds, cache=tmp_path / "cache"
        )
        assert len(clips.clips) == count
    assert len([path for path in (tmp_path / "cache").iterdir() if path.name != ".lock"]) == 3


def test_log_mels_stay_whole():
    rng = np.random.default_rng(0)
    data = LogMelArrays(logmels=rng.normal(size=(2, 128, 400)).astype(np.float32), machine_ids=("a", "a"))
    (chunk,) = Source.of(data, features=FEATURES, clip_seconds=CLIP_S).chunks()
    assert chunk.starts.tolist() == [WHOLE, WHOLE]
