"""`offkey report`."""

import shutil
import subprocess
import sys

from offkey import ScoreTable


def test_scores_become_a_page(offkey, tree, detector, tmp_path):
    assert offkey("score", detector, tree / "fan" / "test", "--out", "s.parquet").code == 0
    shown = offkey("report", "s.parquet", "--detector", detector, "--recordings", tree)
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "report written to report.html\n"
    page = (tmp_path / "report.html").read_text()
    assert "Report on 16 recordings of 2 machines" in page
    assert "5% of healthy ones" in page
    assert "was scored by another detector" not in page
    assert page.count("<audio ") == 16
    assert "It sounds wrong: its score is" in page
    assert "what raised (red)" in page


def test_evaluations_and_benchmarks(offkey, tree, detector, tmp_path):
    assert offkey("score", detector, tree / "fan" / "test", "--out", "s.csv").code == 0
    assert offkey("evaluate", "s.csv", "--data", tree, "--machine", "fan", "--out", "e.json").code == 0
    offkey("bench", "dcase2020", tree, "--recipes", "spectral", "--seeds", 1, "--machines", "fan")
    shown = offkey("report", "bench", "e.json", "--out", "r.html")
    assert shown.code == 0, shown.err
    page = (tmp_path / "r.html").read_text()
    assert "e.json: AUC" in page
    assert "benchmark dcase2020, 1 of 1 run done" in page


def test_labels_come_from_the_data_and_times_by_a_pattern(offkey, tree, detector, tmp_path):
    shutil.copytree(tree / "fan" / "test", tmp_path / "in")
    for day, path in enumerate(sorted((tmp_path / "in").iterdir()), 1):
        path.rename(path.with_stem(f"{path.stem} {day}.5.26"))
    assert offkey("score", detector, "in", "--out", "s.csv").code == 0
    rows = ScoreTable.read(tmp_path / "s.csv").rows()
    ScoreTable.from_rows([row | {"label": None} for row in rows]).write(tmp_path / "s.csv")
    told = ("--data", "in", "--label", "anomaly*=faulty", "--label", "normal*=healthy", "--test-fraction", 1)
    drawn = ("--time-pattern", "%d.%m.%y", "--recordings", "in", "--most-shown", 3)
    shown = offkey("report", "s.csv", *told, *drawn)
    assert shown.code == 0, shown.err
    page = (tmp_path / "report.html").read_text()
    assert "Of 8 recordings labelled anomalous" in page
    assert "ROC curve of" in page
    assert "time, as the recordings&#x27; names say" in page
    assert page.count("<audio ") == 3
    for wrong, message in (
        (("--time-pattern", "%d-%m-%y"), "expected --time-pattern '%d-%m-%y' once"),
        (("--data", tree, "--machine", "pump"), "none of the 16 recordings is among the 16 of the data"),
        (("--most-shown", 0), "--most-shown 0: expected at least 1"),
    ):
        shown = offkey("report", "s.csv", *wrong, "--out", "wrong.html")
        assert shown.code == 2
        assert message in shown.err
    assert not (tmp_path / "wrong.html").exists()


def test_what_cannot_be_reported(offkey, tmp_path):
    (tmp_path / "bad.csv").write_text("name,score\na,1\n")
    for arguments, message in (
        (("none.csv",), "none.csv"),
        (("bad.csv",), "there is no column 'path'"),
        (("bad.csv", "--out", "r.pdf"), ".pdf"),
        (("bad.csv", "--out", "nowhere/r.html"), "nowhere"),
        (("bad.csv", "--detector", "none.offkey"), "none.offkey"),
    ):
        shown = offkey("report", *arguments)
        assert shown.code == 2
        assert message in shown.err
    assert not list(tmp_path.glob("*.html"))


def test_without_jinja2_it_says_so_before_any_work(tmp_path):
    code = (
        "import sys; sys.modules['jinja2'] = None; from offkey.cli import main; main(['report', 'none.csv'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "jinja2: a report needs the extra: pip install 'offkey[report]'" in ended.stderr
