"""Recipes that are trained in a second: a network, and `spectral` with few Mel bands, in which its cost is cubic."""

from offkey.recipe import Recipe

N_MELS = 32

TINY = Recipe.named("small").replace(
    name="tiny",
    network__subsampling_channels=4,
    network__blocks=1,
    network__dim=16,
    network__heads=2,
    network__ffn_dim=32,
    training__stage1_epochs=1,
    training__stage2_epochs=1,
    training__clip_seconds=0.5,
)

SPECTRAL = Recipe.named("spectral").replace(features__n_mels=N_MELS)
BOTH = TINY.replace(name="both", spectral=SPECTRAL.spectral, features__n_mels=N_MELS)
