"""`offkey evaluate`."""

import json
import shutil

import pytest

from offkey.scores import ScoreTable


@pytest.fixture
def scores(offkey, detector, tree, tmp_path):
    assert offkey("score", detector, tree / "fan" / "test", "--out", "s.csv").code == 0
    return tmp_path / "s.csv"


def test_figures_as_text_json_and_files(offkey, scores, tree, tmp_path):
    arguments = ("evaluate", scores, "--data", tree, "--machine", "fan")
    shown = offkey(*arguments)
    assert shown.code == 0
    assert shown.err == "seen: 16 recordings, 16 s, 16000 Hz, channels: 1\n"
    assert "fan 02" in shown.out
    figures = json.loads(offkey(*arguments, "--json").out)
    assert {row["machine_id"] for row in figures["ids"]} == {"00", "02"}
    for name in ("f.md", "f.csv", "f.json", "f.txt"):
        assert offkey(*arguments, "--out", name).err.startswith(f"results written to {name}\nseen: ")
        assert (tmp_path / name).stat().st_size > 100


def test_labels_in_the_table_need_no_data(offkey, scores, tmp_path):
    rows = [row | {"label": int("anomaly" in row["path"])} for row in ScoreTable.read(scores).rows()]
    ScoreTable.from_rows(rows).write(tmp_path / "labelled.json")
    assert offkey("evaluate", "labelled.json").code == 0


def test_training_clips_in_the_scores_are_left_out_with_a_note(offkey, detector, scores, tree):
    assert offkey("score", detector, tree / "fan", "--out", "all.csv").code == 0
    arguments = ("--data", tree, "--machine", "fan", "--json")
    shown = offkey("evaluate", "all.csv", *arguments)
    assert shown.err.splitlines()[0] == "24 of the scored recordings are training clips and were left out"
    assert shown.out == offkey("evaluate", scores, *arguments).out


def test_a_submission_is_written(offkey, scores, tree, tmp_path):
    shown = offkey("evaluate", scores, "--data", tree, "--machine", "fan", "--submit", "team")
    assert shown.code == 0
    names = [f"anomaly_score_fan_id_{machine_id}.csv" for machine_id in ("00", "02")]
    assert sorted(path.name for path in (tmp_path / "team").iterdir()) == names
    assert all(f"wrote team/{name}" in shown.err for name in names)


def test_labels_come_from_more_folders_too(offkey, train, tree, tmp_path):
    parts = [tmp_path / "one", tmp_path / "two"]
    for part, machine_id in zip(parts, ("00", "02"), strict=True):
        for path in (tree / "fan").rglob(f"*_id_{machine_id}_*.wav"):
            target = part / path.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    assert train(parts[0], "--also", parts[1], "--out", "fan.offkey").code == 0
    assert (
        offkey("score", "fan.offkey", *(part / "fan" / "test" for part in parts), "-o", "all.csv").code == 0
    )
    shown = offkey("evaluate", "all.csv", "--data", parts[0], "--also", parts[1], "-o", "f.json", "--json")
    assert shown.code == 0
    assert json.loads(shown.out) == json.loads((tmp_path / "f.json").read_text())
    assert {row["machine_id"] for row in json.loads(shown.out)["ids"]} == {"00", "02"}


@pytest.fixture
def test_part(tree, tmp_path):
    """The fans' test part in a folder that says healthy and faulty, and nothing of training and test."""
    for path in (tree / "fan" / "test").iterdir():
        folder = tmp_path / "check" / ("abnormal" if path.name.startswith("anomaly") else "normal")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.name.split("_", 1)[1])
    return tmp_path / "check"


def figures(shown):
    assert shown.code == 0, shown.err
    return {(row["machine_id"], row["score"]): row["auc"] for row in json.loads(shown.out)["ids"]}


def test_a_labelled_test_part_alone_is_evaluated(offkey, detector, scores, tree, test_part):
    expected = figures(offkey("evaluate", scores, "--data", tree, "--machine", "fan", "--json"))
    assert offkey("score", detector, test_part, "--out", "t.csv").code == 0
    arguments = ("evaluate", "t.csv", "--data", test_part, "--layout", "folder", "--json")
    shown = offkey(*arguments)
    assert figures(shown) == expected
    assert "all 8 are taken to be" in shown.err
    shown = offkey(*arguments, "--test-fraction", "1")
    assert figures(shown) == expected
    assert shown.err.startswith("seen: 16 recordings, ")
    assert shown.err.count("\n") == 1


def test_a_manifest_of_tests_alone_is_evaluated(offkey, train, detector, scores, tree, test_part):
    expected = figures(offkey("evaluate", scores, "--data", tree, "--machine", "fan", "--json"))
    assert offkey("score", detector, test_part, "--out", "t.csv").code == 0
    lines = [
        f"{path.relative_to(test_part)},{path.parent.name},{path.name.split('_')[1]},test"
        for path in sorted(test_part.rglob("*.wav"))
    ]
    (test_part / "m.csv").write_text("\n".join(["file,label,machine_id,split", *lines]) + "\n")
    shown = offkey("evaluate", "t.csv", "--data", test_part, "--manifest", test_part / "m.csv", "--json")
    assert figures(shown) == expected
    assert shown.err.startswith("seen: 16 recordings, ")
    assert shown.err.count("\n") == 1
    shown = train(test_part, "--manifest", test_part / "m.csv", "--out", "x.offkey")
    assert shown.code == 2
    assert "no normal training clip" in shown.err


def test_evaluation_data_alone_are_evaluated_by_a_list_that_is_named(
    offkey, detector, scores, tree, tmp_path
):
    expected = figures(offkey("evaluate", scores, "--data", tree, "--machine", "fan", "--json"))
    folder = tmp_path / "eval_data" / "fan" / "test"
    folder.mkdir(parents=True)
    lines = ["fan"]
    for n, path in enumerate(sorted((tree / "fan" / "test").iterdir())):
        name = f"id_{path.name.split('_')[2]}_{n:08d}.wav"
        shutil.copy(path, folder / name)
        lines.append(f"{name},{path.name},{int(path.name.startswith('anomaly'))}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    assert offkey("score", detector, folder, "--out", "e.csv").code == 0
    arguments = ("evaluate", "e.csv", "--data", tmp_path / "eval_data", "--json")
    assert offkey(*arguments).code == 2  # no labels
    assert figures(offkey(*arguments, "--eval-list", tmp_path / "list.csv")) == expected
    shown = offkey(*arguments, "--layout", "folder", "--eval-list", tmp_path / "list.csv")
    assert (shown.code, "dcase2020" in shown.err) == (2, True)


def test_scores_from_another_working_folder_are_matched(
    offkey, detector, scores, tree, tmp_path, monkeypatch
):
    expected = figures(offkey("evaluate", scores, "--data", tree, "--machine", "fan", "--json"))
    for start, place in (
        (tree.parent, "dev_data/fan"),
        (tree / "fan", "."),
        (tree / "fan" / "train", "../test"),
    ):
        monkeypatch.chdir(start)
        assert offkey("score", detector, place, "-o", tmp_path / "m.csv").code == 0
        monkeypatch.chdir(tmp_path)
        shown = offkey("evaluate", "m.csv", "--data", tree, "--machine", "fan", "--json")
        assert figures(shown) == expected
        assert "files matched by reading" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: No such file"),
        (["{scores}"], "none of 16 recordings has"),
        (["{scores}", "--data", "{tree}"], "several machine types"),
        (
            ["{scores}", "--data", "{tree}", "--machine", "pump"],
            "labels that do not match files: 16 scored files",
        ),
        (["{scores}", "--data", "nowhere"], "nowhere: no such folder"),
        (["{scores}", "--data", "{tree}", "--machine", "fan", "--out", "f.xls"], "f.xls: ending '.xls'"),
        (["{scores}", "--data", "{tree}", "--machine", "fan", "--out", "no/f.md"], "no: no such folder"),
        (["{wav}"], "ending '.wav'"),
    ],
)
def test_bad_input_to_evaluate_is_one_line_and_writes_no_results(
    offkey, scores, tree, tmp_path, arguments, message
):
    wav = tree / "fan" / "test" / "normal_id_00_00000000.wav"
    shown = offkey("evaluate", *(a.format(scores=scores, tree=tree, wav=wav) for a in arguments))
    assert shown.code == 2
    assert shown.out == ""
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
