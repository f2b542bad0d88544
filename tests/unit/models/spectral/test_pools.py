import numpy as np
import pytest

from offkey.models.spectral.pools import IdPools


def every(ids):
    return IdPools(ids, np.ones(len(ids), dtype=bool), n_ids=int(ids.max()) + 1)


def test_small_ids_share_their_statistics():
    ids = np.repeat([0, 1, 2], [30, 6, 7])
    pools = IdPools(ids, np.ones(43, dtype=bool), n_ids=3)
    scores = np.random.default_rng(0).standard_normal(43) + ids
    mean, deviation = pools.mean_and_deviation(scores)
    assert pools.shared == (1, 2)
    assert mean == pytest.approx([scores[:30].mean(), scores[30:].mean(), scores[30:].mean()])
    assert deviation == pytest.approx([scores[:30].std(), scores[30:].std(), scores[30:].std()])
    assert len(pools.distinct) == 2


def test_where_small_ids_together_are_too_few_all_clips_stand_for_them():
    ids = np.repeat([0, 1], [30, 3])
    pools = IdPools(ids, np.ones(33, dtype=bool), n_ids=2)
    scores = np.arange(33.0)
    mean, _ = pools.mean_and_deviation(scores)
    assert mean == pytest.approx([scores[:30].mean(), scores.mean()])
    assert len(pools.distinct) == 1
    tiny = IdPools(np.repeat([0, 1], [4, 4]), np.ones(8, dtype=bool), n_ids=2)
    assert [rows.sum() for rows in tiny.distinct] == [8]


def test_equal_scores_have_a_deviation_to_divide_by():
    pools = IdPools(np.zeros(12, dtype=int), np.ones(12, dtype=bool), n_ids=1)
    assert pools.mean_and_deviation(np.full(12, 3.0))[1].tolist() == [1.0]


def test_each_score_is_compared_with_those_of_other_recordings():
    rng = np.random.default_rng(0)
    ids, units = np.repeat([0, 1], [30, 24]), np.arange(54) // 3
    scores = rng.uniform(size=54) + ids  # none is far from the rest
    mean, deviation = every(ids).without_recordings(scores, units)
    assert mean.shape == deviation.shape == (54, 2)
    for clip in (0, 14, 29, 30, 53):
        for i in range(2):
            rest = scores[(ids == i) & (units != units[clip])]
            assert mean[clip, i] == pytest.approx(rest.mean())
            assert deviation[clip, i] == pytest.approx(rest.std())


def test_a_recording_of_several_ids_leaves_the_pools_of_all():
    ids, units = np.tile([0, 1], 20), np.arange(40) // 2
    scores = np.random.default_rng(1).uniform(size=40)
    mean, _ = every(ids).without_recordings(scores, units)
    assert mean[0] == pytest.approx([scores[2::2].mean(), scores[3::2].mean()])


def test_of_a_pool_that_would_be_too_small_the_clip_alone_leaves():
    ids, units = np.zeros(18, dtype=int), np.arange(18) // 9
    scores = np.random.default_rng(2).uniform(size=18)
    mean, deviation = every(ids).without_recordings(scores, units)
    assert mean[4, 0] == pytest.approx(np.delete(scores, 4).mean())
    assert deviation[4, 0] == pytest.approx(np.delete(scores, 4).std())


def test_far_scores_are_drawn_in_to_the_bounds_of_all():
    scores = np.r_[np.random.default_rng(3).uniform(size=39), 100.0]
    pools = every(np.zeros(40, dtype=int))
    mean, deviation = pools.without_recordings(scores, np.arange(40))
    assert mean[39, 0] == pytest.approx(scores[:39].mean())
    median = np.median(scores)
    bound = median + 3 * 1.4826 * np.median(np.abs(scores - median))
    assert mean[0, 0] == pytest.approx(np.r_[scores[1:39], bound].mean())
    assert deviation[0, 0] == pytest.approx(np.r_[scores[1:39], bound].std())


def test_where_the_others_are_equal_nothing_leaves():
    scores = np.r_[np.zeros(11), 1.0]
    pools = every(np.zeros(12, dtype=int))
    mean, deviation = pools.without_recordings(scores, np.arange(12))
    assert mean[11, 0] == pytest.approx(scores.mean())
    assert deviation[11, 0] == pytest.approx(scores.std())
    equal = pools.without_recordings(np.full(12, 3.0), np.arange(12))
    assert [part.tolist() for part in equal] == [[[3.0]] * 12, [[1.0]] * 12]


def test_clips_without_a_score_take_no_part():
    ids = np.zeros(30, dtype=int)
    scores = np.random.default_rng(4).uniform(size=30)
    scored = np.arange(30) < 25
    scores[~scored] = np.nan
    mean, _ = IdPools(ids, scored, n_ids=1).without_recordings(scores, np.arange(30))
    assert mean[3, 0] == pytest.approx(np.delete(scores[:25], 3).mean())
    assert mean[28, 0] == pytest.approx(scores[:25].mean())
