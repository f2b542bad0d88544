"""A recipe of near-anomaly networks that are trained in a second, and clips for it."""

import numpy as np

from offkey.datasets.training import TrainingClips
from offkey.models.near import Near
from offkey.recipe import Features, Recipe, Scoring

N_MELS, FRAMES = 16, 40
RECIPE = Recipe(
    name="tiny near",
    features=Features(sample_rate=8_000, n_fft=256, hop_length=128, n_mels=N_MELS),
    near=Near(networks=2, steps=10, batch_size=8),
    scoring=Scoring(combine="a_near"),
)


def logmels(count, *, seed=0, level=0.0, hz=None):
    """Noise around a spectrum of its own level and, with a rate, whose upper half rises and falls with it."""
    random = np.random.default_rng(seed)
    spectrum = -40 + 10 * np.sin(np.arange(N_MELS) + level)
    clips = (
        spectrum[:, None]
        + random.normal(0, 1, (count, N_MELS, 1))
        + random.normal(0, 3, (count, N_MELS, FRAMES))
    )
    if hz is not None:
        phases = random.uniform(0, 2 * np.pi, (count, 1, 1))
        clips[:, N_MELS // 2 :] += 8 * np.sin(2 * np.pi * hz * np.arange(FRAMES) / 62.5 + phases)
    return clips.astype(np.float32)


def training_clips(counts=None, *, hz=None, groups=None, seed=0):
    """Normal clips of IDs of different levels, each a recording of its own unless `groups` says otherwise."""
    counts = {"00": 12, "02": 12} if counts is None else counts
    clips = np.concatenate([logmels(n, seed=seed + i, level=i, hz=hz) for i, n in enumerate(counts.values())])
    return TrainingClips(
        inputs="logmel",
        clips=list(clips),
        machine_ids=[name for name, n in counts.items() for _ in range(n)],
        groups=[str(i) for i in range(len(clips))] if groups is None else groups,
    )
