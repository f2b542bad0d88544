"""The MIMII loader on trees of its layouts."""

import pytest
from trees import mimii_names, touch

from offkey.datasets import detect_layout, list_machines, mimii
from offkey.errors import DatasetError

IDS = ("00", "02")


def tree(root, *folders, **counts):
    return touch(root, [name for f in folders for name in mimii_names(f, IDS, **counts)])


@pytest.mark.parametrize(
    ("folders", "snr_db"),
    [
        (("-6_dB_fan/fan", "-6_dB_pump/pump"), -6),
        (("-6_dB_fan", "-6_dB_pump"), -6),
        (("-6_dB/fan", "-6_dB/pump"), -6),
        (("-6dB/fan", "-6dB/pump"), -6),
        (("min6dB/fan", "min6dB/pump"), -6),
        (("0_dB_fan/fan", "0_dB_pump/pump"), 0),
        (("0dB/fan", "0dB/pump"), 0),
        (("6_dB_fan/fan", "6_dB_pump"), 6),
        (("6dB/fan", "6dB/pump"), 6.0),
    ],
)
def test_every_folder_name(tmp_path, folders, snr_db):
    root = tree(tmp_path, *folders)
    data = mimii(root, machine="fan", snr_db=snr_db)
    assert len(data.train) == 2 * 4
    assert len(data.test) == 2 * 4
    assert {c.machine_type for c in data.others} == {"pump"}
    assert detect_layout(root) == "mimii"
    assert list_machines(root) == {"fan": list(IDS), "pump": list(IDS)}


def test_only_the_snr_asked_for(tmp_path):
    root = tree(tmp_path, *(f"{db}_dB_{kind}/{kind}" for db in (-6, 0, 6) for kind in ("fan", "pump")))
    for db in (-6, 0, 6):
        paths = mimii(root, machine="fan", snr_db=db).clips.paths
        assert {p.relative_to(root).parts[0] for p in paths} == {f"{db}_dB_fan", f"{db}_dB_pump"}


def test_the_folder_of_an_snr_as_root(tmp_path):
    root = tree(tmp_path, "0_dB/fan") / "0_dB"
    assert len(mimii(root, machine="fan", snr_db=0).train) == 8


def test_hitachi_split_tests_on_the_first_normals(tmp_path):
    data = mimii(tree(tmp_path, "0_dB/fan", normal=7, abnormal=3), machine="fan", snr_db=0)
    for machine_id in IDS:
        test = data.test.where(machine_id=machine_id)
        assert [c.path.stem for c in test.where(label=0)] == [f"{i:08d}" for i in range(3)]
        assert [c.path.stem for c in data.train.where(machine_id=machine_id)] == [
            f"{i:08d}" for i in range(3, 7)
        ]
        assert len(test.where(label=1)) == 3


def test_random_split_takes_a_quarter_by_seed(tmp_path):
    root = tree(tmp_path, "0_dB/fan", normal=40, abnormal=3)

    def tested(seed):
        data = mimii(root, machine="fan", snr_db=0, split="random75", seed=seed)
        assert len(data.train) == 2 * 30
        return {i: [c.path.stem for c in data.test.where(machine_id=i, label=0)] for i in IDS}

    first = tested(0)
    assert first == tested(0)
    assert first != tested(1)
    assert first["00"] != first["02"]


def test_random_split_is_the_same_wherever_the_files_are(tmp_path):
    here, there = (tree(tmp_path / name, "0_dB/fan", normal=20) for name in ("here", "there"))
    names = [
        [c.path.relative_to(root) for c in mimii(root, machine="fan", snr_db=0, split="random75").test]
        for root in (here, there)
    ]
    assert names[0] == names[1]


def test_an_id_without_abnormal_clips_is_noted(tmp_path):
    root = touch(tmp_path, mimii_names("0_dB/fan", ["00"]) + mimii_names("0_dB/fan", ["02"], abnormal=0))
    data = mimii(root, machine="fan", snr_db=0, split="random75")
    assert any("no anomalous test clip of ID 02" in note for note in data.notes)


@pytest.mark.parametrize("folders", [("fan/-6dB", "pump/-6dB"), ("fan/-6_dB", "fan/0_dB")])
def test_types_above_ratios_are_refused_with_the_layout_that_is_expected(tmp_path, folders):
    root = tree(tmp_path, *folders)
    with pytest.raises(DatasetError, match=r"no folder of an SNR; expected names such as -6_dB_fan"):
        mimii(root, machine="fan", snr_db=-6)


def test_what_macos_adds_to_an_archive_is_no_type(tmp_path):
    root = tree(tmp_path, "-6_dB_fan/fan", "-6_dB_pump/pump")
    touch(root / "-6_dB_fan" / "__MACOSX", [f"fan/id_00/normal/._{i:08d}.wav" for i in range(3)])
    assert list_machines(root) == {"fan": list(IDS), "pump": list(IDS)}
    data = mimii(root, machine="fan", snr_db=-6)
    assert not [path for path in data.clips.paths if "__MACOSX" in path.parts]
