"""The check for GPUs: its parts are bounded, a fault in one hides no other, and what is done is not done again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GPU = Path(__file__).parents[2] / "benches" / "gpu"


@pytest.fixture
def check(monkeypatch):
    """The script, with its neighbours importable while a test runs."""
    monkeypatch.syspath_prepend(str(GPU))
    for name in ("check", "parts", "report"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import check

    yield check
    for name in ("check", "parts", "report"):
        sys.modules.pop(name, None)


def call(tmp_path, *options):
    command = [sys.executable, GPU / "check.py", "--device", "cpu", "--quick"]
    command += ["--out", tmp_path / "out", "--work", tmp_path / "work", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def run_part(check, tmp_path, limit_s, **changes):
    import dataclasses

    part = dataclasses.replace(check.PARTS["machine"], **changes)
    setting = check.Setting(device="cpu", quick=True, work=tmp_path)
    return check.run(part, setting, limit_s, dict(os.environ), tmp_path / "part.log")


def test_all_limits_together_are_within_the_limit_in_all(check):
    install_s = 20
    assert sum(part.limit_s for part in check.PARTS.values()) + install_s <= check.TOTAL_S
    assert check.TOTAL_S < 540


def test_a_part_that_takes_too_long_is_stopped(check, tmp_path):
    result = run_part(check, tmp_path, 0.01)
    assert result["status"] == "stopped after its limit of 0 s"
    assert result["seconds"] < 5


def test_a_part_that_fails_says_why(check, tmp_path):
    result = run_part(check, tmp_path, 60, name="no_such_part")
    assert result["status"] == "failed with exit code 1"
    assert "KeyError: 'no_such_part'" in result["log"]


def test_a_failed_part_hides_no_other_and_is_run_again(tmp_path):
    first = call(tmp_path, "--parts", "machine,scoring")  # there are no recordings to score
    assert first.returncode == 1
    parts = json.loads((tmp_path / "out" / "gpu.json").read_text())["parts"]
    assert parts["machine"]["status"] == "done"
    assert parts["machine"]["rows"][0]["device"] == "CPU"
    assert parts["scoring"]["status"] == "failed with exit code 1"
    text = (tmp_path / "out" / "gpu.md").read_text()
    assert "1 of 2 parts done" in text
    assert "**scoring: failed with exit code 1**" in text

    second = call(tmp_path, "--parts", "machine,scoring")
    assert "machine: done before" in second.stdout
    assert "scoring: failed" in second.stdout


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_check_on_the_cpu(check, tmp_path):
    # The part that compiles is the same as the others but for torch.compile, which takes minutes on a busy CPU.
    names = [name for name in check.PARTS if name != "speed_compiled"]
    done = call(tmp_path, "--parts", ",".join(names))
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((tmp_path / "out" / "gpu.json").read_text())["parts"]
    assert list(parts) == names
    assert {part["status"] for part in parts.values()} == {"done"}
    speed = parts["speed_float32"]["rows"]
    assert [row["stage"] for row in speed] == [1, 2]
    assert all(row["loader"] > 0 and row["network"] > 0 and row["together"] > 0 for row in speed)
    device, cpu, both = parts["cpu_pair"]["rows"]
    same = [name for name in device if name not in ("training s", "steps/s")]
    assert [device[name] for name in same] == [cpu[name] for name in same]  # both were the CPU
    assert both["largest difference of a score"] == 0
    assert {row["detector"] for row in parts["scoring"]["rows"]} == {"spectral", "network"}
    assert "training: done before" in call(tmp_path, "--parts", "training").stdout
