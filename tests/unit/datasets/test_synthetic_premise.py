"""The world in which outlier exposure is meant to work: what moves where, and how loud it is."""

import numpy as np
import pytest

from offkey.datasets.synthetic import MACHINES, TOWARDS, render
from offkey.datasets.synthetic.premise import other_machine
from offkey.datasets.synthetic.signals import Fault, rms, stream
from offkey.errors import ParameterError

CLIP = {"seconds": 2.0, "sample_rate": 8_000, "snr_db": None}


def bands(sound):
    """Power in twelfths of the spectrum, in dB."""
    power = np.abs(np.fft.rfft(sound.ravel())) ** 2
    return 10 * np.log10([part.mean() for part in np.array_split(power, 12)])


def fault(kind, clip):
    return Fault(kind=kind, severity=1.0, rng=stream(0, "fault", clip))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_other_machine_is_of_the_kind_that_the_fault_names(machine):
    ids = [other_machine(fault("towards_other_id", i), machine, "02", types=MACHINES) for i in range(60)]
    assert {machine_type for machine_type, _ in ids} == {machine}
    assert {machine_id for _, machine_id in ids} == {"00", "01", "03", "04", "05", "06"}
    types = [other_machine(fault("towards_other_type", i), machine, "02", types=MACHINES) for i in range(60)]
    assert {machine_type for machine_type, _ in types} == set(MACHINES) - {machine}


@pytest.mark.parametrize("kind", TOWARDS)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_fault_moves_the_sound_towards_the_other_machine_the_further_the_worse(machine, kind):
    closer = []
    for clip in range(6):
        of_clip = Fault(kind=kind, severity=1.0, rng=stream(0, machine, "00", clip, "fault"))
        other_type, other_id = other_machine(of_clip, machine, "00", types=MACHINES)
        # Their level is random: they are compared by what is in each band of the whole.
        healthy = bands(render(machine, "00", clip=clip, **CLIP))
        other = bands(render(other_type, other_id, clip=clip, **CLIP))
        distances = []
        for severity in (0.0, 0.5, 1.0):
            mixed = bands(render(machine, "00", clip=clip, fault=kind, severity=severity, **CLIP))
            distances.append([np.std(mixed - healthy), np.std(mixed - other)])
        from_healthy, from_other = np.transpose(distances)
        assert from_healthy[0] < from_healthy[1] < from_healthy[2]
        closer.append(from_other[0] - from_other[2])
    assert np.mean(closer) > 0


@pytest.mark.parametrize("kind", TOWARDS)
def test_the_level_and_the_noise_do_not_tell(kind):
    for severity in (0.0, 1.0):
        plain, faulty = (
            render("pump", "04", clip=3, fault=each, severity=severity, **CLIP) for each in (None, kind)
        )
        assert rms(faulty) == pytest.approx(rms(plain), rel=1e-3)
        assert not np.array_equal(plain, faulty)


def test_a_fault_of_no_world_is_refused_by_name():
    with pytest.raises(ParameterError, match=r"fault 'leak': a fan has imbalance, .*, towards_other_type"):
        render("fan", "00", fault="leak")
