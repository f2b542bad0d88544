"""Whatever a user hands over, read once, chunk by chunk, in the order given."""

import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile as sf
from trees import refuse_to_list, touch

import offkey
from offkey.datasets import Clip, Clips, Dataset, LogMelArrays
from offkey.datasets.recordings import Item
from offkey.datasets.source import Source
from offkey.datasets.source_rates import SourceRates
from offkey.errors import ArrayError, AudioError, DatasetError, ParameterError
from offkey.recipe import Features
from offkey.signal.audio import Audio

RATE = 16_000
FEATURES = Features()


def tone(number, *, seconds=0.1, rate=RATE):
    """Each number has a level of its own, by which clips are told apart."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.05 * (number + 1) * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def write(path, number, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, tone(number, **options), options.get("rate", RATE), "FLOAT")
    return path


@pytest.fixture
def files(tmp_path):
    """In no order."""
    return [write(tmp_path / f"{name}.wav", number) for number, name in enumerate("dacb")]


def clip(path, **columns):
    known = {"machine_type": "fan", "machine_id": "00", "split": "test", "label": 0, "group": str(path)}
    return Clip(path=path, **(known | columns))


def read(recordings, **options):
    return list(Source.of(recordings, features=FEATURES, **options).chunks())


def numbers(recordings, **options):
    """Which tones are heard, by their peak levels."""
    peaks = np.concatenate([chunk.quality.peak_dbfs for chunk in read(recordings, **options)])
    return (np.round(10 ** (peaks / 20) / 0.05) - 1).astype(int).tolist()


def names(recordings, **options):
    return [item.name for item in Source.of(recordings, features=FEATURES, **options)]


def handed_over(files):
    """The same four recordings, in every way that there is to give them, and what else the call needs."""
    arrays = [tone(number) for number in range(4)]
    clips = Clips([clip(path) for path in files])
    batch = offkey.read_batch(files, sample_rate=RATE)
    return {
        "paths": (files, {}),
        "texts": ([str(path) for path in files], {}),
        "tuple": (tuple(files), {}),
        "generator": ((path for path in files), {}),
        "patterns": ([f"{path.parent}/[{path.name[0]}].wav" for path in files], {}),
        "Clips": (clips, {}),
        "list of Clip": (list(clips), {}),
        "Dataset": (Dataset(machine="fan", clips=clips), {}),
        "AudioBatch": (batch, {}),
        "list of Audio": ([offkey.read(path) for path in files], {}),
        "bytes": ([path.read_bytes() for path in files], {}),
        "views of bytes": ([memoryview(path.read_bytes()) for path in files], {}),
        "uploads": ([io.BytesIO(path.read_bytes()) for path in files], {}),
        "arrays": (arrays, {"sample_rate": RATE}),
        "generator of arrays": (iter(arrays), {"sample_rate": RATE}),
        "rows of an array": (np.stack(arrays), {"sample_rate": RATE}),
        "doubles": (np.stack(arrays).astype(np.float64), {"sample_rate": RATE}),
        "int16": ([np.round(array * 32768).astype(np.int16) for array in arrays], {"sample_rate": RATE}),
        "stereo": ([np.stack([array, np.zeros_like(array)]) for array in arrays], {"sample_rate": RATE}),
        "mixed": ([files[0], io.BytesIO(files[1].read_bytes()), offkey.read(files[2]), clips[3]], {}),
    }


KINDS = [
    "paths",
    "texts",
    "tuple",
    "generator",
    "patterns",
    "Clips",
    "list of Clip",
    "Dataset",
    "AudioBatch",
    "list of Audio",
    "bytes",
    "views of bytes",
    "uploads",
    "arrays",
    "generator of arrays",
    "rows of an array",
    "doubles",
    "int16",
    "stereo",
    "mixed",
]


def test_every_kind_is_tried(files):
    assert list(handed_over(files)) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [64, 1, 3])
def test_row_i_is_item_i_of_whatever_is_handed_over(files, kind, most, monkeypatch):
    monkeypatch.setattr("offkey.datasets.portions.PORTION_ITEMS", most)
    recordings, options = handed_over(files)[kind]
    assert numbers(recordings, **options) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_samples_come_out_of_every_kind(files, kind):
    recordings, options = handed_over(files)[kind]
    (chunk,) = read(recordings, **options)
    wanted = offkey.read_batch(files)
    assert chunk.errors == {}
    for samples, expected in zip(chunk.samples, wanted, strict=True):
        np.testing.assert_allclose(samples, expected, atol=1e-4 if kind == "int16" else 0)
        assert samples.dtype == np.float32
    logmel = offkey.LogMel.from_recipe(FEATURES)
    for made, expected in zip(chunk.logmels, logmel.each(list(chunk.samples)), strict=True):
        np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(chunk.statistics.mean, logmel.statistics(list(chunk.samples)).mean)


def test_duplicates_stay(files):
    assert numbers([files[1], files[0], files[1]]) == [1, 0, 1]
    assert numbers([files[0].parent, files[0]]) == [1, 3, 2, 0, 0]  # a folder by names: a b c d
    assert numbers(path for path in [files[2]] * 3) == [2, 2, 2]


def test_slices_of_clips_are_clips(files):
    clips = Clips([clip(path) for path in files])
    assert isinstance(clips[1:3], Clips)
    assert clips[1:3].paths == files[1:3]
    assert clips[-1] == clips[3]
    assert numbers(clips[::-2]) == [3, 1]


def test_a_folder_is_listed_when_its_turn_comes(tmp_path, monkeypatch):
    monkeypatch.setattr("offkey.datasets.portions.PORTION_ITEMS", 1)
    write(tmp_path / "a" / "1.wav", 0)
    chunks = Source.of(tmp_path, features=FEATURES).chunks()
    write(tmp_path / "b" / "1.wav", 1)
    (tmp_path / "c").mkdir()
    next(chunks)
    write(tmp_path / "c" / "1.wav", 2)
    assert [chunk.items[0].name for chunk in chunks] == [str(tmp_path / name / "1.wav") for name in "bc"]


def test_an_endless_generator_can_be_read_for_a_while(files):
    def endless():
        while True:
            yield from files

    chunks = Source.of(endless(), features=FEATURES).chunks()
    assert [next(chunks).first for _ in range(3)] == [0, 64, 128]


def test_progress_has_a_total_where_it_can_be_known(files, monkeypatch):
    monkeypatch.setattr("offkey.datasets.portions.PORTION_ITEMS", 3)
    for recordings, total in ((files, 4), (files[0].parent, 4), (iter(files), None)):
        seen = []
        list(
            Source.of(recordings, features=FEATURES).chunks(
                on_progress=lambda *call, to=seen: to.append(call)
            )
        )
        assert seen == [(3, total), (4, total)]


def test_what_cannot_be_read_is_an_error_in_its_place(files, tmp_path):
    files[1].write_bytes(b"RIFF")
    files[3].unlink()
    (chunk,) = read(Clips([clip(path) for path in files]))
    assert chunk.positions.tolist() == [0, 2]
    assert set(chunk.errors) == {1, 3}
    assert isinstance(chunk.errors[1], AudioError)
    assert isinstance(chunk.errors[3], FileNotFoundError)
    assert len(chunk.items) == 4
    assert len(chunk.logmels) == 2
    assert chunk.source_rates.tolist() == [RATE, RATE]


def test_a_missing_file_is_refused_where_all_are_known_and_an_error_of_its_row_in_a_stream(files, tmp_path):
    gone = tmp_path / "gone.wav"
    for recordings in (gone, [files[0], gone], str(gone), tmp_path / "*.mp3"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            Source.of(recordings, features=FEATURES)
    (chunk,) = read(iter([files[0], gone, files[1]]))
    assert chunk.positions.tolist() == [0, 2]
    assert "gone.wav: no such file" in str(chunk.errors[1])


def test_a_folder_that_cannot_be_listed_is_a_row_with_an_error(tmp_path, monkeypatch):
    for name in "abc":
        write(tmp_path / name / "1.wav", 0)
    refuse_to_list("b", monkeypatch)
    (chunk,) = read(tmp_path)
    assert [item.name for item in chunk.items] == [
        str(tmp_path / part) for part in ("a/1.wav", "b", "c/1.wav")
    ]
    assert isinstance(chunk.errors[1], PermissionError)


def test_sounds_in_memory_are_named_by_their_place_or_their_file(files):
    assert names([tone(0), tone(1)], sample_rate=RATE) == ["clip 0", "clip 1"]
    assert names([files[0], files[0].read_bytes()]) == [str(files[0]), "clip 1"]
    with files[2].open("rb") as file:
        assert names(file) == [str(files[2])]
    (chunk,) = read([files[0], b"RIFF, but no more", io.BytesIO(b"")])
    assert chunk.positions.tolist() == [0]
    assert str(chunk.errors[1]).startswith("clip 1: ")
    assert str(chunk.errors[2]).startswith("clip 2: ")
    assert "offkey-" not in str(chunk.errors[1])


def test_a_batch_keeps_its_errors_rates_and_names(files):
    files[1].write_bytes(b"")
    write(files[2], 2, rate=8_000)
    batch = offkey.read_batch(files, sample_rate=RATE, on_error="collect")
    (chunk,) = read(batch)
    assert [item.name for item in chunk.items] == list(map(str, files))
    assert set(chunk.errors) == {1}
    assert chunk.source_rates.tolist() == [RATE, 8_000, RATE]


def test_samples_of_another_rate_are_resampled_as_files_are(tmp_path):
    path = write(tmp_path / "a.wav", 3, rate=44_100)
    expected = offkey.read_batch([path], sample_rate=RATE)[0]
    for recordings, options in (
        ([sf.read(path, dtype="float32")[0]], {"sample_rate": 44_100}),
        (offkey.read(path), {}),
        (path.read_bytes(), {}),
        (offkey.read_batch([path]), {}),
    ):
        (chunk,) = read(recordings, **options)
        np.testing.assert_array_equal(chunk.samples[0], expected)
        assert chunk.source_rates.tolist() == [44_100]
        rates = SourceRates(RATE)
        rates.add(chunk)
        assert rates.notes("clip", advice="")[0].startswith(
            "resampled from 44100 to 16000 Hz: 1 clip, the first"
        )


@pytest.mark.parametrize("channel", [0, 1, "mean", 2])
def test_the_channel_is_that_of_the_features(tmp_path, channel):
    stereo = np.stack([tone(0), tone(3)])
    sf.write(tmp_path / "a.wav", stereo.T, RATE, "FLOAT")
    features = Features(channel=channel)
    from_file, from_memory = (
        next(Source.of(recordings, features=features, **options).chunks())
        for recordings, options in (
            (tmp_path / "a.wav", {}),
            ([Audio(samples=stereo, sample_rate=RATE, path=tmp_path / "a.wav")], {}),
        )
    )
    if channel == 2:
        assert "channel 2 was asked for" in str(from_file.errors[0])
        assert "channel 2 was asked for" in str(from_memory.errors[0])
    else:
        np.testing.assert_array_equal(from_file.samples[0], from_memory.samples[0])


@pytest.mark.parametrize(
    ("bad", "text"), [([], "no samples"), ([0.1, np.nan], "NaN"), ([np.inf, 0.0], "infinity")]
)
@pytest.mark.parametrize("rate", [RATE, 8_000])
def test_samples_that_are_no_sound_are_errors_of_their_row(bad, text, rate):
    (chunk,) = read([tone(0), np.array(bad, np.float32), tone(1)], sample_rate=rate)
    assert chunk.positions.tolist() == [0, 2]
    assert str(chunk.errors[1]).startswith("clip 1: ")
    assert text in str(chunk.errors[1])


@pytest.mark.parametrize(
    ("recordings", "options", "error", "text"),
    [
        (tone(0), {}, ParameterError, "carry no sample rate; give it, such as sample_rate=16000"),
        ([tone(0)], {}, ParameterError, "carry no sample rate"),
        (np.zeros((2, 3, 4), np.float32), {"sample_rate": RATE}, ArrayError, r"\(2, 3, 4\).*LogMelArrays"),
        ([np.zeros((2, 3, 4), np.float32)], {"sample_rate": RATE}, ArrayError, r"\(2, 3, 4\)"),
        (np.zeros(4, complex), {"sample_rate": RATE}, ArrayError, "complex128"),
        ([np.array(["a.wav"])], {"sample_rate": RATE}, ArrayError, "<U5"),
        (tone(0), {"sample_rate": 0}, ParameterError, "sample_rate = 0"),
        (None, {}, ParameterError, "given NoneType; expected a folder, a file, a pattern"),
        (7, {}, ParameterError, "given int"),
        ({"a.wav": 1}, {}, ParameterError, "given dict"),
        ([0.5, 0.25], {}, ParameterError, "one of them is float"),
        ([["a.wav"]], {}, ParameterError, "one of them is list"),
        (io.StringIO("a"), {}, ParameterError, "opened as text"),
        ([], {}, DatasetError, "an empty list"),
        (iter([]), {}, DatasetError, "no sound file found"),
        (Clips(), {}, DatasetError, "the table of clips is empty"),
    ],
)
def test_wrong_use_says_what_was_given_and_what_is_expected(recordings, options, error, text):
    with pytest.raises(error, match=text):
        read(recordings, **options)


def test_bytes_that_are_a_path_are_refused_with_advice(files):
    with pytest.raises(ParameterError, match=r"bytes that are a path.*os\.fsdecode"):
        read(os.fsencode(files[0]))


def test_a_dataset_without_test_clips_says_what_to_give(files):
    clips = Clips([clip(path, split="train") for path in files])
    with pytest.raises(DatasetError, match="no test clips to score; give the clips that you mean"):
        read(Dataset(machine="fan", clips=clips))


def test_ids_are_those_of_the_table_or_of_the_path_or_of_the_call(tmp_path):
    paths = [
        write(tmp_path / name, 0)
        for name in ("id_02/a_id_04_1.wav", "id_02/a.wav", "press-a/a.wav", "elsewhere/a.wav")
    ]
    known = ["02", "press-a"]

    def ids(recordings, **options):
        return [
            item.machine_id for item in Source.of(recordings, features=FEATURES, known_ids=known, **options)
        ]

    for recordings in (paths, offkey.read_batch(paths), [offkey.read(path) for path in paths]):
        assert ids(recordings) == ["04", None, None, None]
        assert ids(recordings, machine_id="07") == ["07"] * 4
    assert ids(tmp_path) == [None, "02", "04", "press-a"]
    assert ids(tmp_path / "id_*" / "*.wav") == ["02", "04"]
    assert ids(tmp_path / "id_02") == [None, "04"]
    assert ids(Clips([clip(path, machine_id=None) for path in paths])) == [None] * 4
    assert ids([tone(0)], sample_rate=RATE) == [None]


def test_logmels_are_chunks_without_samples():
    logmels = np.random.default_rng(0).normal(size=(130, 128, 5)).astype(np.float32)
    data = LogMelArrays(logmels=logmels, machine_ids=["00", "01"] * 65)
    chunks = read(data)
    assert [len(chunk) for chunk in chunks] == [64, 64, 2]
    np.testing.assert_array_equal(np.concatenate([chunk.logmels for chunk in chunks]), logmels)
    assert chunks[2].statistics.mean.shape == (2, 128)
    assert chunks[0].quality is None
    assert [item.name for item in chunks[1].items[:2]] == ["clip 64", "clip 65"]
    assert chunks[1].items[1].machine_id == "01"
    with pytest.raises(ArrayError, match="no samples"):
        _ = chunks[0].samples
    first, second = chunks[2].each()
    np.testing.assert_array_equal([first.logmels[0], second.logmels[0]], logmels[128:])
    with pytest.raises(ArrayError, match=r"128 Mel bins, but the recipe has features\.n_mels = 64"):
        Source.of(data, features=Features(n_mels=64))


def test_quality(tmp_path):
    square = np.tile(np.array([0.5, -0.5], np.float32), 800)
    (chunk,) = read([square, np.zeros(1600, np.float32), tone(1, seconds=1.0)], sample_rate=RATE)
    np.testing.assert_allclose(chunk.quality.peak_dbfs, [-6.0206, -np.inf, -20.0], atol=1e-3)
    np.testing.assert_allclose(chunk.quality.rms_dbfs, [-6.0206, -np.inf, -23.0103], atol=1e-3)


def test_features_are_computed_once(files, monkeypatch):
    (chunk,) = read(files)
    assert chunk.logmels is chunk.logmels
    assert chunk.statistics is chunk.statistics
    assert chunk.quality is chunk.quality


def test_an_attempt_finds_the_clip_that_is_refused():
    recordings = [tone(0), tone(1, seconds=0.01), tone(2), tone(3, seconds=0.01)]
    source = Source.of(recordings, features=Features(pad_mode="reflect"), sample_rate=RATE)
    (chunk,) = source.chunks()
    parts = list(chunk.attempt(lambda clips: len(clips.logmels)))
    assert [(part.positions.tolist(), count) for part, count in parts] == [([0], 1), ([2], 1)]
    assert set(chunk.errors) == {1, 3}
    assert str(chunk.errors[3]).startswith("clip 3: ")


# ------------------------------------------------------------------------------------------ size of a chunk


@pytest.fixture
def _small(monkeypatch):
    """Let a chunk hold a thousandth of what it usually does."""
    monkeypatch.setattr("offkey.datasets.portions.PORTION_BYTES", 100_000)


def sizes(paths):
    items = [Item(content=path, name=str(path)) for path in paths]
    return [len(chunk.items) for chunk in Source(items, features=FEATURES).chunks()]


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([10] * 130, [64, 64, 2]),
        ([15_000, 15_000, 10, 10], [1, 3]),  # samples count, not files
        ([75_000, 75_000, 10], [1, 1, 1]),  # long recordings come one by one
        ([None, 100, None], [3]),  # files that are not there are told of when they are read
    ],
)
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_chunks_are_bounded_in_files_and_decoded_bytes(tmp_path, kind, frames, expected):
    files = [tmp_path / str(i) for i in range(len(frames))]
    for path, count in zip(files, frames, strict=True):
        if count is not None:
            sf.write(path, np.zeros(count, np.int16), RATE, format=kind)
    assert sizes(files) == expected


@pytest.mark.usefixtures("_small")
def test_chunks_count_samples_at_the_rate_of_the_features(tmp_path):
    files = [tmp_path / f"{i}.wav" for i in range(2)]
    for path in files:
        sf.write(path, np.zeros(10_000, np.int16), 8000)
    assert sizes(files) == [1, 1]
    assert [len(chunk.items) for chunk in read([path.read_bytes() for path in files])] == [1, 1]
    assert len(read([np.zeros(10_000, np.float32)] * 2, sample_rate=8000)) == 2
    assert len(read([np.zeros(10_000, np.float32)] * 2, sample_rate=RATE)) == 1


@pytest.mark.usefixtures("_small")
def test_a_file_of_unknown_length_counts_as_the_longest_that_it_can_be(tmp_path):
    files = [tmp_path / f"{i}.mp3" for i in range(2)]
    sf.write(files[0], 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE, format="MP3")
    content = files[0].read_bytes()
    frame = 4 + 9 + 4  # where the header of a frame of MPEG 2 in mono ends, and its length would stand
    assert content[13:17] == b"Info" or content[13:17] == b"Xing"
    content = content[:13] + struct.pack(">I", 0) + content[frame:]  # no such header any more
    for path in files:
        path.write_bytes(content)
    assert sizes(files) == [1, 1]


def test_a_stream_of_paths_is_never_a_list(tmp_path):
    """As a list the items would take 0.7 MB."""
    for folder in range(10):
        touch(tmp_path / str(folder), ["0.wav"])
    paths = (tmp_path / str(i % 10) / "0.wav" for i in range(2_000))
    source = Source.of(paths, features=FEATURES)
    tracemalloc.start()
    assert sum(1 for _ in source) == 2_000
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_a_file_that_is_too_long_is_an_error_and_sounds_in_memory_are_not(tmp_path):
    short, long = write(tmp_path / "a.wav", 0), write(tmp_path / "b.wav", 1, seconds=0.5)
    (chunk,) = read([short, long, long.read_bytes(), tone(2, seconds=0.5)], sample_rate=RATE, max_seconds=0.2)
    assert chunk.positions.tolist() == [0, 3]
    assert [type(chunk.errors[i]) for i in (1, 2)] == [AudioError, AudioError]
    assert "b.wav: longer than 0.2 s" in str(chunk.errors[1])
    for bad in (0, -1.0, float("nan"), "60"):
        with pytest.raises(ParameterError, match=r"max_seconds = .*: expected seconds above 0"):
            Source.of(short, features=FEATURES, max_seconds=bad)


@pytest.mark.parametrize("kind", KINDS)
def test_recordings_are_counted_without_being_made(files, kind):
    recordings, options = handed_over(files)[kind]
    source = Source.of(recordings, features=FEATURES, **options)
    assert source.count() == (None if "generator" in kind else 4)
    assert len(list(source)) == 4


def test_a_count_is_of_what_is_scored_and_tells_of_nothing_that_is_passed_over(files, tmp_path):
    touch(tmp_path, ["notes.txt", "more/e.m4a"])
    write(tmp_path / "more" / "e.wav", 5)
    source = Source.of([tmp_path, files[0], tmp_path / "*.wav"], features=FEATURES)
    assert source.count() == 5 + 1 + 4
    assert source.survey().passed_over == ()
    list(source.chunks())
    assert {passed.path.name for passed in source.survey().passed_over} == {"notes.txt", "e.m4a"}
