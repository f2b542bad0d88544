"""The state of a training on disk: one safetensors file with JSON metadata, replaced after each epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from offkey._util.files import atomic_path
from offkey.errors import RecipeError, TrainingError
from offkey.recipe import Recipe

__all__ = ["Checkpoint", "Progress"]

_FORMAT = 1
_KEY = "offkey_checkpoint"
_SAME_DB = 1e-3


class _Header(msgspec.Struct, kw_only=True):
    format: int
    fingerprint: dict[str, str]
    epochs_done: int
    history: list[dict[str, float]]
    best_loss: float | None
    spent_s: float = 0.0  # checkpoints of before it was kept have none


@dataclasses.dataclass(slots=True, kw_only=True)
class Progress:
    """How far a training has come, beside the weights and the optimiser's state.

    There is no state of random generators: crops, augmentation, order and dropout are functions of seed,
    epoch and step.
    """

    epochs_done: int = 0
    """Over all stages."""
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    """The losses of each epoch."""
    spent_s: float = 0.0
    """How long the epochs took, in seconds."""
    best_loss: float | None = None
    """Lowest total loss of an epoch of the last stage, where the recipe keeps the weights of that epoch."""
    kept: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """The weights of that epoch, or the mean of those of the last epochs so far; empty where the last ones are kept."""


class Checkpoint:
    """Saves and restores a training.

    Parameters
    ----------
    path : Path
        The file.
    fingerprint : Mapping of str to str
        What must be the same for a training to go on: recipe, seed, data. A checkpoint with another one is
        refused.
    levels : Tensor
        Mean log-Mel of the training clips in dB, ``(n_mels,)``: must agree too, to 0.001 dB, since another
        processor may round otherwise.
    """

    def __init__(self, path: Path, fingerprint: Mapping[str, str], *, levels: Tensor) -> None:
        self.path = path
        self._fingerprint = dict(fingerprint)
        self._levels = levels

    def save(self, model: nn.Module, optimiser: torch.optim.Optimizer | None, progress: Progress) -> None:
        """Write the state, replacing the file only when all is written; finished networks need no optimiser.

        Raises
        ------
        OSError
            If the file cannot be written; what stood there before is then still there.
        """
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in progress.kept.items()}
        tensors["levels"] = self._levels
        for number, state in (optimiser.state_dict()["state"] if optimiser else {}).items():
            tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
        header = _Header(
            format=_FORMAT,
            fingerprint=self._fingerprint,
            epochs_done=progress.epochs_done,
            history=progress.history,
            best_loss=progress.best_loss,
            spent_s=progress.spent_s,
        )
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = save(plain, {_KEY: msgspec.json.encode(header).decode()})
        with atomic_path(self.path) as scratch:
            scratch.write_bytes(content)  # by Python, so that a full disk is an OSError

    def check_readable(self) -> None:
        """Refuse a file that is no checkpoint at all.

        Raises
        ------
        TrainingError
            If there is a file, and it is damaged or no checkpoint.
        """
        if self.path.exists():
            self._read()

    def restore(self, model: nn.Module, optimiser: torch.optim.Optimizer | None) -> Progress | None:
        """Put the saved state into model and optimiser; return the progress, or None if there is no file.

        Raises
        ------
        TrainingError
            If the file is damaged, is no checkpoint, or belongs to another recipe, seed or data.
        """
        if not self.path.exists():
            return None
        tensors, header = self._read()
        self._check(header, tensors)
        try:
            model.load_state_dict(_part(tensors, "model."))
            if optimiser is not None:
                _restore_optimiser(optimiser, _part(tensors, "optimiser."))
        except (RuntimeError, IndexError, ValueError) as error:
            raise TrainingError(
                f"checkpoint {self.path}: does not fit the network: {error}; {self._advice}"
            ) from None
        return Progress(
            epochs_done=header.epochs_done,
            history=header.history,
            best_loss=header.best_loss,
            spent_s=header.spent_s,
            kept=_part(tensors, "best."),
        )

    @property
    def _advice(self) -> str:
        return "remove the file to train from the start, or give another path"

    def _read(self) -> tuple[dict[str, Tensor], _Header]:
        try:
            with safe_open(self.path, framework="pt") as file:
                header = msgspec.json.decode((file.metadata() or {})[_KEY], type=_Header)
                return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise TrainingError(
                f"checkpoint {self.path}: damaged or no checkpoint ({error}); {self._advice}"
            ) from None

    def _check(self, header: _Header, tensors: dict[str, Tensor]) -> None:
        if header.format != _FORMAT:
            raise TrainingError(
                f"checkpoint {self.path}: format {header.format}, expected {_FORMAT}; {self._advice}"
            )
        saved = header.fingerprint
        different = [
            name for name, value in self._fingerprint.items() if not _agree(name, saved.get(name), value)
        ]
        levels = tensors.get("levels", torch.empty(0))
        if levels.shape != self._levels.shape or (levels - self._levels).abs().max() > _SAME_DB:
            different.append("content of the clips")
        if different:
            raise TrainingError(
                f"checkpoint {self.path}: written with another {' and another '.join(different)} than this "
                f"training; {self._advice}"
            )


def _agree(name: str, saved: str | None, value: str) -> bool:
    """Return whether a part of two fingerprints means the same: fields that a recipe lacks have their default."""
    if saved is None or saved == value or name != "recipe":
        return saved == value
    try:
        return Recipe.from_json(saved) == Recipe.from_json(value)
    except RecipeError:
        return False


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    saved: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        saved.setdefault(int(number), {})[key] = value
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for index, state in saved.items():
        shapes = {key: tuple(value.shape) for key, value in state.items()}
        shape = tuple(parameters[index].shape)
        if shapes != {"step": (), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"state of parameter {index}: {shapes}, expected moments of shape {shape}")
    optimiser.load_state_dict({**optimiser.state_dict(), "state": saved})
    # In memory as the parameters lie: elementwise arithmetic over mixed layouts may round otherwise.
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).copy_(value)
