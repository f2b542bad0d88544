"""Datasets: loaders that turn folders of recordings into one table of clips.

`dcase2020`, `mimii` and `folder` read what is there; `synthetic` makes machines where nothing is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from offkey.datasets.clips import Clip, Clips, Dataset, LogMelArrays
from offkey.datasets.dcase import dcase2020
from offkey.datasets.folder import folder
from offkey.datasets.ids import describe_ids, parse_machine_id
from offkey.datasets.layout import detect_layout, list_machines, load, survey
from offkey.datasets.mimii import mimii
from offkey.datasets.passed_over import PassedOver
from offkey.datasets.paths import find_audio
from offkey.datasets.survey import Survey, SurveyKey, SurveyRow
from offkey.datasets.training import TrainingClips

if TYPE_CHECKING:
    from offkey.datasets import synthetic

__all__ = [
    "Clip",
    "Clips",
    "Dataset",
    "LogMelArrays",
    "PassedOver",
    "Survey",
    "SurveyKey",
    "SurveyRow",
    "TrainingClips",
    "dcase2020",
    "describe_ids",
    "detect_layout",
    "find_audio",
    "folder",
    "list_machines",
    "load",
    "mimii",
    "parse_machine_id",
    "survey",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    """Load what makes machines on first use: who scores makes none."""
    if name == "synthetic":
        return importlib.import_module("offkey.datasets.synthetic")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
