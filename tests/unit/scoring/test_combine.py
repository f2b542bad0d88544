"""Combinations of scores, and how one is chosen."""

import numpy as np
import pytest

from offkey.errors import ArrayError, ParameterError
from offkey.metrics import auc
from offkey.scoring.combine import combine, oracle, select, subsets

RNG = np.random.default_rng(0)


def scores(n, shift, seed=0):
    """Three standardised scores: one that tells, one that tells less, one that tells nothing."""
    rng = np.random.default_rng(seed)
    return {
        "a_out": rng.normal(size=n) + 3 * shift,
        "a_arc": rng.normal(size=n) + shift,
        "a_maha": rng.normal(size=n) * 5,
    }


def test_there_are_seven_subsets_of_three():
    found = subsets(["a_out", "a_arc", "a_maha"])
    assert len(found) == len(set(found)) == 7
    assert found[0] == ("a_out",)
    assert found[-1] == ("a_out", "a_arc", "a_maha")


def test_the_combination_is_the_mean():
    z = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 6.0]), "c": np.array([9.0, 9.0])}
    assert combine(z, ["a", "b"]).tolist() == [2.0, 4.0]
    assert combine(z, ["b"]).tolist() == [3.0, 6.0]
    matrix = {name: np.stack([column, column]) for name, column in z.items()}
    assert combine(matrix, ("a", "b", "c")).shape == (2, 2)


def test_select_takes_what_separates_pseudo_anomalies():
    normals, pseudo = scores(400, 0), scores(300, 1, seed=1)
    selection = select(normals, pseudo)
    labels = [0] * 400 + [1] * 300
    aucs = {
        subset: auc(labels, np.concatenate([combine(normals, subset), combine(pseudo, subset)]))
        for subset in subsets(list(normals))
    }
    assert selection.kind == "select"
    assert selection.chosen == max(aucs, key=aucs.get)
    assert "a_maha" not in selection.chosen  # it tells nothing
    assert selection.criteria == pytest.approx(aucs)
    assert selection.criterion == max(selection.criteria.values()) > 0.95


def test_of_equals_the_subset_of_most_scores_is_taken():
    normals = {name: RNG.uniform(-1, 1, 20) for name in ("a", "b", "c")}
    pseudo = {name: RNG.uniform(9, 10, 20) for name in ("a", "b", "c")}
    assert select(normals, pseudo).chosen == ("a", "b", "c")


def test_the_criterion_is_a_mean_over_ids():
    # Between the IDs the score differs more than between normals and pseudo-anomalies.
    normals = {"a": np.array([0.0, 1.0, 100.0, 101.0])}
    pseudo = {"a": np.array([2.0, 3.0, 102.0, 103.0])}
    assert select(normals, pseudo).criterion == pytest.approx(0.75)
    by_id = select(normals, pseudo, ids=["x", "x", "y", "y"], pseudo_ids=["x", "x", "y", "y"])
    assert by_id.criterion == 1.0
    one_sided = select(normals, pseudo, ids=["x", "x", "y", "y"], pseudo_ids=["x", "x", "x", "z"])
    assert one_sided.criterion == 1.0


def test_each_kind_of_pseudo_anomalies_weighs_the_same_however_many_they_are():
    """As many IDs as DCASE has: a_out tells nothing of them, and they are by far the most."""
    rng, normals_of, ids, types = np.random.default_rng(0), 60, 360, 60
    kinds = ["other IDs"] * ids + ["other types"] * types
    normals = {name: rng.normal(size=normals_of) for name in ("a_out", "a_arc")}
    pseudo = {
        "a_out": np.r_[rng.normal(size=ids), rng.normal(9, 1, types)],  # perfect on other types
        "a_arc": np.r_[rng.normal(1, 1, ids), rng.normal(0.2, 1, types)],
    }
    together, weighed = select(normals, pseudo), select(normals, pseudo, kinds=kinds)
    assert together.criteria[("a_out",)] < 0.6 < together.criteria[("a_arc",)]
    assert together.by_kind == {}
    assert list(weighed.by_kind) == ["other IDs", "other types"]
    assert weighed.by_kind["other types"][("a_out",)] == 1.0
    for subset, criterion in weighed.criteria.items():
        assert criterion == pytest.approx(np.mean([aucs[subset] for aucs in weighed.by_kind.values()]))
    assert weighed.criteria[("a_out",)] > weighed.criteria[("a_arc",)]
    labels = [0] * normals_of + [1] * ids
    for_ids = auc(labels, np.r_[normals["a_arc"], pseudo["a_arc"][:ids]])
    assert weighed.by_kind["other IDs"][("a_arc",)] == pytest.approx(for_ids)


def test_a_kind_that_meets_no_normals_is_left_out():
    normals, pseudo = {"a": np.array([0.0, 1.0])}, {"a": np.array([2.0, -1.0])}
    ids = {"ids": ["x", "x"], "pseudo_ids": ["x", "y"], "kinds": ["other IDs", "other types"]}
    selection = select(normals, pseudo, **ids)
    assert selection.by_kind == {"other IDs": {("a",): 1.0}}
    assert selection.criterion == 1.0
    with pytest.raises(ArrayError, match="kinds: 1 for 2 pseudo-anomalies; expected one for each"):
        select(normals, pseudo, kinds=["other IDs"])


def test_the_oracle_says_what_it_is():
    labels = np.repeat([0, 1], 50)
    found = oracle(scores(100, labels), labels)
    assert found.kind == "oracle"
    assert "a_out" in found.chosen
    assert found.criterion >= max(found.criteria[(name,)] for name in ("a_out", "a_arc", "a_maha"))


def test_combining_names_bad_scores_and_choices():
    z = {"a": np.zeros(3), "b": np.zeros(2)}
    with pytest.raises(ParameterError, match="chosen = "):
        combine(z, [])
    with pytest.raises(ParameterError, match="expected one or more of a, b"):
        combine(z, ["c"])
    with pytest.raises(ArrayError, match=r"b: shape \(2,\); expected \(3,\) as a has"):
        combine(z, ["a", "b"])
    with pytest.raises(ArrayError, match="a: nan at position 1"):
        combine({"a": [0.0, np.nan]}, ["a"])
    with pytest.raises(ParameterError, match="expected those of normals: a"):
        select({"a": [0.0]}, {"b": [1.0]})
    with pytest.raises(ParameterError, match="pseudo_ids"):
        select({"a": [0.0]}, {"a": [1.0]}, ids=["x"])
    with pytest.raises(ArrayError, match="ids: 1 for 2 clips"):
        select({"a": [0.0]}, {"a": [1.0]}, ids=["x"], pseudo_ids=[])
    with pytest.raises(ArrayError, match="no machine ID has clips on both sides"):
        select({"a": [0.0]}, {"a": [1.0]}, ids=["x"], pseudo_ids=["y"])
    with pytest.raises(ArrayError, match="no machine ID has clips on both sides"):
        select({"a": []}, {"a": []})
    with pytest.raises(ArrayError, match="2 for 3 scores"):
        oracle({"a": [0.0, 1.0, 2.0]}, [0, 1])
