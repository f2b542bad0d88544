"""Bad recordings, bad recipes and bad files, as a detector meets them: named, and nothing else is lost."""

import json

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree
from tiny_recipe import BOTH, SPECTRAL, TINY

import offkey
from offkey import datasets, detector_file
from offkey.datasets import LogMelArrays
from offkey.errors import (
    AudioError,
    DatasetError,
    DetectorFileError,
    DeviceError,
    OffkeyError,
    OffkeyWarning,
    ParameterError,
    TrainingError,
)

RECIPES = {"spectral": SPECTRAL, "tiny": TINY, "both": BOTH}


@pytest.fixture
def root(tmp_path):
    return write_tree(tmp_path / "dev_data", train=8, test=2, seconds=0.5)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Not to be changed."""
    return write_tree(tmp_path_factory.mktemp("hostile") / "dev_data", train=8, test=2, seconds=0.5)


@pytest.fixture(scope="module")
def files(tree, tmp_path_factory):
    """A saved detector of each recipe."""
    folder = tmp_path_factory.mktemp("saved")
    for name, recipe in RECIPES.items():
        offkey.Detector(recipe).fit(fans(tree), device="cpu").save(folder / f"{name}.offkey")
    return folder


def fans(root):
    return datasets.dcase2020(root, machine="fan")


def train_files(root, machine="fan", machine_id="00"):
    return sorted((root / machine / "train").glob(f"normal_id_{machine_id}_*.wav"))


def write(path, samples, rate=RATE, subtype="PCM_16"):
    sf.write(path, samples, rate, subtype)
    return path


# ------------------------------------------------------------------------------------------ training sets


@pytest.mark.parametrize("recipe", [SPECTRAL, BOTH], ids=["spectral", "both"])
def test_broken_files_of_every_kind_in_the_middle_of_a_training_set(root, recipe):
    broken = [*train_files(root)[2:5], train_files(root, "pump")[3]]
    broken[0].write_bytes(b"")
    broken[1].write_bytes(broken[1].read_bytes()[:700])
    broken[2].write_bytes(b"RIFF" + bytes(range(200)))
    write(broken[3], np.full(8000, np.nan), subtype="FLOAT")
    with pytest.warns(OffkeyWarning, match="left out of training: 1 recording that cannot be read") as caught:
        detector = offkey.Detector(recipe).fit(fans(root), device="cpu")
    expected = broken if recipe.network else broken[:3]  # spectral has no use for other types
    assert len(detector.unread) == len(caught) == len(expected)  # each for a reason of its own
    for path, text in zip(expected, detector.unread, strict=True):
        assert str(path) in text
        assert f"left out of training: {text}" in detector.notes
    assert not np.isnan(detector.score(fans(root).test).anomaly_score).any()


def test_notes_name_twenty_unreadable_files_and_count_the_rest(tmp_path):
    root = write_tree(tmp_path / "dev_data", machines=("fan",), train=30, test=1, seconds=0.2)
    for path in train_files(root)[:25]:
        path.write_bytes(b"")
    with pytest.warns(OffkeyWarning, match="25 recordings"):
        detector = offkey.Detector(SPECTRAL).fit(fans(root))
    named = [note for note in detector.notes if note.startswith("left out of training: ")]
    assert len(named) == 21
    assert named[-1] == "left out of training: 5 more files that cannot be read"
    assert len(detector.unread) == 25


@pytest.mark.parametrize("recipe", [SPECTRAL, BOTH], ids=["spectral", "both"])
def test_an_id_with_a_single_training_clip(root, recipe):
    for path in train_files(root, machine_id="02")[1:]:
        path.unlink()
    detector = offkey.Detector(recipe).fit(fans(root), device="cpu")
    assert detector.machine_ids == ("00", "02")
    assert "only one normal training clip for ID 02" in detector.notes
    table = detector.score(fans(root).test)
    assert not np.isnan(table.anomaly_score).any()
    assert table.scored_as == table.machine_id


@pytest.mark.parametrize("combine", ["select", "mean"])
def test_single_clip_ids_without_other_types_bear_every_combination(tmp_path, combine):
    root = write_tree(tmp_path / "dev_data", machines=("fan",), train=8, test=2, seconds=0.5)
    for path in train_files(root, machine_id="02")[1:]:
        path.unlink()
    recipe = BOTH.replace(scoring__combine=combine, scoring__standardise_on="training")
    table = offkey.Detector(recipe).fit(fans(root), device="cpu").score(fans(root).test)
    assert not np.isnan(table.anomaly_score).any()


def test_an_id_that_only_the_test_part_has_is_scored_as_unknown(root):
    for path in train_files(root, machine_id="02"):
        path.unlink()
    detector = offkey.Detector(SPECTRAL).fit(fans(root))
    assert "ID 02 only in the test part: scored as unknown" in detector.notes
    with pytest.warns(
        OffkeyWarning, match="ID '02' is not known to the detector, which knows 00: 4 recordings"
    ):
        table = detector.score(fans(root).test)
    assert set(table.scored_as) == {"00"}
    assert not np.isnan(table.anomaly_score).any()


def test_a_detector_of_too_few_clips_says_how_many_are_needed(root):
    for machine_id in ("00", "02"):
        for path in train_files(root, machine_id=machine_id)[1:]:
            path.unlink()
    with pytest.raises(
        DatasetError, match=r"2 normal training clips of 2 machine ID\(s\): expected at least 6"
    ):
        offkey.Detector(SPECTRAL).fit(fans(root))


def test_one_machine_of_one_id_with_one_augmentation_has_nothing_for_a_network_to_learn(tmp_path):
    root = write_tree(tmp_path / "dev_data", machines=("fan",), ids=("00",), train=4, test=1, seconds=0.2)
    augmentation = TINY.training.augmentation
    recipe = TINY.replace(training__augmentation={"classes": ["none"], "snr_db": augmentation.snr_db})
    with pytest.raises(TrainingError, match="nothing to train"):
        offkey.Detector(recipe).fit(fans(root), device="cpu")


@pytest.mark.parametrize("recipe", [SPECTRAL, TINY], ids=["spectral", "tiny"])
def test_training_clips_of_another_rate_are_resampled_with_a_note_for_each_rate(root, recipe):
    rng = np.random.default_rng(0)
    first, second, third = train_files(root)[:3]
    write(first, recording(rng, hum_hz=90, seconds=2), 44_100)
    write(second, recording(rng, hum_hz=90, seconds=0.3), 8_000)
    write(third, recording(rng, hum_hz=90, seconds=0.3), 8_000)
    detector = offkey.Detector(recipe).fit(fans(root), device="cpu")
    notes = [note for note in detector.notes if "resampled" in note]
    assert len(notes) == 2
    assert notes[0].startswith(
        f"resampled from 8000 to 16000 Hz: 2 training clips, the first of them {second}; they hold nothing above "
        "4000 Hz, so their upper Mel bins are empty"
    )
    assert notes[1] == f"resampled from 44100 to 16000 Hz: 1 training clip, the first of them {first}"


def test_a_channel_that_the_recordings_lack(root):
    with pytest.raises(
        DatasetError,
        match=r"none of its 16 .*normal_id_00_00000000\.wav: channel 3 was asked for, but the file has 1 channel",
    ):
        offkey.Detector(SPECTRAL.replace(features__channel=3)).fit(fans(root))
    some = train_files(root)
    for path in [*some, *train_files(root, machine_id="02")][:-2]:
        mono = sf.read(path)[0]
        write(path, np.stack([mono] * 4, axis=1))
    with pytest.warns(OffkeyWarning, match="2 recordings"):
        detector = offkey.Detector(SPECTRAL.replace(features__channel=3)).fit(fans(root))
    assert len(detector.unread) == 2
    table = detector.score([some[0], train_files(root, machine_id="02")[-1]])
    assert table.error[0] is None
    assert "normal_id_02_00000007.wav: channel 3 was asked for, but the file has 1 channel" in table.error[1]


@pytest.mark.parametrize("recipe", [SPECTRAL, BOTH], ids=["spectral", "both"])
@pytest.mark.parametrize("keep_broken", [False, True])
@pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")
def test_silent_clipped_and_constant_clips_among_others_do_no_harm(root, recipe, keep_broken):
    a, b, c = train_files(root)[:3]
    write(a, np.zeros(8000))
    write(b, np.sign(np.sin(np.arange(8000))))
    write(c, np.full(8000, 0.5))
    detector = offkey.Detector(recipe).fit(fans(root), device="cpu", keep_broken=keep_broken)
    assert detector.describe()["training_clips"] == len(fans(root).train) - (0 if keep_broken else 3)
    table = detector.score([b, *fans(root).test.paths])
    assert not np.isnan(table.anomaly_score).any()


@pytest.mark.parametrize("recipe", [SPECTRAL, BOTH], ids=["spectral", "both"])
def test_nothing_but_silence_is_refused(tmp_path, recipe):
    root = write_tree(tmp_path / "dev_data", machines=("fan",), train=6, test=1, seconds=0.2)
    for path in (root / "fan" / "train").iterdir():
        write(path, np.zeros(3200))
    with pytest.raises(OffkeyError, match="silen"):
        offkey.Detector(recipe).fit(fans(root), device="cpu")


def test_what_is_no_dataset_is_refused_by_type(root):
    with pytest.raises(
        ParameterError, match=r"data: given .*Path; expected what offkey\.datasets\.load gives"
    ):
        offkey.Detector().fit(root)


@pytest.mark.parametrize("recipe", [SPECTRAL, BOTH], ids=["spectral", "both"])
def test_a_device_is_checked_before_any_recording_is_read(root, recipe, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(offkey.detector, "read_training_clips", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(DeviceError, match="device 'cuda'"):
        offkey.Detector(recipe).fit(fans(root), device="cuda")
    with pytest.raises(ParameterError, match="tpu"):
        offkey.Detector(recipe).fit(fans(root), device="tpu")


def test_a_failed_fit_leaves_the_detector_as_it_was(root, tree):
    detector = offkey.Detector(SPECTRAL).fit(fans(tree))
    before = detector.describe()
    for path in (root / "fan" / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError):
        detector.fit(fans(root))
    assert detector.describe() == before


# ---------------------------------------------------------------------------------------- scored folders


@pytest.mark.parametrize("name", RECIPES)
def test_bad_recordings_are_rows_with_an_error_and_the_others_keep_their_scores(files, tree, tmp_path, name):
    detector = offkey.load(files / f"{name}.offkey")
    good = fans(tree).test.paths[0].read_bytes()
    for k in (0, 9):
        (tmp_path / f"{k}_id_00.wav").write_bytes(good)
    (tmp_path / "1_id_00.wav").write_bytes(b"")
    (tmp_path / "2_id_00.wav").write_bytes(good[: len(good) // 2])
    (tmp_path / "3_id_00.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    write(tmp_path / "4_id_00.wav", np.array([0.1, np.nan, 0.1]), subtype="FLOAT")
    write(tmp_path / "5_id_00.wav", np.array([0.1, np.inf, 0.1]), subtype="DOUBLE")
    write(tmp_path / "6_id_00.wav", np.full(8000, 1e30), subtype="FLOAT")  # finite, but its square is not
    (tmp_path / "7_id_00.wav").symlink_to(tmp_path / "gone.wav")
    table = detector.score(tmp_path)
    assert [path.name[0] for path in table.path] == list("012345679")
    for path, text in zip(table.path[1:-1], table.error[1:-1], strict=True):
        assert str(path) in text
    alone = detector.score(tmp_path / "0_id_00.wav")
    for row in (0, -1):
        assert table.error[row] is None
        assert table.anomaly_score[row] == pytest.approx(alone.anomaly_score[0], rel=1e-4)
    assert np.isnan(table.anomaly_score[1:-1]).all()
    assert (table.decision[1:-1] == -1).all()


def test_a_clip_too_short_for_the_recipe_is_named_and_alone_in_having_no_score(tree, tmp_path):
    recipe = SPECTRAL.replace(features__pad_mode="reflect")
    detector = offkey.Detector(recipe).fit(fans(tree))
    good = fans(tree).test.paths[0]
    short = write(tmp_path / "short_id_00.wav", np.full(100, 0.1))
    for at, recordings in ((1, [good, short]), (0, [short, good])):
        table = detector.score(recordings)
        assert table.path == recordings
        assert "short_id_00.wav: " in table.error[at]
        assert "100" in table.error[at]
        assert table.error[1 - at] is None
        assert not np.isnan(table.anomaly_score[1 - at])


@pytest.mark.parametrize("name", RECIPES)
def test_two_samples_have_a_score_and_silence_has_none(files, tmp_path, name):
    write(tmp_path / "silent_id_00.wav", np.zeros(8000))
    write(tmp_path / "two_id_00.wav", np.array([0.5, -0.5]))
    table = offkey.load(files / f"{name}.offkey").score(tmp_path)
    assert "silent_id_00.wav: silent: there is no sound to score" in table.error[0]
    assert table.error[1] is None
    assert np.isfinite(table.anomaly_score).tolist() == [False, True]


def test_embeddings_name_the_file_that_cannot_be_read(files, tree, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(AudioError, match=r"a\.wav"):
        offkey.load(files / "tiny.offkey").embeddings(tmp_path)


def test_missing_and_empty_folders(files, tmp_path):
    detector = offkey.load(files / "spectral.offkey")
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        detector.score(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no sound file found"):
        detector.score(tmp_path)
    with pytest.raises(DatasetError, match="empty list"):
        detector.score([])
    with pytest.raises(DatasetError, match="empty"):
        detector.score(datasets.Clips())


def test_scores_of_another_tree_do_not_match_its_labels(files, tree, root):
    table = offkey.load(files / "spectral.offkey").score(fans(tree).test)
    with pytest.raises(DatasetError, match="labels that do not match files: 8 scored files are not among"):
        offkey.evaluate(table, fans(root).test)


# ---------------------------------------------------------------------------------------- saved detectors


def altered(source, target, change):
    """Write a detector file anew, with its checksum, after `change(arrays, metadata)`."""
    arrays, metadata = detector_file.read(source)
    arrays = {name: array.copy() for name, array in arrays.items()}
    arrays, metadata = change(arrays, metadata) or (arrays, metadata)
    for name in ("format_version", "offkey_version"):
        metadata.pop(name, None)
    detector_file.write(target, arrays, metadata)
    return target


@pytest.mark.parametrize("name", RECIPES)
def test_a_flipped_byte_a_cut_and_a_stranger_are_refused_by_name(files, tmp_path, name):
    data = (files / f"{name}.offkey").read_bytes()
    path = tmp_path / "x.offkey"
    for at in np.linspace(0, len(data) - 1, 12).astype(int):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(DetectorFileError, match=r"x\.offkey"):
            offkey.load(path)
        path.write_bytes(data[:at])
        with pytest.raises(DetectorFileError, match=r"x\.offkey"):
            offkey.load(path)


def test_a_newer_format_names_both_versions(files, tmp_path):
    arrays, metadata = detector_file.read(files / "spectral.offkey")
    newer = metadata | {"format_version": 7, "offkey_version": "9.9"}
    detector_file.write(tmp_path / "new.offkey", arrays, newer)
    with pytest.raises(DetectorFileError, match=r"new\.offkey: written by offkey 9\.9 in format 7.*upgrade"):
        offkey.load(tmp_path / "new.offkey")


def shapes_of(array):
    """Arrays that cannot be right in the place of `array`."""
    yield array[..., :-1] if array.ndim and array.shape[-1] > 1 else np.stack([array] * 3)
    yield np.stack([array, array])
    yield np.zeros(0, array.dtype)
    if array.dtype.kind == "f" and array.size:
        yield np.full_like(array, np.nan)
    if array.dtype.kind == "i" and array.size:
        yield np.full_like(array, 10_000)


@pytest.mark.parametrize("name", ["spectral", "tiny"])
def test_arrays_that_contradict_the_recipe_are_refused_as_a_damaged_file(files, tmp_path, name):
    source = files / f"{name}.offkey"
    arrays, _ = detector_file.read(source)
    tried = 0
    for key, array in arrays.items():
        if any(part in key for part in ("num_batches_tracked", "shrinkages", "augmentation_head")):
            continue  # no score depends on their values
        wrongs = list(shapes_of(array))
        if key.startswith(
            "network.model."
        ):  # torch takes all weights the same way: a wrong shape, a wrong value
            wrongs = [wrongs[0], wrongs[-1]]
        for wrong in wrongs:
            path = altered(source, tmp_path / "x.offkey", lambda a, m, k=key, w=wrong: (a | {k: w}, m))
            with pytest.raises(DetectorFileError, match=r"x\.offkey: "):
                offkey.load(path)
            tried += 1
        path = altered(
            source, tmp_path / "x.offkey", lambda a, m, k=key: ({n: v for n, v in a.items() if n != k}, m)
        )
        with pytest.raises(DetectorFileError, match=r"x\.offkey: "):
            offkey.load(path)
    assert tried > 20


def paths_in(tree, start=()):
    """All places in a tree of plain data."""
    yield start
    for key, value in tree.items() if isinstance(tree, dict) else ():
        yield from paths_in(value, (*start, key))


@pytest.mark.parametrize("name", ["spectral", "tiny"])
@pytest.mark.parametrize("wrong", [None, "x", [1, None], {}, -1.5])
def test_metadata_of_another_kind_never_ends_in_a_foreign_error(files, tmp_path, name, wrong):
    _, metadata = detector_file.read(files / f"{name}.offkey")
    places = set(paths_in(metadata))
    if name != "spectral":  # what all detectors have is tried once
        places -= set(paths_in(detector_file.read(files / "spectral.offkey")[1]))
    assert len(places) > 40
    for place in sorted(places):
        if not place or place[0] in ("format_version", "offkey_version"):
            continue

        def change(arrays, tree, place=place):
            node = tree
            for key in place[:-1]:
                node = node[key]
            node[place[-1]] = wrong
            return arrays, tree

        path = altered(files / f"{name}.offkey", tmp_path / "x.offkey", change)
        try:
            offkey.load(path).describe()
        except DetectorFileError as error:
            assert "x.offkey" in str(error)  # noqa: PT017 - what is not needed may be of any kind


def test_models_that_do_not_fit_the_recipe(files, tmp_path):
    def other_recipe(arrays, metadata):
        return arrays, metadata | {"recipe": TINY.to_json()}

    with pytest.raises(DetectorFileError, match="models: has spectral; its recipe asks for network"):
        offkey.load(altered(files / "spectral.offkey", tmp_path / "x.offkey", other_recipe))

    def future_recipe(arrays, metadata):
        return arrays, metadata | {"recipe": json.dumps({**json.loads(metadata["recipe"]), "aura": 1})}

    with pytest.raises(DetectorFileError, match=r"x\.offkey: .*unknown field `aura`"):
        offkey.load(altered(files / "spectral.offkey", tmp_path / "x.offkey", future_recipe))

    def other_ids(arrays, metadata):
        fusion = json.loads(json.dumps(metadata["fusion"]).replace('"00"', '"01"'))
        return arrays, metadata | {"fusion": fusion}

    with pytest.raises(DetectorFileError, match="for the IDs"):
        offkey.load(altered(files / "both.offkey", tmp_path / "x.offkey", other_ids))


def test_saving_where_one_cannot_leaves_what_was_there(files, tmp_path):
    detector = offkey.load(files / "spectral.offkey")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        detector.save(tmp_path / "folder")
    with pytest.raises(FileNotFoundError, match="make it first"):
        detector.save(tmp_path / "none" / "fan.offkey")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_log_mels_of_other_mel_bins_are_refused(files, tree):
    detector = offkey.load(files / "tiny.offkey")
    with pytest.raises(ValueError, match="64 Mel bins"):
        detector.score(LogMelArrays(logmels=np.zeros((2, 64, 9), np.float32), machine_ids=("00", "00")))
