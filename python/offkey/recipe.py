"""Recipes: complete, serialisable configurations of a detector.

A recipe is plain data: it can be written to JSON, read back, compared and changed with `Recipe.replace`;
an unknown field or a value outside its range is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from offkey.errors import RecipeError

__all__ = ["RECIPES", "Augmentation", "Features", "Network", "Recipe", "Scoring", "Spectral", "Training"]

Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    def __post_init__(self) -> None:
        """Check values whichever way they came in: msgspec itself checks only what it decodes."""
        for field in msgspec.structs.fields(self):
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


class Features(_Section, frozen=True):
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
    channel: Annotated[int, msgspec.Meta(ge=0)] | Literal["mean"] = 0
    """Which channel of a recording is used, or the mean of all."""

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


class Augmentation(_Section, frozen=True):
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


class Network(_Section, frozen=True):
    """The conformer encoder and its heads (Zhang et al. 2023, section 2)."""

    subsampling: Literal["conv4", "separable4", "conv2", "linear"] = "conv4"
    """`conv4`: two 3x3 stride-2 convolutions; `separable4`: the second one depthwise and pointwise."""
    subsampling_channels: Positive = 128
    blocks: Positive = 3
    dim: Positive = 128
    heads: Positive = 4
    ffn_dim: Positive = 512
    kernel_size: Positive = 15
    dropout: Fraction = 0.1
    attention_dropout: Fraction = 0.0
    pooling_channels: Positive = 128
    embedding_dim: Positive = 64
    arcface_scale: PositiveFloat = 16.0
    arcface_margin_rad: Annotated[float, msgspec.Meta(ge=0, le=1.5707963267948966)] = 1.28
    normalisation: Literal["standard", "none"] = "standard"
    """`standard`: per-Mel-bin mean and deviation over the type's training clips."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise RecipeError(f"Network.kernel_size = {self.kernel_size}: expected an odd number")
        if self.dim % self.heads:
            raise RecipeError(f"Network.dim = {self.dim}: expected a multiple of heads = {self.heads}")


class Training(_Section, frozen=True):
    """Two stages, inside out (Zhang et al. 2023, section 2.2.4)."""

    stage1_epochs: Annotated[int, msgspec.Meta(ge=0)] = 80
    stage2_epochs: Annotated[int, msgspec.Meta(ge=0)] = 40
    stage1_tasks: Literal["id+aug", "id"] = "id+aug"
    batch_size: Positive = 28
    pseudo_anomalies: Positive = 28
    """How many clips of other machine types join each batch in stage 2."""
    learning_rate: PositiveFloat = 1e-3
    alpha: NonNegative = 1.0
    """Weight of the ID loss."""
    beta: NonNegative = 1.0
    """Weight of the augmentation loss."""
    loss_reduction: Literal["mean", "sum"] = "mean"
    keep: Literal["last", "lowest_loss"] = "last"
    clip_seconds: PositiveFloat = 10.0
    augmentation: Augmentation = Augmentation()


class Spectral(_Section, frozen=True):
    """The closed-form likelihood ratio on clip statistics."""

    tau: PositiveFloat = 0.01
    """Variance of an anomalous shift, in units of the mean eigenvalue of the covariance."""
    folds: Annotated[int, msgspec.Meta(ge=2)] = 5
    check: bool = True
    """Whether the label-free check chooses covariance, ridge and feature sets."""
    check_draws: Positive = 12
    own_covariance: bool = False
    """Own covariance for each ID (True) or one shared by all; what the check starts from."""
    ridge: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 1e-3
    use_level_deviation: bool = False
    """Whether the feature set L (mean, lstd, ldstd) joins the sets M, A and P."""


class Scoring(_Section, frozen=True):
    """From raw scores to one anomaly score and a decision."""

    a_arc: Literal["cosine", "prob", "log_prob"] = "cosine"
    covariance: Literal["ledoit_wolf", "oas", "empirical"] = "ledoit_wolf"
    standardise_on: Literal["held_out", "training"] = "held_out"
    combine: Literal["select", "mean", "a_out", "a_arc", "a_maha", "a_spectral"] = "mean"
    holdout_fraction: Fraction = 0.1
    """Part of each ID's normal clips that the network never trains on, recordings never split."""
    quantile: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.95
    """A clip is called anomalous above this quantile of its ID's held-out normal scores."""


class Recipe(_Section, frozen=True):
    """A complete configuration. At least one of `network` and `spectral` must be given."""

    name: str
    features: Features = Features()
    network: Network | None = None
    training: Training = Training()
    spectral: Spectral | None = None
    scoring: Scoring = Scoring()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network is None and self.spectral is None:
            raise RecipeError(
                f"recipe {self.name!r}: expected a network, a spectral model or both, given neither"
            )
        scores = set(self.score_names) | {"mean", "select"}
        if self.scoring.combine not in scores:
            raise RecipeError(
                f"recipe {self.name!r}: scoring.combine = {self.scoring.combine!r}, but its models give only "
                f"{', '.join(self.score_names)}"
            )

    @property
    def score_names(self) -> tuple[str, ...]:
        """The raw scores that the recipe's models can give."""
        network = ("a_out", "a_arc", "a_maha") if self.network else ()
        return network + (("a_spectral",) if self.spectral else ())

    @classmethod
    def named(cls, name: str) -> Recipe:
        """Return one of the built-in recipes: `paper`, `small` or `spectral`.

        Raises
        ------
        RecipeError
            If there is no recipe of that name.
        """
        try:
            return RECIPES[name]
        except KeyError:
            known = ", ".join(sorted(RECIPES))
            raise RecipeError(
                f"recipe {name!r}: there is none of that name; expected one of {known}"
            ) from None

    def replace(self, **changes: Any) -> Recipe:
        """Return a copy with fields changed, nested ones by a dotted name with ``__`` for the dot.

        ``recipe.replace(training__stage1_epochs=5, scoring__combine="a_maha")``

        Raises
        ------
        RecipeError
            If a field does not exist or a value is outside its range.
        """
        tree = msgspec.to_builtins(self)
        for path, value in changes.items():
            *parents, leaf = path.split("__")
            node = tree
            for parent in parents:
                node = node.get(parent)
                if not isinstance(node, dict):
                    raise RecipeError(f"recipe {self.name!r}: no section {parent!r} to set {path!r} in")
            node[leaf] = msgspec.to_builtins(value)
        return self._convert(tree)

    def of_training(self) -> Recipe:
        """Return the part that decides on a network's weights: of the scoring only what is held out for it."""
        scoring = Scoring(
            holdout_fraction=self.scoring.holdout_fraction,
            combine="select" if self.scoring.combine == "select" else "mean",
        )
        return msgspec.structs.replace(self, name="training", spectral=None, scoring=scoring)

    def to_json(self) -> str:
        """Return the recipe as JSON, every default written out."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Recipe:
        """Read a recipe that `to_json` wrote, or one written by hand: what it leaves out has its default.

        Raises
        ------
        RecipeError
            If the text is not JSON, has an unknown field or a value outside its range.
        """
        try:
            return cls._convert(msgspec.json.decode(text))
        except msgspec.DecodeError as error:
            raise RecipeError(f"recipe: not valid JSON: {error}") from None

    @classmethod
    def _convert(cls, tree: Any) -> Recipe:
        try:
            return msgspec.convert(tree, cls)
        except msgspec.ValidationError as error:
            text = str(error)
            raise RecipeError(text if text.startswith("recipe ") else f"recipe: {text}") from None


_SMALL_NETWORK = Network(subsampling="separable4", subsampling_channels=32, blocks=2, dim=64, ffn_dim=256)

RECIPES: dict[str, Recipe] = {
    "paper": Recipe(
        name="paper", network=Network(), scoring=Scoring(standardise_on="training", combine="select")
    ),
    "small": Recipe(
        name="small",
        network=_SMALL_NETWORK,
        # With 240 clips of 10 s that is 70 s of processor time, shared by the cores.
        training=Training(stage1_epochs=20, stage2_epochs=10),
        scoring=Scoring(holdout_fraction=0.2),
    ),
    "spectral": Recipe(name="spectral", spectral=Spectral(), scoring=Scoring(combine="a_spectral")),
}
"""The built-in recipes by name."""
