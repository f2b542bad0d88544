import math

import numpy as np
import pytest
import torch

from offkey.models.network.net.arcface import ArcFace

SCALE, MARGIN = 16.0, 1.28


def restated(embedding, centres, target, margin=MARGIN):
    """ArcFace in float64, angle by angle."""
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    cosine = unit @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    logits = SCALE * cosine
    for row, own in enumerate(target):
        theta = math.acos(cosine[row, own])
        if theta < math.pi - margin:
            logits[row, own] = SCALE * math.cos(theta + margin)
        else:
            logits[row, own] = SCALE * (math.cos(theta) - margin * math.sin(math.pi - margin))
    return cosine, logits


def head(classes=5, dim=8, margin=MARGIN):
    torch.manual_seed(0)
    return ArcFace(dim, classes, scale=SCALE, margin_rad=margin)


@pytest.mark.parametrize("margin", [0.0, 0.5, MARGIN, math.pi / 2])
def test_cosines_and_logits_equal_a_float64_restatement(margin):
    arcface = head(margin=margin)
    embedding = torch.randn(200, 8)
    target = torch.arange(200) % 5
    cosine = arcface(embedding)
    expected_cosine, expected = restated(
        embedding.double().numpy(), arcface.centres.detach().double().numpy(), target.numpy(), margin
    )
    np.testing.assert_allclose(cosine.detach().numpy(), expected_cosine, atol=1e-6)
    np.testing.assert_allclose(arcface.logits(cosine, target).detach().numpy(), expected, atol=2e-4)
    past = np.arccos(expected_cosine[np.arange(200), target.numpy()]) > math.pi - margin
    assert past.any() == (margin > 0.5)  # so the extension was met where the margin is wide


def test_the_margin_is_on_the_target_class_alone():
    cosine = torch.full((1, 4), 0.3)
    logits = head(classes=4).logits(cosine, torch.tensor([2]))[0]
    assert torch.equal(logits[[0, 1, 3]], torch.full((3,), SCALE * 0.3))
    assert logits[2] < logits[0]


@pytest.mark.parametrize("margin", [0.0, 0.5, MARGIN, math.pi / 2])
def test_the_own_logit_never_rises_with_the_angle(margin):
    cosine = torch.cos(torch.linspace(0, math.pi, 20_001, dtype=torch.float64)).float().unsqueeze(1)
    logits = head(classes=1, margin=margin).logits(cosine, torch.zeros(20_001, dtype=torch.int64))
    assert (logits.diff(dim=0) <= 1e-5).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gradient_is_finite_at_both_ends_of_the_cosine(sign):
    arcface = head()
    embedding = (sign * 3.0 * arcface.centres.detach()[:1]).requires_grad_()
    cosine = arcface(embedding)
    assert abs(float(cosine[0, 0].detach()) - sign) < 1e-6
    torch.nn.functional.cross_entropy(arcface.logits(cosine, torch.tensor([0])), torch.tensor([0])).backward()
    assert torch.isfinite(embedding.grad).all()
    assert torch.isfinite(arcface.centres.grad).all()


def test_a_zero_embedding_has_a_finite_gradient():
    arcface = head()
    embedding = torch.zeros(2, 8, requires_grad=True)
    arcface.logits(arcface(embedding), torch.tensor([0, 1])).sum().backward()
    assert torch.isfinite(embedding.grad).all()


def test_computes_in_float32_under_autocast():
    arcface, target = head(), torch.tensor([0, 1, 2])
    embedding = torch.randn(3, 8)
    plain = arcface(embedding)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cosine = arcface(embedding)
        logits = arcface.logits(cosine, target)
    assert cosine.dtype == logits.dtype == torch.float32
    assert torch.equal(cosine, plain)
