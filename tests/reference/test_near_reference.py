"""Near anomalies against the same in float64, and what is drawn against its distributions."""

import near_reference
import numpy as np
import pytest
import scipy.stats

from offkey.signal import near_kinds
from offkey.signal.near_anomalies import RICH_KINDS, draw, near_anomalies

RNG = np.random.default_rng(5)
PROFILE = -30 - 40 * np.linspace(0, 1, 128) + 6 * np.sin(np.arange(128) / 3)
LOGMEL = (PROFILE[:, None] + RNG.normal(0, 4, (128, 313))).astype(np.float32)
DEVIATION = RNG.uniform(0.2, 3, 128).astype(np.float32)
SEEDS = range(12)


@pytest.mark.parametrize("kind", RICH_KINDS)
@pytest.mark.parametrize("shape", [(128, 313), (64, 100), (128, 7), (3, 2), (1, 1)])
def test_each_kind_is_what_its_docstring_says(kind, shape):
    logmel, deviation = LOGMEL[: shape[0], : shape[1]], DEVIATION[: shape[0]]
    changes = []
    for seed in SEEDS:
        parameters = draw(kind, n_mels=shape[0], frames=shape[1], seed=seed)
        more = {"deviation_db": deviation} if kind in ("bumps", "gain_and_tilt") else {}
        altered = getattr(near_kinds, kind)(logmel, **parameters, **more)
        expected = near_reference.near_anomaly(kind, logmel, deviation, parameters)
        np.testing.assert_allclose(altered, expected, atol=5e-5, rtol=0)
        changes.append(np.abs(altered - logmel).max())
    if shape == (128, 313):
        assert min(changes) > 1e-3


@pytest.mark.parametrize("kind", RICH_KINDS)
def test_a_batch_holds_what_single_clips_hold(kind):
    clips = np.stack([LOGMEL, LOGMEL[::-1], LOGMEL + 7])
    deviations = np.stack([DEVIATION, 2 * DEVIATION, DEVIATION[::-1]])
    changed, positions = near_anomalies(clips, deviation_db=deviations, seeds=[5, 6, 2**62], kinds=(kind,))
    assert (positions == 0).all()
    for clip, deviation, seed, expected in zip(clips, deviations, [5, 6, 2**62], changed, strict=True):
        more = {"deviation_db": deviation} if kind in ("bumps", "gain_and_tilt") else {}
        single = getattr(near_kinds, kind)(clip, **draw(kind, n_mels=128, frames=313, seed=seed), **more)
        assert single.tobytes() == expected.tobytes()


# Range of each parameter at 128 bins, and whether it is uniform itself or in the logarithm of its magnitude.
DRAWN = {
    ("bumps", "centres"): (0, 127, "linear"),
    ("bumps", "widths"): (0.5, 4, "linear"),
    ("bumps", "amplitudes"): (0.05, 1, "log"),
    ("spread", "centre"): (0, 127, "linear"),
    ("spread", "width"): (0.5, 8, "linear"),
    ("spread", "amplitude"): (0.03, 0.5, "log"),
    ("mel_shift", "bins"): (0.05, 1, "log"),
    ("noise_band", "width"): (2, 20, "linear"),
    ("noise_band", "level_db"): (-18, 0, "linear"),
    ("lines", "widths"): (0.4, 0.8, "linear"),
    ("lines", "levels_db"): (-14, 1, "linear"),
    ("bursts", "widths"): (2, 20, "linear"),
    ("bursts", "levels_db"): (-10, 4, "linear"),
    ("clicks", "period"): (3, 60, "log"),
    ("clicks", "decay"): (0.5, 2.5, "linear"),
    ("clicks", "width"): (5, 40, "linear"),
    ("clicks", "level_db"): (-10, 6, "linear"),
    ("tremolo", "rate"): (0.3 / 31.25, 12 / 31.25, "log"),
    ("tremolo", "phase"): (0, 1, "linear"),
    ("tremolo", "width"): (2, 20, "linear"),
    ("tremolo", "depth_db"): (0.2, 3, "log"),
    ("time_warp", "depth"): (1, 10, "linear"),
    ("time_warp", "rate"): (0.1 / 31.25, 2 / 31.25, "log"),
}


def drawn(kind, name, seeds=2000):
    return np.concatenate(
        [np.ravel(draw(kind, n_mels=128, frames=313, seed=seed)[name]) for seed in range(seeds)]
    )


@pytest.mark.parametrize(("kind", "name"), DRAWN, ids=map("-".join, DRAWN))
def test_parameters_have_their_distribution(kind, name):
    low, high, scale = DRAWN[kind, name]
    values = drawn(kind, name)
    if scale == "log":
        if low <= 1 and name in ("amplitudes", "amplitude", "bins"):
            assert 0.45 < (values > 0).mean() < 0.55  # either sign
        values, low, high = np.log(np.abs(values)), np.log(low), np.log(high)
    assert scipy.stats.kstest((values - low) / (high - low), "uniform").pvalue > 1e-3


def test_what_is_not_uniform_has_its_distribution():
    gain, tilt = drawn("gain_and_tilt", "gain"), drawn("gain_and_tilt", "tilt")
    sizes = np.maximum(np.abs(gain), np.abs(tilt))
    assert sizes.max() <= 2
    assert abs(np.corrcoef(gain, tilt)[0, 1]) < 0.1
    # E |s u| with s log-uniform from 0.1 to 2
    assert np.abs(gain).mean() == pytest.approx(1.9 / np.log(20) / 2, rel=0.1)
    lengths, starts = drawn("bursts", "lengths"), drawn("bursts", "starts")
    assert lengths.min() == 3
    assert lengths.max() == 60
    uniform = np.sqrt(np.maximum(lengths - 3, 0) / 57)
    assert uniform.mean() == pytest.approx(0.5, abs=0.03)
    assert (starts + lengths <= 313).all()
    speeds = drawn("time_warp", "speed")
    assert (speeds == 1).mean() == pytest.approx(0.5, abs=0.05)
    assert scipy.stats.kstest((speeds[speeds != 1] - 0.8) / 0.4, "uniform").pvalue > 1e-3
    counts = [len(draw("bumps", n_mels=128, frames=313, seed=seed)["centres"]) for seed in range(2000)]
    assert np.bincount(counts)[1:].tolist() == pytest.approx([500] * 4, abs=100)
    centres = [draw("lines", n_mels=128, frames=313, seed=seed)["centres"] for seed in range(2000)]
    assert {len(c) for c in centres} == {1, 2, 3, 4, 5}
    gaps = [np.diff(c) for c in centres if len(c) > 1]
    assert all(np.ptp(gap) < 1e-9 and 2 <= gap[0] <= 32 for gap in gaps)


def test_widths_scale_with_the_number_of_bins():
    for kind, name in [("spread", "width"), ("noise_band", "width"), ("mel_shift", "bins")]:
        one, other = (draw(kind, n_mels=n_mels, frames=99, seed=4)[name] for n_mels in (128, 256))
        assert other == pytest.approx(2 * one)


def test_kinds_are_drawn_evenly():
    clips = np.zeros((5000, 4, 1), np.float32)
    positions = near_anomalies(clips, deviation_db=np.ones(4), seeds=np.arange(5000)).kinds
    assert np.bincount(positions).tolist() == pytest.approx([500] * 10, abs=110)


def test_flutter_has_mean_one_and_its_distribution():
    flutter = near_reference.Flutter(1).row(200_000)
    assert scipy.stats.kstest(flutter * 1.5 - 0.5, "expon").pvalue > 1e-3
    silence = np.full((1, 200_000), -300.0)  # what is added is all that is heard
    noise = near_kinds.noise_band(silence, centre=0, width=1, level_db=200, seed=1)
    np.testing.assert_allclose(10 ** ((noise[0].astype(np.float64) + 100) / 10), flutter, rtol=1e-4)
