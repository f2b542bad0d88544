"""From the scores of several models to one score, one threshold for each ID and one decision."""

import dataclasses
import json
import re

import numpy as np
import pytest

from offkey.errors import DatasetError, DetectorFileError
from offkey.recipe import Scoring
from offkey.scoring.calibration import Calibration, PseudoAnomalies
from offkey.scoring.fusion import Fusion
from offkey.scoring.standardize import Standardizer

IDS = ("00", "02")


@dataclasses.dataclass
class Known:
    """A model whose held-out scores are given: standard normal ones, `shift` higher on pseudo-anomalies."""

    names: tuple[str, ...]
    held: tuple[tuple[int, str], ...]
    """Position in the training table and ID of each clip that was held out."""
    shift: dict[str, float] | None = None
    pseudo_ids: tuple[str, ...] = IDS * 40
    scale: float = 1.0
    machine_ids: tuple[str, ...] = IDS
    kinds: tuple[str, ...] | None = None
    weight: float = 1.0

    @property
    def score_names(self):
        return self.names

    @property
    def held_out(self):
        def score(k, at):
            return self.scale * np.random.default_rng([k, at]).normal()

        return Calibration(
            kind="held_out",
            indices=np.array([at for at, _ in self.held], dtype=np.int64),
            machine_ids=tuple(machine_id for _, machine_id in self.held),
            scores={
                name: np.array([score(k, at) for at, _ in self.held]) for k, name in enumerate(self.names)
            },
        )

    standardise_on = held_out

    @property
    def pseudo_anomalies(self):
        if self.shift is None:
            return None
        rng = np.random.default_rng(7)
        scores = {n: rng.normal(size=len(self.pseudo_ids)) + self.shift[n] for n in self.names}
        return PseudoAnomalies(machine_ids=self.pseudo_ids, scores=scores, kinds=self.kinds)


def clips(n, ids=IDS, start=0):
    return tuple((at, ids[at % len(ids)]) for at in range(start, start + n))


NETWORK = ("a_out", "a_arc", "a_maha")
USEFUL = {"a_out": 4.0, "a_arc": 0.0, "a_maha": 0.0}


@pytest.mark.parametrize("one", NETWORK)
def test_one_score_alone_is_that_score_standardised(one):
    fusion = Fusion.fit([Known(NETWORK, clips(80))], Scoring(combine=one))
    assert fusion.chosen == (one,)
    raw = {name: np.random.default_rng(1).normal(size=(5, 2)) for name in NETWORK}
    own = Known(NETWORK, clips(80)).held_out
    mine = own.scores[one][np.array(own.machine_ids) == "02"]
    expected = (raw[one][:, 1] - mine.mean()) / mine.std()
    np.testing.assert_allclose(fusion.apply(raw, ["02"] * 5, rate=0.1).anomaly_score, expected, rtol=1e-12)


def test_the_mean_is_over_all_scores_of_all_models():
    models = [Known(("a_spectral",), clips(80)), Known(NETWORK, clips(80), scale=50.0)]
    fusion = Fusion.fit(models, Scoring(combine="mean"))
    assert fusion.chosen == ("a_spectral", *NETWORK) == fusion.score_names
    each = [Fusion.fit(models, Scoring(combine=name)) for name in fusion.chosen]
    raw = {name: np.random.default_rng(2).normal(size=(6, 2)) for name in fusion.chosen}
    parts = [one.apply(raw, ["00"] * 6, rate=0.1).anomaly_score for one in each]
    np.testing.assert_allclose(fusion.apply(raw, ["00"] * 6, rate=0.1).anomaly_score, np.mean(parts, axis=0))


def test_thresholds_are_ranks_of_the_combined_score_of_each_id():
    model = Known(NETWORK, clips(200))
    fusion = Fusion.fit([model], Scoring(combine="mean"))
    held = model.held_out
    raw = {name: np.repeat(values[:, None], 2, axis=1) for name, values in held.scores.items()}
    called = fusion.apply(raw, held.machine_ids, rate=0.1).judged.decision
    for machine_id in IDS:  # those above the 91st of 100
        assert called[np.array(held.machine_ids) == machine_id].mean() == pytest.approx(0.09, abs=1e-9)
    assert fusion.notes == ()


def test_normals_that_standardise_are_calibrated_without_themselves():
    held = Known(("a_maha",), clips(60))
    own = Fusion.fit([held], Scoring(combine="mean"))
    z = np.sort(Standardizer.leave_one_out(held.held_out.scores["a_maha"], held.held_out.machine_ids))
    np.testing.assert_allclose(own.null.pooled, z)
    training = dataclasses.replace(held.held_out, kind="training")

    class OnTraining(Known):
        standardise_on = property(lambda self: training)

    constant = Fusion.fit([OnTraining(("a_maha",), clips(60))], Scoring(combine="mean"))
    assert np.abs(constant.null.pooled).max() < np.abs(z).max()  # as `Standardizer.transform_own` gives them


def test_recordings_of_unknown_ids_are_compared_with_normals_at_their_nearest_id():
    model = Known(("a_maha",), clips(80))
    part = model.held_out
    columns = np.searchsorted(IDS, part.machine_ids)
    matrix = np.repeat(part.scores["a_maha"][:, None], 2, axis=1)
    matrix[np.arange(80), 1 - columns] -= 1.0

    class Told(Known):
        held_out = standardise_on = property(
            lambda self: dataclasses.replace(part, against_all={"a_maha": matrix})
        )

    told = Fusion.fit([Told(("a_maha",), clips(80))], Scoring(combine="mean"))
    plain = Fusion.fit([model], Scoring(combine="mean"))
    np.testing.assert_array_equal(told.null.pooled, plain.null.pooled)
    assert told.null.thresholds(0.1)[None] < plain.null.thresholds(0.1)[None]
    np.testing.assert_array_equal(plain.null.nearest, plain.null.pooled)


def test_select_takes_the_scores_that_tell_pseudo_anomalies():
    fusion = Fusion.fit([Known(NETWORK, clips(80), shift=USEFUL)], Scoring(combine="select"))
    assert fusion.chosen == ("a_out",)


def test_select_keeps_the_score_of_a_model_that_has_no_pseudo_anomalies():
    models = [Known(("a_spectral",), clips(80)), Known(NETWORK, clips(80), shift=USEFUL)]
    assert Fusion.fit(models, Scoring(combine="select")).chosen == ("a_spectral", "a_out")


def test_select_without_anything_to_choose_by_takes_all():
    assert Fusion.fit([Known(NETWORK, clips(80))], Scoring(combine="select")).chosen == NETWORK
    # Normals of one ID only are held out, and all pseudo-anomalies are scored against the other.
    lopsided = Known(NETWORK, clips(80, ids=("00",)), shift=USEFUL, pseudo_ids=("02",) * 80)
    assert Fusion.fit([lopsided], Scoring(combine="select")).chosen == NETWORK


def test_a_score_that_a_model_could_not_train_is_left_out_of_the_mean():
    assert Fusion.fit([Known(("a_maha",), clips(80))], Scoring(combine="a_out")).chosen == ("a_maha",)


@pytest.mark.parametrize("names", [("a_spectral",), NETWORK])
def test_an_id_without_any_held_out_clip_takes_what_all_ids_have_together(names):
    fusion = Fusion.fit([Known(names, clips(60, ids=("00",)))], Scoring(combine="mean"))
    assert {fusion.null.of(name, rate=0.05).threshold(0.05) for name in ("02", None)} == {
        fusion.null.thresholds(0.05)["02"]
    }
    raw = {name: np.zeros((2, 2)) for name in names}
    scores = fusion.apply(raw, ["00", "02"], rate=0.1).anomaly_score
    assert scores[0] == scores[1]


def test_two_models_are_calibrated_by_the_clips_that_both_have_held_out():
    spectral, network = Known(("a_spectral",), clips(100)), Known(NETWORK, clips(40, start=60)[::-1])
    both = Fusion.fit([spectral, network], Scoring(combine="mean"))
    assert [len(scores) for scores in both.null.own] == [20, 20]
    assert both.notes == ()
    one = Standardizer.leave_one_out(spectral.held_out.scores["a_spectral"], spectral.held_out.machine_ids)
    order = np.argsort(network.held_out.indices)
    others = [
        Standardizer.leave_one_out(scores, network.held_out.machine_ids)[order]
        for scores in network.held_out.scores.values()
    ]
    np.testing.assert_allclose(both.null.pooled, np.sort(np.mean([one[60:], *others], axis=0)))


def test_a_single_score_is_calibrated_by_all_clips_of_its_own_model():
    spectral, network = Known(("a_spectral",), clips(100)), Known(NETWORK, clips(10))
    both = Fusion.fit([spectral, network], Scoring(combine="a_spectral"))
    alone = Fusion.fit([spectral], Scoring(combine="a_spectral"))
    np.testing.assert_array_equal(both.null.pooled, alone.null.pooled)


def test_models_without_a_common_held_out_clip_are_calibrated_in_the_order_of_scores_and_say_so():
    models = [Known(("a_spectral",), clips(60)), Known(("a_maha",), clips(80, start=60))]
    fusion = Fusion.fit(models, Scoring(combine="mean"))
    alone = [Fusion.fit([model], Scoring(combine="mean")).null.thresholds(0.1) for model in models]
    for name in IDS:
        expected = (alone[0][name] + alone[1][name]) / 2
        assert fusion.null.thresholds(0.1)[name] == pytest.approx(expected, abs=0.25)
    assert [len(scores) for scores in fusion.null.own] == [30, 30]
    assert "held out different clips" in fusion.notes[0]


def test_select_that_has_nothing_to_choose_by_says_so():
    fusion = Fusion.fit([Known(("a_spectral", "a_maha"), clips(60))], Scoring(combine="select"))
    assert fusion.criteria == {}
    (note,) = fusion.notes
    assert "'select': there are no pseudo-anomalies to choose by" in note
    assert "all scores: a_spectral, a_maha" in note


def test_select_says_how_every_subset_did_against_each_kind():
    kinds = ("other IDs", "other types") * 40
    fusion = Fusion.fit([Known(NETWORK, clips(80), shift=USEFUL, kinds=kinds)], Scoring(combine="select"))
    (note,) = fusion.notes
    assert "AUC of each subset, mean of other IDs and other types: a_out 0." in note
    of_each = re.findall(r"(\S+) (0\.\d+|1\.000) of (\d\.\d+) and (\d\.\d+)", note)
    assert [subset for subset, *_ in of_each] == list(fusion.criteria)
    for subset, mean, *parts in of_each:
        assert fusion.criteria[subset] == pytest.approx(float(mean), abs=6e-4)
        assert float(mean) == pytest.approx(np.mean([float(part) for part in parts]), abs=1.1e-3)
    one = Fusion.fit(
        [Known(NETWORK, clips(80), shift=USEFUL, kinds=("other IDs",) * 80)], Scoring(combine="select")
    )
    assert "AUC of each subset against other IDs: a_out 0." in one.notes[0]


def test_select_among_one_score_claims_no_choice():
    model = Known(("a_maha",), clips(80), shift={"a_maha": 3.0})
    fusion = Fusion.fit([model], Scoring(combine="select"))
    assert fusion.chosen == ("a_maha",)
    (note,) = fusion.notes
    assert "'select': there is a single score to choose from" in note
    assert "chosen" not in note


def test_a_model_without_any_held_out_clip_is_an_error_that_names_its_score():
    with pytest.raises(DatasetError, match="a_maha: no normal clip is left"):
        Fusion.fit([Known(("a_spectral",), clips(60)), Known(("a_maha",), ())], Scoring(combine="mean"))


def test_unknown_ids_are_scored_as_the_nearest_one():
    fusion = Fusion.fit([Known(("a_spectral",), clips(80))], Scoring(combine="mean"))
    raw = {"a_spectral": np.array([[9.0, -1.0], [-2.0, 9.0], [9.0, -1.0]])}
    fused = fusion.apply(raw, ["99", None, "00"], rate=0.05)
    assert fused.column.tolist() == [1, 0, 0]
    assert fused.anomaly_score[0] < 0 < fused.anomaly_score[2]
    assert fused.judged.decision.tolist() == [0, 0, 1]


def test_the_state_brings_back_the_same_scores():
    models = [Known(("a_spectral",), clips(80)), Known(NETWORK, clips(80), shift=USEFUL)]
    fusion = Fusion.fit(models, Scoring(combine="select"))
    again = Fusion.from_state(json.loads(json.dumps(fusion.state())), models)
    raw = {name: np.random.default_rng(3).normal(size=(9, 2)) for name in fusion.score_names}
    ids = ["00", "02", None] * 3
    one, other = (dataclasses.asdict(each.apply(raw, ids, rate=0.1)) for each in (fusion, again))
    np.testing.assert_equal(one, other)
    assert again.state() == fusion.state()


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("chosen", [], "chosen"),
        ("chosen", ["a_out"], "chosen = .*expected some of a_spectral"),
        ("chosen", 3, "another kind"),
        ("machine_ids", ["00"], "expected"),
        ("machine_ids", ["02", "00"], "expected"),
        ("standardizers", {}, "expected a_spectral"),
        ("standardizers", [], "another kind"),
        (
            "standardizers",
            {"a_spectral": {"ids": ["00", "02"], "means": [0, 0], "deviations": [1, 0]}},
            "above 0",
        ),
        (
            "standardizers",
            {"a_spectral": {"ids": ["00"], "means": [0], "deviations": [1]}},
            "a_spectral has the",
        ),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(part, value, message):
    models = [Known(("a_spectral",), clips(80))]
    state = Fusion.fit(models, Scoring(combine="mean")).state()
    with pytest.raises(DetectorFileError, match=message):
        Fusion.from_state(state | {part: value}, models)
    with pytest.raises(DetectorFileError, match=part):
        Fusion.from_state({name: v for name, v in state.items() if name != part}, models)


def weighed(*weights, held):
    models = [
        Known((f"a_{k}", f"a_{k}{k}"), of, weight=weight)
        for k, (weight, of) in enumerate(zip(weights, held, strict=True))
    ]
    return models, Fusion.fit(models, Scoring(combine="weighted"))


def test_scores_count_what_their_models_say():
    _, fusion = weighed(1.0, 3.0, held=(clips(40), clips(40)))
    raw = {name: np.random.default_rng(k).normal(size=(5, 2)) for k, name in enumerate(fusion.score_names)}
    z = fusion.standardised({name: values[:, 0] for name, values in raw.items()}, ["00"] * 5)
    expected = (z["a_0"] + z["a_00"] + 3 * z["a_1"] + 3 * z["a_11"]) / 8
    fused = fusion.apply(raw, ["00"] * 5, rate=0.05)
    np.testing.assert_allclose(fused.anomaly_score, expected)
    own = {name: values[:, 0] for name, values in raw.items()}
    assert np.array_equal(fusion.combined(own, ["00"] * 5), fused.anomaly_score)
    assert any("0.12 a_0, 0.12 a_00, 0.38 a_1, 0.38 a_11" in note for note in fusion.notes)


def test_weighed_scores_are_compared_with_normal_clips_weighed_alike():
    models, fusion = weighed(1.0, 3.0, held=(clips(40), clips(40)))
    scores = {name: values for model in models for name, values in model.held_out.scores.items()}
    z = fusion.standardised(scores, models[0].held_out.machine_ids)
    expected = (z["a_0"] + z["a_00"] + 3 * z["a_1"] + 3 * z["a_11"]) / 8
    ids = np.array(models[0].held_out.machine_ids)
    for own, name in zip(fusion.null.own, fusion.null.ids, strict=True):
        np.testing.assert_allclose(own, np.sort(expected[ids == name]))


def test_equal_weights_are_the_mean():
    models, fusion = weighed(2.0, 2.0, held=(clips(40), clips(40)))
    plain = Fusion.fit(models, Scoring())
    for one, other in zip(fusion.null.own, plain.null.own, strict=True):
        np.testing.assert_allclose(one, other)


def test_weights_are_stored():
    models, fusion = weighed(1.0, 3.0, held=(clips(40), clips(40)))
    state = json.loads(json.dumps(fusion.state()))
    again = Fusion.from_state(state, models)
    assert again.weights == fusion.weights
    del state["weights"]  # as files of before there were weights
    assert Fusion.from_state(state, models).weights is None


@pytest.mark.parametrize("weights", [{"a_0": 1}, {}, [1, 2], {"a_0": -1, "a_00": 1, "a_1": 1, "a_11": 1}, 3])
def test_weights_that_cannot_be_are_refused(weights):
    models, fusion = weighed(1.0, 3.0, held=(clips(40), clips(40)))
    with pytest.raises(DetectorFileError, match="weights"):
        Fusion.from_state(fusion.state() | {"weights": weights}, models)


def test_weights_hold_where_models_have_held_out_different_clips():
    _, fusion = weighed(1.0, 1e-9, held=(clips(20), clips(20, start=20)))
    alone = Fusion.fit([Known(("a_0", "a_00"), clips(20))], Scoring())
    np.testing.assert_allclose(np.median(fusion.null.pooled), np.median(alone.null.pooled), atol=0.3)
