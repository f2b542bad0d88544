import json
import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_network import RECIPE

from offkey.errors import TrainingError
from offkey.models.network.checkpoint import Checkpoint
from offkey.models.network.device import Compute
from offkey.models.network.events import (
    CheckpointSaved,
    EpochEnded,
    Resumed,
    StageStarted,
    StepEnded,
    TrainingStarted,
)
from offkey.models.network.loop import Trainer
from offkey.models.network.net.multitask import Model
from offkey.models.network.sampling import derived_seed
from offkey.models.network.stages import NO_ID, Batch, Stage
from offkey.recipe import Training

NETWORK = msgspec.structs.replace(RECIPE.network, dropout=0.1)
STAGES = (
    Stage(number=1, epochs=3, tasks=("id", "augmentation")),
    Stage(number=2, epochs=2, tasks=("id", "augmentation", "type")),
)
STEPS = 3
FINGERPRINT = {"recipe": "{}", "seed": "0", "list of clips": "abc"}
LEVELS = torch.zeros(16, dtype=torch.float64)


def batches(stage, epoch):
    for step in range(STEPS):
        random = torch.Generator().manual_seed(derived_seed(1, epoch, step))
        ids = torch.arange(9) % 3
        bands = (
            torch.arange(16)[None, :, None] // 4 == ids[:, None, None]
        )  # each ID is loud in bins of its own
        logmels = torch.randn(9, 16, 24, generator=random) + 3.0 * bands
        ids = torch.where(torch.arange(9) < 6, ids, NO_ID) if stage.pseudo_anomalies else ids
        yield Batch(logmels=logmels, ids=ids, augmentations=torch.arange(9) % 4)


def trainer(
    *,
    checkpoint=None,
    observer=lambda event: None,
    device="cpu",
    make=batches,
    compute=None,
    dropout=0.1,
    **training,
):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = msgspec.structs.replace(NETWORK, dropout=dropout)
        model = Model(network, n_mels=16, machine_ids=3, type_task=True, augmentation_classes=4).to(device)
    return model, Trainer(
        model,
        training=Training(**{"learning_rate": 1e-2, **training}),
        stages=STAGES,
        batches=make,
        steps=lambda stage: STEPS,
        seed=11,
        compute=compute,
        checkpoint=checkpoint,
        observer=observer,
    )


def stop_after(epochs):
    """An observer that presses Ctrl-C in the second step of an epoch."""
    seen = []

    def observe(event):
        if isinstance(event, StepEnded):
            seen.append(event)
            if len(seen) == epochs * STEPS + 2:
                raise KeyboardInterrupt

    return observe


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


OPTIONS = {
    "last": {},
    "lowest loss": {"keep": "lowest_loss"},
    "mean": {"keep": "mean", "mean_epochs": 2},
    "fresh Adam": {"stage2_adam": "fresh"},
    "BatchNorms apart": {"batch_norm_others": "separate"},
}


@pytest.fixture(scope="module", params=OPTIONS)
def uninterrupted(request):
    """An option, the losses of a run in one go, and its weights."""
    options = OPTIONS[request.param]
    model, whole = trainer(**options)
    return options, whole.run(), model.state_dict()


@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path, uninterrupted, epochs):
    options, history, weights = uninterrupted
    checkpoint = Checkpoint(tmp_path / "run.safetensors", FINGERPRINT, levels=LEVELS)
    _, broken = trainer(**options, checkpoint=checkpoint, observer=stop_after(epochs))
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    events = []
    resumed_model, resumed = trainer(**options, checkpoint=checkpoint, observer=events.append)
    assert resumed.run() == history
    assert same(resumed_model.state_dict(), weights)
    assert events[0] == TrainingStarted(device="cpu", precision="float32")
    assert events[1] == Resumed(path=checkpoint.path, epochs_done=epochs, spent_s=events[1].spent_s)
    assert sum(isinstance(event, EpochEnded) for event in events) == 5 - epochs


def test_a_finished_run_does_no_step_more(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.safetensors", FINGERPRINT, levels=LEVELS)
    model, first = trainer(checkpoint=checkpoint)
    first.run()
    events = []
    again_model, again = trainer(checkpoint=checkpoint, observer=events.append)
    again.run()
    assert [type(event) for event in events] == [TrainingStarted, Resumed]
    assert same(again_model.state_dict(), model.state_dict())


def test_the_same_seed_gives_the_same_bits_and_the_callers_random_numbers_stay():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first_model, first = trainer()
    first.run()
    assert torch.equal(torch.get_rng_state(), before)
    second_model, second = trainer(
        observer=lambda event: torch.rand(3)
    )  # an observer that draws disturbs nothing
    second.run()
    assert same(first_model.state_dict(), second_model.state_dict())


def test_events_come_in_order_and_the_loss_falls():
    events = []
    trainer(observer=events.append)[1].run()
    kinds = [type(event) for event in events]
    epoch = [StepEnded] * STEPS + [EpochEnded]
    assert kinds == [TrainingStarted, StageStarted, *epoch * 3, StageStarted, *epoch * 2]
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert [(event.stage, event.epoch, event.epochs) for event in ended] == [
        (1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 2), (2, 2, 2)
    ]  # fmt: skip
    assert ended[2].losses["id"] < 0.9 * ended[0].losses["id"]
    assert set(ended[0].losses) == {"total", "id", "augmentation"}
    assert set(ended[-1].losses) == {"total", "id", "augmentation", "type"}
    assert all(event.steps_per_s > 0 for event in ended)
    assert ended[0].eta_s > ended[-1].eta_s == 0


def test_the_type_head_is_frozen_in_stage_1():
    weights = []

    def observe(event):
        if isinstance(event, EpochEnded):
            weights.append(model.type_head.weight.detach().clone())

    model, run = trainer(observer=observe)
    first = model.type_head.weight.detach().clone()
    run.run()
    assert all(torch.equal(weight, first) for weight in weights[:3])
    assert not torch.equal(weights[3], first)


def test_lowest_loss_keeps_that_epoch_of_the_last_stage():
    states, losses = [], []

    def observe(event):
        if isinstance(event, EpochEnded) and event.stage == 2:
            states.append({name: value.clone() for name, value in model.state_dict().items()})
            losses.append(event.losses["total"])

    def wrong_at_the_end(stage, epoch):
        for batch in batches(stage, epoch):
            wrong = torch.where(batch.ids == NO_ID, NO_ID, (batch.ids + 1) % 3)
            yield batch._replace(ids=wrong if epoch == 4 else batch.ids)

    model, run = trainer(keep="lowest_loss", observer=observe, make=wrong_at_the_end)
    run.run()
    assert losses[0] < losses[1]
    assert same(model.state_dict(), states[0])


@pytest.mark.parametrize(("asked", "taken"), [(1, 1), (2, 2), (9, 2)])
def test_the_mean_of_the_last_epochs_is_kept_of_the_last_stage_alone(asked, taken):
    states = []

    def observe(event):
        if isinstance(event, EpochEnded):
            states.append({name: value.clone() for name, value in model.state_dict().items()})

    model, run = trainer(keep="mean", mean_epochs=asked, observer=observe)
    run.run()
    for name, value in model.state_dict().items():
        last = [state[name] for state in states[-taken:]]
        expected = torch.stack(last).mean(dim=0) if value.is_floating_point() else last[-1]
        torch.testing.assert_close(value, expected, msg=name)
    assert taken == 1 or not same(model.state_dict(), states[-1])


@pytest.mark.parametrize(("adam", "steps"), [("carried", 5 * STEPS), ("fresh", 2 * STEPS)])
def test_adam_goes_into_stage_2_with_the_moments_of_stage_1_or_without(adam, steps):
    model, run = trainer(stage2_adam=adam)
    run.run()
    state = run._optimiser.state
    assert state[model.embedding.weight]["step"] == steps
    assert state[model.type_head.weight]["step"] == 2 * STEPS  # new to both


def test_a_fresh_adam_is_that_of_stage_2_not_of_its_epochs(tmp_path):
    """Nothing is forgotten at the start of stage 1, or where a run goes on within a stage."""
    model, run = trainer(stage2_adam="fresh", observer=stop_after(2))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run._optimiser.state[model.embedding.weight]["step"] == 2 * STEPS + 2


@pytest.mark.parametrize("kind", ["joint", "separate"])
def test_pseudo_anomalies_apart_leave_the_running_statistics_to_the_normals(kind):
    def others_of_level(factor):
        def made(stage, epoch):
            for batch in batches(stage, epoch):
                level = torch.where(batch.ids == NO_ID, factor, 1.0)[:, None, None]
                yield batch._replace(logmels=level * batch.logmels)

        return made

    means = []
    for factor in (
        1.0,
        100.0,
    ):  # with hardly any step of the weights, by which the others act on normal clips, too
        model, run = trainer(batch_norm_others=kind, make=others_of_level(factor), learning_rate=1e-12)
        run.run()
        means.append(model.norm.running_mean)
    assert torch.allclose(*means, atol=1e-5) == (kind == "separate")


def test_a_loss_that_is_not_finite_stops_with_advice():
    def broken(stage, epoch):
        for batch in batches(stage, epoch):
            yield batch._replace(logmels=batch.logmels * float("inf"))

    with pytest.raises(
        TrainingError, match=r"stage 1, epoch 1: the loss is nan; a lower training.learning_rate"
    ):
        trainer(make=broken)[1].run()


def test_an_error_while_making_batches_reaches_the_caller():
    def broken(stage, epoch):
        yield from batches(stage, epoch)
        raise ValueError("clip 3 is gone")

    with pytest.raises(ValueError, match="clip 3 is gone"):
        trainer(make=broken)[1].run()


@pytest.fixture(scope="module")
def run_to_its_end(tmp_path_factory):
    """The checkpoint of a finished run; not to be changed."""
    path = tmp_path_factory.mktemp("finished") / "run.safetensors"
    saved = []
    _, run = trainer(checkpoint=Checkpoint(path, FINGERPRINT, levels=LEVELS), observer=saved.append)
    run.run()
    assert CheckpointSaved(path=path, epochs_done=5) in saved
    return path


@pytest.fixture
def finished(run_to_its_end, tmp_path):
    """A copy of that checkpoint, which a test may change."""
    return Path(shutil.copy(run_to_its_end, tmp_path))


@pytest.mark.parametrize("name", list(FINGERPRINT))
def test_a_checkpoint_of_another_training_is_refused_by_name(finished, name):
    other = Checkpoint(finished, {**FINGERPRINT, name: "changed"}, levels=LEVELS)
    with pytest.raises(
        TrainingError, match=f"written with another {name} than this training; remove the file"
    ):
        trainer(checkpoint=other)[1].run()


def test_a_checkpoint_of_other_sound_is_refused(finished):
    near = Checkpoint(finished, FINGERPRINT, levels=LEVELS + 1e-4)
    trainer(checkpoint=near)[1].run()
    far = Checkpoint(finished, FINGERPRINT, levels=LEVELS + 1e-2)
    with pytest.raises(TrainingError, match="another content of the clips"):
        trainer(checkpoint=far)[1].run()


def rewrite(path, change):
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()["offkey_checkpoint"])
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, {"offkey_checkpoint": json.dumps(metadata)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: t.pop("model.norm.weight"), "does not fit the network"),
        (lambda t, m: t.update({"model.norm.weight": torch.zeros(3)}), "does not fit the network"),
        (lambda t, m: t.update({"optimiser.0.exp_avg": torch.zeros(3)}), "does not fit the network"),
        (lambda t, m: t.pop("optimiser.2.exp_avg_sq"), "does not fit the network"),
        (lambda t, m: t.update({"optimiser.x.step": torch.zeros(1)}), "does not fit the network"),
        (lambda t, m: m.update(format=99), "format 99, expected 1"),
        (lambda t, m: m.pop("epochs_done"), "damaged"),
        (lambda t, m: m.update(epochs_done="five"), "damaged"),
        (lambda t, m: m.update(fingerprint=[]), "damaged"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(finished, change, message):
    rewrite(finished, change)
    with pytest.raises(TrainingError, match=message):
        trainer(checkpoint=Checkpoint(finished, FINGERPRINT, levels=LEVELS))[1].run()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 9, None], ids=["empty", "nonsense", "cut off"])
def test_a_damaged_checkpoint_is_refused(finished, content):
    finished.write_bytes(finished.read_bytes()[:-100] if content is None else content)
    with pytest.raises(TrainingError, match=r"run.safetensors: damaged or no checkpoint .*; remove the file"):
        trainer(checkpoint=Checkpoint(finished, FINGERPRINT, levels=LEVELS))[1].run()


def test_a_full_disk_names_the_checkpoint_and_leaves_the_one_before(tmp_path, finished, monkeypatch):
    before = finished.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    checkpoint = Checkpoint(tmp_path / "copy.safetensors", FINGERPRINT, levels=LEVELS)
    shutil.copy(finished, checkpoint.path)
    model, run = trainer(checkpoint=checkpoint)
    progress = checkpoint.restore(model, run._optimiser)
    with pytest.raises(OSError, match=r"No space left on device: '.*copy\.safetensors'"):
        checkpoint.save(model, run._optimiser, progress)
    assert checkpoint.path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.safetensors", "run.safetensors"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_trains_and_resumes_on_cuda(tmp_path):
    _, whole = trainer(device="cuda")
    history = whole.run()
    checkpoint = Checkpoint(tmp_path / "run.safetensors", FINGERPRINT, levels=LEVELS)
    _, broken = trainer(device="cuda", checkpoint=checkpoint, observer=stop_after(2))
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    _, resumed = trainer(device="cuda", checkpoint=checkpoint)
    again = resumed.run()
    for first, second in zip(
        history, again, strict=True
    ):  # weights without a gradient go where rounding says
        assert first["total"] == pytest.approx(second["total"], rel=1e-3)


def test_bfloat16_learns_as_float32_does():
    histories = []
    for autocast in (False, True):
        model, run = trainer(
            compute=Compute(device=torch.device("cpu"), autocast=autocast), dropout=0.0, learning_rate=1e-3
        )
        histories.append(run.run())
        assert all(value.dtype == torch.float32 for value in model.parameters())
    for plain, half in zip(*histories, strict=True):
        assert plain.keys() == half.keys()
        for name in plain:
            assert half[name] == pytest.approx(plain[name], rel=0.05)
    assert histories[0] != histories[1]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
@pytest.mark.parametrize("graphs", [False, True])
def test_through_the_compiler_the_losses_are_the_same(graphs):
    computes = [
        Compute(device=torch.device("cpu")),
        Compute(device=torch.device("cpu"), compile=True, graphs=graphs),
    ]
    histories = [trainer(compute=compute, dropout=0.0)[1].run() for compute in computes]
    for plain, compiled in zip(*histories, strict=True):
        assert compiled == pytest.approx(plain, rel=1e-3)
