"""Tables of text as spreadsheets, pandas and people write them."""

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offkey._util.csv_text import parsed_csv, read_csv, to_csv
from offkey.errors import DatasetError, OffkeyWarning

TEXT = "path,note\nLüfter.wav,müde\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode("utf-16"),
        b"sep=;\r\n" + TEXT.replace(",", ";").encode(),
        TEXT.replace("\n", ",,,\n").encode(),
        TEXT.replace("\n", "\n\n").encode() + b",,,\n , \n\n",
        '"path","note"\n"Lüfter.wav","müde"'.encode(),
        " path , note \nLüfter.wav,müde".encode(),
    ],
)
def test_one_table_however_it_is_written(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    header, lines = read_csv(tmp_path / "a.csv").table()
    assert header == ["path", "note"]
    assert [line.cells for line in lines] == [["Lüfter.wav", "müde"]]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_a_text_that_is_no_utf8_is_read_as_windows_does_and_says_so(tmp_path, encoding):
    text = TEXT + ("x.wav,10 € “so”\n" if encoding == "cp1252" else "x.wav,\x81\n")
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    with pytest.warns(OffkeyWarning, match=r"a\.csv: not UTF-8.*save it as UTF-8"):
        content = read_csv(tmp_path / "a.csv")
    assert [cells for _, cells in content.table()[1]] == [line.split(",") for line in text.splitlines()[1:]]


@pytest.mark.filterwarnings("ignore:.*not UTF-8")
def test_names_of_bytes_are_told_from_names_in_another_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes(TEXT.encode("latin-1"))
    content = read_csv(tmp_path / "a.csv")
    assert content.file_name("Lüfter.wav", tmp_path) == "Lüfter.wav"
    raw = os.fsdecode(b"L\xfcfter.wav")
    (tmp_path / raw).touch()
    assert content.file_name("Lüfter.wav", tmp_path) == raw


def test_a_mixed_text_keeps_the_bytes_that_are_no_utf8(tmp_path):
    (tmp_path / "a.csv").write_bytes("ポンプ,".encode() + b"L\xfcfter.wav\n")
    assert read_csv(tmp_path / "a.csv").lines[0].cells == ["ポンプ", os.fsdecode(b"L\xfcfter.wav")]


@pytest.mark.parametrize(
    ("cell", "separator", "expected"),
    [
        ("0,5", ";", "0.5"),
        ("1,5E-05", "\t", "1.5E-05"),
        ("1,234", ";", "1.234"),
        ("0.5", ";", "0.5"),
        ("0,234", ",", "0.234"),
        ("1,234", ",", "1,234"),  # a thousand, or not: nobody knows
        ("1.234,5", ";", "1.234,5"),
        ("x,y", ";", "x.y"),
    ],
)
def test_decimal_commas(cell, separator, expected):
    content = parsed_csv(f"a{separator}b\n", "x")
    assert content.separator == separator
    assert content.point_number(cell) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1\n", "x, line 2: 1 cells, but the header has 2"),
        ("a,b\n\n1,2,3\n", "x, line 3: 3 cells, but the header has 2"),
        ('a,b\n"1,2\n', "x, line 2: not valid CSV"),
    ],
)
def test_what_is_no_table_names_its_line(text, message):
    with pytest.raises(DatasetError, match=message):
        parsed_csv(text, "x").table()


FORMULAS = [
    "=1+1",
    "+1",
    "-x.wav",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "''=1",
    "＝1",
    "a;=1",
    "a\t=1",
    "-0.5",
]


def test_no_cell_of_text_is_a_formula_and_each_comes_back():
    text = to_csv([FORMULAS, [-0.5, 1, None, 2.5e-300]])
    cells = next(csv.reader(io.StringIO(text, newline="")))
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r\n＝"]
    first = next(csv.reader(io.StringIO(to_csv([["a;=1", "b"]]), newline=""), delimiter=";"))
    assert first == ["a;=1,b"]  # a spreadsheet that splits at semicolons
    lines = parsed_csv(text, "x").lines
    assert lines[0].cells == FORMULAS
    assert lines[1].cells == ["-0.5", "1", "", "2.5e-300"]


@given(st.lists(st.lists(st.text(min_size=1), min_size=2, max_size=2), min_size=1))
def test_any_text_comes_back(rows):
    rows = [["head", "er"], *(row for row in rows if any(map(str.strip, row)))]
    assert [line.cells for line in parsed_csv(to_csv(rows), "x").lines] == rows
