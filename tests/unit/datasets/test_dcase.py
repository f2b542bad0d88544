"""The DCASE 2020 loader on trees of its layout."""

import pytest
from trees import dcase_names, touch

from offkey.datasets import dcase2020
from offkey.errors import DatasetError

KINDS = ("fan", "pump", "ToyCar")


@pytest.fixture
def dev(tmp_path):
    return touch(tmp_path / "dev_data", [n for kind in KINDS for n in dcase_names(kind, ["00", "02"])])


@pytest.fixture
def evaluation(tmp_path):
    train = [f"{k}/train/normal_id_01_{i:08d}.wav" for k in KINDS for i in range(4)]
    test = [f"{k}/test/id_01_{i:08d}.wav" for k in KINDS for i in range(3)]
    root = touch(tmp_path / "eval_data", train + test)
    lines = []
    for kind in KINDS:
        lines += [kind, *(f"id_01_{i:08d}.wav,original_{i}.wav,{int(i == 1)}" for i in range(3))]
    (tmp_path / "eval_data_list.csv").write_text("\n".join(lines) + "\n")
    return root


def test_development_data(dev):
    data = dcase2020(dev, machine="fan")
    assert len(data.train) == 6
    assert len(data.test) == 8
    assert data.test.labels.sum() == 4
    assert set(data.train.machine_ids) == {"00", "02"}
    clip = data.test[0]
    assert clip.path.exists()
    assert (clip.machine_type, clip.machine_id, clip.split, clip.label) == ("fan", "00", "test", 1)
    assert clip.path.name == "anomaly_id_00_00000000.wav"
    assert len(set(data.clips.groups)) == len(data.clips)


def test_toys_are_never_pseudo_anomalies_of_mimii_types(dev):
    data = dcase2020(dev, machine="fan")
    assert {c.machine_type for c in data.others} == {"pump"}
    assert any("ToyCar" in note for note in data.notes)
    toy = dcase2020(dev, machine="ToyCar")
    assert len(toy.others) == 0


def test_test_clips_of_other_types_stay_out(dev):
    data = dcase2020(dev, machine="fan")
    assert not len(data.clips.where(machine_type="pump", split="test"))


def test_evaluation_data_with_its_list(dev, evaluation):
    data = dcase2020(dev, machine="pump", also=evaluation)
    assert set(data.train.machine_ids) == {"00", "01", "02"}
    tested = data.test.where(machine_id="01")
    assert [c.label for c in tested] == [0, 1, 0]
    assert any("eval_data_list.csv" in note for note in data.notes)


def test_a_folder_of_parts_is_all_of_them(dev, evaluation):
    whole = dcase2020(dev.parent, machine="fan")
    assert whole.clips.paths == dcase2020(dev, machine="fan", also=[evaluation]).clips.paths


def test_without_a_list_evaluation_clips_have_no_label(dev, evaluation):
    (dev.parent / "eval_data_list.csv").unlink()
    data = dcase2020(dev, machine="fan", also=evaluation)
    assert {c.label for c in data.test.where(machine_id="01")} == {None}
    assert any("3 of 11 test clips have no label" in note for note in data.notes)


def test_list_given_by_hand(dev, evaluation, tmp_path):
    moved = (tmp_path / "eval_data_list.csv").rename(tmp_path / "labels.csv")
    data = dcase2020(dev, machine="fan", also=evaluation, eval_list=moved)
    assert (data.test.labels >= 0).all()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        dcase2020(dev, machine="fan", eval_list=tmp_path / "nowhere.csv")


def test_the_folder_of_one_type(dev):
    data = dcase2020(dev / "fan", machine="fan")
    assert len(data.train) == 6
    assert len(data.others) == 0


def test_notes_name_what_is_missing(tmp_path):
    root = touch(
        tmp_path,
        [
            "fan/train/normal_id_00_1.wav",
            *(f"fan/train/normal_id_02_{i}.wav" for i in range(3)),
            "fan/test/anomaly_id_04_1.wav",
            "fan/test/normal_id_02_1.wav",
            "fan/test/anomaly_id_02_1.wav",
        ],
    )
    notes = "\n".join(dcase2020(root, machine="fan").notes)
    assert "only one normal training clip for ID 00" in notes
    assert "ID 04 only in the test part: scored as unknown" in notes
    assert "no normal test clip of ID 04" in notes
    assert "no clips of other machine types" in notes


def test_missing_type_names_those_found(dev):
    with pytest.raises(DatasetError, match=r"no machine type 'gearbox'; found: ToyCar, fan, pump"):
        dcase2020(dev, machine="gearbox")


def test_a_part_without_the_type_is_noted(dev, tmp_path):
    other = touch(tmp_path / "more", dcase_names("valve", ["00"]))
    data = dcase2020(dev, machine="fan", also=other)
    assert any("'fan' is not in this part" in note for note in data.notes)
    assert {c.machine_type for c in data.others} == {"pump", "valve"}


def test_the_working_folder_has_a_name(dev, monkeypatch):
    monkeypatch.chdir(dev / "fan")
    assert len(dcase2020(".", machine="fan").train) == 6
    monkeypatch.chdir(dev / "fan" / "train")
    assert len(dcase2020("..", machine="fan").train) == 6


def test_each_archive_in_a_folder_of_its_own(tmp_path):
    """As the unpacked zips lie where each got a folder; macOS adds `__MACOSX` with files that are no sounds."""
    folders = ("dev_data_fan", "dev_data_pump")
    for folder in folders:
        kind = folder.removeprefix("dev_data_")
        names = dcase_names(kind, ["00", "02"])
        touch(tmp_path / folder, names)
        touch(tmp_path / folder / "__MACOSX", [f"{kind}/train/._{name.rsplit('/', 1)[1]}" for name in names])
    further = [f"eval_data_train_fan/fan/train/normal_id_01_{i:08d}.wav" for i in range(4)]
    touch(tmp_path, further)
    data = dcase2020(tmp_path, machine="fan")
    assert len(data.train) == 2 * 3 + 4
    assert set(data.train.machine_ids) == {"00", "01", "02"}
    assert len(data.test) == 8
    assert {clip.machine_type for clip in data.others} == {"pump"}
    assert not [path for path in data.clips.paths if "__MACOSX" in path.parts]
