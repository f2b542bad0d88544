"""The measurement of a far microphone: its regression and its joint ratio are what they say, done the long way."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHES = Path(__file__).parents[2] / "benches" / "python"
BINS = 12


@pytest.fixture(scope="module")
def near_far():
    sys.path.insert(0, str(BENCHES))
    import near_far

    yield near_far
    sys.path.remove(str(BENCHES))
    sys.modules.pop("near_far", None)


@pytest.fixture
def clips(near_far):
    """Clips of four machines, 9 to learn from and 4 others of each, whose near channel follows the far one."""
    rng = np.random.default_rng(5)
    ids = np.repeat(np.arange(4), 13)
    far = rng.normal(size=(len(ids), BINS)) + ids[:, None]
    near = 0.8 * far @ rng.normal(size=(BINS, BINS)) + rng.normal(size=far.shape) - 2.0 * ids[:, None]
    training = np.tile(np.arange(13) < 9, 4)
    faulty = np.tile(np.arange(13) >= 11, 4)
    return near_far.Clips({"mean": near}, {"mean": far}, ids, faulty, training)


def test_residuals_are_those_of_regressions_without_the_clip(near_far, clips, monkeypatch):
    monkeypatch.setattr(near_far, "RIDGES", (0.05,))
    near, far = clips.near["mean"], clips.far["mean"]
    rest, share = near_far.residuals(near, far, clips)

    targets, sources = (near_far.centred(x, clips.ids, clips.training) for x in (near, far))
    penalty = 0.05 * clips.training.sum()

    def left_over(clip, learned):
        """The residual of a clip by least squares with a mean for each ID and a penalty on slopes alone."""
        of_ids = np.eye(4)[clips.ids]
        design = np.hstack([of_ids, sources])
        gram = design[learned].T @ design[learned] + penalty * np.diag([0.0] * 4 + [1.0] * BINS)
        coefficients = np.linalg.solve(gram, design[learned].T @ targets[learned])
        return targets[clip] - design[clip] @ coefficients

    for clip in (0, 8, 14, 35):
        learned = clips.training & (np.arange(len(near)) != clip)
        np.testing.assert_allclose(rest[clip], left_over(clip, learned), atol=1e-9)
    for clip in (9, 38):
        np.testing.assert_allclose(rest[clip], left_over(clip, clips.training), atol=1e-9)

    def error_of_means(clip):
        others = clips.training & (clips.ids == clips.ids[clip]) & (np.arange(len(near)) != clip)
        return targets[clip] - targets[others].mean(axis=0)

    learned = np.flatnonzero(clips.training)
    plain = sum(np.square(error_of_means(clip)).sum() for clip in learned)
    assert share == pytest.approx(1 - np.square(rest[learned]).sum() / plain)
    assert 0.3 < share < 1.0


def test_a_far_channel_that_tells_nothing_vanishes(near_far, clips):
    unrelated = np.random.default_rng(6).normal(size=(len(clips.ids), BINS))
    rest, share = near_far.residuals(clips.near["mean"], unrelated, clips)
    centred = near_far.centred(clips.near["mean"], clips.ids, clips.training)
    tested = ~clips.training
    assert abs(share) < 0.05
    assert np.abs(rest[tested] - centred[tested]).mean() < 0.2 * np.abs(centred[tested]).mean()


def test_the_joint_ratio_is_that_of_one_gaussian_of_both_channels(near_far, clips):
    near, far, ids, training = clips.near["mean"], clips.far["mean"], clips.ids, clips.training
    ratios = near_far.log_ratios(near, far, ids, training, blocks=1)

    x, y = (near_far.centred(values, ids, training) for values in (near, far))
    freedom = training.sum() - 4
    of_near, of_far = (v[training].T @ v[training] / freedom for v in (x, y))
    across = x[training].T @ y[training] / freedom
    far_ridge = near_far.FAR_RIDGE * np.trace(of_far) / BINS
    slopes = np.linalg.solve(of_far + far_ridge * np.eye(BINS), across.T)
    level = np.trace(of_near) / BINS
    # The near block that has the shrunk conditional covariance of `log_ratios` once the far one is given.
    conditional = (1 - near_far.RIDGE) * (of_near - across @ slopes) + near_far.RIDGE * level * np.eye(BINS)
    block = conditional + across @ slopes
    normal = np.block([[block, across], [across.T, of_far + far_ridge * np.eye(BINS)]])
    shift = np.zeros_like(normal)
    shift[:BINS, :BINS] = near_far.TAU * level * near_far.prior(BINS, 1)
    difference = np.linalg.inv(normal) - np.linalg.inv(normal + shift)
    both = np.hstack([x, y])
    expected = np.log(np.einsum("ci,ij,cj->c", both, difference, both) + 1e-12)
    np.testing.assert_allclose(ratios, expected, rtol=1e-6)
