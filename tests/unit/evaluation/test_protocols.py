"""Evaluation by protocol: means, notes, labels, tables."""

import csv
import dataclasses
import io
import json
import subprocess
import sys

import numpy as np
import pytest

import offkey
from offkey.datasets.clips import Clip, Clips
from offkey.errors import ArrayError, DatasetError, ParameterError
from offkey.evaluation.protocols import evaluate, harmonic_mean
from offkey.metrics import auc, pauc
from offkey.scores import ScoreTable


def clips(folder, machines, per_class=10, machine_type="fan"):
    """Test clips: for each ID `per_class` normals, then as many anomalies."""
    return Clips(
        [
            Clip(
                path=folder / machine_type / f"{['normal', 'anomaly'][label]}_id_{machine_id}_{at:08d}.wav",
                machine_type=machine_type,
                machine_id=machine_id,
                split="test",
                label=label,
                group=f"{machine_id}-{label}-{at}",
            )
            for machine_id in machines
            for label in (0, 1)
            for at in range(per_class)
        ]
    )


def table(test, seed=0, **columns):
    rng = np.random.default_rng(seed)
    shift = np.maximum(test.labels, 0)
    given = {
        "machine_type": [clip.machine_type for clip in test],
        "machine_id": test.machine_ids,
        "a_spectral": rng.normal(size=len(test)) + shift,
        "anomaly_score": rng.normal(size=len(test)) + 2 * shift,
    }
    return ScoreTable(path=test.paths, **given | columns)


def test_the_figures_of_ids_types_and_overall(tmp_path):
    test = clips(tmp_path, ["00", "02", "04"]) + clips(tmp_path, ["00", "01"], machine_type="valve")
    scores = table(test)
    result = offkey.evaluate(scores, test)
    by_id = {}
    for kind, name in [("fan", "00"), ("fan", "02"), ("fan", "04"), ("valve", "00"), ("valve", "01")]:
        mine = [c.machine_type == kind and c.machine_id == name for c in test]
        by_id[kind, name] = (
            auc(test.labels[mine], scores.anomaly_score[mine]),
            pauc(test.labels[mine], scores.anomaly_score[mine]),
        )
    rows = {(r.machine_type, r.machine_id): (r.auc, r.pauc) for r in result.ids if r.score == "anomaly_score"}
    assert rows == by_id
    fan, _ = (r for r in result.types if r.score == "anomaly_score")
    fans = np.array([v for (kind, _), v in by_id.items() if kind == "fan"])
    valves = np.array([v for (kind, _), v in by_id.items() if kind == "valve"])
    assert (fan.auc, fan.pauc) == pytest.approx(fans.mean(0))
    assert fan.harmonic_auc == pytest.approx(1 / np.mean(1 / fans[:, 0]))
    assert fan.worst_auc == fans[:, 0].min()
    assert fan.worst_id == "fan/" + ["00", "02", "04"][fans[:, 0].argmin()]
    fan_rows = np.array([c.machine_type == "fan" for c in test])
    assert fan.pooled_auc == auc(test.labels[fan_rows], scores.anomaly_score[fan_rows])
    (overall,) = (r for r in result.overall if r.score == "anomaly_score")
    assert overall.auc == pytest.approx((fans.mean(0)[0] + valves.mean(0)[0]) / 2)
    every = np.concatenate([fans, valves])[:, 0]
    assert overall.harmonic_auc == pytest.approx(1 / np.mean(1 / every))
    assert overall.machine_ids == 5
    assert overall.pooled_auc is None
    assert result.notes == ()
    assert result.score_names == ("a_spectral", "anomaly_score")


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    test = clips(tmp_path, ["00", "02"])
    scores = table(test)
    shuffled = np.random.default_rng(3).permutation(len(test))
    rows = list(scores.rows())
    again = evaluate(ScoreTable.from_rows([rows[i] for i in shuffled]), test, resamples=0)
    first = evaluate(scores, test, resamples=0)
    assert again.ids == first.ids
    assert evaluate(scores, test.take(shuffled), resamples=0).ids == first.ids


def test_labels_of_the_table_serve_where_no_clips_are_given(tmp_path):
    test = clips(tmp_path, ["00"])
    assert evaluate(table(test, label=test.labels)).ids == evaluate(table(test), test).ids


def test_files_are_matched_by_where_they_are(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    test, linked = clips(tmp_path, ["00"]), clips(tmp_path / "link", ["00"])
    assert evaluate(table(linked), test, resamples=0).ids[0].auc is not None
    monkeypatch.chdir(tmp_path)
    scores = table(test)
    relative = ScoreTable(path=[p.relative_to(tmp_path) for p in test.paths], a_out=scores.a_spectral)
    assert evaluate(relative, test, resamples=0).ids[0].auc == evaluate(scores, test, resamples=0).ids[0].auc


def test_labels_that_do_not_match_files_are_named(tmp_path):
    test = clips(tmp_path, ["00", "02"])
    scores = table(test)
    with pytest.raises(
        DatasetError, match=r"labels that do not match.*2 test clips have no row.*anomaly_id_02"
    ):
        evaluate(ScoreTable.from_rows(list(scores.rows())[:-2]), test)
    with pytest.raises(
        DatasetError, match=r"20 scored files are not among.*normal_id_02_00000004.wav and 15 more"
    ):
        evaluate(scores, test.where(machine_id="00"))
    with pytest.raises(DatasetError, match=r"disagree on .*normal_id_00_00000000\.wav"):
        evaluate(table(test, label=np.concatenate([[1], test.labels[1:]])), test)
    with pytest.raises(DatasetError, match=r"test clips: .*occurs twice"):
        evaluate(scores, test + test.take([0]))
    with pytest.raises(DatasetError, match=r"scores: .*occurs twice"):
        evaluate(ScoreTable.from_rows([*scores.rows(), *scores.rows()]), test)
    with pytest.raises(DatasetError, match="none of 40 recordings has one; give the test clips"):
        evaluate(scores)
    with pytest.raises(DatasetError, match="expected a column such as a_out"):
        evaluate(ScoreTable(path=test.paths), test)
    with pytest.raises(DatasetError, match="none of 0"):
        evaluate(ScoreTable(path=[]))


def test_an_id_of_one_class_has_no_auc_and_no_say_in_the_means(tmp_path):
    test = clips(tmp_path, ["00", "02", "04"])
    test = Clips([c for c in test if not (c.machine_id == "02" and c.label == 1)])
    test = Clips([c for c in test if not (c.machine_id == "04" and c.label == 0)])
    result = evaluate(table(test), test)
    rows = {r.machine_id: r for r in result.ids if r.score == "anomaly_score"}
    assert rows["02"].auc is rows["02"].pauc is rows["04"].auc is rows["02"].auc_interval is None
    assert [r.auc for r in result.types if r.score == "anomaly_score"] == [rows["00"].auc]
    assert result.notes == (
        "fan/02: all 10 clips are normal: no AUC, left out of the means",
        "fan/04: all 10 clips are anomalous: no AUC, left out of the means",
    )
    only = evaluate(table(test.where(machine_id="02")), test.where(machine_id="02"))
    assert only.types == only.overall == ()
    for text in (only.to_text(), only.to_markdown(), only.to_csv(), only.to_json()):
        assert "02" in text


def test_clips_without_score_or_label_are_left_out_with_a_note(tmp_path):
    test = clips(tmp_path, ["00"])
    scores = list(table(test).rows())
    scores[0] |= {"a_spectral": None, "anomaly_score": None, "error": "truncated"}
    scores[1]["a_spectral"] = None
    unlabelled = [Clip(**{f: getattr(test[5], f) for f in test[5].__slots__} | {"label": None})]
    partly = Clips([*list(test)[:5], *unlabelled, *list(test)[6:]])
    result = evaluate(ScoreTable.from_rows(scores), partly)
    spectral, combined = result.ids
    assert (spectral.normals, spectral.missing, combined.normals, combined.missing) == (7, 2, 8, 1)
    assert len(result.notes) == 4
    assert "1 recordings without a label left out" in result.notes[0]
    assert "1 recordings could not be scored: " in result.notes[1]


def test_a_score_that_an_id_lacks_is_said(tmp_path):
    test = clips(tmp_path, ["00", "02"])
    partial = np.where(np.arange(40) < 20, np.arange(40.0), np.nan)
    result = evaluate(table(test, a_out=partial), test)
    assert result.notes == ("fan/02: none of 20 labelled clips has a_out: no AUC, left out of the means",)


def test_unknown_ids_and_types_have_a_row_of_their_own(tmp_path):
    test = clips(tmp_path, ["00", "02"])
    scores = table(test, machine_type=None, machine_id=["00"] * 20 + [None] * 20, label=test.labels)
    result = evaluate(scores)
    assert [(r.machine_type, r.machine_id) for r in result.ids[:2]] == [(None, "00"), (None, None)]
    assert "? ?" in result.to_text()
    assert result.overall[0].machine_ids == 2


def test_decisions_are_counted(tmp_path):
    test = clips(tmp_path, ["00"])
    decision = np.concatenate([[1, 0, 0, 0, 0, 0, 0, 0, 0, -1], [1] * 7, [0] * 3])
    result = evaluate(table(test, decision=decision), test)
    spectral, combined = result.ids
    assert combined.false_alarm_rate == pytest.approx(1 / 9)
    assert combined.detection_rate == 0.7
    assert spectral.false_alarm_rate is spectral.detection_rate is None
    assert "7 of 10 anomalies found" in result.to_text()


def test_intervals_are_a_function_of_the_seed(tmp_path):
    test = clips(tmp_path, ["00", "02"], per_class=40)
    scores = table(test)
    first, again, other = (evaluate(scores, test, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.ids[0].auc == other.ids[0].auc
    assert first.ids[0].auc_interval != other.ids[0].auc_interval
    alone = evaluate(table(test).__class__.from_rows(list(scores.rows())[:80]), test.take(range(80)), seed=1)
    assert alone.ids[0].auc_interval == first.ids[0].auc_interval
    for row in (*first.ids, *first.types, *first.overall):
        assert row.auc_interval[0] < row.auc < row.auc_interval[1]
        assert row.pauc_interval[0] <= row.pauc <= row.pauc_interval[1]
    assert evaluate(scores, test, resamples=0).ids[0].auc_interval is None


def test_intervals_draw_clips_of_one_recording_together(tmp_path):
    test = clips(tmp_path, ["00"], per_class=40)
    of_ten = Clips(
        [dataclasses.replace(clip, group=f"{clip.label}-{i // 10}") for i, clip in enumerate(test)]
    )
    rng = np.random.default_rng(5)
    level = np.repeat(rng.normal(size=8), 10) + 0.1 * rng.normal(size=80) + test.labels  # by recording
    scores = table(test, anomaly_score=level, a_spectral=level)
    apart, together = (evaluate(scores, each).ids[0] for each in (test, of_ten))
    assert apart.auc == together.auc
    widths = [high - low for low, high in (apart.auc_interval, together.auc_interval)]
    assert widths[1] > 1.3 * widths[0]
    rows = [row | {"label": clip.label} for row, clip in zip(scores.rows(), test, strict=True)]
    by_table = evaluate(ScoreTable.from_rows(rows))
    assert by_table.ids[0].auc_interval == apart.auc_interval


def test_tables_carry_every_figure(tmp_path):
    test = clips(tmp_path, ["00", "02"]) + clips(tmp_path, ["01"], machine_type="valve")
    result = evaluate(table(test), test)
    read = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [row["level"] for row in read] == ["id"] * 6 + ["type"] * 4 + ["overall"] * 2
    assert float(read[0]["auc"]) == result.ids[0].auc
    assert "pooled_auc_not_official" in read[0]
    assert json.loads(result.to_json()) == json.loads(json.dumps(result.to_dict()))
    text, markdown = result.to_text(), result.to_markdown()
    for form in (text, markdown):
        assert f"{result.ids[-1].pauc:.4f}" in form
        assert "fan pooled (not official)" in form
        assert "overall mean" in form
    assert max(map(len, text.splitlines()[2:-3])) < 80
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_mimii_shows_the_auc_alone(tmp_path):
    test = clips(tmp_path, ["00"])
    result = evaluate(table(test), test, protocol="mimii")
    assert "pAUC" not in result.to_text() + result.to_markdown()
    assert result.ids[0].pauc is not None


@pytest.mark.parametrize("ending", [".md", ".csv", ".json", ".txt"])
def test_results_are_written_by_ending(tmp_path, ending):
    test = clips(tmp_path, ["00"])
    result = evaluate(table(test), test)
    result.write(tmp_path / f"out{ending}")
    forms = {
        ".md": result.to_markdown,
        ".csv": result.to_csv,
        ".json": result.to_json,
        ".txt": result.to_text,
    }
    assert (tmp_path / f"out{ending}").read_text() == forms[ending]()
    with pytest.raises(ParameterError, match=r"ending '\.xls'"):
        result.write(tmp_path / "out.xls")


def test_bad_options_are_named(tmp_path):
    test = clips(tmp_path, ["00"])
    for options, message in [
        ({"protocol": "dcase1999"}, "protocol = 'dcase1999': expected one of dcase2020, mimii"),
        ({"max_fpr": 0.0}, "max_fpr = 0.0"),
        ({"max_fpr": 1.5}, "max_fpr = 1.5"),
        ({"confidence": 95}, "confidence = 95"),
        ({"resamples": -1}, "resamples = -1"),
        ({"seed": -1}, "seed = -1"),
    ]:
        with pytest.raises(ParameterError, match=message):
            evaluate(table(test), test, **options)


def test_harmonic_mean():
    assert harmonic_mean([0.0, 1.0]) == 0.0
    assert harmonic_mean([0.3]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.0], r"labels: dtype int64, shape \(2,\); expected 0 and 1 in shape \(1,\)"),
        ([0, 2], [0.0, 1.0], "labels: 2 at position 1"),
        ([0, 0], [0.0, 1.0], "2 normal clips, 0 anomalies"),
        ([1, 1], [0.0, 1.0], "0 normal clips, 2 anomalies"),
        ([], [], "0 normal clips, 0 anomalies"),
        ([0, 1], [0.0, np.nan], "scores: nan at position 1"),
        ([0, 1], [np.inf, 1.0], "scores: inf at position 0"),
        ([0, 1], ["a", "b"], "scores: dtype"),
        ([[0, 1]], [[0.0, 1.0]], r"scores: dtype float64, shape \(1, 2\)"),
    ],
)
def test_curves_refuse_bad_input(labels, scores, message):
    for measure in (auc, pauc):
        with pytest.raises(ArrayError, match=message):
            measure(labels, scores)


def test_scores_are_fitted_evaluated_and_written_with_numpy_alone(tmp_path):
    code = f"""
import sys
for name in ("msgspec", "pyarrow", "sklearn", "scipy", "torch", "matplotlib", "rich", "safetensors"):
    sys.modules[name] = None
import numpy as np
import offkey
assert offkey.metrics.auc([0, 1], [0.0, 1.0]) == 1.0
assert offkey.scoring.null.NullDistributions.fit([1.0], ["a"]).thresholds(0.5) == {{"a": 1.0, None: 1.0}}
from offkey import ScoreTable, evaluate
from offkey.scoring import combine, gaussian, null, standardize
from offkey.evaluation import submission
x = np.random.default_rng(0).normal(size=(8, 3))
distances = gaussian.Gaussian.fit(x, ["00"] * 8).mahalanobis(x)[:, 0]
table = ScoreTable(
    path=[f"{{i}}.wav" for i in range(8)], machine_type=["fan"] * 8, machine_id=["00"] * 8,
    anomaly_score=distances, label=[0, 1] * 4,
)
table.write({str(tmp_path / "scores.csv")!r})
submission.write(ScoreTable.read({str(tmp_path / "scores.csv")!r}), {str(tmp_path)!r})
print(0 <= evaluate(table).overall[0].auc <= 1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
