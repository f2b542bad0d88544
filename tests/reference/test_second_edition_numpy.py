"""Recipe `spectral`, second edition, from samples to scores, against formulas written out in float64 numpy."""

import itertools

import numpy as np
import pytest

import offkey
from offkey.models.spectral.model import SpectralModel

RATE, SECONDS, CLIPS = 16_000, 2.5, 40
RECIPE = offkey.Recipe.named("spectral").replace(
    spectral__check=False,
    spectral__spectra=[
        {"n_fft": 2, "hop_length": 2, "n_mels": 2, "weight": 1.25},
        {"n_fft": 4, "hop_length": 3, "n_mels": 1},
    ],
)
FINE = [
    offkey.LogMel(n_fft=2048, hop_length=1024, n_mels=256),
    offkey.LogMel(n_fft=4096, hop_length=1536, n_mels=128),
]
RIDGE, TAU = 1e-3, 0.01


def sounds(seed, *, number, count):
    """Hum and noise; in the upper half of the spectrum the noise beats, at one rate for each machine."""
    rng = np.random.default_rng([seed, number])
    time = np.arange(int(RATE * SECONDS)) / RATE
    clips = []
    for _ in range(count):
        noise = rng.standard_normal(len(time))
        high = np.diff(noise, prepend=0.0)
        beat = 1 + 0.15 * np.sin(2 * np.pi * (3.0 + number) * time + rng.uniform(0, 2 * np.pi))
        level = 10 ** (rng.normal(0, 2) / 20)
        hum = np.sin(2 * np.pi * (180 + 40 * number) * time)
        clips.append((0.02 * level * (beat * high + 0.2 * noise + hum)).astype(np.float32))
    return clips


def rhythm(logmel):
    """32 bands, less their mean, times a Hann window, 4 rates from 0.4 Hz to half the frame rate."""
    frame_rate = RATE / 512
    bands = logmel.astype(np.float64).reshape(32, 4, -1).mean(axis=1)
    frames = bands.shape[1]
    bands = (bands - bands.mean(axis=1, keepdims=True)) * np.hanning(frames)
    power = np.abs(np.fft.rfft(bands, axis=1)) ** 2 / frames
    lines = np.fft.rfftfreq(frames, 1 / frame_rate)
    edges = np.geomspace(0.4, frame_rate / 2, 5)
    rates = [(lines >= low) & (lines < high) for low, high in itertools.pairwise(edges)]
    assert all(rate.any() for rate in rates)
    return np.log(np.stack([power[:, rate].mean(axis=1) for rate in rates]) + 1e-6).ravel()


def features(clips):
    """Each set's features, from log-Mels of three resolutions."""
    coarse = [x.astype(np.float64) for x in offkey.LogMel(n_fft=1024, n_mels=128).each(clips)]
    fine = [np.stack([x.mean(axis=1, dtype=np.float64) for x in logmel.each(clips)]) for logmel in FINE]
    mean = np.stack([x.mean(axis=1) for x in coarse])
    ldstd = np.log(np.stack([np.diff(x, axis=1).std(axis=1) for x in coarse]) + 1e-3)
    return {
        "F1": fine[0],
        "F2": fine[1],
        "A": np.hstack([mean, ldstd]),
        "P": np.stack([np.percentile(x, 5, axis=1) for x in coarse]),
        "T": np.stack([rhythm(x) for x in coarse]),
    }


def prior(bins, blocks):
    """Smooth bumps of 24 widths."""
    widths = np.linspace(0.5, 2.0, 24) * bins / 128
    apart = np.subtract.outer(np.arange(bins), np.arange(bins))
    block = np.mean([u * np.exp(-(apart**2) / (4 * u**2)) for u in widths], axis=0)
    return np.kron(np.eye(blocks), block / block[0, 0] + 1e-3 * np.eye(bins))


class Gaussian:
    """One set: means of IDs, the covariance they share, and scores of clips that it knows and that it does not."""

    def __init__(self, values, ids, blocks):
        self.center, self.unit = values.mean(axis=0), values.std(axis=0)
        scaled = (values - self.center) / self.unit
        self.means = np.stack([scaled[ids == i].mean(axis=0) for i in (0, 1)])
        self.residuals = scaled - self.means[ids]
        self.freedom, p = len(ids) - 2, values.shape[1]
        covariance = self.residuals.T @ self.residuals / self.freedom
        t = np.trace(covariance) / p
        self.normal = (1 - RIDGE) * covariance + RIDGE * t * np.eye(p)
        self.anomalous = self.normal + TAU * t * prior(p // blocks, blocks)

    def log_scores(self, values):
        """Against both IDs."""
        deviations = (values - self.center)[:, None] / self.unit - self.means
        difference = np.linalg.inv(self.normal) - np.linalg.inv(self.anomalous)
        return np.log(np.einsum("nip,pq,niq->ni", deviations, difference, deviations) + 1e-12)

    def log_scores_left_out(self, ids):
        """Of the training clips against their own IDs, each by the model without it (Woodbury)."""
        scores = []
        for clip, i in enumerate(ids):
            r, n = self.residuals[clip], np.count_nonzero(ids == i)
            vectors = np.stack([r, r / np.sqrt(n - 1)], axis=1)
            growth = self.freedom / (self.freedom - 1)
            a = (1 - RIDGE) / self.freedom
            d = r + r / (n - 1)
            ratio = 0.0
            for matrix, sign in ((self.normal, 1), (self.anomalous, -1)):
                inverse = np.linalg.inv(matrix)
                h = vectors.T @ inverse @ d
                middle = np.eye(2) - a * vectors.T @ inverse @ vectors
                ratio += sign * (d @ inverse @ d + a * h @ np.linalg.solve(middle, h)) / growth
            scores.append(np.log(ratio + 1e-12))
        return np.array(scores)


def drawn_in(scores):
    reach = 3 * 1.4826 * np.median(np.abs(scores - np.median(scores)))
    return np.clip(scores, np.median(scores) - reach, np.median(scores) + reach)


def strength(table, ids):
    """Of the rhythm."""
    strengths = []
    for i in (0, 1):
        own = table[ids == i]
        rates = own.mean(axis=0).reshape(4, 32)
        rest = rates - rates.mean(axis=1, keepdims=True) - rates.mean(axis=0, keepdims=True) + rates.mean()
        strengths.append(rest.var() / own.var(axis=0, ddof=1).mean())
    return np.mean(strengths)


def test_scores_and_calibration_are_the_weighted_sum_over_f1_f2_a_p_and_t():
    clips = sounds(0, number=0, count=CLIPS) + sounds(0, number=1, count=CLIPS)
    ids = np.repeat([0, 1], CLIPS)
    plan = {"fine": FINE, "rhythm": True}
    logmel = offkey.LogMel()
    names, groups = [f"{i:02d}" for i in ids], [str(k) for k in range(2 * CLIPS)]
    model = SpectralModel.of_statistics(
        logmel.statistics(clips, **plan), names, groups, recipe=RECIPE, seed=0
    )
    assert not any("unlike the rest" in note for note in model.notes)  # every clip counts in full
    fresh = sounds(1, number=0, count=8)

    known, new = features(clips), features(fresh)
    q = strength(known["T"], ids)
    weight = min(1.0, (q / 0.4) ** 2)
    assert 0 < weight < 1
    assert model.edition.rhythm == pytest.approx(q, rel=1e-4)
    expected, calibration = np.zeros((8, 2)), np.zeros(2 * CLIPS)
    for name, values in known.items():
        gaussian = Gaussian(values, ids, 2 if name == "A" else 1)
        left_out = gaussian.log_scores_left_out(ids)
        pools = [drawn_in(left_out[ids == i]) for i in (0, 1)]
        mean, deviation = (np.array([f(pool) for pool in pools]) for f in (np.mean, np.std))
        counts = {"T": 2 * weight, "F1": 1.25}.get(name, 1.0)
        expected += counts * (gaussian.log_scores(new[name]) - mean) / deviation
        calibration += counts * (left_out - mean[ids]) / deviation[ids]
    scores = model.scores(logmel.statistics(fresh, **plan))["a_spectral"]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-3)  # statistics are float32
    np.testing.assert_allclose(model.held_out.scores["a_spectral"], calibration, rtol=0, atol=2e-3)
