import numpy as np
import pytest

from offkey.errors import DatasetError, DetectorFileError
from offkey.models.near.calibrate import SCORE, Calibrated, Standard

NAMES = ("00", "02")


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_standardised_scores_have_mean_0_for_each_network_and_id_and_deviation_1(random):
    ids, networks = np.arange(400) % 2, np.arange(400) // 2 % 4
    logits = random.normal(0, 2, 400) + 5 * ids - 3 * networks
    standard = Standard.of(logits, ids, networks, counts=(4, 2))
    z = np.array([standard.z(np.full(2, x), k)[i] for x, i, k in zip(logits, ids, networks, strict=True)])
    for group in (ids == 0, ids == 1, *(networks == k for k in range(4))):
        assert z[group].mean() == pytest.approx(0, abs=0.05)
    assert z.std() == pytest.approx(1)


def test_differences_of_networks_that_chance_explains_count_little(random):
    ids, networks = np.zeros(60, dtype=int), np.arange(60) % 4
    spreads = [
        np.std(Standard.of(random.normal(0, 1, 60), ids, networks, counts=(4, 1)).of_network)
        for _ in range(50)
    ]
    assert np.mean(spreads) < 0.5 * np.sqrt(4 / 60)  # of plain means it is about as large as this root


def test_equal_scores_and_networks_without_clips_have_a_standard():
    standard = Standard.of(np.ones(4), np.zeros(4, dtype=int), np.zeros(4, dtype=int), counts=(2, 1))
    assert standard.deviation > 0
    assert np.isfinite(standard.of_network).all()


def test_scores_are_the_mean_over_the_networks_that_know_the_id(random):
    fitted = calibrated(random)
    logits = random.normal(0, 1, (2, 3, 2))
    z = np.stack([fitted.standard.z(logits[k], k) for k in range(2)])
    np.testing.assert_allclose(fitted.scores(logits), z.mean(axis=0))
    logits[0, :, 1] = np.nan
    np.testing.assert_allclose(fitted.scores(logits)[:, 1], z[1, :, 1])


def calibrated(random, *, clips=40):
    ids, networks = np.arange(clips) % 2, np.arange(clips) // 2 % 2
    return Calibrated.of(random.normal(0, 1, (clips, 2)), ids, networks, NAMES, n_networks=2)


def test_held_out_clips_keep_their_own_and_all_other_scores(random):
    held_out = calibrated(random).held_out
    own = held_out.against_all[SCORE][np.arange(40), np.searchsorted(NAMES, held_out.machine_ids)]
    assert np.array_equal(held_out.scores[SCORE], own)


def test_clips_that_no_network_could_score_are_left_out(random):
    logits = random.normal(0, 1, (10, 2))
    ids = np.array([1, *[0] * 9])
    logits[0, 1] = logits[5, 1] = np.nan
    held_out = Calibrated.of(logits, ids, np.arange(10) % 2, NAMES, n_networks=2).held_out
    assert held_out.indices.tolist() == list(range(1, 10))
    assert np.isfinite(held_out.against_all[SCORE]).all()
    with pytest.raises(DatasetError, match="no normal clip could be scored"):
        Calibrated.of(
            np.full((3, 2), np.nan), np.zeros(3, dtype=int), np.zeros(3, dtype=int), NAMES, n_networks=2
        )


def test_what_is_stored_gives_the_same_scores(random):
    fitted = calibrated(random)
    again = Calibrated.from_state(fitted.state(NAMES), NAMES, n_networks=2)
    logits = random.normal(0, 2, (2, 7, 2))
    assert np.array_equal(again.scores(logits), fitted.scores(logits))
    assert again.held_out.machine_ids == fitted.held_out.machine_ids


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("of_network", lambda array: array[:1]),
        ("of_network", lambda array: array * np.nan),
        ("of_id", lambda array: array[:1]),
        ("deviation", lambda array: array * 0),
        ("deviation", lambda array: np.tile(array, 2)),
        ("against_all", lambda array: array[:, :1]),
        ("against_all", lambda array: array * np.inf),
        ("ids", lambda array: array + 5),
    ],
)
def test_arrays_that_do_not_fit_are_refused(random, name, change):
    arrays = calibrated(random).state(NAMES)
    with pytest.raises(DetectorFileError, match="near: calibration"):
        Calibrated.from_state(arrays | {name: change(arrays[name])}, NAMES, n_networks=2)
