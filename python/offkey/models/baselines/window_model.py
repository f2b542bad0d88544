"""The door of networks that look at windows of frames: training, calibration, scores, what is saved."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import msgspec
import numpy as np
import torch
from torch import nn

from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import ArrayError, DatasetError, DetectorFileError, ParameterError, RecipeError
from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.base import FitOptions, InlierModel, restoring
from offkey.models.baselines.window_explain import attribution
from offkey.models.baselines.window_net import WindowNet
from offkey.models.baselines.window_scores import checked_logmel, clip_errors
from offkey.models.baselines.window_train import train
from offkey.models.baselines.windows import TrainingWindows
from offkey.models.network.alone import check_alone, checkpoint_of
from offkey.models.network.batches import KeptLogMels, source_of
from offkey.models.network.device import resolve_device, seeded, torch_threads
from offkey.models.network.events import Note
from offkey.models.network.sampling import Split, derived_seed
from offkey.models.network.train import chunks, gain_of, level_statistics
from offkey.recipe import Positive, PositiveFloat, Recipe, Scoring, ScoringPrecision, Section
from offkey.scoring.calibration import Calibration
from offkey.signal.statistics import FrameMoments

__all__ = ["WindowModel", "WindowSection"]

_WEIGHTS, _ORDER = 18, 19  # first parts of keys of random streams


class WindowSection(Section, frozen=True):
    """What every recipe of such a network says."""

    frames: Positive = 5
    """Neighbouring frames of a window."""
    epochs: Positive = 100
    """How often every window is trained with."""
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 512
    """Windows in a step; what remains of an epoch is spread over its steps."""
    learning_rate: PositiveFloat = 1e-3
    """Of Adam."""
    network_of: Literal["type", "id"] = "type"
    """Whether one network learns all machine IDs, or each has its own."""
    normalisation: Literal["none", "standard"] = "none"
    """Of each Mel bin, over the frames of all training clips; `none`: the network sees decibels."""


class WindowModel(InlierModel):
    """Networks whose mean error over the windows of a clip is its score; made by `fit` or `from_state`.

    A system is a subclass that names its section and its score, and makes its networks.
    """

    section: ClassVar[str]
    """The name of its section in a recipe; its score is ``a_`` and that name."""

    def __init__(
        self,
        recipe: Recipe,
        nets: Sequence[WindowNet],
        *,
        machine_ids: tuple[str, ...],
        held_out: Calibration,
        levels: np.ndarray,
        notes: tuple[str, ...],
        provenance: Mapping[str, Any],
    ) -> None:
        self._scoring = recipe.scoring
        self._nets = nn.ModuleList(nets).eval()
        self._frames = self._settings(recipe).frames
        self._n_mels = recipe.features.n_mels
        self._levels = levels
        self._precision: ScoringPrecision = "float32"
        self.score_names = (self._score(),)
        self.machine_ids = machine_ids
        self.standardise_on = self.held_out = held_out
        self.notes = notes
        self.provenance = provenance
        self.parameters = sum(net.numbers() for net in nets)

    @classmethod
    @abc.abstractmethod
    def new_net(cls, settings: Any, *, n_mels: int, n_ids: int) -> WindowNet:
        """Return a network with its first weights, drawn by torch's generator.

        Parameters
        ----------
        settings
            The recipe's section.
        n_mels
            Values of a frame.
        n_ids
            Machine IDs that it learns: 1 where each has its own network.
        """

    @classmethod
    def _score(cls) -> str:
        return f"a_{cls.section}"

    @classmethod
    def _settings(cls, recipe: Recipe) -> WindowSection:
        settings = recipe.models.get(cls.section)
        if not isinstance(settings, WindowSection):
            raise RecipeError(f"recipe {recipe.name!r}: expected a section `{cls.section}`, given none")
        return settings

    @classmethod
    def _new_nets(cls, recipe: Recipe, n_ids: int, seed: int) -> list[WindowNet]:
        """Return networks with their first weights, the same on every device."""
        settings = cls._settings(recipe)
        count, ids_of_each = (n_ids, 1) if settings.network_of == "id" else (1, n_ids)
        nets = []
        for number in range(count):
            with seeded(derived_seed(seed, _WEIGHTS, number), torch.device("cpu")):
                nets.append(cls.new_net(settings, n_mels=recipe.features.n_mels, n_ids=ids_of_each))
        return nets

    @classmethod
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips.

        Raises
        ------
        RecipeError, ParameterError
            If the recipe has no section of this system, or asks for what these networks do not have.
        DeviceError
            If the device is not there.
        OSError, TrainingError
            If the checkpoint cannot be written, or what stands there is none.
        """
        settings = cls._settings(recipe)
        with torch.device("meta"):  # no memory, no random numbers
            cls.new_net(settings, n_mels=recipe.features.n_mels, n_ids=2)
        check_alone(recipe, options)

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Train on normal clips.

        On a CPU the same seed, clips and number of torch's threads give the same bytes.

        Parameters
        ----------
        clips
            Normal clips of the target type.
        recipe
            With a section of this system.
        options
            Device, seed and the like.

        Raises
        ------
        RecipeError, ParameterError, DeviceError
            As `check`.
        DatasetError
            If there are too few clips.
        TrainingError
            If a loss is not finite, or the checkpoint is damaged or of another training.
        ArrayError
            If a clip is empty, not finite or of the wrong shape, or all are silence.
        """
        cls._settings(recipe)
        names = tuple(sorted(set(clips.machine_ids)))
        ids = np.searchsorted(names, list(clips.machine_ids)).astype(np.int64)
        split = Split.of(clips, recipe, seed=options.seed)
        notes = _notes(clips, split)
        for text in notes:
            options.on_event(Note(text=text))
        with torch_threads(options.num_threads):
            source = source_of(clips, recipe, seed=options.seed, num_threads=options.num_threads)
            logmels = KeptLogMels(source)
            moments = clips.moments or _moments(logmels, len(ids))
            levels, deviation = level_statistics(moments.take(split.train))
            nets = cls._new_nets(recipe, len(names), options.seed)
            if cls._settings(recipe).normalisation == "standard":
                for net in nets:
                    net.mean.copy_(torch.from_numpy(levels))
                    net.gain.copy_(torch.from_numpy(gain_of(deviation)))
            windows = cls._windows(len(nets), logmels, split.train, ids, moments.frames, recipe, options.seed)
            losses = cls._train(nets, windows, clips, recipe, options, levels)
            provenance = {
                "device": nets[0].mean.device.type,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "losses": losses,
            }
            held_out = cls._calibration(nets, logmels, ids, split, names, recipe)
        return cls(
            recipe,
            nets,
            machine_ids=names,
            held_out=held_out,
            levels=levels,
            notes=notes,
            provenance=provenance,
        )

    @classmethod
    def _windows(
        cls,
        nets: int,
        logmels: KeptLogMels,
        rows: np.ndarray,
        ids: np.ndarray,
        lengths: np.ndarray,
        recipe: Recipe,
        seed: int,
    ) -> list[TrainingWindows]:
        """Return what each network is trained with: all of the clips at `rows`, or those of its ID."""
        settings = cls._settings(recipe)
        windows = []
        for number in range(nets):
            own = rows if nets == 1 else rows[ids[rows] == number]
            of_net = TrainingWindows(
                logmels,
                own,
                ids=ids[own] if nets == 1 else np.zeros_like(own),
                lengths=lengths[own],
                frames=settings.frames,
                batch_size=settings.batch_size,
                seed=derived_seed(seed, _ORDER, number),
            )
            if len(of_net) < 2:
                raise DatasetError(
                    f"{cls.section}: {len(own)} clip(s) to train a network with, of a single window of "
                    f"{settings.frames} frames; expected more, or longer ones"
                )
            windows.append(of_net)
        return windows

    @classmethod
    def _train(
        cls,
        nets: Sequence[WindowNet],
        windows: Sequence[TrainingWindows],
        clips: TrainingClips,
        recipe: Recipe,
        options: FitOptions,
        levels: np.ndarray,
    ) -> dict[str, float]:
        """Train the networks, leave them in eval mode, and return the losses of the last epoch."""
        settings = cls._settings(recipe)
        history = train(
            nn.ModuleList(nets).to(resolve_device(options.device)),
            windows,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            section=cls.section,
            seed=options.seed,
            checkpoint=checkpoint_of(clips, cls._of_training(recipe), options, levels=levels),
            observer=options.on_event,
        )
        return history[-1]

    @classmethod
    def _calibration(
        cls,
        nets: Sequence[WindowNet],
        logmels: KeptLogMels,
        ids: np.ndarray,
        split: Split,
        names: tuple[str, ...],
        recipe: Recipe,
    ) -> Calibration:
        """Score the clips that were held out; the training clips stand in where none were."""
        rows = split.held_out if len(split.held_out) else split.train
        frames = cls._settings(recipe).frames
        parts = [
            clip_errors(nets, logmels.logmels(part), frames=frames, n_ids=len(names)) for part in chunks(rows)
        ]
        errors = np.concatenate(parts)
        return Calibration(
            kind="held_out" if len(split.held_out) else "training",
            indices=rows,
            machine_ids=tuple(names[i] for i in ids[rows]),
            scores={cls._score(): errors[np.arange(len(rows)), ids[rows]]},
            against_all={cls._score(): errors},
        )

    @classmethod
    def _of_training(cls, recipe: Recipe) -> Recipe:
        """Return the part that decides on the weights."""
        scoring = Scoring(
            holdout_fraction=recipe.scoring.holdout_fraction, holdout_clips=recipe.scoring.holdout_clips
        )
        parts: dict[str, Section] = {cls.section: cls._settings(recipe)}
        return Recipe(name="training", features=recipe.features, scoring=scoring, **parts)  # type: ignore[arg-type]

    def rescored(self, recipe: Recipe) -> Self:
        """Return the model as a fit with this recipe would have made it, which differs in `scoring` alone.

        Raises
        ------
        ParameterError
            If other clips are to be held out.
        """
        for name in ("holdout_fraction", "holdout_clips"):
            before, after = getattr(self._scoring, name), getattr(recipe.scoring, name)
            if before != after:
                raise ParameterError(
                    f"scoring.{name} = {after}: the network was trained with {before}; which clips are held out is a "
                    "matter of training: fit again"
                )
        return self

    def scores(
        self, inputs: Sequence[np.ndarray], *, num_threads: int | None = None
    ) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Log-Mels ``(n_mels, frames)`` float32 in dB, or an array ``(clips, n_mels, frames)``.
        num_threads
            Threads of torch; all cores if None.

        Returns
        -------
        dict of str to ndarray
            For the score ``(clips, ids)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, or one of another shape or with values that are not finite.
        """
        if not len(inputs):
            raise ArrayError("clips to score: given none; expected at least one")
        logmels = [checked_logmel(logmel, clip, self._n_mels) for clip, logmel in enumerate(inputs)]
        with torch_threads(num_threads):
            errors = clip_errors(
                self._nets,
                logmels,
                frames=self._frames,
                n_ids=len(self.machine_ids),
                precision=self._precision,
            )
        return {self._score(): errors}

    def explain(self, clip: ExplainedClip, machine_id: str, slopes: Mapping[str, float]) -> Attribution:
        """Say where in a clip its score against a known ID comes from, times the slope of its score."""
        column = self.machine_ids.index(machine_id)
        return attribution(
            cast(WindowNet, self._nets[column if len(self._nets) > 1 else 0]),
            clip,
            frames=self._frames,
            column=column,
            levels=self._levels,
            slope=slopes.get(self._score(), 0.0),
        )

    def compute_on(self, device: str, precision: ScoringPrecision) -> None:
        """Score on another device, or with other numbers, from now on.

        Raises
        ------
        DeviceError
            If it is not there.
        """
        resolved = resolve_device(device)
        self._nets.to(resolved)
        self.on_gpu = resolved.type == "cuda"
        self._precision = precision

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        weights = {k: v.cpu().contiguous().numpy() for k, v in _weights(self._nets).items()}
        calibration, metadata = self.held_out.state()
        arrays = prefixed("nets", weights) | prefixed("held_out", calibration) | {"levels": self._levels}
        return arrays, {
            "machine_ids": list(self.machine_ids),
            "held_out": metadata,
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores, on the CPU.

        Raises
        ------
        DetectorFileError
            If arrays or metadata are missing or do not fit the recipe.
        """
        with restoring(cls.section, recipe):
            names = tuple(map(str, metadata["machine_ids"]))
            nets = cls._new_nets(recipe, len(names), seed=0)  # the first weights are replaced
            weights = under("nets", arrays)
            every = nn.ModuleList(nets)
            _check_weights(weights, every, where=cls.section)
            loaded = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
            every.load_state_dict(every.state_dict() | loaded)
            held_out = Calibration.from_state(under("held_out", arrays), metadata["held_out"])
            if set(held_out.scores) != {cls._score()} or not set(held_out.machine_ids) <= set(names):
                raise DetectorFileError(f"{cls.section}: the calibration is of other scores or machine IDs")
            levels = arrays["levels"]
            if levels.shape != (recipe.features.n_mels,) or not np.isfinite(levels).all():
                raise DetectorFileError(f"{cls.section}: levels of shape {levels.shape}, or not finite")
            return cls(
                recipe,
                nets,
                machine_ids=names,
                held_out=held_out,
                levels=levels,
                notes=tuple(map(str, metadata["notes"])),
                provenance=dict(metadata["provenance"]),
            )


def _moments(logmels: KeptLogMels, clips: int) -> FrameMoments:
    return FrameMoments.joined([FrameMoments.of(logmels.logmels(part)) for part in chunks(np.arange(clips))])


def _notes(clips: TrainingClips, split: Split) -> tuple[str, ...]:
    if not len(split.held_out):
        return ("nothing is held out of training: thresholds come from clips that the network has seen",)
    return split.notes(clips)


def _weights(nets: nn.ModuleList) -> dict[str, torch.Tensor]:
    """Return all that scores depend on: not how many batches BatchNorm has seen."""
    return {k: v for k, v in nets.state_dict().items() if not k.endswith("num_batches_tracked")}


def _check_weights(weights: Mapping[str, np.ndarray], nets: nn.ModuleList, *, where: str) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in _weights(nets).items()}
    if {name: array.shape for name, array in weights.items()} != expected:
        raise DetectorFileError(f"{where}: weights of other names or shapes than the recipe's network has")
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise DetectorFileError(f"{where}: has weights that are not finite")
    if any((array < 0).any() for name, array in weights.items() if name.endswith("running_var")):
        raise DetectorFileError(f"{where}: has variances below 0")
