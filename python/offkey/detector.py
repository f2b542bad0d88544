"""A detector: features, models of normal sound, standardisation, combination and thresholds, in one saved file."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np

from offkey import detector_file
from offkey.audio import AudioBatch, read_batch
from offkey.datasets import Clips, Dataset, LogMelArrays, find_audio, parse_machine_id
from offkey.errors import ArrayError, DatasetError, DetectorFileError
from offkey.features import ClipStatistics, LogMel, clip_statistics
from offkey.inlier import InlierModel
from offkey.recipe import Recipe
from offkey.scoring.fusion import Fusion
from offkey.scoring.table import ScoreTable

__all__ = ["Detector", "Recordings", "load"]

Recordings: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Clips
"""A folder, a file, several of them, or a table of clips."""

_MODELS = {
    "spectral": "offkey.spectral.model:SpectralModel",
    "network": "offkey.training.model:NetworkModel",
}
"""Section of a recipe -> the class of its model, imported only when a recipe asks for it: one of them needs torch."""

_CHUNK = 64  # clips in memory at a time while scoring: 40 MB of 10 s clips


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

    # ------------------------------------------------------------------------------------------------ fit

    def fit(
        self,
        data: Dataset | LogMelArrays,
        *,
        seed: int = 0,
        device: str = "auto",
        num_threads: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        on_event: Callable[[object], None] | None = None,
    ) -> Self:
        """Learn from the normal training clips of `data`; its test clips and labels are never looked at.

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
            A folder for the network's checkpoints: a fit that was interrupted goes on from there.
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
        inputs = _training_inputs(self.recipe, data, num_threads)
        self.machine = data.machine
        models: dict[str, InlierModel] = {}
        for name in self._sections():
            options = (
                {"checkpoint": checkpoint, "device": device, "on_event": on_event}
                if name == "network"
                else {}
            )
            models[name] = _model_class(name).fit(
                inputs, recipe=self.recipe, seed=seed, num_threads=num_threads, **options
            )
        self._models = models
        self._fusion = Fusion.fit(list(models.values()), self.recipe.scoring)
        self.notes = (*data.notes, *inputs.notes, *(note for m in models.values() for note in m.notes))
        return self
