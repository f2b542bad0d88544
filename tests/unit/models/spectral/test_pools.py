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


def test_far_scores_are_drawn_in():
    scores = np.r_[np.random.default_rng(3).uniform(size=39), 100.0]
    median = np.median(scores)
    bound = median + 3 * 1.4826 * np.median(np.abs(scores - median))
    mean, deviation = every(np.zeros(40, dtype=int)).mean_and_deviation(scores)
    assert mean[0] == pytest.approx(np.r_[scores[:39], bound].mean())
    assert deviation[0] == pytest.approx(np.r_[scores[:39], bound].std())


def test_clips_without_a_score_take_no_part():
    scores = np.random.default_rng(4).uniform(size=30)
    scored = np.arange(30) < 25
    scores[~scored] = np.nan
    mean, _ = IdPools(np.zeros(30, dtype=int), scored, n_ids=1).mean_and_deviation(scores)
    assert mean[0] == pytest.approx(scores[:25].mean())
