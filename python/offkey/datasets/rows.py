"""One recording as a layout describes it, before defaults fill what it does not say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from offkey.datasets.clips import Role, check_roles
from offkey.datasets.labels import Label, read_phrase
from offkey.errors import DatasetError, ParameterError

__all__ = ["Row", "read_channels", "read_label", "read_split"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a pattern, a manifest or names say of one file."""

    path: Path
    name: str
    """The path as the layout gives it: random choices depend on it, so a moved folder keeps its split."""
    machine_type: str | None = None
    machine_id: str | None = None
    split: Literal["train", "test"] | None = None
    label: Label | None = None
    label_known: bool = True
    """Whether the layout says labels at all: if so, a label left empty is an unknown one."""
    domain: str | None = None
    group: str | None = None
    channels: tuple[Role, ...] = ()
    """Which microphone each channel is of."""
    label_from: str = ""
    """What said the label: a folder, the file name, the manifest, the pattern, the user, or nothing."""
    id_from: str = ""
    """What said the ID, in words that follow `from`."""
    doubt: str = ""
    """Why its names do not settle a label."""
    id_doubt: str = ""
    """Why its names do not settle an ID."""
    folders: tuple[str, ...] = ()
    """The folders below the one that was named that are neither label nor split."""

    @property
    def key(self) -> tuple[str, ...]:
        """The recording that the clip was cut from."""
        recording = self.group or self.name
        return (str(self.machine_type), str(self.machine_id), recording)


def read_label(text: str, where: object) -> Label | None:
    """Return 1 for a word for faulty, or 1; 0 for a word for healthy, or 0; None for an empty text.

    Raises
    ------
    DatasetError
        If the text is none of these.
    """
    word = text.strip()
    if not word:
        return None
    if word in ("0", "1"):
        return 1 if word == "1" else 0
    label = read_phrase(word).label
    if label is None:
        raise DatasetError(
            f"{where}: label {text!r}; expected a word for healthy or faulty such as normal, ok, anomaly or faulty, 0 "
            "or 1, or nothing if unknown"
        )
    return label


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


def read_channels(text: str, where: object) -> tuple[Role, ...]:
    """Return the roles of two channels, ``near,far`` or the reverse, with any separator; none for an empty text.

    Raises
    ------
    DatasetError
        If they are others.
    """
    roles = re.findall(r"\w+", text.lower())
    try:
        return check_roles(roles) if text.strip() else ()
    except ParameterError as error:
        raise DatasetError(f"{where}: {error}") from None
