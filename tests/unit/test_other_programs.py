"""Score tables in pandas and polars, there and back; skipped where these are not installed."""

import json

import numpy as np
import pytest

from offkey.errors import OffkeyWarning
from offkey.scores import COLUMNS, ScoreTable

TABLE = ScoreTable(
    path=["data/a,b.wav", 'q"uote.wav', "ünï.wav", "plain.wav"],
    machine_type=["fan"] * 4,
    machine_id=["press-a", "press-b", None, "press-a"],
    scored_as=["press-a", "press-b", "press-a", None],
    a_spectral=[0.1 + 0.2, 1e-300, -5.0, None],
    anomaly_score=[1 / 3, 2.0, 5e-324, None],
    decision=[0, 1, 0, None],
    label=[0, 1, None, None],
    error=[None, None, None, "plain.wav: truncated, 3 bytes"],
)
NUMBERED = ScoreTable(
    path=["1.wav", "2.wav", "3.wav"], machine_id=["00", "02", None], anomaly_score=[1, 2, 3]
)


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas")


@pytest.fixture
def polars():
    return pytest.importorskip("polars")


@pytest.fixture(params=[".csv", ".parquet"])
def written(request, tmp_path):
    """A file of offkey's, and how it ends."""
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"scores{request.param}"
    TABLE.write(path)
    return path


def test_pandas_reads_every_number_and_text(pandas, written):
    frame = pandas.read_parquet(written) if written.suffix == ".parquet" else pandas.read_csv(written)
    assert tuple(frame.columns) == COLUMNS
    assert frame["path"].tolist() == [path.as_posix() for path in TABLE.path]
    for name in ("a_spectral", "anomaly_score", "a_out"):
        scores = frame[name].to_numpy(np.float64)  # of CSV, some versions of pandas miss the last bit
        np.testing.assert_allclose(scores, getattr(TABLE, name), rtol=1e-15, atol=0)
    assert frame["decision"].astype("Int8").fillna(-1).tolist() == TABLE.decision.tolist()
    assert frame["machine_id"].isna().tolist() == [False, False, True, False]
    assert frame["error"].dropna().tolist() == ["plain.wav: truncated, 3 bytes"]


def test_polars_reads_every_number_and_text(polars, written):
    frame = polars.read_parquet(written) if written.suffix == ".parquet" else polars.read_csv(written)
    assert tuple(frame.columns) == COLUMNS
    assert frame["path"].to_list() == [path.as_posix() for path in TABLE.path]
    for name in ("a_spectral", "anomaly_score"):
        scores = [None if np.isnan(score) else score for score in getattr(TABLE, name).tolist()]
        assert frame[name].to_list() == scores
    assert frame["decision"].to_list() == [0, 1, 0, None]
    assert frame["machine_id"].to_list() == TABLE.machine_id
    assert frame["error"].to_list() == TABLE.error


@pytest.mark.parametrize("form", ["csv", "csv with semicolons", "json", "parquet"])
@pytest.mark.parametrize("index", [False, True])
def test_what_pandas_writes_is_read(pandas, tmp_path, form, index):
    frame = pandas.DataFrame(list(TABLE.rows()))
    path = tmp_path / f"from_pandas.{form.split()[0]}"
    if form == "csv":
        frame.to_csv(path, index=index)
    elif form == "csv with semicolons":
        frame.to_csv(path, index=index, sep=";", decimal=",", encoding="utf-16")
    elif form == "json":
        (frame.reset_index() if index else frame).to_json(path, orient="records", double_precision=15)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path, index=index)
    table = ScoreTable.read(path)
    if form == "json":  # 15 digits are the most that it writes
        np.testing.assert_allclose(table.anomaly_score, TABLE.anomaly_score, rtol=1e-14, atol=1e-14)
        assert (table.path, table.machine_id, table.error) == (TABLE.path, TABLE.machine_id, TABLE.error)
    else:
        assert table == TABLE


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_what_polars_writes_is_read(polars, tmp_path, form):
    frame = polars.DataFrame(list(TABLE.rows()), infer_schema_length=None).with_row_index()
    path = tmp_path / f"from_polars.{form}"
    if form == "parquet":
        pytest.importorskip("pyarrow")
    {"csv": frame.write_csv, "json": frame.write_json, "parquet": frame.write_parquet}[form](path)
    assert ScoreTable.read(path) == TABLE


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_ids_that_pandas_took_for_numbers_are_said(pandas, tmp_path, ending):
    NUMBERED.write(tmp_path / "ours.csv")
    frame = pandas.read_csv(tmp_path / "ours.csv")
    path = tmp_path / f"theirs.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_json(path, orient="records")
    with pytest.warns(
        OffkeyWarning, match=r"column 'machine_id': numbers, where IDs are text; .*00 became 0"
    ):
        table = ScoreTable.read(path)
    assert table.machine_id == ["0", "2", None]
    as_text = pandas.read_csv(tmp_path / "ours.csv", dtype={"machine_id": str})
    as_text.to_csv(tmp_path / "text.csv")
    assert ScoreTable.read(tmp_path / "text.csv") == NUMBERED


def test_ids_with_a_decimal_point_are_numbers_that_a_program_made(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("path,machine_id,a_out\n1.wav,0.0,1\n2.wav,2.0,2\n3.wav,,3\n")
    with pytest.warns(OffkeyWarning, match="numbers, where IDs are text"):
        assert ScoreTable.read(path).machine_id == ["0", "2", None]
    path.write_text("path,machine_id,a_out\n1.wav,0.0,1\n2.wav,v2.0,2\n")
    assert ScoreTable.read(path).machine_id == ["0.0", "v2.0"]
    path.write_text(json.dumps([{"path": "1.wav", "machine_id": "0.0"}]))
    path = path.rename(path.with_suffix(".json"))
    assert ScoreTable.read(path).machine_id == ["0.0"]
