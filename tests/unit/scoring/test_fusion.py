"""From the scores of several models to one score, one threshold for each ID and one decision."""

import dataclasses
import json

import numpy as np
import pytest

from offkey.errors import DatasetError, DetectorFileError
from offkey.recipe import Scoring
from offkey.scoring.calibration import Calibration, PseudoAnomalies
from offkey.scoring.fusion import Fusion

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
        return PseudoAnomalies(machine_ids=self.pseudo_ids, scores=scores)


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
    np.testing.assert_allclose(fusion.apply(raw, ["02"] * 5).anomaly_score, expected, rtol=1e-12)


def test_the_mean_is_over_all_scores_of_all_models():
    models = [Known(("a_spectral",), clips(80)), Known(NETWORK, clips(80), scale=50.0)]
    fusion = Fusion.fit(models, Scoring(combine="mean"))
    assert fusion.chosen == ("a_spectral", *NETWORK) == fusion.score_names
    each = [Fusion.fit(models, Scoring(combine=name)) for name in fusion.chosen]
    raw = {name: np.random.default_rng(2).normal(size=(6, 2)) for name in fusion.chosen}
    parts = [one.apply(raw, ["00"] * 6).anomaly_score for one in each]
    np.testing.assert_allclose(fusion.apply(raw, ["00"] * 6).anomaly_score, np.mean(parts, axis=0))


def test_thresholds_are_quantiles_of_the_combined_score_of_each_id():
    model = Known(NETWORK, clips(200))
    fusion = Fusion.fit([model], Scoring(combine="mean", quantile=0.9))
    held = model.held_out
    raw = {name: np.repeat(values[:, None], 2, axis=1) for name, values in held.scores.items()}
    called = fusion.apply(raw, held.machine_ids).decision
    for machine_id in IDS:
        assert called[np.array(held.machine_ids) == machine_id].mean() == pytest.approx(0.1, abs=1e-9)
    assert fusion.notes == ()


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
    values = fusion.thresholds.values
    assert values[0] == values[1] == fusion.thresholds.fallback
    raw = {name: np.zeros((2, 2)) for name in names}
    scores = fusion.apply(raw, ["00", "02"]).anomaly_score
    assert scores[0] == scores[1]


def test_thresholds_of_two_models_come_from_the_clips_that_both_have_held_out():
    spectral, network = Known(("a_spectral",), clips(100)), Known(NETWORK, clips(40, start=60)[::-1])
    fusion = Fusion.fit([spectral, network], Scoring(combine="mean"))
    raw = {}
    for model in (spectral, network):
        held = model.held_out
        rows = [np.flatnonzero(held.indices == at)[0] for at in range(60, 100)]
        raw |= {name: np.repeat(values[rows, None], 2, axis=1) for name, values in held.scores.items()}
    ids = [IDS[at % 2] for at in range(60, 100)]
    fused = fusion.apply(raw, ids)
    for i, machine_id in enumerate(IDS):
        mine = fused.anomaly_score[np.array(ids) == machine_id]
        assert fusion.thresholds.values[i] == np.quantile(mine, 0.95, method="inverted_cdf")
    assert fusion.notes == ()


def test_a_single_score_has_its_threshold_from_all_clips_of_its_own_model():
    spectral, network = Known(("a_spectral",), clips(100)), Known(NETWORK, clips(10))
    both = Fusion.fit([spectral, network], Scoring(combine="a_spectral"))
    alone = Fusion.fit([spectral], Scoring(combine="a_spectral"))
    assert both.thresholds.state() == alone.thresholds.state()


def test_models_without_a_common_held_out_clip_take_the_mean_of_their_thresholds_and_say_so():
    models = [Known(("a_spectral",), clips(60)), Known(("a_maha",), clips(60, start=60))]
    fusion = Fusion.fit(models, Scoring(combine="mean"))
    alone = [Fusion.fit([model], Scoring(combine="mean")).thresholds for model in models]
    np.testing.assert_allclose(fusion.thresholds.values, (alone[0].values + alone[1].values) / 2)
    assert fusion.thresholds.fallback == pytest.approx((alone[0].fallback + alone[1].fallback) / 2)
    assert "held out different clips" in fusion.notes[0]


def test_hardly_overlapping_models_say_that_thresholds_rest_on_few_clips():
    models = [Known(("a_spectral",), clips(60)), Known(("a_maha",), clips(60, start=57))]
    fusion = Fusion.fit(models, Scoring(combine="mean"))
    pooled, few = fusion.notes
    assert "ID 00, 02: fewer than 10 held-out normal clips, so that of all IDs together is taken" in pooled
    assert (
        "too few held-out normal clips for the quantile 0.95, which needs 20: ID 00 (3), 02 (3): expect"
        in few
    )


def test_each_id_is_counted_by_itself():
    (note,) = Fusion.fit([Known(("a_spectral",), clips(24))], Scoring(combine="mean")).notes
    assert "which needs 20: ID 00 (12), 02 (12): expect more false alarms than 5%" in note


def test_select_that_has_nothing_to_choose_by_says_so():
    fusion = Fusion.fit([Known(("a_spectral", "a_maha"), clips(60))], Scoring(combine="select"))
    assert fusion.criteria == {}
    (note,) = fusion.notes
    assert "'select': there are no pseudo-anomalies to choose by" in note
    assert "all scores: a_spectral, a_maha" in note


def test_a_model_without_any_held_out_clip_is_an_error_that_names_its_score():
    with pytest.raises(DatasetError, match="a_maha: no normal clip is left"):
        Fusion.fit([Known(("a_spectral",), clips(60)), Known(("a_maha",), ())], Scoring(combine="mean"))


def test_unknown_ids_are_scored_as_the_nearest_one():
    fusion = Fusion.fit([Known(("a_spectral",), clips(80))], Scoring(combine="mean"))
    raw = {"a_spectral": np.array([[9.0, -1.0], [-2.0, 9.0], [9.0, -1.0]])}
    fused = fusion.apply(raw, ["99", None, "00"])
    assert fused.column.tolist() == [1, 0, 0]
    assert fused.anomaly_score[0] < 0 < fused.anomaly_score[2]
    assert fused.decision.tolist() == [0, 0, 1]


def test_the_state_brings_back_the_same_scores():
    models = [Known(("a_spectral",), clips(80)), Known(NETWORK, clips(80), shift=USEFUL)]
    fusion = Fusion.fit(models, Scoring(combine="select"))
    again = Fusion.from_state(json.loads(json.dumps(fusion.state())))
    raw = {name: np.random.default_rng(3).normal(size=(9, 2)) for name in fusion.score_names}
    ids = ["00", "02", None] * 3
    for name, values in dataclasses.asdict(fusion.apply(raw, ids)).items():
        np.testing.assert_array_equal(getattr(again.apply(raw, ids), name), values)
    assert again.state() == fusion.state()


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("chosen", [], "chosen"),
        ("chosen", ["a_out"], "chosen = .*expected some of a_spectral"),
        ("chosen", 3, "another kind"),
        ("machine_ids", ["00"], "expected"),
        ("machine_ids", ["02", "00"], "expected"),
        ("thresholds", {}, "thresholds"),
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
    state = Fusion.fit([Known(("a_spectral",), clips(80))], Scoring(combine="mean")).state()
    with pytest.raises(DetectorFileError, match=message):
        Fusion.from_state(state | {part: value})
    with pytest.raises(DetectorFileError, match=part):
        Fusion.from_state({name: v for name, v in state.items() if name != part})
