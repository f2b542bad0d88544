"""The kinds of model that a detector is made of, and what is checked before one is fitted."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from offkey.datasets import Dataset, LogMelArrays
from offkey.errors import MissingExtraError, ParameterError
from offkey.recipe import Recipe

__all__ = ["MODELS", "check_device", "check_fit", "model_class"]

MODELS = {
    "spectral": "offkey.models.spectral.model:SpectralModel",
    "network": "offkey.models.network.model:NetworkModel",
}
"""Section of a recipe -> its model's class, imported only when a recipe asks for it: one of them needs torch."""


def model_class(name: str) -> Any:
    """Return the class of a kind of model.

    Raises
    ------
    MissingExtraError
        If it needs torch, and that is not installed.
    """
    module, _, attribute = MODELS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            "this recipe has a network, which needs torch: pip install 'offkey[train]', or use recipe 'spectral'"
        ) from None


def check_fit(
    recipe: Recipe, data: object, *, seed: int, device: str, precision: str, checkpoint: Path | None
) -> Any | None:
    """Refuse before any decoding what cannot end well; return the network's class if the recipe has one.

    Raises
    ------
    ParameterError, DeviceError, MissingExtraError, RecipeError, TrainingError, OSError
        As `offkey.Detector.fit`.
    """
    if not isinstance(data, Dataset | LogMelArrays):
        raise ParameterError(
            f"data: given {type(data).__name__}; expected what offkey.datasets.load gives, or LogMelArrays"
        )
    if seed < 0:
        raise ParameterError(f"seed = {seed}: expected a whole number from 0")
    if recipe.network is None:
        check_device(device)
        if precision not in ("auto", "float32", "bfloat16"):
            raise ParameterError(f"precision = {precision!r}: expected auto, float32 or bfloat16")
        if checkpoint is not None:
            raise ParameterError(
                f"checkpoint: recipe {recipe.name!r} has no network whose training could be interrupted"
            )
        return None
    network = model_class("network")  # a missing torch is said at once
    network.check(recipe, device=device, precision=precision, checkpoint=checkpoint)
    return network


def check_device(device: str) -> None:
    """Refuse an unknown device, and CUDA where there is none, whether or not there is a network to use it."""
    if device not in ("auto", "cpu", "cuda"):
        raise ParameterError(f"device = {device!r}: expected auto, cpu or cuda")
    if device == "cuda":
        model_class("network")  # a missing torch is said
        from offkey.models.network.device import resolve_device

        resolve_device("cuda")
