"""Options that several commands have, and options that take several values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter, Token, convert

from offkey import datasets
from offkey.errors import ParameterError
from offkey.models.base import check_device_name

__all__ = ["COMMAS", "DataOptions", "Device"]


def _check(_kind: Any, device: str) -> None:
    try:
        check_device_name(device)
    except ParameterError as error:
        raise ValueError(str(error)) from None


Device: TypeAlias = Annotated[str, Parameter(validator=_check)]
"""`auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`."""


def _split(kind: Any, tokens: Sequence[Token]) -> Any:
    return convert(kind, [part.strip() for token in tokens for part in token.value.split(",")])


COMMAS = Parameter(converter=_split, allow_leading_hyphen=True)
"""Marks a list whose values are separated by commas, and may be given one by one too: `--snr-db -6,0,6`."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a folder of recordings is read.

    Parameters
    ----------
    machine
        Machine type; optional if there is only one.
    layout
        Layout of the folder; detected by default.
    also
        DCASE 2020: more folders, such as the additional training data.
    snr_db
        MIMII: the signal-to-noise ratio in dB, -6, 0 or 6.
    split
        MIMII: which normal clips of each ID are for testing: as many as there are abnormal ones, the first by name
        (`hitachi`, as in the authors' baseline), or a random quarter (`random75`).
    pattern
        Own folders: pattern of the paths, such as `{machine_type}/{split}/{label}_id_{machine_id}_*.wav`.
    manifest
        Own folders: a CSV file with the columns file, label and, where known, machine_type, machine_id, split, group.
    test_fraction
        Own folders without a split: this fraction of each machine's normal recordings is for testing; give
        `offkey train` and `offkey evaluate` the same fraction and seed.
    """

    machine: str | None = None
    layout: Literal["auto", "dcase2020", "mimii", "folder"] = "auto"
    also: list[Path] | None = None
    snr_db: float | None = None
    split: Literal["hitachi", "random75"] = "hitachi"
    pattern: str | None = None
    manifest: Path | None = None
    test_fraction: float = 0.0

    def load(self, data: Path, *, seed: int) -> datasets.Dataset:
        """Read the folder."""
        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return datasets.load(data, seed=seed, **(options | {"also": self.also or ()}))
