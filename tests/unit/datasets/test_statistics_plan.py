import numpy as np
import pytest
from machines import RATE, recording

import offkey
from offkey.datasets.statistics_plan import Measures, StatisticsPlan
from offkey.recipe import Features

FEATURES = Features(n_mels=32)
FINE = Features(n_mels=64, n_fft=2048)
BOTH = StatisticsPlan(fine=(FINE,), rhythm=True)


def clips(*seconds):
    rng = np.random.default_rng(0)
    return [recording(rng, hum_hz=100.0, seconds=s) for s in seconds]


def test_plans_join_and_narrow():
    fine, rhythm = StatisticsPlan(fine=(FINE,)), StatisticsPlan(rhythm=True)
    assert fine | rhythm == rhythm | fine == BOTH
    assert BOTH.narrowed(["rhythm"]) == rhythm
    assert BOTH.narrowed(["fine_mean"]) == fine
    assert BOTH.narrowed([]) == StatisticsPlan()
    assert fine.narrowed(["fine_mean", "rhythm"]) == fine


@pytest.mark.parametrize(
    "plan", [StatisticsPlan(), StatisticsPlan(fine=(FINE,)), StatisticsPlan(rhythm=True)]
)
def test_what_the_plan_has_is_measured_and_nothing_else(plan):
    got = Measures(FEATURES, plan).statistics(clips(2.0, 3.0), num_threads=1)
    assert (got.fine_mean is not None) == bool(plan.fine)
    assert (got.rhythm is not None) == plan.rhythm
    all_of_it = Measures(FEATURES, BOTH).statistics(clips(2.0, 3.0), num_threads=1)
    for name, array in plan.part_of(all_of_it).arrays().items():
        np.testing.assert_array_equal(getattr(got, name), array)


def test_log_mels_and_their_samples_have_the_same_rhythm():
    sounds = np.stack(clips(2.0, 2.0))
    measures = Measures(FEATURES, BOTH)
    of_samples = measures.statistics(list(sounds), num_threads=1)
    logmels = offkey.LogMel.from_recipe(FEATURES)(sounds)
    of_logmels = measures.statistics_of_logmels(logmels, num_threads=1)
    assert of_logmels.fine_mean is None
    np.testing.assert_allclose(of_logmels.rhythm, of_samples.rhythm, rtol=0, atol=1e-3)


def test_a_clip_shorter_than_the_slowest_rate_has_no_rhythm():
    """One second, with the features of the paper."""
    got = Measures(FEATURES, BOTH).statistics(clips(0.9, 1.0, 0.01, 5.0), num_threads=1)
    assert np.isnan(got.rhythm).all(axis=1).tolist() == [True, False, True, False]
    assert np.isfinite(got.rhythm[[1, 3]]).all()
    assert np.isfinite(got.fine_mean).all()
    short = np.zeros((2, 32, 20), np.float32)
    assert np.isnan(Measures(FEATURES, BOTH).statistics_of_logmels(short, num_threads=1).rhythm).all()


@pytest.mark.parametrize("hop_length", [128, 512, 4000, 15_000])
def test_as_many_samples_as_are_said_to_suffice_do(hop_length):
    measures = Measures(Features(n_mels=32, hop_length=hop_length, pad_mode="none"), BOTH)
    silence = np.zeros(measures.sufficient_samples, np.float32)
    got = measures.statistics([silence], num_threads=1)
    assert all(np.isfinite(array).all() for array in got.arrays().values())


def test_each_is_measured_at_its_own_hop():
    settings = [
        {"n_mels": 64, "n_fft": 2048, "hop_length": 1024},
        {"n_mels": 96, "n_fft": 8192, "hop_length": 4096},
    ]
    plan = StatisticsPlan(fine=tuple(Features(**one) for one in settings))
    [sound] = clips(3.0)
    got = Measures(FEATURES, plan).statistics([sound], num_threads=1)
    expected = [offkey.LogMel(**one, sample_rate=RATE)(sound[None]).mean(axis=2) for one in settings]
    np.testing.assert_allclose(got.fine_mean, np.concatenate(expected, axis=1), rtol=0, atol=1e-4)
