"""Two processes on a CPU, started by torchrun, against one with the joint batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_network import RECIPE, audio_clips

from offkey.errors import ParameterError
from offkey.training.model import NetworkModel

TESTS = Path(__file__).parents[2]
EVEN = RECIPE.replace(network__dropout=0.0, training__learning_rate=1e-3)

WORKER = """
import json, sys
from pathlib import Path
from tiny_network import RECIPE, audio_clips
from offkey import ranks
from offkey.recipe import Recipe
from offkey.training.events import EpochEnded
from offkey.training.model import NetworkModel

out = Path(sys.argv[1])
recipe = Recipe.from_json((out / "recipe.json").read_text())
checkpoint = out / "run.checkpoint" if len(sys.argv) > 2 else None
losses = []
model = NetworkModel.fit(
    audio_clips(), recipe=recipe, seed=3, device="cpu", precision="float32", checkpoint=checkpoint,
    on_event=lambda event: losses.append(dict(event.losses)) if isinstance(event, EpochEnded) else None,
)
arrays, _ = model.state()
total = {name: float(abs(value).sum()) for name, value in arrays.items() if name.startswith("model.")}
(out / f"{ranks.rank()}.json").write_text(json.dumps({"losses": losses, "weights": total}))
"""


def torchrun(*arguments, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300
    )


def run_two(tmp_path, *, recipe=EVEN, checkpoint=False):
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    ended = torchrun(script, tmp_path, *["checkpoint"] * checkpoint)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]


def alone(recipe=EVEN):
    losses = []

    def observe(event):
        if hasattr(event, "losses"):
            losses.append(dict(event.losses))

    model = NetworkModel.fit(
        audio_clips(), recipe=recipe, seed=3, device="cpu", precision="float32", on_event=observe
    )
    return losses, model


def test_two_processes_go_the_way_of_one_with_the_joint_batch(tmp_path):
    first, second = run_two(tmp_path)
    losses, model = alone()
    assert second["losses"] == []  # the first one speaks for both
    assert len(first["losses"]) == len(losses) == 5
    for ours, joint in zip(first["losses"], losses, strict=True):
        assert ours.keys() == joint.keys()
        for name in ours:
            assert ours[name] == pytest.approx(joint[name], rel=2e-3)
    assert first["weights"] == pytest.approx(second["weights"], rel=1e-6)
    arrays, _ = model.state()
    for name, total in first["weights"].items():
        assert total == pytest.approx(float(np.abs(arrays[name]).sum()), rel=2e-2, abs=1e-3), name


def test_a_checkpoint_is_written_once_and_read_by_all(tmp_path):
    first, _ = run_two(tmp_path, checkpoint=True)
    assert [path.name for path in tmp_path.glob("*.checkpoint*")] == ["run.checkpoint"]
    again, _ = run_two(tmp_path, checkpoint=True)
    assert again["losses"] == []
    assert again["weights"] == pytest.approx(first["weights"], rel=1e-6)


def test_shares_that_are_not_even_are_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "5"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ParameterError, match=r"training.batch_size = 12: expected a multiple of the 5 processes"
    ):
        NetworkModel.check(RECIPE, device="cpu")


def test_the_command_line_under_torchrun_writes_one_detector(tmp_path):
    from machines import write_tree

    write_tree(tmp_path / "data")
    (tmp_path / "recipe.json").write_text(
        RECIPE.replace(
            training__stage1_epochs=1, training__stage2_epochs=1, features__sample_rate=16_000
        ).to_json()
    )
    out = tmp_path / "machine.offkey"
    ended = torchrun(
        "-m", "offkey", "train", tmp_path / "data", "--machine", "fan", "--recipe", tmp_path / "recipe.json",
        "--out", out, "--metrics", tmp_path / "metrics.jsonl", "--device", "cpu",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert out.exists()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert ended.stderr.count("written to") == 1


def test_a_joint_batch_norm_of_one_process_is_a_batch_norm(tmp_path):
    from torch import distributed

    from offkey.training.distributed import JointBatchNorm

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        ours, theirs = JointBatchNorm(6), torch.nn.BatchNorm1d(6)
        for shape in ((9, 6), (5, 6, 11)):
            x = 3 + 10 * torch.randn(shape)
            first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
            torch.testing.assert_close(ours(first), theirs(second), rtol=1e-5, atol=1e-5)
            (ours(first).square() * x).sum().backward()
            (theirs(second).square() * x).sum().backward()
            torch.testing.assert_close(first.grad, second.grad, rtol=1e-3, atol=1e-3)
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value)
    finally:
        distributed.destroy_process_group()
