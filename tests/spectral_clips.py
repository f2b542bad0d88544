"""Clip statistics with a known law: loud smooth variation, quiet noise, and faults far below the first."""

import numpy as np

from offkey.signal.statistics import ClipStatistics


def normal_statistics(rng, n_clips, *, n_mels=24, offset_db=0.0):
    """Normals: two smooth shapes that vary by some dB from clip to clip, and 0.1 dB of independent noise."""
    mels = np.arange(n_mels)
    shapes = np.stack([np.ones(n_mels), np.cos(np.pi * mels / n_mels)])
    level = -40.0 + offset_db + 3.0 * rng.standard_normal((n_clips, 2)) @ shapes
    mean = level + 0.1 * rng.standard_normal((n_clips, n_mels))
    p5 = level - 6.0 + 0.1 * rng.standard_normal((n_clips, n_mels))
    lstd = 1.0 + 0.05 * rng.standard_normal((n_clips, n_mels))
    ldstd = 0.8 + 0.05 * rng.standard_normal((n_clips, n_mels))
    return ClipStatistics(*(a.astype(np.float32) for a in (mean, lstd, ldstd, p5)))


def faulty_statistics(rng, n_clips, *, n_mels=24, offset_db=0.0, bump_db=0.5):
    """The same with a bump of `bump_db` over two bins anywhere: far below the level's own variation."""
    normal = normal_statistics(rng, n_clips, n_mels=n_mels, offset_db=offset_db)
    centre = rng.uniform(2, n_mels - 2, n_clips)
    bump = bump_db * np.exp(-0.5 * np.square(np.arange(n_mels) - centre[:, None])).astype(np.float32)
    return normal._replace(mean=normal.mean + bump, p5=normal.p5 + bump)


def machine_clips(seed, counts, *, n_mels=24, clips_in_group=2):
    """Normals of several IDs: statistics, machine IDs, groups (recordings of `clips_in_group` clips)."""
    rng = np.random.default_rng(seed)
    parts = [normal_statistics(rng, n, n_mels=n_mels, offset_db=4.0 * i) for i, n in enumerate(counts)]
    statistics = ClipStatistics.joined(parts)
    ids = [f"{i:02d}" for i, n in enumerate(counts) for _ in range(n)]
    groups = [f"{i:02d}/{k // clips_in_group}" for i, n in enumerate(counts) for k in range(n)]
    return statistics, ids, groups


def with_rhythm(seed, statistics, ids, *, beat=0.0, fine=(2,)):
    """The same clips with finer spectrograms, and a rhythm that beats by so much in some bands.

    `fine` says how many times the bins each spectrogram has.
    """
    rng = np.random.default_rng([seed, 1])
    n_clips = len(statistics.mean)
    means = np.concatenate([np.repeat(statistics.mean, times, axis=1) for times in fine], axis=1)
    means = means + 0.1 * rng.standard_normal(means.shape)
    table = np.linspace(2.0, 0.0, 4)[:, None] + np.linspace(0.0, 1.0, 32)  # of noise: rates plus bands
    table = table + beat * (np.arange(4) == 2)[:, None] * (np.arange(32) % 8 == 0)
    number = np.array([int(name) for name in ids])[:, None]
    rhythm = table.ravel() + 0.2 * number + 0.5 * rng.standard_normal((n_clips, 128))
    return statistics._replace(fine_mean=means.astype(np.float32), rhythm=rhythm.astype(np.float32))


def take(statistics, rows):
    return statistics.take(rows)
