"""AUC, partial AUC and ROC curve against scikit-learn, ties included; tolerance 1e-12."""

import numpy as np
import pytest
from sklearn import metrics

from offkey.metrics import auc, pauc, roc_curve


def cases():
    rng = np.random.default_rng(0)
    for n, levels in [(2, 2), (10, 3), (50, 8), (400, 1), (400, 20), (1000, 10**6), (20_000, 500)]:
        labels = rng.integers(0, 2, n)
        labels[:2] = [0, 1]
        scores = rng.integers(0, levels, n) / levels + 0.3 * labels * (levels > 1)
        yield pytest.param(labels, scores, id=f"{n} clips, {levels} levels")
        yield pytest.param(labels, -scores * 1e300, id=f"{n} clips, {levels} levels, reversed and huge")


@pytest.mark.parametrize(("labels", "scores"), list(cases()))
def test_equal_to_scikit_learn(labels, scores):
    assert auc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    for max_fpr in [1e-3, 0.05, 0.1, 0.333, 0.5, 0.999, 1.0]:
        expected = metrics.roc_auc_score(labels, scores, max_fpr=max_fpr)
        assert pauc(labels, scores, max_fpr=max_fpr) == pytest.approx(expected, abs=1e-12)
    ours = roc_curve(labels, scores)
    fpr, tpr, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positive_rate, fpr, atol=1e-15)
    np.testing.assert_allclose(ours.true_positive_rate, tpr, atol=1e-15)
    np.testing.assert_array_equal(ours.thresholds, thresholds)
