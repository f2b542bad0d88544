"""What a fitted detector consists of: models, their fusion, and a record of the training; and its file."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import math
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from offkey import detector_file
from offkey._util.named_arrays import prefixed, under
from offkey._util.threads import one_ahead
from offkey.datasets import Dataset, LogMelArrays, TrainingClips
from offkey.datasets.channels import ChannelChoice, decoded_channel
from offkey.datasets.quality import Conditions
from offkey.datasets.source import Chunk, Source
from offkey.datasets.statistics_plan import Measures, StatisticsPlan
from offkey.errors import ArrayError, DetectorFileError, DeviceError, MissingExtraError, OffkeyError
from offkey.history import Event
from offkey.models.base import (
    FitOptions,
    InlierModel,
    LearnedClips,
    check_device,
    check_scoring_precision,
    kinds_of,
    model_class,
)
from offkey.recipe import Features, Recipe, Scoring, ScoringPrecision
from offkey.scoring.confirmed import Confirmed
from offkey.scoring.fusion import Fusion
from offkey.signal.statistics import RHYTHM_BANDS, RHYTHM_RATES
from offkey.training_record import KeepStatistics, TrainingRecord, provenance

__all__ = ["Fitted"]

_RATES = (0.1, 0.05, 0.01, 0.001)
"""False-alarm rates whose thresholds a description has."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted recipe."""

    recipe: Recipe
    machine: str | None
    models: Mapping[str, InlierModel]
    """By name, in the order of the recipe."""
    fusion: Fusion
    data_notes: tuple[str, ...]
    """What a user should know of the clips."""
    record: TrainingRecord | None
    """None for detectors of offkey 0.1.0."""
    channels: ChannelChoice | None
    """The channel that was learned; None where no recordings were, and in offkey 0.1.0."""
    clip_seconds: float | None
    """Recordings longer than twice this are cut into windows of it; None: they are not, as in offkey 0.1.0."""
    confirmed: Mapping[str, Confirmed] = dataclasses.field(default_factory=dict)
    """ID -> its threshold below confirmed anomalies, where that is below the one of the false-alarm rate."""
    history: tuple[Event, ...] = ()
    """What has been done to the detector; none in files that do not have it."""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        data: Dataset | LogMelArrays,
        clips: TrainingClips,
        options: FitOptions,
        *,
        keep_statistics: KeepStatistics,
    ) -> Self:
        """Fit every model of the recipe, and the fusion of their scores."""
        kinds = kinds_of(recipe)
        models = {kind.name: model_class(kind).fit(clips, recipe=recipe, options=options) for kind in kinds}
        facts = provenance(options.seed, data, others=any(kind.others for kind in kinds))
        facts |= {name: dict(model.provenance) for name, model in models.items() if model.provenance}
        return cls(
            recipe=recipe,
            machine=data.machine if isinstance(data, Dataset) else None,
            models=models,
            fusion=Fusion.fit(list(models.values()), recipe.scoring),
            data_notes=(*(data.notes if isinstance(data, Dataset) else ()), *clips.notes),
            record=TrainingRecord.of(
                clips,
                plan=_plan(recipe, models),
                provenance=facts,
                keep=keep_statistics,
                seed=options.seed,
            ),
            channels=clips.channels,
            clip_seconds=recipe.training.clip_seconds,
            history=(Event(kind="fit", time=None, clips=dict(collections.Counter(clips.machine_ids))),),
        )

    def rescored(self, scoring: Scoring, *, name: str) -> Self:
        """Return what a fit with another `scoring` would have given, without fitting anew.

        Thresholds of confirmed anomalies are not kept: they are among other scores.

        Raises
        ------
        ParameterError
            If the training depends on what changes, or its file kept too little.
        RecipeError
            If `scoring` asks for a score that the models do not give.
        """
        recipe = self.recipe.replace(name=name, scoring=scoring)
        models = {key: model.rescored(recipe) for key, model in self.models.items()}
        fusion = Fusion.fit(list(models.values()), scoring)
        return dataclasses.replace(self, recipe=recipe, models=models, fusion=fusion, confirmed={})

    def updated(
        self, clips: TrainingClips, *, record: TrainingRecord, data: str, num_threads: int | None
    ) -> Self:
        """Return what follows from further normal clips, the models' choices and networks' weights left as they are.

        Thresholds of confirmed anomalies become those of the false-alarm rates that they had.

        Parameters
        ----------
        clips
            Of known IDs.
        record
            What is kept of the clips so far.
        data
            A fingerprint of the new ones.
        num_threads
            Threads of kernels and of torch; all cores if None.

        Raises
        ------
        ParameterError
            If a model has to be fitted again.
        """
        learned = LearnedClips(
            machine_ids=record.machine_ids,
            groups=record.groups,
            indices=record.indices,
            statistics=record.statistics,
        )
        models = {
            name: model.updated(clips, recipe=self.recipe, learned=learned, num_threads=num_threads)
            for name, model in self.models.items()
        }
        fusion = Fusion.fit(list(models.values()), self.recipe.scoring)
        state = dataclasses.replace(
            self,
            models=models,
            fusion=fusion,
            record=record.updated(clips, data=data),
            confirmed={
                name: confirmed.among(fusion.null.of(name, rate=self.false_alarm_rate))
                for name, confirmed in self.confirmed.items()
            },
        )
        event = Event.now(
            "update",
            clips=dict(collections.Counter(clips.machine_ids)),
            thresholds_before=_of_ids(self.thresholds()),
            thresholds=_of_ids(state.thresholds()),
        )
        return dataclasses.replace(state, history=(*self.history, event))

    @property
    def features(self) -> Features:
        """The recipe's features, with the channel that was learned."""
        if self.channels is None:
            return self.recipe.features
        return msgspec.structs.replace(self.recipe.features, channel=self.channels.channel)

    @property
    def plan(self) -> StatisticsPlan:
        """What is measured of clips beside the statistics of their log-Mels."""
        return _plan(self.recipe, self.models)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the fit."""
        of_models = (note for model in self.models.values() for note in model.notes)
        of_rate = self.fusion.null.notes(self.false_alarm_rate)
        return (*self.data_notes, *of_models, *self.fusion.notes, *of_rate)

    @property
    def conditions(self) -> Conditions | None:
        """How the training clips were recorded, where that is known."""
        return self.record.conditions if self.record else None

    @property
    def false_alarm_rate(self) -> float:
        """The share of healthy recordings that may be called anomalous, where no other is asked for."""
        return self.recipe.scoring.false_alarm_rate

    def thresholds(self, rate: float | None = None) -> dict[str | None, float]:
        """Return the threshold of each ID, and under None that of recordings whose ID is unknown.

        Without a rate they are those that decide if no rate is asked for: also those of confirmed anomalies.
        """
        if rate is not None:
            return self.fusion.null.thresholds(rate)
        of_rate = self.fusion.null.thresholds(self.false_alarm_rate)
        return of_rate | {name: confirmed.threshold for name, confirmed in self.confirmed.items()}

    def apart_calibration(self) -> dict[str | None, np.ndarray]:
        """Return rising scores of calibration clips that no model has seen, of IDs whose clips are whole recordings.

        Under None are those of clips as if their IDs were not known, where the models tell that.
        """
        if any(model.held_out.kind == "training" for model in self.models.values()):
            return {}
        null = self.fusion.null
        groups: dict[str, list[int]] = {}
        if self.record is not None:
            for name, group in zip(self.record.machine_ids, self.record.groups.tolist(), strict=True):
                groups.setdefault(name, []).append(group)
        apart = {name for name in null.ids if len(set(own := groups.get(name, []))) == len(own)}
        calibration: dict[str | None, np.ndarray] = {
            name: own for name, own in zip(null.ids, null.own, strict=True) if name in apart and len(own)
        }
        if len(apart) == len(null.ids) and (
            len(null.ids) == 1 or not np.array_equal(null.nearest, null.pooled)
        ):
            calibration[None] = null.nearest
        return calibration

    @property
    def parameters(self) -> int:
        """How many numbers the fit has set."""
        return sum(model.parameters for model in self.models.values())

    def prepared(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """Return the chunks; where a GPU scores, the next is read and its features are computed meanwhile."""
        if not any(model.on_gpu for model in self.models.values()):
            return chunks
        return one_ahead(map(self._with_features, chunks))

    def _with_features(self, chunk: Chunk) -> Chunk:
        with contextlib.suppress(ArrayError):  # said of the very clip when it is scored
            for kind in kinds_of(self.recipe):
                getattr(chunk, kind.inputs)
            _ = chunk.quality
        return chunk

    def compute_on(self, device: str, precision: ScoringPrecision) -> None:
        """Compute on another device, or with other numbers, from now on.

        Raises
        ------
        ParameterError, DeviceError
            If there is no device or precision of this name.
        """
        check_device(device)
        check_scoring_precision(precision)
        for model in self.models.values():
            model.compute_on(device, precision)

    def scores(self, chunk: Chunk, num_threads: int | None) -> dict[str, np.ndarray]:
        """Return every raw score of some clips, ``(clips, ids)`` each."""
        raw: dict[str, np.ndarray] = {}
        for kind in kinds_of(self.recipe):
            raw |= self.models[kind.name].scores(getattr(chunk, kind.inputs), num_threads=num_threads)
        return raw

    def describe(self) -> dict[str, Any]:
        """Return all this as plain data."""
        thresholds = self.thresholds()
        null = self.fusion.null
        return {
            "recipe": self.recipe.name,
            "machine": self.machine,
            "machine_ids": list(self.fusion.machine_ids),
            "scores": sorted(name for model in self.models.values() for name in model.score_names),
            "combined": list(self.fusion.chosen),
            "select_auc": self.fusion.criteria,
            "false_alarm_rate": self.false_alarm_rate,
            "thresholds": _of_ids(thresholds),
            "threshold_of_unknown_ids": thresholds[None],
            "thresholds_at": {f"{rate:g}": _of_ids(self.thresholds(rate)) for rate in _RATES},
            "confirmed": {name: confirmed.state() for name, confirmed in self.confirmed.items()},
            "calibration_clips": dict(zip(null.ids, map(len, null.own), strict=True)),
            "calibration": {name: null.of(name, rate=self.false_alarm_rate).kind for name in null.ids},
            "parameters": self.parameters,
            "sample_rate": self.recipe.features.sample_rate,
            "channel": decoded_channel(self.features),
            "channels_in_training": self.channels.describe() if self.channels else None,
            "clip_seconds": self.clip_seconds,
            "training_clips": len(self.record.machine_ids) if self.record else None,
            "clips_with_statistics": len(self.record.indices) if self.record else None,
            "recorded": self.conditions.state() if self.conditions else None,
            "provenance": dict(self.record.provenance) if self.record else None,
            "history": [event.state() for event in self.history],
            "notes": list(self.notes),
        }

    # ------------------------------------------------------------------------------------------- the file

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        detector_file.write(path, *self._content())

    @property
    def fingerprint(self) -> str:
        """What stands for all that the detector is: the checksum of its file."""
        return detector_file.fingerprint(*self._content())

    def _content(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what its file holds."""
        arrays: dict[str, np.ndarray] = {}
        states: dict[str, Any] = {}
        for name, model in self.models.items():
            model_arrays, states[name] = model.state()
            arrays |= prefixed(name, model_arrays)
        training = None
        if self.record is not None:
            record_arrays, training = self.record.state()
            arrays |= prefixed("training", record_arrays)
        return arrays, {
            "recipe": self.recipe.to_json(),
            "machine": self.machine,
            "notes": list(self.data_notes),
            "models": states,
            "fusion": self.fusion.state(),
            "training": training,
            "channels": self.channels and self.channels.state(),
            "clip_seconds": self.clip_seconds,
            "confirmed": {name: confirmed.state() for name, confirmed in self.confirmed.items()},
            "history": [event.state() for event in self.history],
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        DetectorFileError
            If the file is no detector, is damaged, or comes from a newer version.
        MissingExtraError
            If it holds a network and torch is not installed.
        """
        arrays, metadata = detector_file.read(path)
        try:
            fitted = cls._restored(arrays, metadata)
            fitted._check_on_silence()
        except (MissingExtraError, DeviceError):
            raise
        except OffkeyError as error:
            raise DetectorFileError(f"{path}: {_in_one_line(error)}") from None
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as e:
            # Arrays of other shapes and metadata of other kinds than `write` writes: whatever stumbles over them
            # first, to the user it is the file.
            raise DetectorFileError(
                f"{path}: its contents contradict each other: {type(e).__name__}: {_in_one_line(e)}"
            ) from e
        return fitted

    @classmethod
    def _restored(cls, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        recipe = Recipe.from_json(metadata["recipe"])
        machine, notes, training = metadata["machine"], metadata["notes"], metadata["training"]
        if not (isinstance(machine, str | None) and isinstance(training, dict | None)):
            raise DetectorFileError("machine or training: expected a text, and a record of the training")
        if not isinstance(notes, list) or not all(isinstance(text, str) for text in notes):
            raise DetectorFileError("notes: expected a list of texts")
        if set(metadata["models"]) != set(recipe.models):
            raise DetectorFileError(
                f"models: has {', '.join(metadata['models'])}; its recipe asks for {', '.join(recipe.models)}"
            )
        models = {}
        for kind in kinds_of(recipe):
            state = metadata["models"][kind.name]
            model = model_class(kind).from_state(recipe, under(kind.name, arrays), state)
            _check_calibration(kind.name, model)
            models[kind.name] = model
        record = TrainingRecord.from_state(under("training", arrays), training) if training else None
        fusion = Fusion.from_state(metadata["fusion"], list(models.values()))
        fitted = cls(
            recipe=recipe,
            machine=machine,
            models=models,
            fusion=fusion,
            data_notes=tuple(notes),
            record=record,
            channels=None
            if (channels := metadata.get("channels")) is None
            else ChannelChoice.from_state(channels),
            clip_seconds=_checked_seconds(metadata.get("clip_seconds")),
            confirmed=_restored_confirmed(metadata.get("confirmed", {}), fusion.machine_ids),
            history=_restored_history(metadata.get("history", [])),
        )
        if record is not None:
            _check_record(record, fitted)
        return fitted

    def _check_on_silence(self) -> None:
        """Score a made-up clip: parts of a file that do not fit each other show here, not at the first recording."""
        if not all(model.scores_silence for model in self.models.values()):
            return
        features, plan = self.features, self.plan
        silence = np.zeros(Measures(features, plan).sufficient_samples, np.float32)
        source = Source.of(silence, features=features, plan=plan, sample_rate=features.sample_rate)
        chunk = next(source.chunks())
        with np.errstate(all="ignore"):
            raw = self.scores(chunk, 1)
        shapes = {name: matrix.shape for name, matrix in raw.items()}
        known = self.fusion.machine_ids
        expected = {name: (1, len(known)) for name in self.fusion.score_names}
        ids = {model.machine_ids for model in self.models.values()}
        if shapes != expected or ids != {known}:
            raise DetectorFileError(
                f"its models give {shapes} for the IDs {ids}; expected {expected} for {known}"
            )
        if not all(np.isfinite(matrix).all() for matrix in raw.values()):
            raise DetectorFileError("its models give scores that are not finite")


def _of_ids(thresholds: Mapping[str | None, float]) -> dict[str, float]:
    return {name: value for name, value in thresholds.items() if name is not None}


def _check_calibration(name: str, model: InlierModel) -> None:
    for part in (model.held_out, model.standardise_on):
        if set(part.scores) != set(model.score_names):
            raise DetectorFileError(
                f"{name}: held-out scores {', '.join(part.scores)}; expected {', '.join(model.score_names)}"
            )


def _plan(recipe: Recipe, models: Mapping[str, InlierModel]) -> StatisticsPlan:
    """Return the part of the recipe's plan that its models look at."""
    plans = [StatisticsPlan()]
    for kind in kinds_of(recipe):
        if kind.statistics is not None:
            plan = kind.statistics(recipe.models[kind.name], recipe.features)
            used = models[kind.name].further_statistics
            plans.append(plan if used is None else plan.narrowed(used))
    return functools.reduce(operator.or_, plans)


def _check_record(record: TrainingRecord, fitted: Fitted) -> None:
    """Refuse statistics that are not what is measured, and calibration clips that are not those of the record."""
    models, plan, features = fitted.models, fitted.plan, fitted.features
    widths = {name: array.shape[1] for name, array in record.statistics.arrays().items()}
    expected = dict.fromkeys(("mean", "lstd", "ldstd", "p5"), features.n_mels)
    expected |= {"fine_mean": sum(fine.n_mels for fine in plan.fine)} if plan.fine else {}
    expected |= {"rhythm": RHYTHM_BANDS * RHYTHM_RATES} if plan.rhythm else {}
    if len(record.indices) and widths != expected:
        raise DetectorFileError(f"training: statistics of {widths} numbers; expected {expected}")
    for name, model in models.items():
        indices, clips = model.held_out.indices.tolist(), len(record.machine_ids)
        if not all(0 <= i < clips for i in indices) or model.held_out.machine_ids != tuple(
            record.machine_ids[i] for i in indices
        ):
            raise DetectorFileError(
                f"{name}: calibration clips that are not among the {clips} training clips"
            )


def _restored_confirmed(state: Any, machine_ids: tuple[str, ...]) -> dict[str, Confirmed]:
    if not isinstance(state, dict) or not set(state) <= set(machine_ids):
        raise DetectorFileError(f"confirmed: {state!r}; expected thresholds of some of the IDs {machine_ids}")
    return {name: Confirmed.from_state(of_id) for name, of_id in state.items()}


def _restored_history(state: Any) -> tuple[Event, ...]:
    if not isinstance(state, list):
        raise DetectorFileError(f"history: {state!r}; expected a list of events")
    return tuple(map(Event.from_state, state))


def _checked_seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise DetectorFileError(f"clip_seconds = {value!r}: expected seconds above 0")
    return float(value)


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 400 else text[:400] + " ..."
