"""The check for GPUs: its parts are bounded, a fault in one hides no other, and what is done is not done again."""

import json
import os
import subprocess
import sys
import time
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
    for sitting in {part.sitting for part in check.PARTS.values()}:
        limits = [part.limit_s for part in check.PARTS.values() if part.sitting == sitting]
        assert sum(limits) + install_s <= check.TOTAL_S
    sittings = [part.sitting for part in check.PARTS.values()]
    assert sittings == sorted(sittings)
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


def test_near_is_trained_on_both_devices(check, tmp_path):
    pytest.importorskip("torch")
    done = call(tmp_path, "--parts", "recordings,near")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "out" / "gpu.json").read_text())["parts"]["near"]["rows"]
    assert [(row["machine"], row["gate"]) for row in rows] == [("fan", "static")] * 3 + [
        ("valve", "rich")
    ] * 3
    for device, cpu, both in (rows[:3], rows[3:]):
        assert (device["networks"], device["steps of each"]) == (2, 10)
        same = [name for name in device if name not in ("training s", "steps/s")]
        assert [device[name] for name in same] == [cpu[name] for name in same]  # both were the CPU
        assert device["AUC a_near"] == device["AUC anomaly_score"] <= 1
        assert both["largest difference of a score"] == 0 < both["deviation of the scores"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_check_on_the_cpu(check, tmp_path):
    # The parts that compile are the same as the others but for torch.compile, which takes minutes on a busy CPU.
    names = [name for name in check.PARTS if name not in ("speed_compiled", "speed_graphs")]
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
    archive = parts["archive"]["rows"]
    assert all(row["clips/s"] > 0 for row in archive[:-1])
    assert archive[-1]["decisions changed"] <= 0.1 * archive[-1]["clips"]
    *_, full = parts["full_size"]["rows"]
    assert full["epochs"] == "1 + 1"
    assert 0 <= full["AUC anomaly_score"] <= 1
    assert full["four types of all epochs, min"] > 0
    assert "training: done before" in call(tmp_path, "--parts", "training").stdout


@pytest.fixture
def speed(monkeypatch):
    """The module that measures steps per second."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(GPU.parent / "python"))
    monkeypatch.delitem(sys.modules, "training_speed", raising=False)
    import training_speed

    yield training_speed
    sys.modules.pop("training_speed", None)


def test_as_many_epochs_as_a_time_allows_in_their_proportion(speed):
    assert speed.affordable((80, 40), (200, 200), (100.0, 50.0), 1000) == (80, 40)  # 320 s are enough
    assert speed.affordable((80, 40), (200, 200), (100.0, 50.0), 160) == (40, 20)
    assert speed.affordable((80, 40), (200, 200), (1.0, 0.5), 10) == (1, 1)


def test_a_gpu_is_watched_while_it_works_and_a_cpu_is_not(speed, tmp_path, monkeypatch):
    import torch

    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\necho "$@" > "$0.arguments"\necho 50\necho "[N/A]"\necho 100\nexec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with speed.utilisation(speed.Compute(device=torch.device("cpu"))) as busy:
        pass
    assert busy == []
    with speed.utilisation(speed.Compute(device=torch.device("cuda", 1))) as busy:
        deadline = time.monotonic() + 20
        while not (tmp_path / "nvidia-smi.arguments").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
    assert busy == [0.5, 1.0]
    assert "--id=1" in (tmp_path / "nvidia-smi.arguments").read_text()
