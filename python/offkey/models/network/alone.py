"""What small networks share that are trained by one process in float32: what they refuse, and their checkpoint."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

from offkey._util import ranks
from offkey._util.files import check_folder, check_writable
from offkey.datasets.training import TrainingClips
from offkey.errors import ParameterError
from offkey.models.base import FitOptions, check_seed
from offkey.models.network.checkpoint import Checkpoint
from offkey.models.network.device import resolve_device
from offkey.recipe import Recipe

__all__ = ["check_alone", "checkpoint_of"]


def check_alone(recipe: Recipe, options: FitOptions) -> None:
    """Refuse what a training of small networks has no use for, and a device or a checkpoint that cannot serve.

    Raises
    ------
    ParameterError
        If torchrun's processes are to share it, or another precision or torch.compile is asked for.
    DeviceError
        If the device is not there.
    OSError, TrainingError
        If the checkpoint cannot be written, or what stands there is none.
    """
    check_seed(options.seed)
    if ranks.launched():
        raise ParameterError(
            f"the networks of recipe {recipe.name!r} are too small to share among torchrun's processes: train "
            "them by one process"
        )
    resolve_device(options.device)
    if options.compile or options.precision == "bfloat16":
        given = "compile = True" if options.compile else "precision = 'bfloat16'"
        raise ParameterError(
            f"{given}: the networks of recipe {recipe.name!r} are too small to gain by it; leave it out"
        )
    if options.checkpoint is not None:
        check_folder(options.checkpoint.parent)
        options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        check_writable(options.checkpoint)
        Checkpoint(options.checkpoint, {}, levels=torch.empty(0)).check_readable()


def checkpoint_of(
    clips: TrainingClips, recipe: Recipe, options: FitOptions, *, levels: np.ndarray
) -> Checkpoint | None:
    """Return where a training keeps its state, and what must be the same for it to go on.

    Parameters
    ----------
    clips
        What is learned from.
    recipe
        The part that decides on the weights.
    options
        Seed, and the file.
    levels
        ``(n_mels,)``: mean log-Mel of the clips in dB.
    """
    if options.checkpoint is None:
        return None
    columns = [clips.inputs, list(clips.paths), list(clips.machine_ids)]
    fingerprint = {
        "recipe": recipe.to_json(),
        "seed": str(options.seed),
        "list of clips": hashlib.sha256(json.dumps(columns).encode()).hexdigest(),
    }
    return Checkpoint(options.checkpoint, fingerprint, levels=torch.from_numpy(levels))
