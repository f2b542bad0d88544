"""What the names below a root say of recordings, whatever lies above it."""

import os
import unicodedata
from pathlib import Path

import pytest
from trees import dcase_names, mimii_names, touch

from offkey.datasets import dcase2020, folder, load, mimii
from offkey.errors import DatasetError, OffkeyError, ParameterError


def labels(data, root):
    return {c.path.relative_to(root).as_posix(): (c.split, c.label) for c in data.clips}


def trained(data, root):
    return sorted(c.path.relative_to(root).as_posix() for c in data.train)


PAIRS = [
    ("healthy", "faulty"),
    ("OK", "NG"),
    ("good", "bad"),
    ("normal", "anomalies"),
    ("i.O", "n.i.O"),
    ("iO", "niO"),
    ("ok", "not_ok"),
    ("no_fault", "fault"),
    ("fault-free", "defective"),
    ("gesund", "defekt"),
    ("fehlerfrei", "fehlerhaft"),
    ("sans défaut", "défaut"),
    ("sin fallo", "fallo"),
    ("normale", "anormale"),
    ("норма", "неисправность"),
    ("正常", "異常"),
    ("良品", "不良品"),
    ("正常", "异常"),
    ("정상", "불량"),
    ("normal_1", "abnormal_2"),
    ("pump_ok", "pump_ng"),
]


@pytest.mark.parametrize(("healthy", "faulty"), PAIRS)
@pytest.mark.parametrize("tree", ["{}/x{}.wav", "press-a/{}/x{}.wav", "{}/press-a/x{}.wav", "{}_{}.wav"])
def test_pairs_of_words_at_every_place(tmp_path, healthy, faulty, tree):
    names = [tree.format(word, i) for word in (healthy, faulty) for i in range(3)]
    data = folder(touch(tmp_path, names))
    assert trained(data, tmp_path) == sorted(names[:3])
    assert sorted(labels(data, tmp_path).values()) == [("test", 1)] * 3 + [("train", 0)] * 3
    assert set(data.clips.machine_ids) == {"press-a" if "press" in tree else "00"}


CONTRADICTIONS = [
    ("abnormal/normal_1.wav", "'abnormal' faulty"),
    ("normal/abnormal/1.wav", "folder 'normal' says healthy, but folder 'abnormal' faulty"),
    ("NG/2026/OK/1.wav", "'NG' faulty"),
    ("normal/pump_bad_3.wav", "the file name faulty"),
    ("normal/bad weather 3.wav", "folder 'normal' says healthy, but the file name speaks of a fault"),
    ("normal/before_fault/1.wav", "folder 'before_fault' speaks of a fault"),
    ("good/abnormally_loud.wav", "speaks of a fault"),
    ("healthy/no_fault_found.wav", "speaks of a fault"),
    ("train/good/NG.wav", "the file name faulty"),
    ("正常/異常/1.wav", "'異常' faulty"),
]


@pytest.mark.parametrize(("name", "message"), CONTRADICTIONS)
def test_contradictions_are_refused_with_what_mends_them(tmp_path, name, message):
    root = touch(tmp_path / "d", ["normal/a.wav", "normal/b.wav", name])
    with pytest.raises(DatasetError, match="1 of 3 recordings") as caught:
        folder(root)
    for part in (name, message, "--label", "--pattern", "--manifest", "labels={"):
        assert part in str(caught.value)
    assert labels(folder(root, labels={name: "faulty"}), root)[name][1] == 1
    assert labels(folder(root, labels={name: "healthy"}), root)[name][1] == 0


@pytest.mark.parametrize(
    "name",
    [
        *(
            "before_fault/1.wav",
            "normal_speed/1.wav",
            "after_repair/1.wav",
            "x/bad_day_1.wav",
            "normal load.wav",
        ),
        *(
            "ok_to_ng/1.wav",
            "unknown/1.wav",
            "test/abnormally_quiet/1.wav",
            "OK_Industries/1.wav",
            "lot_7_ng.wav",
        ),
    ],
)
def test_what_does_not_decide_is_asked_for(tmp_path, name):
    root = touch(tmp_path / "d", ["press-a/a.wav", "press-a/b.wav", name])
    with pytest.raises(DatasetError, match=r"speaks of a state, but does not say whether healthy or faulty"):
        folder(root)
    folder(root, labels={name: "healthy"})


def test_a_word_in_a_file_name_does_not_outdo_its_folder(tmp_path):
    names = [f"{part}/run {i} normal speed.wav" for part in ("normal", "abnormal") for i in range(3)]
    data = folder(touch(tmp_path / "d", names))
    assert len(data.train) == 3
    assert {c.path.parent.name for c in data.train} == {"normal"}


def test_folders_above_the_root_count_for_nothing(tmp_path, monkeypatch):
    inside = touch(tmp_path / "faulty" / "id_09" / "test" / "d", ["press-a/1.wav", "press-b/2.wav"])
    (tmp_path / "link").symlink_to(inside)
    expected = {"1.wav": ("press-a", "train", 0), "2.wav": ("press-b", "train", 0)}

    def read(root):
        data = folder(root)
        return {c.path.name: (c.machine_id, c.split, c.label) for c in data.clips}

    monkeypatch.chdir(inside)
    spellings = (inside, str(inside) + "/", ".", "./", f"../{inside.name}", "../d/../d", tmp_path / "link")
    assert [read(root) for root in spellings] == [expected] * len(spellings)


@pytest.mark.parametrize("name", ["healthy", "normal", "good_3", "train", "before_fault", "正常"])
def test_a_folder_with_a_label_or_split_as_name_is_no_machine_type(tmp_path, name, monkeypatch):
    root = touch(tmp_path / name, ["a.wav"])
    assert folder(root).machine == "machine"
    assert folder(root, machine="press").machine == "press"
    monkeypatch.chdir(root)
    assert folder(".").machine == "machine"


def test_a_folder_named_for_faults_is_not_learned_from(tmp_path):
    root = touch(tmp_path / "faulty", ["a.wav", "press-a/b.wav"])
    with pytest.raises(DatasetError, match=r"the name of the folder says faulty.*'\*=healthy'"):
        folder(root)
    assert len(folder(root, labels={"*": "healthy"}).train) == 2
    assert len(folder(touch(tmp_path / "bad", ["ok/a.wav", "ng/b.wav"])).train) == 1


def test_folders_beside_one_of_healthy_ones_are_kinds_of_fault(tmp_path):
    names = ["normal/1.wav", "overhang/1.wav", "underhang/2 g/1.wav", "broken_large/1.wav"]
    root = touch(tmp_path / "d", names)
    data = folder(root)
    assert trained(data, root) == ["normal/1.wav"]
    assert labels(data, root)["underhang/2 g/1.wav"] == ("test", 1)
    assert any("3 recordings are taken for faulty" in note and "'overhang'" in note for note in data.notes)
    assert len(folder(root, labels={"overhang": "healthy"}).train) == 2


def test_the_layout_of_mvtec(tmp_path):
    names = [
        "train/good/0.wav",
        "train/good/1.wav",
        "test/good/0.wav",
        "test/scratch/0.wav",
        "test/broken_small/1.wav",
    ]
    root = touch(tmp_path / "bottle", names)
    data = load(root)
    assert data.machine == "bottle"
    assert labels(data, root) == {
        "train/good/0.wav": ("train", 0),
        "train/good/1.wav": ("train", 0),
        "test/good/0.wav": ("test", 0),
        "test/scratch/0.wav": ("test", 1),
        "test/broken_small/1.wav": ("test", 1),
    }
    assert set(data.clips.machine_ids) == {"00"}


@pytest.mark.parametrize(
    "parts",
    [
        ("train/normal", "test/normal", "test/abnormal"),
        ("train_normal", "test_normal", "test_abnormal"),
        ("normal/train", "normal/test", "abnormal/test"),
        ("training/ok", "testing/ok", "testing/ng"),
    ],
)
def test_own_trees_of_training_and_test(tmp_path, parts):
    root = touch(tmp_path / "press", [f"{part}/{i}.wav" for part in parts for i in range(2)])
    data = load(root)
    assert [len(data.train), int((data.test.labels == 0).sum()), int((data.test.labels == 1).sum())] == [
        2,
        2,
        2,
    ]
    assert (data.machine, set(data.clips.machine_ids)) == ("press", {"00"})


@pytest.mark.parametrize(
    "names",
    [
        ["normal_1.wav", "normal_2.wav", "IR007_3.wav"],
        ["d/press_ok_1.wav", "d/press_scratch_2.wav"],
        ["normal/1.wav", "2.wav"],
        ["train/good/1.wav", "train/2.wav"],
    ],
)
def test_what_says_nothing_in_a_folder_where_others_say_healthy_is_asked_for(tmp_path, names):
    root = touch(tmp_path / "d", names)
    with pytest.raises(DatasetError, match=r"1 of .*says nothing, in a folder where other names say healthy"):
        folder(root)
    assert trained(folder(root, labels={names[-1]: "faulty"}), root) == names[:-1]
    assert trained(folder(root, labels={names[-1]: "healthy"}), root) == sorted(names)


def test_what_says_nothing_beside_faults_is_healthy(tmp_path):
    root = touch(tmp_path / "d", ["1.wav", "2.wav", "abnormal_3.wav", "NG/4.wav"])
    assert trained(folder(root), root) == ["1.wav", "2.wav"]


def test_recordings_that_say_nothing_beside_some_that_do_are_said_aloud(tmp_path):
    data = folder(touch(tmp_path / "d", ["press-a/normal/1.wav", "press-a/normal/2.wav", "press-b/1.wav"]))
    assert len(data.train) == 3
    assert any(
        "1 recordings say nothing of their state" in note and "press-b/1.wav" in note for note in data.notes
    )


def test_the_table_says_where_labels_and_ids_come_from(tmp_path):
    names = ["press-a/normal/1.wav", "id_07_ng.wav", "press-b/2.wav"]
    clips = {c.path.name: c for c in folder(touch(tmp_path / "d", names), labels={"2.wav": "ok"}).clips}
    assert clips["1.wav"].label_from == "folder 'normal'"
    assert clips["1.wav"].id_from == "the names of folders"
    assert (clips["id_07_ng.wav"].label_from, clips["id_07_ng.wav"].id_from) == (
        "the file name",
        "id_XX in file names",
    )
    assert clips["2.wav"].label_from == "told: 2.wav=healthy"


# ------------------------------------------------------------------------------------------ labels that are told


def test_patterns_of_labels(tmp_path):
    names = ["a/run_1.wav", "a/run_2.wav", "b/Lüfter.wav", "b/c/x.wav", "d/y.wav"]
    root = touch(tmp_path / "d", names)

    def faulty(**patterns):
        data = folder(root, labels=patterns.get("labels"), machine="m")
        return sorted(c.path.relative_to(root).as_posix() for c in data.clips if c.label == 1)

    assert faulty(labels={"run_*": "faulty"}) == names[:2]
    assert faulty(labels={"RUN_1.WAV": "NG"}) == names[:1]
    assert faulty(labels={"b": 1}) == ["b/Lüfter.wav", "b/c/x.wav"]
    assert faulty(labels={"b/c/*": "1"}) == ["b/c/x.wav"]
    assert faulty(labels={unicodedata.normalize("NFD", "lüfter"): "defekt"}) == ["b/Lüfter.wav"]
    assert faulty(labels={"*": "faulty", "d": "healthy"}) == sorted(names[:4])
    assert faulty(labels={"*": "healthy", "a": "faulty"}) == names[:2]


def test_a_folder_that_is_told_to_hold_faults_is_no_machine(tmp_path):
    data = folder(touch(tmp_path / "d", ["press/x.wav", "odd/y.wav"]), labels={"odd": "faulty"})
    assert {c.path.name: c.machine_id for c in data.clips} == {"x.wav": "press", "y.wav": "00"}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"zzz": "healthy"}, "no folder, file name or path below .* matches 'zzz'; there are a.wav"),
        ({"a": "maybe"}, "label a=maybe: label 'maybe'; expected a word for healthy or faulty"),
        ({"a": ""}, "expected healthy or faulty after the pattern"),
    ],
)
def test_labels_that_cannot_be_told(tmp_path, told, message):
    with pytest.raises(ParameterError, match=message):
        folder(touch(tmp_path, ["a.wav"]), labels=told)


def test_a_pattern_with_labels_and_one_without(tmp_path):
    names = ["fan/normal/1.wav", "fan/abnormal/2.wav", "fan/normal/fault 3.wav"]
    root = touch(tmp_path / "d", names)
    data = folder(root, pattern="{machine_type}/{label}/*.wav")
    assert trained(data, root) == [
        "fan/normal/1.wav",
        "fan/normal/fault 3.wav",
    ]  # the pattern says where the label is
    with pytest.raises(DatasetError, match=r"1 of 3 recordings do not settle .*normal/fault 3\.wav"):
        folder(root, pattern="{machine_type}/**/*.wav")
    data = folder(root, pattern="{machine_type}/**/*.wav", labels={"fault 3": "faulty"})
    assert trained(data, root) == ["fan/normal/1.wav"]
    with pytest.raises(ParameterError, match=r"labels = .*the pattern has \{label\}"):
        folder(root, pattern="{machine_type}/{label}/*.wav", labels={"*": "healthy"})


def test_what_a_pattern_leaves_out_is_in_the_dataset(tmp_path):
    root = touch(tmp_path / "d", ["fan/1.wav", "2.wav"])
    data = folder(root, pattern="{machine_type}/*.wav")
    (passed,) = data.passed_over
    assert (passed.path, passed.why) == (root / "2.wav", "does not match pattern '{machine_type}/*.wav'")


@pytest.mark.parametrize("word", ["faulty", "NG", "n.i.O.", "défaut", "異常", "not ok", "abnormal", "1"])
def test_words_of_a_manifest(tmp_path, word):
    touch(tmp_path, ["a.wav", "b.wav"])
    (tmp_path / "m.csv").write_text(f"file,label\na.wav,OK\nb.wav,{word}\n", encoding="utf-8")
    data = folder(tmp_path, manifest="m.csv")
    assert [c.label for c in data.clips] == [0, 1]
    assert data.clips[0].label_from == "the manifest"
    with pytest.raises(ParameterError, match="the manifest says it"):
        folder(tmp_path, manifest="m.csv", labels={"*": "healthy"})


# ------------------------------------------------------------------------------------------ the public layouts


@pytest.mark.parametrize(
    "name",
    [
        "fan/train/abnormal/normal_id_00_7.wav",
        "fan/train/normal_id_00_7_broken.wav",
        "fan/train/x/NG/normal_id_00_7.wav",
    ],
)
def test_dcase_refuses_contradictions_too(tmp_path, name):
    root = touch(tmp_path, [*dcase_names("fan", ["00"]), name])
    with pytest.raises(DatasetError, match="do not settle whether they are healthy or faulty"):
        dcase2020(root, machine="fan")


def test_mimii_refuses_contradictions_too(tmp_path):
    root = touch(tmp_path, [*mimii_names("0_dB/fan", ["00"]), "0_dB/fan/id_00/normal/broken/9.wav"])
    with pytest.raises(DatasetError, match="do not settle whether they are healthy or faulty"):
        mimii(root, machine="fan", snr_db=0)


def test_names_in_both_forms_of_unicode_are_one_machine(tmp_path):
    names = [unicodedata.normalize(form, f"Lüfter/{form}.wav") for form in ("NFC", "NFD")]
    data = folder(touch(tmp_path / "d", names))
    assert set(data.clips.machine_ids) == {unicodedata.normalize("NFC", "Lüfter")}


def test_names_that_are_not_utf8_say_what_they_say(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    for name in (b"L\xfcfter_ok.wav", b"NG_L\xfcfter.wav"):
        Path(os.fsdecode(bytes(root) + b"/" + name)).touch()
    with pytest.raises(
        OffkeyError, match="speaks of a state"
    ):  # the word with the odd byte is not understood
        folder(root)
