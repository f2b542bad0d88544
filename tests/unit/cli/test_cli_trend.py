"""`offkey trend`."""

import csv
import json
import os

import numpy as np
import pytest

from offkey.scores import ScoreTable


def rows_of(machine_id, faulty, count=40, clips=60):
    rng = np.random.default_rng(faulty)
    rows = []
    for at in range(count):
        p = 1 / (clips + 1) if at >= count - faulty else int(rng.integers(1, clips + 2)) / (clips + 1)
        time = str(np.datetime64("2026-05-01", "h") + at).replace("T", "_")
        rows.append(
            {
                "path": f"in/{machine_id}_{time}-00.wav",
                "machine_type": "fan",
                "machine_id": machine_id,
                "anomaly_score": 1 - p,
                "threshold": 0.95,
                "p_value": p,
                "calibration": "own",
                "calibration_clips": clips,
            }
        )
    return rows


@pytest.fixture
def files(tmp_path):
    """Forty hours of two machines, of which the second has a fault at the end."""
    rows = rows_of("00", 0) + rows_of("02", 10)
    ScoreTable.from_rows(rows[::2]).write(tmp_path / "even.csv")
    ScoreTable.from_rows(rows[1::2]).write(tmp_path / "odd.json")
    return tmp_path / "even.csv", tmp_path / "odd.json"


def test_alarms_as_text_json_and_files(offkey, files, tmp_path):
    shown = offkey("trend", *files)
    assert shown.code == 0
    assert shown.err == "note: fan 02: alarm since 2026-05-02T10:00:00\n"
    assert [line.split()[-1] for line in shown.out.splitlines() if line.startswith("fan ")] == [
        "quiet",
        "alarm",
    ]
    content = json.loads(offkey("trend", *files, "--json").out)
    assert [len(machine["alarms"]) for machine in content["machines"]] == [0, 1]
    for name in ("t.csv", "t.json", "t.txt"):
        shown = offkey("trend", *files, "--out", name)
        assert shown.out == ""
        assert shown.err.startswith(f"trends written to {name}\n")
        assert (tmp_path / name).stat().st_size > 100


def test_exit_codes(offkey, files, tmp_path):
    assert offkey("trend", *files, "--fail-on-alarm").code == 4
    rows = rows_of("00", 0)
    ScoreTable.from_rows(rows).write(tmp_path / "quiet.csv")
    assert offkey("trend", "quiet.csv", "--fail-on-alarm").code == 0
    rows[3] = {"path": rows[3]["path"], "machine_id": "00", "machine_type": "fan", "error": "empty"}
    ScoreTable.from_rows(rows).write(tmp_path / "partly.csv")
    shown = offkey("trend", "partly.csv", "--fail-on-alarm")
    assert shown.code == 3
    assert "1 of 40 recordings have no score" in shown.out


def test_the_run_length_in_words(offkey, files):
    lengths = [
        json.loads(offkey("trend", *files, "--json", *options).out)["run_length"]
        for options in (
            (),
            ("--run-length", "500"),
            ("--false-alarms", "1 a week", "--recordings-a-day", "24"),
        )
    ]
    assert lengths == pytest.approx([8760, 500, 168])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--run-length", "1"), "--run-length 1.0: expected a number of recordings above 1"),
        (("--delta", "1"), "--delta 1.0: expected a number above 0 and below 1"),
        (("--false-alarms", "1 a week"), "give --recordings-a-day"),
        (
            ("--false-alarms", "often", "--recordings-a-day", "24"),
            "--false-alarms 'often': expected a number of alarms",
        ),
        (("--recordings-a-day", "24"), "it belongs to --false-alarms"),
        (
            ("--run-length", "9", "--false-alarms", "1 a day", "--recordings-a-day", "24"),
            "give either that or",
        ),
        (("--calibration-clips", "60"), "the table has the column"),
        (
            ("--time-pattern", "%d.%m.%Y"),
            "even.csv, row 0: in/00_2026-05-01_00-00.wav: no time in the name; expected",
        ),
        (("--time-pattern", "%H"), "expected a year, a month and a day"),
        (("--time", "mtime"), "even.csv, row 0: in/00_2026-05-01_00-00.wav: no time of the file"),
        (("--time", "mtime", "--time-column", "made"), "expected one of"),
        (("--time-column", "made"), "even.csv: there is no column 'made'"),
        (("--time-file", "gone.csv"), "gone.csv"),
        (("--out", "t.md"), "ending '.md'"),
        (("--plot", "nowhere/t.png"), "no such folder"),
    ],
)
def test_what_cannot_be_is_refused(offkey, files, options, message):
    shown = offkey("trend", *files, *options)
    assert shown.code == 2
    assert shown.out == ""
    assert message in " ".join(shown.err.split())


def test_a_table_without_p_values_says_how_to_get_them(offkey, tmp_path):
    ScoreTable(path=["a.wav", "b.wav"], anomaly_score=[0.1, 0.2]).write(tmp_path / "old.csv")
    shown = offkey("trend", "old.csv")
    assert shown.code == 2
    assert "score the recordings again" in shown.err


def test_times_from_a_column_of_the_scores(offkey, files, tmp_path):
    with files[0].open() as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        line["made"] = line["path"][6:].replace("_", "T").replace("-00.wav", ":00")
        line["path"] = line["path"][:5] + str(lines.index(line)) + ".wav"
    with (tmp_path / "own.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    shown = offkey("trend", "own.csv", "--time-column", "made", "--json")
    assert shown.code == 0
    assert "passed over" not in shown.err
    content = json.loads(shown.out)
    assert content["times"] == "column 'made'"
    assert content["machines"][0]["first"] == "2026-05-01T00:00:00"
    assert "passed over" in offkey("trend", "own.csv", "--time-column", "path").err


def test_times_from_a_file_beside_the_scores(offkey, files, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow
    from pyarrow import parquet

    paths = [path for file in files for path in ScoreTable.read(file).path]
    days = [np.datetime64("2020-01-01", "us") + np.timedelta64(at, "D") for at in range(len(paths))]
    parquet.write_table(
        pyarrow.table({"path": list(map(str, paths)), "time": days}), tmp_path / "times.parquet"
    )
    content = json.loads(offkey("trend", *files, "--time-file", "times.parquet", "--json").out)
    assert content["machines"][0]["first"] == "2020-01-01T00:00:00"
    parquet.write_table(
        pyarrow.table({"path": list(map(str, paths[1:])), "time": days[1:]}), tmp_path / "few.parquet"
    )
    shown = offkey("trend", *files, "--time-file", "few.parquet")
    assert shown.code == 2
    assert "even.csv, row 0: in/00_2026-05-01_00-00.wav: few.parquet has no time for it" in shown.err


def test_times_of_the_files_themselves(offkey, files, tmp_path):
    (tmp_path / "in").mkdir()
    for at, path in enumerate(path for file in files for path in ScoreTable.read(file).path):
        (tmp_path / path).touch()
        os.utime(tmp_path / path, (0, 3600 * at))
    content = json.loads(offkey("trend", *files, "--time", "mtime", "--json").out)
    assert content["times"].endswith("(UTC)")
    assert content["machines"][0]["first"] == "1970-01-01T00:00:00"


def test_a_picture(offkey, files, tmp_path):
    pytest.importorskip("matplotlib")
    for name, begin in (("t.png", b"\x89PNG"), ("t.svg", b"<?xml")):
        shown = offkey("trend", *files, "--plot", name)
        assert f"picture written to {name}\n" in shown.err
        assert (tmp_path / name).read_bytes().startswith(begin)
