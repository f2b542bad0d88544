"""One trained network beside what it looks at: whole clips in, what it says of them against every ID out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from offkey.errors import ArrayError
from offkey.models.near.deviations import DeviationSets
from offkey.models.near.features import ClipFeatures
from offkey.models.near.net import ConformerPath, NearNet
from offkey.models.network.device import inference, on_device
from offkey.recipe import ScoringPrecision

__all__ = ["ClipInputs", "Member", "dynamics_of"]

_BATCH = 64  # clips


def dynamics_of(logmels: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return how ``(..., n_mels, frames)`` change over time, without their levels, float32.

    `gain`, ``(n_mels,)``, brings the changes of all bins to the same size.
    """
    changes = logmels - logmels.mean(axis=-1, keepdims=True)
    scaled: np.ndarray = (changes * gain[:, None]).astype(np.float32)
    return scaled


@dataclasses.dataclass(frozen=True, slots=True)
class ClipInputs:
    """Whole clips as all networks of a model take them."""

    features: dict[str, np.ndarray]
    """Of each feature set ``(clips, blocks * n_mels)``."""
    dynamics: list[np.ndarray] | None
    """``(n_mels, frames)`` float32 each, where there is a conformer path."""

    @classmethod
    def of(
        cls,
        logmels: Sequence[np.ndarray],
        extract: ClipFeatures,
        feature_sets: Sequence[str],
        gain: np.ndarray | None,
    ) -> ClipInputs:
        """Take log-Mels ``(n_mels, frames)`` in dB; `gain` is that of `dynamics_of`, or None.

        Raises
        ------
        ArrayError
            If there is no clip, or one of another shape or with values that are not finite.
        """
        if not len(logmels):
            raise ArrayError("clips to score: given none; expected at least one")
        arrays = [_checked(logmel, clip, extract.n_mels) for clip, logmel in enumerate(logmels)]
        dynamics = None if gain is None else [_long_enough(dynamics_of(array, gain)) for array in arrays]
        return cls(extract.of(arrays, feature_sets), dynamics)

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))

    def by_length(self) -> list[np.ndarray]:
        """Return positions of clips that go through a network together, ``(n,)`` int64 each."""
        frames = np.array([part.shape[1] for part in self.dynamics or [np.empty((0, 0))] * len(self)])
        order = np.argsort(frames, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(frames[order])) + 1)
        return [part[start : start + _BATCH] for part in parts for start in range(0, len(part), _BATCH)]


def _checked(logmel: np.ndarray, clip: int, n_mels: int) -> np.ndarray:
    array = np.asarray(logmel, dtype=np.float32)
    if array.ndim != 2 or array.shape[0] != n_mels or not array.shape[1]:
        raise ArrayError(
            f"log-Mel of clip {clip}: given shape {array.shape}; expected ({n_mels}, frames) and at least one frame"
        )
    if not np.isfinite(array).all():
        raise ArrayError(f"log-Mel of clip {clip}: has values that are not finite")
    return array


def _long_enough(dynamics: np.ndarray) -> np.ndarray:
    frames = dynamics.shape[1]
    if frames >= ConformerPath.min_frames:
        return dynamics
    repeated: np.ndarray = np.take(dynamics, np.arange(ConformerPath.min_frames) % frames, axis=1)
    return repeated


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One trained network, and the coordinates of what it looks at."""

    net: NearNet
    deviations: DeviationSets

    def says(
        self, inputs: ClipInputs, precision: ScoringPrecision = "float32"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits ``(clips, ids)`` and the embeddings ``(clips, ids, dim)``, float64, in eval mode.

        They are NaN against an ID of which the network has seen no clip.
        """
        known = np.flatnonzero(self.deviations.known)
        n_ids, dim = len(self.deviations.known), self.net.embedding_dim
        logits, embeddings = np.full((len(inputs), n_ids), np.nan), np.full((len(inputs), n_ids, dim), np.nan)
        for rows in inputs.by_length():
            deviations = self.deviations.all({name: f[rows] for name, f in inputs.features.items()})[:, known]
            of_frames = self._of_frames(inputs, rows, precision)
            with inference(self._device):
                if of_frames is not None:
                    of_frames = of_frames.repeat_interleave(len(known), dim=0)
                flat = on_device(deviations.reshape(-1, deviations.shape[2]), self._device)
                outputs = self.net.joined(flat, of_frames)
            logits[rows[:, None], known] = _float64(outputs.logit).reshape(len(rows), -1)
            embeddings[rows[:, None], known] = _float64(outputs.embedding).reshape(len(rows), -1, dim)
        return logits, embeddings

    def cosines(self, inputs: ClipInputs) -> np.ndarray:
        """Return the cosines ``(clips, ids)`` with the centres of the IDs, of a network that has the task."""
        assert self.net.arcface is not None
        cosines = np.empty((len(inputs), len(self.net.arcface.centres)))
        for rows in inputs.by_length():
            of_frames = self._of_frames(inputs, rows)
            with inference(self._device):
                assert of_frames is not None
                cosines[rows] = _float64(self.net.arcface(of_frames))
        return cosines

    @property
    def _device(self) -> torch.device:
        return self.net.near.weight.device

    def _of_frames(
        self, inputs: ClipInputs, rows: np.ndarray, precision: ScoringPrecision = "float32"
    ) -> Tensor | None:
        """Return the conformer path's embedding ``(rows, 64)`` of clips of one length, where there is that path.

        It alone may be computed in float16, which does not reach the squares of an odd clip's deviations.
        """
        if self.net.conformer is None or inputs.dynamics is None:
            return None
        dynamics = np.stack([inputs.dynamics[row] for row in rows.tolist()])
        with inference(self._device, precision):
            embedding: Tensor = self.net.conformer(on_device(dynamics, self._device)).float()
        if precision != "float32" and not bool(embedding.isfinite().all()):  # beyond the range of float16
            return self._of_frames(inputs, rows)
        return embedding


def _float64(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.double().cpu().numpy()
    return array
