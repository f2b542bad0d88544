"""How alike two maps are."""

import numpy as np


def rank_correlation(one, other):
    """Return Spearman's correlation of the cells of two maps."""
    ranks = [values.ravel().argsort().argsort() for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])
