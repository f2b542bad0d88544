"""The bench of explanations measures what it says."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

import offkey
from offkey.signal.cells import Cells

BENCHES = Path(__file__).parents[2] / "benches" / "python"


@pytest.fixture(scope="module")
def explain_truth():
    sys.path.insert(0, str(BENCHES))
    import explain_truth

    yield explain_truth
    sys.path.remove(str(BENCHES))
    sys.modules.pop("explain_truth", None)


def test_energy_inside_the_place_over_its_area(explain_truth):
    inside = np.zeros((4, 10), dtype=bool)
    inside[1, :5] = True
    assert explain_truth.gains(np.ones((4, 10)), inside) == {
        "energy": pytest.approx(1),
        "amount": pytest.approx(1),
    }
    assert explain_truth.gains(np.where(inside, 1.0, -1.0), inside)["energy"] == pytest.approx(8)
    assert explain_truth.gains(-np.ones((4, 10)), inside)["energy"] == 0


def test_the_place_is_widened_by_two_bins_and_two_frames(explain_truth):
    cells = Cells.of(offkey.LogMel(), 32_000)
    explanation = types.SimpleNamespace(picture=types.SimpleNamespace(cells=cells))
    place = {
        "bands_hz": f"{cells.edges_hz[50]:.1f}-{cells.edges_hz[53]:.1f}",
        "times_s": f"{cells.edges_s[10]:.3f}-{cells.edges_s[12]:.3f} {cells.edges_s[40]:.3f}-{cells.edges_s[41]:.3f}",
    }
    bins, frames = np.nonzero(explain_truth.mask(explanation, place))
    assert np.unique(bins).tolist() == list(range(48, 55))
    assert np.unique(frames).tolist() == [*range(8, 14), *range(38, 43)]


def test_figures_of_each_half_and_of_those_that_are_found(explain_truth):
    def row(fault, clear, score, energy, seed=5):
        return {"machine": "fan", "fault": fault, "clear": clear, "score": score, "normal": [0.0, 1.0], "area": 0.1,
                "energy": energy, "amount": 1.0, "cells": 0.1, "bands": 0.2, "seed": seed}  # fmt: skip

    rows = [
        row("a", True, 2.0, 4.0),
        row("a", False, 2.0, 3.0),
        row("a", True, 2.0, 6.0, seed=6),
        row("a", False, 2.0, 5.0, seed=6),
        row("b", True, 2.0, 6.0),
        row("b", False, -1.0, 1.0),
    ]
    counted = ("machine", "fault", "clear", "score", "normal", "seed")
    rows.append({name: rows[0][name] for name in counted})  # one that is not explained
    text = explain_truth.table(rows)
    assert "| fan | a | 0.10 | 1.000 | 4.5 | 1.000 | 5.0 | 1.0 | 1.000 | 4.0 | 1.0 |" in text
    assert (
        "all severities: median energy over 3 kinds of fault 3.5; over the 2 with an AUC of 0.95 or more 4.5."
        in text
    )
    assert (
        "barely audible: median energy over 3 kinds of fault 3.0; over the 2 with an AUC of 0.95 or more 4.0."
        in text
    )
    assert "rank correlation of maps 0.10" in text
    assert "(medians over 6 clips)" in text


def test_what_is_learned_is_shuffled_and_nothing_else(explain_truth):
    golden = Path(__file__).parents[1] / "golden" / "0.1.0" / "spectral.offkey"
    plain = offkey.load(golden)._state.models["spectral"]._ratios
    shuffled = explain_truth.shuffled(offkey.load(golden))._state.models["spectral"]._ratios
    for name, ratio in plain.items():
        rows = [
            sorted(factors[0].tolist())
            for factors in (ratio.factors[:, :, 0], shuffled[name].factors[:, :, 0])
        ]
        assert rows[0] == rows[1]
        assert not np.array_equal(ratio.factors, shuffled[name].factors)
        np.testing.assert_array_equal(ratio.means, shuffled[name].means)
