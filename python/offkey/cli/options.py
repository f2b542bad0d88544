"""Options that several commands have, and options that take several values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter, Token, convert

from offkey import datasets
from offkey._util.rates import parse_false_alarms
from offkey._util.storage import Address, address_of
from offkey.errors import ParameterError
from offkey.models.base import check_device_name
from offkey.recipe import Recipe
from offkey.scoring.null import check_rate

__all__ = [
    "COMMAS",
    "ChannelOption",
    "DataOptions",
    "Device",
    "PathList",
    "RateOptions",
    "ScoresPath",
    "SettingList",
    "with_channel",
    "with_settings",
    "with_settings_of",
]


def _check(_kind: Any, device: str) -> None:
    try:
        check_device_name(device)
    except ParameterError as error:
        raise ValueError(str(error)) from None


Device: TypeAlias = Annotated[str, Parameter(validator=_check)]
"""`auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`."""


def _channel(_kind: Any, tokens: Sequence[Token]) -> Any:
    text = tokens[0].value.replace(" ", "")
    return int(text) if text.isdecimal() else text


def _check_channel(_kind: Any, channel: int | str | None) -> None:
    if isinstance(channel, str) and channel not in ("mean", "loudest", "near,far", "far,near"):
        raise ValueError("expected the number of a channel, from 0, or mean, loudest, near,far or far,near")


ChannelOption: TypeAlias = Annotated[
    int | str | None, Parameter(converter=_channel, validator=_check_channel, allow_leading_hyphen=True)
]
"""A number from 0, `mean`, `loudest`, or the roles of two channels."""


SettingList: TypeAlias = Annotated[list[str], Parameter(name="--set", consume_multiple=True, negative=())]
"""`SECTION.FIELD=VALUE`, of a recipe."""


def with_settings(recipe: Recipe, texts: Sequence[str] | None) -> Recipe:
    """Return the recipe with the fields that options set, such as `ae.epochs=20`.

    Raises
    ------
    ParameterError
        If one is not of the form `SECTION.FIELD=VALUE`.
    RecipeError
        If the recipe has no such field, or the value is outside its range.
    """
    return with_settings_of([recipe], texts)[0]


def with_settings_of(recipes: Sequence[Recipe], texts: Sequence[str] | None) -> list[Recipe]:
    """Return several recipes, each with the fields that options set in sections that it has.

    Raises
    ------
    ParameterError
        If one is not of the form `SECTION.FIELD=VALUE`, or is of a section that no recipe has.
    RecipeError
        If a section has no such field, or the value is outside its range.
    """
    changed = list(recipes)
    for text in texts or ():
        path, sign, value = text.partition("=")
        section = path.partition(".")[0]
        if not sign or section == path or "__" in path:
            raise ParameterError(
                f"--set {text}: expected SECTION.FIELD=VALUE, such as training.stage1_epochs=20"
            )
        having = [number for number, recipe in enumerate(changed) if _has(recipe, section)]
        if not having:
            names = ", ".join(recipe.name for recipe in recipes)
            raise ParameterError(f"--set {text}: no section {section!r} in {names}")
        for number in having:
            changed[number] = changed[number].replace(**{path.replace(".", "__"): _value(value)})
    return changed


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a word
        return text


def _has(recipe: Recipe, section: str) -> bool:
    return section in ("features", "training", "scoring", *recipe.models)


def with_channel(recipe: Recipe, channel: int | str | None) -> Recipe:
    """Return the recipe with the channel that an option names; roles of channels are the dataset's."""
    if channel is None:
        return recipe
    return recipe.replace(features__channel=None if isinstance(channel, str) and "," in channel else channel)


def _split(kind: Any, tokens: Sequence[Token]) -> Any:
    return convert(kind, [part.strip() for token in tokens for part in token.value.split(",")])


COMMAS = Parameter(converter=_split, allow_leading_hyphen=True)
"""Marks a list whose values are separated by commas, and may be given one by one too: `--snr-db -6,0,6`."""

PathList: TypeAlias = Annotated[list[Path], Parameter(consume_multiple=True)]
"""Paths that follow one another, or are given one by one: `--also A B`."""


def _address(_kind: Any, tokens: Sequence[Token]) -> Any:
    return address_of(tokens[0].value)


ScoresPath: TypeAlias = Annotated[Address, Parameter(converter=_address)]
"""A file or folder of scores, which may be on object storage."""

LabelList: TypeAlias = Annotated[list[str], Parameter(consume_multiple=True, negative=())]
"""`PATTERN=healthy` or `PATTERN=faulty`."""


def _id_from(_kind: Any, tokens: Sequence[Token]) -> Any:
    text = tokens[0].value
    return int(text) if text.isdecimal() else text


def _check_id_from(_kind: Any, value: Any) -> None:
    if value is not None and value != "none" and not (isinstance(value, int) and value >= 1):
        raise ValueError("expected the number of a folder, 1 for the first below DATA, or none")


IdFrom: TypeAlias = Annotated[
    int | Literal["none"] | None, Parameter(name="--id", converter=_id_from, validator=_check_id_from)
]
"""Which folder names the machine."""


def _told_labels(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the labels that options tell.

    Raises
    ------
    ParameterError
        If one is not of the form `PATTERN=WORD`.
    """
    labels: dict[str, str] = {}
    for text in texts or ():
        pattern, sign, word = text.rpartition("=")
        if not sign or not pattern:
            raise ParameterError(f"--label {text}: expected PATTERN=healthy or PATTERN=faulty")
        labels.pop(pattern, None)  # the last counts, and comes last
        labels[pattern] = word
    return labels


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class RateOptions:
    """How often a healthy recording may be called anomalous.

    Parameters
    ----------
    false_alarm_rate
        The share of a machine's healthy recordings that may be called anomalous, such as `0.01`.
    false_alarms
        The same in words, together with `--recordings-a-day`: how many false alarms a machine may have in which time,
        such as `"1 a week"` or `"2 a year"`.
    recordings_a_day
        How many recordings of a machine are scored in a day, such as 24.
    """

    false_alarm_rate: float | None = None
    false_alarms: str | None = None
    recordings_a_day: float | None = None

    def rate(self) -> float | None:
        """Return the rate that was asked for, or None.

        Raises
        ------
        ParameterError
            If it is asked for twice, or is none.
        """
        if self.false_alarms is None:
            if self.recordings_a_day is not None:
                raise ParameterError(
                    "--recordings-a-day says how often --false-alarms may come; give both, or --false-alarm-rate alone"
                )
            return None if self.false_alarm_rate is None else check_rate(self.false_alarm_rate)
        if self.false_alarm_rate is not None:
            raise ParameterError("--false-alarm-rate and --false-alarms: expected one of them")
        return parse_false_alarms(self.false_alarms, recordings_a_day=self.recordings_a_day)


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
        DCASE 2020: more folders, such as the additional training data; several may follow.
    eval_list
        DCASE 2020: `eval_data_list.csv`, the labels of the evaluation data; by default it is looked for beside them.
    snr_db
        MIMII: the signal-to-noise ratio in dB, -6, 0 or 6.
    split
        MIMII: which normal clips of each ID are for testing: as many as there are abnormal ones, the first by name
        (`hitachi`, as in the authors' baseline), or a random quarter (`random75`).
    pattern
        Own folders: pattern of the paths, such as `{machine_type}/{split}/{label}_id_{machine_id}_*.wav`.
    manifest
        Own folders: a CSV file with the columns file, label and, where known, machine_type, machine_id, split, group.
        If there is no such file, it is looked for in DATA.
    label
        Own folders: what names mean where they do not say it, such as `'run 7*=faulty'` or `overhang=faulty`: a pattern
        of folders, file names or paths below DATA, then `healthy` or `faulty`. Several may follow; the last that
        matches counts.
    id_from
        Own folders: which folder names the machine: 1 for the first below DATA, 2 for the second, or `none` where all
        recordings of a type are of one machine.
    test_fraction
        Own folders without a split: this fraction of each machine's normal recordings is for testing; give
        `offkey train` and `offkey evaluate` the same fraction and seed. 1: all of them.
    """

    machine: str | None = None
    layout: Literal["auto", "dcase2020", "mimii", "folder"] = "auto"
    also: PathList | None = None
    eval_list: Path | None = None
    snr_db: float | None = None
    split: Literal["hitachi", "random75"] = "hitachi"
    pattern: str | None = None
    manifest: Path | None = None
    label: LabelList | None = None
    id_from: IdFrom = None
    test_fraction: float = 0.0

    def load(self, data: Path, *, seed: int) -> datasets.Dataset:
        """Read the folder."""
        return datasets.load(data, seed=seed, **self._parameters())

    def survey(self, data: Path, **options: Any) -> datasets.Survey:
        """Look at the folder."""
        return datasets.survey(data, **self._parameters(), **options)

    def _parameters(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {"also": self.also or (), "labels": _told_labels(values.pop("label"))}
