"""What clips count in a fit: all alike count in full, odd ones little, and a second way of sounding healthy in full."""

import numpy as np
import pytest
from spectral_clips import faulty_statistics, machine_clips, normal_statistics, take

from offkey import Recipe
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.model import SpectralModel
from offkey.models.spectral.weights import ODD, clip_weights

RECIPE = Recipe.named("spectral").replace(spectral__check=False)


def weights_of(statistics, ids):
    return clip_weights(StatisticsTable.checked(statistics), np.unique(ids, return_inverse=True)[1])


def replaced(statistics, rows, clips):
    """The statistics with some clips in the places of others."""
    copies = statistics.take(np.arange(len(statistics.mean)))
    for name, values in clips.arrays().items():
        getattr(copies, name)[rows] = values
    return copies


def with_noise(statistics, rows, rng):
    """Those clips as they would be with a hiss over them: the low and the deep bins rise, the rest stays."""
    clips = take(statistics, rows)
    hiss = np.linspace(0.0, 4.0, clips.mean.shape[1]).astype(np.float32) ** 2
    return replaced(statistics, rows, clips._replace(mean=clips.mean + hiss, p5=clips.p5 + 2 * hiss))


@pytest.mark.parametrize("counts", [[60], [40, 30], [25, 25, 25, 25]])
def test_clips_that_are_alike_count_in_full(counts):
    weights = [weights_of(*machine_clips(seed, counts)[:2]) for seed in range(20)]
    assert np.mean(np.concatenate(weights) < ODD) <= 0.003
    assert np.mean(np.concatenate(weights) < 1) <= 0.01


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_odd_clips_hardly_count_each_alone_or_alike(count):
    rng = np.random.default_rng(count)
    statistics, ids, _ = machine_clips(7, [60, 60])
    rows = [5, 17, 40][:count]
    weights = weights_of(with_noise(statistics, rows, rng), ids)
    assert weights[rows].max() < 0.1
    assert np.delete(weights, rows).min() > ODD


def test_clips_that_are_odd_alike_cannot_hide_behind_each_other():
    statistics, ids, _ = machine_clips(7, [60, 60], n_mels=128)
    rows = np.array([5, 17, 40, 66, 81, 117])
    clips = take(statistics, rows)
    # Bins move by less than the deviation of healthy clips, but against how these vary together.
    comb = np.resize(np.float32([3.0, -3.0]), clips.mean.shape[1])
    weights = weights_of(replaced(statistics, rows, clips._replace(mean=clips.mean + comb)), ids)
    assert weights[rows].max() < 0.1
    assert np.delete(weights, rows).min() > ODD


def test_a_second_way_of_sounding_healthy_counts_in_full():
    statistics, ids, _ = machine_clips(7, [60])
    rows = np.arange(0, 60, 6)
    assert weights_of(with_noise(statistics, rows, np.random.default_rng(0)), ids).min() == 1.0


def test_of_few_clips_nobody_can_say_what_the_rest_are():
    statistics, ids, _ = machine_clips(1, [19])
    assert weights_of(with_noise(statistics, [3], np.random.default_rng(0)), ids).tolist() == [1.0] * 19
    statistics, ids, _ = machine_clips(1, [40, 7])
    assert weights_of(with_noise(statistics, [42], np.random.default_rng(0)), ids)[40:].min() == 1.0


def test_clips_that_stand_out_only_where_the_rest_hardly_vary_are_odd():
    statistics, ids, _ = machine_clips(2, [60, 60])
    rows = [3, 70, 100]
    mean = statistics.mean.astype(np.float64)
    within = mean - np.repeat([mean[:60].mean(axis=0), mean[60:].mean(axis=0)], 60, axis=0)
    variances, vectors = np.linalg.eigh(within.T @ within / 118)
    rng = np.random.default_rng(2)
    for row in rows:
        mean[row] += vectors[:, :6] @ (12 * np.sqrt(variances[:6]) * rng.standard_normal(6))
    weights = weights_of(statistics._replace(mean=mean.astype(np.float32)), ids)
    assert np.flatnonzero(weights < ODD).tolist() == rows


def test_copies_of_one_clip_are_alike():
    statistics = normal_statistics(np.random.default_rng(0), 1)
    copies = take(statistics, np.zeros(30, dtype=int))
    assert weights_of(copies, ["00"] * 30).tolist() == [1.0] * 30


@pytest.mark.parametrize("count", [1, 3])
def test_odd_clips_blind_no_model(count):
    rng = np.random.default_rng(3)
    statistics, ids, groups = machine_clips(2, [60], clips_in_group=1)
    odd = with_noise(statistics, [5, 17, 40][:count], rng)
    normals, faulty = normal_statistics(rng, 200), faulty_statistics(rng, 200)

    def found(training):
        model = SpectralModel.of_statistics(training, ids, groups, recipe=RECIPE, seed=0)
        scores = model.scores(normals)["a_spectral"], model.scores(faulty)["a_spectral"]
        return np.mean(scores[1] > np.quantile(scores[0], 0.95)), model.notes

    without, notes = found(statistics)
    assert not any("unlike" in note for note in notes)
    found_with, notes = found(odd)
    assert found_with >= 0.95 * without > 0.5
    (note,) = [note for note in notes if "unlike" in note]
    assert note.startswith(f"spectral: {count} training clip")
    assert "(00/5" in note
