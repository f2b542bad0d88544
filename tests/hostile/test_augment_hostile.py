"""Bad input is refused by name, and nothing odd that is accepted breaks an effect."""

import numpy as np
import pytest

import offkey
from offkey.errors import ArrayError, ParameterError, RecipeError
from offkey.recipe import Augmentation
from offkey.signal import augment
from offkey.signal.augmenter import augment_logmel

EFFECTS = {
    "white_noise": lambda x: augment.white_noise(x, snr_db=0.0, seed=0),
    "fade": lambda x: augment.fade(x, fade_in=0, fade_out=0),
    "time_shift": lambda x: augment.time_shift(x, samples=1),
    "time_stretch": lambda x: augment.time_stretch(x, rate=1.3),
    "pitch_shift": lambda x: augment.pitch_shift(x, semitones=1.5),
}
effects = pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)


@effects
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.1e12, 1e300])
def test_samples_that_are_no_sound_are_refused_with_their_place(effect, bad) -> None:
    clip = np.zeros(1000)
    clip[123] = bad
    with pytest.raises(ArrayError, match=r"samples: .* at position 123; expected finite"):
        effect(clip)


@effects
@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (np.zeros(10, np.int16), "dtype int16.*scaled"),
        (np.zeros(10, complex), "dtype complex128"),
        (np.zeros((2, 10)), r"shape \(2, 10\)"),
        (np.float32(1.0), r"shape \(\)"),
        (["a", "b"], "dtype <U1"),
        (None, "dtype object"),
    ],
)
def test_what_is_not_a_clip_is_refused(effect, clip, words: str) -> None:
    with pytest.raises(ArrayError, match=words):
        effect(clip)


@effects
@pytest.mark.parametrize("length", [0, 1, 2, 3, 31, 2047, 2048, 2049])
def test_short_clips(effect, length: int) -> None:
    out = effect(np.linspace(-0.5, 0.5, length))
    assert np.isfinite(out).all()
    assert len(out) in {length, round(length / 1.3)}


@effects
@pytest.mark.parametrize("level", [1e-45, 1e-40, 1e-30, 1.0, 1e6, 1e12])
def test_extreme_levels_stay_finite(effect, level: float) -> None:
    clip = (np.random.default_rng(0).uniform(-1, 1, 5000) * level).astype(np.float32)
    out = effect(clip)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 20 * max(np.abs(clip).max(), 1e-44)


@effects
def test_silence_stays_silent(effect) -> None:
    assert not effect(np.zeros(5000)).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: augment.white_noise(x, snr_db=np.nan, seed=0), "snr_db = NaN"),
        (lambda x: augment.white_noise(x, snr_db=1e9, seed=0), "snr_db = 1000000000"),
        (lambda x: augment.white_noise(x, snr_db=0.0, seed=-1), "seed = -1"),
        (lambda x: augment.white_noise(x, snr_db=0.0, seed=2**70), "seed = "),
        (lambda x: augment.white_noise(x, snr_db=0.0, seed=0.5), "seed = 0.5: expected an integer"),
        (lambda x: augment.fade(x, fade_in=-1, fade_out=0), "fade_in = -1"),
        (lambda x: augment.fade(x, fade_in=0, fade_out=0, shape="cubic"), "shape = .cubic.: expected one of"),
        (lambda x: augment.time_shift(x, samples=1.5), "samples = 1.5: expected an integer"),
        (lambda x: augment.time_stretch(x, rate=0.0), "rate = 0"),
        (lambda x: augment.time_stretch(x, rate=-1.0), "rate = -1"),
        (lambda x: augment.time_stretch(x, rate=np.nan), "rate = NaN"),
        (lambda x: augment.time_stretch(x, rate=np.inf), "rate = inf"),
        (lambda x: augment.time_stretch(x, rate=1.0, sample_rate=0), "sample_rate = 0"),
        (lambda x: augment.pitch_shift(x, semitones=np.inf), "semitones = inf"),
        (lambda x: augment.pitch_shift(x, semitones=1.0, sample_rate=10**9), "sample_rate = 1000000000"),
        (lambda x: augment.time_mask(x[None], start=0, width=11), "expected a part of the 10 frames"),
        (lambda x: augment.frequency_mask(x[None], start=2**62, width=2**62), "a part of the 1 Mel bins"),
        (lambda x: augment.time_mask(x[None], start=-1, width=1), "start = -1"),
    ],
)
def test_bad_parameters_are_refused_by_name(call, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        call(np.zeros(10))


def test_bad_logmels_are_refused() -> None:
    logmel = np.zeros((4, 5))
    logmel[1, 2] = np.nan
    with pytest.raises(ArrayError, match="logmel: NaN at flat position 7"):
        augment.time_mask(logmel, start=0, width=1)
    with pytest.raises(ArrayError, match=r"logmels\[1\]: NaN at flat position 7"):
        augment_logmel(np.stack([np.zeros((4, 5)), logmel]), seed=0)
    with pytest.raises(ArrayError, match=r"logmels: shape \(4, 5\)"):
        augment_logmel(logmel, seed=0)
    with pytest.raises(ArrayError, match="at least one Mel bin and one frame"):
        augment_logmel(np.zeros((2, 0, 5)), seed=0)
    assert augment.frequency_mask(np.zeros((0, 5)), start=0, width=0).shape == (0, 5)
    assert augment.time_mask(np.zeros((5, 0)), start=0, width=0).shape == (5, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ()}, r"classes = \(\): expected one or more"),
        ({"classes": ("fade", "fade")}, "classes = .*each once"),
        ({"classes": ("reverb",)}, "classes = .*reverb"),
        ({"snr_db": (6.0, -6.0)}, "snr_db = .*ascending"),
        ({"stretch_rate": (0.0, 1.0)}, "stretch_rate = .*0.25"),
        ({"pitch_semitones": (-99.0, 1.0)}, "pitch_semitones = .*-24"),
        ({"shift_s": (0.0, np.inf)}, "shift_s = inf"),
        ({"mask_fraction": 1.5}, "mask_fraction = 1.5"),
        ({"mask_fraction": np.nan}, "mask_fraction = nan"),
    ],
)
def test_bad_recipes_are_refused(changes, words: str) -> None:
    with pytest.raises((ParameterError, RecipeError), match=words):
        offkey.Augmenter(Augmentation(**changes))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"clips": [1]}, r"clips: shape \(1,\); expected 3 integers"),
        ({"clips": [[0, 1, 2]]}, "clips: shape"),
        ({"clips": [0.0, 1.0, 2.0]}, "clips: dtype float64"),
        ({"clips": [0, -1, 2]}, "clips: -1 at position 1"),
        ({"occurrences": ["a", "b", "c"]}, "occurrences: dtype"),
        ({"occurrences": [True, False, True]}, "occurrences: dtype bool"),
    ],
)
def test_bad_numbers_of_clips_are_refused(arguments, words: str) -> None:
    with pytest.raises(ArrayError, match=words):
        offkey.Augmenter.paper()(np.zeros((3, 10)), seed=0, **arguments)


def test_a_bad_sample_in_a_batch_is_named_with_its_clip() -> None:
    batch = np.zeros((5, 100))
    batch[3, 42] = np.nan
    with pytest.raises(ArrayError, match=r"batch\[3\]: NaN at position 42"):
        offkey.Augmenter.paper()(batch, seed=0)
    for bad in (np.zeros(10), np.zeros((2, 3, 4)), np.zeros((2, 3), int), [np.zeros((2, 2))]):
        with pytest.raises(ArrayError, match="batch"):
            offkey.Augmenter.paper()(bad, seed=0)
    with pytest.raises(ParameterError, match="epoch = -1"):
        offkey.Augmenter.paper()(batch, seed=0, epoch=-1)
    with pytest.raises(ParameterError, match="num_threads = 0"):
        offkey.Augmenter.paper(num_threads=0)
