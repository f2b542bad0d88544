"""What the synthetic machines sound like: speeds where they should be, faults audible, levels not telling."""

import numpy as np
import pytest

from offkey.datasets.synthetic import FAULTS, MACHINES, render
from offkey.datasets.synthetic.fan import Fan
from offkey.datasets.synthetic.noise import Factory
from offkey.datasets.synthetic.pump import Pump
from offkey.datasets.synthetic.signals import Fault, Grid, rms, stream
from offkey.datasets.synthetic.slider import Slider
from offkey.datasets.synthetic.valve import Valve

GRID = Grid(64_000, 16_000)
EVERY_FAULT = [(machine, fault) for machine in MACHINES for fault in FAULTS[machine]]


def power(sound, rate=16_000):
    """Power spectrum over frames of 2048, in dB."""
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(sound).ravel(), 2048)[::1024]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(2048))) ** 2
    return 10 * np.log10(spectrum.mean(axis=0) + 1e-12)


def fault_of(kind, severity=1.0):
    return Fault(kind=kind, severity=severity, rng=stream(0, "fault"))


def whole(machine, fault=None, clip=0):
    return machine.spectrum(stream(0, "clip", clip), fault)


def peak_above(levels, index):
    """How far the strongest line near an index stands above its neighbourhood, in dB."""
    around = np.r_[levels[max(index - 40, 0) : index - 5], levels[index + 6 : index + 41]]
    return levels[index - 3 : index + 4].max() - np.median(around)


def line_spectrum(half):
    return 10 * np.log10(np.abs(half) ** 2 + 1e-12)


@pytest.mark.parametrize("machine_id", ["00", "01", "02"])
def test_fan_has_blade_pass_tones(machine_id):
    fan = Fan(0, machine_id, GRID)
    levels = line_spectrum(whole(fan))
    per_hz = GRID.size / GRID.sample_rate
    found = [peak_above(levels, round(m * fan.blades * fan.shaft_hz * per_hz)) for m in (1, 2)]
    assert max(found) > 10


def test_fan_imbalance_raises_the_shaft_rate():
    fan = Fan(0, "00", GRID)
    per_hz = GRID.size / GRID.sample_rate
    low, high = (round(fan.shaft_hz * f * per_hz) for f in (0.95, 1.05))
    gain = [np.abs(whole(fan, f)[low:high]).max() for f in (None, fault_of("imbalance"))]
    assert gain[1] > 3 * gain[0]


def test_bearing_clicks_come_at_the_race_rate():
    fan = Fan(0, "00", GRID)
    turns = np.arange(GRID.samples) / GRID.sample_rate * fan.shaft_hz
    train = fan._clicks(stream(0, "b"), turns)
    # two samples share a click that falls between them
    count = np.count_nonzero((train[1:] > 0) & (train[:-1] == 0))
    assert count == pytest.approx(fan.race_factor * fan.shaft_hz * GRID.seconds, rel=0.05)


def test_pump_has_vane_pass_tones():
    pump = Pump(0, "02", GRID)
    levels = line_spectrum(whole(pump))
    assert peak_above(levels, round(pump.vanes * pump.shaft_hz * GRID.size / GRID.sample_rate)) > 10


def test_leaks_hiss_at_high_frequencies():
    for machine, low_hz in ((Pump(0, "00", GRID), 4_000), (Valve(0, "00", GRID), 4_000)):
        healthy, leaking = (power(GRID.time(whole(machine, f))) for f in (None, fault_of("leak")))
        high = np.arange(len(healthy)) * 16_000 / 2048 > low_hz
        assert (leaking - healthy)[high].mean() > 1.0
        assert abs((leaking - healthy)[~high].mean()) < (leaking - healthy)[high].mean() / 2


def test_slider_turns_where_it_stands_still():
    slider = Slider(0, "00", GRID)
    speed, position, turning = slider._motion(stream(0, "m"), 1.0)
    at = np.round(turning * GRID.sample_rate).astype(int)
    at = at[at < GRID.samples]
    assert len(at) == pytest.approx(GRID.seconds / slider.stroke_s, abs=1)
    assert np.abs(speed[at]).max() < 0.01
    assert position.min() == 0.0
    assert position.max() == 1.0
    assert np.abs(speed).max() == 1.0


def test_rail_damage_clicks_in_both_directions():
    slider = Slider(0, "00", GRID)
    speed, position, _ = slider._motion(stream(0, "m"), 1.0)
    train = slider._dents(stream(0, "d"), position, np.abs(speed))
    at = np.flatnonzero(train)
    assert {-1.0, 1.0} <= set(np.sign(speed[at]))


def test_valve_opens_and_closes_by_its_pattern():
    valve = Valve(0, "00", GRID)
    opens, closes = valve._pattern(stream(0, "p"))
    assert np.median(np.diff(opens)) == pytest.approx(valve.period_s, rel=0.05)
    gate = valve._gate(opens, closes)
    assert set(np.unique(gate)) <= {0.0, 1.0}
    assert gate.mean() == pytest.approx(valve.open_part, abs=0.12)


def test_factory_noise_is_of_level_one_and_never_the_same():
    factory = Factory(0, GRID)
    noises = [factory.sound(stream(0, "n", i)) for i in range(6)]
    sounds = [noise.around + noise.placed for noise in noises]
    for sound in sounds:
        assert rms(sound) == pytest.approx(1.0, rel=0.1)
    spectra = [power(sound) for sound in sounds]
    assert np.std(spectra, axis=0).mean() > 1.0


@pytest.mark.parametrize("kind", [Fan, Pump, Slider, Valve])
def test_everything_stays_in_single_precision(kind):
    for name in (None, *kind.faults):
        machine = kind(0, "00", GRID)
        assert whole(machine, fault_of(name) if name else None).dtype == np.complex64
        filters = [v for v in vars(machine).values() if isinstance(v, np.ndarray)]
        assert {v.dtype for v in filters} <= {np.dtype("f4"), np.dtype("c8")}


@pytest.mark.parametrize("machine", MACHINES)
def test_ids_are_different_machines(machine):
    spectra = {
        i: [power(render(machine, i, clip=c, snr_db=None, seconds=4.0)[0]) for c in range(3)]
        for i in ("00", "02")
    }
    spectra = {i: [s - s.mean() for s in found] for i, found in spectra.items()}
    within = np.abs(spectra["00"][0] - spectra["00"][1]).mean()
    assert np.abs(spectra["00"][0] - spectra["02"][0]).mean() > 1.5 * within


@pytest.mark.parametrize(("machine", "fault"), EVERY_FAULT)
def test_a_fault_changes_the_sound_by_its_severity_and_never_its_level(machine, fault):
    healthy = render(machine, "00", snr_db=None, seconds=4.0)[0]
    changes = []
    for severity in (0.0, 0.5, 1.0):
        broken = render(machine, "00", fault=fault, severity=severity, snr_db=None, seconds=4.0)[0]
        assert broken.shape == healthy.shape
        assert rms(broken) == pytest.approx(rms(healthy), rel=1e-4)
        changes.append(rms(broken - healthy) / rms(healthy))
    assert 0.005 < changes[0] < changes[1] < changes[2]
    assert changes[0] < 0.35
    assert changes[2] > 0.2


@pytest.mark.parametrize(("machine", "fault"), EVERY_FAULT)
def test_all_but_the_machine_is_the_same_with_a_fault(machine, fault):
    """The noise and the place are drawn apart from the fault: only the machine's own sound differs."""

    def noise(fault_or_none):
        # the level is that of the mixture, so the noise is what is left when the machine's share is taken out
        mixed = render(machine, "00", fault=fault_or_none, snr_db=-20.0, seconds=1.0)[0]
        return mixed / rms(mixed)

    assert np.corrcoef(noise(None), noise(fault))[0, 1] > 0.98


def test_the_noise_has_the_level_asked_for():
    for snr_db in (-6.0, 0.0, 6.0):
        found = []
        for clip in range(12):
            alone = render("fan", "00", clip=clip, snr_db=None, seconds=1.0)[0].astype(float)
            mixed = render("fan", "00", clip=clip, snr_db=snr_db, seconds=1.0)[0].astype(float)
            share = (mixed @ alone) / (alone @ alone)
            found.append(20 * np.log10(rms(share * alone) / rms(mixed - share * alone)))
        assert np.mean(found) == pytest.approx(snr_db, abs=1.2)


@pytest.mark.parametrize("machine", MACHINES)
def test_levels_vary_and_nothing_clips(machine):
    sounds = [render(machine, "00", clip=c, snr_db=6.0, seconds=2.0)[0] for c in range(20)]
    db = [20 * np.log10(rms(s)) for s in sounds]
    assert np.ptp(db) > 4
    assert min(db) >= -42.01
    assert max(db) <= -31.99
    assert max(np.abs(s).max() for s in sounds) < 1.0


def test_eight_microphones_hear_the_same_machine_a_little_apart():
    sound = render("pump", "00", channels=8, snr_db=None, seconds=2.0)
    assert sound.shape == (8, 32_000)
    np.testing.assert_array_equal(sound[0], render("pump", "00", snr_db=None, seconds=2.0)[0])
    for c in range(1, 8):
        assert not np.array_equal(sound[c], sound[0])
        best = max(np.corrcoef(np.roll(sound[c], shift), sound[0])[0, 1] for shift in range(-5, 6))
        assert best > 0.9
    mixed = render("pump", "00", channels=8, snr_db=0.0, seconds=2.0)
    np.testing.assert_array_equal(mixed[0], render("pump", "00", snr_db=0.0, seconds=2.0)[0])


def test_other_seeds_clips_and_ids_are_other_sounds():
    base = render("valve", "00", seconds=1.0)
    np.testing.assert_array_equal(base, render("valve", "00", seconds=1.0))
    for other in (
        render("valve", "00", seconds=1.0, clip=1),
        render("valve", "00", seconds=1.0, seed=1),
        render("valve", "01", seconds=1.0),
    ):
        assert abs(np.corrcoef(base[0], other[0])[0, 1]) < 0.5
