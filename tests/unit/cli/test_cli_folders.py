"""What commands make of folders, names and lists as users have them."""

import json
import shutil

import pytest
from machines import write_tree

import offkey as package
from offkey.errors import OffkeyWarning


@pytest.fixture(scope="session")
def recordings(tree):
    """Twelve healthy recordings and four of faults."""
    fan = tree / "fan"
    return sorted(fan.glob("train/normal*"))[:12], sorted(fan.glob("test/anomaly*"))[:4]


@pytest.fixture
def lay(recordings, tmp_path):
    """Copy the recordings into folders."""

    def copy(healthy=None, faulty=None):
        for target, files in ((healthy, recordings[0]), (faulty, recordings[1])):
            if target is not None:
                folder = tmp_path / target
                folder.mkdir(parents=True, exist_ok=True)
                for i, file in enumerate(files):
                    shutil.copy(file, folder / f"{i}.wav")

    return copy


def test_faults_are_left_out_and_ids_are_shown_before_training(train, lay):
    lay("d/press-a/OK", "d/press-a/NG")
    lay("d/press-b/OK")
    shown = train("d", "--out", "d.offkey")
    assert shown.code == 0
    assert shown.err.splitlines()[0] == (
        "machine IDs to learn: press-a (12), press-b (12), from the names of folders"
    )
    assert package.load("d.offkey").machine_ids == ("press-a", "press-b")


def test_labels_are_told(offkey, train, lay):
    lay("d/press/mode 1", "d/press/before_fault")
    shown = train("d", "--out", "d.offkey")
    assert (shown.code, len(shown.err.splitlines())) == (2, 1)
    assert "--label 'PATTERN=healthy'" in shown.err
    told = ("--label", "before_fault=faulty", "mode 1=healthy")
    assert train("d", "--out", "d.offkey", *told, "--id", "1").code == 0
    assert package.load("d.offkey").machine_ids == ("press",)
    assert offkey("score", "d.offkey", "d", "--out", "s.csv").code == 0
    evaluated = offkey("evaluate", "s.csv", "--data", "d", *told, "--id", "1", "--test-fraction", "0.3")
    assert evaluated.code == 0


@pytest.mark.parametrize("text", ["before_fault", "=healthy", "x=maybe", "x="])
def test_labels_that_are_none(train, lay, text):
    lay("d/x")
    shown = train("d", "--out", "d.offkey", "--label", text)
    assert shown.code == 2
    assert "healthy" in shown.err


@pytest.mark.parametrize("place", ["0", "-1", "first", "1.5"])
def test_a_place_of_ids_that_is_none(train, lay, place):
    lay("d/x")
    shown = train("d", "--out", "d.offkey", "--id", place)
    assert shown.code == 2
    assert "--id" in shown.err


def test_days_are_refused_and_what_helps_is_said(train, lay):
    lay("d/2026-11-01")
    lay("d/2026-11-02")
    shown = train("d", "--out", "d.offkey")
    assert (shown.code, len(shown.err.splitlines())) == (2, 1)
    assert "2026-11-01" in shown.err
    assert train("d", "--out", "d.offkey", "--id", "none").code == 0
    assert package.load("d.offkey").machine_ids == ("00",)


def test_a_manifest_where_the_shell_finds_it(train, lay, tmp_path):
    lay("rec")
    text = "file,label\n" + "".join(f"{i}.wav,iO\n" for i in range(12))
    for place in ("clips.csv", "rec/inside.csv"):
        (tmp_path / place).write_text(text)
    for given in ("clips.csv", "rec/inside.csv", "inside.csv"):
        assert train("rec", "--manifest", given, "--out", "d.offkey").code == 0


def test_folders_that_begin_with_a_dash(offkey, train, lay, monkeypatch):
    lay("-6_dB_fan/fan/id_00/normal", "-6_dB_fan/fan/id_00/abnormal")
    options = ("--snr-db", "-6", "--out", "d.offkey")
    shown = train("-6_dB_fan", *options)
    assert shown.code == 2
    assert "write ./-6_dB_fan, or put -- before it" in shown.err
    assert train(*options, "--", "-6_dB_fan").code == 0
    assert train("./-6_dB_fan", *options).code == 0
    assert offkey("info", "--", "-6_dB_fan").code == 0


def test_several_folders_follow_one_option(train, tmp_path):
    for name in "abc":
        write_tree(tmp_path / name, train=6, test=1)
    shown = train("a", "--machine", "fan", "--out", "d.offkey", "--also", "b", "c")
    assert shown.code == 0
    assert "00 (18), 02 (18)" in shown.err
    one_by_one = ("--also", "b", "--also", "c")
    assert "00 (18)" in train("a", "--machine", "fan", "--out", "d.offkey", *one_by_one).err


@pytest.mark.parametrize("name", ["[1] pump", "{a}", '{"a": 1}', "[1, 2]", "#1, 2;"])
def test_names_that_look_like_json(offkey, train, detector, tree, tmp_path, name):
    source = next(iter((tree / "fan" / "test").iterdir()))
    shutil.copy(source, tmp_path / f"{name}.wav")
    assert offkey("score", detector, f"{name}.wav").code == 0
    shutil.copytree(tree, tmp_path / name)
    also = train(tree, "--machine", "fan", "--out", "d.offkey", "--also", name)
    assert also.code == 0


def test_a_tree_of_ones_own_is_not_taken_for_a_public_set(offkey, train, lay):
    lay("d/85dB")
    lay("d/70dB")
    assert offkey("info", "d").code == 0
    assert train("d", "--out", "d.offkey").code == 0
    lay("e/train/normal", "e/test/abnormal")
    assert train("e", "--out", "e.offkey").code == 0
    assert package.load("e.offkey").machine == "e"


@pytest.mark.filterwarnings("ignore:drift")  # the detector was trained on these recordings
def test_the_same_recordings_whatever_their_path_is_called(train, lay, tmp_path, monkeypatch):
    lay("machines/01")
    lay("machines/02")
    assert train("machines", "--out", "d.offkey").code == 0
    lay(None, "2026/11/02")
    detector = package.load("d.offkey")
    folder = tmp_path / "2026" / "11" / "02"
    far = detector.score(folder)
    monkeypatch.chdir(folder)
    (tmp_path / "link").symlink_to(folder)
    for near in (".", "./", "../02", tmp_path / "link", [folder / f"{i}.wav" for i in range(4)], "*.wav"):
        table = detector.score(near)
        assert (table.machine_id, table.scored_as) == (far.machine_id, far.scored_as)
    assert set(far.machine_id) == {None}
    assert set(detector.score(tmp_path / "machines").machine_id) == {"01", "02"}


def test_files_named_one_by_one_are_told_what_to_do_for_their_folders(offkey, detector, tree, tmp_path):
    recording = next(iter((tree / "fan" / "test").iterdir()))
    for folder in ("a/id_00", "b/id_02"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(recording, tmp_path / folder / "x.wav")
    shown = offkey("score", detector, "a/id_00/x.wav", "b/id_02/x.wav", "--json")
    assert shown.code == 0
    assert [row["machine_id"] for row in json.loads(shown.out)["rows"]] == [None, None]
    said = " ".join(shown.err.split())
    for number in ("00", "02"):
        assert (
            f"1 recording in id_{number}, which says no ID, since only folders below what is named do: name the folder "
            f"that holds id_{number} in place of it or of the files in it, or give --machine-id '{number}' for these"
        ) in said
    told = offkey("score", detector, "a", "b", "--json")  # as the note advises
    assert [row["machine_id"] for row in json.loads(told.out)["rows"]] == ["00", "02"]
    assert "says no ID" not in told.err


def test_a_folder_that_would_say_an_id_but_for_its_place_is_said(detector, tree, tmp_path):
    folder = tmp_path / "id_02"
    folder.mkdir()
    shutil.copy(next(iter((tree / "fan" / "test").iterdir())), folder / "x.wav")
    loaded = package.load(detector)
    for what in (folder, folder / "x.wav", [folder / "x.wav"]):
        with pytest.warns(
            OffkeyWarning, match=r"1 recording in id_02, which says no ID.*give machine_id='02' for"
        ):
            assert loaded.score(what).machine_id == [None]
    assert loaded.score(tmp_path).machine_id == ["02"]
    assert loaded.score(folder, machine_id="02").machine_id == ["02"]
