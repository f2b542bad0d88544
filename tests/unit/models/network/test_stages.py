import pytest
import torch

from offkey.errors import TrainingError
from offkey.models.network import Network
from offkey.models.network.net.multitask import Model
from offkey.models.network.stages import NO_ID, Batch, Stage, plan_stages, stage_losses
from offkey.recipe import Training

TINY = Network(subsampling="linear", blocks=1, dim=16, ffn_dim=16, heads=2, embedding_dim=8, dropout=0.0)


def plan(training=None, *, machine_ids=4, others=True, augmentation_classes=8):
    return [
        (stage.number, stage.epochs, stage.tasks)
        for stage in plan_stages(
            training or Training(),
            machine_ids=machine_ids,
            others=others,
            augmentation_classes=augmentation_classes,
        )
    ]


def test_the_papers_stages():
    assert plan() == [(1, 80, ("id", "augmentation")), (2, 40, ("id", "augmentation", "type"))]
    assert plan(Training(stage1_tasks="id"))[0] == (1, 80, ("id",))


def test_what_cannot_be_trained_is_left_out():
    assert plan(machine_ids=1) == [(1, 80, ("augmentation",)), (2, 40, ("augmentation", "type"))]
    assert plan(others=False) == [(1, 80, ("id", "augmentation")), (2, 40, ("id", "augmentation"))]
    assert plan(augmentation_classes=1)[0] == (1, 80, ("id",))
    assert plan(Training(stage1_tasks="id"), machine_ids=1) == [(2, 40, ("augmentation", "type"))]
    assert plan(Training(stage2_epochs=0)) == [(1, 80, ("id", "augmentation"))]


@pytest.mark.parametrize(
    ("training", "options"),
    [
        (Training(), {"machine_ids": 1, "others": False, "augmentation_classes": 1}),
        (Training(stage1_epochs=0, stage2_epochs=0), {}),
    ],
)
def test_refuses_when_nothing_can_be_trained(training, options):
    with pytest.raises(TrainingError, match="nothing to train"):
        plan(training, **options)


def setup():
    torch.manual_seed(0)
    model = Model(TINY, n_mels=12, machine_ids=3, type_task=True, augmentation_classes=4)
    batch = Batch(
        logmels=torch.randn(6, 12, 20),
        ids=torch.tensor([0, 1, 2, 1, NO_ID, NO_ID]),
        augmentations=torch.tensor([0, 1, 2, 3, 0, 1]),
    )
    return model, batch, model(batch.logmels)


STAGE2 = Stage(number=2, epochs=1, tasks=("id", "augmentation", "type"))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_equal_their_definitions(reduction):
    model, batch, outputs = setup()
    losses = stage_losses(
        model, outputs, batch, STAGE2, Training(loss_reduction=reduction, alpha=0.5, beta=2.0)
    )
    logits = model.id_head.logits(outputs.cosine[:4], batch.ids[:4])
    by_clip = {
        "id": -torch.log_softmax(logits, 1)[torch.arange(4), batch.ids[:4]],
        "augmentation": -torch.log_softmax(outputs.augmentation_logits, 1)[
            torch.arange(6), batch.augmentations
        ],
        "type": -torch.log(
            torch.cat([torch.sigmoid(outputs.type_logit[:4]), torch.sigmoid(-outputs.type_logit[4:])])
        ),
    }
    for name, values in by_clip.items():
        torch.testing.assert_close(losses[name], getattr(values, reduction)())
    torch.testing.assert_close(
        losses["total"], losses["type"] + 0.5 * losses["id"] + 2.0 * losses["augmentation"]
    )


def test_pseudo_anomalies_teach_the_id_head_nothing():
    model, batch, outputs = setup()
    stage = Stage(number=1, epochs=1, tasks=("id",))
    (gradient,) = torch.autograd.grad(
        stage_losses(model, outputs, batch, stage, Training())["total"], outputs.cosine
    )
    assert (gradient[:4] != 0).any()
    assert (gradient[4:] == 0).all()


def test_a_task_outside_the_stage_is_not_computed():
    model, batch, outputs = setup()
    losses = stage_losses(model, outputs, batch, Stage(number=1, epochs=1, tasks=("id",)), Training())
    assert set(losses) == {"id", "total"}
