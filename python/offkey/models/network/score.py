"""Whole clips through a trained network, in windows where they are long, and the scores that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from offkey.errors import ArrayError, DetectorFileError
from offkey.models.network.device import inference, on_device
from offkey.models.network.net.multitask import Model, Outputs
from offkey.recipe import Features, Scoring, ScoringPrecision
from offkey.scoring.gaussian import Gaussian

__all__ = ["ClipOutputs", "Scorer", "infer", "score_names", "window_frames"]

_WINDOW_S = 30.0
_BATCH = 32


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClipOutputs:
    """What the network says of clips, window by window."""

    clips: int
    owners: np.ndarray
    """``(windows,)`` int64: the clip that a window is of."""
    embeddings: np.ndarray
    """``(windows, embedding_dim)`` float64."""
    cosines: np.ndarray | None
    """``(windows, IDs)`` float64."""
    type_logits: np.ndarray | None
    """``(windows,)`` float64."""

    def per_clip(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of ``(windows, ...)`` values over each clip's windows: ``(clips, ...)`` float64."""
        sums = np.zeros((self.clips, *values.shape[1:]))
        np.add.at(sums, self.owners, values)
        windows = np.bincount(self.owners, minlength=self.clips)
        return sums / windows.reshape(-1, *([1] * (values.ndim - 1)))

    def take(self, clips: np.ndarray) -> ClipOutputs:
        """Return what is said of some of the clips, ``(clips,)`` bool."""
        windows = clips[self.owners]
        return ClipOutputs(
            clips=int(np.count_nonzero(clips)),
            owners=(np.cumsum(clips) - 1)[self.owners[windows]],
            embeddings=self.embeddings[windows],
            cosines=None if self.cosines is None else self.cosines[windows],
            type_logits=None if self.type_logits is None else self.type_logits[windows],
        )

    def __add__(self, other: ClipOutputs) -> ClipOutputs:
        return ClipOutputs(
            clips=self.clips + other.clips,
            owners=np.concatenate([self.owners, other.owners + self.clips]),
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
            cosines=_joined(self.cosines, other.cosines),
            type_logits=_joined(self.type_logits, other.type_logits),
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return arrays that restore the outputs to the bit: the network's numbers are float32."""
        columns = {"embeddings": self.embeddings, "cosines": self.cosines, "type_logits": self.type_logits}
        state = {name: values.astype(np.float32) for name, values in columns.items() if values is not None}
        return state | {"owners": self.owners}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], widths: Mapping[str, int]) -> Self:
        """Restore what `state` gave.

        Parameters
        ----------
        arrays
            What `state` gave.
        widths
            Each column that there must be, and its width; 0 for a vector.

        Raises
        ------
        DetectorFileError
            If an array is missing, or they do not fit each other.
        """
        owners, columns = arrays["owners"], {name: arrays[name] for name in widths}
        windows = owners.shape
        expected = {name: (*windows, width) if width else windows for name, width in widths.items()}
        shapes = {name: array.shape for name, array in columns.items()}
        fits = shapes == expected and owners.ndim == 1 and owners.size > 0 and owners.dtype == np.int64
        # Windows stand in the order of their clips, and no clip is without one.
        in_order = fits and owners[0] == 0 and np.isin(np.diff(owners), (0, 1)).all()
        if not in_order or not all(np.isfinite(array).all() for array in columns.values()):
            raise DetectorFileError(
                f"outputs of the network: windows {windows}, columns {shapes}; expected {expected}, all finite"
            )
        values = {name: array.astype(np.float64) for name, array in columns.items()}
        return cls(
            clips=int(owners[-1]) + 1,
            owners=owners,
            embeddings=values["embeddings"],
            cosines=values.get("cosines"),
            type_logits=values.get("type_logits"),
        )


def window_frames(features: Features) -> int:
    """Return the frames of the longest clip that is scored in one piece: 30 s."""
    return round(_WINDOW_S * features.sample_rate / features.hop_length) + 1


def infer(
    model: Model,
    logmels: Sequence[np.ndarray],
    *,
    longest: int,
    precision: ScoringPrecision = "float32",
) -> ClipOutputs:
    """Put clips through the network in eval mode.

    Parameters
    ----------
    model : Model
        In eval mode, on the device that computes.
    logmels : sequence of ndarray
        ``(n_mels, frames)`` float32 in dB each, frames of any number: a clip too short for the network is
        repeated until it suffices.
    longest : int
        Frames of a window; a longer clip is cut into the fewest windows of that size, evenly spread.
    precision : str
        The numbers of matrix products and convolutions; heads and scores are in float32 and float64. Clips whose sums
        float16 does not reach are computed in float32.

    Raises
    ------
    ArrayError
        If a clip has another shape, or values that are not finite.
    """
    if not len(logmels):
        raise ArrayError("clips to score: given none; expected at least one")
    windows: list[np.ndarray] = []
    owners: list[int] = []
    for clip, logmel in enumerate(logmels):
        parts = _windows(_checked(logmel, clip, model.mean.shape[0]), model.min_frames, longest)
        windows += parts
        owners += [clip] * len(parts)
    lengths = np.array([window.shape[1] for window in windows], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")  # windows of one length go through together
    batches = [
        batch[start : start + _BATCH]
        for batch in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)
        for start in range(0, len(batch), _BATCH)
    ]
    batch_outputs = [_forward(model, np.stack([windows[i] for i in batch]), precision) for batch in batches]
    embeddings = _float64(torch.cat([m.embedding for m in batch_outputs]))
    if precision != "float32" and not np.isfinite(embeddings).all():  # beyond the range of float16
        return infer(model, logmels, longest=longest)
    inverse = np.argsort(order, kind="stable")
    return ClipOutputs(
        clips=len(logmels),
        owners=np.array(owners, dtype=np.int64),
        embeddings=embeddings[inverse],
        cosines=_in_order([m.cosine for m in batch_outputs], inverse),
        type_logits=_in_order([m.type_logit for m in batch_outputs], inverse),
    )


def _forward(model: Model, logmels: np.ndarray, precision: ScoringPrecision) -> Outputs:
    device = model.mean.device
    with inference(device, precision):
        return model(on_device(logmels, device))  # type: ignore[no-any-return]


def _in_order(parts: list[Tensor | None], inverse: np.ndarray) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return _float64(torch.cat(present))[inverse] if present else None


def _float64(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.float64)


def _windows(logmel: np.ndarray, shortest: int, longest: int) -> list[np.ndarray]:
    frames = logmel.shape[1]
    if frames < shortest:
        return [np.take(logmel, np.arange(shortest) % frames, axis=1)]
    if frames <= longest:
        return [logmel]
    starts = np.linspace(0, frames - longest, -(-frames // longest)).round().astype(int)
    return [logmel[:, start : start + longest] for start in starts.tolist()]


def _checked(logmel: np.ndarray, clip: int, n_mels: int) -> np.ndarray:
    array = np.asarray(logmel, dtype=np.float32)
    if array.ndim != 2 or array.shape[0] != n_mels or not array.shape[1]:
        raise ArrayError(
            f"log-Mel of clip {clip}: given shape {array.shape}; expected ({n_mels}, frames) and "
            "at least one frame"
        )
    if not np.isfinite(array).all():
        raise ArrayError(f"log-Mel of clip {clip}: has values that are not finite")
    return array


def _joined(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])


def score_names(model: Model) -> tuple[str, ...]:
    """Return the scores that a network has the heads for."""
    out = () if model.type_head is None else ("a_out",)
    arc = () if model.id_head is None else ("a_arc",)
    return (*out, *arc, "a_maha")


class Scorer:
    """Raw scores of clips against every ID, higher = more anomalous (Zhang et al. 2023, section 2.3)."""

    def __init__(self, gaussian: Gaussian, scoring: Scoring, *, scale: float) -> None:
        self._gaussian = gaussian
        self._a_arc = scoring.a_arc
        self._scale = scale

    def matrices(self, outputs: ClipOutputs, *, num_threads: int | None = None) -> dict[str, np.ndarray]:
        """Return for each score ``(clips, IDs)`` float64, the mean over each clip's windows.

        `a_out`: minus the log-likelihood of "target type", the same for every ID. `a_arc`: 1 - cos(theta)
        with no margin; `prob`: 1 - softmax(s cos(theta)); `log_prob`: minus its logarithm. `a_maha`:
        Mahalanobis distance.
        """
        matrices = {}
        if outputs.type_logits is not None:
            columns = len(self._gaussian.ids)
            matrices["a_out"] = np.repeat(np.logaddexp(0.0, -outputs.type_logits)[:, None], columns, axis=1)
        if outputs.cosines is not None:
            matrices["a_arc"] = self._angular(outputs.cosines)
        matrices["a_maha"] = self._gaussian.mahalanobis(outputs.embeddings, num_threads=num_threads)
        return {name: outputs.per_clip(values) for name, values in matrices.items()}

    def _angular(self, cosines: np.ndarray) -> np.ndarray:
        if self._a_arc == "cosine":
            return 1.0 - cosines
        logits = self._scale * cosines
        minus_log = np.logaddexp.reduce(logits, axis=1, keepdims=True) - logits
        return minus_log if self._a_arc == "log_prob" else -np.expm1(-minus_log)
