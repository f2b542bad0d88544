"""A machine type of three IDs that differ in pitch, two other types, and a network that learns them in a second."""

import numpy as np

from offkey.datasets.training import TrainingClips
from offkey.models.network import Network
from offkey.recipe import Features, Recipe, Scoring, Training

RATE = 8_000
RECIPE = Recipe(
    name="tiny",
    features=Features(sample_rate=RATE, n_fft=256, hop_length=128, n_mels=16),
    network=Network(
        subsampling="separable4",
        subsampling_channels=4,
        blocks=1,
        dim=16,
        heads=2,
        ffn_dim=16,
        kernel_size=5,
        pooling_channels=8,
        embedding_dim=8,
    ),
    training=Training(
        stage1_epochs=3,
        stage2_epochs=2,
        batch_size=12,
        pseudo_anomalies=8,
        clip_seconds=0.5,
        learning_rate=3e-3,
    ),
    scoring=Scoring(holdout_fraction=0.2),
)


def tone(hz, random, *, seconds=0.5):
    """A hum with its harmonics in noise, ``(samples,)`` float32."""
    time = np.arange(round(seconds * RATE)) / RATE
    hum = sum(np.sin(2 * np.pi * hz * k * time + random.uniform(0, 6)) / k for k in range(1, 4))
    return (0.1 * hum + 0.01 * random.standard_normal(len(time))).astype(np.float32)


def audio_clips(pitches=None, *, per_id=10, others=(700.0, 1100.0), seconds=0.5, seed=0):
    """Clips of IDs named by number, and of other types; each clip is a recording of its own."""
    random = np.random.default_rng(seed)
    pitches = {"00": 200.0, "02": 300.0, "04": 450.0} if pitches is None else pitches
    ids = [machine_id for machine_id in pitches for _ in range(per_id)]
    types = [f"type{i}" for i in range(len(others)) for _ in range(per_id)]
    return TrainingClips(
        inputs="audio",
        clips=[tone(pitches[machine_id], random, seconds=seconds) for machine_id in ids],
        machine_ids=ids,
        groups=[f"normal {i}" for i in range(len(ids))],
        others=[tone(hz, random, seconds=seconds) for hz in others for _ in range(per_id)],
        other_types=types,
        other_groups=[f"other {i}" for i in range(len(types))],
    )


def logmels_of(clips, recipe=RECIPE):
    """The log-Mels of the target type's clips, as `scores` takes them."""
    from offkey.signal.logmel import LogMel

    return LogMel.from_recipe(recipe.features).each(clips.clips)
