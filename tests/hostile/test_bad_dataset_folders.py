"""Folders, lists and manifests that are not what they should be: each error names the culprit."""

import pytest
from trees import dcase_names, mimii_names, touch

import offkey
from offkey.datasets import dcase2020, find_audio, folder, list_machines, mimii
from offkey.datasets.dcase import read_eval_list
from offkey.errors import DatasetError, ParameterError

LOADERS = [
    lambda root: dcase2020(root, machine="fan"),
    lambda root: mimii(root, machine="fan", snr_db=0),
    lambda root: folder(root),
    find_audio,
    list_machines,
]


@pytest.mark.parametrize("load", LOADERS)
def test_missing_folder(tmp_path, load):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("load", LOADERS)
def test_empty_folder(tmp_path, load):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty"):
        load(tmp_path / "empty")


@pytest.mark.parametrize("load", LOADERS[:3])
def test_a_file_for_a_folder(tmp_path, load):
    (tmp_path / "file.wav").touch()
    with pytest.raises(DatasetError, match=r"file\.wav: expected a folder"):
        load(tmp_path / "file.wav")


@pytest.mark.parametrize(
    ("names", "load"),
    [
        (dcase_names("fan", ["00"], train=0), lambda root: dcase2020(root, machine="fan")),
        (mimii_names("0_dB/fan", ["00"], normal=0), lambda root: mimii(root, machine="fan", snr_db=0)),
        (["abnormal/1.wav", "test/abnormal/2.wav"], lambda root: folder(root, machine="fan")),
    ],
)
def test_without_normals_nothing_is_learned(tmp_path, names, load):
    data = load(touch(tmp_path, names))
    assert "no normal training clips: nothing to train on" in data.notes
    with pytest.raises(DatasetError, match=r"'fan' has \d+ clips, but no normal training clip"):
        offkey.Detector().fit(data)


def test_stray_names_in_a_dcase_folder(tmp_path):
    root = touch(tmp_path, [*dcase_names("fan", ["00"]), "fan/test/monday.wav"])
    with pytest.raises(DatasetError, match=r"1 of 5 file names .* monday\.wav"):
        dcase2020(root, machine="fan")


def test_hidden_and_other_files_are_passed_over(tmp_path):
    names = ["fan/train/._normal_id_00_1.wav", "fan/train/notes.txt", ".cache/train/x.wav", "fan/.x/y.wav"]
    root = touch(tmp_path, [*dcase_names("fan", ["00"]), *names])
    assert len(dcase2020(root, machine="fan").clips) == 7
    assert len(find_audio(root)) == 7


def test_the_same_part_twice(tmp_path):
    root = touch(tmp_path / "dev", dcase_names("fan", ["00"]))
    with pytest.raises(DatasetError, match="given twice"):
        dcase2020(root, machine="fan", also=root / ".." / "dev")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.wav,b.wav,0\n", "line 1: expected a machine type alone"),
        ("fan\na.wav,b.wav,2\n", "line 2: .*'a.wav,b.wav,2'"),
        ("fan\na.wav,b.wav,\n", "line 2"),
        ("fan\na.wav,b.wav,0\na.wav,c.wav,1\n", "line 3: a.wav is listed twice"),
    ],
)
def test_malformed_label_list(tmp_path, text, message):
    path = tmp_path / "eval_data_list.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_eval_list(path)


def test_label_list_that_does_not_match(tmp_path):
    names = [*dcase_names("fan", ["00"]), "fan/test/id_01_1.wav", "fan/test/id_01_2.wav"]
    root = touch(tmp_path, names)
    (root / "eval_data_list.csv").write_text("fan\nid_01_1.wav,x.wav,0\nid_01_7.wav,y.wav,1\n")
    with pytest.raises(
        DatasetError, match=r"1 files not in the list \(id_01_2\.wav\), 1 listed .*id_01_7\.wav"
    ):
        dcase2020(root, machine="fan")
    (root / "eval_data_list.csv").write_text("pump\nid_01_1.wav,x.wav,0\n")
    with pytest.raises(DatasetError, match=r"files of 'fan': 2 files not in the list"):
        dcase2020(root, machine="fan")


def test_mimii_without_an_snr_folder(tmp_path):
    root = touch(tmp_path, mimii_names("fan", ["00"]))
    with pytest.raises(DatasetError, match=r"no folder of an SNR.*found fan"):
        mimii(root, machine="fan", snr_db=0)


def test_mimii_other_snr_and_other_type(tmp_path):
    root = touch(tmp_path, mimii_names("6_dB_fan", ["00"]) + mimii_names("-6_dB_pump", ["00"]))
    with pytest.raises(DatasetError, match="nothing at 0 dB; found: -6, 6 dB"):
        mimii(root, machine="fan", snr_db=0)
    with pytest.raises(DatasetError, match="at 6 dB: no machine type 'pump'; found: fan"):
        mimii(root, machine="pump", snr_db=6)


def test_mimii_split_that_leaves_nothing_to_train_on(tmp_path):
    root = touch(tmp_path, mimii_names("0_dB/fan", ["04"], normal=3, abnormal=3))
    with pytest.raises(DatasetError, match=r"id_04: 3 normal and 3 abnormal .*use split='random75'"):
        mimii(root, machine="fan", snr_db=0)
    assert len(mimii(root, machine="fan", snr_db=0, split="random75").train) == 2


def test_mimii_twice_and_nameless(tmp_path):
    root = touch(tmp_path / "a", mimii_names("0_dB_fan", ["00"]) + mimii_names("0_dB/fan", ["00"]))
    with pytest.raises(DatasetError, match="'fan' at 0 dB comes twice"):
        mimii(root, machine="fan", snr_db=0)
    root = touch(tmp_path / "b", mimii_names("0_dB", ["00"]))
    with pytest.raises(DatasetError, match="does not say of which machine type"):
        mimii(root, machine="fan", snr_db=0)


def test_mimii_unknown_split(tmp_path):
    with pytest.raises(ParameterError, match=r"'half': expected one of hitachi, random75"):
        mimii(tmp_path, machine="fan", snr_db=0, split="half")


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ([], DatasetError, "no column 'file' or 'path' or 'filename' and no column 'label'"),
        (["file,id"], DatasetError, "no column 'label'; its header is 'file,id'"),
        (["file,label"], DatasetError, "a header, but no row"),
        (
            ["file,label", "a.wav,odd"],
            DatasetError,
            "line 2: label 'odd'; expected a word for healthy or faulty",
        ),
        (["file,label,split", "a.wav,normal,dev"], DatasetError, "line 2: split 'dev'"),
        (["file,label", "a.wav"], DatasetError, "line 2: 1 cells, but the header has 2"),
        (["file,label", ",normal"], DatasetError, "line 2: the name of the file is empty"),
        (["file,label", "a.wav,0", "lost.wav,0"], FileNotFoundError, r"1 of 2 files .*lost\.wav"),
        (["file,label", "a.wav,0", "./a.wav,1"], DatasetError, r"1 files are listed more than once.*a\.wav"),
    ],
)
def test_bad_manifests(tmp_path, lines, error, message):
    touch(tmp_path, ["a.wav"])
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    with pytest.raises(error, match=message):
        folder(tmp_path, manifest="manifest.csv")


def test_manifest_that_is_none(tmp_path):
    touch(tmp_path, ["a.wav"])
    with pytest.raises(FileNotFoundError, match=r"manifest\.csv: no such manifest"):
        folder(tmp_path, manifest="manifest.csv")
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DatasetError, match="begins as UTF-16, but is none"):
        folder(tmp_path, manifest="manifest.csv")


@pytest.mark.parametrize("pattern", ["{kind}/*.wav", "{label}{label}.wav", "{label/*.wav", "{}*.wav"])
def test_malformed_patterns(tmp_path, pattern):
    touch(tmp_path, ["a.wav"])
    with pytest.raises(ParameterError, match="not understood; expected each of"):
        folder(tmp_path, pattern=pattern)


def test_pattern_that_matches_nothing_shows_what_is_there(tmp_path):
    touch(tmp_path, ["monday/a.wav"])
    with pytest.raises(DatasetError, match=r"none of the 1 sound files .*monday/a\.wav"):
        folder(tmp_path, pattern="{label}/*.flac")


def test_pattern_with_a_bad_label_names_the_file(tmp_path):
    touch(tmp_path, ["odd/a.wav"])
    with pytest.raises(DatasetError, match=r"odd/a\.wav by pattern .*label 'odd'"):
        folder(tmp_path, pattern="{label}/*.wav")


def test_contradicting_parameters(tmp_path):
    with pytest.raises(ParameterError, match="given both"):
        folder(tmp_path, pattern="*", manifest="m.csv")
    for fraction in (-0.1, 1.1, float("nan")):
        with pytest.raises(ParameterError, match="test_fraction"):
            folder(tmp_path, test_fraction=fraction)


def test_several_types_and_none_named(tmp_path):
    touch(tmp_path, ["fan/id_00/a.wav", "pump/id_00/a.wav"])
    with pytest.raises(DatasetError, match="several machine types: fan, pump; name one"):
        folder(tmp_path)


def test_a_loop_of_links_ends(tmp_path):
    touch(tmp_path, ["a.wav", "inner/b.wav"])
    (tmp_path / "inner" / "back").symlink_to(tmp_path, target_is_directory=True)
    assert [p.name for p in find_audio(tmp_path)] == ["a.wav", "b.wav"]


def test_nothing_to_find(tmp_path):
    with pytest.raises(DatasetError, match="an empty list: no sound file"):
        find_audio([])
    touch(tmp_path, ["notes.txt"])
    with pytest.raises(DatasetError, match=r"no sound file found; expected files that end in \.aif"):
        find_audio(tmp_path)
