"""One recording as a layout describes it, before defaults fill what it does not say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from offkey.errors import DatasetError

__all__ = ["LABELS", "LABEL_NAMES", "Row", "read_label", "read_split"]

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
        own = self.group or self.name
        return (str(self.machine_type), str(self.machine_id), own)


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
