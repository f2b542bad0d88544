"""Bad input is refused by name, and nothing odd that is accepted breaks a near anomaly."""

import numpy as np
import pytest

from offkey.errors import ArrayError, ParameterError
from offkey.signal import near_kinds
from offkey.signal.near_anomalies import RICH_KINDS, STATIC_KINDS, draw, near_anomalies

LOGMEL = np.zeros((4, 10))
ONES = np.ones(4)
BAND = {"centre": 1.0, "width": 1.0}
ROWS = {"centres": [1.0], "widths": [1.0]}


def batch(**changes):
    arguments = {"deviation_db": ONES, "seeds": [0, 1, 2]} | changes
    return near_anomalies(arguments.pop("logmels", np.zeros((3, 4, 10))), **arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.1e6, 1e300])
@pytest.mark.parametrize("kind", RICH_KINDS)
def test_values_that_are_no_decibels_are_refused_with_their_place(kind, bad):
    logmels = np.zeros((3, 4, 10))
    logmels[1, 2, 3] = bad
    with pytest.raises(ArrayError, match=r"logmels\[1\]: .* at flat position 23; expected finite decibels"):
        batch(logmels=logmels, kinds=[kind])
    more = {"deviation_db": ONES} if kind in ("bumps", "gain_and_tilt") else {}
    with pytest.raises(ArrayError, match=r"logmel: .* at flat position 23; expected finite decibels"):
        getattr(near_kinds, kind)(logmels[1], **draw(kind, n_mels=4, frames=10, seed=0), **more)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logmels": np.zeros((4, 10))}, r"logmels: shape \(4, 10\)"),
        ({"logmels": np.zeros((3, 4, 10), int)}, "logmels: dtype int64"),
        ({"logmels": np.zeros((3, 0, 10)), "deviation_db": np.ones(0)}, "at least one Mel bin and one frame"),
        ({"logmels": np.zeros((3, 4, 0))}, "at least one Mel bin and one frame"),
        ({"deviation_db": np.ones(5)}, r"deviation_db: shape \(5,\); .*\(4,\)"),
        ({"deviation_db": np.ones((2, 4))}, r"deviation_db: shape \(2, 4\); .*\(3, 4\)"),
        ({"deviation_db": 1.0}, "deviation_db: shape"),
        ({"deviation_db": np.array([1, 1, np.nan, 1])}, "deviation_db: NaN at flat position 2"),
        ({"deviation_db": np.array([1, -1.0, 1, 1])}, "deviation_db: -1 at flat position 1; .* from 0"),
        ({"deviation_db": np.array([1, np.inf, 1, 1])}, "deviation_db: inf at flat position 1"),
        ({"seeds": [0, 1]}, r"seeds: shape \(2,\); expected 3 integers"),
        ({"seeds": 5}, r"seeds: shape \(\)"),
        ({"seeds": [0, -1, 2]}, "seeds: -1 at position 1"),
        ({"seeds": [0.5, 1, 2]}, "seeds: dtype float64"),
        ({"out": np.zeros((3, 4, 10))}, "out: dtype float64"),
        ({"out": np.zeros((3, 4, 9), np.float32)}, "out: dtype"),
    ],
)
def test_bad_arrays_are_refused_by_name(changes, words):
    with pytest.raises(ArrayError, match=words):
        batch(**changes)


def test_out_must_lie_apart():
    logmels = np.zeros((3, 4, 10), np.float32)
    with pytest.raises(ArrayError, match="out: shares memory"):
        batch(logmels=logmels, out=logmels)


@pytest.mark.parametrize("kinds", [("rust",), ("bumps", None), "bumps", (1,), [["bumps"]]])
def test_unknown_kinds_are_refused(kinds):
    with pytest.raises(ParameterError, match=r"kinds = .*'bumps' or 'spread'"):
        batch(kinds=kinds)
    with pytest.raises(ParameterError, match="kind = 'rust'"):
        draw("rust", n_mels=1, frames=1, seed=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kinds": ()}, "kinds = none at all: expected at least one kind"),
        ({"num_threads": 0}, "num_threads = 0"),
    ],
)
def test_bad_parameters_of_a_batch_are_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        batch(**changes)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: near_kinds.spread(x, **BAND, amplitude=-2), "amplitude = -2"),
        (lambda x: near_kinds.spread(x, centre="a", width=1, amplitude=0), "centre = 'a': expected a number"),
        (lambda x: near_kinds.spread(x, centre=0, width=0, amplitude=0), "width = 0: expected a number from"),
        (lambda x: near_kinds.mel_shift(x, bins=np.nan), "bins = NaN"),
        (lambda x: near_kinds.mel_shift(x, bins=None), "bins = None: expected a number"),
        (lambda x: near_kinds.gain_and_tilt(x, deviation_db=ONES, gain=np.inf, tilt=0), "gain = inf"),
        (lambda x: near_kinds.noise_band(x, **BAND, level_db=301, seed=0), "level_db = 301"),
        (lambda x: near_kinds.noise_band(x, **BAND, level_db=0, seed=-1), "seed = -1"),
        (lambda x: near_kinds.noise_band(x, **BAND, level_db=0, seed=0.5), "seed = 0.5"),
        (
            lambda x: near_kinds.bursts(x, **ROWS, starts=[-1], lengths=[1], levels_db=[0], seed=0),
            "starts = -1",
        ),
        (
            lambda x: near_kinds.clicks(x, **BAND, period=0, first=0, decay=1, level_db=0, seed=0),
            "period = 0",
        ),
        (
            lambda x: near_kinds.clicks(x, **BAND, period=1, first=0, decay=0, level_db=0, seed=0),
            "decay = 0",
        ),
        (lambda x: near_kinds.tremolo(x, **BAND, rate=0.6, phase=0, depth_db=1), "rate = 0.6"),
        (lambda x: near_kinds.time_warp(x, depth=1, rate=0.1, phase=0, speed=0), "speed = 0"),
        (lambda x: draw("bumps", n_mels=0, frames=len(x), seed=0), "n_mels = 0"),
        (lambda x: draw("bumps", n_mels=1, frames=0 * len(x), seed=0), "frames = 0"),
    ],
)
def test_bad_parameters_are_refused_by_name(call, words):
    with pytest.raises(ParameterError, match=words):
        call(LOGMEL)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: near_kinds.lines(LOGMEL, **ROWS, levels_db=[1, 2], seed=0),
            "levels_db: 2 values; .* 1, as many as",
        ),
        (lambda: near_kinds.lines(LOGMEL, **ROWS, levels_db=0, seed=0), "levels_db: .* shape \\(n,\\)"),
        (lambda: near_kinds.lines(LOGMEL, **ROWS, levels_db=["a"], seed=0), "levels_db: dtype"),
        (
            lambda: near_kinds.lines(LOGMEL, **ROWS, levels_db=[np.nan], seed=0),
            "levels_db: nan at position 0",
        ),
        (
            lambda: near_kinds.bumps(LOGMEL, **ROWS, amplitudes=[1], deviation_db=np.ones(3)),
            "deviation_db: shape",
        ),
        (lambda: near_kinds.bumps(LOGMEL, **ROWS, amplitudes=[1], deviation_db=-ONES), "deviation_db: -1"),
        (lambda: near_kinds.mel_shift(np.zeros(10), bins=1), r"logmel: shape \(10,\)"),
        (lambda: near_kinds.mel_shift(np.zeros((0, 10)), bins=1), "at least one Mel bin and one frame"),
        (lambda: near_kinds.mel_shift(np.zeros((4, 10), np.int16), bins=1), "logmel: dtype int16"),
    ],
)
def test_bad_arrays_of_a_kind_are_refused_by_name(call, words):
    with pytest.raises(ArrayError, match=words):
        call()


def test_an_empty_batch_stays_empty():
    changed, kinds = batch(logmels=np.zeros((0, 4, 10)), seeds=[])
    assert changed.shape == (0, 4, 10)
    assert kinds.shape == (0,)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (128, 1), (128, 2), (2, 3), (3, 65)])
@pytest.mark.parametrize("level", [-1e6, -100, 0, 1e6])
def test_clips_of_any_size_and_level_stay_finite(shape, level):
    clips = np.full((200, *shape), level, np.float32)
    for kinds in (STATIC_KINDS, RICH_KINDS):
        changed, _ = near_anomalies(clips, deviation_db=np.ones(shape[0]), seeds=np.arange(200), kinds=kinds)
        assert np.isfinite(changed).all()
    wild = np.tile(np.array([1e6, -1e6], np.float32), (*shape, 1))[None, :, :, 0].repeat(50, 0)
    wild[:, :, ::2] *= -1
    changed, _ = near_anomalies(wild, deviation_db=np.full(shape[0], 1e6), seeds=np.arange(50))
    assert np.isfinite(changed).all()


def test_what_lies_beyond_the_clip_is_lost():
    far = near_kinds.bursts(LOGMEL, **ROWS, starts=[8], lengths=[1000], levels_db=[20], seed=0)
    assert (far[:, :8] == 0).all()
    assert (far[1, 8:] > 0).all()
    for centre in (-1e6, 1e6):
        unchanged = near_kinds.noise_band(LOGMEL, centre=centre, width=3, level_db=20, seed=0)
        assert (unchanged == 0).all()
