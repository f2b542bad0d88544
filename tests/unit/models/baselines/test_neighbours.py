"""Distances against a restatement that goes pair by pair, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from offkey.models.baselines import neighbours as module
from offkey.models.baselines.neighbours import Bank, Scale

IDS = np.array([0] * 12 + [1] * 9 + [2] * 2)
UNITS = np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 17, 18, 18])


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(3, 1, (len(IDS), 7))


def bank(vectors, *, distance="euclidean", bands=1):
    columns = np.array_split(np.arange(vectors.shape[1]), bands)
    return Bank.of(vectors, ids=IDS, units=UNITS, columns=columns, distance=distance)


def pair(x, y, distance):
    if distance == "euclidean":
        return np.sqrt(np.sum((x - y) ** 2))
    lengths = np.sqrt(np.sum(x**2)) * np.sqrt(np.sum(y**2))
    return 1 - np.sum(x * y) / lengths if lengths else float(x.any() or y.any())


def restated(clip, vectors, *, allowed, neighbours, kth, distance, bands):
    of_ids = []
    for machine in range(3):
        of_bands = []
        for chosen in np.array_split(np.arange(vectors.shape[1]), bands):
            near = sorted(
                pair(clip[chosen], other[chosen], distance)
                for other, id_, ok in zip(vectors, IDS, allowed, strict=True)
                if id_ == machine and ok
            )[:neighbours]
            of_bands.append(np.nan if not near else near[-1] if kth else sum(near) / len(near))
        of_ids.append(sum(of_bands) / bands)
    return of_ids


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize(
    ("neighbours", "kth", "bands"), [(1, False, 1), (4, False, 1), (4, True, 3), (20, False, 2)]
)
def test_distances_are_those_of_a_restatement(vectors, distance, neighbours, kth, bands, monkeypatch):
    new = np.random.default_rng(1).normal(3, 2, (5, 7))
    new[4] = 0.0
    how = {"neighbours": neighbours, "kth": kth}
    expected = [
        restated(clip, vectors, allowed=[True] * len(IDS), distance=distance, bands=bands, **how)
        for clip in new
    ]
    made = bank(vectors, distance=distance, bands=bands)
    np.testing.assert_allclose(made.distances(new, **how), expected, rtol=1e-12, atol=1e-14)
    monkeypatch.setattr(module, "_BLOCK", 2 * len(IDS))
    monkeypatch.setattr(module, "_DIFFERENCES", 1)
    np.testing.assert_array_equal(
        made.distances(new, **how), bank(vectors, distance=distance, bands=bands).distances(new, **how)
    )
    np.testing.assert_allclose(made.distances(new, **how), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize(("neighbours", "kth"), [(1, False), (3, False), (3, True), (50, False)])
def test_a_clip_is_left_out_with_its_recording(vectors, distance, neighbours, kth):
    how = {"neighbours": neighbours, "kth": kth}
    made = bank(vectors, distance=distance).left_out(vectors, **how)
    for row, clip in enumerate(vectors):
        expected = restated(clip, vectors, allowed=UNITS[row] != UNITS, distance=distance, bands=1, **how)
        assert np.isnan(made[row, IDS[row]]) == (IDS[row] == 2)
        np.testing.assert_allclose(made[row], expected, rtol=1e-12)


def test_another_id_of_the_same_recording_alone_keeps_its_clips(vectors):
    units = np.arange(len(IDS))
    units[-2:] = 0  # the third ID is of the first clip's recording
    made = Bank.of(vectors, ids=IDS, units=units, columns=[np.arange(7)], distance="euclidean")
    left, whole = (how(vectors, neighbours=1, kth=False) for how in (made.left_out, made.distances))
    assert np.isnan(left[-2:, 2]).all()
    assert left[0, 2] == whole[0, 2]
    assert left[0, 0] > whole[0, 0] == 0


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_they_are_scikit_learn_s(vectors, distance):
    new = np.random.default_rng(2).normal(3, 1, (40, 7))
    made = bank(vectors, distance=distance).distances(new, neighbours=3, kth=False)
    for machine in (0, 1):
        peer = NearestNeighbors(n_neighbors=3, metric=distance, algorithm="brute")
        theirs = peer.fit(vectors[machine == IDS]).kneighbors(new)[0]
        np.testing.assert_allclose(made[:, machine], theirs.mean(axis=1), rtol=1e-6)


def test_a_copy_is_at_0_however_far_from_the_origin(vectors):
    far = vectors * 1e-3 + 1e6
    made = bank(far).distances(far, neighbours=1, kth=False)
    assert np.array_equal(made[np.arange(len(IDS)), IDS], np.zeros(len(IDS)))
    shifted = bank(far).distances(far + 1e-5, neighbours=1, kth=False)[np.arange(len(IDS)), IDS]
    np.testing.assert_allclose(shifted, np.sqrt(7) * 1e-5, rtol=1e-4)


def test_huge_and_tiny_vectors_have_angles():
    random = np.random.default_rng(3).normal(0, 1, (len(IDS), 7))
    usual = bank(random, distance="cosine").left_out(random, neighbours=1, kth=False)
    for factor in (1e-300, 1e300):
        made = bank(random * factor, distance="cosine").left_out(random * factor, neighbours=1, kth=False)
        np.testing.assert_allclose(made, usual, rtol=1e-9, atol=1e-12)


def test_scales():
    random = np.random.default_rng(4).normal(5, 2, (50, 3)) * [1, 10, 0]
    scale = Scale.of(random, standardised=True)
    scaled = scale.apply(random)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-12)
    assert np.array_equal(Scale.of(random, standardised=False).apply(random), random)
