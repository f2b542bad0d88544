"""Recipes: complete, serialisable configurations of a detector.

A recipe is plain data: it can be written to JSON, read back, compared and changed with `Recipe.replace`;
an unknown field or a value outside its range is refused by name. Beside the sections of `recipe_sections` it has one
for each model of normal sound that it asks for, by the model's name: models state theirs with `offkey.models.register`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import msgspec

from offkey.errors import MissingExtraError, RecipeError
from offkey.recipe_sections import (
    Augmentation,
    Features,
    Fraction,
    NonNegative,
    Positive,
    PositiveFloat,
    Precision,
    Scoring,
    ScoringPrecision,
    Section,
    Training,
)

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
    "ScoringPrecision",
    "Section",
    "Training",
    "model_kind",
    "model_names",
    "recipe_names",
    "register_kind",
    "registered_kinds",
]


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

    @property
    def recipe(self) -> Mapping[str, Any]:
        """What the recipe of its name has beside its section's defaults."""


# Not imports but names: a module registers its model when a recipe first asks for it.
_BASELINES = ("ae", "forest", "gmm", "idcae", "idnn", "knn", "lof", "mimii_ae", "pca", "svm", "vae")
_BUILT_IN = {
    "near": "offkey.models.near",
    "network": "offkey.models.network",
    "spectral": "offkey.models.spectral",
    **{name: f"offkey.models.baselines.{name}" for name in _BASELINES},
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
    MissingExtraError
        If a baseline needs a package that is not installed.
    """
    if name not in _KINDS:
        _import_model(name)
    return _KINDS[name]


def _import_model(name: str) -> None:
    if name in _BUILT_IN:
        try:
            importlib.import_module(_BUILT_IN[name])
        except ModuleNotFoundError as error:  # a baseline is one file, which begins with what it needs
            package = (error.name or "offkey").partition(".")[0]
            if name not in _BASELINES or package == "offkey":
                raise
            raise MissingExtraError(
                f"model {name!r} needs {package}, which is not installed: pip install 'offkey[baselines]'"
            ) from None
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
        A model's own recipe has its section's defaults, the mean of its scores, and what the model says beside that,
        such as a baseline its features.

        Raises
        ------
        RecipeError
            If there is no recipe of that name.
        MissingExtraError
            If a baseline needs a package that is not installed.
        """
        if name not in recipe_names():
            raise RecipeError(
                f"recipe {name!r}: there is none of that name; expected one of {', '.join(recipe_names())}"
            )
        tree = _RECIPES[name] if name in _RECIPES else {name: {}} | dict(model_kind(name).recipe)
        return cls._of_tree({"name": name} | tree)

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
    """Return the names of all recipes: the built-in ones, baselines, and those of other models by the model's name."""
    return (*_RECIPES, *_BASELINES, *(name for name in model_names() if name not in _BUILT_IN))
