"""`offkey report`."""

import subprocess
import sys


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
