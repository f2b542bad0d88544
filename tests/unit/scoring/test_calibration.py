import numpy as np
import pytest

from offkey.errors import ArrayError
from offkey.scoring.calibration import Calibration

AGAINST_ALL = np.array([[1.0, 5.0], [4.0, 2.0], [6.0, 3.0]])


def calibration(against_all, *, machine_ids=("a", "b", "b"), scores=(1.0, 2.0, 3.0)):
    return Calibration(
        kind="out_of_fold",
        indices=np.arange(len(machine_ids)),
        machine_ids=machine_ids,
        scores={"a_x": np.array(scores)},
        against_all=against_all,
    )


def test_scores_against_all_ids_are_optional():
    assert calibration(None).against_all is None
    assert calibration({"a_x": AGAINST_ALL}).against_all["a_x"] is AGAINST_ALL


def test_a_known_id_without_a_calibration_clip_has_a_column_too():
    assert calibration({"a_x": np.ones((3, 4))}).against_all["a_x"].shape == (3, 4)


@pytest.mark.parametrize(
    "values",
    [
        AGAINST_ALL[:2],
        AGAINST_ALL[:, :1],
        AGAINST_ALL[:, 0],
        AGAINST_ALL.astype(np.float32),
        AGAINST_ALL.astype(int),
        np.where(AGAINST_ALL == 5, np.nan, AGAINST_ALL),
    ],
)
def test_scores_against_all_ids_of_another_kind_are_refused(values):
    with pytest.raises(
        ArrayError, match=r"against_all, a_x: .* expected \(3, IDs\) finite float64, at least 2"
    ):
        calibration({"a_x": values})


def test_columns_in_another_order_are_refused():
    with pytest.raises(ArrayError, match="against its own ID is not the one in scores"):
        calibration({"a_x": AGAINST_ALL[:, ::-1]})


@pytest.mark.parametrize("names", [[], ["a_y"], ["a_x", "a_y"]])
def test_scores_against_all_ids_are_of_the_same_names(names):
    with pytest.raises(ArrayError, match=r"against_all: scores .*; expected a_x"):
        calibration(dict.fromkeys(names, AGAINST_ALL))
