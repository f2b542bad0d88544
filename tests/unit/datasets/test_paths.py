"""Sound files below a folder: which, in what order, and how many names are in memory."""

import os
import tracemalloc
from pathlib import Path

import pytest
from trees import refuse_to_list, touch

from offkey.datasets import find_audio
from offkey.datasets.paths import Listing, expand, rank, walk


def test_a_walk_is_depth_first_with_names_in_the_order_of_their_bytes(tmp_path):
    names = ["b.wav", "B.wav", "a/z.wav", "a/y/x.flac", "ab.wav", "é.wav", "z.txt", ".hidden.wav", ".h/a.wav"]
    touch(tmp_path, names)
    listing = Listing.of(tmp_path)
    relative = [path.relative_to(tmp_path).as_posix() for path in listing.files]
    assert relative == ["B.wav", "a/y/x.flac", "a/z.wav", "ab.wav", "b.wav", "é.wav"]
    assert [path for path in walk(tmp_path) if path in listing.files] == listing.files


def test_a_walk_yields_before_it_has_seen_the_next_folder(tmp_path):
    touch(tmp_path, ["a/1.wav", "b/1.wav"])
    files = walk(tmp_path)
    assert next(files) == tmp_path / "a" / "1.wav"
    (tmp_path / "b" / "0.wav").touch()
    assert list(files) == [tmp_path / "b" / "0.wav", tmp_path / "b" / "1.wav"]


def test_a_walk_holds_the_names_of_one_folder(tmp_path):
    for folder in range(20):
        touch(tmp_path / f"{folder:02}", [f"recording number {i}.wav" for i in range(250)])

    def peak(folder):
        tracemalloc.start()
        count = sum(1 for _ in walk(folder))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return count, most

    one, all_of_them = peak(tmp_path / "00"), peak(tmp_path)
    assert (one[0], all_of_them[0]) == (250, 5000)
    assert all_of_them[1] < 2 * one[1]


def test_a_folder_that_cannot_be_listed_is_an_error_in_its_place(tmp_path, monkeypatch):
    touch(tmp_path, ["a/1.wav", "b/1.wav", "c/1.wav"])
    refuse_to_list("b", monkeypatch)
    first, error, last = walk(tmp_path)
    assert (first, last) == (tmp_path / "a" / "1.wav", tmp_path / "c" / "1.wav")
    assert isinstance(error, PermissionError)
    assert error.filename == str(tmp_path / "b")
    with pytest.raises(PermissionError, match="/b"):
        find_audio(tmp_path)
    listing = Listing.of(tmp_path)
    assert listing.files == [first, last]
    assert [(p.path, p.why, p.kind) for p in listing.passed_over] == [
        (tmp_path / "b", "Permission denied", "folder")
    ]


def test_links_are_followed_and_no_folder_is_entered_twice(tmp_path):
    touch(tmp_path, ["a/1.wav"])
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c.wav").symlink_to(tmp_path / "gone.wav")
    listing = Listing.of(tmp_path)
    assert listing.files == [tmp_path / "a" / "1.wav", tmp_path / "c.wav"]
    assert [(p.path, p.kind) for p in listing.passed_over] == [
        (tmp_path / "a" / "up", "again"),
        (tmp_path / "b", "again"),
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.wav", ["[1] pump.wav", "b.wav"]),
        ("in/**/*.flac", ["in/c.flac", "in/deep/d.flac"]),
        ("in", ["in/c.flac", "in/deep/d.flac"]),
        ("i?", ["in/c.flac", "in/deep/d.flac"]),
        ("[1] pump.wav", ["[1] pump.wav"]),  # a file of that very name comes first
        ("[b].wav", ["b.wav"]),
    ],
)
def test_patterns(tmp_path, pattern, expected):
    touch(tmp_path, ["b.wav", "[1] pump.wav", "in/c.flac", "in/deep/d.flac"])
    assert [os.path.relpath(name, tmp_path) for name in expand(tmp_path / pattern)] == expected


def test_a_pattern_that_nothing_matches_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\*\.wav: no such file, and none that matches it"):
        list(expand(tmp_path / "*.wav"))
    with pytest.raises(FileNotFoundError, match=r"a\.wav: no such file or folder"):
        list(expand(tmp_path / "a.wav"))


def test_names_that_are_not_utf8_have_a_rank():
    assert rank("0", os.fsdecode(b"L\xfcfter.wav")) != rank("0", "Lfter.wav")


def test_files_below_the_working_folder_are_named_without_it(tmp_path, monkeypatch):
    touch(tmp_path, ["b.wav", "in/c.wav"])
    monkeypatch.chdir(tmp_path)
    for here in (".", "./", ""):
        assert list(expand(here)) == ["b.wav", "in/c.wav"]
    assert list(walk(Path())) == [Path("b.wav"), Path("in/c.wav")]
