"""The loader of any folder: names understood, patterns, manifests."""

import unicodedata

import pytest
from trees import dcase_names, mimii_names, touch

from offkey.datasets import (
    dcase2020,
    detect_layout,
    find_audio,
    folder,
    list_machines,
    load,
    parse_machine_id,
)
from offkey.errors import DatasetError


def rows(data):
    return {c.path.name: (c.machine_type, c.machine_id, c.split, c.label) for c in data.clips}


def test_a_plain_folder_is_one_machine_all_normal(tmp_path):
    data = folder(touch(tmp_path / "lathe", ["a.wav", "b.FLAC", "notes.txt"]))
    assert data.machine == "lathe"
    assert rows(data) == {"a.wav": ("lathe", "00", "train", 0), "b.FLAC": ("lathe", "00", "train", 0)}
    assert "no test clips: nothing to evaluate on" in data.notes


def test_subfolders_are_ids(tmp_path):
    data = folder(touch(tmp_path, ["north/a.wav", "south/b.wav"]), machine="lathe")
    assert rows(data) == {"a.wav": ("lathe", "north", "train", 0), "b.wav": ("lathe", "south", "train", 0)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/normal/x.wav", ("m", "00", "train", 0)),
        ("test/abnormal/x.wav", ("m", "00", "test", 1)),
        ("abnormal/x.wav", ("m", "00", "test", 1)),
        ("id_03/anomaly/x.wav", ("m", "03", "test", 1)),
        ("anomaly_id_03_7.wav", ("m", "03", "test", 1)),
        ("fan_abnormal_969.wav", ("m", "00", "test", 1)),
        ("test/x.wav", ("m", "00", "test", None)),
        ("abnormality.wav", ("m", "00", "test", 1)),
        ("normandy.wav", ("m", "00", "train", 0)),
    ],
)
def test_plain_names_are_understood(tmp_path, name, expected):
    data = folder(touch(tmp_path / "m", ["id_00/train/normal/other.wav", name]), machine="m")
    assert rows(data)[name.rsplit("/", 1)[-1]] == expected


def test_with_an_id_the_other_folder_is_the_type(tmp_path):
    root = touch(tmp_path, ["fan/id_00/a.wav", "pump/id_02/b.wav"])
    data = folder(root, machine="fan")
    assert rows(data) == {"a.wav": ("fan", "00", "train", 0), "b.wav": ("pump", "02", "train", 0)}
    assert len(data.others) == 1


def test_pattern_reads_dcase_as_its_own_loader_does(tmp_path):
    root = touch(tmp_path, dcase_names("fan", ["00", "02"]) + dcase_names("pump", ["00"]))
    data = folder(root, pattern="{machine_type}/{split}/{label}_id_{machine_id}_*.wav", machine="fan")
    own = dcase2020(root, machine="fan")
    assert list(data.train) == list(own.train)
    assert list(data.test) == list(own.test)
    assert list(data.others) == list(own.others)


def test_pattern_wildcards_domain_and_group(tmp_path):
    names = ["x/y/source/rec1-0.wav", "x/source/rec1-1.wav", "source/rec2-0.wav", "other.wav"]
    data = folder(touch(tmp_path, names), pattern="**/{domain}/{group}-?.wav", machine="m")
    assert {(c.domain, c.group) for c in data.clips} == {("source", "rec1"), ("source", "rec2")}
    assert any("1 sound file: other.wav (does not match pattern" in note for note in data.notes)


def test_pattern_characters_are_literal(tmp_path):
    data = folder(touch(tmp_path, ["a.b+c(1).wav", "aXb+c(1).wav"]), pattern="a.b+c(1).wav", machine="m")
    assert len(data.clips) == 1


def test_manifest_with_other_column_names(tmp_path):
    touch(tmp_path, ["s/a.wav", "s/b.wav", "s/c.wav", "s/d.wav"])
    (tmp_path / "list.csv").write_text(
        "Path,type,id,split,label,domain,source,colour\n"
        "s/a.wav,fan,01,train,0,source,rec 1,red\n"
        "s/b.wav,fan,01,train,normal,target,rec 1,red\n"
        "\n"
        "s/c.wav,fan,02,test,abnormal,,,\n"
        '"s/d.wav",pump,,train,NORMAL,,,\n'
    )
    data = folder(tmp_path, manifest="list.csv", machine="fan")
    a, b, c, d = data.clips
    assert (a.machine_id, a.split, a.label, a.domain, a.group) == ("01", "train", 0, "source", "rec 1")
    assert (b.domain, b.group) == ("target", "rec 1")
    assert (c.machine_id, c.split, c.label, c.domain, c.group) == ("02", "test", 1, None, str(c.path))
    assert (d.machine_type, d.machine_id) == ("pump", None)
    assert any("ID 02 only in the test part" in note for note in data.notes)


def test_a_manifest_is_looked_for_as_every_path_then_in_the_root(tmp_path, monkeypatch):
    root = touch(tmp_path / "rec", ["a.wav", "b.wav"])
    (root / "inside.csv").write_text("file,label\na.wav,normal\n")
    (tmp_path / "here.csv").write_text("file,label\na.wav,normal\nb.wav,normal\n")
    monkeypatch.chdir(tmp_path)
    assert len(folder("rec", manifest="here.csv").train) == 2
    assert len(folder("rec", manifest="rec/inside.csv").train) == 1
    assert len(folder("rec", manifest="inside.csv").train) == 1
    (tmp_path / "inside.csv").write_text("file,label\na.wav,normal\nb.wav,normal\n")
    assert len(folder("rec", manifest="inside.csv").train) == 2
    with pytest.raises(
        FileNotFoundError, match=r"none\.csv: no such manifest, neither in the current folder nor in rec"
    ):
        folder("rec", manifest="none.csv")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_manifest_meets_files_in_the_other_form_of_unicode(tmp_path, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    touch(tmp_path, [unicodedata.normalize(form, f"Lüfter/é{i}.wav") for i in range(3)])
    lines = [unicodedata.normalize(other, f"Lüfter/é{i}.wav,ok,Ö") for i in range(3)]
    (tmp_path / "m.csv").write_text("\n".join(["file,label,id", *lines]), encoding="utf-8")
    data = folder(tmp_path, manifest="m.csv")
    assert all(c.path.is_file() for c in data.train)
    assert set(data.train.machine_ids) == {"Ö"}


def test_a_manifest_with_the_backslashes_of_windows(tmp_path):
    touch(tmp_path / "rec", ["a/b/1.wav"])
    (tmp_path / "rec" / "m.csv").write_text("file,label\na\\b\\1.wav,ok\n")
    assert folder(tmp_path / "rec", manifest="m.csv").train[0].path == tmp_path / "rec" / "a" / "b" / "1.wav"


def test_a_pattern_meets_either_form_of_unicode(tmp_path):
    touch(tmp_path, [unicodedata.normalize(form, f"Lüfter/{form}.wav") for form in ("NFC", "NFD")])
    assert len(folder(tmp_path, pattern="Lüfter/*.wav").train) == 2


def test_manifest_unknown_labels(tmp_path):
    touch(tmp_path, ["a.wav", "b.wav", "c.wav"])
    (tmp_path / "m.csv").write_text("file,label,split\na.wav,0,train\nb.wav,,train\nc.wav,,\n")
    data = folder(tmp_path, manifest=tmp_path / "m.csv")
    assert [c.label for c in data.clips] == [0, None, None]
    assert [c.split for c in data.clips] == ["train", "train", "test"]
    assert len(data.train) == 1
    assert any("1 training clips without a label are left out" in note for note in data.notes)


def test_anomalies_in_the_training_part_are_left_out(tmp_path):
    root = touch(tmp_path, ["train/normal/a.wav", "train/normal/b.wav", "train/anomaly/c.wav"])
    data = folder(root)
    assert len(data.train) == 2
    assert any("1 anomalous training clips are left out" in note for note in data.notes)


def manifest_of_groups(root, groups=10, clips=4):
    names = [f"{g}_{i}.wav" for g in range(groups) for i in range(clips)]
    touch(root, names)
    lines = [f"{n},normal,{n.split('_')[0]},01" for n in names]
    (root / "m.csv").write_text("file,label,group,id\n" + "\n".join(lines) + "\n")
    return root


def test_test_fraction_keeps_recordings_whole(tmp_path):
    root = manifest_of_groups(tmp_path)
    data = folder(root, manifest="m.csv", test_fraction=0.3)
    assert len(data.test) == 12
    assert not set(data.test.groups) & set(data.train.groups)
    assert folder(root, manifest="m.csv", test_fraction=0.3).test.paths == data.test.paths
    assert folder(root, manifest="m.csv", test_fraction=0.3, seed=1).test.paths != data.test.paths
    assert not len(folder(root, manifest="m.csv").test)


def test_test_fraction_never_takes_the_last_recording(tmp_path):
    root = manifest_of_groups(tmp_path, groups=1)
    assert len(folder(root, manifest="m.csv", test_fraction=0.9).train) == 4


def test_a_recording_in_both_parts_is_noted(tmp_path):
    touch(tmp_path, ["a.wav", "b.wav"])
    (tmp_path / "m.csv").write_text("file,label,split,group\na.wav,0,train,one\nb.wav,0,test,one\n")
    notes = folder(tmp_path, manifest="m.csv").notes
    assert any("1 recordings have clips in both training and test, the first: one" in note for note in notes)


def test_others_from_another_folder(tmp_path):
    fan = folder(touch(tmp_path / "fan", ["a.wav"]))
    pump = folder(touch(tmp_path / "pump", ["a.wav", "abnormal/b.wav"]))
    both = fan.with_others(pump)
    assert len(both.others) == 1
    assert len(both.train) == 1
    assert not any("pseudo-anomalies" in note for note in both.notes)
    with pytest.raises(ValueError, match="'fan' is the target type"):
        fan.with_others(fan)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("normal_id_00_00000001.wav", "00"),
        ("id_07/id_03_1.wav", "03"),
        ("id_07/sub/1.wav", "07"),
        ("fan-id_B2.wav", "B2"),
        ("valid_00.wav", None),
        ("id_/x.wav", None),
    ],
)
def test_parse_machine_id(path, expected):
    assert parse_machine_id(path) == expected


def test_find_audio_takes_files_and_folders(tmp_path):
    root = touch(tmp_path, ["b.wav", "a.mp3", "sub/c.aiff", "odd.bin"])
    assert [p.name for p in find_audio(root)] == ["a.mp3", "b.wav", "c.aiff"]
    assert find_audio(root / "b.wav") == [root / "b.wav"]
    assert find_audio([str(root / "odd.bin"), root, root / "b.wav"]) == [
        root / "odd.bin",
        *find_audio(root),
        root / "b.wav",
    ]


def test_layout_of_a_folder(tmp_path):
    assert detect_layout(touch(tmp_path / "plain", ["n/a.wav"])) == "folder"
    assert list_machines(tmp_path / "plain") == {"plain": ["n"]}
    dev = touch(tmp_path / "dev", dcase_names("fan", ["00"]))
    assert detect_layout(dev) == "dcase2020"
    assert list_machines(dev) == {"fan": ["00"]}


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["85dB/1.wav", "70dB/2.wav"], "folder"),
        (["0dB/fan/normal/1.wav", "6dB/fan/normal/1.wav"], "folder"),
        (["-6_dB_fan/x/1.wav"], "folder"),
        (["fan/train/normal/1.wav", "fan/test/abnormal/1.wav"], "folder"),
        (["fan/train/good_1.wav", "fan/test/bad_1.wav"], "folder"),
        (["train/1.wav", "test/1.wav"], "folder"),
        (["train/fan/normal_id_00_1.wav"], "dcase2020"),
        (["fan/test/id_01_1.wav", "fan/train/x.wav"], "dcase2020"),
        (["dev/fan/train/normal_id_00_1.wav"], "dcase2020"),
        (mimii_names("0_dB/fan", ["00"]), "mimii"),
        (mimii_names("min6dB_fan", ["00"]), "mimii"),
    ],
)
def test_a_public_layout_needs_its_ids(tmp_path, names, layout):
    assert detect_layout(touch(tmp_path / "d", names)) == layout
    assert list_machines(tmp_path / "d")


def test_refusals_of_a_layout_that_was_guessed_name_the_way_out(tmp_path):
    root = touch(tmp_path / "d", [*dcase_names("fan", ["00"]), "fan/test/odd_1.wav"])
    with pytest.raises(
        DatasetError, match=r"odd_1\.wav.*the layout dcase2020; --layout folder reads it as a tree"
    ):
        load(root)
    with pytest.raises(DatasetError) as caught:
        load(root, layout="dcase2020")
    assert "--layout" not in str(caught.value)


def test_labels_are_no_machines_in_the_list_of_them(tmp_path):
    names = ["press/ok/1.wav", "press/ng/2.wav", "before_fault/3.wav", "lathe/normal speed/4.wav"]
    assert list_machines(touch(tmp_path / "d", names)) == {"d": ["00", "lathe", "press"]}
