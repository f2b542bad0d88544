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
from offkey.models.base import FitOptions
from offkey.models.network.model import NetworkModel

pytestmark = pytest.mark.long

# Their gradients are zero but for rounding, which Adam magnifies (what follows takes out any constant); one in a mean.
WITHOUT_GRADIENT = ("depthwise.bias", "convolution.batch_norm.running_mean", "qkv.bias", "pooling.score.bias")
TESTS = next(path for path in Path(__file__).parents if path.name == "tests")
EVEN = RECIPE.replace(network__dropout=0.0, training__learning_rate=1e-3)

WORKER = """
import json, sys
import numpy as np
from pathlib import Path
from tiny_network import RECIPE, audio_clips
from offkey._util import ranks
from offkey.recipe import Recipe
from offkey.models.base import FitOptions
from offkey.models.network.events import EpochEnded
from offkey.models.network.model import NetworkModel

out = Path(sys.argv[1])
recipe = Recipe.from_json((out / "recipe.json").read_text())
checkpoint = out / "run.checkpoint" if len(sys.argv) > 2 else None
losses = []
clips = audio_clips(per_id=10 - (DIFFERENT and ranks.rank()))
model = NetworkModel.fit(
    clips,
    recipe=recipe,
    options=FitOptions(
        seed=4,
        device="cpu",
        checkpoint=checkpoint,
        on_event=lambda event: losses.append(dict(event.losses)) if isinstance(event, EpochEnded) else None,
    ),
)
arrays, _ = model.state()
np.savez(out / f"{ranks.rank()}.npz", **{name: value for name, value in arrays.items() if name.startswith("model.")})
(out / f"{ranks.rank()}.json").write_text(json.dumps(losses))
"""


def torchrun(*arguments, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300
    )


def run_two(tmp_path, *, recipe=EVEN, checkpoint=False, different=False):
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    script = tmp_path / "worker.py"
    script.write_text(f"DIFFERENT = {different}\n{WORKER}")
    return torchrun(script, tmp_path, *["checkpoint"] * checkpoint)


def left(tmp_path, ended):
    """Return each process's losses and weights."""
    assert ended.returncode == 0, ended.stderr[-3000:]
    losses = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    return losses, [dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(2)]


def alone(recipe=EVEN):
    losses = []

    def observe(event):
        if hasattr(event, "losses"):
            losses.append(dict(event.losses))

    # One thread as in each process: sums that are divided among threads are rounded differently, which Adam magnifies;
    # with seed 3 gradients are so near 0 that rounding decides the sign of a fresh Adam's steps.
    options = FitOptions(seed=4, device="cpu", num_threads=1, on_event=observe)
    model = NetworkModel.fit(audio_clips(), recipe=recipe, options=options)
    return losses, model


def assert_equal(first, second, **tolerance):
    for name in first:
        np.testing.assert_allclose(first[name], second[name], err_msg=name, **tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_two_processes_go_the_way_of_one_with_the_joint_batch(tmp_path, reduction):
    recipe = EVEN.replace(training__loss_reduction=reduction)
    (losses, others), weights = left(tmp_path, run_two(tmp_path, recipe=recipe))
    expected, model = alone(recipe)
    assert others == []  # the first one speaks for both
    assert len(losses) == len(expected) == 5
    for ours, joint in zip(losses, expected, strict=True):
        assert ours == pytest.approx(joint, rel=1e-4)
    assert_equal(*weights, rtol=1e-6, atol=1e-7)
    joint = model.state()[0]
    assert_equal(
        {name: w for name, w in weights[0].items() if not name.endswith(WITHOUT_GRADIENT)}, joint, atol=1e-4
    )


def test_two_processes_go_the_same_way_with_every_option_of_training(tmp_path):
    recipe = EVEN.replace(
        network__redundant_biases=False,
        training__stage2_normals=6,
        training__stage2_adam="fresh",
        training__batch_norm_others="separate",
        training__batch_norm_from="clean",
        training__keep="mean",
    )
    (losses, _), weights = left(tmp_path, run_two(tmp_path, recipe=recipe))
    expected, model = alone(recipe)
    for ours, joint in zip(losses, expected, strict=True):
        assert ours == pytest.approx(joint, rel=1e-4)
    assert_equal(*weights, rtol=1e-6, atol=1e-7)
    assert_equal(weights[0], model.state()[0], atol=2e-4)  # none is without a gradient


def test_a_checkpoint_is_written_once_and_read_by_all(tmp_path):
    _, before = left(tmp_path, run_two(tmp_path, checkpoint=True))
    assert [path.name for path in tmp_path.glob("*.checkpoint*")] == ["run.checkpoint"]
    (losses, _), after = left(tmp_path, run_two(tmp_path, checkpoint=True))
    assert losses == []
    assert_equal(before[0], after[0])
    assert_equal(*after)


def test_processes_that_read_different_clips_are_refused(tmp_path):
    ended = run_two(tmp_path, different=True)
    assert ended.returncode != 0
    assert "the processes have different trainings" in ended.stderr


def test_shares_that_are_not_even_are_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "5"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ParameterError, match=r"training.batch_size = 12: expected a multiple of the 5 processes"
    ):
        NetworkModel.check(RECIPE, FitOptions(device="cpu"))


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

    from offkey.models.network.distributed import JointBatchNorm
    from offkey.models.network.net.batch_norm import BatchNorm, separate

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
        for norm in (ours, BatchNorm(6)):
            norm.load_state_dict(theirs.state_dict())
            separate(norm, 4)
            apart = norm(x)
            torch.testing.assert_close(apart[:4], theirs(x[:4]), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(norm.running_var, theirs.running_var)
            torch.testing.assert_close(apart[4:], torch.nn.BatchNorm1d(6)(x[4:]), rtol=1e-4, atol=1e-4)
            theirs.load_state_dict(norm.state_dict())
    finally:
        distributed.destroy_process_group()
