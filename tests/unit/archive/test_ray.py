"""Archives that the workers of a Ray cluster score, which are killed, as is the run; the cluster is this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import offkey
from offkey import RayCluster
from offkey.archive import cluster as of_cluster
from offkey.cli import run
from offkey.errors import ClusterError, ParameterError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")

RUN = """
import sys, time
import offkey, ray
from offkey.archive import run
detector, result, recordings, address, path = sys.argv[1:]
run.PART_RECORDINGS = 4
ray.init(address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": path}} if path else None)
def slow(table):
    time.sleep(0.5)
    return table
offkey.load(detector).score_to(result, recordings, engine=offkey.RayCluster(workers=2), on_part=slow)
"""


@pytest.fixture(scope="module")
def address():
    """Start a cluster of two processors; return its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # tests run beside others
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture
def begin(detector, recordings, address, tmp_path):
    """Return a function that begins a run of its own on the cluster."""
    detector.save(tmp_path / "press.offkey")

    def begun(result, path=""):
        arguments = [tmp_path / "press.offkey", result, recordings, address, path]
        command = [sys.executable, "-c", RUN, *map(str, arguments)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    return begun


def content(result):
    """Return the bytes of a result, or of all files in it."""
    files = sorted(result.iterdir()) if result.is_dir() else [result]
    return {file.name if result.is_dir() else "": file.read_bytes() for file in files}


def dying(mark, times):
    """Return what a worker calls for each part: it kills that worker so many times."""

    def call(table):
        deaths = len(list(mark.iterdir()))
        if deaths < times:
            (mark / str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return table

    mark.mkdir()
    return call


def test_the_result_is_that_of_a_run_here_though_a_worker_is_killed(address, detector, recordings, tmp_path):
    states = []
    expected = detector.score_to(tmp_path / "here.csv", recordings)
    totals = detector.score_to(
        tmp_path / "scores.csv",
        recordings,
        engine="ray",
        on_part=dying(tmp_path / "deaths", 1),
        on_advance=states.append,
    )
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert content(tmp_path / "scores.csv") == content(tmp_path / "here.csv")
    assert not (tmp_path / "scores.csv.parts").exists()
    assert totals == expected
    assert (states[-1].done, states[-1].errors, states[-1].audio_s) == (30, 1, 29.0)


def test_several_detectors_share_the_pass_of_a_worker_that_is_killed(
    address, healthy, detector, recordings, tmp_path
):
    coarse = offkey.Recipe.named("spectral").replace(features__n_mels=64)
    detectors = {
        "first": detector,
        "careful": offkey.Detector(
            offkey.Recipe.named("spectral").replace(scoring__false_alarm_rate=0.2)
        ).fit(healthy),
        "coarse": offkey.Detector(coarse).fit(healthy),
    }
    together = {tmp_path / f"{name}.csv": each for name, each in detectors.items()}
    on_part = dying(tmp_path / "deaths", 1)
    totals = offkey.score_to(together, recordings, engine="ray", on_part=on_part)
    for name, each in detectors.items():
        expected = each.score_to(tmp_path / f"{name}-here.csv", recordings)
        assert content(tmp_path / f"{name}.csv") == content(tmp_path / f"{name}-here.csv")
        assert totals[tmp_path / f"{name}.csv"] == expected


def test_a_run_that_is_killed_goes_on(address, begin, detector, recordings, tmp_path):
    result = tmp_path / "scores.parquet"
    process = begin(result)
    while not list(result.with_name("scores.parquet.parts").glob("part-*")):
        assert process.poll() is None
        time.sleep(0.05)
    with pytest.raises(ParameterError, match=r"process \d+ on .* is writing to it now"):
        detector.score_to(result, recordings, engine="ray")
    process.kill()
    process.communicate()
    assert not result.exists()
    assert 0 < detector.score_to(result, recordings, engine="ray").resumed < 30
    detector.score_to(tmp_path / "here.parquet", recordings)
    assert result.read_bytes() == (tmp_path / "here.parquet").read_bytes()


def test_the_command_deals_with_recordings_without_a_score_as_here(
    address, detector, recordings, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    detector.save("press.offkey")
    Path("own").symlink_to(recordings)
    command = ["score", "press.offkey", "own", "--max-seconds", "0.5", "--out"]
    elsewhere = ["--engine", "ray", "--workers", "1"]
    assert run([*command, "scores", *elsewhere, "--on-error", "fail"]) == 2
    assert "give --max-seconds to read longer recordings; --on-error" in capsys.readouterr().err
    for on_error in ("skip", "record"):
        assert run([*command, f"{on_error}", *elsewhere, "--on-error", on_error]) == 2
        assert run([*command, f"{on_error} here", "--on-error", on_error]) == 2
        assert content(Path(on_error)) == content(Path(f"{on_error} here"))


def test_a_worker_without_the_package_is_refused_by_name(address, begin, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['offkey'] = None\n")
    process = begin(tmp_path / "scores", path=str(tmp_path))
    _, said = process.communicate()
    assert process.returncode == 1
    assert "ClusterError: ray: a worker has no offkey: install the same version on all machines" in said
    assert not (tmp_path / "scores").exists()


def test_what_is_no_file_is_refused_before_anything_starts(address, detector, tmp_path, monkeypatch):
    monkeypatch.setattr(of_cluster.ClusterScorer, "_start", None)
    with pytest.raises(ParameterError, match=r"workers open sound files; expected paths.* given bytes"):
        detector.score_to(tmp_path / "scores.csv", [b"RIFF"], engine="ray")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_is_not_asked_for_what_is_there(address, detector, recordings, tmp_path, monkeypatch):
    detector.score_to(tmp_path / "scores", recordings)
    monkeypatch.setattr(of_cluster.ClusterScorer, "_start", None)
    assert detector.score_to(tmp_path / "scores", recordings, engine="ray").resumed == 30


def test_an_address_where_nothing_answers_is_refused_at_once(address, detector, recordings, tmp_path):
    for engine in (RayCluster(address="127.0.0.1:1"), RayCluster(address="ray://127.0.0.1:1")):
        with pytest.raises(
            ClusterError, match=r"nothing answers at .*127\.0\.0\.1:1: .*refused; expected the head"
        ):
            detector.score_to(tmp_path / "scores", recordings, engine=engine)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_fits_nowhere_is_refused(address, detector, recordings, tmp_path):
    for engine, words in ((RayCluster(cpus=3), "takes 3 and 0"), (RayCluster(gpus=0.5), "takes 1 and 0.5")):
        with pytest.raises(ClusterError, match=rf"has 2 CPUs and 0 GPUs, and a worker {words}: none fits"):
            detector.score_to(tmp_path / "scores", recordings, engine=engine)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_block_that_kills_every_worker_ends_the_run(address, detector, recordings, tmp_path):
    with pytest.raises(
        ClusterError, match=r"4 workers have died, all of them at this block: 4 recordings from .* on; were"
    ):
        detector.score_to(tmp_path / "scores", recordings, engine="ray", on_part=dying(tmp_path / "d", 99))
    assert list((tmp_path / "scores").glob("part-*")) == []
    assert detector.score_to(tmp_path / "scores", recordings).rows == 30


@pytest.mark.long
def test_workers_and_runs_that_are_killed_again_and_again_come_to_the_same_result(
    address, begin, detector, recordings, tmp_path
):
    result, kills = tmp_path / "scores.csv", 0
    for moment in (3.0, 4.0, 4.5, 5.0):
        process = begin(result)
        time.sleep(moment)
        process.kill()
        process.communicate()
        kills += process.returncode != 0
    assert kills
    detector.score_to(result, recordings, engine="ray", on_part=dying(tmp_path / "deaths", 3))
    detector.score_to(tmp_path / "here.csv", recordings)
    assert content(result) == content(tmp_path / "here.csv")
