"""Recordings on object storage: what is listed, in which order, and what becomes of storage that fails."""

import os
import threading

import numpy as np
import pytest
import soundfile as sf

from offkey import Recipe
from offkey.datasets import objects
from offkey.datasets.fetching import fetched
from offkey.datasets.objects import Remote
from offkey.datasets.recordings import items_of
from offkey.datasets.source import Source
from offkey.errors import DatasetError, MissingExtraError, ParameterError

fsspec = pytest.importorskip("fsspec")
FEATURES = Recipe.named("spectral").features
NAMES = [
    "b.wav",
    "a/z.wav",
    "a/id_03/2.WAV",
    "a-b/1.flac",
    "ä/1.wav",
    "A.wav",
    "n.txt",
    ".h.wav",
    ".git/x.wav",
]


@pytest.fixture
def bucket():
    """Return the URL of a bucket in memory that holds some objects."""
    storage = fsspec.filesystem("memory")
    for name in NAMES:
        storage.pipe(f"/bucket/{name}", name.encode())
    yield "memory://bucket"
    storage.rm("/bucket", recursive=True)


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes the fetching of objects raise an error from some call on."""

    def fail(error, after):
        cat_file, calls = fsspec.implementations.memory.MemoryFileSystem.cat_file, []

        def broken(self, path, **options):
            calls.append(path)
            if len(calls) > after:
                raise error
            return cat_file(self, path, **options)

        monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "cat_file", broken)

    return fail


def below(items):
    """Return the names of items below the bucket."""
    return [item.name.partition("bucket/")[2] for item in items]


def test_a_bucket_is_walked_as_a_folder_on_a_disk(bucket, tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"")
    told, told_of_disk = [], []
    items = list(items_of(bucket, on_passed_over=told.append))
    on_disk = list(items_of(tmp_path, on_passed_over=told_of_disk.append))
    assert below(items) == [os.path.relpath(item.name, tmp_path) for item in on_disk]
    assert [item.machine_id for item in items] == [item.machine_id for item in on_disk]
    assert [item.content.size for item in items] == [len(name.encode()) for name in below(items)]
    assert [(passed.kind, passed.why, passed.path.name) for passed in told] == [
        (passed.kind, passed.why, passed.path.name) for passed in told_of_disk
    ]


def test_an_object_a_pattern_and_what_is_not_there(bucket):
    (item,) = items_of(f"{bucket}/n.txt")
    assert (item.name, item.content) == ("memory://bucket/n.txt", Remote("memory://bucket/n.txt", 5))
    assert below(items_of([f"{bucket}/*.wav", f"{bucket}/a"])) == [
        "A.wav",
        "b.wav",
        "a/id_03/2.WAV",
        "a/z.wav",
    ]
    for url in (f"{bucket}/none.wav", f"{bucket}/*.mp3", "memory://nothing"):
        with pytest.raises(FileNotFoundError, match="no such object or folder"):
            items_of([url])
    first, second = items_of(iter([f"{bucket}/none.wav", f"{bucket}/b.wav"]))
    assert isinstance(first.content, FileNotFoundError)
    assert isinstance(second.content, Remote)


def test_storage_that_nobody_knows_and_a_missing_package(monkeypatch):
    with pytest.raises(ParameterError, match="no storage is known by this name"):
        items_of("nowhere://bucket")
    monkeypatch.setattr(fsspec, "filesystem", lambda *_, **__: (_ for _ in ()).throw(ImportError("no s3fs")))
    with pytest.raises(MissingExtraError, match=r"s4://: needs the extra: pip install 'offkey\[cloud\]'"):
        items_of("s4://bucket")


def test_objects_are_fetched_in_order_and_a_few_ahead(bucket, monkeypatch):
    taken, fetches, most = 0, 0, 0
    lock = threading.Lock()

    def fetch(remote):
        nonlocal fetches, most
        with lock:
            fetches += 1
            most = max(most, fetches - taken)
        return remote.url.encode()

    monkeypatch.setattr("offkey.datasets.fetching.fetch", fetch)
    items = list(items_of(bucket)) * 20
    for item, expected in zip(fetched(items), items, strict=True):
        assert item.content == expected.name.encode()
        taken += 1  # noqa: SIM113  # seen by the threads
    assert fetches == len(items)
    assert most <= 18
    large = [Remote(f"memory://bucket/{n}", 40_000_000) for n in range(10)]
    taken = fetches = most = 0
    for _ in fetched(type(items[0])(content=remote, name=remote.url) for remote in large):
        taken += 1  # noqa: SIM113
    assert most <= 2


def test_an_object_that_is_gone_or_too_large_is_an_error_of_its_own(bucket):
    items = list(items_of(bucket))
    fsspec.filesystem("memory").rm("/bucket/b.wav")
    gone = {item.name: item.content for item in fetched(items)}
    assert str(gone[items[-2].name]) == f"{items[-2].name}: no such object, folder or bucket"
    assert [name for name, content in gone.items() if isinstance(content, Exception)] == [items[-2].name]
    with pytest.raises(DatasetError, match=r"2,000,000,000 bytes, and an object of more than 1 GiB"):
        objects.fetch(Remote("memory://bucket/a.wav", 2_000_000_000))


def test_storage_that_does_not_answer_ends_it(bucket, failing):
    failing(ConnectionResetError("reset by peer"), 2)
    stream = fetched(items_of(bucket))
    with pytest.raises(OSError, match="the storage does not answer: reset by peer"):
        list(stream)


def test_what_is_read_is_what_a_disk_gives(tmp_path):
    storage, rng = fsspec.filesystem("memory"), np.random.default_rng(0)
    for number in range(5):
        sf.write(
            tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(16_000 * (1 + 30 * (number == 3))), 16_000
        )
        storage.pipe(f"/clips/{number}.wav", (tmp_path / f"{number}.wav").read_bytes())
    (tmp_path / "2.wav").write_bytes(b"a diary")
    storage.pipe("/clips/2.wav", b"a diary")
    of_disk, of_storage = (
        list(Source.of(place, features=FEATURES, clip_seconds=10.0).chunks())
        for place in (tmp_path, "memory://clips")
    )
    for chunk, expected in zip(of_storage, of_disk, strict=True):
        for clip, clip_of_disk in zip(chunk.samples, expected.samples, strict=True):
            np.testing.assert_array_equal(clip, clip_of_disk)
        assert list(chunk.errors) == list(expected.errors)
    (error,) = of_storage[0].errors.values()
    assert str(error).endswith(
        "clips/2.wav: not a sound file that offkey knows: it begins with 'a diary'; "
        "expected WAV, AIFF, FLAC, Ogg Vorbis or MP3"
    )
    storage.rm("/clips", recursive=True)
