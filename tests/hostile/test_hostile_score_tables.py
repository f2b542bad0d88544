"""Score tables that somebody broke: each error names the file, the line or row, and the column."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offkey.errors import DatasetError, OffkeyWarning
from offkey.scores import ScoreTable, from_csv, from_json

CSV = [
    ("", "line 1: there is no column 'path'"),
    ("\n", "line 1: there is no column 'path'"),
    ("a_out\n1\n", "line 1: there is no column 'path'"),
    ("path,path\n", "line 1: column 'path' comes twice"),
    ("path,a_out\na.wav\n", "line 2: 1 cells, but the header has 2"),
    ("path,a_out\na.wav,1,2\n", "line 2: 3 cells"),
    ("path,a_out\na.wav,1\nb.wav,x\n", "line 3, column 'a_out': 'x'"),
    ("path,a_out\na.wav,nan\n", "line 2, column 'a_out': 'nan'; expected a finite number, or nothing"),
    ("path,a_out\na.wav,-inf\n", "line 2, column 'a_out': '-inf'"),
    ("path,a_out\na.wav,1e999\n", "line 2, column 'a_out': '1e999'"),
    ("path,a_out\na.wav,1_0\n", "line 2, column 'a_out': '1_0'"),
    ("path,a_out\n,1\n", "line 2, column 'path': None"),
    ("path,label\na.wav,2\n", "line 2, column 'label': label '2'"),
    ("path,label\na.wav,yes\n", "line 2, column 'label': label 'yes'"),
    ("path,decision\na.wav,-1\n", "line 2, column 'decision': label '-1'"),
    ('path,a_out\na.wav,"1,234"\n', "line 2, column 'a_out': '1,234'"),
    ("path;a_out\na.wav;1.234,5\n", "line 2, column 'a_out': '1.234,5'"),
    ('path,a_out\n"a.wav,1\n', "not valid CSV"),
    ('path,a_out\n"a"x.wav,1\n', "line 2: not valid CSV"),
    ("path,a_out\n" + "x" * 200_000 + ",1\n", "line 2: not valid CSV: field larger"),
]

JSON = [
    ("", "not valid JSON"),
    ("{", "not valid JSON"),
    ("5", 'expected {"rows"'),
    ('{"path": {"0": "a.wav"}}', 'expected {"rows"'),
    ('{"rows": {}}', 'expected {"rows"'),
    ('{"rows": [1]}', "row 0: 1; expected an object"),
    ('{"rows": [{}]}', "there is no column 'path'"),
    ('{"rows": [{"path": "a"}, {"a_out": 1}]}', "row 1, column 'path': None"),
    ('{"rows": [{"path": 1}]}', "row 0, column 'path': 1"),
    ('{"rows": [{"path": null}]}', "row 0, column 'path': None"),
    ('{"rows": [{"path": ""}]}', "row 0, column 'path': ''"),
    ('{"rows": [{"path": "a", "a_out": NaN}]}', "NaN is no score; a missing one is null"),
    ('{"rows": [{"path": "a", "a_out": Infinity}]}', "Infinity is no score"),
    ('{"rows": [{"path": "a", "a_out": 1e999}]}', "row 0, column 'a_out': inf"),
    ('{"rows": [{"path": "a", "a_out": "1"}]}', "row 0, column 'a_out': '1'"),
    ('{"rows": [{"path": "a", "a_out": true}]}', "row 0, column 'a_out': True"),
    ('{"rows": [{"path": "a", "a_out": [1]}]}', "row 0, column 'a_out'"),
    ('{"rows": [{"path": "a", "label": 0.5}]}', "row 0, column 'label': 0.5"),
    ('{"rows": [{"path": "a", "label": "yes"}]}', "row 0, column 'label': label 'yes'"),
    ('{"rows": [{"path": "a", "error": 5}]}', "row 0, column 'error': 5"),
    ("[" * 100_000, "not valid JSON"),
]


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [*(("csv", *case) for case in CSV), *(("json", *case) for case in JSON)],
)
def test_a_broken_table_is_named_with_what_is_wrong(tmp_path, ending, text, message):
    path = tmp_path / f"scores.{ending}"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        ScoreTable.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_other_programs_write_is_read(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_bytes(b"\xef\xbb\xbflabel,path,a_out\r\n1.0,a.wav, 2.5 \r\n,b.wav,\r\n0,c.wav,-1e-3\r\n")
    table = ScoreTable.read(path)
    assert table.label.tolist() == [1, -1, 0]
    np.testing.assert_array_equal(table.a_out, [2.5, np.nan, -1e-3])


@pytest.mark.parametrize(
    "text",
    [
        ",path,a_out,label\n0,a.wav,0.5,0\n1,b.wav,,1\n",  # pandas
        "Unnamed: 0,path,a_out,label\n0,a.wav,0.5,0.0\n1,b.wav,,1.0\n",
        "path;a_out;label\na.wav;0,5;0\nb.wav;;1\n",  # Excel where the comma is decimal
        "path\ta_out\tlabel\na.wav\t5e-1\tFalse\nb.wav\t\tTrue\n",
        "path,a_out,label\na.wav,0.5,normal\nb.wav,,anomaly\n",
        "\ufeffpath;a_out;label;;\r\na.wav;0,5;0;;\r\nb.wav;;1;;\r\n;;;;\r\n",
    ],
)
def test_tables_that_went_through_another_program(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text, newline="")
    table = ScoreTable.read(tmp_path / "scores.csv")
    assert table == ScoreTable(path=["a.wav", "b.wav"], a_out=[0.5, None], label=[0, 1])


def test_columns_of_ones_own_are_passed_over_and_named(tmp_path):
    (tmp_path / "scores.csv").write_text("path,comment,a_out\na.wav,loud,1\n")
    with pytest.warns(
        OffkeyWarning, match="columns passed over, as they are none of a score table: 'comment'"
    ):
        assert ScoreTable.read(tmp_path / "scores.csv") == ScoreTable(path=["a.wav"], a_out=[1.0])
    (tmp_path / "scores.json").write_text('[{"path": "a.wav", "a_out": 1, "comment": "loud", "label": true}]')
    with pytest.warns(OffkeyWarning, match="'comment'"):
        assert ScoreTable.read(tmp_path / "scores.json").label.tolist() == [1]


def test_parquet_whose_ids_became_numbers_says_so(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs the extra")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"path": ["a", "b"], "machine_id": ["00", "02"], "scored_as": [0.0, None]}
    columns |= {"a_out": [1.0, 2.0], "__index_level_0__": [0, 1]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "scores.parquet")
    with pytest.warns(OffkeyWarning, match="column 'scored_as': numbers, where IDs are text.*00 became 0"):
        table = ScoreTable.read(tmp_path / "scores.parquet")
    assert (table.machine_id, table.scored_as) == (["00", "02"], ["0", None])


def test_formulas_are_defused_and_come_back(tmp_path):
    table = ScoreTable(path=["=HYPERLINK(A1).wav", "-x.wav"], machine_id=["=1+1", "@a"], a_out=[-1.0, 2.0])
    table.write(tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text()
    assert "\n'=HYPERLINK" in text
    assert ",-1.0," in text
    assert ScoreTable.read(tmp_path / "scores.csv") == table


def test_broken_parquet_is_named(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs the extra")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "scores.parquet"
    ScoreTable(path=["a.wav"] * 100, a_out=np.arange(100.0)).write(path)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-10], whole[: len(whole) // 2], b"\0" * 100):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"scores\.parquet: not a Parquet file"):
            ScoreTable.read(path)
    cases = [
        ({"a_out": [1.0]}, "there is no column 'path'"),
        ({"path": ["a"], "a_out": ["1"]}, "row 0, column 'a_out': '1'"),
        ({"path": ["a"], "a_out": [float("nan")]}, "row 0, column 'a_out': nan"),
        ({"path": ["a", None], "a_out": [1.0, 2.0]}, "row 1, column 'path': None"),
        ({"path": [b"a"]}, "row 0, column 'path': b'a'"),
    ]
    for columns, message in cases:
        parquet.write_table(pyarrow.table(columns), path)
        with pytest.raises(DatasetError) as caught:
            ScoreTable.read(path)
        assert message in str(caught.value)


def test_missing_files_and_folders_keep_the_systems_words(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ScoreTable.read(tmp_path / "nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError):
        ScoreTable.read(tmp_path / "folder.csv")
    with pytest.raises(FileNotFoundError):
        ScoreTable(path=["a"]).write(tmp_path / "nowhere" / "scores.csv")


@pytest.mark.filterwarnings("ignore:.*columns passed over")
@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_table_or_our_error(text):
    for read in (from_csv, from_json):
        try:
            table = read(text, "fuzz")
        except DatasetError as error:
            assert "fuzz" in str(error)  # noqa: PT017
        else:
            assert from_csv(table.to_csv(), "again") == table


@pytest.mark.filterwarnings("ignore:.*columns passed over")
@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from(["rows", "path", "a_out", "label"]), s),
        max_leaves=20,
    )
)
def test_any_json_gives_a_table_or_our_error(value):
    try:
        table = from_json(json.dumps(value), "fuzz")
    except DatasetError as error:
        assert "fuzz" in str(error)  # noqa: PT017
    else:
        assert from_json(table.to_json(), "again") == table
