"""Files that are there whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from offkey._util.files import atomic_path, check_writable, write_text


def test_the_old_file_stays_when_writing_fails(tmp_path):
    path = tmp_path / "scores.csv"
    write_text(path, "old\n")
    with pytest.raises(RuntimeError, match="disk"), atomic_path(path) as scratch:
        scratch.write_text("half")
        raise RuntimeError("disk full")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_replaces_the_old(tmp_path):
    path = tmp_path / "scores.csv"
    write_text(path, "old")
    write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.csv"
    write_text(path, "old")
    code = f"""
import os, signal
from offkey._util.files import atomic_path
with atomic_path({str(path)!r}) as scratch:
    scratch.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_an_os_error(tmp_path):
    path = tmp_path / "scores.csv"
    with pytest.raises(OSError, match="No space left"), atomic_path(path) as scratch:
        scratch.symlink_to("/dev/full")
        scratch.write_text("x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link_to_the_new_content(tmp_path):
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder to write a\.csv in"):
        write_text(tmp_path / "nowhere" / "a.csv", "")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_text(tmp_path, "")


def test_whether_a_file_can_be_written_is_found_out_without_touching_it(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    check_writable(path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
    with pytest.raises(FileNotFoundError, match="make it first"):
        check_writable(tmp_path / "missing" / "scores.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(tmp_path)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", ".scores.1234.csv")

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(PermissionError, match=r"cannot write .*Permission denied.*'.*/scores\.csv'"):
        check_writable(path)
