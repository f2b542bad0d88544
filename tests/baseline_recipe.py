"""Recipes of every baseline that are fitted in a second, and clips for them."""

import dataclasses
import functools

import near_recipe
import numpy as np
from near_recipe import FRAMES, N_MELS, logmels

from offkey.recipe import _BASELINES, Recipe
from offkey.signal.statistics import clip_statistics

__all__ = ["BASELINES", "FRAMES", "N_MELS", "logmels", "recipe_of", "training_clips"]

BASELINES = _BASELINES
_FEATURES = {
    "features__sample_rate": 8_000,
    "features__n_fft": 256,
    "features__hop_length": 128,
    "features__n_mels": N_MELS,
}
_QUICK = {"epochs": 3, "batch_size": 64, "normalisation": "standard", "trees": 20}


@functools.cache
def recipe_of(name):
    """The recipe of a baseline, with few Mels and epochs."""
    recipe = Recipe.named(name).replace(**_FEATURES)
    fields = recipe.models[name].__struct_fields__
    return recipe.replace(**{f"{name}__{field}": value for field, value in _QUICK.items() if field in fields})


def training_clips(counts=None, **options):
    """Normal clips as `near_recipe` has them, whose statistics can be measured."""
    clips = near_recipe.training_clips(counts, **options)
    return dataclasses.replace(clips, measure=lambda: clip_statistics(np.stack(clips.clips)))
