"""Submission files of DCASE 2020 Task 2: ``anomaly_score_<type>_id_<xx>.csv`` with lines ``basename,score``.

No header, UTF-8, LF, one line for each test clip: https://dcase.community/challenge2020. Names stand in them letter for
letter, with neither quotes nor apostrophes: one that would need them is refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offkey._util.csv_text import begins_formula
from offkey._util.files import write_text
from offkey.errors import DatasetError
from offkey.evaluation.protocols import labelled, some
from offkey.scores import ScoreTable

if TYPE_CHECKING:
    from offkey.datasets.clips import Clips

__all__ = ["read", "write"]

_NAME = re.compile(r"anomaly_score_(?P<type>[0-9A-Za-z-]+)_id_(?P<id>[0-9A-Za-z]+)\.csv")
_PART = re.compile(r"[0-9A-Za-z-]+")


def write(
    scores: ScoreTable,
    folder: str | os.PathLike[str],
    *,
    test: Clips | None = None,
    column: str = "anomaly_score",
) -> list[Path]:
    """Write the scores of test clips, a file for each machine type and ID. All is checked before any is written.

    Parameters
    ----------
    scores
        A row for each test clip.
    folder
        Made if it does not exist.
    test
        The test clips: types and IDs are taken from them, and each must have its score. None: those of the table.
    column
        Which score.

    Returns
    -------
    list of Path
        The files, each written whole or not at all; lines in the order of their names.

    Raises
    ------
    DatasetError
        If a clip has no score, no type or no ID, a name occurs twice, or holds what the format cannot.
    OSError
        If a file cannot be written.
    """
    truth = labelled(scores, test)
    values = scores.scores(column)
    missing = [scores.path[row] for row in np.flatnonzero(np.isnan(values))]
    if missing or not len(scores):
        raise DatasetError(
            f"submission: {len(missing)} of {len(scores)} clips have no {column}: {some(missing)}; "
            "expected a score for every test clip"
        )
    files: dict[str, dict[str, float]] = {}
    for path, kind, name, value in zip(
        scores.path, truth.machine_types, truth.machine_ids, values.tolist(), strict=True
    ):
        lines = files.setdefault(_file_name(path, kind, name), {})
        if path.name in lines:
            raise DatasetError(
                f"{path}: a second clip of that name for {kind} id {name}; expected each name once"
            )
        if set(path.name) & set(',"\r\n') or not path.name.isprintable():
            raise DatasetError(
                f"{path}: its name has a comma, a quote or a control character; rename the file"
            )
        if begins_formula(path.name):
            raise DatasetError(
                f"{path}: its name begins like a formula, which spreadsheets would compute, and a submission has names "
                "letter for letter; rename the file"
            )
        lines[path.name] = value
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, lines in sorted(files.items()):
        write_text(folder / name, "".join(f"{clip},{lines[clip]!r}\n" for clip in sorted(lines)))
        paths.append(folder / name)
    return paths


def _file_name(path: Path, machine_type: str | None, machine_id: str | None) -> str:
    for what, value in (("machine type", machine_type), ("machine ID", machine_id)):
        if value is None or not _PART.fullmatch(value):
            raise DatasetError(f"{path}: {what} {value!r}; a submission file needs one of letters and digits")
    return f"anomaly_score_{machine_type}_id_{machine_id}.csv"


def read(folder: str | os.PathLike[str], *, test: Clips | None = None) -> ScoreTable:
    """Read the submission files of a folder, refusing whatever the format does not allow.

    Parameters
    ----------
    folder
        Holds at least one ``anomaly_score_<type>_id_<xx>.csv``; other files are not looked at.
    test
        The test clips: each must have exactly one line. The table then has their paths and labels; without
        them its paths are the bare names of the files.

    Returns
    -------
    ScoreTable
        With `anomaly_score`, `machine_type` and `machine_id`; with `label` if `test` is given.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If there is no submission file, one is not as the format demands (the message names file and line), or
        lines and test clips do not match.
    """
    folder = Path(folder)
    matches = sorted((file, match) for file in folder.iterdir() if (match := _NAME.fullmatch(file.name)))
    if not matches:
        raise DatasetError(f"{folder}: no submission file; expected anomaly_score_<type>_id_<xx>.csv")
    rows = [(match["type"], match["id"], *line) for file, match in matches for line in _lines(file)]
    table = ScoreTable(
        path=[name for _, _, name, _ in rows],
        machine_type=[kind for kind, _, _, _ in rows],
        machine_id=[machine_id for _, machine_id, _, _ in rows],
        anomaly_score=[score for _, _, _, score in rows],
    )
    return table if test is None else _with_clips(table, test)


def _lines(file: Path) -> Sequence[tuple[str, float]]:
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file}: not UTF-8 at byte {error.start}") from None
    if "\r" in text or not text.endswith("\n"):
        raise DatasetError(f"{file}: expected lines that end with LF alone, the last one too")
    lines: dict[str, float] = {}
    for at, line in enumerate(text.split("\n")[:-1], 1):
        name, comma, score = line.partition(",")
        if not comma or not name or "/" in name:
            raise DatasetError(f"{file}, line {at}: {line!r}; expected basename,score")
        try:
            value = float(score.replace("_", "?"))
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or score != score.strip():
            header = " (a header is not allowed)" if at == 1 else ""
            raise DatasetError(f"{file}, line {at}: score {score!r}; expected a finite number{header}")
        if name in lines:
            raise DatasetError(f"{file}, line {at}: {name} for the second time; expected each clip once")
        lines[name] = value
    return list(lines.items())


def _with_clips(table: ScoreTable, test: Clips) -> ScoreTable:
    """Return the table with paths and labels of the test clips, each of which must have one row."""
    clips = {(clip.machine_type, clip.machine_id, clip.path.name): clip for clip in test}
    keys = list(zip(table.machine_type, table.machine_id, (path.name for path in table.path), strict=True))
    extra, missing = [key for key in keys if key not in clips], sorted(set(map(str, set(clips) - set(keys))))
    if extra or missing or len(clips) != len(test):
        raise DatasetError(
            f"submission: {len(missing)} test clips without a line: {some(missing)}; "
            f"{len(extra)} lines without a test clip: {some(extra)}; expected one line for each test clip"
        )
    matched = [clips[key] for key in keys]  # type: ignore[index]  # keys without type or ID were refused
    return ScoreTable(
        path=[clip.path for clip in matched],
        machine_type=table.machine_type,
        machine_id=table.machine_id,
        anomaly_score=table.anomaly_score,
        label=[clip.label for clip in matched],
    )
