"""Recipes: complete, serialisable configurations of a detector.

A recipe is plain data: it can be written to JSON, read back, compared and changed with `Recipe.replace`;
an unknown field or a value outside its range is refused by name. Beside the sections below it has one for each model
of normal sound that it asks for, by the model's name: models state theirs with `offkey.models.register`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Protocol, TypeAlias

import msgspec

from offkey.errors import RecipeError

if TYPE_CHECKING:
    from offkey.models.near import Near
    from offkey.models.network import Network
    from offkey.models.spectral import Spectral

__all__ = [
    "Augmentation",
    "Features",
    "Fraction",
    "NonNegative",
    "Positive",
    "PositiveFloat",
    "Precision",
    "Recipe",
    "Scoring",
    "Section",
    "Training",
    "model_kind",
    "model_names",
    "recipe_names",
    "register_kind",
    "registered_kinds",
]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
"""What a network is trained with; `auto` is bfloat16 where the hardware supports it, else float32."""

Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]


# To look them up takes longer than all checks of a section.
_fields = functools.cache(msgspec.structs.fields)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a recipe; a model's own is a subclass whose fields all have defaults."""

    def __post_init__(self) -> None:
        """Check values whichever way they came in: msgspec itself checks only what it decodes."""
        for field in _fields(type(self)):
            value = getattr(self, field.name)
            if not isinstance(value, msgspec.Struct):
                try:
                    msgspec.convert(msgspec.to_builtins(value), field.type)
                except msgspec.ValidationError as error:
                    raise RecipeError(f"{type(self).__name__}.{field.name} = {value!r}: {error}") from None


def _ascending(owner: object, name: str, *, low: float = float("-inf"), high: float = float("inf")) -> None:
    first, second = getattr(owner, name)
    if not low <= first <= second <= high:
        raise RecipeError(
            f"{type(owner).__name__}.{name} = ({first}, {second}): expected two ascending numbers in [{low}, {high}]"
        )


class Features(Section, frozen=True):
    """The log-Mel spectrogram (see `offkey.LogMel`)."""

    sample_rate: Positive = 16_000
    n_fft: Positive = 1024
    hop_length: Positive = 512
    n_mels: Positive = 128
    f_min_hz: NonNegative = 0.0
    f_max_hz: PositiveFloat | None = None
    """None: the Nyquist frequency."""
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    pad_mode: Literal["constant", "reflect", "none"] = "constant"
    spectrum: Literal["power", "magnitude"] = "power"
    floor: Literal["max", "add"] = "max"
    """What keeps the logarithm finite: ``10 log10(max(x, floor_value))`` or ``10 log10(x + floor_value)``; 20 for
    magnitudes."""
    floor_value: PositiveFloat = 1e-10
    channel: Annotated[int, msgspec.Meta(ge=0)] | Literal["mean", "loudest"] | None = None
    """Which channel of a recording is used, from 0; the mean of all; the loudest one of the training recordings. None:
    the near one where the dataset says which that is (`Clip.channels`), otherwise the first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_fft & (self.n_fft - 1):
            raise RecipeError(f"Features.n_fft = {self.n_fft}: expected a power of two")
        top = self.f_max_hz if self.f_max_hz is not None else self.sample_rate / 2
        if not self.f_min_hz < top <= self.sample_rate / 2:
            raise RecipeError(
                f"Features: f_min_hz = {self.f_min_hz}, f_max_hz = {self.f_max_hz}: expected f_min_hz below f_max_hz, "
                f"and that at most half of sample_rate = {self.sample_rate}"
            )


class Augmentation(Section, frozen=True):
    """The eight classes of augmentation; ranges as in Hojjati and Armanfard (2022)."""

    classes: tuple[
        Literal[
            "none",
            "white_noise",
            "fade",
            "time_shift",
            "time_stretch",
            "pitch_shift",
            "time_mask",
            "frequency_mask",
        ],
        ...,
    ] = (
        "none",
        "white_noise",
        "fade",
        "time_shift",
        "time_stretch",
        "pitch_shift",
        "time_mask",
        "frequency_mask",
    )
    snr_db: tuple[float, float] = (-6.0, 6.0)
    shift_s: tuple[float, float] = (0.0, 5.0)
    stretch_rate: tuple[float, float] = (0.5, 2.0)
    pitch_semitones: tuple[float, float] = (-10.0, 10.0)
    mask_fraction: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _ascending(self, "snr_db")
        _ascending(self, "shift_s", low=0)
        _ascending(self, "stretch_rate", low=0.25, high=4)
        _ascending(self, "pitch_semitones", low=-24, high=24)
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise RecipeError(f"Augmentation.classes = {self.classes}: expected one or more, each once")


class Training(Section, frozen=True):
    """Two stages, inside out (Zhang et al. 2023, section 2.2.4)."""

    stage1_epochs: Annotated[int, msgspec.Meta(ge=0)] = 80
    stage2_epochs: Annotated[int, msgspec.Meta(ge=0)] = 40
    stage1_tasks: Literal["id+aug", "id"] = "id+aug"
    batch_size: Positive = 28
    pseudo_anomalies: Positive = 28
    """How many clips of other machine types join each batch in stage 2."""
    stage2_normals: Positive | None = None
    """How many normal clips a batch has that pseudo-anomalies join; None: `batch_size`. An epoch goes once through the
    normal clips, so fewer of them a batch are more steps."""
    stage2_adam: Literal["carried", "fresh"] = "carried"
    """Whether stage 2 goes on with the moments that Adam has of stage 1, or starts without."""
    batch_norm_others: Literal["joint", "separate"] = "joint"
    """`separate`: pseudo-anomalies are normalised by their own mean and variance in training, not by those of the whole
    batch, and leave the running statistics to the normal clips."""
    batch_norm_from: Literal["training", "clean"] = "training"
    """Which clips the statistics that scoring normalises by come from: those of the training steps, augmented and with
    pseudo-anomalies, or one pass over clean normal training clips after the last epoch."""
    learning_rate: PositiveFloat = 1e-3
    alpha: NonNegative = 1.0
    """Weight of the ID loss."""
    beta: NonNegative = 1.0
    """Weight of the augmentation loss."""
    loss_reduction: Literal["mean", "sum"] = "mean"
    keep: Literal["last", "lowest_loss", "mean"] = "last"
    """Of the last stage: the weights of its last epoch, of the epoch with the lowest loss, or the mean of the weights
    at the end of its last `mean_epochs`."""
    mean_epochs: Positive = 10
    clip_seconds: PositiveFloat = 10.0
    precision: Precision = "float32"
    """`bfloat16`: matrix products and convolutions in it, weights and losses in float32. The result of `auto` depends
    on the hardware."""
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        super().__post_init__()
        normals = self.batch_size if self.stage2_normals is None else self.stage2_normals
        if self.batch_norm_others == "separate" and min(normals, self.pseudo_anomalies) < 2:
            raise RecipeError(
                f"Training.batch_norm_others = 'separate': {normals} normal clips and {self.pseudo_anomalies} "
                "pseudo-anomalies a batch; expected 2 or more of each, for statistics of their own"
            )


class Scoring(Section, frozen=True):
    """From raw scores to one anomaly score and a decision."""

    a_arc: Literal["cosine", "prob", "log_prob"] = "cosine"
    covariance: Literal["ledoit_wolf", "oas", "empirical"] = "ledoit_wolf"
    standardise_on: Literal["held_out", "training"] = "held_out"
    combine: str = "mean"
    """`mean` of all scores of the recipe's models, the same `weighted` by what each model says of itself, a subset that
    is chosen without labels (`select`), or the name of one score, such as `a_maha`."""
    holdout_fraction: Fraction = 0.1
    """Part of each ID's normal clips that the network never trains on, recordings never split; 0: nothing is held out,
    and `holdout_clips` is of no effect."""
    holdout_clips: Annotated[int, msgspec.Meta(ge=0)] = 20
    """As many clips of each ID are held out even where they are a larger part, though never more than a third: a
    threshold for 5% false alarms takes 19 clips that the network has not trained on."""
    false_alarm_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    """The share of healthy recordings that may be called anomalous, where scoring is not asked for another."""


class Kind(Protocol):
    """What a recipe needs to know of a kind of model."""

    @property
    def name(self) -> str:
        """The name of its section."""

    @property
    def section(self) -> type[Section]:
        """The class of its section."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """The raw scores that it can give."""


# Not imports but names: a module registers its model when a recipe first asks for it.
_BUILT_IN = {
    "near": "offkey.models.near",
    "network": "offkey.models.network",
    "spectral": "offkey.models.spectral",
}
_KINDS: dict[str, Kind] = {}


def register_kind(kind: Kind) -> None:
    """Let recipes have the section of a kind of model; `offkey.models.register` is what a model calls."""
    _KINDS[kind.name] = kind


def registered_kinds() -> tuple[Kind, ...]:
    """Return what models have registered of themselves so far."""
    return tuple(_KINDS.values())


def model_names() -> tuple[str, ...]:
    """Return the names of all models: those of offkey, of installed packages, and what has been registered."""
    return tuple(sorted({*_BUILT_IN, *_KINDS, *(point.name for point in _installed())}))


def model_kind(name: str) -> Any:
    """Return what a model has registered of itself, importing the module that does so.

    Raises
    ------
    RecipeError
        If there is no model of that name, or its module cannot be imported.
    """
    if name not in _KINDS:
        _import_model(name)
    return _KINDS[name]


def _import_model(name: str) -> None:
    if name in _BUILT_IN:
        importlib.import_module(_BUILT_IN[name])
        return
    point = next((point for point in _installed() if point.name == name), None)
    if point is None:
        raise RecipeError(f"there is no model {name!r}; the models are {', '.join(model_names())}")
    try:
        point.load()
    except ImportError as error:
        raise RecipeError(f"model {name!r}: {point.value} cannot be imported: {error}") from error
    if name not in _KINDS:
        raise RecipeError(f"model {name!r}: {point.value} does not register it (`offkey.models.register`)")


@functools.cache
def _installed() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group="offkey.models"))


class Recipe:
    """A complete configuration: features, one or more models of normal sound, and scoring.

    Parameters
    ----------
    name
        What tables and file names call it.
    features
        The log-Mel spectrogram.
    training
        How the network is trained.
    scoring
        From raw scores to one anomaly score and a decision.
    **models
        The section of each model, by the model's name: ``network=Network()``, ``spectral=Spectral()``. None: as if
        left out.

    Raises
    ------
    RecipeError
        If there is no model, or parts contradict each other.

    Examples
    --------
    >>> Recipe.named("small").replace(training__stage1_epochs=5).training.stage1_epochs
    5
    """

    __slots__ = ("features", "models", "name", "scoring", "training")

    name: str
    features: Features
    training: Training
    scoring: Scoring
    models: Mapping[str, Section]
    """The sections of the models, by name, sorted."""

    if TYPE_CHECKING:
        near: Near | None
        network: Network | None
        spectral: Spectral | None

    def __init__(
        self,
        *,
        name: str,
        features: Features = Features(),  # noqa: B008  # immutable
        training: Training = Training(),  # noqa: B008
        scoring: Scoring = Scoring(),  # noqa: B008
        **models: Section | None,
    ) -> None:
        sections = {key: section for key, section in sorted(models.items()) if section is not None}
        parts = {"name": name, "features": features, "training": training, "scoring": scoring}
        for key, value in {**parts, **sections}.items():
            kind = str if key == "name" else _section_type(key, name)
            if not isinstance(value, kind):
                raise RecipeError(f"recipe {name!r}: {key} = {value!r}; expected {kind.__name__}")
        for key, value in {**parts, "models": MappingProxyType(sections)}.items():
            object.__setattr__(self, key, value)
        if not sections:
            raise RecipeError(
                f"recipe {name!r}: expected at least one model, given none; the models are {', '.join(model_names())}"
            )
        if scoring.combine not in {*self.score_names, "mean", "weighted", "select"}:
            raise RecipeError(
                f"recipe {name!r}: scoring.combine = {scoring.combine!r}, but its models give only "
                f"{', '.join(self.score_names)}"
            )

    def __getattr__(self, name: str) -> Any:
        """Return the section of a model; None where the recipe does not have that model."""
        if name in _BUILT_IN or (not name.startswith("_") and name in model_names()):
            return self.models.get(name)
        raise AttributeError(f"a recipe has no {name!r}; the models are {', '.join(model_names())}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a recipe does not change: make another one by `replace`")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._tree() == other._tree()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        parts = {key: getattr(self, key) for key in ("features", "training", "scoring")} | dict(self.models)
        return f"Recipe(name={self.name!r}, {', '.join(f'{key}={value!r}' for key, value in parts.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe.from_json, (self.to_json(),)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The raw scores that the recipe's models can give."""
        return tuple(score for name in self.models for score in model_kind(name).score_names)

    @classmethod
    def named(cls, name: str) -> Recipe:
        """Return a built-in recipe, or a model's own by the model's name.

        The built-in ones are `paper`, `small`, `near`, `ensemble` and `spectral`.
        A model's own recipe has nothing but its section's defaults, and the mean of its scores.

        Raises
        ------
        RecipeError
            If there is no recipe of that name.
        """
        if name not in recipe_names():
            raise RecipeError(
                f"recipe {name!r}: there is none of that name; expected one of {', '.join(recipe_names())}"
            )
        return cls._of_tree({"name": name} | _RECIPES.get(name, {name: {}}))

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with fields changed, nested ones by a dotted name with ``__`` for the dot.

        ``recipe.replace(training__stage1_epochs=5, scoring__combine="a_maha")``

        Raises
        ------
        RecipeError
            If a field does not exist or a value is outside its range.
        """
        tree = self._tree()
        for path, value in changes.items():
            *parents, leaf = path.split("__")
            node: Any = tree
            for parent in parents:
                node = node.get(parent)
                if not isinstance(node, dict):
                    raise RecipeError(f"recipe {self.name!r}: no section {parent!r} to set {path!r} in")
            node[leaf] = msgspec.to_builtins(value)
        return self._of_tree(tree)

    def of_training(self) -> Recipe:
        """Return the part that decides on a network's weights: of the scoring only what is held out for it.

        Raises
        ------
        RecipeError
            If the recipe has no network.
        """
        scoring = Scoring(
            holdout_fraction=self.scoring.holdout_fraction,
            holdout_clips=self.scoring.holdout_clips,
            combine="select" if self.scoring.combine == "select" else "mean",
        )
        return Recipe(
            name="training",
            features=self.features,
            training=self.training,
            scoring=scoring,
            network=self.models.get("network"),
        )

    def to_json(self) -> str:
        """Return the recipe as JSON, every default written out."""
        return msgspec.json.format(msgspec.json.encode(self._tree())).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """Read a recipe that `to_json` wrote, or one written by hand: what it leaves out has its default.

        Raises
        ------
        RecipeError
            If the text is not JSON, has an unknown field or a value outside its range.
        """
        try:
            return cls._of_tree(msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError) as error:
            raise RecipeError(f"recipe: not valid JSON: {error}") from None

    def _tree(self) -> dict[str, Any]:
        sections = {
            "features": self.features,
            **self.models,
            "training": self.training,
            "scoring": self.scoring,
        }
        return {"name": self.name} | {key: msgspec.to_builtins(section) for key, section in sections.items()}

    @classmethod
    def _of_tree(cls, tree: Any) -> Recipe:
        if not isinstance(tree, dict):
            raise RecipeError(f"recipe: expected an object, given {type(tree).__name__}")
        types = [(key, _section_type(key, tree.get("name")) | None) for key in tree if key != "name"]
        shape = msgspec.defstruct("Recipe", [("name", str), *types], kw_only=True)
        try:
            parts = msgspec.convert(tree, shape)
        except msgspec.ValidationError as error:
            text = str(error)
            raise RecipeError(text if text.startswith("recipe ") else f"recipe: {text}") from None
        sections = {key: getattr(parts, key) for key in tree}
        return cls(**{key: section for key, section in sections.items() if section is not None})


_COMMON: dict[str, type[Section]] = {"features": Features, "training": Training, "scoring": Scoring}


def _section_type(key: str, recipe: object) -> type[Section]:
    if key in _COMMON:
        return _COMMON[key]
    if key not in model_names():
        raise RecipeError(
            f"recipe {recipe!r}: unknown field `{key}`; expected {', '.join(_COMMON)} or the section of a model: "
            f"{', '.join(model_names())}"
        )
    section: type[Section] = model_kind(key).section
    return section


_SMALL_NETWORK = {
    "subsampling": "separable4",
    "subsampling_channels": 32,
    "blocks": 2,
    "dim": 64,
    "ffn_dim": 256,
}

_RECIPES: dict[str, dict[str, Any]] = {
    "paper": {"network": {}, "scoring": {"standardise_on": "training", "combine": "select"}},
    "small": {
        "network": _SMALL_NETWORK,
        # With 240 clips of 10 s that is 70 s of processor time, shared by the cores.
        "training": {"stage1_epochs": 20, "stage2_epochs": 10},
        "scoring": {"holdout_fraction": 0.2},
    },
    "near": {"near": {}, "scoring": {"combine": "a_near"}},
    "ensemble": {"near": {}, "spectral": {}, "scoring": {"combine": "weighted"}},
    "spectral": {"spectral": {}, "scoring": {"combine": "a_spectral"}},
}


def recipe_names() -> tuple[str, ...]:
    """Return the names of all recipes: the built-in ones, and those of other models by the model's name."""
    return (*_RECIPES, *(name for name in model_names() if name not in _BUILT_IN))
