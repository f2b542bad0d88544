"""A source whose samples nobody needs measures files where they are read; the outcome is the same to the bit."""

import io
import itertools

import numpy as np
import pytest
import soundfile as sf

from offkey.datasets.recordings import Samples
from offkey.datasets.source import Source
from offkey.datasets.statistics_plan import Measures, StatisticsPlan
from offkey.errors import AudioError
from offkey.recipe import Features

RATE = 16_000
FEATURES = Features()
PLAN = StatisticsPlan(rhythm=True)
CLIP_SECONDS = 1.0


def noise(seed, *, seconds=1.5, rate=RATE, channels=1):
    generator = np.random.default_rng(seed)
    return 0.1 * generator.standard_normal((round(seconds * rate), channels))


def write(path, seed, *, rate=RATE, subtype="PCM_16", **options):
    sf.write(path, noise(seed, rate=rate, **options), rate, subtype)
    return path


@pytest.fixture
def recordings(tmp_path):
    """Files of which some are long, bad, short, resampled or of several channels, and what is no file."""
    (tmp_path / "bad.wav").write_bytes(b"no sound at all")
    cut_off = write(tmp_path / "cut_off.wav", 9).read_bytes()[:-1000]
    (tmp_path / "cut_off.wav").write_bytes(cut_off)
    content = io.BytesIO()
    sf.write(content, noise(11), RATE, format="WAV")
    return [
        write(tmp_path / "id_00_a.wav", 1),
        write(tmp_path / "id_02_b.wav", 2, seconds=2.0),
        write(tmp_path / "long.wav", 3, seconds=3.7),
        tmp_path / "bad.wav",
        tmp_path / "missing.wav",
        write(tmp_path / "float.wav", 4, subtype="FLOAT"),
        content.getvalue(),
        write(tmp_path / "longer.flac", 5, seconds=5.0),
        write(tmp_path / "slow.wav", 6, rate=8000),
        write(tmp_path / "stereo.wav", 7, channels=2),
        tmp_path / "cut_off.wav",
        write(tmp_path / "coded.mp3", 8, subtype="MPEG_LAYER_III"),
        write(tmp_path / "short.wav", 10, seconds=0.3),
        tmp_path / "id_00_a.wav",
    ]


def source(recordings, *, keep_samples, **options):
    options = {"features": FEATURES, "plan": PLAN, "clip_seconds": CLIP_SECONDS} | options
    return Source.of(iter(recordings), keep_samples=keep_samples, **options)


def outcome(source, **options):
    """All that there is to know of the chunks of a source."""
    chunks = list(source.chunks(**options))
    rows = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("positions", "starts", "source_rates", "lengths")
    }
    for of_chunks in ("statistics", "quality"):
        parts = [getattr(chunk, of_chunks) for chunk in chunks if len(chunk)]
        joined = type(parts[0]).joined(parts)
        names = joined.arrays() if of_chunks == "statistics" else joined.__dataclass_fields__
        rows |= {f"{of_chunks}.{name}": getattr(joined, name) for name in names}
    items = [
        (item.name, item.machine_id, item.header)
        for chunk in chunks
        for item in chunk.items
        if not chunk.continues
    ]
    errors = {
        position: (type(error), str(error)) for chunk in chunks for position, error in chunk.errors.items()
    }
    return rows, items, errors, source.survey()


@pytest.mark.parametrize("at_once", [1, 3, 256])
@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_depends_on_where_clips_are_measured(recordings, at_once, threads, monkeypatch):
    monkeypatch.setattr("offkey.datasets.portions.FILES_AT_ONCE", at_once)
    kept = outcome(source(recordings, keep_samples=True))
    measured = outcome(source(recordings, keep_samples=False), num_threads=threads)
    assert kept[1:] == measured[1:]
    assert kept[0].keys() == measured[0].keys()
    for name, rows in kept[0].items():
        np.testing.assert_array_equal(rows, measured[0][name], err_msg=name)
    assert np.isnan(kept[0]["statistics.rhythm"]).any(axis=1).tolist().count(True) == 1  # of the short one
    assert len(measured[2]) == 3


def test_a_clip_without_a_spectrogram_is_an_error_of_its_file(tmp_path):
    features = Features(pad_mode="none")
    files = [write(tmp_path / "a.wav", 1), write(tmp_path / "b.wav", 2, seconds=0.01)]
    *_, errors, _ = outcome(source(files, keep_samples=False, features=features, plan=StatisticsPlan()))
    ((kind, text),) = errors.values()
    assert (list(errors), kind) == ([1], AudioError)
    assert text.startswith(f"{files[1]}: 160 samples; expected at least 1024")


def test_of_recordings_that_are_never_cut_only_long_ones_are_read_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr("offkey.datasets.source._MOST_MEASURED", 2 * RATE)
    files = [write(tmp_path / f"{i}.wav", i, seconds=seconds) for i, seconds in enumerate((1.5, 2.5, 2.0))]
    chunks = list(source(files, keep_samples=False, clip_seconds=None).chunks())
    assert [len(chunk.items) for chunk in chunks] == [1, 1, 1]
    assert [isinstance(chunk.clips, list) for chunk in chunks] == [False, True, False]
    assert [chunk.lengths.tolist() for chunk in chunks] == [[24_000], [40_000], [32_000]]


def test_an_endless_source_is_read_a_little_ahead_and_may_be_left(recordings, monkeypatch):
    monkeypatch.setattr("offkey.datasets.portions.FILES_AT_ONCE", 2)
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield recordings[0]

    chunks = source(endless(), keep_samples=False).chunks()
    assert [next(chunks).first for _ in range(3)] == [0, 2, 4]
    assert len(taken) <= 2 * 6
    chunks.close()


def test_progress_tells_of_each_chunk(recordings, monkeypatch):
    monkeypatch.setattr("offkey.datasets.portions.FILES_AT_ONCE", 4)
    seen = []
    list(
        source(recordings, keep_samples=False).chunks(
            on_progress=lambda done, total: seen.append((done, total))
        )
    )
    assert seen[-1] == (len(recordings), None)
    assert seen == sorted(seen)


def test_samples_that_are_in_memory_are_read_as_before():
    recordings = [np.float32(noise(1)[:, 0]), np.float32(noise(2)[:, 0])]
    (chunk,) = source(recordings, keep_samples=False, sample_rate=RATE).chunks()
    assert all(isinstance(item.content, Samples) for item in chunk.items)
    assert len(chunk.samples) == 2


def test_batches_come_out_in_the_order_in_which_they_were_put_in(recordings):
    files = [str(path) for path in recordings if not isinstance(path, bytes)]
    measurer = Measures(FEATURES, PLAN).measurer(
        channel=0, max_seconds=100.0, most_samples=2 * RATE, num_threads=None
    )
    measurer.put(files[:2])
    measurer.put(files[2:3])
    measurer.put([])
    assert measurer.take().lengths.tolist() == [24_000, 32_000]
    assert measurer.take().long == [0]
    assert measurer.take().headers == []
