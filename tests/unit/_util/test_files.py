"""Files that are there whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offkey._util import files
from offkey._util.files import atomic_path, check_folder, check_writable, named, write_text


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
        scratch.unlink()
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

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError, match=r"cannot write .*Permission denied.*'.*/scores\.csv'"):
        check_writable(path)


def test_whether_a_folder_can_be_written_to_is_found_out_without_making_it(tmp_path, monkeypatch):
    check_folder(tmp_path)
    check_folder(tmp_path / "new" / "newer")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("old")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "file/new", "dangling", "dangling/new"):
        with pytest.raises(NotADirectoryError, match=f"{name.partition('/')[0]}: is no folder"):
            check_folder(tmp_path / name)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", ".new.1234")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(
        PermissionError, match=rf"cannot write {tmp_path.name}: Permission denied.*'.*/out/new'"
    ):
        check_folder(tmp_path / "out" / "new")


def test_an_error_has_the_name_that_the_user_knows(tmp_path):
    scratch = tmp_path / ".scratch.1234"
    cases = [
        (OSError(28, "full"), str(tmp_path)),
        (OSError(28, "full", str(scratch)), str(tmp_path)),
        (OSError(28, "full", str(scratch / "samples")), str(tmp_path)),
        (FileNotFoundError(2, "gone", "a.wav"), "a.wav"),
        (OSError("nothing known"), None),
    ]
    for error, name in cases:
        with pytest.raises(type(error)) as caught, named(tmp_path, scratch):
            raise error
        assert (caught.value.filename, caught.value.errno) == (name, error.errno)
    with pytest.raises(OSError, match="full") as caught, named(tmp_path):
        raise OSError(28, "full", "b.wav")
    assert caught.value.filename == "b.wav"


def test_what_is_overwritten_keeps_its_mode_and_its_other_names(tmp_path):
    path, other = tmp_path / "scores.csv", tmp_path / "other.csv"
    path.write_text("a longer old text")
    path.chmod(0o640)
    write_text(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    other.hardlink_to(path)
    write_text(path, "for both names, and longer than before")
    assert other.read_text() == path.read_text() == "for both names, and longer than before"
    write_text(other, "short")
    assert path.read_text() == "short"
    assert other.samefile(path)
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_a_private_file_is_private_while_it_is_written(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    path.chmod(0o600)
    with atomic_path(path) as scratch:
        assert scratch.stat().st_mode & 0o077 == 0


def test_a_full_disk_leaves_a_file_with_two_names_whole(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    (tmp_path / "other.csv").hardlink_to(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*scores\.csv'"):
        write_text(path, "longer than before")
    assert path.read_text() == "old"


def test_a_file_that_cannot_be_renamed_over_is_filled(tmp_path, monkeypatch):
    path = tmp_path / "mounted.csv"
    path.write_text("old")

    def busy(*_):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs a limit of file sizes")
def test_a_file_that_becomes_too_large_is_named_and_the_old_one_stays(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    code = f"""
import resource
from offkey._util.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_text({str(path)!r}, "x" * 10000)
"""
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert f"File too large: '{path}'" in run.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_folder_and_file_say_so_at_once(tmp_path, monkeypatch):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    for write in (check_writable, lambda path: write_text(path, "new")):
        with pytest.raises(PermissionError, match=r"scores\.csv"):
            write(path)
    assert path.read_text() == "old"


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "scores.csv"
    os.mkfifo(pipe)
    check_writable(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        write_text(pipe, "through\n")
        assert reader.communicate(timeout=60)[0] == b"through\n"
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_is_an_error_not_a_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "READER_WAIT_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"nobody read from this pipe for 0\.1 s: '.*pipe'"):
        write_text(tmp_path / "pipe", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's devices")
def test_devices_are_written_to(tmp_path):
    write_text("/dev/null", "x")
    assert Path("/dev/null").is_char_device()
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    write_text(link, "x")
    assert link.is_symlink()
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_text("/dev/full", "x" * 100_000)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_written_to_where_it_stands(tmp_path, name):
    code = f"from offkey._util.files import write_text; print('before'); write_text({name!r}, 'new\\n')"
    with (tmp_path / "out").open("w") as out:
        out.write("first\n")
        out.flush()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=out)
    assert (tmp_path / "out").read_text() == "first\nbefore\nnew\n"


def test_a_name_that_is_no_utf8_keeps_its_bytes(tmp_path):
    write_text(tmp_path / "a.md", os.fsdecode(b"L\xfcfter"))
    assert (tmp_path / "a.md").read_bytes() == b"L\xfcfter"
    write_text(tmp_path / "a.md", "half of a pair: \ud83d")
