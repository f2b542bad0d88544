"""A detector: features, models of normal sound, standardisation, combination and thresholds in one saved file."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

import numpy as np
from threadpoolctl import threadpool_limits

from offkey import detector_file, inputs
from offkey.datasets import Clips, Dataset, LogMelArrays, find_audio, parse_machine_id
from offkey.errors import DatasetError, DetectorFileError, MissingExtraError, ParameterError
from offkey.inlier import InlierModel
from offkey.recipe import Recipe
from offkey.scoring.fusion import Fused, Fusion
from offkey.scoring.table import ScoreTable

__all__ = ["Detector", "Recordings", "load"]

Recordings: TypeAlias = (
    str | os.PathLike[str] | Sequence[str] | Sequence[os.PathLike[str]] | Clips | LogMelArrays
)
"""A folder, a file, several of them, a table of clips, or log-Mel arrays."""

_MODELS = {
    "spectral": "offkey.spectral.model:SpectralModel",
    "network": "offkey.training.model:NetworkModel",
}
"""Section of a recipe -> its model's class, imported only when a recipe asks for it: one of them needs torch."""


class Detector:
    """Learns how machines of one type sound when they work, and scores how far a recording is from that.

    Parameters
    ----------
    recipe
        What to compute and how; the default is `spectral`, which needs no torch and is fitted in seconds.

    Examples
    --------
    >>> import offkey
    >>> offkey.Detector().recipe.name
    'spectral'
    """

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.recipe = recipe or Recipe.named("spectral")
        self.machine: str | None = None
        """The machine type that the detector was fitted to."""
        self.notes: tuple[str, ...] = ()
        """What a user should know of the fit."""
        self._models: dict[str, InlierModel] = {}
        self._fusion: Fusion | None = None

    def __repr__(self) -> str:
        state = f"fitted to {self.machine}" if self._fusion else "not fitted"
        return f"Detector(recipe {self.recipe.name!r}, {state})"

    @property
    def machine_ids(self) -> tuple[str, ...]:
        """The machine IDs that the detector knows; none before `fit`."""
        return self._fusion.machine_ids if self._fusion else ()

    def fit(
        self,
        data: Dataset | LogMelArrays,
        *,
        seed: int = 0,
        device: str = "auto",
        num_threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        on_event: Callable[[Any], None] | None = None,
    ) -> Self:
        """Learn from the normal training clips of `data`; its test clips and their labels are never looked at.

        Parameters
        ----------
        data
            Recordings, or log-Mel arrays made elsewhere.
        seed
            Every random choice follows from it.
        device
            `auto`, `cpu` or `cuda`, for the network.
        num_threads
            Threads of the kernels; all cores if None. The result does not depend on it.
        checkpoint
            A file that the network writes after each epoch; a fit that was interrupted goes on from it.
        on_event
            Called with the events of `offkey.training.events` while the network trains.

        Returns
        -------
        Detector
            Itself.

        Raises
        ------
        DatasetError
            If there are too few normal clips to learn from, or none that can be read.
        DeviceError
            If the device is not there.
        MissingExtraError
            If the recipe has a network and torch is not installed.
        """
        network = _model_class("network") if self.recipe.network else None  # a missing torch is said at once
        clips = inputs.training(self.recipe, data, num_threads=num_threads)
        models: dict[str, InlierModel] = {}
        if self.recipe.spectral:
            # Its matrices are small: the threads of a BLAS would wait for each other longer than they compute,
            # ten times as long where two threads share a core.
            with threadpool_limits(1, user_api="blas"):
                models["spectral"] = _model_class("spectral").fit(
                    clips.statistics(),
                    clips.machine_ids,
                    clips.groups,
                    recipe=self.recipe,
                    seed=seed,
                    num_threads=num_threads,
                )
        if network:
            from offkey.training.data import TrainingClips
            from offkey.training.events import ignore

            models["network"] = network.fit(
                TrainingClips(**clips.network_clips()),
                recipe=self.recipe,
                seed=seed,
                device=device,
                num_threads=num_threads,
                checkpoint=Path(checkpoint) if checkpoint is not None else None,
                on_event=on_event or ignore,
            )
        data_notes = data.notes if isinstance(data, Dataset) else ()
        self.machine = data.machine if isinstance(data, Dataset) else None
        self.notes = (*data_notes, *clips.notes, *(note for model in models.values() for note in model.notes))
        self._models, self._fusion = models, Fusion.fit(list(models.values()), self.recipe.scoring)
        return self

    def score(
        self,
        recordings: Recordings,
        *,
        machine_id: str | None = None,
        device: str = "auto",
        num_threads: int | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> ScoreTable:
        """Score recordings, and decide which sound wrong.

        Parameters
        ----------
        recordings
            A folder that is searched for sound files, a file, several of them, a table of clips, or log-Mels.
        machine_id
            The ID of all of them. By default it is the table's, or is read from each path (``id_XX``); a clip of an
            unknown ID is scored as the known one that it is nearest to, which the column `scored_as` names.
        device
            `auto`, `cpu` or `cuda`, for the network.
        num_threads
            Threads of the kernels; all cores if None. The result does not depend on it.
        on_progress
            Called with (done, total) clips.

        Returns
        -------
        ScoreTable
            A row for each recording, in order; one that cannot be read has no score, and says why in `error`.

        Raises
        ------
        FileNotFoundError
            If a folder or file does not exist.
        DatasetError
            If there is no recording.
        """
        fusion = self._fitted()
        if "network" in self._models:
            cast(Any, self._models["network"]).use_device(device)
        rows = _Rows.of(recordings, self.machine, machine_id)
        for chunk in rows.chunks(self.recipe, num_threads, on_progress):
            rows.errors |= chunk.errors
            if len(chunk.positions):
                raw = self._raw(chunk)
                fused = fusion.apply(raw, [rows.machine_ids[i] for i in chunk.positions])
                rows.fill(chunk.positions, raw, fused, fusion.machine_ids)
        return rows.table()

    def embeddings(self, recordings: Recordings, *, num_threads: int | None = None) -> np.ndarray:
        """Return the network's embeddings ``(clips, embedding_dim)`` float64 of recordings as `score` takes them.

        Raises
        ------
        ParameterError
            If the recipe has no network.
        AudioError
            If a recording cannot be read.
        """
        self._fitted()
        if "network" not in self._models:
            raise ParameterError(f"recipe {self.recipe.name!r} has no network, and so no embeddings")
        parts = []
        for chunk in _Rows.of(recordings, self.machine, None).chunks(self.recipe, num_threads, None):
            for error in chunk.errors.values():
                raise error
            parts.append(cast(Any, self._models["network"]).embeddings(chunk.logmels))
        return np.concatenate(parts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector to one file: safetensors with JSON metadata, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        fusion = self._fitted()
        arrays: dict[str, np.ndarray] = {}
        models: dict[str, Any] = {}
        for name, model in self._models.items():
            model_arrays, models[name] = model.state()
            arrays |= {f"{name}.{key}": array for key, array in model_arrays.items()}
        metadata = {
            "recipe": self.recipe.to_json(),
            "machine": self.machine,
            "notes": list(self.notes),
            "models": models,
            "fusion": fusion.state(),
        }
        detector_file.write(Path(path), arrays, metadata)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a detector that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        DetectorFileError
            If the file is no detector, is damaged, or comes from a newer version.
        MissingExtraError
            If it holds a network and torch is not installed.
        """
        arrays, metadata = detector_file.read(Path(path))
        try:
            detector = cls(Recipe.from_json(metadata["recipe"]))
            detector.machine, detector.notes = metadata["machine"], tuple(metadata["notes"])
            for name, state in metadata["models"].items():
                detector._models[name] = _model_class(name).from_state(
                    detector.recipe, _part(arrays, name), state
                )
            detector._fusion = Fusion.from_state(metadata["fusion"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DetectorFileError(f"{path}: its contents contradict each other: {error!r}") from error
        return detector

    def describe(self) -> dict[str, Any]:
        """Return what the detector is, as plain data: recipe, machine, IDs, scores, thresholds, notes."""
        fusion = self._fitted()
        return {
            "recipe": self.recipe.name,
            "machine": self.machine,
            "machine_ids": list(fusion.machine_ids),
            "scores": sorted(name for model in self._models.values() for name in model.score_names),
            "combined": list(fusion.chosen),
            "thresholds": dict(zip(fusion.machine_ids, fusion.thresholds.values.tolist(), strict=True)),
            "quantile": self.recipe.scoring.quantile,
            "sample_rate": self.recipe.features.sample_rate,
            "notes": list(self.notes),
        }

    def _raw(self, chunk: inputs.Chunk) -> dict[str, np.ndarray]:
        raw: dict[str, np.ndarray] = {}
        for name, model in self._models.items():
            raw |= model.scores(chunk.statistics if name == "spectral" else chunk.logmels)
        return raw

    def _fitted(self) -> Fusion:
        if self._fusion is None:
            raise ParameterError("detector: not fitted yet; call `fit` first, or `offkey.load` a saved one")
        return self._fusion


def load(path: str | os.PathLike[str]) -> Detector:
    """Read a saved detector: the same as `Detector.load`."""
    return Detector.load(path)


def _model_class(name: str) -> Any:
    module, _, attribute = _MODELS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            "this recipe has a network, which needs torch: pip install 'offkey[train]', or use recipe 'spectral'"
        ) from None


def _part(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


class _Rows:
    """The columns of a score table while they are filled, chunk by chunk."""

    def __init__(
        self,
        source: Sequence[Path] | LogMelArrays,
        *,
        machine: str | None,
        machine_ids: Sequence[str | None],
        labels: Sequence[int | None],
        paths: Sequence[str],
    ) -> None:
        self.machine_ids = list(machine_ids)
        self.errors: dict[int, Exception] = {}
        self._source = source
        self._machine = machine
        self._labels = list(labels)
        self._paths = list(paths)
        self._scores: dict[str, np.ndarray] = {}
        self._scored_as: list[str | None] = [None] * len(paths)
        self._decision: list[int | None] = [None] * len(paths)

    @classmethod
    def of(cls, recordings: Recordings, machine: str | None, machine_id: str | None) -> _Rows:
        """Return a row for each recording; `machine_id` is that of all of them, or None."""
        if isinstance(recordings, LogMelArrays):
            ids: list[str | None] = [machine_id or own for own in recordings.machine_ids]
            names = [f"clip {i}" for i in range(len(ids))]
            return cls(recordings, machine=machine, machine_ids=ids, labels=[None] * len(ids), paths=names)
        if isinstance(recordings, Clips):
            if not len(recordings):
                raise DatasetError(
                    "recordings: the table of clips is empty; expected at least one clip to score"
                )
            ids = [machine_id or own for own in recordings.machine_ids]
            paths, labels = recordings.paths, [clip.label for clip in recordings]
        else:
            paths = find_audio(recordings)
            ids = [machine_id or parse_machine_id(path) for path in paths]
            labels = [None] * len(paths)
        names = [str(path) for path in paths]
        return cls(paths, machine=machine, machine_ids=ids, labels=labels, paths=names)

    def chunks(
        self, recipe: Recipe, num_threads: int | None, on_progress: inputs.Progress | None
    ) -> Iterator[inputs.Chunk]:
        """Decode chunk by chunk."""
        if isinstance(self._source, LogMelArrays):
            return inputs.chunks_of_arrays(recipe.features, self._source)
        return inputs.chunks_of_files(
            recipe.features, self._source, num_threads=num_threads, on_progress=on_progress
        )

    def fill(
        self, positions: np.ndarray, raw: dict[str, np.ndarray], fused: Fused, known: Sequence[str]
    ) -> None:
        """Enter the scores of some clips: of each clip the column of the ID that it was scored as."""
        rows = np.arange(len(positions))
        own = {name: matrix[rows, fused.column] for name, matrix in raw.items()}
        for name, values in (own | {"anomaly_score": fused.anomaly_score}).items():
            column = self._scores.setdefault(name, np.full(len(self._paths), np.nan))
            column[positions] = values
        for position, column_index, decision in zip(positions, fused.column, fused.decision, strict=True):
            self._scored_as[position] = known[column_index]
            self._decision[position] = int(decision)

    def table(self) -> ScoreTable:
        """Return the finished table."""
        scores: dict[str, Any] = dict(self._scores)
        return ScoreTable(
            path=self._paths,
            machine_type=[self._machine] * len(self._paths),
            machine_id=self.machine_ids,
            scored_as=self._scored_as,
            **scores,
            decision=self._decision,
            label=self._labels,
            error=[str(self.errors[i]) if i in self.errors else None for i in range(len(self._paths))],
        )
