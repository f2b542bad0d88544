"""Any settings: what librosa gives in float64, and what must hold of every spectrogram."""

import typing
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from logmel_reference import TOLERANCE_DB, librosa_db, numpy_statistics, worst_db

import offkey
from offkey.errors import ParameterError
from offkey.recipe_sections import Window


def is_length(n_fft):
    """Whether a number is even and has no prime factors but 2, 3 and 5."""
    return n_fft % 2 == 0 and 30**16 % n_fft == 0


LENGTHS = [n_fft for n_fft in range(16, 4097) if is_length(n_fft)]


@st.composite
def features(draw):
    sample_rate = draw(st.sampled_from([8000, 16_000, 22_050, 44_100]))
    f_min_hz = draw(st.floats(0, sample_rate / 4))
    n_fft = draw(st.sampled_from(LENGTHS))
    return {
        "sample_rate": sample_rate,
        "n_fft": n_fft,
        "hop_length": draw(st.integers(1, 1500)),
        "win_length": draw(st.none() | st.integers(1, n_fft)),
        "window": draw(st.sampled_from(typing.get_args(Window))),
        "n_mels": draw(st.integers(1, 100)),
        "f_min_hz": f_min_hz,
        "f_max_hz": draw(st.none() | st.floats(f_min_hz + 500, sample_rate / 2)),
        "mel_scale": draw(st.sampled_from(["slaney", "htk"])),
        "mel_norm": draw(st.sampled_from(["slaney", "none"])),
        "pad_mode": draw(st.sampled_from(["constant", "reflect", "none"])),
        "spectrum": draw(st.sampled_from(["power", "magnitude"])),
        "floor": draw(st.sampled_from(["max", "add"])),
        "floor_value": 10.0 ** draw(st.integers(-15, -3)),
    }


def clip_of(seed, samples, level, tone):
    rng = np.random.default_rng(seed)
    clip = rng.standard_normal(samples) * level + tone * np.sin(rng.uniform(0.01, 3) * np.arange(samples))
    return clip.astype(np.float32)


clips = st.builds(
    clip_of,
    st.integers(0, 2**32),
    st.integers(4096, 9000),
    st.sampled_from([1e-5, 1e-4, 1e-2, 1.0]),
    st.sampled_from([0.0, 0.5]),
)


def make(arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return offkey.LogMel(**arguments)
        except ParameterError:  # not one filter holds a frequency
            assume(False)


@settings(max_examples=120, deadline=None)
@given(features(), clips)
def test_any_settings_agree_with_librosa(arguments, clip):
    logmel = make(arguments)
    assume(logmel.frames(len(clip)) < 2500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa on empty filters
        expected = librosa_db(clip, **arguments)
    assert worst_db(logmel([clip])[0], expected) < TOLERANCE_DB


@settings(max_examples=60, deadline=None)
@given(clips, st.integers(0, 30))
def test_louder_by_powers_of_two_is_a_constant(clip, doublings):
    """A factor of 2 is exact in every step up to the logarithm."""
    logmel = offkey.LogMel(floor_value=1e-37)
    loud = logmel([clip * np.float32(2.0**doublings)])[0]
    difference = loud - logmel([clip])[0]
    np.testing.assert_allclose(difference, doublings * 20 * np.log10(2), atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(clips, st.integers(1, 20))
def test_a_shift_by_hops_is_a_shift_by_frames(clip, frames):
    logmel = offkey.LogMel(pad_mode="none", hop_length=256)
    later = np.concatenate([np.zeros(256 * frames, np.float32), clip])
    np.testing.assert_array_equal(logmel([later])[0][:, frames:], logmel([clip])[0])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 400),
    st.floats(-100, 40, width=32),
    st.floats(0, 40, width=32),
    st.integers(0, 2**32),
)
def test_statistics_agree_with_numpy(clips, n_mels, frames, mean, deviation, seed):
    noise = np.random.default_rng(seed).standard_normal((clips, n_mels, frames))
    logmels = (mean + deviation * noise).astype(np.float32)
    for mine, theirs in zip(offkey.clip_statistics(logmels)[:4], numpy_statistics(logmels), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1, exclude_max=True, width=32)] * 4), min_size=1, max_size=4))
def test_masks_fill_with_the_minimum_and_touch_nothing_else(rows):
    logmel = offkey.LogMel(n_fft=256, hop_length=128, n_mels=20)
    clip = clip_of(0, 4096, 0.1, 0.5)
    plain = logmel([clip])[0]
    got = logmel([clip] * len(rows), masks=np.array(rows, np.float32))
    for one, (_, width, _, height) in zip(got, rows, strict=True):
        changed = one != plain
        assert (one[changed] == plain.min()).all()
        frames = 0 if width == 0 else max(1, int(width * 33))
        bins = 0 if height == 0 else max(1, int(height * 20))
        masked = 20 * frames + 33 * bins - frames * bins
        assert changed.sum() >= masked - (plain == plain.min()).sum()
        assert changed.sum() <= masked


@settings(max_examples=300, deadline=None)
@given(st.integers(-10, 70_000))
def test_a_length_is_taken_or_the_nearest_are_named(n_fft):
    if 16 <= n_fft <= 65_536 and is_length(n_fft):
        assert offkey.LogMel(n_fft=n_fft, n_mels=1).n_fft == n_fft
        return
    with pytest.raises(ParameterError, match=f"n_fft = {n_fft}: expected") as caught:
        offkey.LogMel(n_fft=n_fft, n_mels=1)
    if n_fft >= 0:
        nearest = [int(number) for number in str(caught.value).split("the nearest: ")[1].split(", ")]
        assert 1 <= len(nearest) <= 2
        for number in nearest:
            assert 16 <= number <= 65_536
            assert is_length(number)
            between = range(min(number, n_fft) + 1, max(number, n_fft))
            assert not any(16 <= other <= 65_536 and is_length(other) for other in between)
