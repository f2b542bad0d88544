"""One recording as a layout describes it, before defaults fill what it does not say."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Literal

from offkey._util.csv_text import CsvText, Line, read_csv
from offkey.datasets.checks import shortlist
from offkey.errors import DatasetError

__all__ = ["COLUMNS", "LABELS", "LABEL_NAMES", "Row", "read_label", "read_rows", "read_split"]

LABELS: dict[str, Literal[0, 1]] = {"normal": 0, "0": 0, "anomaly": 1, "abnormal": 1, "anomalous": 1, "1": 1}
"""The words for a label, in small letters, in manifests and patterns."""

LABEL_NAMES = frozenset(word for word in LABELS if word.isalpha())
"""Those that count in the names of folders and files, where a number is a number."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a pattern, a manifest or the folders say of one file."""

    path: Path
    name: str
    """The path as the layout gives it: random choices depend on it, so a moved folder keeps its split."""
    machine_type: str | None = None
    machine_id: str | None = None
    split: Literal["train", "test"] | None = None
    label: Literal[0, 1] | None = None
    label_known: bool = True
    """Whether the layout says labels at all: if so, a label left empty is an unknown one."""
    domain: str | None = None
    group: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The recording that the clip was cut from."""
        recording = self.group or self.name
        return (str(self.machine_type), str(self.machine_id), recording)


def read_label(text: str, where: object) -> Literal[0, 1] | None:
    """Return 1 for an anomaly, 0 for a normal clip, None for an empty text.

    Raises
    ------
    DatasetError
        If the text is another word.
    """
    word = text.strip().lower()
    if not word:
        return None
    if word not in LABELS:
        raise DatasetError(
            f"{where}: label {text!r}; expected one of {', '.join(LABELS)}, or nothing if unknown"
        )
    return LABELS[word]


def read_split(text: str, where: object) -> Literal["train", "test"] | None:
    """Return the split, None for an empty text.

    Raises
    ------
    DatasetError
        If the text is another word.
    """
    word = text.strip().lower()
    if word == "train":
        return "train"
    if word == "test":
        return "test"
    if word:
        raise DatasetError(f"{where}: split {text!r}; expected train or test, or nothing")
    return None


COLUMNS: dict[str, tuple[str, ...]] = {
    "file": ("file", "path", "filename"),
    "label": ("label",),
    "machine_type": ("machine_type", "type"),
    "machine_id": ("machine_id", "id"),
    "split": ("split",),
    "domain": ("domain",),
    "group": ("group", "recording", "source"),
}
"""What a manifest may say, and the column names for it; the first that is there counts."""

_NEEDED = ("file", "label")


def read_rows(root: Path, manifest: Path) -> list[Row]:
    """Return the rows of a manifest; file names are relative to `root`.

    Raises
    ------
    FileNotFoundError
        If the manifest does not exist, or files that it names.
    DatasetError
        If it is not a CSV file, a needed column (``file``, ``label``) is missing, it has no row, or a row has
        too many or too few cells, an unknown label or split.
    """
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest}: no such manifest")
    content = read_csv(manifest)
    header, lines = content.table()
    columns = _columns(manifest, header)
    if not lines:
        raise DatasetError(f"{manifest}: a header, but no row")
    rows = [_row(root, manifest, line, columns, content) for line in lines]
    missing = [row.name for row in rows if not row.path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{manifest}: {len(missing)} of {len(rows)} files are not below {root}: "
            f"{shortlist(missing, most=3)}"
        )
    return rows


def _columns(manifest: Path, header: list[str]) -> dict[str, int]:
    """Return the position of each thing that the manifest says."""
    names = [name.lower() for name in header]
    columns = {
        what: names.index(next(name for name in synonyms if name in names))
        for what, synonyms in COLUMNS.items()
        if any(name in names for name in synonyms)
    }
    missing = [" or ".join(repr(name) for name in COLUMNS[what]) for what in _NEEDED if what not in columns]
    if missing:
        raise DatasetError(
            f"{manifest}: no column {' and no column '.join(missing)}; its header is {','.join(header)!r}"
        )
    return columns


def _row(root: Path, manifest: Path, line: Line, columns: dict[str, int], content: CsvText) -> Row:
    where = f"{manifest}, line {line.number}"
    text = {what: line.cells[index].strip() for what, index in columns.items()}
    if not text["file"]:
        raise DatasetError(f"{where}: the name of the file is empty")
    name = content.file_name(text["file"], root)
    return Row(
        path=root / os.path.normpath(name),
        machine_type=text.get("machine_type") or None,
        machine_id=text.get("machine_id") or None,
        split=read_split(text.get("split", ""), where),
        label=read_label(text["label"], where),
        domain=text.get("domain") or None,
        group=text.get("group") or None,
        name=name,
    )
