"""The parts that synthetic machines are made of, against what they say they are."""

import numpy as np
import pytest

from offkey.datasets.synthetic import signals
from offkey.datasets.synthetic.signals import Grid

GRID = Grid(16_000, 16_000)


def test_fft_sizes_have_small_factors():
    for samples, size in ((16_000, 16_000), (16_001, 16_200), (1, 1), (7, 8), (160_000, 160_000)):
        assert Grid(samples, 16_000).size == size


def test_spectrum_and_time_undo_each_other():
    grid = Grid(1_001, 8_000)
    sound = grid.noise(signals.stream(0, "x"))
    np.testing.assert_allclose(grid.time(grid.spectrum(sound)), sound, atol=1e-5)
    assert grid.time(grid.spectrum(sound)).dtype == np.float32


def test_noise_has_deviation_one_either_way():
    rng = signals.stream(0, "noise")
    assert abs(GRID.noise(rng).std() - 1) < 0.03
    spectrum = GRID.noise_spectrum(rng)
    assert abs(GRID.time(spectrum).std() - 1) < 0.03
    assert GRID.rms(spectrum) == pytest.approx(signals.rms(GRID.time(spectrum)), rel=1e-3)


def test_scaled_reaches_the_level_and_leaves_silence():
    spectrum = GRID.noise_spectrum(signals.stream(0, "noise"))
    assert GRID.rms(GRID.scaled(spectrum, 0.1)) == pytest.approx(0.1, rel=1e-4)
    assert not GRID.scaled(np.zeros_like(spectrum), 1.0).any()


def test_streams_are_named():
    first = signals.stream(0, "fan", "00", 1).random(4)
    np.testing.assert_array_equal(first, signals.stream(0, "fan", "00", 1).random(4))
    for other in (
        (1, "fan", "00", 1),
        (0, "fan", "00", 2),
        (0, "fan", "01", 1),
        (0, "fan", "00"),
        (0, "fan", 1, "00"),
    ):
        assert not np.array_equal(first, signals.stream(*other).random(4))


def test_ramp_goes_through_its_knots():
    knots = np.array([0.0, 1.0, -1.0, 3.0])
    line = signals.ramp(knots, 300)
    np.testing.assert_allclose(line[[0, 50, 100, 150, 200]], [0.0, 0.5, 1.0, 0.0, -1.0], atol=1e-6)
    assert len(signals.ramp(knots, 301)) == 301


def test_slow_has_deviation_one_and_its_corner():
    grid = Grid(8_000 * 500, 8_000)
    knots = signals.slow(signals.stream(0, "slow"), grid, corner_hz=0.5)
    assert abs(knots.std() - 1) < 0.15
    lag = np.corrcoef(knots[1:], knots[:-1])[0, 1]
    assert lag == pytest.approx(np.exp(-2 * np.pi * 0.5 / 10), abs=0.05)


def test_wander_turns_at_its_speed():
    turns = signals.wander(signals.stream(0, "w"), GRID, hz=25.0, deviation=0.01)
    assert turns[-1] - turns[0] == pytest.approx(25.0, rel=0.03)
    assert (np.diff(turns) > 0).all()


def test_lookup_is_the_sum_of_its_orders():
    wave = signals.table({3: 1.0, 10: 0.5}, signals.stream(0, "t"))
    turns = np.arange(4_000) * 0.001
    spectrum = np.abs(np.fft.rfft(signals.lookup(wave, turns))) / 2_000
    np.testing.assert_allclose(spectrum[[12, 40]], [1.0, 0.5], atol=2e-3)
    spectrum[[12, 40]] = 0
    assert spectrum.max() < 2e-3


def test_impacts_fall_between_samples_and_outside_ones_are_dropped():
    times = np.array([0.5, 0.25 + 0.25 / 16_000, -0.1, 1.0, 2.0])
    train = signals.impacts(times, np.array([1.0, 2.0, 5.0, 5.0, 5.0]), GRID)
    assert train[8_000] == pytest.approx(1.0)
    np.testing.assert_allclose(train[4_000:4_002], [1.5, 0.5], atol=1e-6)
    assert train.sum() == pytest.approx(3.0)
    assert not signals.impacts(np.array([]), np.array([]), GRID).any()


def test_modes_peak_at_their_gain_and_die_away():
    response = signals.modes(GRID, np.array([1_000.0]), np.array([20.0]), np.array([0.7]))
    assert np.abs(response).argmax() == 1_000
    assert np.abs(response).max() == pytest.approx(0.7, rel=1e-3)
    half_power = np.flatnonzero(np.abs(response) > 0.7 / np.sqrt(2))
    assert len(half_power) == pytest.approx(1_000 / 20, abs=2)
    ring = GRID.time(response)
    # it rings after the blow, not before it: what comes before is at the end, but for the ripple of a cut band
    assert np.abs(ring[:800]).max() > 1000 * np.abs(ring[8_000:-500]).max()


def test_band_is_flat_inside_and_falls_outside():
    magnitude = signals.band(GRID, 500.0, 2_000.0)
    assert magnitude[1_000] > 0.9
    assert magnitude[500] == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert magnitude[50] < 0.02
    assert magnitude[8_000] < 0.07


def test_fault_levels():
    fault = signals.Fault(kind="leak", severity=0.5, rng=signals.stream(0, "f"))
    assert fault.level("leak", plain_db=-4.0, span_db=20.0) == pytest.approx(10 ** (-14 / 20))
    assert fault.level("clogging", plain_db=-4.0, span_db=20.0) == 0.0
