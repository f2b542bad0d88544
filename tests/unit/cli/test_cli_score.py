"""`offkey score`."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile as sf

from offkey.scores import ScoreTable


def test_a_pipe_gets_csv(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test")
    assert shown.code == 0
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert len(rows) == 16
    assert {row["decision"] for row in rows if "anomaly" in row["path"]} == {"1"}
    assert shown.err.startswith("16 recordings scored, ")


def test_a_terminal_gets_a_list_in_words(offkey, detector, tree, monkeypatch):
    import sys

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    shown = offkey("score", detector, tree / "fan" / "test")
    header, *rows = shown.out.splitlines()
    assert header.split() == ["recording", "ID", "verdict", "rarity"]
    assert len(rows) == 16
    assert "anomaly" in rows[0]
    assert "sounds wrong" in rows[0]
    shown = offkey("score", detector, tree / "fan" / "test", "--scores", "--top", "3")
    header, *rows = shown.out.splitlines()
    assert header.split()[4:] == ["a_spectral", "anomaly_score", "threshold"]
    assert len(rows) == 3


def test_json_and_files_hold_the_same_scores(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test", "--json", "--out", "s.csv")
    assert shown.code == 0
    table = ScoreTable.read("s.csv")
    assert json.loads(shown.out)["rows"] == list(table.rows())
    for name in ("s.json", "s.parquet"):
        assert offkey("score", detector, tree / "fan" / "test", "--out", name).out == ""
        assert ScoreTable.read(name) == table


def test_unreadable_recordings_are_rows_with_an_error_and_exit_code_3(offkey, detector, tree, tmp_path):
    good = (tree / "fan" / "test" / "normal_id_00_00000000.wav").read_bytes()
    for name, content in (("a", good), ("b", good[:900]), ("c", b""), ("d", b"a diary"), ("e", good)):
        (tmp_path / f"{name}_id_00.wav").write_bytes(content)
    shown = offkey("score", detector, tmp_path)
    assert shown.code == 3
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [bool(row["anomaly_score"]) for row in rows] == [True, False, False, False, True]
    for row in rows[1:4]:
        assert row["path"] in row["error"]
        assert f"error: {row['error']}" in shown.err
    assert "2 recordings scored, 0 sound wrong; 3 could not be scored" in shown.err


def test_recordings_longer_than_max_seconds_get_no_score(offkey, detector, tree, tmp_path):
    long = tmp_path / "long_id_00.wav"
    sf.write(long, 0.1 * np.random.default_rng(0).standard_normal(48_000), 16_000)
    short = tree / "fan" / "test" / "normal_id_00_00000000.wav"
    shown = offkey("score", detector, long, short, "--max-seconds", "2.5")
    assert shown.code == 3
    assert f"error: {long}: longer than 2.5 s" in shown.err
    assert offkey("score", detector, long, short).code == 0
    shown = offkey("score", detector, short, "--max-seconds", "0")
    assert (shown.code, shown.err) == (2, "error: --max-seconds 0.0: expected seconds above 0\n")


def test_nothing_readable_is_exit_code_2_and_the_table_still_says_why(offkey, detector, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    shown = offkey("score", detector, tmp_path / "a.wav", "--out", "s.csv")
    assert shown.code == 2
    assert "a.wav" in ScoreTable.read("s.csv").error[0]


def test_another_rate_and_an_unknown_id_are_notes(offkey, detector, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("x_id_99.wav", "y_id_99.wav"):
        sf.write(tmp_path / name, 0.1 * rng.standard_normal(8000), 8000)
    shown = offkey("score", detector, tmp_path)
    assert shown.code == 0
    notes = [line for line in shown.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2
    assert "from 8000 to 16000 Hz: 2 recordings, the first of them" in notes[0]
    assert "x_id_99.wav; they hold nothing above 4000 Hz" in notes[0]
    assert "ID '99' is not known to the detector, which knows 00, 02: 2 recordings" in notes[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.offkey", "{tree}"], "none.offkey: No such file"),
        (["{tree}", "{tree}"], "is a folder; expected a detector file"),
        (["{wav}", "{tree}"], "not a detector file"),
        (["{detector}", "nowhere"], "nowhere: no such file or folder"),
        (["{detector}", "{empty}"], "no sound file found"),
        (["{detector}", "{wav}", "nowhere"], "nowhere: no such file or folder"),
        (
            ["{detector}", "{wav}", "--out", "s.txt"],
            "s.txt: ending '.txt'; expected .csv, .json, .jsonl or .parquet",
        ),
        (["{detector}", "{wav}", "--out", "no/s.csv"], "no: no such folder"),
        (["{detector}", "{wav}", "--threads", "0"], "--threads 0: "),
    ],
)
def test_bad_input_to_score_is_one_line_and_writes_no_scores(
    offkey, detector, tree, tmp_path, tmp_path_factory, arguments, message
):
    names = {
        "tree": tree,
        "detector": detector,
        "wav": tree / "fan" / "test" / "normal_id_00_00000000.wav",
        "empty": tmp_path_factory.mktemp("empty"),
    }
    shown = offkey("score", *(argument.format(**names) for argument in arguments))
    assert shown.code == 2
    assert shown.out == ""
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_target_is_checked_before_anything_is_scored(offkey, detector, tree, tmp_path, monkeypatch):
    from offkey.detector import Detector

    def never(*_, **__):
        raise AssertionError("scored")

    monkeypatch.setattr(Detector, "score", never)
    monkeypatch.setattr(Detector, "score_to", never)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("notes")
    for out in ("s.xls", "no/s.csv", "full"):
        assert offkey("score", detector, tree, "--out", out).code == 2


def test_cuda_without_cuda(offkey, detector, tree, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shown = offkey("score", detector, tree, "--device", "cuda")
    assert (shown.code, "device 'cuda'" in shown.err) == (2, True)


def test_ctrl_c_is_exit_code_130_and_one_line(offkey, detector, tree, monkeypatch):
    from offkey.detector import Detector

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "score", stopped)
    monkeypatch.setattr(Detector, "score_to", stopped)
    shown = offkey("score", detector, tree, "--out", "s.csv")
    assert (shown.code, shown.out, shown.err) == (130, "", "error: stopped\n")


def test_only_our_own_warnings_reach_the_user(offkey, detector, tree, monkeypatch):
    import warnings

    from offkey.detector import Detector
    from offkey.errors import OffkeyWarning

    score = Detector.score

    def noisy(*given, **named):
        for kind in (UserWarning, DeprecationWarning, RuntimeWarning, FutureWarning):
            warnings.warn("for programmers", kind, stacklevel=2)
        warnings.warn("for users", OffkeyWarning, stacklevel=2)
        return score(*given, **named)

    monkeypatch.setattr(Detector, "score", noisy)
    shown = offkey("score", detector, tree / "fan" / "test")
    assert shown.code == 0
    assert "programmers" not in shown.err
    assert shown.err.count("note: for users\n") == 1


def test_long_recordings_have_a_row_or_many(offkey, detector, tree, tmp_path):
    samples = np.concatenate(
        [sf.read(path)[0] for path in sorted((tree / "fan" / "train").glob("normal_id_00*")) * 3][:25]
    )
    sf.write(tmp_path / "long_id_00.wav", samples, 16_000)
    short = tree / "fan" / "test" / "normal_id_00_00000000.wav"
    shown = offkey("score", detector, "long_id_00.wav", short, "--out", "s.csv")
    assert shown.code == 0
    assert "2 recordings scored (1 by their worst window, at start_s)" in shown.err
    header, *rows = (tmp_path / "s.csv").read_text().splitlines()
    assert header.endswith(",start_s")
    assert len(rows) == 2
    shown = offkey("score", detector, "long_id_00.wav", short, "--windows", "each")
    assert "2 recordings scored in 4 windows" in shown.err
    assert [line.rpartition(",")[2] for line in shown.out.splitlines()] == [
        "start_s",
        "0.0",
        "10.0",
        "15.0",
        "",
    ]
    assert offkey("score", detector, short, "--windows", "all").code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--false-alarm-rate", "0.3"), "1 in "),
        (("--false-alarms", "7 a day", "--recordings-a-day", "10"), "1 in "),
        (("--false-alarm-rate", "1e-9"), "0 sound wrong\n"),
    ],
)
def test_a_rate_decides_and_the_oddest_recordings_are_named(offkey, detector, tree, options, words):
    shown = offkey("score", detector, tree / "fan" / "test", *options, "--out", "s.json")
    assert shown.code == 0
    table = ScoreTable.read("s.json")
    rate = float(options[1]) if len(options) == 2 else 0.7
    np.testing.assert_array_equal(table.decision, table.p_value <= rate)
    assert words in shown.err
    lines = shown.err.splitlines()
    lines = lines[lines.index("the oddest:") + 1 :]
    oddest = [str(path) for path in table.most_anomalous(10).path]
    assert [line.split()[0] for line in lines[:11]] == ["recording", *oddest]
    assert ("sounds wrong" in lines[1]) == (words == "1 in ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--false-alarm-rate", "5"), "above 0 and below 1"),
        (("--false-alarms", "1 a week"), "--recordings-a-day"),
        (("--recordings-a-day", "24"), "--false-alarms"),
        (("--false-alarms", "often", "--recordings-a-day", "24"), "1 a week"),
        (
            ("--false-alarm-rate", "0.1", "--false-alarms", "1 a day", "--recordings-a-day", "9"),
            "one of them",
        ),
    ],
)
def test_a_rate_that_cannot_be_is_refused_before_the_detector_is_read(offkey, options, words):
    shown = offkey("score", "none.offkey", "none", *options)
    assert shown.code == 2
    assert words in shown.err


def test_a_false_discovery_rate_decides_over_all_recordings(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test", "--fdr", "0.3", "--json")
    assert shown.code == 0
    rows = json.loads(shown.out)["rows"]
    assert {row["threshold"] for row in rows} == {None}
    called = sum(row["decision"] for row in rows)
    assert f"{called} of 16 recordings sound wrong at a false discovery rate of 0.3" in shown.err
    shown = offkey("score", detector, tree / "fan" / "test", "--fdr", "1.5")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("error: --false-discovery-rate 1.5: expected a number above 0 and below 1")


def test_the_top_are_shown_and_all_are_counted(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test", "--top", "3", "--out", "s.csv")
    assert shown.code == 0
    assert shown.err.startswith("3 scores written to s.csv\n16 recordings scored, ")
    top = ScoreTable.read("s.csv")
    assert len(top) == 3
    assert all("anomaly" in path.name for path in top.path)
    assert (np.diff(top.p_value) >= 0).all()
    shown = offkey("score", detector, tree / "fan" / "test", "--top", "0")
    assert (shown.code, shown.err) == (2, "error: --top 0: expected at least 1 recording\n")


def test_drift_is_a_note(offkey, detector, tmp_path):
    from machines import recording

    rng = np.random.default_rng(7)
    for k in range(20):
        sf.write(tmp_path / f"{k}_id_00.wav", recording(rng, hum_hz=100), 16_000, "PCM_16")
    shown = offkey("score", detector, tmp_path)
    assert shown.code == 0
    assert "note: drift: ID 00: higher scores, " in shown.err
