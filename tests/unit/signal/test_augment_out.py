"""Effects that write into an array of the caller's."""

from collections.abc import Callable

import numpy as np
import pytest

from offkey.errors import ArrayError, ParameterError
from offkey.signal import augment

Effect = Callable[..., np.ndarray]

APART: dict[str, Effect] = {
    "white_noise": lambda x, **out: augment.white_noise(x, snr_db=3.0, seed=1, **out),
    "time_shift": lambda x, **out: augment.time_shift(x, samples=-777, **out),
    "time_stretch": lambda x, **out: augment.time_stretch(x, rate=1.25, **out),
    "unstretched": lambda x, **out: augment.time_stretch(x, rate=1.0, **out),
    "pitch_shift": lambda x, **out: augment.pitch_shift(x, semitones=-2.5, **out),
}
ON_A_CLIP: dict[str, Effect] = {
    "fade": lambda x, **out: augment.fade(x, fade_in=700, fade_out=900, shape="half_sine", **out)
}
ON_A_LOGMEL: dict[str, Effect] = {
    "time_mask": lambda x, **out: augment.time_mask(x, start=3, width=9, **out),
    "frequency_mask": lambda x, **out: augment.frequency_mask(x, start=20, width=44, **out),
    "time_mask to a value": lambda x, **out: augment.time_mask(x, start=60, width=1, value=-80.0, **out),
    "frequency_mask to a value": lambda x, **out: augment.frequency_mask(
        x, start=0, width=2, value=7.5, **out
    ),
}
IN_PLACE = ON_A_CLIP | ON_A_LOGMEL


def made_for(name: str) -> np.ndarray:
    shape = (64, 61) if name in ON_A_LOGMEL else (5000,)
    return (0.2 * np.random.default_rng(5).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("name", [*APART, *IN_PLACE])
def test_each_effect_writes_into_out_what_a_new_array_would_hold(name: str) -> None:
    effect, given = (APART | IN_PLACE)[name], made_for(name)
    before = given.copy()
    expected = effect(given)
    out = np.full_like(expected, np.nan)
    assert effect(given, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("name", IN_PLACE)
def test_fades_and_masks_change_their_input_if_told_to(name: str) -> None:
    given = made_for(name)
    expected = IN_PLACE[name](given)
    assert IN_PLACE[name](given, out=given) is given
    np.testing.assert_array_equal(given, expected)


def test_in_place_only_what_changes_is_looked_at() -> None:
    clip = np.ones(100, np.float32)
    clip[50] = np.nan
    augment.fade(clip, fade_in=50, fade_out=49, out=clip)
    assert np.isnan(clip[50])
    logmel = np.full((4, 5), np.nan, np.float32)
    augment.time_mask(logmel, start=1, width=2, value=0.0, out=logmel)
    assert (logmel[:, 1:3] == 0).all()
    assert np.isnan(logmel[:, 3:]).all()
    with pytest.raises(ArrayError, match="NaN at flat position"):
        augment.time_mask(logmel, start=1, width=2, out=logmel)  # the minimum of all is needed
    with pytest.raises(ArrayError, match="NaN at position 50"):
        augment.fade(clip, fade_in=51, fade_out=0, out=clip)
    assert clip[49] == 1  # nothing was changed


@pytest.mark.parametrize("name", APART)
def test_an_out_that_overlaps_the_clip_is_refused(name: str) -> None:
    memory = np.zeros(12_000, np.float32)
    length = len(APART[name](memory[:5000]))
    with pytest.raises(ArrayError, match="out: shares memory with the input"):
        APART[name](memory[:5000], out=memory[4999 : 4999 + length])
    clip = np.zeros(5000, np.float32)
    with pytest.raises(ArrayError, match=r"out: (shares memory|5000 samples; expected)"):
        APART[name](clip, out=clip)


@pytest.mark.parametrize("name", [*APART, *IN_PLACE])
def test_each_effect_refuses_an_out_that_does_not_fit(name: str) -> None:
    effect, given = (APART | IN_PLACE)[name], made_for(name)
    fitting = np.zeros_like(effect(given))
    read_only = fitting.copy()
    read_only.setflags(write=False)
    strided = np.empty((*fitting.shape[:-1], 2 * fitting.shape[-1]), np.float32)[..., ::2]
    for bad in (
        fitting.astype(np.float64),
        fitting.astype(">f4"),
        fitting[1:].copy(),
        fitting[None],
        read_only,
        strided,
        fitting.tolist(),
    ):
        with pytest.raises(ArrayError, match=r"^out: "):
            effect(given, out=bad)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_a_mask_is_a_finite_number(value: float) -> None:
    logmel = made_for("time_mask")
    for out in (None, logmel):
        with pytest.raises(ParameterError, match=r"value = .*: expected a finite number"):
            augment.time_mask(logmel, start=0, width=1, value=value, out=out)
        with pytest.raises(ParameterError, match=r"value = .*: expected a finite number"):
            augment.frequency_mask(logmel, start=0, width=1, value=value, out=out)


def test_other_floats_fill_an_out_too() -> None:
    clip = made_for("fade").astype(np.float64)
    out = np.empty(len(clip), np.float32)
    augment.fade(clip, fade_in=10, fade_out=20, out=out)
    np.testing.assert_array_equal(out, augment.fade(clip, fade_in=10, fade_out=20))
