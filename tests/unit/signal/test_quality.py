"""What is seen of samples alone: silence, constants, clipping, levels, copies; and what is not taken for them."""

import numpy as np
import pytest

from offkey.errors import ArrayError
from offkey.signal.audio import resample
from offkey.signal.quality import ClipQuality, clip_contents, clip_quality

RATE = 16_000


def machine(*, seconds=1.0, gain=0.1, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    hum = (
        np.sin(2 * np.pi * 120 * t)
        + 0.5 * np.sin(2 * np.pi * 240 * t + 1)
        + 0.3 * rng.standard_normal(len(t))
    )
    return (gain * hum).astype(np.float32)


def pcm16(x):
    return (np.round(np.clip(x, -1, 1) * 32767) / 32768).astype(np.float32)


def of(*clips):
    return clip_quality(clips, sample_rate=RATE)


def kind(quality):
    names = ("silent", "constant", "clipped_throughout", "clipped_in_part")
    return [name for name in names if getattr(quality, name)[0]]


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (machine(), []),
        (np.zeros(RATE, np.float32), ["silent"]),
        (np.random.default_rng(0).integers(-1, 2, RATE).astype(np.float32) / 32768, ["silent"]),
        (np.full(RATE, 0.3, np.float32), ["constant"]),
        (np.full(RATE, -1.0, np.float32), ["constant"]),
        (0.3 + machine(gain=1e-4), ["constant"]),
        (pcm16(machine(gain=10.0)), ["clipped_throughout"]),
        (0.3 * pcm16(machine(gain=10.0)), ["clipped_throughout"]),
        (pcm16(machine(gain=0.72)), ["clipped_in_part"]),
        (pcm16(np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE)), []),  # a tone at full scale
        (pcm16(machine(gain=2e-4)), []),  # seven steps of 16 bits: its peaks come again and again
        (1000 * machine(), []),  # floats beyond full scale are no clipping
        (0.2 + machine(), []),  # an offset
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray) else "+".join(value) or "sound",
)
def test_kinds(clip, expected):
    assert kind(of(np.ascontiguousarray(clip, dtype=np.float32))) == expected


def test_clipping_is_seen_behind_another_rate():
    clipped = resample(pcm16(machine(gain=10.0)), from_rate=RATE, to_rate=12_000)
    assert kind(clip_quality([clipped], sample_rate=12_000)) == ["clipped_throughout"]
    whole = resample(pcm16(machine(gain=0.4)), from_rate=RATE, to_rate=12_000)
    assert kind(clip_quality([whole], sample_rate=12_000)) == []


def test_levels_and_gaps():
    half = machine()
    half[RATE // 2 :] = 0
    square = np.tile(np.array([0.5, -0.5], np.float32), 800)
    quality = of(machine(), half, square)
    assert quality.still.tolist() == [0.0, 0.5, 0.0]
    assert quality.peak_dbfs[2] == quality.rms_dbfs[2] == pytest.approx(-6.0206, abs=1e-3)


def test_equal_samples_have_one_content():
    clips = [machine(seed=1), machine(seed=2), machine(seed=1).copy(), machine(seed=1)[:-1]]
    first, second, copy, shorter = clip_contents(clips).tolist()
    assert first == copy
    assert len({first, second, shorter}) == 3


def test_parts_are_joined_and_taken():
    clips = [machine(seed=seed) for seed in range(3)]
    joined = ClipQuality.joined([of(*clips[:2]), of(clips[2])])
    assert len(joined) == 3
    np.testing.assert_array_equal(joined.take(np.array([2])).mean_square, of(clips[2]).mean_square)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(threads):
    clips = [machine(seed=seed, seconds=0.1 * (1 + seed)) for seed in range(7)]
    some, all_ = clip_quality(clips, sample_rate=RATE, num_threads=threads), of(*clips)
    np.testing.assert_array_equal(some.mean_square, all_.mean_square)
    np.testing.assert_array_equal(clip_contents(clips, num_threads=threads), clip_contents(clips))


def test_what_cannot_be_measured_is_named():
    with pytest.raises(ArrayError, match=r"clips\[1\]: no samples"):
        of(machine(), np.empty(0, np.float32))
    with pytest.raises(ArrayError, match=r"clips\[0\]: not C-contiguous"):
        of(machine()[::2])
