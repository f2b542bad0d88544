"""Runs that are killed outright, at any moment."""

import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile as sf

import offkey

RUN = """
import sys, warnings
import offkey
from offkey.archive import run
from offkey.datasets import portions
warnings.simplefilter("ignore")
run.PART_RECORDINGS, portions.FILES_AT_ONCE = 4, 2
print("ready", flush=True)
detector, result, recordings, shard = sys.argv[1:]
if shard == "merge":
    offkey.merge_scores(result)
else:
    shard = tuple(map(int, shard.split("/")))
    offkey.load(detector).score_to(result, recordings, shard=shard, num_threads=1)
"""
SHARDS = ("1/3", "2/3", "3/3")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Return a function that begins a run of its own over one archive, whole or a shard or a merge."""
    folder = tmp_path_factory.mktemp("archive")
    rng = np.random.default_rng(0)
    recordings = folder / "recordings"
    recordings.mkdir()
    for number in range(60):
        sf.write(recordings / f"{number:02}_id_00.wav", 0.1 * rng.standard_normal(160_000), 16_000)
    detector = folder / "press.offkey"
    offkey.Detector().fit(offkey.datasets.folder(recordings)).save(detector)

    def begin(result, shard="1/1"):
        command = [sys.executable, "-c", RUN, str(detector), str(result), str(recordings), shard]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        with process.stdout:
            process.stdout.readline()
        return process

    return begin


@pytest.fixture
def whole(archive, tmp_path):
    """Return a function that makes the result of one run under a name, and says how long it took."""

    def scored(name):
        result = tmp_path / "whole" / name
        result.parent.mkdir()
        began = time.monotonic()
        assert archive(result).wait() == 0
        return result, time.monotonic() - began

    return scored


def killed(processes, moment):
    """Kill processes after a while; return how many had not ended."""
    time.sleep(moment)
    for process in processes:
        process.kill()
    return sum(process.wait() != 0 for process in processes)


def content(result):
    """Return the bytes of a result, or of the files of data in it."""
    files = sorted(result.glob("[!_]*")) if result.is_dir() else [result]
    return [(file.name, file.read_bytes()) for file in files]


@pytest.mark.long
@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet", "scores"])
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_result(archive, whole, tmp_path, name):
    result, took = whole(name)
    broken = tmp_path / "broken" / name
    broken.parent.mkdir()
    moments = np.random.default_rng(0).uniform(0, took / 2, 12)
    assert sum(killed([archive(broken)], moment) for moment in moments)
    assert archive(broken).wait() == 0
    assert [path.name for path in broken.parent.iterdir()] == [name]
    assert content(broken) == content(result)


@pytest.mark.long
@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_shards_that_are_killed_side_by_side_come_to_the_same_result(archive, whole, tmp_path, name):
    result, took = whole(name)
    broken = tmp_path / "broken" / name
    broken.parent.mkdir()
    rng = np.random.default_rng(1)
    # The shards start one after the other: at once, the last has not ended; later, those before it may have.
    moments = (0.0, *rng.uniform(0, took / 2, 3))
    kills = [killed([archive(broken, shard) for shard in SHARDS], moment) for moment in moments]
    assert kills[0]
    assert archive(broken, "merge").wait() != 0 or broken.exists()
    jobs = [archive(broken, shard) for shard in SHARDS]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    for moment in rng.uniform(0, took / 20, 3):
        killed([archive(broken, "merge")], moment)
    assert archive(broken, "merge").wait() == 0 or not broken.with_name(f"{name}.parts").exists()
    assert [path.name for path in broken.parent.iterdir()] == [name]
    assert content(broken) == content(result)
