from typing import get_args

import numpy as np
import pytest
from near_recipe import logmels

import offkey
from offkey.errors import RecipeError
from offkey.models.near import Kind, Near
from offkey.models.near.gate import plan
from offkey.signal.near_anomalies import RICH_KINDS

STILL, MOVING = (offkey.rhythm(logmels(30, hz=hz), frame_rate_hz=62.5, bands=4) for hz in (None, 6.0))
ONE_ID, ALIKE = np.zeros(30, dtype=np.int64), np.ones(30)


@pytest.mark.parametrize(("rhythm", "rich"), [(STILL, False), (MOVING, True)])
def test_rhythm_decides_on_features_and_near_anomalies(rhythm, rich):
    chosen = plan(Near(), rhythm, ONE_ID, ALIKE)
    assert ("clicks" in chosen.kinds) is rich
    assert ("T" in chosen.feature_sets) is rich
    assert f"these machines have {'a' if rich else 'no'} rhythm ({chosen.rhythm:.2f})" in chosen.note


@pytest.mark.parametrize("gate", ["rich", "static"])
def test_a_recipe_can_decide_itself(gate):
    chosen = plan(Near(gate=gate), STILL, ONE_ID, ALIKE)
    assert ("clicks" in chosen.kinds) is (gate == "rich")
    assert "as the recipe says" in chosen.note


@pytest.mark.parametrize("conformer", ["on", "off"])
@pytest.mark.parametrize("gate", ["rich", "static"])
def test_the_conformer_path_can_be_had_or_left_out(gate, conformer):
    assert plan(Near(gate=gate, conformer=conformer), STILL, ONE_ID, ALIKE).conformer is (conformer == "on")


def test_a_recipe_can_name_the_kinds_of_near_anomalies():
    chosen = plan(Near(kinds=("lines", "bumps")), STILL, ONE_ID, ALIKE)
    assert chosen.kinds == ("lines", "bumps")
    assert "of kind lines, bumps" in chosen.note


def test_the_kinds_that_a_recipe_can_name_are_those_that_there_are():
    assert set(get_args(Kind)) == set(RICH_KINDS)


@pytest.mark.parametrize("kinds", [(), ("bumps", "bumps"), ("hum",)])
def test_kinds_that_there_are_not_are_refused(kinds):
    with pytest.raises(RecipeError, match="kinds"):
        Near(kinds=kinds)
