"""The sections that every recipe has, and what sections are made of: `offkey.recipe` has them all.

Each is plain data whose values are checked whichever way they came in.
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from offkey import _native
from offkey.errors import ParameterError, RecipeError

__all__ = [
    "Augmentation",
    "Features",
    "Fraction",
    "NonNegative",
    "Positive",
    "PositiveFloat",
    "Precision",
    "Scoring",
    "ScoringPrecision",
    "Section",
    "Training",
    "Window",
]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
ScoringPrecision: TypeAlias = Literal["float32", "float16"]
"""The numbers of a network's matrix products and convolutions, when it scores."""
"""What a network is trained with; `auto` is bfloat16 where the hardware supports it, else float32."""

Window: TypeAlias = Literal[
    "hann",
    "hamming",
    "blackman",
    "blackmanharris",
    "nuttall",
    "flattop",
    "bartlett",
    "bohman",
    "cosine",
    "boxcar",
]
"""What frames are weighted by, as `scipy.signal.get_window` calls it."""

AugmentationClass: TypeAlias = Literal[
    "none",
    "white_noise",
    "fade",
    "time_shift",
    "time_stretch",
    "pitch_shift",
    "time_mask",
    "frequency_mask",
]

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
    win_length: Positive | None = None
    """Samples of the window, in the middle of the `n_fft` of a frame; None: as many."""
    window: Window = "hann"
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
        try:
            _native.check_n_fft(self.n_fft)
        except ParameterError as error:
            raise RecipeError(f"Features.{error}") from None
        if self.win_length is not None and self.win_length > self.n_fft:
            raise RecipeError(
                f"Features.win_length = {self.win_length}: expected at most n_fft = {self.n_fft}"
            )
        top = self.f_max_hz if self.f_max_hz is not None else self.sample_rate / 2
        if not self.f_min_hz < top <= self.sample_rate / 2:
            raise RecipeError(
                f"Features: f_min_hz = {self.f_min_hz}, f_max_hz = {self.f_max_hz}: expected f_min_hz below f_max_hz, "
                f"and that at most half of sample_rate = {self.sample_rate}"
            )


class Augmentation(Section, frozen=True):
    """The eight classes of augmentation; ranges as in Hojjati and Armanfard (2022)."""

    classes: tuple[AugmentationClass, ...] = get_args(AugmentationClass)
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
