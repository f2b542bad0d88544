"""What scores an archive: what is refused before any work, and by a worker before it works; no cluster is needed."""

import pickle
import sys

import pytest

from offkey import RayCluster
from offkey.archive.blocks import PartWriter
from offkey.archive.part_file import names_digest
from offkey.archive.parts import parts_of
from offkey.archive.worker import Job, Worker
from offkey.datasets.recordings import items_of
from offkey.errors import ClusterError, MissingExtraError, ParameterError


def as_it_is(table):
    """Return a table that is to be written."""
    return table


@pytest.fixture
def missing_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.fixture
def job(detector, recordings, tmp_path, monkeypatch):
    """Return a function that gives the job of scoring some recordings below the working folder, pickled."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").symlink_to(recordings)

    def of(items):
        parts = parts_of(tmp_path / "scores.csv")
        parts.folder.mkdir()
        parts.place.write_text("_run-1", "")
        options = {"rate": None, "fdr": None, "windows": "worst", "on_error": "record"}
        writer = PartWriter(parts, {}, ["path", "anomaly_score", "error"], as_it_is)
        return pickle.dumps(
            Job.of(
                items,
                fitted=[detector._fitted()],
                options=options,
                num_threads=1,
                device="cpu",
                precision="float32",
                max_seconds=60.0,
                writers=[writer],
                signs=["_run-1"],
            )
        )

    return of


def test_engines_that_do_not_exist_are_refused(detector, recordings, tmp_path):
    for engine in ("spark", None, 3, RayCluster):
        with pytest.raises(ParameterError, match="expected 'local', 'ray' or a RayCluster"):
            detector.score_to(tmp_path / "scores", recordings, engine=engine)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"workers": 1.5},
        {"cpus": 0},
        {"cpus": "2"},
        {"gpus": -1},
        {"gpus": 1.5},
        {"gpus": "1"},
    ],
    ids=str,
)
def test_clusters_that_no_one_has_are_refused(options):
    with pytest.raises(ParameterError, match=f"{next(iter(options))} = "):
        RayCluster(**options)


@pytest.mark.parametrize("engine", ["ray", RayCluster(workers=2, gpus=0.5)])
def test_missing_ray_is_said_before_any_work(missing_ray, detector, tmp_path, engine):
    with pytest.raises(MissingExtraError, match=r"pip install 'offkey\[cluster\]'"):
        detector.score_to(tmp_path / "scores", tmp_path / "not looked at", engine=engine)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_writes_the_part_of_a_block(job, tmp_path):
    items = list(items_of("own/id_00"))
    content, worker = job(items), Worker()
    report = worker.score("0.1.0", content, 7, items[:6])
    assert (report.summaries[0].failed, report.audio_s) == (1, 5.0)
    (row,) = report.surveyor.survey().rows
    assert (row.recordings, row.unreadable) == (6, 0)
    parts = parts_of(tmp_path / "scores.csv")
    assert parts.numbers() == [7]
    assert parts.receipt(7).names == names_digest(item.name for item in items[:6])
    first, *_ = parts.rows(7)
    assert first["path"] == "own/id_00/00.wav"


def test_a_worker_that_cannot_see_what_it_is_to_score_says_so(job, recordings, tmp_path):
    items = list(items_of("own/id_01"))
    content = job(items)
    (tmp_path / "own").unlink()
    with pytest.raises(ClusterError, match=r"the worker on .*: cannot read own/id_01/01\.wav \(No such file"):
        Worker().begin("0.1.0", content)
    (tmp_path / "own" / "id_01").mkdir(parents=True)
    (tmp_path / "own" / "id_01" / "01.wav").write_bytes((recordings / "id_01" / "03.wav").read_bytes())
    with pytest.raises(
        ClusterError, match=r"the worker on .*: has another own/id_01/01\.wav than the machine"
    ):
        Worker().begin("0.1.0", content)


def test_a_worker_that_does_not_share_the_result_says_so(job, tmp_path):
    content = job([])
    (tmp_path / "scores.csv.parts" / "_run-1").unlink()
    with pytest.raises(
        ClusterError, match=r"cannot write to folder .*scores\.csv\.parts.* all machines share"
    ):
        Worker().begin("0.1.0", content)
    (tmp_path / "scores.csv.parts").rmdir()
    with pytest.raises(ClusterError, match=r"has no folder .*scores\.csv\.parts"):
        Worker().begin("0.1.0", content)


def test_a_worker_of_another_version_or_without_a_package_says_so(job):
    content = job([])
    with pytest.raises(ClusterError, match=r"has offkey 0\.1\.0, the run was started with 9\.9\.9"):
        Worker().begin("9.9.9", content)
    content = content.replace(b"offkey.signal", b"offkey.signol").replace(
        b"offkey.scoring", b"offkey.scorong"
    )
    with pytest.raises(ClusterError, match=r"cannot load the detector, .*No module named"):
        Worker().begin("0.1.0", content)
