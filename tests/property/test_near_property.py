"""What holds for every near anomaly, whatever the clip, the seed and the size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offkey.signal import near_kinds
from offkey.signal.near_anomalies import RICH_KINDS, draw, near_anomalies

SEEDS = st.integers(0, 2**63 - 1)
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 80))
LOGMELS = SIZES.flatmap(
    lambda size: arrays(np.float32, size, elements=st.floats(-120, 60, width=32), fill=st.just(-40.0))
)


@settings(max_examples=100, deadline=None)
@given(LOGMELS, SEEDS, st.sampled_from(RICH_KINDS), st.floats(0, 100))
def test_shape_and_finiteness_are_kept(logmel, seed, kind, deviation):
    clips = np.stack([logmel, logmel])
    changed, _ = near_anomalies(
        clips, deviation_db=np.full(len(logmel), deviation), seeds=[seed, seed], kinds=(kind,)
    )
    assert changed.shape == clips.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert changed[0].tobytes() == changed[1].tobytes()
    if kind in ("noise_band", "lines", "bursts", "clicks"):
        assert (changed >= clips).all()  # power only ever adds up
    if kind == "time_warp":
        assert np.isin(changed, clips).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), SIZES, SEEDS, st.integers(1, 4))
def test_neither_threads_nor_the_batch_matter(count, size, seed, num_threads):
    rng = np.random.default_rng(seed)
    clips, seeds = rng.normal(-40, 5, (count, *size)), rng.integers(0, 2**62, count)
    deviations = rng.uniform(0, 3, (count, size[0]))
    one, kinds = near_anomalies(clips, deviation_db=deviations, seeds=seeds, num_threads=1)
    out = np.empty_like(one)
    many = near_anomalies(clips, deviation_db=deviations, seeds=seeds, num_threads=num_threads, out=out)
    assert many.logmels is out
    assert out.tobytes() == one.tobytes()
    assert many.kinds.tolist() == kinds.tolist()
    if count:
        last = near_anomalies(clips[-1:], deviation_db=deviations[-1], seeds=seeds[-1:])
        assert last.logmels.tobytes() == one[-1:].tobytes()
        assert last.kinds.tolist() == kinds[-1:].tolist()


BAND = {"centre": 9.3, "width": 1.5}
NOTHING = {
    "bumps": {"centres": [3], "widths": [2], "amplitudes": [0], "deviation_db": np.ones(20)},
    "spread": {**BAND, "amplitude": 0},
    "mel_shift": {"bins": 0},
    "gain_and_tilt": {"gain": 0, "tilt": 0, "deviation_db": np.ones(20)},
    "noise_band": {**BAND, "level_db": -300, "seed": 1},
    "lines": {"centres": [], "widths": [], "levels_db": [], "seed": 1},
    "bursts": {"starts": [4], "lengths": [0], "centres": [3], "widths": [2], "levels_db": [9], "seed": 1},
    "clicks": {**BAND, "period": 5, "first": 50, "jitter": 0, "decay": 1, "level_db": 9, "seed": 1},
    "tremolo": {**BAND, "rate": 0.1, "phase": 0.3, "depth_db": 0},
    "time_warp": {"depth": 0, "rate": 0.1, "phase": 0.3},
}


@pytest.mark.parametrize("kind", RICH_KINDS)
def test_nothing_added_changes_nothing(kind):
    logmel = np.random.default_rng(1).normal(-40, 5, (20, 50)).astype(np.float32)
    altered = getattr(near_kinds, kind)(logmel, **NOTHING[kind])
    np.testing.assert_array_equal(altered, logmel)


@given(st.floats(0, 63), st.floats(0.4, 5), SEEDS)
def test_outside_of_its_reach_a_band_changes_nothing(centre, width, seed):
    logmel = np.random.default_rng(2).normal(-40, 5, (64, 20)).astype(np.float32)
    band = {"centre": centre, "width": width}
    row = {"centres": [centre], "widths": [width]}
    altered = [
        near_kinds.bumps(logmel, **row, amplitudes=[5], deviation_db=np.ones(64)),
        near_kinds.spread(logmel, **band, amplitude=0.5),
        near_kinds.noise_band(logmel, **band, level_db=10, seed=seed),
        near_kinds.lines(logmel, **row, levels_db=[10], seed=seed),
        near_kinds.tremolo(logmel, **band, rate=0.2, phase=0.1, depth_db=3),
        near_kinds.clicks(logmel, **band, period=7, first=0, decay=1, level_db=10, seed=seed),
    ]
    bursts = near_kinds.bursts(logmel, **row, starts=[5], lengths=[4], levels_db=[10], seed=seed)
    outside = np.abs(np.arange(64) - centre) > 6 * width
    for one in [*altered, bursts]:
        np.testing.assert_array_equal(one[outside], logmel[outside])
        assert (one != logmel).any()
    kept = np.r_[0:5, 9:20]
    np.testing.assert_array_equal(bursts[:, kept], logmel[:, kept])


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_a_shift_leaves_the_deviations_between_those_of_the_bins(seed):
    logmel = np.random.default_rng(seed).normal(-40, 5, (16, 400))
    bins = draw("mel_shift", n_mels=128, frames=400, seed=seed)["bins"]
    shifted = near_kinds.mel_shift(logmel, bins=bins).astype(np.float64)
    bin_numbers = np.arange(16)
    for statistic in (np.mean, np.std):
        expected = np.interp(bin_numbers - bins, bin_numbers, statistic(logmel, axis=1))
        np.testing.assert_allclose(statistic(shifted, axis=1), expected, atol=1e-4)
