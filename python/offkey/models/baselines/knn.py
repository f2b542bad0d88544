"""Recipe `knn`: how far a clip is from the nearest normal clips of its machine ID.

S. Ramaswamy, R. Rastogi and K. Shim, "Efficient algorithms for mining outliers from large data sets", 2000: the
distance to the k-th nearest neighbour; F. Angiulli and C. Pizzuti, "Fast outlier detection in high dimensional
spaces", 2002: the sum over the k nearest, here their mean. P. Saengthong and T. Shinozaki, "Sub-band spectral matching
with localized score aggregation for robust anomalous sound detection", 2026 (BEAM): each frequency band has a nearest
neighbour of its own, and the score is the mean over bands (`bands`). As many numbers as normal clips times values of a
vector; nothing is trained.

Left open: what a vector is. Here the mean over time of each Mel bin of the log-Mel, in decibels, which is what people
try first; with `pooling` "mean_deviation" its standard deviation over time too. One neighbour by default, as in the
2026 paper and most of its kind; decibels have one unit, so that by default nothing is standardised, and the distance
is Euclidean. Where `standardised` is set, mean and deviation are those of all training clips together. BEAM also has a
form that picks between mean and maximum over time, which is not here, and matches bands of an encoder's output.

Every clip stays in the model: each is scored against the others, without those of its recording, and thresholds and
p-values come from these scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import DatasetError, DetectorFileError, ParameterError, RecipeError
from offkey.models.base import FitOptions, InlierModel, Inputs, LearnedClips, register, restoring
from offkey.models.baselines.clip_vectors import ClipVectors
from offkey.models.baselines.neighbours import Bank, Distance, Scale
from offkey.models.encoders import find_encoder
from offkey.models.spectral.folds import units_of
from offkey.recipe import Positive, Recipe, Section
from offkey.scoring.calibration import Calibration

__all__ = ["Knn", "KnnModel"]

_SCORE = "a_knn"
_ROUNDING = 0.01  # of a vector's length: floats differ from processor to processor, other weights by far more


class Knn(Section, frozen=True):
    """Nearest neighbours (docs/baselines.md)."""

    pooling: Literal["mean", "mean_deviation"] = "mean"
    """What is kept of time: the mean, or mean and standard deviation."""
    neighbours: Positive = 1
    """How many count; where an ID has fewer clips, those."""
    of_neighbours: Literal["mean", "kth"] = "mean"
    """Their mean distance, or that of the last."""
    distance: Distance = "euclidean"
    standardised: bool = False
    """Whether each value is divided by its deviation over the training clips, its mean taken away."""
    bands: Positive = 1
    """Into how many neighbouring parts of the spectrum a vector is cut, each with neighbours of its own; of an encoder,
    how many bands it gives."""
    encoder: str | None = None
    """A registered encoder (`offkey.models.register_encoder`), or the path of an ONNX file; None: the log-Mel itself,
    whose frames are the vectors over time."""
    encoder_input: Literal["samples", "logmels"] = "samples"
    """What the encoder is given, at the recipe's `features`."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Learned:
    """The normal clips of a model, ``(clips, ...)`` each."""

    vectors: np.ndarray
    """``(clips, dim)`` float32."""
    ids: np.ndarray
    """int64: positions of their IDs."""
    units: np.ndarray
    """int64: clips with the same one are of one recording."""

    def extended(self, vectors: np.ndarray, ids: np.ndarray, groups: Sequence[str]) -> Self:
        units = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
        return type(self)(
            np.concatenate([self.vectors, vectors]),
            np.concatenate([self.ids, ids]),
            np.concatenate([self.units, self.units.max() + 1 + units]),
        )


class KnnModel(InlierModel):
    """Nearest neighbours as a model of normal sound; made by `fit` or `from_state`."""

    def __init__(
        self,
        settings: Knn,
        vectors: ClipVectors,
        learned: _Learned,
        scale: Scale,
        *,
        machine_ids: tuple[str, ...],
        held_out: Calibration | None,
        notes: tuple[str, ...],
        of_noise: np.ndarray | None,
    ) -> None:
        self._settings, self._vectors, self._learned, self._scale = settings, vectors, learned, scale
        self._of_noise = of_noise
        self._bank = Bank.of(
            scale.apply(learned.vectors.astype(np.float64)),
            ids=learned.ids,
            units=learned.units,
            columns=vectors.columns(learned.vectors.shape[1]),
            distance=settings.distance,
        )
        self.score_names = (_SCORE,)
        self.machine_ids = machine_ids
        self.standardise_on = self.held_out = self._calibration() if held_out is None else held_out
        self.notes = notes
        self.further_statistics = frozenset()
        self.scores_silence = vectors.encoder is None
        if vectors.encoder is not None:
            self.provenance = {"encoder": vectors.encoder.name, "sha256": vectors.encoder.sha256}
        self.parameters = learned.vectors.size + (2 * len(scale.gain) if settings.standardised else 0)

    @classmethod
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips.

        Raises
        ------
        RecipeError
            If the recipe has no section `knn`, more bands than Mel bins, or another rate than its encoder hears.
        ParameterError
            If there is no such encoder, or its file is none.
        MissingExtraError
            If the encoder is an ONNX file and onnxruntime is not installed.
        """
        _vectors_of(recipe)

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Keep normal clips; the same clips give the same bytes, whatever the seed.

        Parameters
        ----------
        clips
            Normal clips of the target type.
        recipe
            With a section `knn`.
        options
            How many threads encode clips.

        Raises
        ------
        RecipeError, ParameterError, MissingExtraError
            As `check`.
        DatasetError
            If there are too few clips, or nothing varies over them.
        ArrayError
            If a clip has values that are not finite, or the encoder fails on it.
        """
        settings, clip_vectors = _settings(recipe), _vectors_of(recipe)
        names = tuple(sorted(set(clips.machine_ids)))
        ids = np.searchsorted(names, list(clips.machine_ids)).astype(np.int64)
        units, divided = units_of(ids, clips.groups)
        encoder = clip_vectors.encoder
        of_noise = None if encoder is None else clip_vectors.of_noise(encoder)
        if encoder and of_noise is not None and not _alike(of_noise, clip_vectors.of_noise(encoder)):
            raise ParameterError(
                f"encoder {encoder.name!r} gives other vectors when it is given the same clip again; expected the "
                "same: is something in it random, such as dropout?"
            )
        vectors = clip_vectors.of_training(clips, num_threads=options.num_threads)
        scale = Scale.of(vectors.astype(np.float64), standardised=settings.standardised)
        if (vectors == vectors[0]).all() or not scale.gain.any():
            raise DatasetError(
                f"knn: {len(ids)} normal training clips, of which none differs from the others; expected more clips, "
                "which are neither silent nor copies of one"
            )
        notes = [
            f"ID {names[i]}: all clips come from one recording, which had to be divided: thresholds and p-values may "
            "be too optimistic"
            for i in divided
        ]
        notes += [
            f"knn: ID {names[i]}: one clip only, which cannot be left out to be scored"
            for i in np.flatnonzero(np.bincount(ids) == 1)
        ]
        return cls(
            settings,
            clip_vectors,
            _Learned(vectors, ids, units),
            scale,
            machine_ids=names,
            held_out=None,
            notes=tuple(notes),
            of_noise=of_noise,
        )

    def updated(
        self, clips: TrainingClips, *, recipe: Recipe, learned: LearnedClips, num_threads: int | None = None
    ) -> Self:
        """Return the model with further normal clips of known IDs among its own; the scale stays.

        Parameters
        ----------
        clips, recipe, learned, num_threads
            See `InlierModel.updated`.

        Raises
        ------
        ArrayError
            As `fit`.
        """
        ids = np.searchsorted(self.machine_ids, list(clips.machine_ids)).astype(np.int64)
        vectors = self._vectors.of_training(clips, num_threads=num_threads)
        self._vectors.check(vectors, dim=len(self._scale.centre))
        return type(self)(
            self._settings,
            self._vectors,
            self._learned.extended(vectors, ids, clips.groups),
            self._scale,
            machine_ids=self.machine_ids,
            held_out=None,
            notes=self.notes,
            of_noise=self._of_noise,
        )

    def scores(self, inputs: Any, *, num_threads: int | None = None) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Statistics of the clips, ``(clips, n_mels)`` each; with an encoder, their samples or log-Mels.
        num_threads
            How many clips are encoded at once; all cores if None. The result does not depend on it.

        Returns
        -------
        dict of str to ndarray
            For the score ``(clips, ids)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, one has values that are not finite, there are other Mel bins than in training, or the
            encoder fails.
        """
        vectors = self._scale.apply(self.embeddings(inputs, num_threads=num_threads))
        return {_SCORE: self._bank.distances(vectors, **self._counted)}

    def embeddings(self, inputs: Any, *, num_threads: int | None = None) -> np.ndarray:
        """Return the vectors ``(clips, dim)`` float64 of clips, as they are before any scale (see `scores`)."""
        vectors = self._vectors.of(inputs, num_threads=num_threads)
        self._vectors.check(vectors, dim=len(self._scale.centre))
        return vectors.astype(np.float64)

    @property
    def _counted(self) -> dict[str, Any]:
        return {"neighbours": self._settings.neighbours, "kth": self._settings.of_neighbours == "kth"}

    def _calibration(self) -> Calibration:
        """Score every clip without its recording; clips whose ID has no other recording have no score."""
        learned = self._learned
        vectors = self._scale.apply(learned.vectors.astype(np.float64))
        distances = self._bank.left_out(vectors, **self._counted)
        own = distances[np.arange(len(learned.ids)), learned.ids]
        rows = np.flatnonzero(~np.isnan(own))
        return Calibration(
            kind="out_of_fold",
            indices=rows,
            machine_ids=tuple(self.machine_ids[i] for i in learned.ids[rows]),
            scores={_SCORE: own[rows]},
            against_all={_SCORE: distances[rows]},
        )

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        calibration, metadata = self.held_out.state()
        arrays = {
            "vectors": self._learned.vectors,
            "ids": self._learned.ids,
            "units": self._learned.units,
            "centre": self._scale.centre,
            "gain": self._scale.gain,
        }
        if self._of_noise is not None:
            arrays["of_noise"] = self._of_noise
        encoder = self._vectors.encoder
        return arrays | prefixed("held_out", calibration), {
            "machine_ids": list(self.machine_ids),
            "encoder_sha256": encoder and encoder.sha256,
            "held_out": metadata,
            "notes": list(self.notes),
        }

    @classmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores.

        Raises
        ------
        DetectorFileError
            If arrays or metadata are missing or do not fit the recipe, or the encoder is another one.
        ParameterError, MissingExtraError
            If there is no encoder of that name, or its file cannot be loaded.
        """
        clip_vectors = _vectors_of(recipe)
        with restoring("knn", recipe):
            names = tuple(map(str, metadata["machine_ids"]))
            learned = _Learned(arrays["vectors"], arrays["ids"], arrays["units"])
            scale = Scale(arrays["centre"], arrays["gain"])
            _check_arrays(learned, scale, n_ids=len(names))
            _check_encoder(clip_vectors, arrays, metadata["encoder_sha256"])
            held_out = Calibration.from_state(under("held_out", arrays), metadata["held_out"])
            if set(held_out.scores) != {_SCORE} or not set(held_out.machine_ids) <= set(names):
                raise DetectorFileError("knn: the calibration is of other scores or machine IDs")
            return cls(
                _settings(recipe),
                clip_vectors,
                learned,
                scale,
                machine_ids=names,
                held_out=held_out,
                notes=tuple(map(str, metadata["notes"])),
                of_noise=None if clip_vectors.encoder is None else arrays["of_noise"],
            )


def _settings(recipe: Recipe) -> Knn:
    settings = recipe.models.get("knn")
    if not isinstance(settings, Knn):
        raise RecipeError(f"recipe {recipe.name!r}: expected a section `knn`, given none")
    return settings


def _vectors_of(recipe: Recipe) -> ClipVectors:
    settings = _settings(recipe)
    return ClipVectors(
        features=recipe.features,
        pooling=settings.pooling,
        bands=settings.bands,
        encoder=None if settings.encoder is None else find_encoder(settings.encoder),
        encoder_input=settings.encoder_input,
    )


def _inputs(settings: Knn) -> Inputs:
    return "statistics" if settings.encoder is None else settings.encoder_input


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether vectors are the same but for the rounding of another processor or library."""
    if first.shape != second.shape:
        return False
    exact = first.astype(np.float64), second.astype(np.float64)
    return bool(np.linalg.norm(exact[0] - exact[1]) <= _ROUNDING * np.linalg.norm(exact[0]))


def _check_encoder(vectors: ClipVectors, arrays: dict[str, np.ndarray], sha256: str | None) -> None:
    """Refuse another encoder than the one that the detector was fitted with."""
    encoder = vectors.encoder
    if encoder is None:
        return
    if encoder.sha256 != sha256:
        raise DetectorFileError(
            f"encoder {encoder.name!r} is another one than the detector was fitted with: "
            f"{_described(encoder.sha256)}; expected {_described(sha256)}"
        )
    if not _alike(arrays["of_noise"], vectors.of_noise(encoder)):
        raise DetectorFileError(
            f"encoder {encoder.name!r} is another one than the detector was fitted with, or works otherwise here: it "
            "gives another vector of the same noise"
        )


def _described(sha256: str | None) -> str:
    return "a function" if sha256 is None else f"a file of SHA-256 {sha256}"


def _check_arrays(learned: _Learned, scale: Scale, *, n_ids: int) -> None:
    clips, dim = learned.vectors.shape
    floats = (learned.vectors, scale.centre, scale.gain)
    sound = (
        [array.dtype for array in floats] == [np.float32, np.float64, np.float64]
        and learned.ids.dtype == learned.units.dtype == np.int64
        and learned.ids.shape == learned.units.shape == (clips,)
        and scale.centre.shape == scale.gain.shape == (dim,)
        and all(np.isfinite(array).all() for array in floats)
        and np.array_equal(np.unique(learned.ids), np.arange(n_ids))
    )
    if not sound:
        raise DetectorFileError(
            f"knn: {clips} clips of {dim} values; expected as many IDs and recordings, clips of each of {n_ids} IDs, "
            "and finite numbers"
        )


register("knn", section=Knn, score_names=(_SCORE,), inputs=_inputs, model=KnnModel)
