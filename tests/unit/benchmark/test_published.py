"""The figures of the paper are those that it prints: its own averages follow from its cells."""

import numpy as np
import pytest

from offkey.benchmark.published import DEVELOPMENT, EVALUATION, MACHINES, MIMII, SNRS_DB

ROUNDING = 0.0051


@pytest.mark.parametrize("row", MIMII, ids=lambda row: row.system)
def test_table_1(row):
    figures = np.array(row.cells, dtype=float)
    types = figures[:12].reshape(len(MACHINES), len(SNRS_DB))
    assert np.abs(types.mean(axis=0) - figures[12:15]).max() <= 2 * ROUNDING
    assert abs(types.mean() - figures[15]) <= 2 * ROUNDING


@pytest.mark.parametrize("row", [*DEVELOPMENT, *EVALUATION], ids=lambda row: row.system)
def test_tables_2_and_3(row):
    figures = np.array(row.cells, dtype=float)
    assert len(figures) == 5
    assert abs(figures[:4].mean() - figures[4]) <= 2 * ROUNDING
