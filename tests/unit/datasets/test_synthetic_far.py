"""The far microphone: what it hears of the factory, of the machine, and by itself."""

import itertools

import numpy as np
import pytest

from offkey.datasets.synthetic import FAULTS, MACHINES, render
from offkey.datasets.synthetic.signals import rms


def db(ratio):
    return 20 * np.log10(ratio)


def bands(samples, count=24):
    """Levels in dB of bands of equal width in the logarithm of frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    edges = np.geomspace(20, len(power), count + 1).astype(int)
    return np.array([10 * np.log10(power[a:b].mean()) for a, b in itertools.pairwise(edges)])


@pytest.mark.parametrize("machine", MACHINES)
def test_the_near_channel_is_the_same_without_it(machine):
    for options in ({"snr_db": -3.0}, {"snr_db": None}, {"snr_db": 0.0, "fault": FAULTS[machine][0]}):
        both = render(machine, "02", clip=5, far_db=-17.5, seconds=1.0, **options)
        assert both.shape == (2, 16_000)
        assert both.dtype == np.float32
        np.testing.assert_array_equal(both[:1], render(machine, "02", clip=5, seconds=1.0, **options))


def test_the_machine_is_as_faint_there_as_asked_for():
    for far_db in (-20.0, -10.0):
        fainter = []
        for machine_id in ("00", "02", "04", "06"):
            near, far = render("pump", machine_id, snr_db=None, far_db=far_db, seconds=2.0)
            fainter.append(db(rms(far) / rms(near)))
        assert all(abs(level - far_db) < 3.0 for level in fainter)  # 2.5 dB from ID to ID, and its own noise
        assert np.ptp(fainter) > 0.1


def test_its_own_noise_is_no_other_microphones():
    near, far = render("fan", "00", snr_db=None, far_db=-60.0, seconds=2.0)
    assert db(rms(far) / rms(near)) == pytest.approx(-30.0, abs=0.5)
    assert abs(np.corrcoef(near, far)[0, 1]) < 0.05


def test_it_hears_the_noise_of_the_clip_that_the_near_one_hears():
    clips = [render("fan", "00", clip=c, snr_db=-20.0, far_db=-40.0, seconds=2.0) for c in range(16)]
    near, far = (np.stack([bands(clip[k]) for clip in clips]) for k in (0, 1))
    near, far = near - near.mean(axis=0), far - far.mean(axis=0)
    of_same_clip = np.corrcoef(near.ravel(), far.ravel())[0, 1]
    of_next_clip = np.corrcoef(near.ravel(), np.roll(far, 1, axis=0).ravel())[0, 1]
    assert of_same_clip > 0.7
    assert abs(of_next_clip) < 0.3
    assert np.mean([rms(clip[1]) for clip in clips]) > np.mean([rms(clip[0]) for clip in clips])


def test_a_fault_is_heard_there_no_more_than_the_machine_is():
    def change(far_db):
        healthy, faulty = (
            render("fan", "00", fault=fault, snr_db=-3.0, far_db=far_db, seconds=2.0)
            for fault in (None, "bearing")
        )
        return [np.abs(bands(faulty[k]) - bands(healthy[k])).max() for k in (0, 1)]

    assert change(-10.0)[0] == change(-40.0)[0] > 1.0
    assert change(-40.0)[1] < 0.2 < change(-10.0)[1] < change(-10.0)[0]
