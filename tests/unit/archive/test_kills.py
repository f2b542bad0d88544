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
run.PART_RECORDINGS, portions.PORTION_ITEMS = 4, 2
print("ready", flush=True)
offkey.load(sys.argv[1]).score_to(sys.argv[2], sys.argv[3], num_threads=1)
"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet", "scores"])
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_result(tmp_path, name):
    rng = np.random.default_rng(0)
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for number in range(60):
        sf.write(recordings / f"{number:02}_id_00.wav", 0.1 * rng.standard_normal(160_000), 16_000)
    detector = tmp_path / "press.offkey"
    offkey.Detector().fit(offkey.datasets.folder(recordings)).save(detector)

    def begin(result):
        command = [sys.executable, "-c", RUN, str(detector), str(result), str(recordings)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        with process.stdout:
            process.stdout.readline()
        return process

    whole, broken = tmp_path / "whole" / name, tmp_path / "broken" / name
    whole.parent.mkdir()
    broken.parent.mkdir()
    began = time.monotonic()
    assert begin(whole).wait() == 0
    took = time.monotonic() - began
    kills = 0
    for moment in rng.uniform(0, took / 2, 12):
        process = begin(broken)
        time.sleep(moment)
        process.kill()
        kills += process.wait() != 0
    assert kills
    assert begin(broken).wait() == 0
    assert [path.name for path in broken.parent.iterdir()] == [name]
    files = [broken] if broken.is_file() else sorted(broken.iterdir())
    for file in files:
        assert file.read_bytes() == (whole / file.name if broken.is_dir() else whole).read_bytes()
