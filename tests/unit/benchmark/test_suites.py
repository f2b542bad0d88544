"""The benchmark of the paper's tables."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tiny_recipe import SPECTRAL as FEW_MELS

from offkey import benchmark, datasets
from offkey.benchmark.runs import Execution, Run, RunEnded, RunStarted, Setting
from offkey.detector import Detector
from offkey.errors import DatasetError, ParameterError
from offkey.recipe import Recipe

from .conftest import SPECTRAL, TINY

pytestmark = pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")


def official(folder, labels, machine, machine_ids):
    """AUC and pAUC of submission files as the challenge's evaluator computes them: mean over IDs."""
    found = []
    for machine_id in machine_ids:
        with (folder / f"anomaly_score_{machine}_id_{machine_id}.csv").open(newline="") as file:
            rows = [(name, float(score)) for name, score in csv.reader(file)]
        truth = [labels(machine, name) for name, _ in rows]
        scores = [score for _, score in rows]
        found.append((roc_auc_score(truth, scores), roc_auc_score(truth, scores, max_fpr=0.1)))
    return np.mean(found, axis=0)


def cells(table, row):
    return dict(zip(table.header[1:], next(r for r in table.rows if r[0] == row)[1:], strict=True))


def table(made, start):
    return next(t for t in made.tables() if t.title.startswith(start))


@pytest.fixture(scope="module")
def whole(dcase, tmp_path_factory):
    """A benchmark of all settings of the tree, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("whole")
    return benchmark.dcase2020(dcase, out=out, recipes=[SPECTRAL], seeds=1), out


def test_dcase_tables_agree_with_the_official_evaluation_of_the_submission_files(dcase, whole):
    made, out = whole
    key, machine = {}, ""
    with (dcase / "eval_data_list.csv").open(newline="") as file:
        for row in csv.reader(file):
            if len(row) == 1:
                machine = row[0]
            else:
                key[machine, row[0]] = int(row[2])

    def labels(machine, name):
        return key[machine, name] if name.startswith("id_") else int(name.startswith("anomaly"))

    submitted = out / "submissions" / "spectral-seed0"
    row = "offkey spectral: anomaly_score (a_spectral)"
    for start, ids in (("Table 2", ("00", "02")), ("Table 3", ("01",))):
        part = {"Table 2": "development", "Table 3": "evaluation"}[start]
        for machine in ("fan", "pump"):
            auc, pauc = official(submitted, labels, machine, ids)
            assert cells(table(made, start), row)[machine] == f"{100 * auc:.2f}"
            ours = cells(table(made, f"pAUC (%) of the DCASE 2020 {part}"), row)
            assert ours[machine] == f"{100 * pauc:.2f}"
    assert cells(table(made, "Table 2"), "paper") == {
        "fan": "88.80",
        "pump": "94.12",
        "valve": "100.00",
        "slider": "96.52",
        "mean": "94.86",
    }


def test_what_the_paper_has_and_the_data_has_not_is_named_and_left_empty(dcase, whole):
    made, _ = whole
    assert made.missing == (f"valve is not in {dcase}", f"slider is not in {dcase}")
    found = cells(table(made, "Table 2"), "offkey spectral: anomaly_score (a_spectral)")
    assert found["valve"] == found["slider"] == found["mean"] == ""
    assert f"valve is not in {dcase}" in table(made, "Table 2").to_text()
    assert made.runs == len(made.records) == 2


def test_every_score_every_combination_and_the_oracle(dcase, tmp_path):
    made = benchmark.dcase2020(dcase, out=tmp_path, recipes=[TINY], seeds=2, machines=["fan"])
    names = set(made.records[0].figures)
    assert names == {
        "a_out",
        "a_arc",
        "a_maha",
        "a_out+a_arc",
        "a_out+a_maha",
        "a_arc+a_maha",
        "a_out+a_arc+a_maha",
        "anomaly_score",
        "oracle",
    }
    for record in made.records:
        means = {name: np.mean([f.auc for f in figures]) for name, figures in record.figures.items()}
        assert means["oracle"] == max(means.values())
        chosen = "+".join(record.combined)
        assert means["anomaly_score"] == pytest.approx(means[chosen], abs=1e-12)
        assert record.parameters > 1_000
    rows = [row[0] for row in table(made, "Table 2").rows]
    assert sum(row.startswith("offkey tiny: ") for row in rows) == 9
    assert "test labels" in table(made, "Table 2").to_markdown()
    figures = list(csv.DictReader(io.StringIO(made.to_csv())))
    assert {row["seeds"] for row in figures} == {"2"}
    assert len(figures) == 9 * 3


def test_a_system_of_the_paper_stands_above_its_measured_row_with_what_was_changed(dcase, tmp_path):
    recipe = Recipe.named("ae").replace(ae__epochs=1, ae__hidden=(16,))
    made = benchmark.dcase2020(dcase, out=tmp_path, recipes=[SPECTRAL, recipe], seeds=2, machines=["fan"])
    rows = [row[0] for row in table(made, "Table 2").rows]
    place = rows.index("official baseline")
    assert rows[place + 1] == "offkey ae: anomaly_score (a_ae)"
    assert rows[-1] == "offkey spectral: anomaly_score (a_spectral)"
    notes = table(made, "Table 2").notes
    assert "recipe ae: ae.epochs = 1, not 100" in notes
    assert "recipe ae: ae.hidden = [16], not [128, 128, 128, 128]" in notes
    cost = next(t for t in made.tables() if t.title.startswith("What it took"))
    assert float(cells(cost, "ae, fan")["ms a clip"]) > 0


def test_what_is_done_is_not_done_again(dcase, whole, monkeypatch):
    events = []
    first, out = whole
    monkeypatch.setattr(Detector, "fit", None)
    again = benchmark.dcase2020(
        dcase, out=out, recipes=[SPECTRAL], seeds=1, how=Execution(on_event=events.append)
    )
    assert again == first
    ended = [event for event in events if isinstance(event, RunEnded)]
    assert [event.again for event in ended] == [True, True]
    assert [(event.number, event.runs) for event in events if isinstance(event, RunStarted)] == [
        (1, 2),
        (2, 2),
    ]


class Stop(BaseException):
    pass


@pytest.mark.long
def test_an_interrupted_training_goes_on_to_the_same_figures(dcase, tmp_path):
    from offkey.models.network.events import EpochEnded, Resumed

    epochs = []

    def stop(event):
        if isinstance(event, EpochEnded):
            epochs.append(event)
            if len(epochs) == 2:
                raise Stop

    options = {"recipes": [TINY], "seeds": 1, "machines": ["fan"]}
    with pytest.raises(Stop):
        benchmark.dcase2020(dcase, out=tmp_path / "a", how=Execution(device="cpu", on_event=stop), **options)
    assert not list((tmp_path / "a").rglob("run.json"))
    stopped = benchmark.dcase2020(
        dcase, out=tmp_path / "a", how=Execution(device="cpu", on_event=epochs.append), **options
    )
    assert sum(isinstance(event, EpochEnded) for event in epochs) < 2 + 3
    whole = benchmark.dcase2020(dcase, out=tmp_path / "b", how=Execution(device="cpu"), **options)
    first, second = stopped.records[0], whole.records[0]
    assert first.figures == second.figures
    assert (first.device, first.precision) == (second.device, second.precision)
    assert first.precision in ("float32", "bfloat16")
    (resumed,) = (event for event in epochs if isinstance(event, Resumed))
    assert first.fit_s > resumed.spent_s > 0
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_other_labels_give_other_figures_from_the_same_detectors_and_scores(own_dcase, tmp_path):
    options = {"out": tmp_path / "out", "recipes": [FEW_MELS], "seeds": 1}
    first = benchmark.dcase2020(own_dcase, **options)
    kept = {
        p: p.read_bytes()
        for p in tmp_path.rglob("*")
        if p.suffix in (".offkey", ".csv") and "runs" in p.parts
    }
    lines = (own_dcase / "eval_data_list.csv").read_text().splitlines()
    flipped = [line[:-1] + str(1 - int(line[-1])) if "," in line else line for line in lines]
    (own_dcase / "eval_data_list.csv").write_text("\n".join(flipped) + "\n")
    second = benchmark.dcase2020(own_dcase, **options)
    assert kept
    assert all(path.read_bytes() == data for path, data in kept.items())
    for before, after in zip(first.records, second.records, strict=True):
        for old, new in zip(before.figures["anomaly_score"], after.figures["anomaly_score"], strict=True):
            assert old.machine_id == new.machine_id
            assert new.auc == pytest.approx(1 - old.auc if old.machine_id == "01" else old.auc)


def test_evaluation_data_without_labels_are_scored_and_submitted(own_dcase, tmp_path):
    (own_dcase / "eval_data_list.csv").unlink()
    made = benchmark.dcase2020(own_dcase, out=tmp_path / "out", recipes=[FEW_MELS], seeds=1, machines=["fan"])
    assert any("8 of 24 test clips have no label" in text for text in made.missing)
    assert not any(row[0].startswith("offkey") for row in table(made, "Table 3").rows)
    submitted = tmp_path / "out" / "submissions" / "spectral-seed0" / "anomaly_score_fan_id_01.csv"
    assert len(submitted.read_text().splitlines()) == 8


def test_a_run_that_fails_is_named_and_the_others_go_on(own_dcase, tmp_path):
    broken = next((own_dcase / "dev_data" / "fan" / "test").iterdir())
    broken.write_bytes(b"RIFF")
    made = benchmark.dcase2020(own_dcase, out=tmp_path / "out", recipes=[FEW_MELS], seeds=1)
    assert [record.setting.machine for record in made.records] == ["pump"]
    assert len(made.failures) == 1
    assert made.failures[0].startswith("fan, recipe spectral, seed 0: 1 of 24 test clips cannot be scored")
    assert made.failures[0] in (tmp_path / "out" / "tables.md").read_text()


def test_a_run_in_which_torch_fails_does_not_stop_the_others(dcase, tmp_path, monkeypatch):
    fit = Detector.fit

    def failing(self, data, **options):
        if data.machine == "fan":
            raise RuntimeError("CUDA out of memory")
        return fit(self, data, **options)

    monkeypatch.setattr(Detector, "fit", failing)
    made = benchmark.dcase2020(dcase, out=tmp_path, recipes=[FEW_MELS], seeds=1)
    assert [record.setting.machine for record in made.records] == ["pump"]
    assert made.failures == ("fan, recipe spectral, seed 0: RuntimeError: CUDA out of memory",)


def test_mimii_has_a_column_for_each_type_and_ratio(mimii, tmp_path):
    made = benchmark.mimii(mimii, out=tmp_path, recipes=[FEW_MELS], seeds=1)
    found = cells(table(made, "Table 1"), "offkey spectral: anomaly_score (a_spectral)")
    filled = {name for name, cell in found.items() if cell}
    assert filled == {"fan -6 dB", "fan 0 dB", "valve -6 dB", "valve 0 dB"}
    assert len(found) == 16
    assert len(made.missing) == 12 - 4
    fan = next(r for r in made.records if r.setting.machine == "fan" and r.setting.snr_db == -6)
    assert (fan.train_clips, fan.test_clips) == (24, 16)
    assert found["fan -6 dB"] == f"{100 * np.mean([f.auc for f in fan.figures['anomaly_score']]):.2f}"


@pytest.mark.long
def test_each_seed_of_a_random_split_draws_its_own_test_clips(mimii, tmp_path):
    options = {"recipes": [FEW_MELS], "seeds": 2, "machines": ["fan"], "snrs_db": [0.0]}
    benchmark.mimii(mimii, out=tmp_path / "r", split="random75", **options)
    benchmark.mimii(mimii, out=tmp_path / "h", **options)

    def tested(folder, seed):
        (path,) = folder.rglob(f"spectral-seed{seed}-*/scores.csv")
        with path.open(newline="") as file:
            return sorted(row["path"] for row in csv.DictReader(file))

    assert tested(tmp_path / "r", 0) != tested(tmp_path / "r", 1)
    assert tested(tmp_path / "h", 0) == tested(tmp_path / "h", 1)


def test_the_files_hold_what_the_tables_say(mimii, tmp_path):
    made = benchmark.mimii(mimii, out=tmp_path, recipes=[FEW_MELS], seeds=2, machines=["valve"])
    assert json.loads((tmp_path / "results.json").read_text()) == made.to_dict()
    assert (tmp_path / "figures.csv").read_text() == made.to_csv()
    for one in made.tables():
        assert {len(row) for row in one.rows} == {len(one.header)}
        lines = [line for line in one.to_markdown().splitlines() if line.startswith("|")]
        assert {line.count(" | ") for line in lines} == {len(one.header) - 1}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recipes": []}, ParameterError, "recipes = none"),
        ({"recipes": [SPECTRAL, SPECTRAL]}, ParameterError, "each name once"),
        ({"seeds": 0}, ParameterError, "seeds = 0"),
        ({"machines": ["ToyCar"]}, DatasetError, "none of the settings asked for: ToyCar at"),
    ],
)
def test_a_benchmark_of_nothing_is_refused_before_anything_is_written(
    mimii, tmp_path, options, error, message
):
    with pytest.raises(error, match=message):
        benchmark.mimii(mimii, out=tmp_path / "out", **({"recipes": [FEW_MELS]} | options))
    assert not (tmp_path / "out").exists()


def test_runs_are_told_apart_by_precision_version_and_longest_and_not_by_where_the_data_lie(
    dcase, tmp_path, monkeypatch
):
    def folder(root, *, max_seconds=86_400, **how):
        run = Run(
            setting=Setting("fan"),
            recipe=Execution(**how).recipe(TINY),
            seed=0,
            data=datasets.dcase2020(root, machine="fan"),
            root=root,
            max_seconds=max_seconds,
        )
        return run.folder(tmp_path)

    before = folder(dcase)
    shutil.copytree(dcase, tmp_path / "moved")
    assert folder(tmp_path / "moved") == before
    assert folder(dcase, precision="float32") == before
    assert folder(dcase, precision="bfloat16") != before
    assert folder(dcase, max_seconds=60) != before
    settled = Execution(device="cpu", precision="auto").recipe(TINY).training.precision
    assert settled in ("float32", "bfloat16")
    assert Execution(precision="bfloat16").recipe(FEW_MELS) == FEW_MELS
    monkeypatch.setattr("offkey.benchmark.runs.offkey.__version__", "99.0")
    assert folder(dcase) != before


def test_a_folder_of_another_layout_is_refused(tmp_path, dcase):
    with pytest.raises(DatasetError, match="no folder of an SNR"):
        benchmark.mimii(dcase, out=tmp_path / "out", recipes=[FEW_MELS])
    with pytest.raises(FileNotFoundError):
        benchmark.dcase2020(tmp_path / "nowhere", out=tmp_path / "out", recipes=[FEW_MELS])


@pytest.mark.long
def test_recipes_that_differ_in_scoring_alone_share_a_training(dcase, tmp_path):
    from offkey.models.network.events import EpochEnded

    events = []
    how = Execution(on_event=events.append)
    options = {"seeds": 1, "machines": ["fan"]}
    other = TINY.replace(name="other", scoring__a_arc="prob", scoring__covariance="oas")
    shared = benchmark.dcase2020(dcase, out=tmp_path / "shared", recipes=[TINY, other], how=how, **options)
    assert sum(isinstance(event, EpochEnded) for event in events) == 3
    alone = benchmark.dcase2020(dcase, out=tmp_path / "alone", recipes=[other], **options)
    first, second = shared.records
    assert second.figures == alone.records[0].figures != first.figures
    assert (second.device, second.precision) == ("cpu", "float32")
    assert second.fit_s > first.fit_s
    for name in ("detector.offkey", "scores.csv"):
        one, two = (next((tmp_path / out).rglob(f"other-*/{name}")) for out in ("shared", "alone"))
        assert one.read_bytes() == two.read_bytes()
    for third in (
        TINY.replace(name="third", network__kernel_size=31),
        TINY.replace(name="fourth", scoring__combine="mean"),
        TINY.replace(name="fifth", spectral=FEW_MELS.spectral),
    ):
        events.clear()
        benchmark.dcase2020(dcase, out=tmp_path / "shared", recipes=[third], how=how, **options)
        assert sum(isinstance(event, EpochEnded) for event in events) == 3


@pytest.mark.long
def test_runs_side_by_side_give_the_same(own_dcase, tmp_path):
    next((own_dcase / "dev_data" / "pump" / "test").iterdir()).write_bytes(b"RIFF")
    recipes = [FEW_MELS, FEW_MELS.replace(name="unchecked", spectral__check=False)]
    events = []
    how = Execution(jobs=2, on_event=events.append)
    two = benchmark.dcase2020(own_dcase, out=tmp_path / "two", recipes=recipes, seeds=1, how=how)
    one = benchmark.dcase2020(own_dcase, out=tmp_path / "one", recipes=recipes, seeds=1)
    assert len(two.records) == len(two.failures) == 2
    assert [r.figures for r in two.records] == [r.figures for r in one.records]
    assert sorted(two.failures) == sorted(one.failures)
    assert sorted(event.number for event in events) == [1, 2, 3, 4]


def test_less_than_one_job_is_refused(dcase, tmp_path):
    with pytest.raises(ParameterError, match="jobs = 0"):
        benchmark.dcase2020(dcase, out=tmp_path / "out", recipes=[FEW_MELS], how=Execution(jobs=0))


def test_tables_of_made_up_machines_say_so(tmp_path):
    from offkey.datasets import synthetic

    synthetic.write(
        tmp_path / "data", machines=("fan",), ids=("00",), clips_train=12, clips_test_normal=2,
        clips_test_anomaly=2, seconds=1.0,
    )  # fmt: skip
    made = benchmark.dcase2020(tmp_path / "data", out=tmp_path / "out", recipes=[FEW_MELS], seeds=1)
    assert "holds synthetic machines (`offkey synth`)" in made.to_text()
    assert "synthetic machines" in (tmp_path / "out" / "tables.md").read_text()
