"""What a detector asks of a model of normal sound, and the registry that models enter themselves in.

A model scores every clip against every machine ID that it knows. The detector then standardises each column
for its ID, takes the clip's own column, or for an unknown ID the one with the smallest combined score.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import importlib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self, TypeAlias, cast, get_args

import numpy as np

from offkey.datasets import Dataset, LogMelArrays, TrainingClips
from offkey.datasets.checks import check_trainable
from offkey.datasets.statistics_plan import StatisticsPlan
from offkey.errors import DetectorFileError, MissingExtraError, OffkeyError, ParameterError
from offkey.recipe import (
    Features,
    Precision,
    Recipe,
    ScoringPrecision,
    Section,
    model_kind,
    register_kind,
    registered_kinds,
)
from offkey.scoring.calibration import Calibration, PseudoAnomalies
from offkey.signal.statistics import ClipStatistics

__all__ = [
    "FitOptions",
    "InlierModel",
    "Inputs",
    "LearnedClips",
    "ModelKind",
    "check_device",
    "check_device_name",
    "check_fit",
    "check_precision",
    "check_scoring_precision",
    "check_seed",
    "ignore",
    "kinds_of",
    "model_class",
    "needs_samples",
    "register",
    "restoring",
    "statistics_plan",
]

Inputs: TypeAlias = Literal["statistics", "logmels", "samples"]
"""What a model scores: `ClipStatistics` of the clips; or a list of log-Mels ``(n_mels, frames)`` float32 in
dB; or a list of samples ``(samples,)`` float32 at the recipe's rate."""

_SCORE_NAME = re.compile(r"a_[a-z0-9_]+")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@contextlib.contextmanager
def restoring(what: str, recipe: Recipe) -> Iterator[None]:
    """Turn what goes wrong in rebuilding a saved model into an error of its file; `what` is "saved network", say.

    Raises
    ------
    DetectorFileError
        If something is missing or does not fit the recipe.
    """
    try:
        yield
    except DetectorFileError:
        raise
    except KeyError as error:
        raise DetectorFileError(f"{what}: has no {error}") from None
    except (AttributeError, TypeError, ValueError, RuntimeError, OffkeyError) as error:
        raise DetectorFileError(f"{what}: does not fit recipe {recipe.name!r}: {error}") from None


def ignore(_event: object) -> None:
    """Take an event that nobody wants to hear of."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How a model is fitted: what is not a matter of the recipe."""

    seed: int = 0
    """Every random choice follows from it."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or one GPU such as `cuda:1`."""
    precision: Precision | None = None
    """In place of the recipe's; None: as the recipe says."""
    compile: bool = False
    """Whether a network goes through `torch.compile`."""
    num_threads: int | None = None
    """Threads of kernels and of torch; all cores if None."""
    checkpoint: Path | None = None
    """Where a training keeps its state, and goes on from."""
    on_event: Callable[[Any], None] = ignore
    """Called with the events of a training."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LearnedClips:
    """What a detector keeps of the clips that it was fitted to."""

    machine_ids: tuple[str, ...]
    """The ID of each."""
    groups: np.ndarray
    """``(clips,)`` int64: clips of one recording have the same number."""
    indices: np.ndarray
    """``(kept,)`` int64: the clips whose statistics are kept."""
    statistics: ClipStatistics
    """``(kept, n_mels)`` each."""


class InlierModel(abc.ABC):
    """A fitted model of normal sound: what a class of one's own is derived from.

    One that also has ``embeddings(inputs, *, num_threads=None)``, which returns ``(clips, dim)`` float64, serves
    `Detector.embeddings`.
    One that also has ``explain(clip, machine_id, slopes)``, which returns an `offkey.models.attribution.Attribution` of
    an `ExplainedClip` in units of the anomaly score, serves `Detector.explain`; `slopes` has by how much that rises
    with each raw score.
    """

    score_names: tuple[str, ...]
    """The raw scores that this model gives; fewer than it registered where a task had no data."""
    machine_ids: tuple[str, ...]
    """The known IDs, sorted: the columns of every score matrix."""
    standardise_on: Calibration
    """The scores whose mean and deviation standardise each ID."""
    held_out: Calibration
    """The scores that thresholds and `select` are taken from; of kind `training` only as a last resort."""
    weight: float = 1.0
    """What each of its scores counts beside other models' in a recipe with `scoring.combine` = "weighted": above 0,
    told from normal clips alone."""
    pseudo_anomalies: PseudoAnomalies | None = None
    """Scores for `select`, which keeps all scores of a model that has none."""
    parameters: int = 0
    """How many numbers the fit has set, those for calibration aside."""
    notes: tuple[str, ...] = ()
    """What a user should know of the fit: tasks left out, bins dropped, what a check chose."""
    further_statistics: frozenset[str] | None = None
    """Of `fine_mean` and `rhythm` (see `ClipStatistics`) what it looks at; None: all that its kind has measured."""
    provenance: Mapping[str, Any] = MappingProxyType({})
    """How it was fitted, as plain data for JSON: device, precision, versions, losses."""
    scores_silence = True
    """Whether a short clip of zeros has a score, by which a loaded detector is checked; an encoder may want more."""

    @classmethod
    @abc.abstractmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Learn from the normal clips of the target machine type."""

    @abc.abstractmethod
    def scores(self, inputs: Any, *, num_threads: int | None = None) -> dict[str, np.ndarray]:
        """Return for each score name the ``(clips, ids)`` float64 raw scores; higher = more anomalous."""

    @abc.abstractmethod
    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""

    @classmethod
    @abc.abstractmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores."""

    def rescored(self, recipe: Recipe) -> Self:
        """Return the model as a fit with this recipe would have made it, which differs in `scoring` alone.

        By default itself: neither scores nor calibration depend on `scoring`.

        Raises
        ------
        ParameterError
            If that takes another fit.
        """
        return self

    def updated(
        self, clips: TrainingClips, *, recipe: Recipe, learned: LearnedClips, num_threads: int | None = None
    ) -> Self:
        """Return the model with further normal clips of known IDs in what it compares with and is calibrated by.

        In the calibration the new clips stand after those that were learned. By default there is no such way.

        Parameters
        ----------
        clips
            The new ones.
        recipe
            What the model was fitted by.
        learned
            What is kept of the clips so far.
        num_threads
            Threads of kernels and of torch; all cores if None.

        Raises
        ------
        ParameterError
            If that takes another fit.
        """
        raise ParameterError(
            f"a model of scores {', '.join(self.score_names)} takes no further clips: fit again, to all of them"
        )

    @classmethod  # noqa: B027  # few have anything to refuse
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips."""

    on_gpu = False
    """Whether a GPU computes the scores, so that the CPU is free meanwhile."""

    def compute_on(self, device: str, precision: ScoringPrecision) -> None:  # noqa: B027
        """Score on another device, or with other numbers, from now on; without a network there is only the CPU."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """What a kind of model states of itself."""

    name: str
    section: type[Section]
    score_names: tuple[str, ...]
    inputs: Inputs
    inputs_of: Callable[[Any], Inputs] | None
    model: type[Any] | str
    others: bool
    trained: bool
    statistics: Callable[[Any, Features], StatisticsPlan] | None
    recipe: Mapping[str, Any]


def register(
    name: str,
    *,
    section: type[Section],
    score_names: tuple[str, ...],
    inputs: Inputs | Callable[[Any], Inputs],
    model: type[Any] | str,
    others: bool = False,
    trained: bool = False,
    statistics: Callable[[Any, Features], StatisticsPlan] | None = None,
    recipe: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Enter a kind of model: recipes may then have its section, and detectors are made of it.

    Parameters
    ----------
    name
        The name of its section in a recipe, and of a recipe that has nothing but that section's defaults.
    section
        What a recipe says of it: a subclass of `Section` whose fields all have defaults.
    score_names
        The raw scores that it can give, such as ``("a_distance",)``: columns of the table of scores.
    inputs
        What its method `scores` is given: `statistics`, `logmels` or `samples` (see `Inputs`), or a function that says
        so of its section. Its method `fit` finds all of them in the training clips.
    model
        Its class, which has what `InlierModel` asks for; or ``"module:Class"``, imported when a detector needs it.
    others
        Whether it also learns from clips of other machine types.
    trained
        Whether it is trained epoch by epoch: takes a device, a precision, a checkpoint, and tells of its progress.
    statistics
        Called with its section and the recipe's features: says what is measured of clips beside the four statistics of
        their log-Mels. By default nothing is.
    recipe
        What the recipe of its name has beside its section's defaults, such as ``{"features": {"n_mels": 64}}``.

    Raises
    ------
    ParameterError
        If a name is not what it should be, or a score is another model's.
    """
    if not name.isidentifier() or name.startswith("_") or hasattr(Recipe, name):
        raise ParameterError(f"model {name!r}: expected a name that a recipe's field can have and none has")
    if not issubclass(section, Section):
        raise ParameterError(
            f"model {name!r}: section = {section!r}; expected a subclass of offkey.models.Section"
        )
    wrong = [score for score in score_names if not _SCORE_NAME.fullmatch(score)]
    if wrong or not score_names:
        raise ParameterError(
            f"model {name!r}: score_names = {score_names}; expected one or more names such as a_distance: small "
            "letters, digits and _ after a_"
        )
    owners = {
        score: kind.name for kind in registered_kinds() if kind.name != name for score in kind.score_names
    }
    duplicates = [score for score in score_names if score in owners]
    if duplicates:
        raise ParameterError(f"model {name!r}: {duplicates[0]} is a score of model {owners[duplicates[0]]!r}")
    inputs_of = inputs if callable(inputs) else None
    inputs = inputs(section()) if callable(inputs) else inputs
    if inputs not in ("statistics", "logmels", "samples"):
        raise ParameterError(f"model {name!r}: inputs = {inputs!r}; expected statistics, logmels or samples")
    register_kind(
        ModelKind(
            name=name,
            section=section,
            score_names=tuple(score_names),
            inputs=inputs,
            inputs_of=inputs_of,
            model=model,
            others=others,
            trained=trained,
            statistics=statistics,
            recipe=recipe,
        )
    )


def kinds_of(recipe: Recipe) -> tuple[ModelKind, ...]:
    """Return what the models of a recipe state of themselves, in the order in which a detector holds them.

    Their `inputs` are those of the recipe.
    """
    kinds = (cast(ModelKind, model_kind(name)) for name in recipe.models)
    return tuple(
        dataclasses.replace(kind, inputs=kind.inputs_of(recipe.models[kind.name])) if kind.inputs_of else kind
        for kind in kinds
    )


def statistics_plan(recipe: Recipe) -> StatisticsPlan:
    """Return what is measured of clips for the models of a recipe, beside the four statistics of their log-Mels."""
    plans = (
        kind.statistics(recipe.models[kind.name], recipe.features)
        for kind in kinds_of(recipe)
        if kind.statistics is not None
    )
    return functools.reduce(operator.or_, plans, StatisticsPlan())


def needs_samples(recipe: Recipe) -> bool:
    """Return whether a model of a recipe looks at more of a clip than its statistics."""
    return any(kind.inputs != "statistics" for kind in kinds_of(recipe))


def model_class(kind: ModelKind) -> type[InlierModel]:
    """Return the class of a kind of model.

    Raises
    ------
    MissingExtraError
        If it needs a package that is not installed.
    """
    if not isinstance(kind.model, str):
        return kind.model
    module, _, attribute = kind.model.partition(":")
    try:
        return cast(type[InlierModel], getattr(importlib.import_module(module), attribute))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == module.partition(".")[0]:
            raise
        remedy = ": pip install 'offkey[train]', or use recipe 'spectral'" if error.name == "torch" else ""
        raise MissingExtraError(
            f"model {kind.name!r} needs {error.name}, which is not installed{remedy}"
        ) from None


def check_fit(recipe: Recipe, data: object, options: FitOptions) -> None:
    """Refuse before any decoding what cannot end well.

    Raises
    ------
    ParameterError, DatasetError, DeviceError, MissingExtraError, RecipeError, TrainingError, OSError
        As `offkey.Detector.fit`.
    """
    if not isinstance(data, Dataset | LogMelArrays):
        raise ParameterError(
            f"data: given {type(data).__name__}; expected what offkey.datasets.load gives, or LogMelArrays"
        )
    if isinstance(data, Dataset):
        check_trainable(data)
    check_seed(options.seed)
    check_device(options.device)
    if options.precision is not None:
        check_precision(options.precision)
    kinds = kinds_of(recipe)
    if options.checkpoint is not None and not any(kind.trained for kind in kinds):
        raise ParameterError(
            f"checkpoint: recipe {recipe.name!r} has no network whose training could be interrupted"
        )
    if isinstance(data, LogMelArrays) and (lost := [kind.name for kind in kinds if kind.inputs == "samples"]):
        raise ParameterError(f"data: log-Mels, but the model {lost[0]!r} needs the samples of recordings")
    for kind in kinds:
        model_class(kind).check(recipe, options)


def check_seed(seed: int) -> None:
    """Refuse a seed that no random generator takes.

    Raises
    ------
    ParameterError
        If it is below 0.
    """
    if seed < 0:
        raise ParameterError(f"seed = {seed}: expected a whole number from 0")


def check_precision(precision: str) -> None:
    """Refuse an unknown precision.

    Raises
    ------
    ParameterError
        If it is none of `auto`, `float32` and `bfloat16`.
    """
    if precision not in get_args(Precision):
        raise ParameterError(f"precision = {precision!r}: expected auto, float32 or bfloat16")


def check_scoring_precision(precision: str) -> None:
    """Refuse numbers that no network scores with.

    Raises
    ------
    ParameterError
        If it is neither `float32` nor `float16`.
    """
    if precision not in get_args(ScoringPrecision):
        raise ParameterError(f"precision = {precision!r}: expected float32 or float16")


def check_device(device: str) -> None:
    """Refuse an unknown device, and a GPU that is not there, whether or not there is a model to use it.

    Raises
    ------
    ParameterError, DeviceError
        If the name is unknown, or there is no such GPU.
    MissingExtraError
        If a GPU is asked for and torch is not installed.
    """
    check_device_name(device)
    if device.startswith("cuda"):
        cast(Any, model_class(model_kind("network"))).check_device(device)  # a missing torch is said


def check_device_name(device: str) -> None:
    """Refuse a name that no device has.

    Raises
    ------
    ParameterError
        If it is none of `auto`, `cpu`, `cuda`, `cuda:0` and so on.
    """
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise ParameterError(f"device = {device!r}: expected auto, cpu, cuda, or one GPU such as cuda:0")
