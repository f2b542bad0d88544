"""Distances to nearest neighbours, whatever the vectors are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from offkey.models.baselines.neighbours import Bank

WHOLE = st.integers(-1000, 1000).map(float)
"""Numbers whose squares and sums are exact."""


@st.composite
def banks(draw):
    """Vectors of one to three IDs, their recordings, and how many neighbours count."""
    n_ids = draw(st.integers(1, 3))
    clips, dim = draw(st.integers(n_ids, 14)), draw(st.integers(1, 5))
    rest = st.lists(st.integers(0, n_ids - 1), min_size=clips - n_ids, max_size=clips - n_ids)
    ids = np.array([*range(n_ids), *draw(rest)])
    units = np.array(draw(st.lists(st.integers(0, 5), min_size=clips, max_size=clips)))
    vectors = draw(arrays(np.float64, (clips, dim), elements=WHOLE))
    return vectors, ids, units, draw(st.integers(1, 16))


def bank(vectors, ids, units, distance="euclidean"):
    columns = [np.arange(vectors.shape[1])]
    return Bank.of(vectors, ids=ids, units=units, columns=columns, distance=distance)


@given(banks(), st.sampled_from(["euclidean", "cosine"]), st.booleans(), st.randoms())
def test_the_order_of_clips_does_not_matter(given_bank, distance, kth, random):
    vectors, ids, units, neighbours = given_bank
    order = np.array(random.sample(range(len(ids)), len(ids)))
    how = {"neighbours": neighbours, "kth": kth}
    usual = bank(vectors, ids, units, distance)
    other = bank(vectors[order], ids[order], units[order], distance)
    np.testing.assert_allclose(
        other.distances(vectors, **how), usual.distances(vectors, **how), rtol=1e-9, atol=1e-9
    )
    left_out = other.left_out(vectors[order], **how)
    np.testing.assert_allclose(left_out, usual.left_out(vectors, **how)[order], rtol=1e-9, atol=1e-9)


@given(banks(), st.floats(1e-6, 1e6))
def test_vectors_in_another_unit_are_as_many_times_further_and_their_angles_the_same(given_bank, unit):
    vectors, ids, units, neighbours = given_bank
    how = {"neighbours": neighbours, "kth": False}
    far = bank(vectors * unit, ids, units).distances(vectors * unit, **how)
    np.testing.assert_allclose(
        far, unit * bank(vectors, ids, units).distances(vectors, **how), rtol=1e-9, atol=1e-9 * unit
    )
    angles = bank(vectors * unit, ids, units, "cosine").distances(vectors * unit, **how)
    usual = bank(vectors, ids, units, "cosine").distances(vectors, **how)
    np.testing.assert_allclose(angles, usual, rtol=1e-6, atol=1e-12)
    assert angles.min() >= 0
    assert angles.max() <= 2 + 1e-12


@given(banks())
def test_a_clip_is_no_nearer_without_its_recording_and_of_more_neighbours_the_last_is_no_nearer(given_bank):
    vectors, ids, units, neighbours = given_bank
    made = bank(vectors, ids, units)
    whole, left_out = (how(vectors, neighbours=1, kth=False) for how in (made.distances, made.left_out))
    own = np.arange(len(ids)), ids
    np.testing.assert_allclose(whole[own], 0, atol=1e-9)
    lone = np.array([(units[ids == i] == unit).all() for i, unit in zip(ids, units, strict=True)])
    assert np.array_equal(np.isnan(left_out[own]), lone)
    assert (left_out[~np.isnan(left_out)] >= whole[~np.isnan(left_out)] - 1e-9).all()
    further = made.distances(vectors, neighbours=neighbours, kth=True)
    mean = made.distances(vectors, neighbours=neighbours, kth=False)
    assert (further >= mean - 1e-9).all()
    assert (mean >= whole - 1e-9).all()
