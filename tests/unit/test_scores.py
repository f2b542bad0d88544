"""Score tables in memory and as files."""

import json
import subprocess
import sys

import numpy as np
import pytest

from offkey.errors import ArrayError, DatasetError, MissingExtraError, ParameterError
from offkey.score_file import read_column
from offkey.scores import COLUMNS, ScoreTable, from_csv


def example():
    return ScoreTable(
        path=["/data/a,b.wav", 'q"uote.wav', "new\nline.wav", "ünï.wav", "plain.wav"],
        machine_type=["fan", "fan", None, "fan", "fan"],
        machine_id=["00", "02", None, "00", "02"],
        scored_as=["00", "02", "00", "00", None],
        a_spectral=[0.1 + 0.2, 1e-300, -5.0, 1.7976931348623157e308, None],
        anomaly_score=np.array([1 / 3, 2.0, -0.0, 5e-324, np.nan]),
        decision=[0, 1, 0, 1, None],
        threshold=[1.5, 1.5, 2 / 3, 2.5, None],
        p_value=[1.0, 1 / 61, 1e-300, 0.5, None],
        calibration=["own", "pooled", "tail", "own", None],
        calibration_clips=[60, 240, 240, 60, None],
        label=np.array([0, 1, -1, 0, -1], np.int8),
        error=[None, None, None, None, "plain.wav: truncated, 3 bytes"],
    )


def test_what_a_p_value_cannot_be_is_refused():
    for column, value in (
        ("p_value", 0.0),
        ("p_value", 1.5),
        ("calibration_clips", 0),
        ("calibration_clips", 2.5),
        ("calibration", "guessed"),
    ):
        with pytest.raises(ArrayError, match=rf"{column}: .*expected"):
            ScoreTable(path=["a.wav"], **{column: [value]})
        text = f"path,{column}\na.wav,{value}\n"
        with pytest.raises((DatasetError, ArrayError), match=column):
            from_csv(text, "scores.csv")


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet", ".CSV"])
def test_a_file_gives_back_every_bit(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs the extra")
    table, path = example(), tmp_path / f"scores{ending}"
    table.write(path)
    again = ScoreTable.read(path)
    assert again == table
    np.testing.assert_array_equal(again.anomaly_score, table.anomaly_score)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    ScoreTable(path=[]).write(path)
    assert len(ScoreTable.read(path)) == 0


def test_the_text_of_a_file():
    table = ScoreTable(
        path=["a.wav", "b.wav"], machine_id=["00", None], a_out=[0.5, None], decision=[1, None]
    )
    assert table.to_csv() == (
        "path,machine_type,machine_id,scored_as,a_out,a_arc,a_maha,a_spectral,anomaly_score,decision,"
        "threshold,p_value,calibration,calibration_clips,label,duration_s,sample_rate,error,warning\n"
        "a.wav,,00,,0.5,,,,,1,,,,,,,,,\n"
        "b.wav,,,,,,,,,,,,,,,,,,\n"
    )
    rows = json.loads(table.to_json())["rows"]
    assert list(rows[0]) == list(COLUMNS)
    assert rows[1] == dict.fromkeys(COLUMNS) | {"path": "b.wav"}
    assert table.to_text().splitlines() == [
        "path   machine_id  a_out  decision",
        "-----  ----------  -----  --------",
        "a.wav          00    0.5         1",
        "b.wav",
    ]


def test_a_name_that_is_no_utf8_keeps_its_bytes(tmp_path):
    table = ScoreTable(path=[b"caf\xe9.wav".decode("utf-8", "surrogateescape")], a_out=[1.0])
    for ending in (".csv", ".json"):
        table.write(tmp_path / f"s{ending}")
        assert ScoreTable.read(tmp_path / f"s{ending}") == table


def test_rows_and_columns():
    table = example()
    assert table.score_names == ("a_spectral", "anomaly_score")
    assert ScoreTable.from_rows(list(table.rows())) == table
    assert ScoreTable.from_rows([{"path": "a.wav"}]) != table
    assert repr(table) == "ScoreTable(5 recordings: a_spectral, anomaly_score; 1 errors)"
    with pytest.raises(ValueError, match="read-only"):
        table.anomaly_score[0] = 1.0
    with pytest.raises(ParameterError, match="score 'auc': expected one of a_out"):
        table.scores("auc")


def test_a_column_is_a_copy_of_what_was_given():
    given = np.array([1.0, 2.0])
    table = ScoreTable(path=["a", "b"], a_out=given)
    given[0] = 9.0
    assert table.a_out.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a_out": [1.0]}, "a_out: 1 rows; expected 2"),
        ({"a_out": [1.0, np.inf]}, "a_out: inf at row 1"),
        ({"a_out": ["1", "2"]}, "a_out: dtype"),
        ({"a_out": np.zeros((2, 1))}, r"a_out: dtype float64, shape \(2, 1\)"),
        ({"label": [0, 2]}, "label: 2 at row 1"),
        ({"decision": [0.5, 1]}, "decision: 0.5 at row 0"),
        ({"machine_id": ["a"]}, "machine_id: 1 rows"),
        ({"machine_id": ["a", 4]}, "machine_id: 4 at row 1"),
        ({"path": ["a", ""]}, "path: '' at row 1"),
        ({"path": ["a", None]}, "path: None at row 1"),
    ],
)
def test_bad_columns_are_named(columns, message):
    with pytest.raises(ArrayError, match=message):
        ScoreTable(**{"path": ["a.wav", "b.wav"]} | columns)


def test_rows_with_unknown_columns_are_refused():
    with pytest.raises(ArrayError, match="row 1: columns path, score"):
        ScoreTable.from_rows([{"path": "a"}, {"path": "b", "score": 1.0}])


def test_other_endings_are_refused_before_anything_is_touched(tmp_path):
    for name in ("scores.txt", "scores", "scores.csv.gz"):
        with pytest.raises(ParameterError, match=r"expected \.csv, \.json, \.jsonl or \.parquet"):
            example().write(tmp_path / name)
        with pytest.raises(ParameterError, match="ending"):
            ScoreTable.read(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"offkey\[parquet\]"):
        example().write(tmp_path / "scores.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_previous_file(tmp_path):
    path = tmp_path / "scores.csv"
    example().write(path)
    before = path.read_bytes()
    code = f"""
import resource
from offkey.scores import ScoreTable
table = ScoreTable(path=[f"{{i}}.wav" for i in range(10000)], a_out=range(10000))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    table.write({str(path)!r})
except OSError as error:
    print("refused", error.errno)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_any_column_of_a_file_is_read_as_it_is(tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"scores{ending}"
    example().write(path)
    assert read_column(path, "path") == [str(file) for file in example().path]
    missing = "" if ending == ".csv" else None
    assert [cell == missing for cell in read_column(path, "error")] == [True] * 4 + [False]
    with pytest.raises(DatasetError, match=r"scores\.\w+: there is no column 'time'; its columns are path, "):
        read_column(path, "time")


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".parquet"])
def test_lengths_and_rates_come_back_from_files(tmp_path, ending):
    table = ScoreTable(path=["a.wav", "b.wav"], duration_s=[10.5, None], sample_rate=[16000, None])
    table.write(tmp_path / f"s{ending}")
    read = ScoreTable.read(tmp_path / f"s{ending}")
    assert read == table
    np.testing.assert_array_equal(read.duration_s, [10.5, np.nan])
    assert [row["sample_rate"] for row in read.rows()] == [16000, None]
    assert "duration_s" not in table.to_text()


def test_a_file_of_an_earlier_version_has_no_lengths():
    text = (
        "path,machine_type,machine_id,scored_as,a_out,a_arc,a_maha,a_spectral,anomaly_score,decision,"
        "threshold,p_value,calibration,calibration_clips,label,error,warning\n"
        "a.wav,fan,00,00,,,,0.5,0.5,1,0.4,0.04,own,24,,,\n"
    )
    table = from_csv(text, "old.csv")
    assert table.anomaly_score == [0.5]
    assert np.isnan(table.duration_s).all()
    assert np.isnan(table.sample_rate).all()


@pytest.mark.parametrize(
    ("column", "expected"),
    [({"duration_s": [-1.0]}, "seconds from 0"), ({"sample_rate": [0.5]}, "a whole number from 1")],
)
def test_lengths_and_rates_that_cannot_be(column, expected):
    with pytest.raises(ArrayError, match=expected):
        ScoreTable(path=["a.wav"], **column)
