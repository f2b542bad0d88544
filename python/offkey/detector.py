"""A detector: features, models of normal sound, standardisation, combination and thresholds in one saved file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from threadpoolctl import threadpool_limits

from offkey import detector_file, inputs
from offkey.datasets import Clips, Dataset, LogMelArrays
from offkey.errors import (
    ArrayError,
    DatasetError,
    DetectorFileError,
    DeviceError,
    MissingExtraError,
    OffkeyError,
    OffkeyWarning,
    ParameterError,
)
from offkey.models import registry as models
from offkey.models.base import InlierModel
from offkey.recipe import Recipe
from offkey.rows import Recordings, Rows
from offkey.scores import ScoreTable
from offkey.scoring.fusion import Fusion
from offkey.signal.logmel import LogMel

__all__ = ["Detector", "Recordings", "load"]


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
        self.unread: tuple[str, ...] = ()
        """Which training recordings could not be read, and why; not saved."""
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
        precision: str = "auto",
        compile: bool = False,  # noqa: A002
        num_threads: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
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
        precision
            What the network is trained with: `float32`, `bfloat16` (weights and losses stay float32), or `auto`:
            bfloat16 where the device multiplies in it by itself.
        compile
            Put the network through `torch.compile` while it trains.
        num_threads
            Threads of the kernels; all cores if None. The result does not depend on it.
        cache
            A folder where the decoded training clips are kept for the next fit; see `offkey.datasets.cache`. Worth it
            where decoding takes long: many channels, another rate, a slow disk.
        checkpoint
            A file that the network writes after each epoch; a fit that was interrupted goes on from it.
        on_progress
            Called with (done, total) recordings while they are read.
        on_event
            Called with the events of `offkey.models.network.events` while the network trains.

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
        ParameterError
            If a parameter, or a size in the recipe, is outside its range.
        TrainingError
            If the checkpoint is of another training, or there is nothing for the network to learn.
        """
        network = models.check_fit(
            self.recipe,
            data,
            seed=seed,
            device=device,
            precision=precision,
            checkpoint=None if checkpoint is None else Path(checkpoint),
        )
        clips = inputs.training(
            self.recipe,
            data,
            num_threads=num_threads,
            cache=None if cache is None else Path(cache),
            on_progress=on_progress,
        )
        fitted: dict[str, InlierModel] = {}
        if self.recipe.spectral:
            # Its matrices are small: the threads of a BLAS would wait for each other longer than they compute,
            # ten times as long where two threads share a core.
            with threadpool_limits(1, user_api="blas"):
                fitted["spectral"] = models.model_class("spectral").fit(
                    clips.statistics(),
                    clips.machine_ids,
                    clips.groups,
                    recipe=self.recipe,
                    seed=seed,
                    num_threads=num_threads,
                )
        if network:
            from offkey.models.network.events import ignore

            fitted["network"] = network.fit(
                clips,
                recipe=self.recipe,
                seed=seed,
                device=device,
                precision=precision,
                compile=compile,
                num_threads=num_threads,
                checkpoint=Path(checkpoint) if checkpoint is not None else None,
                on_event=on_event or ignore,
            )
        data_notes = data.notes if isinstance(data, Dataset) else ()
        fusion = Fusion.fit(list(fitted.values()), self.recipe.scoring)
        self.machine = data.machine if isinstance(data, Dataset) else None
        model_notes = (note for model in fitted.values() for note in model.notes)
        self.notes = (*data_notes, *clips.notes, *model_notes, *fusion.notes)
        self.unread = clips.unread
        self._models, self._fusion = fitted, fusion
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
        DeviceError
            If the device is not there.

        Warns
        -----
        OffkeyWarning
            If recordings were resampled, or an ID is not known.
        """
        fusion = self._fitted()
        self._use_device(device)
        rows = Rows.of(recordings, self.machine, machine_id, self.machine_ids)
        rates = inputs.SourceRates(self.recipe.features.sample_rate)
        for chunk in rows.chunks(self.recipe, num_threads, on_progress):
            rows.errors |= chunk.errors
            rates.add((rows.paths[i] for i in chunk.positions[: len(chunk.source_rates)]), chunk.source_rates)
            for part, raw in self._raw_parts(chunk, rows):
                fused = fusion.apply(raw, [rows.machine_ids[i] for i in part.positions])
                rows.fill(part.positions, raw, fused, fusion.machine_ids)
        advice = ", so the detector hears silence there, unless it was trained on such recordings"
        for note in (*rates.notes("recording", advice=advice), *rows.unknown_ids(fusion.machine_ids)):
            warnings.warn(note, OffkeyWarning, stacklevel=2)
        return rows.table()

    def _raw_parts(
        self, chunk: inputs.Chunk, rows: Rows
    ) -> Iterator[tuple[inputs.Chunk, dict[str, np.ndarray]]]:
        """Yield the scores of a chunk; clip by clip where one cannot be scored, which then has an error."""
        if not len(chunk.positions):
            return
        try:
            yield chunk, self._raw(chunk)
        except ArrayError as error:
            if len(chunk.positions) > 1:
                for part in chunk.split():
                    yield from self._raw_parts(part, rows)
            else:
                position = int(chunk.positions[0])
                rows.errors[position] = ArrayError(f"{rows.paths[position]}: {error}")

    def score_oracle(
        self, test: Clips, *, device: str = "auto", num_threads: int | None = None
    ) -> ScoreTable:
        """Score labelled test clips by the combination of scores that their own labels rank best.

        It peeks, and so is no result: for comparison with tables of papers that chose by test data.

        Parameters
        ----------
        test
            Clips of known IDs with labels of both classes.
        device, num_threads
            As for `score`.

        Returns
        -------
        ScoreTable
            As `score` gives it, but for `anomaly_score`; without decisions.

        Raises
        ------
        DatasetError
            If a clip cannot be read, or its ID or its label is not known.
        """
        table = self.score(test, device=device, num_threads=num_threads)
        for row in table.rows():
            if row["error"] or row["label"] is None or row["machine_id"] not in self.machine_ids:
                reason = row["error"] or "its label or its ID is not known"
                raise DatasetError(f"oracle: {row['path']}: {reason}; expected labelled clips of known IDs")
        fusion = self._fitted()
        raw = {name: table.scores(name) for name in fusion.score_names}
        ids = [str(machine_id) for machine_id in table.machine_id]
        _, scores = fusion.oracle(raw, ids, table.label)
        rows = [
            row | {"anomaly_score": score, "decision": None}
            for row, score in zip(table.rows(), scores.tolist(), strict=True)
        ]
        return ScoreTable.from_rows(rows)

    def standardised(self, scores: ScoreTable) -> dict[str, np.ndarray]:
        """Return the raw scores of a table that `score` has given in deviations from the mean of their ID.

        Parameters
        ----------
        scores
            Each row is standardised for the ID in its column `scored_as`.

        Returns
        -------
        dict
            For each raw score ``(rows,)`` float64; NaN for recordings that could not be scored.

        Raises
        ------
        ParameterError
            If the detector is not fitted.
        ArrayError
            If the table lacks a score or names an ID that the detector does not know.
        """
        fusion = self._fitted()
        rows = np.flatnonzero([name is not None for name in scores.scored_as])
        ids = [str(scores.scored_as[row]) for row in rows]
        z = fusion.standardised({name: scores.scores(name)[rows] for name in fusion.score_names}, ids)
        full = {name: np.full(len(scores), np.nan) for name in z}
        for name, values in z.items():
            full[name][rows] = values
        return full

    @property
    def parameters(self) -> int:
        """How many numbers the fit has set: the network's weights, or means and factors in closed form."""
        self._fitted()
        return sum(model.parameters for model in self._models.values())

    def embeddings(
        self, recordings: Recordings, *, device: str = "auto", num_threads: int | None = None
    ) -> np.ndarray:
        """Return the network's embeddings ``(clips, embedding_dim)`` float64 of recordings as `score` takes them.

        Parameters
        ----------
        recordings, device, num_threads
            As for `score`.

        Raises
        ------
        ParameterError
            If the recipe has no network.
        DeviceError
            If the device is not there.
        AudioError
            If a recording cannot be read.
        """
        self._fitted()
        if "network" not in self._models:
            raise ParameterError(f"recipe {self.recipe.name!r} has no network, and so no embeddings")
        self._use_device(device)
        parts = []
        for chunk in Rows.of(recordings, self.machine, None, self.machine_ids).chunks(
            self.recipe, num_threads, None
        ):
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
        states: dict[str, Any] = {}
        for name, model in self._models.items():
            model_arrays, states[name] = model.state()
            arrays |= {f"{name}.{key}": array for key, array in model_arrays.items()}
        metadata = {
            "recipe": self.recipe.to_json(),
            "machine": self.machine,
            "notes": list(self.notes),
            "models": states,
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
            return cls._restored(arrays, metadata)
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
            # Arrays of other shapes and metadata of other kinds than `save` writes: whatever stumbles over them
            # first, to the user it is the file.
            raise DetectorFileError(
                f"{path}: its contents contradict each other: {type(e).__name__}: {_in_one_line(e)}"
            ) from e

    @classmethod
    def _restored(cls, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        detector = cls(Recipe.from_json(metadata["recipe"]))
        detector.machine, detector.notes = metadata["machine"], tuple(metadata["notes"])
        if not all(isinstance(text, str) for text in (detector.machine or "", *detector.notes)):
            raise DetectorFileError("machine or notes: expected texts")
        expected = {name for name in models.MODELS if getattr(detector.recipe, name)}
        if set(metadata["models"]) != expected:
            raise DetectorFileError(
                f"models: has {', '.join(metadata['models'])}; its recipe asks for {', '.join(expected)}"
            )
        for name, state in metadata["models"].items():
            model = models.model_class(name).from_state(detector.recipe, _part(arrays, name), state)
            for part in (model.held_out, model.standardise_on):
                if set(part.scores) != set(model.score_names):
                    raise DetectorFileError(
                        f"{name}: held-out scores {', '.join(part.scores)}; expected {', '.join(model.score_names)}"
                    )
            detector._models[name] = model
        detector._fusion = Fusion.from_state(metadata["fusion"])
        detector._check_on_silence()
        return detector

    def _check_on_silence(self) -> None:
        """Score a made-up clip: parts of a file that do not fit each other show here, not at the first recording."""
        fusion = self._fitted()
        features = self.recipe.features
        LogMel.from_recipe(features)
        silence = LogMelArrays(logmels=np.zeros((1, features.n_mels, 8), np.float32), machine_ids=("?",))
        with np.errstate(all="ignore"):
            raw = self._raw(next(inputs.chunks_of_arrays(features, silence)))
        shapes = {name: matrix.shape for name, matrix in raw.items()}
        expected = {name: (1, len(fusion.machine_ids)) for name in fusion.score_names}
        own = {model.machine_ids for model in self._models.values()}
        if shapes != expected or own != {fusion.machine_ids}:
            raise DetectorFileError(
                f"its models give {shapes} for the IDs {own}; expected {expected} for {fusion.machine_ids}"
            )
        if not all(np.isfinite(matrix).all() for matrix in raw.values()):
            raise DetectorFileError("its models give scores that are not finite")

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
            "parameters": self.parameters,
            "quantile": self.recipe.scoring.quantile,
            "sample_rate": self.recipe.features.sample_rate,
            "notes": list(self.notes),
        }

    def _use_device(self, device: str) -> None:
        models.check_device(device)
        if "network" in self._models:
            cast(Any, self._models["network"]).use_device(device)

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


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 400 else text[:400] + " ..."


def _part(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
