"""Machine IDs: from one place that can be told, never from a date or a counter, in either form of Unicode."""

import unicodedata
from pathlib import Path, PurePath

import pytest
from trees import touch

from offkey.datasets import describe_ids, detect_layout, folder, list_machines, load
from offkey.datasets.ids import IdCounts, identify, marked_folder
from offkey.errors import DatasetError, ParameterError


def ids(data):
    return sorted({str(c.machine_id) for c in data.clips})


MOMENTS = [
    ("2026-11-01", "2026-11-02"),
    ("20261101", "20261102"),
    ("2026_11_01", "2026_11_02"),
    ("01.11.2026", "02.11.2026"),
    ("1-11-26", "2-11-26"),
    ("2026-11", "2026-12"),
    ("2026-11-01T12-30-00", "2026-11-01T12-31-00"),
    ("20261101_123000", "20261101_123100"),
    ("2026/11/01", "2026/11/02"),
    ("press-a/2026-11-01", "press-a/2026-11-02"),
    ("2026-11-01/press-a", "2026-11-02/press-a"),
    ("1793620800", "1793620860"),
    ("00001", "00002"),
    ("123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174001"),
    ("9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad016"),
    ("run_1", "run_2"),
    ("Day 1", "Day 2"),
    ("session03", "session04"),
    ("week-45", "week-46"),
    ("monday", "tuesday"),
    ("Montag", "Dienstag"),
    ("November 2026", "Dec 2026"),
]


@pytest.mark.parametrize("folders", MOMENTS)
def test_dates_and_counters_are_no_machines(tmp_path, folders):
    names = [f"{part}/{i}.wav" for part in folders for i in range(5)]
    root = touch(tmp_path / "d", names)
    with pytest.raises(
        DatasetError, match=r"from the names of folders.*dates or counters.*--id none.*id_from='none'"
    ) as caught:
        folder(root)
    assert folders[0] in str(caught.value)
    assert ids(folder(root, id_from="none")) == ["00"]


MACHINES = [
    ("press-a", "press-b"),
    ("01", "02"),
    ("1", "2"),
    ("id_00", "id_02"),
    ("85dB", "70dB"),
    ("line-1/press-a", "line-2/press-a"),
    ("M1203", "M1204"),
    ("unit_3", "unit_4"),
    ("machine 7", "machine 8"),
    ("north", "south"),
    ("May Street", "June Road"),
    ("fan_2026", "fan_2027"),
    ("station-12", "station-13"),
    ("Lüfter", "Pumpe"),
]


@pytest.mark.parametrize("folders", MACHINES)
def test_names_of_machines_are_taken(tmp_path, folders):
    names = [f"{part}/{i}.wav" for part in folders for i in range(5)]
    data = folder(touch(tmp_path / "d", names))
    assert len(ids(data)) == 2


def test_one_date_alone_divides_nothing(tmp_path):
    assert ids(folder(touch(tmp_path / "d", ["2026-11-01/1.wav", "2026-11-01/2.wav"]))) == ["2026-11-01"]


def test_an_id_for_each_file_is_refused(tmp_path):
    root = touch(tmp_path / "d", [f"press/rec_id_{i}.wav" for i in range(20)])
    with pytest.raises(
        DatasetError,
        match=r"from id_XX in file names, as in press/rec_id_0\.wav.*one of its own.*--id 1 \(press\)",
    ):
        folder(root)
    data = folder(root, id_from=1)
    assert (ids(data), data.machine) == (["press"], "d")
    assert data.train[0].id_from == "folder 1, as told"


def test_the_advice_names_a_folder_that_could_be_the_machine(tmp_path):
    root = touch(
        tmp_path / "d", [f"2026-11-0{day}/{press}/1.wav" for day in (1, 2) for press in ("left", "right")]
    )
    with pytest.raises(DatasetError, match=r"folder 2 with --id 2 \(left, right\)"):
        folder(root)
    assert ids(folder(root, id_from=2)) == ["left", "right"]


def test_two_ids_in_one_path_are_refused(tmp_path):
    root = touch(tmp_path / "d", ["id_01/a_id_01.wav", "id_01/a_id_02.wav"])
    with pytest.raises(
        DatasetError, match=r"1 recordings name two machine IDs, the first: id_01/a_id_02\.wav.*--id N"
    ):
        folder(root)
    assert ids(folder(root, id_from=1)) == ["id_01"]


@pytest.mark.parametrize("word", [0, -1, True, "one", 1.5])
def test_a_place_that_is_none(tmp_path, word):
    with pytest.raises(ParameterError, match=r"id_from = .*expected the number of a folder"):
        folder(touch(tmp_path, ["a.wav"]), id_from=word)


def test_a_place_that_is_too_deep_or_said_twice(tmp_path):
    root = touch(tmp_path / "d", ["a/1.wav", "2.wav"])
    (root / "m.csv").write_text("file,label\n2.wav,ok\n")
    with pytest.raises(
        DatasetError, match=r"2\.wav has 0 folders above it, but folder 1 was to name its machine"
    ):
        folder(root, id_from=1)
    with pytest.raises(ParameterError, match="the manifest says it"):
        folder(root, manifest="m.csv", id_from=1)
    with pytest.raises(ParameterError, match=r"the pattern has \{machine_id\}"):
        folder(root, pattern="{machine_id}/*.wav", id_from=1)
    assert ids(folder(root, pattern="{group}/*.wav", id_from=1)) == ["a"]


def test_a_place_makes_the_layout_ones_own(tmp_path):
    names = [f"fan/{split}/normal_id_00_{i}.wav" for split in ("train", "test") for i in range(3)]
    root = touch(tmp_path / "dev", names)
    assert load(root, id_from="none", machine="x").clips[0].machine_type == "x"


def test_ids_in_words(tmp_path):
    data = folder(touch(tmp_path / "d", ["b/1.wav", "a/1.wav", "a/2.wav", "3.wav"]))
    assert describe_ids(data.train) == "00 (1), from no name; a (2), b (1), from the names of folders"


# ------------------------------------------------------------------------------------------ scoring


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("a_id_04_1.wav", "04"),
        ("id_02/a.wav", "02"),
        ("id_02/a_id_04.wav", "04"),
        ("press-a/1.wav", "press-a"),
        ("monday/press-a/normal/1.wav", "press-a"),
        ("line-1/press-b/1.wav", "line-1/press-b"),
        ("line-1/abnormal/press-b/1.wav", "line-1/press-b"),
        ("02/1.wav", "02"),
        ("2026/11/02/1.wav", None),
        ("2026-11-02/02/1.wav", "02"),
        ("press-a/02/1.wav", None),
        ("line-1/1.wav", None),
        ("elsewhere/1.wav", None),
        ("press-a.wav", None),
        ("bad_homburg/ok/1.wav", "bad_homburg"),  # whoever trained it has told so
        (unicodedata.normalize("NFD", "Lüfter/1.wav"), "Lüfter"),
    ],
)
def test_identify(below, expected):
    known = ["02", "press-a", "line-1/press-b", "Lüfter", "bad_homburg"]
    assert identify(PurePath(below), known) == expected


def test_a_marked_folder_that_is_not_read(tmp_path, monkeypatch):
    inner = tmp_path / "id_02" / "x"
    inner.mkdir(parents=True)
    assert marked_folder(inner) == "id_02"
    assert marked_folder(inner.parent) == "id_02"
    monkeypatch.chdir(inner.parent)
    assert marked_folder(Path()) == marked_folder(Path("x")) == "id_02"
    monkeypatch.chdir(inner)
    assert marked_folder(Path("..")) == "id_02"
    assert marked_folder(tmp_path) is None


def test_notes_on_ids_that_are_not_known():
    counts = IdCounts(["00", "02"])
    for machine_id, unread in [
        ("00", None),
        ("07", None),
        ("07", None),
        ("x", None),
        (None, "id_02"),
        (None, "id_99"),
    ]:
        counts.count(machine_id, unread)
    unknown, unread = counts.notes()
    assert unknown.startswith(
        "IDs '07', 'x' are not known to the detector, which knows 00, 02: 3 recordings scored as"
    )
    assert unread.startswith("1 recording in id_02, which says no ID")
    assert IdCounts(["00"]).notes() == []


# --------------------------------------------------------------------------- sections of DCASE since 2021


def section_names(kind="fan", *, sections=("00", "01"), tests="test"):
    return [
        f"{kind}/{folder}/section_{section}_{domain}_{split}_{label}_{i:04d}_strength_1_ambient.wav"
        for section in sections
        for folder, split, domain, label, count in (
            ("train", "train", "source", "normal", 4),
            ("train", "train", "target", "normal", 2),
            (tests, "test", "source", "normal", 1),
            (tests, "test", "target", "anomaly", 2),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("tests", ["test", "target_test", "source_test"])
def test_sections_are_ids_and_domains_are_nothing(tmp_path, tests):
    root = touch(tmp_path / "dev_data", section_names(tests=tests))
    assert detect_layout(root) == "folder"
    data = load(root)
    assert (data.machine, ids(data), len(data.train)) == ("fan", ["00", "01"], 12)
    assert {(c.split, c.label) for c in data.clips} == {("train", 0), ("test", 0), ("test", 1)}
    assert sum(c.label == 1 for c in data.clips) == 4
    assert describe_ids(data.train) == "00 (6), 01 (6), from section_XX in file names"
    assert list_machines(root) == {"fan": ["00", "01"]}


def test_the_folder_of_one_type_and_types_side_by_side(tmp_path):
    root = touch(tmp_path, [*section_names(), *section_names("ToyCar", sections=["00"])])
    assert list_machines(root) == {"ToyCar": ["00"], "fan": ["00", "01"]}
    assert ids(load(root, machine="ToyCar")) == ["00", "01"]  # those of the other type are for the network
    assert (load(root / "fan").machine, ids(load(root / "fan"))) == ("fan", ["00", "01"])


def test_an_anomaly_of_a_section_among_training_recordings_is_not_learned(tmp_path):
    names = [f"fan/train/section_00_source_train_normal_{i:04d}.wav" for i in range(3)]
    data = load(touch(tmp_path, [*names, "fan/train/section_00_target_test_anomaly_0001.wav"]))
    assert sorted(c.path.name for c in data.train) == sorted(Path(name).name for name in names)


def test_evaluation_recordings_of_a_section_have_no_label(tmp_path):
    names = ["fan/train/section_00_source_train_normal_0000.wav", "fan/test/section_00_0000.wav"]
    data = load(touch(tmp_path, names))
    assert [(c.machine_id, c.label) for c in data.test] == [("00", None)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("section_00_a_id_03_1.wav", "03"),
        ("id_03/section_00_source_train_normal_0000.wav", "03"),
        ("section_00/section_00_source_train_normal_0000.wav", "00"),
        ("section_3/1.wav", "section_3"),  # a folder of one's own
        ("hall/section_3/press-a/1.wav", "hall/section_3/press-a"),
        ("cross_section_02_1.wav", "00"),  # as where nothing names one
        ("section_7.wav", "00"),
        ("section_view_1.wav", "00"),
    ],
)
def test_where_a_section_counts(tmp_path, name, expected):
    data = load(touch(tmp_path / "press", [name]))
    assert (ids(data), data.machine) == ([expected], "press")


def test_a_section_for_each_file_is_refused(tmp_path):
    root = touch(tmp_path / "d", [f"press/section_{i}_cut.wav" for i in range(20)])
    with pytest.raises(
        DatasetError, match=r"from section_XX in file names.*one of its own.*--id 1 \(press\)"
    ):
        folder(root)


@pytest.mark.parametrize(
    ("below", "known", "expected"),
    [
        ("section_01_target_test_anomaly_0001.wav", ["00", "01"], "01"),
        ("fan/test/section_01_0001.wav", ["00", "01"], "01"),
        ("fan/test/section_01_0001.wav", [], "01"),
        ("section_05_source_test_normal_0001.wav", ["00", "01"], "05"),
        ("press-a/section_05_0001.wav", ["press-a", "press-b"], "press-a"),
        ("id_00/section_01_0001.wav", ["00", "01"], "00"),
    ],
)
def test_sections_in_scoring(below, known, expected):
    assert identify(PurePath(below), known) == expected
