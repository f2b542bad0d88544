"""Tables of text, as every program writes them: CSV with commas, semicolons or tabs, in UTF-8, UTF-16 or Windows' code.

One reader and one writer for manifests, lists of labels and tables of scores. A spreadsheet computes a cell that begins
like a formula, so such text is written behind an apostrophe, which is taken off again when it is read.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from offkey._util.storage import Address
from offkey.errors import DatasetError, OffkeyWarning

__all__ = ["CsvText", "Line", "begins_formula", "columns_to_csv", "parsed_csv", "read_csv", "to_csv"]

_SEPARATORS = (",", ";", "\t")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_SEPARATOR_LINE = re.compile(r'\s*"?sep=([,;\t])"?[,;\t]*\r?\n', re.IGNORECASE)
"""What Excel writes, and takes, as the first line to name the separator."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet takes for a formula, the wide signs of East Asia among them."""
_NEEDS_QUOTES = frozenset(',;\t"\r\n')
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


class Line(NamedTuple):
    """The cells of a row, and the line of the file where it ends, from 1."""

    number: int
    cells: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class CsvText:
    """The rows of a file that hold anything."""

    lines: list[Line]
    where: object
    separator: str
    encoding: str = "utf-8"

    def table(self) -> tuple[list[str], list[Line]]:
        """Return the names of the columns, and the rows below them, of one length.

        Spreadsheets end lines with the separators of columns that are empty: those are left out.

        Raises
        ------
        DatasetError
            If a row has fewer or more cells than there are columns.
        """
        header = [name.strip() for name in self.lines[0].cells] if self.lines else []
        while header and not header[-1]:
            header.pop()
        for number, cells in self.lines[1:]:
            while len(cells) > len(header) and not cells[-1].strip():
                cells.pop()
            if len(cells) != len(header):
                raise DatasetError(
                    f"{self.where}, line {number}: {len(cells)} cells, but the header has {len(header)}"
                )
        return header, self.lines[1:]

    def point_number(self, cell: str) -> str:
        """Return a number written with a decimal comma with a point; any other text as it is.

        Between commas, ``1,234`` may be a thousand, so there it stays what it is.
        """
        if cell.count(",") != 1 or "." in cell or (self.separator == "," and _THOUSANDS.fullmatch(cell)):
            return cell
        return cell.replace(",", ".")

    def file_name(self, name: str, folder: Path = Path()) -> str:
        """Return the name of a file as the system has it: the bytes of the text where a file of these bytes is there.

        Of a text that is not UTF-8 nobody knows whether it is in another encoding, or the names of the files are.
        """
        if self.encoding.startswith("utf"):
            return name
        of_bytes = os.fsdecode(name.encode(self.encoding))
        return of_bytes if os.path.exists(folder / of_bytes) else name  # noqa: PTH110 - names may hold a NUL


def read_csv(path: Address, *, header: bool = True, of_offkey: str | None = None) -> CsvText:
    """Read a file; a text that is neither UTF-8 nor UTF-16 is read as Windows-1252, with a warning.

    Parameters
    ----------
    path
        The file.
    header
        The first line names the columns, and so has every separator.
    of_offkey
        How a text begins that offkey has written: what is not UTF-8 in it are the bytes of file names.

    Raises
    ------
    DatasetError
        If it is no such text; the message names the file, and the line.
    OSError
        If it cannot be read.
    """
    text, encoding = _decoded(path.read_bytes(), path, of_offkey)
    return parsed_csv(text, path, header=header, encoding=encoding)


def parsed_csv(text: str, where: object, *, header: bool = True, encoding: str = "utf-8") -> CsvText:
    """Return the rows of a text; errors name `where` and the line.

    Raises
    ------
    DatasetError
        If it is not valid CSV.
    """
    named = _SEPARATOR_LINE.match(text)
    separator = named[1] if named else _separator(text, header=header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [
            Line(reader.line_num, [_without_mark(cell) for cell in cells])
            for cells in reader
            if any(map(str.strip, cells)) and not (named and reader.line_num == 1)
        ]
    except csv.Error as error:
        raise DatasetError(f"{where}, line {reader.line_num}: not valid CSV: {error}") from None
    return CsvText(lines, where, separator, encoding)


def to_csv(rows: Iterable[Iterable[str | float | int | None]]) -> str:
    """Return rows as CSV text: commas, LF line ends, full precision, empty cells for None, no formulas."""
    return "".join(",".join(map(_cell, row)) + "\n" for row in rows)


def columns_to_csv(columns: Iterable[Iterable[str | float | int | None]]) -> str:
    """Return columns of one length as CSV text: what `to_csv` makes of their rows, sooner."""
    return "".join(",".join(cells) + "\n" for cells in zip(*map(_cells, columns), strict=True))


def _cells(column: Iterable[str | float | int | None]) -> list[str]:
    """Return the cells of a column, in which texts are often those of other rows."""
    texts: dict[str, str] = {}
    cells = []
    for value in column:
        if not isinstance(value, str):
            cells.append("" if value is None else str(value))
            continue
        if value not in texts:
            texts[value] = _cell(value)
        cells.append(texts[value])
    return cells


def begins_formula(text: str) -> bool:
    """Say whether a spreadsheet would compute a cell with this text, or with it behind apostrophes."""
    return _FORMULA.match(text) is not None


def _cell(value: str | float | int | None) -> str:
    """Return one cell; `csv.writer` would leave a lone carriage return without quotes."""
    if not isinstance(value, str):
        return "" if value is None else str(value)  # the fewest digits that give a float back
    text = f"'{value}" if begins_formula(value) else value
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.intersection(text) else text


def _without_mark(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and begins_formula(cell) else cell


def _separator(text: str, *, header: bool) -> str:
    """Return what stands between the cells: what the first line with any of it has most of."""
    for line in io.StringIO(text):
        plain = _QUOTED.sub("", line)
        counts = {separator: plain.count(separator) for separator in _SEPARATORS}
        best = max(counts, key=lambda separator: counts[separator])
        if counts[best]:
            return best
        if header and plain.strip():
            break
    return ","


def _decoded(content: bytes, where: object, of_offkey: str | None) -> tuple[str, str]:
    """Return the text of a file, and its encoding."""
    mark, encoding = next((pair for pair in _MARKS if content.startswith(pair[0])), (b"", _unmarked(content)))
    content = content[len(mark) :]
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
            raise DatasetError(f"{where}: not a CSV file: begins as {name}, but is none: {error}") from None
    text = content.decode("utf-8", "surrogateescape")
    is_utf8 = bool(mark) or any(c > "\x7f" and not "\udc80" <= c <= "\udcff" for c in text)
    if is_utf8 or (of_offkey is not None and text.startswith(of_offkey)):
        return text, "utf-8"  # its names keep their bytes
    try:
        text, encoding = content.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:  # five bytes that Windows-1252 has nothing for
        text, encoding = content.decode("latin-1"), "latin-1"
    warnings.warn(
        f"{where}: not UTF-8, so it was read as Windows-1252 (Latin-1); "
        "if its letters are others, save it as UTF-8",
        OffkeyWarning,
        stacklevel=2,
    )
    return text, encoding


def _unmarked(content: bytes) -> str:
    """Return the encoding of a text without a mark: every other byte of UTF-16 is 0 where the letters are Latin."""
    match content[0:1], content[1:2]:
        case (first, b"\0") if first not in (b"", b"\0"):
            return "utf-16-le"
        case (b"\0", second) if second not in (b"", b"\0"):
            return "utf-16-be"
    return "utf-8"
