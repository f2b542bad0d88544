"""How strong a rhythm is, and what it counts."""

import numpy as np
import pytest
from spectral_clips import machine_clips, with_rhythm

from offkey.models.spectral.rhythm import rhythm_note, rhythm_strength, rhythm_weight


def table_of(seed, counts, *, beat=0.0):
    statistics, names, _ = machine_clips(seed, counts)
    ids = np.array([int(name) for name in names])
    return with_rhythm(seed, statistics, names, beat=beat).rhythm.astype(np.float64), ids


def test_it_is_what_rates_and_bands_leave_of_the_mean_in_units_of_the_scatter():
    rhythm, ids = table_of(0, [30, 12], beat=1.0)
    expected = []
    for i in (0, 1):
        clips = rhythm[ids == i]
        scatter = clips.var(axis=0, ddof=1).mean()
        table = clips.mean(axis=0).reshape(4, 32)
        rest = [
            table[rate, band] - table[rate].mean() - table[:, band].mean() + table.mean()
            for rate in range(4)
            for band in range(32)
        ]
        expected.append(np.var(rest) / scatter)
    assert rhythm_strength(rhythm, ids, np.ones(42)) == pytest.approx(np.mean(expected), rel=1e-12)


def test_noise_has_none_and_a_beat_has_more_the_louder_it_is():
    strengths = [rhythm_strength(*table_of(1, [60], beat=beat), np.ones(60)) for beat in (0.0, 2.0, 8.0)]
    assert strengths[0] < 0.03
    assert strengths[0] < 0.1 * strengths[1] < 0.1 * strengths[2]


def test_clips_that_count_less_count_less():
    rhythm, ids = table_of(2, [40], beat=1.0)
    odd = rhythm.copy()
    odd[3] += 30 * np.random.default_rng(0).standard_normal(128)
    weights = np.ones(40)
    alone = rhythm_strength(np.delete(rhythm, 3, axis=0), ids[1:], weights[1:])
    assert rhythm_strength(odd, ids, weights) < 0.5 * alone
    weights[3] = 1e-6
    assert rhythm_strength(odd, ids, weights) == pytest.approx(alone, rel=1e-2)


def test_ids_without_a_scatter_do_not_count():
    rhythm, ids = table_of(3, [30, 1], beat=1.0)
    assert rhythm_strength(rhythm, ids, np.ones(31)) == rhythm_strength(rhythm[:30], ids[:30], np.ones(30))
    assert rhythm_strength(rhythm[:1], ids[:1], np.ones(1)) == 0.0
    assert rhythm_strength(np.repeat(rhythm[:1], 5, axis=0), np.zeros(5, int), np.ones(5)) == 0.0


def test_the_weight_is_the_square_of_the_strength_up_to_one():
    strengths = [0.0, 0.04, 0.2, 0.4, 7.0]
    assert [rhythm_weight(s) for s in strengths] == pytest.approx([0.0, 0.01, 0.25, 1.0, 1.0])


@pytest.mark.parametrize(
    ("strength", "words"),
    [
        (0.07, "no rhythm to speak of (0.07): it counts 3%"),
        (0.3, "some rhythm (0.30): it counts 56%"),
        (0.8, "a rhythm (0.80): it counts fully"),
    ],
)
def test_the_note_says_why(strength, words):
    note = rhythm_note(strength, rhythm_weight(strength))
    assert note == f"spectral: these machines have {words}"
