"""What holds for every clip and every parameter."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offkey.signal import augment
from offkey.signal.augmenter import Augmenter

CLIPS = arrays(np.float32, st.integers(0, 3000), elements=st.floats(-1, 1, width=32), fill=st.just(0.25))


@settings(max_examples=60, deadline=None)
@given(CLIPS, st.floats(0.25, 4.0), st.integers(1_000, 60_000))
def test_stretch_has_the_exact_length_and_stays_finite(clip, rate, sample_rate):
    out = augment.time_stretch(clip, rate=rate, sample_rate=sample_rate)
    assert len(out) == round(len(clip) / rate)
    assert np.isfinite(out).all()


@settings(max_examples=60, deadline=None)
@given(CLIPS, st.floats(-24, 24))
def test_pitch_shift_keeps_the_length_and_stays_finite(clip, semitones):
    out = augment.pitch_shift(clip, semitones=semitones)
    assert len(out) == len(clip)
    assert np.isfinite(out).all()


@settings(max_examples=40, deadline=None)
@given(CLIPS, st.floats(0.25, 4.0), st.integers(-20, 20))
def test_stretch_scales_with_the_clip(clip, rate, exponent):
    """A power of two in front changes the exponent of every sample and nothing else, within a wide range."""
    clip = np.where(np.abs(clip) < 0.01, 0, clip)
    scaled = augment.time_stretch(np.ldexp(clip, exponent), rate=rate)
    np.testing.assert_allclose(np.ldexp(scaled, -exponent), augment.time_stretch(clip, rate=rate), atol=1e-4)


@given(CLIPS, st.integers(-(10**6), 10**6))
def test_shift_is_undone_by_its_opposite(clip, samples):
    there = augment.time_shift(clip, samples=samples)
    np.testing.assert_array_equal(augment.time_shift(there, samples=-samples), clip)


@given(CLIPS, st.data())
def test_fades_never_amplify(clip, data):
    fade_in, fade_out = (data.draw(st.integers(0, len(clip))) for _ in range(2))
    shape = data.draw(st.sampled_from(["linear", "exponential", "logarithmic", "quarter_sine", "half_sine"]))
    out = augment.fade(clip, fade_in=fade_in, fade_out=fade_out, shape=shape)
    assert (np.abs(out) <= np.abs(clip)).all()


@given(CLIPS, st.floats(-40, 60), st.integers(0, 2**63 - 1))
def test_noise_keeps_length_and_silence(clip, snr_db, seed):
    out = augment.white_noise(clip, snr_db=snr_db, seed=seed)
    assert len(out) == len(clip)
    assert np.isfinite(out).all()
    if not clip.any():
        np.testing.assert_array_equal(out, clip)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(1, 800), st.integers(0, 2**63 - 1), st.integers(1, 4))
def test_batches_do_not_depend_on_threads(count, samples, seed, num_threads):
    batch = np.random.default_rng(0).uniform(-1, 1, (count, samples))
    one = Augmenter.paper(num_threads=1)(batch, seed=seed)
    many = Augmenter.paper(num_threads=num_threads)(batch, seed=seed)
    for a, b in zip(one, many, strict=True):
        assert a.tobytes() == b.tobytes()
