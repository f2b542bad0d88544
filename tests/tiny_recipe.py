"""Recipe `small` with a network that trains in a second."""

from offkey.recipe import Recipe

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
