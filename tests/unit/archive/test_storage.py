"""Archives on object storage: in memory, and on a server of S3 that is killed."""

import contextlib
import itertools
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import offkey
from offkey._util import storage
from offkey._util.storage import Url, address_of
from offkey.archive import lease
from offkey.archive.parts import parts_of
from offkey.cli import run
from offkey.errors import DatasetError, MissingExtraError, OffkeyWarning, ParameterError
from offkey.scores import ScoreTable

fsspec = pytest.importorskip("fsspec")


class Server:
    """A server of S3 on this machine, which holds some recordings while it runs."""

    def __init__(self, recordings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.recordings = recordings
        self.buckets = itertools.count()
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
            except OSError:  # a URLError is one
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
        storage._opened.cache_clear()
        yield running
        running.kill()
        storage._opened.cache_clear()


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


class StopError(Exception):
    """Stands for whatever ends a run."""


def stopping(after):
    """What ends a run while it writes one of its parts."""
    parts = []

    def on_part(table):
        parts.append(table)
        if len(parts) > after:
            raise StopError
        return table

    return on_part


def content(result):
    """Return the bytes of a result, or of the files of data in it, whether it is on a disk or on storage."""
    address = address_of(result)
    if not address.is_dir():
        return address.read_bytes()
    names = address.names() if isinstance(address, Url) else [path.name for path in address.iterdir()]
    return {name: (address / name).read_bytes() for name in sorted(names)}


def names(folder):
    """Return the names in a folder in memory, without those of empty folders, which no other storage has."""
    return [name for name in folder.names() if (folder / name).is_file() or (folder / name).names()]


@pytest.fixture
def place():
    """Return the URL of a folder in memory that is free."""
    yield Url("memory://results")
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm("/results", recursive=True)


@pytest.mark.parametrize("name", ["scores.csv", "scores.json", "scores.jsonl", "scores.parquet", "scores"])
def test_a_result_on_storage_is_that_on_a_disk_though_the_run_is_stopped(
    detector, recordings, tmp_path, place, name
):
    detector.score_to(tmp_path / name, recordings)
    with pytest.raises(StopError):
        detector.score_to(place / name, recordings, on_part=stopping(3))
    (left,) = names(place)
    assert left == (name if name == "scores" else f"{name}.parts")
    assert [part[:4] for part in (place / left).names()] == ["part"] * 3
    assert detector.score_to(place / name, recordings).resumed == 12
    assert content(place / name) == content(tmp_path / name)
    assert names(place) == [name]
    assert offkey.read_scores(place / name) == ScoreTable.read(tmp_path / name)


def test_what_is_refused_on_a_disk_is_refused_on_storage(detector, recordings, tmp_path, place):
    with pytest.raises(StopError):
        detector.score_to(place / "scores.csv", recordings, on_part=stopping(3))
    with pytest.raises(
        ParameterError, match=r"^memory://results/scores\.csv\.parts/part-0.*was begun with windows"
    ):
        detector.score_to(place / "scores.csv", recordings, windows="each")
    assert detector.score_to(place / "scores.csv", recordings, windows="each", restart=True).resumed == 0
    (place / "notes.txt").write_bytes(b"not ours")
    with pytest.raises(ParameterError, match=r"holds 'notes\.txt', which is no part of scores"):
        detector.score_to(place, recordings)
    for url, words in (("sftp://there/scores", "may be there in part"), ("s3://", "names no bucket")):
        with pytest.raises(ParameterError, match=words):
            detector.score_to(url, tmp_path / "not looked at")
    with pytest.raises(ParameterError, match=r"ending '\.xls'"):
        detector.score_to(place / "scores.xls", recordings)


def test_a_part_on_storage_that_is_damaged_is_named(detector, recordings, place):
    detector.score_to(place / "scores", recordings)
    (place / "scores" / "part-00000002.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        DatasetError, match=r"^memory://results/scores/part-00000002\.parquet: not a Parquet file"
    ):
        detector.score_to(place / "scores", recordings)


def test_new_recordings_and_the_oddest_on_storage(detector, recordings, tmp_path, place):
    for result in (place / "scores.csv", tmp_path / "scores.csv"):
        detector.score_to(result, f"{recordings}/id_0*/0*.wav", new_only=True)
        assert detector.score_to(result, recordings, new_only=True).resumed == 10
        detector.score_to(result.with_name("oddest.csv"), recordings, top=3)
    for name in ("scores.csv", "oddest.csv"):
        assert content(place / name) == content(tmp_path / name)


@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_shards_of_a_result_on_storage_are_merged(detector, recordings, tmp_path, place, name):
    for number in (1, 2, 3):
        detector.score_to(place / name, recordings, shard=(number, 3))
    totals = offkey.merge_scores(str(place / name))
    assert totals.rows == 30
    detector.score_to(tmp_path / name, recordings)
    assert content(place / name) == content(tmp_path / name)


def test_the_command_writes_to_storage(detector, recordings, tmp_path, place, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    detector.save("press.offkey")
    detector.save("other.offkey")
    assert run(["score", "press.offkey", str(recordings), "--out", "memory://results/s.csv", "--json"]) == 3
    assert "30 scores written to memory://results/s.csv" in capsys.readouterr().err
    assert run(["score", "press.offkey", "other.offkey", str(recordings), "-o", "memory://results/s"]) == 3
    assert run(["evaluate", "memory://results/none.csv"]) == 2
    assert "memory://results/none.csv: no such object" in capsys.readouterr().err
    assert names(place) == ["s-other", "s-press", "s.csv"]
    assert {path.name for path in tmp_path.iterdir()} == {"press.offkey", "other.offkey"}
    (place / "s-press" / "_end-0001-of-0001.json").unlink()
    assert run(["score", "--merge", "memory://results/s-press"]) == 2
    assert "no shard has come to its end" in capsys.readouterr().err


def test_a_missing_extra_is_said_before_any_work(detector, tmp_path, monkeypatch):
    storage._opened.cache_clear()
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for result in ("memory://results/scores.csv", "memory://results/scores"):
        with pytest.raises(MissingExtraError, match=r"pip install 'offkey\[cloud\]'"):
            detector.score_to(result, tmp_path / "not looked at")
    storage._opened.cache_clear()


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


RUN = """
import sys, time
import offkey
from offkey.archive import run
run.PART_RECORDINGS = 4
parts = []
def slow(table):
    parts.append(table)
    time.sleep(10 * (len(parts) > 3))
    return table
offkey.load(sys.argv[1]).score_to(*sys.argv[2:], on_part=slow)
"""


@pytest.fixture
def begin(server, detector, tmp_path):
    """Return a function that begins a run of its own, and waits for its first parts."""
    detector.save(tmp_path / "press.offkey")
    running = []

    def begun(result, recordings):
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            RUN,
            str(tmp_path / "press.offkey"),
            result,
            recordings,
        ]
        process = subprocess.Popen(command)
        running.append(process)
        while sum(name.startswith("part-") for name in parts_of(result).folder.names()) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        return process

    yield begun
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def results(server):
    """Return the URL of a bucket that is free."""
    name = f"results-{next(server.buckets)}"
    server.put(name)
    return Url(f"s3://{name}")


@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_a_run_that_is_killed_while_it_writes_to_a_server_goes_on(
    begin, detector, recordings, results, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(lease, "STALE_S", 7.0)
    process = begin(results / name, "s3://plant/archive")
    with (
        pytest.warns(OffkeyWarning, match=r"process \d+ on .* held the result, and may have ended"),
        pytest.raises(ParameterError, match=rf"process {process.pid} on .*, since .* is writing to it now"),
    ):
        detector.score_to(results / name, "s3://plant/archive")
    process.kill()
    process.wait()
    monkeypatch.setattr(lease, "STALE_S", 0.5)
    with pytest.warns(OffkeyWarning, match="may have ended"):
        assert 8 <= detector.score_to(results / name, "s3://plant/archive").resumed < 30
    detector.score_to(tmp_path / name, "s3://plant/archive")
    assert content(results / name) == content(tmp_path / name)
    assert results.names() == [name]


def test_a_server_that_is_killed_while_it_is_written_to_ends_a_run_which_goes_on(
    server, detector, recordings, results, tmp_path, monkeypatch
):
    parts, written = [], {}

    def kill_late(table):
        parts.append(table)
        if len(parts) == 3:
            written.update(content(results / "scores.csv.parts"))
            server.kill()
        return table

    monkeypatch.setattr(lease, "STALE_S", 0.5)
    try:
        with pytest.raises(OSError, match=r"part-00000002\.jsonl: the storage does not answer: "):
            detector.score_to(results / "scores.csv", recordings, on_part=kill_late)
    finally:
        server.start()
    server.put(results.name)
    for name, of_object in written.items():  # a real one has not lost them
        (results / "scores.csv.parts" / name).write_bytes(of_object)
    with pytest.warns(OffkeyWarning, match="may have ended"):
        assert detector.score_to(results / "scores.csv", recordings).resumed == 8
    detector.score_to(tmp_path / "scores.csv", recordings)
    assert content(results / "scores.csv") == content(tmp_path / "scores.csv")


def test_a_bucket_that_is_not_there_is_said_before_any_work(server, detector, tmp_path):
    for name in ("scores", "scores.csv"):
        with pytest.raises(FileNotFoundError, match=rf"^s3://nowhere/{name}.*no such"):
            detector.score_to(f"s3://nowhere/{name}", tmp_path / "not looked at")


def test_workers_of_a_cluster_write_to_a_server(server, detector, recordings, results, tmp_path):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    try:
        detector.score_to(results / "scores.csv", "s3://plant/archive", engine="ray")
    finally:
        ray.shutdown()
    detector.score_to(tmp_path / "scores.csv", "s3://plant/archive")
    assert content(results / "scores.csv") == content(tmp_path / "scores.csv")
    assert results.names() == ["scores.csv"]
