"""What is passed over where recordings are looked for: each kind by its name, and in words."""

import os
from pathlib import Path

import pytest
from trees import dcase_names, mimii_names, refuse_to_list, touch

from offkey.datasets import dcase2020, folder, mimii
from offkey.datasets.passed_over import PassedOver, PassedOverTally, any_unread, kind_of_name, notes_on
from offkey.datasets.paths import Listing
from offkey.errors import DatasetError


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("a.wav b.WAVE c.Aifc d.oga e.rf64 f.wav.wav", None),
        ("a.m4a b.OPUS c.w64 d.caf e.wma f.mp4 g.amr h.wav.gz i.flac.zip", "format"),
        ("a.wav.part b.mp3.crdownload c.m4a.part d.WAV.Part", "unfinished"),
        ("a.zip b.tar c.tgz d.7z e.rar f.tar.gz", "archive"),
        ("a.mat b.NPY c.npz d.tdms e.h5 f.csv g.parquet labels.npy 0001.CSV h.tsv", "data"),
        ("labels.csv eval_data_list.csv attributes_00.csv my-manifest.tsv", "other"),
        (
            "a.txt c d.wav.json e.wav.asd f.part .DS_Store .gitignore wav .wav",
            "other",
        ),
        ("._a.wav .a.wav .hidden.flac", "hidden"),
    ],
)
def test_kinds_of_files(names, kind):
    assert {kind_of_name(name, folder=False) for name in names.split()} == {kind}


def test_a_blank_behind_an_ending_is_none_of_it():
    assert kind_of_name("a.wav ", folder=False) is None


@pytest.mark.parametrize("name", [".git", "__MACOSX", "$RECYCLE.BIN", "lost+found", "@eaDir"])
def test_folders_that_are_not_looked_into(name):
    assert kind_of_name(name, folder=True) == "hidden"
    assert kind_of_name(f"x{name}", folder=True) is None


def kinds(listing):
    return {passed.path.name: passed.kind for passed in listing.passed_over}


def test_a_listing_has_everything_once(tmp_path):
    touch(
        tmp_path, ["a.wav", "b.m4a", "c.txt", ".d.wav", "__MACOSX/._a.wav", "e.wav.part", "f.zip", "g/h.flac"]
    )
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "press").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "same").symlink_to(tmp_path / "g")
    os.mkfifo(tmp_path / "live.wav")
    listing = Listing.of(tmp_path)
    assert [path.name for path in listing.files] == [
        "a.wav",
        "h.flac",
        "gone.wav",
    ]  # who reads the link says so
    assert kinds(listing) == {
        ".d.wav": "hidden",
        "__MACOSX": "hidden",
        "b.m4a": "format",
        "c.txt": "other",
        "e.wav.part": "unfinished",
        "f.zip": "archive",
        "live.wav": "special",
        "press": "link",
        "round": "link",
        "same": "again",
    }
    assert {
        kind for kind in kinds(listing).values() if PassedOver(path=Path(), why="", kind=kind).unread
    } == {
        "format",
        "unfinished",
        "special",
        "link",
    }


def test_a_folder_of_data_files_alone_says_what_to_do(tmp_path):
    root = touch(tmp_path / "d", [f"normal/{i}.mat" for i in range(5)] + ["normal/6.csv", "labels.csv"])
    with pytest.raises(DatasetError, match="no sound file found") as caught:
        folder(root)
    for part in (
        "6 data files that may hold signals: normal/0.mat",
        "(.mat 5, .csv 1)",
        "write signals as WAV",
    ):
        assert part in str(caught.value)


def test_data_files_beside_recordings_are_said_and_are_no_failure(tmp_path):
    data = folder(touch(tmp_path / "d", ["1.wav", "2.wav", "a.npy", "list.csv"]))
    assert [note for note in data.notes if "passed over" in note] == [
        "passed over: 1 data file that may hold signals: a.npy (.npy 1); write signals as WAV files to learn them, or "
        "score them as arrays from Python"
    ]
    assert not any_unread(data.passed_over)


def test_sentences_name_three_and_count_the_rest():
    passed = [PassedOver(path=Path("d") / f"{i}.m4a", why="x", kind="format") for i in range(5)]
    passed += [PassedOver(path=Path("d/notes.txt"), why="x", kind="other")]
    passed += [PassedOver(path=Path("e/locked"), why="Permission denied", kind="folder")]
    assert notes_on(passed, root=Path("d")) == [
        "passed over: 1 folder that cannot be read: e/locked (Permission denied)",
        "passed over: 5 files of sound formats that offkey does not read: 0.m4a, 1.m4a, 2.m4a and 2 more (.m4a 5); "
        "convert them to WAV or FLAC",
    ]
    assert any_unread(passed)
    assert not any_unread(passed[5:6])


def test_a_folder_that_cannot_be_read_is_passed_over_and_the_others_are_learned(tmp_path, monkeypatch):
    touch(tmp_path, ["a/1.wav", "b/2.wav", "c/3.wav"])
    refuse_to_list("b", monkeypatch)
    data = folder(tmp_path)
    assert [clip.path.name for clip in data.clips] == ["1.wav", "3.wav"]
    assert [(passed.path, passed.kind) for passed in data.passed_over] == [(tmp_path / "b", "folder")]
    assert "passed over: 1 folder that cannot be read: b (Permission denied)" in data.notes


def test_a_root_that_cannot_be_read_is_refused_by_its_name(tmp_path, monkeypatch):
    touch(tmp_path, ["b/2.wav"])
    refuse_to_list("b", monkeypatch)
    with pytest.raises(PermissionError, match="/b'"):
        folder(tmp_path / "b")


def test_a_folder_of_other_formats_alone_says_what_is_there(tmp_path):
    touch(tmp_path, ["a.m4a", "b.zip", "c.txt"])
    with pytest.raises(
        DatasetError, match=r"no sound file found; .* does not read: a\.m4a .*1 archive: b\.zip"
    ):
        folder(tmp_path)


def test_what_dcase2020_has_no_place_for(tmp_path):
    names = [
        "stray.wav",
        "fan/odd.wav",
        "fan/more/x.wav",
        "notes/y.wav",
        "fan/train/z.m4a",
        "pump/test/u.opus",
    ]
    root = touch(tmp_path / "dev", [*dcase_names("fan", ["00"]), *dcase_names("pump", ["00"]), *names])
    data = dcase2020(root, machine="fan")
    assert {(p.path.relative_to(root).as_posix(), p.kind) for p in data.passed_over} == {
        ("stray.wav", "layout"),
        ("fan/odd.wav", "layout"),
        ("fan/more/x.wav", "layout"),
        ("notes/y.wav", "layout"),
        ("fan/train/z.m4a", "format"),  # tests of other types are not looked at
    }
    assert any(
        "passed over: 4 sound files: " in note and "the layout dcase2020" in note for note in data.notes
    )
    also = touch(tmp_path / "eval", [*dcase_names("fan", ["01"]), "w.wav"])
    assert also / "w.wav" in [p.path for p in dcase2020(root, machine="fan", also=also).passed_over]


def test_what_mimii_has_no_place_for(tmp_path):
    names = ["0_dB/fan/id_00/more/1.wav", "0_dB/fan/2.wav", "3.wav", "0_dB/fan/id_00/normal/4.m4a"]
    root = touch(tmp_path, [*mimii_names("0_dB/fan", ["00"]), *mimii_names("6_dB/fan", ["00"]), *names])
    data = mimii(root, machine="fan", snr_db=0)  # the other ratio was not asked for
    assert {(p.path.name, p.kind) for p in data.passed_over} == {
        ("1.wav", "layout"),
        ("2.wav", "layout"),
        ("3.wav", "layout"),
        ("4.m4a", "format"),
    }


def passed(name, kind="other"):
    return PassedOver(path=Path(name), why=f"{name} is {kind}", kind=kind)


def test_of_very_many_the_first_are_named_and_the_others_counted():
    tally = PassedOverTally()
    for number in range(5000):
        tally.add(passed(f"{number}.txt"))
        tally.add(passed(f"{number}.m4a", "format"))
    tally.add(passed("0.txt"))  # again, as of a folder that is listed twice
    tally.add(passed("x.wma", "format"))
    entries = tally.passed_over()
    assert len(entries) < 250
    assert entries[0] == passed("0.txt")
    assert sum(entry.count for entry in entries) == 10_001
    assert notes_on(entries) == [
        "passed over: 5001 files of sound formats that offkey does not read: 0.m4a, 1.m4a, 2.m4a and 4998 more (.m4a "
        "5000, .wma 1); convert them to WAV or FLAC"
    ]
    assert any_unread(entries)


def test_endings_without_number_take_no_memory_without_end():
    tally = PassedOverTally()
    for number in range(20_000):
        tally.add(passed(f"log.{number}"))
    entries = tally.passed_over()
    assert sum(entry.count for entry in entries) == 20_000
    assert len(entries) < 1200


def test_few_are_named_all_in_their_order():
    tally = PassedOverTally()
    names = [f"{number % 3}_{number}.txt" for number in range(50)]
    for name in names:
        tally.add(passed(name))
    assert tally.passed_over() == tuple(map(passed, names))
