"""Archives on object storage: in memory, and on a server of S3 that is killed."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from offkey.cli import run
from offkey.datasets import objects
from offkey.errors import ParameterError
from offkey.scores import ScoreTable

fsspec = pytest.importorskip("fsspec")


class Server:
    """A server of S3 on this machine, which holds some recordings while it runs."""

    def __init__(self, recordings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.recordings = recordings
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.put("plant")
        for path in self.recordings.rglob("*.wav"):
            self.put(f"plant/archive/{path.relative_to(self.recordings).as_posix()}", path.read_bytes())

    def put(self, name, content=b""):
        request = urllib.request.Request(f"{self.url}/{name}", data=content, method="PUT")
        request.add_header(
            "Authorization", "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"
        )
        request.add_header("Content-Type", "audio/wav")  # a form, which is the default, is no object
        urllib.request.urlopen(request, timeout=30).close()

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server(recordings):
    pytest.importorskip("moto.server", reason="moto is not installed: pip install --group cloud")
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install --group cloud")
    with pytest.MonkeyPatch.context() as patch:
        running = Server(recordings)
        for name, value in (
            ("AWS_ENDPOINT_URL", running.url),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_MAX_ATTEMPTS", "1"),
        ):
            patch.setenv(name, value)
        objects._opened.cache_clear()
        yield running
        running.kill()
        objects._opened.cache_clear()


@pytest.fixture
def bucket(recordings):
    """Return the URL of the recordings in memory."""
    storage = fsspec.filesystem("memory")
    storage.put(str(recordings), "/plant/archive", recursive=True)
    yield "memory://plant/archive"
    storage.rm("/plant", recursive=True)


def rows(result, root):
    """Return the rows of a result as text, paths below a folder or bucket."""
    table = ScoreTable.read(result)
    return [{name: str(cell).replace(root, "") for name, cell in row.items()} for row in table.rows()]


@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_rows_are_those_of_the_same_files_on_a_disk(detector, recordings, bucket, tmp_path, name):
    detector.score_to(tmp_path / name, bucket)
    detector.score_to(tmp_path / "disk" / name if name == "scores" else tmp_path / "disk.csv", recordings)
    of_storage = rows(tmp_path / name, "memory:///plant/archive/")
    of_disk = rows(tmp_path / "disk" / name if name == "scores" else tmp_path / "disk.csv", f"{recordings}/")
    assert of_storage == of_disk
    assert of_storage[4]["error"].startswith("id_00/08.wav: not a sound file")
    assert detector.score_to(tmp_path / "scores", bucket, new_only=True).rows == 30


def test_a_result_on_object_storage_is_refused(detector, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for result in ("s3://bucket/scores", "memory://scores.csv"):
        with pytest.raises(ParameterError, match="a result is written to a disk, not to object storage"):
            detector.score_to(result, recordings)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_on_a_server_that_is_killed(server, detector, recordings, tmp_path):
    parts = []

    def kill_late(table):
        parts.append(table)
        if len(parts) == 2:
            server.kill()
        return table

    detector.score_to(tmp_path / "whole.csv", "s3://plant/archive")
    detector.score_to(tmp_path / "disk.csv", recordings)
    assert rows(tmp_path / "whole.csv", "s3://plant/archive/") == rows(
        tmp_path / "disk.csv", f"{recordings}/"
    )
    with pytest.raises(OSError, match=r"s3://plant/archive/id_0.*the storage does not answer"):
        detector.score_to(tmp_path / "scores.csv", "s3://plant/archive", on_part=kill_late)
    assert not (tmp_path / "scores.csv").exists()
    server.start()
    assert detector.score_to(tmp_path / "scores.csv", "s3://plant/archive").resumed >= 8
    assert (tmp_path / "scores.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert b"\ns3://plant/archive/id_01/29.wav," in (tmp_path / "scores.csv").read_bytes()


def test_a_list_of_urls_on_the_command_line(server, detector, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    detector.save("press.offkey")
    names = [
        "s3://plant/archive/id_00/00.wav",
        "s3://plant/archive/none.wav",
        "s3://plant/archive/id_00/08.wav",
    ]
    (tmp_path / "list.txt").write_text("\n".join(names))
    command = ["score", "press.offkey", "s3://plant/archive/id_01", "--files-from", "list.txt"]
    assert run([*command, "--out", "s.csv"]) == 3
    paths = [row["path"] for row in ScoreTable.read("s.csv").rows()]
    assert paths[-3:] == names
    assert len(paths) == 18
    assert "s3://plant/archive/none.wav: no such object or folder" in capsys.readouterr().err
    assert run(["score", "press.offkey", "s3://plant/nothing", "--out", "t.csv"]) == 2
