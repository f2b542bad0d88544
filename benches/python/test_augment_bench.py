"""Augmentations of one 10 s clip, and of a training batch, beside the libraries that people use.

Before anything is timed, each contender is asserted to do the work: ours to the bars that the tests hold, a peer that
the result has the length and the level asked for. One thread; peers that are not installed are skipped.
"""

from __future__ import annotations

import numpy as np
import pytest

import offkey
from offkey import augment

RATE_HZ = 16_000
SAMPLES = 10 * RATE_HZ
SHIFT, FADE = 12_345, 8_000
SEMITONES, FASTER = 2.0, 1.1


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clip():
    rng, time_s = np.random.default_rng(0), np.arange(SAMPLES) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 97.3 * k * time_s) / k for k in range(1, 12))
    return (0.05 * hum + 0.02 * rng.standard_normal(SAMPLES)).astype(np.float32)


@pytest.fixture(scope="module")
def logmel(clip):
    return offkey.LogMel.paper()([clip])[0]


def signalsmith(*, semitones=0.0, rate=1.0):
    stretch = pytest.importorskip("python_stretch").Signalsmith.Stretch()
    stretch.preset(1, RATE_HZ, False)
    stretch.setTransposeSemitones(semitones)
    stretch.setTimeFactor(rate)

    def effect(clip):
        stretch.reset()
        return stretch.process(clip[None])[0]

    return effect


def audiomentations(name, *arguments, **settings):
    effect = getattr(pytest.importorskip("audiomentations"), name)(*arguments, p=1.0, **settings)
    return lambda clip: effect(clip, RATE_HZ)


def librosa_effect(name, **settings):
    librosa = pytest.importorskip("librosa")
    return lambda clip: getattr(librosa.effects, name)(clip, **settings)


def tone(hz):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(SAMPLES) / RATE_HZ)).astype(np.float32)


def assert_keeps_a_tone(effect, *, hz, length):
    """The tone comes out at `hz`, at its level and `length` samples long."""
    out = np.asarray(effect(tone(440.0)), np.float64)
    assert len(out) == pytest.approx(length, abs=1)
    middle = out[len(out) // 4 : len(out) // 4 + 2 * RATE_HZ]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() / 2 == pytest.approx(hz, abs=1)
    assert middle.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


PITCH = {
    "offkey": lambda: lambda x: augment.pitch_shift(x, semitones=SEMITONES),
    "python-stretch": lambda: signalsmith(semitones=SEMITONES),
    "audiomentations": lambda: audiomentations("PitchShift", SEMITONES, SEMITONES),
    "librosa": lambda: librosa_effect("pitch_shift", sr=RATE_HZ, n_steps=SEMITONES),
}
STRETCH = {
    "offkey": lambda: lambda x: augment.time_stretch(x, rate=FASTER),
    "python-stretch": lambda: signalsmith(rate=FASTER),
    "audiomentations": lambda: audiomentations("TimeStretch", FASTER, FASTER, leave_length_unchanged=False),
    "librosa": lambda: librosa_effect("time_stretch", rate=FASTER),
}


@pytest.mark.benchmark(group="pitch shift by 2 semitones")
@pytest.mark.parametrize("which", PITCH)
def test_pitch_shift(benchmark, clip, which):
    effect = PITCH[which]()
    assert_keeps_a_tone(effect, hz=440 * 2 ** (SEMITONES / 12), length=SAMPLES)
    benchmark(effect, clip)


@pytest.mark.benchmark(group="pitch shift by other amounts")
@pytest.mark.parametrize("semitones", [-10.0, -3.3, 0.5, 7.0, 10.0])
def test_pitch_shifts_of_ours(benchmark, clip, semitones):
    effect = lambda x: augment.pitch_shift(x, semitones=semitones)  # noqa: E731
    assert_keeps_a_tone(effect, hz=440 * 2 ** (semitones / 12), length=SAMPLES)
    benchmark(effect, clip)


@pytest.mark.benchmark(group="time stretch, 1.1 times as fast")
@pytest.mark.parametrize("which", STRETCH)
def test_time_stretch(benchmark, clip, which):
    effect = STRETCH[which]()
    assert_keeps_a_tone(effect, hz=440.0, length=round(SAMPLES / FASTER))
    benchmark(effect, clip)


@pytest.mark.benchmark(group="time stretch by other rates")
@pytest.mark.parametrize("rate", [0.5, 0.8, 2.0])
def test_time_stretches_of_ours(benchmark, clip, rate):
    effect = lambda x: augment.time_stretch(x, rate=rate)  # noqa: E731
    assert_keeps_a_tone(effect, hz=440.0, length=round(SAMPLES / rate))
    benchmark(effect, clip)


def noise_by_torch():
    torch = pytest.importorskip("torch")

    def effect(clip):
        samples = torch.from_numpy(clip)
        return torch.randn(len(clip)).mul_(samples.square().mean().sqrt() * 0.1).add_(samples).numpy()

    return effect


def noise_by_numpy():
    generator = np.random.default_rng(0)

    def effect(clip):
        noise = generator.standard_normal(len(clip), dtype=np.float32)
        noise *= np.sqrt(np.dot(clip, clip) / len(clip)) * np.float32(0.1)
        noise += clip
        return noise

    return effect


def noise_of_ours(*, into_one_array):
    settings = {"out": np.empty(SAMPLES, np.float32)} if into_one_array else {}
    return lambda x: augment.white_noise(x, snr_db=20.0, seed=1, **settings)


NOISE = {
    "offkey": lambda: noise_of_ours(into_one_array=False),
    "offkey, out=": lambda: noise_of_ours(into_one_array=True),
    "torch.randn": noise_by_torch,
    "numpy": noise_by_numpy,
    "audiomentations": lambda: audiomentations("AddGaussianSNR", 20.0, 20.0),
}


@pytest.mark.benchmark(group="white noise at 20 dB")
@pytest.mark.parametrize("which", NOISE)
def test_white_noise(benchmark, clip, which):
    effect = NOISE[which]()
    noise = np.asarray(effect(clip), np.float64) - clip
    assert 10 * np.log10(np.mean(np.square(clip, dtype=np.float64)) / np.mean(noise**2)) == pytest.approx(
        20, abs=0.1
    )
    benchmark(effect, clip)


def shift_into(out):
    return lambda x: augment.time_shift(x, samples=SHIFT, out=out)


def copy_into(out):
    def effect(clip):
        np.copyto(out, clip)
        return out

    return effect


SHIFTS = {
    "offkey": lambda: lambda x: augment.time_shift(x, samples=SHIFT),
    "offkey, out=": lambda: shift_into(np.empty(SAMPLES, np.float32)),
    "numpy.roll": lambda: lambda x: np.roll(x, SHIFT),
    "a copy": lambda: np.copy,
    "a copy into an array": lambda: copy_into(np.empty(SAMPLES, np.float32)),
}


@pytest.mark.benchmark(group="circular shift")
@pytest.mark.parametrize("which", SHIFTS)
def test_time_shift(benchmark, clip, which):
    effect = SHIFTS[which]()
    expected = clip if "copy" in which else np.roll(clip, SHIFT)
    np.testing.assert_array_equal(effect(clip), expected)
    benchmark(effect, clip)


def fade_by_numpy(clip, out=None):
    rise = np.linspace(0, 1, FADE, dtype=np.float32)
    faded = clip.copy() if out is None else out
    faded[:FADE] *= rise
    faded[-FADE:] *= rise[::-1]
    return faded


def fade_by_torchaudio():
    torch = pytest.importorskip("torch")
    try:
        from torchaudio.transforms import Fade
    except (ImportError, OSError) as error:
        pytest.skip(f"torchaudio cannot be loaded: {error}")
    transform = Fade(FADE, FADE, "linear")
    return lambda x: transform(torch.from_numpy(x)[None])[0].numpy()


FADES = {
    **{
        f"offkey, {shape}": lambda shape=shape: (
            lambda x: augment.fade(x, fade_in=FADE, fade_out=FADE, shape=shape)
        )
        for shape in ("linear", "exponential", "logarithmic", "quarter_sine", "half_sine")
    },
    "numpy, linear": lambda: fade_by_numpy,
    "torchaudio, linear": fade_by_torchaudio,
    "a copy": lambda: np.copy,
}


@pytest.mark.benchmark(group="fade in and out, 0.5 s each")
@pytest.mark.parametrize("which", FADES)
def test_fade(benchmark, clip, which):
    effect = FADES[which]()
    if "linear" in which:
        np.testing.assert_allclose(effect(clip), fade_by_numpy(clip), atol=1e-6)
    benchmark(effect, clip)


@pytest.mark.benchmark(group="fade in and out, 0.5 s each, in place")
@pytest.mark.parametrize("which", ["offkey", "numpy"])
def test_fade_in_place(benchmark, which):
    # Zeros stay what they are however often they fade; the arithmetic is the same.
    given = np.zeros(SAMPLES, np.float32)
    if which == "offkey":
        benchmark(lambda: augment.fade(given, fade_in=FADE, fade_out=FADE, out=given))
    else:
        benchmark(lambda: fade_by_numpy(given, out=given))
    assert not given.any()


def mask_by_numpy(logmel, place, *, in_place):
    masked = logmel if in_place else logmel.copy()
    masked[place] = 0.0
    return masked


MASKS = {
    "time": ((slice(None), slice(100, 140)), augment.time_mask, {"start": 100, "width": 40}),
    "frequency": ((slice(30, 50),), augment.frequency_mask, {"start": 30, "width": 20}),
}


@pytest.mark.benchmark(group="masks on a log-Mel")
@pytest.mark.parametrize("axis", MASKS)
@pytest.mark.parametrize(
    "which", ["offkey", "offkey, to the minimum", "offkey, in place", "numpy", "numpy, in place", "a copy"]
)
def test_masks(benchmark, logmel, axis, which):
    place, effect, band = MASKS[axis]
    given = logmel.copy()
    expected = mask_by_numpy(logmel, place, in_place=False)
    np.testing.assert_array_equal(effect(logmel, value=0.0, **band), expected)
    in_place = which.endswith("in place")
    if which == "a copy":
        benchmark(given.copy)
    elif which.startswith("numpy"):
        benchmark(mask_by_numpy, given, place, in_place=in_place)
    elif in_place:
        benchmark(effect, given, value=0.0, out=given, **band)
    else:
        benchmark(effect, given, value=None if "minimum" in which else 0.0, **band)


@pytest.fixture(scope="module")
def batch(clip):
    return np.stack([np.roll(clip, 997 * i) for i in range(28)])


def batch_by_ours(num_threads):
    augmenter = augment.Augmenter.paper(num_threads=num_threads)
    logmel = offkey.LogMel.paper(num_threads=num_threads)

    def step(batch):
        done = augmenter(batch, seed=3)
        assert set(done.classes) == set(range(8))
        return logmel(done.samples, masks=done.masks)

    return step


def logmel_by_torch():
    torch = pytest.importorskip("torch")
    librosa = pytest.importorskip("librosa")
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE_HZ, n_fft=1024, n_mels=128))
    window = torch.hann_window(1024)

    def logmel(batch):
        settings = {"window": window, "pad_mode": "constant", "return_complex": True}
        power = torch.stft(torch.from_numpy(batch), 1024, 512, **settings).abs().square()
        return torch.matmul(filters, power).clamp_min(1e-10).log10().mul_(10).numpy()

    return logmel


def logmel_by_librosa():
    librosa = pytest.importorskip("librosa")

    def logmel(batch):
        settings = {"sr": RATE_HZ, "n_fft": 1024, "hop_length": 512, "n_mels": 128, "pad_mode": "constant"}
        mels = [librosa.feature.melspectrogram(y=clip, **settings) for clip in batch]
        return np.stack([10 * np.log10(np.maximum(mel, 1e-10)) for mel in mels])

    return logmel


def batch_by_audiomentations(logmel):
    effects = [
        lambda clip: clip,
        audiomentations("AddGaussianSNR", -6.0, 6.0),
        audiomentations("GainTransition", -60.0, -60.0, 0.5, 2.5, "seconds"),  # the nearest to a fade
        audiomentations("Shift", 0.0, 0.5),
        audiomentations("TimeStretch", 0.5, 2.0),
        audiomentations("PitchShift", -10.0, 10.0),
        lambda clip: clip,
        lambda clip: clip,
    ]

    def step(batch):
        logmels = logmel(np.stack([effects[i % 8](clip) for i, clip in enumerate(batch)]))
        logmels[6::8, :, 100:116] = logmels.min()
        logmels[7::8, 30:36] = logmels.min()
        return logmels

    return step


BATCHES = {
    "offkey": lambda: batch_by_ours(1),
    "offkey, two threads": lambda: batch_by_ours(2),
    "audiomentations, torch.stft": lambda: batch_by_audiomentations(logmel_by_torch()),
    "audiomentations, librosa": lambda: batch_by_audiomentations(logmel_by_librosa()),
}


@pytest.mark.benchmark(group="training batch: 28 clips, one of eight classes each, log-Mel")
@pytest.mark.parametrize("which", BATCHES)
def test_training_batch(benchmark, batch, which):
    step = BATCHES[which]()
    logmels = step(batch)
    assert logmels.shape == (28, 128, 313)
    assert np.isfinite(logmels).all()
    benchmark(step, batch)
