"""Effects against float64 restatements in numpy and scipy."""

import numpy as np
import pytest
import scipy.stats

from offkey.recipe import Augmentation
from offkey.signal import augment
from offkey.signal.augmenter import Augmented, Augmenter


def noise_clip(samples: int = 20_000) -> np.ndarray:
    return (0.2 * np.random.default_rng(7).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 6.0, 40.0])
def test_noise_has_exactly_the_power_asked_for(snr_db: float) -> None:
    clip = noise_clip().astype(np.float64)
    noise = augment.white_noise(clip, snr_db=snr_db, seed=11) - clip.astype(np.float32).astype(np.float64)
    measured = 10 * np.log10(np.mean(clip**2) / np.mean(noise**2))
    assert measured == pytest.approx(snr_db, abs=1e-3)  # rounding to float32 adds less than that


def test_noise_is_normal_and_white() -> None:
    clip = np.full(1_000_000, 1e-3, np.float32)
    noise = augment.white_noise(clip, snr_db=-60.0, seed=3).astype(np.float64) - 1e-3  # of deviation 1
    assert scipy.stats.kstest(noise, "norm").pvalue > 1e-3
    for lag in (1, 2, 3, 255, 256, 257):
        correlation = np.mean(noise[lag:] * noise[:-lag])
        assert abs(correlation) < 5e-3  # five standard errors
    assert np.abs(noise).max() > 4.5  # the tails are there: 7 in a million lie beyond


def test_ten_million_samples_of_noise_are_normal() -> None:
    silence_but_one = np.zeros(10_000_000, np.float32)
    silence_but_one[0] = np.float32(1e-3 * np.sqrt(1e7))  # mean power 1e-6
    noise = augment.white_noise(silence_but_one, snr_db=-60.0, seed=8)[1:]  # of deviation 1
    noise.sort()
    # Kolmogorov and Smirnov's distance, over the sorted samples in single precision where that is enough.
    places = np.arange(0, len(noise), 10)
    below = scipy.stats.norm.cdf(noise[places].astype(np.float64))
    distance = np.abs(below - (places + 0.5) / len(noise)).max() + 10 / len(noise)
    assert scipy.stats.kstwobign.sf(distance * np.sqrt(len(noise))) > 1e-2
    for edge in (4.0, 4.5):  # the tails, where that distance sees nothing: within five standard errors
        expected = len(noise) * scipy.stats.norm.sf(edge)
        for beyond in (np.searchsorted(noise, -edge), len(noise) - np.searchsorted(noise, edge)):
            assert abs(beyond - expected) < 5 * np.sqrt(expected)


def fade_curves(u: np.ndarray) -> dict[str, np.ndarray]:
    """Gains of torchaudio's Fade over a fade in, written anew in float64."""
    return {
        "linear": u,
        "exponential": np.power(2.0, u - 1) * u,
        "logarithmic": np.clip(np.log10(0.1 + u) + 1, 0, 1),
        "quarter_sine": np.sin(u * np.pi / 2),
        "half_sine": np.sin(u * np.pi - np.pi / 2) / 2 + 0.5,
    }


@pytest.mark.parametrize("shape", fade_curves(np.zeros(1)))
@pytest.mark.parametrize("lengths", [(5000, 3000), (10_000, 20_000), (0, 0), (1, 1), (2, 0)])
def test_fades_match_their_formulas(shape: str, lengths: tuple[int, int]) -> None:
    clip = noise_clip()
    fade_in, fade_out = lengths
    expected = clip.astype(np.float64)
    expected[:fade_in] *= fade_curves(np.linspace(0, 1, fade_in))[shape]
    expected[len(clip) - fade_out :] *= fade_curves(1 - np.linspace(0, 1, fade_out))[shape]
    got = augment.fade(clip, fade_in=fade_in, fade_out=fade_out, shape=shape)
    np.testing.assert_allclose(got, expected, atol=3e-7, rtol=0)


@pytest.mark.parametrize("samples", [0, 1, -1, 12_345, -12_345, 20_000, 10**12, -(10**30)])
def test_shift_is_numpy_roll(samples: int) -> None:
    clip = noise_clip()
    np.testing.assert_array_equal(
        augment.time_shift(clip, samples=samples), np.roll(clip, samples % len(clip))
    )


def test_masks_are_slices_set_to_the_minimum() -> None:
    logmel = np.random.default_rng(1).standard_normal((128, 313)).astype(np.float32)
    for start, width in [(0, 0), (0, 1), (40, 31), (100, 28), (127, 1), (0, 128)]:
        expected = logmel.copy()
        expected[start : start + width] = logmel.min()
        np.testing.assert_array_equal(augment.frequency_mask(logmel, start=start, width=width), expected)
        expected = logmel.copy()
        expected[:, start : start + width] = logmel.min()
        np.testing.assert_array_equal(augment.time_mask(logmel, start=start, width=width), expected)


def draws(name: str, **changes: object) -> tuple[np.ndarray, np.ndarray, Augmented]:
    """Many draws of one class on one clip."""
    clip = np.zeros(1600, np.float32)
    clip[0], clip[800] = 0.9, 0.3
    batch = np.tile(clip, (2000, 1))
    augmenter = Augmenter(Augmentation(classes=(name,), **changes))
    return clip, batch, augmenter(batch, seed=1)


def uniform(values: np.ndarray, low: float, high: float) -> bool:
    return bool(scipy.stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3)


def test_snr_is_drawn_uniformly_in_its_range() -> None:
    clip, batch, done = draws("white_noise")
    noise = (done.samples - batch).astype(np.float64)
    snr_db = 10 * np.log10(np.mean(clip.astype(np.float64) ** 2) / np.mean(noise**2, axis=1))
    assert uniform(snr_db, -6, 6)


def test_shift_is_drawn_uniformly_in_its_range() -> None:
    _, _, done = draws("time_shift", shift_s=(0.01, 0.05))
    assert uniform(done.samples.argmax(axis=1) + np.random.default_rng(0).uniform(-0.5, 0.5, 2000), 160, 800)


def test_fade_lengths_are_drawn_from_nothing_to_half() -> None:
    batch = np.ones((2000, 1000), np.float32)
    done = Augmenter(Augmentation(classes=("fade",)))(batch, seed=2)
    rising = (done.samples[:, :500] < 1).sum(axis=1)
    falling = (done.samples[:, 500:] < 1).sum(axis=1)
    for lengths in (rising, falling):
        assert lengths.max() <= 500
        assert lengths.max() > 480
        assert lengths.min() < 20
    assert abs(np.corrcoef(rising, falling)[0, 1]) < 0.1


def test_every_fade_shape_is_drawn() -> None:
    batch = np.ones((200, 1000), np.float32)
    done = Augmenter(Augmentation(classes=("fade",)))(batch, seed=2)
    seen = set()
    for row in done.samples[:, :500]:
        length = int((row < 1).sum()) + 1  # the last gain is 1, but a logarithmic fade reaches that earlier
        for name, gains in fade_curves(np.linspace(0, 1, length)).items():
            if length > 100 and np.allclose(row[: length - 1], gains[:-1], atol=1e-6):
                seen.add(name)
        if length > 100 and abs(row[length // 2] - 0.744) < 0.01:  # 1 + log10(0.1 + 0.9 / 2)
            seen.add("logarithmic")
    assert seen == set(fade_curves(np.zeros(1)))


def test_masks_are_drawn_uniformly_in_place_and_width() -> None:
    for name, column in (("time_mask", 0), ("frequency_mask", 2)):
        _, _, done = draws(name, mask_fraction=0.2)
        assert uniform(done.masks[:, column], 0, 1)
        assert uniform(done.masks[:, column + 1], 0, 0.2)
        assert (done.masks[:, [2 - column, 3 - column]] == 0).all()


def test_stretch_is_cut_or_repeated_to_length() -> None:
    clip = noise_clip(6000)
    for rate in (0.7, 1.7):
        augmenter = Augmenter(Augmentation(classes=("time_stretch",), stretch_rate=(rate, rate)))
        stretched = augment.time_stretch(clip, rate=rate)
        np.testing.assert_array_equal(augmenter(clip[None], seed=0).samples[0], np.resize(stretched, 6000))


def test_pitch_shift_in_a_batch_is_the_function() -> None:
    clip = noise_clip(6000)
    for semitones in (-10.0, 3.3):
        augmenter = Augmenter(Augmentation(classes=("pitch_shift",), pitch_semitones=(semitones, semitones)))
        expected = augment.pitch_shift(clip, semitones=semitones)
        np.testing.assert_array_equal(augmenter(clip[None], seed=0).samples[0], expected)
