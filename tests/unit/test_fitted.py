"""What a fitted detector keeps: scoring is made anew without training, to the bit of a fit from the start."""

import copy
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import joblib
import numpy as np
import pytest
from machines import write_tree
from tiny_recipe import BOTH, SPECTRAL, TINY

import offkey
from offkey import datasets
from offkey.errors import ParameterError, RecipeError
from offkey.recipe import Scoring

RECIPES = {"spectral": SPECTRAL, "tiny": TINY, "both": BOTH}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = write_tree(tmp_path_factory.mktemp("tree") / "dev_data", train=14, test=3, seconds=0.5)
    return datasets.dcase2020(root, machine="fan")


def fit(recipe, data, **options):
    return offkey.Detector(recipe).fit(data, device="cpu", num_threads=1, **options)


@pytest.fixture(scope="module")
def detectors(data):
    return {name: fit(recipe, data) for name, recipe in RECIPES.items()}


def saved(detector, path):
    detector.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("spectral", {"false_alarm_rate": 0.5}),
        ("tiny", {"false_alarm_rate": 0.3}),
        ("tiny", {"covariance": "oas", "a_arc": "log_prob"}),
        ("tiny", {"standardise_on": "training", "combine": "a_maha"}),
        ("both", {"combine": "a_spectral", "a_arc": "prob"}),
    ],
)
def test_a_rescored_detector_is_the_one_that_a_fit_would_have_made(detectors, data, tmp_path, name, changes):
    recipe = RECIPES[name].replace(**{f"scoring__{key}": value for key, value in changes.items()})
    whole = fit(recipe, data)
    expected = saved(whole, tmp_path / "expected")
    before = saved(detectors[name], tmp_path / "before")
    rescored = detectors[name].rescored(recipe.scoring)
    assert saved(rescored, tmp_path / "rescored") == expected
    assert saved(offkey.load(tmp_path / "before").rescored(recipe.scoring), tmp_path / "loaded") == expected
    assert saved(detectors[name], tmp_path / "after") == before
    assert rescored.score(data.test) == whole.score(data.test)


def test_select_without_other_types_is_a_matter_of_scoring(data, tmp_path):
    alone = datasets.Dataset(machine="fan", clips=data.clips.where(machine_type="fan"))
    select = TINY.replace(scoring__combine="select")
    rescored = fit(TINY, alone).rescored(select.scoring)
    assert saved(rescored, tmp_path / "rescored") == saved(fit(select, alone), tmp_path / "expected")
    (note,) = (note for note in rescored.notes if "chosen by" in note)
    assert "AUC of each subset against other IDs: a_arc " in note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holdout_fraction": 0.4}, r"holdout_fraction = 0\.4.*fit again"),
        ({"holdout_clips": 5}, r"holdout_clips = 5.*with 20.*fit again"),
        ({"combine": "select"}, "'select'.*fit again"),
    ],
)
def test_what_training_depends_on_cannot_be_rescored(detectors, changes, message):
    scoring = TINY.replace(**{f"scoring__{key}": value for key, value in changes.items()}).scoring
    with pytest.raises(ParameterError, match=message):
        detectors["tiny"].rescored(scoring)


def test_rescoring_refuses_scores_that_are_not_there(detectors):
    with pytest.raises(RecipeError, match="its models give only a_spectral"):
        detectors["spectral"].rescored(Scoring(combine="a_maha"))
    with pytest.raises(ParameterError, match="not fitted"):
        offkey.Detector().rescored(Scoring())


def test_thresholds_are_what_decides(detectors, data):
    detector = detectors["both"]
    table = detector.score(data.test)
    limits = np.array([detector.thresholds[machine_id] for machine_id in table.machine_id])
    np.testing.assert_array_equal(table.decision, table.anomaly_score > limits)
    with pytest.warns(offkey.errors.OffkeyWarning, match="not known"):
        unknown = detector.score(data.test, machine_id="99")
    np.testing.assert_array_equal(unknown.decision, unknown.anomaly_score > detector.thresholds[None])
    assert set(detector.thresholds) == {"00", "02", None}
    strict = detector.rescored(detector.recipe.replace(scoring__false_alarm_rate=0.5).scoring)
    assert all(strict.thresholds[key] <= detector.thresholds[key] for key in detector.thresholds)


def test_each_ids_own_shortage_of_held_out_clips_is_told(detectors):
    (note,) = (note for note in detectors["tiny"].notes if note.startswith("false alarms"))
    # 14 clips each, a third of them held out
    assert "0.05 takes 19 calibration clips of a machine; ID 00 (4), 02 (4): by an exponential tail" in note


def test_several_models_are_calibrated_on_the_clips_that_all_have_held_out(detectors):
    clips = {name: detector.describe()["calibration_clips"] for name, detector in detectors.items()}
    assert clips == {
        "spectral": {"00": 14, "02": 14},  # each left out in turn
        "tiny": {"00": 4, "02": 4},
        "both": {"00": 4, "02": 4},
    }


def test_another_rate_changes_thresholds_and_decisions_but_no_score(detectors, data):
    detector = detectors["spectral"]
    table, strict = detector.score(data.test), detector.score(data.test, false_alarm_rate=0.5)
    np.testing.assert_array_equal(table.anomaly_score, strict.anomaly_score)
    limits = detector.thresholds_at(0.5)
    np.testing.assert_array_equal(strict.threshold, [limits[machine_id] for machine_id in table.machine_id])
    np.testing.assert_array_equal(strict.decision, strict.p_value <= 0.5)
    assert strict.calibration == ["own"] * len(table)
    with pytest.warns(offkey.errors.OffkeyWarning, match="a rate of 0.001 takes 999 calibration clips"):
        rare = detector.score(data.test, false_alarm_rate=0.001)
    assert rare.calibration == ["tail"] * len(table)
    assert (rare.threshold > table.threshold).all()
    with pytest.raises(ParameterError, match="false_alarm_rate = 5"):
        detector.score(data.test, false_alarm_rate=5)
    described = detector.describe()
    assert described["thresholds_at"]["0.001"] == {i: detector.thresholds_at(0.001)[i] for i in ("00", "02")}
    assert described["false_alarm_rate"] == 0.05


def _score(detector, paths):
    return detector.score(paths, device="cpu", num_threads=1)


@pytest.mark.parametrize("name", RECIPES)
def test_a_detector_that_was_used_can_be_copied(detectors, data, tmp_path, name):
    detector = detectors[name]
    expected = _score(detector, data.test.paths)
    joblib.dump(detector, tmp_path / "detector.joblib")
    copies = [
        pickle.loads(pickle.dumps(detector)),
        copy.copy(detector),
        copy.deepcopy(detector),
        joblib.load(tmp_path / "detector.joblib"),
    ]
    for again in copies:
        assert _score(again, data.test.paths) == expected
        assert again.describe() == detector.describe()


@pytest.mark.parametrize("name", ["spectral", "both"])
def test_a_detector_that_was_used_can_be_sent_to_other_processes(detectors, data, name):
    detector = detectors[name]
    expected = _score(detector, data.test.paths)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert (
            pool.submit(detector.score, data.test.paths, device="cpu", num_threads=1).result(120) == expected
        )


def test_how_a_detector_was_made_is_kept_in_its_file(detectors, data, tmp_path):
    detectors["both"].save(tmp_path / "fan.offkey")
    facts = offkey.load(tmp_path / "fan.offkey").describe()
    assert facts == detectors["both"].describe()
    provenance = facts["provenance"]
    assert (provenance["seed"], provenance["offkey"]) == (0, offkey.__version__)
    assert provenance["numpy"] == np.__version__
    network = provenance["network"]
    assert (network["device"], network["precision"], network["threads"]) == ("cpu", "float32", 1)
    assert network["losses"]["total"] > 0
    assert (facts["training_clips"], facts["clips_with_statistics"]) == (28, 28)
    assert json.loads(json.dumps(facts)) == facts


def test_a_saved_network_is_read_and_used_with_the_threads_that_are_asked_for(detectors, data, tmp_path):
    torch = pytest.importorskip("torch")
    detectors["tiny"].save(tmp_path / "tiny.offkey")
    counts, before = set(), torch.get_num_threads()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda *_: counts.add(torch.get_num_threads())
    )
    try:
        torch.set_num_threads(3)
        offkey.load(tmp_path / "tiny.offkey").score(data.test, num_threads=1)
        assert counts == {1}
        assert torch.get_num_threads() == 3
    finally:
        hook.remove()
        torch.set_num_threads(before)


def test_a_detector_tells_by_what_its_scores_were_chosen(detectors, data, tmp_path):
    selected = fit(TINY.replace(scoring__combine="select"), data)
    selected.save(tmp_path / "fan.offkey")
    for detector in (selected, offkey.load(tmp_path / "fan.offkey")):
        facts = detector.describe()
        assert set(facts["select_auc"]) == {
            *("a_out", "a_arc", "a_maha", "a_out+a_arc", "a_out+a_maha", "a_arc+a_maha", "a_out+a_arc+a_maha")
        }
        assert facts["select_auc"]["+".join(facts["combined"])] == max(facts["select_auc"].values())
        (note,) = [note for note in facts["notes"] if "the anomaly score is made of" in note]
        assert "mean of other IDs and other types: a_out" in note
    assert detectors["tiny"].describe()["select_auc"] == {}
