"""Columns become the same text as rows, whatever they hold; paths the same as a `Path` makes of them."""

import json
import math
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from offkey._util.csv_text import columns_to_csv, to_csv
from offkey._util.files import path_text
from offkey.score_file import json_lines

TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", "=1+1", "'=x", 'a"b', "a,b\r\n", "\udcff"]
)
NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.sampled_from([0.0, -0.0, 0, 1, 1.0])
)
CELLS = st.none() | TEXTS | NUMBERS


@st.composite
def columns(draw):
    length = draw(st.integers(0, 5))
    names = draw(st.lists(TEXTS.filter(lambda text: "%" not in text), min_size=1, max_size=4, unique=True))
    return {name: draw(st.lists(CELLS, min_size=length, max_size=length)) for name in names}


def rows_of(columns):
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


@given(columns())
def test_lines_are_what_json_makes_of_each_row(table):
    expected = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows_of(table))
    assert json_lines(table) == expected


@given(columns())
@example({"a": [0.0, -0.0, 0, 1, 1.0, True, math.pi]})
def test_columns_of_csv_are_what_rows_are(table):
    assert columns_to_csv(table.values()) == to_csv(row.values() for row in rows_of(table))


@given(
    st.lists(st.sampled_from(["/", "//", ".", "..", "a", "b.wav", " ", "./", "/."]), min_size=1).map("".join)
)
@example("")
def test_a_path_as_text_is_what_a_path_says(text):
    assert path_text(text) == str(Path(text))
