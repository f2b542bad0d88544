import numpy as np
import pytest
from spectral_clips import machine_clips

from offkey.models.spectral.check import (
    Choice,
    NormalClips,
    Settings,
    _auc,
    add_bumps,
    choose,
    out_of_fold,
)
from offkey.models.spectral.feature_sets import StatisticsTable
from offkey.models.spectral.folds import make_folds
from offkey.models.spectral.pools import IdPools

USUAL = Choice(own_covariance=False, ridge=1e-3, feature_sets=("M", "A", "P"))


def normal_clips(counts, *, seed=0, own_ids=(), n_mels=16):
    statistics, names, groups = machine_clips(seed, counts, n_mels=n_mels)
    ids = np.array([int(i) for i in names])
    folds = make_folds(ids, groups, names=sorted(set(names)), count=5, seed=seed)
    return NormalClips(
        table=StatisticsTable.checked(statistics),
        ids=ids,
        n_ids=len(counts),
        fold=folds.fold,
        own_ids=own_ids,
        weights=np.ones(len(ids)),
        tau=0.01,
    )


def test_bumps_follow_their_law():
    rng = np.random.default_rng(0)
    deviation = np.linspace(1.0, 3.0, 128)
    level, modulation = add_bumps(rng, 4000, deviation_db=deviation)
    assert level.shape == modulation.shape == (4000, 128)
    in_units = level / deviation
    # At most four bumps of at most one deviation each, some nearly as large as that, both signs alike.
    assert np.abs(in_units).max() < 4
    assert np.abs(in_units).max() > 0.9
    assert abs((level > 0).mean() - (level < 0).mean()) < 0.02
    # Every clip has a bump; half of them a change of the deviations too, by a factor between 0.5 and 1.5.
    assert (np.abs(in_units).max(axis=1) > 0.02).mean() > 0.98
    changed = np.abs(modulation).max(axis=1) > 1e-4
    assert abs(changed.mean() - 0.5) < 0.03
    assert np.log(0.5) <= modulation.min() < np.log(0.6)
    assert np.log(1.4) < modulation.max() <= np.log(1.5)


def test_bump_amplitudes_are_log_uniform_and_bumps_one_to_four():
    _, modulation = add_bumps(np.random.default_rng(1), 20_000, deviation_db=np.ones(128))
    peak = np.abs(np.expm1(modulation)).max(axis=1)
    sizes = np.log(peak[peak > 0.031])  # off the grid and at the rim a bump's peak is a little lower
    assert np.median(sizes) == pytest.approx(np.log(np.sqrt(0.03 * 0.5)), abs=0.12)
    # 1 + a b with one Gaussian b of sigma 0.5 to 4: its width at half height is 1.2 to 9.4 bins.
    width = (np.abs(np.expm1(modulation)) > 0.5 * peak[:, None]).sum(axis=1)[peak > 0.031]
    assert width.min() >= 1
    assert width.max() <= 10


def test_bump_widths_grow_with_the_number_of_bins():
    def mean_width(n_mels):
        _, modulation = add_bumps(np.random.default_rng(2), 2000, deviation_db=np.ones(n_mels))
        change = np.abs(np.expm1(modulation))
        return (
            (change > 0.5 * change.max(axis=1, keepdims=True)).sum(axis=1)[change.max(axis=1) > 0.03].mean()
        )

    assert mean_width(512) == pytest.approx(4 * mean_width(128), rel=0.1)


def test_out_of_fold_scores_come_from_models_that_never_saw_the_clip():
    clips = normal_clips([15, 20], own_ids=())
    [scores] = out_of_fold(clips, [Settings("A", False, 1e-3)], draws=0, seed=0)
    k = 2
    model = clips.moments(clips.fold != k, feature_set="A").model(own_covariance=False, ridge=1e-3, tau=0.01)
    held = clips.fold == k
    expected = model.log_scores_to(clips.table.take(held).features("A"), clips.ids[held])
    assert np.allclose(scores[0, held], expected, rtol=1e-10)


def test_candidates_see_the_same_draws():
    clips = normal_clips([30])
    one, other = Settings("M", False, 1e-3), Settings("M", False, 1e-1)
    together = out_of_fold(clips, [one, other], draws=2, seed=3)
    alone = out_of_fold(clips, [other], draws=2, seed=3)
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together[0, 1], together[0, 2])
    assert not np.array_equal(alone, out_of_fold(clips, [other], draws=2, seed=4))


def test_an_id_of_one_clip_has_no_score_out_of_fold():
    clips = normal_clips([20, 1])
    assert clips.scored().tolist() == [True] * 20 + [False]
    scores = out_of_fold(clips, [Settings("M", False, 1e-3)], draws=1, seed=0)
    assert np.isnan(scores[:, :, 20]).all()
    assert np.isfinite(scores[:, :, :20]).all()


def test_level_deviation_is_within_ids():
    clips = normal_clips([40, 40])
    mean = clips.table.columns["mean"]
    expected = np.sqrt((39 * mean[:40].var(axis=0, ddof=1) + 39 * mean[40:].var(axis=0, ddof=1)) / 78)
    assert np.allclose(clips.level_deviation_db(), expected)


def test_auc_counts_ties_as_half():
    assert _auc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == 0.875
    assert _auc(np.zeros(3), np.zeros(4)) == 0.5


def test_the_choice_follows_the_rule():
    clips = normal_clips([40, 40], own_ids=(0, 1))
    pools = IdPools(clips.ids, clips.scored(), n_ids=2)
    choice = choose(clips, pools, default=USUAL, margin=0.0, draws=3, seed=0)
    ridges = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    kind = "own" if choice.own_covariance else "shared"
    alone = {name: value for name, value in choice.criteria.items() if name.startswith("M ")}
    assert len(alone) == 10
    assert max(alone, key=alone.get).split()[1] == kind
    best = max(alone[f"M {kind} {r:g}"] for r in ridges)
    assert choice.ridge == min(r for r in ridges if alone[f"M {kind} {r:g}"] >= best - 0.002)
    joined = choice.criteria["M+A+P+L"] > choice.criteria["M+A+P"]
    assert choice.feature_sets == (("M", "A", "P", "L") if joined else ("M", "A", "P"))


def unlike_machines(n_clips):
    """Two IDs of opposite covariance: what varies much in one is quiet in the other."""
    clips = normal_clips([n_clips, n_clips], own_ids=(0, 1))
    rng = np.random.default_rng(5)
    wide = np.where(np.arange(16) < 8, 3.0, 0.1)
    for column in clips.table.columns.values():
        column[: len(column) // 2] = rng.standard_normal((n_clips, 16)) * wide
        column[len(column) // 2 :] = rng.standard_normal((n_clips, 16)) * wide[::-1]
    return clips


def test_the_check_tells_when_ids_need_a_covariance_of_their_own():
    unlike = unlike_machines(150)
    pools = IdPools(unlike.ids, unlike.scored(), n_ids=2)
    assert choose(unlike, pools, default=USUAL, margin=2.0, draws=4, seed=0).own_covariance
    alike = normal_clips([30, 30, 30, 30], own_ids=(0, 1, 2, 3))
    pools = IdPools(alike.ids, alike.scored(), n_ids=4)
    assert not choose(alike, pools, default=USUAL, margin=0.0, draws=4, seed=0).own_covariance


def test_without_clips_enough_for_own_covariances_only_the_shared_one_is_compared():
    clips = normal_clips([12, 12])
    pools = IdPools(clips.ids, clips.scored(), n_ids=2)
    choice = choose(clips, pools, default=USUAL, margin=0.0, draws=2, seed=0)
    assert not any("own" in name for name in choice.criteria)
    assert not choice.own_covariance


def gains(clips, pools, better, worse, *, draws):
    """By how much one candidate sees the bumps of each draw better than another."""
    scores = out_of_fold(clips, [better, worse], draws=draws, seed=0)
    aucs = [
        [
            np.mean([_auc(s[0, rows], s[draw, rows]) for rows in pools.distinct])
            for draw in range(1, 1 + draws)
        ]
        for s in scores
    ]
    return np.subtract(*aucs)


def test_a_gain_within_two_standard_errors_of_the_draws_chooses_nothing():
    clips = normal_clips([12, 12], n_mels=24)
    pools = IdPools(clips.ids, clips.scored(), n_ids=2)
    free = choose(clips, pools, default=USUAL, margin=0.0, draws=6, seed=0)
    assert (free.ridge, free.feature_sets) != (1e-3, ("M", "A", "P"))  # otherwise this tells nothing
    over_usual = gains(clips, pools, Settings("M", False, free.ridge), Settings("M", False, 1e-3), draws=6)
    errors = over_usual.mean() / (over_usual.std(ddof=1) / np.sqrt(6))
    below, above = (
        choose(clips, pools, default=USUAL, margin=errors * factor, draws=6, seed=0).ridge
        for factor in (0.99, 1.01)
    )
    assert (below, above) == (free.ridge, 1e-3)
    refused = choose(clips, pools, default=USUAL, margin=1e9, draws=6, seed=0)
    assert (refused.own_covariance, refused.ridge, refused.feature_sets) == (False, 1e-3, ("M", "A", "P"))
    assert refused.criteria.keys() == free.criteria.keys()


def test_what_the_recipe_says_is_what_the_check_starts_from():
    clips = normal_clips([40, 40], own_ids=(0, 1))
    pools = IdPools(clips.ids, clips.scored(), n_ids=2)
    default = Choice(own_covariance=True, ridge=0.02, feature_sets=("M", "A", "P", "L"))
    choice = choose(clips, pools, default=default, margin=1e9, draws=3, seed=0)
    assert (choice.own_covariance, choice.ridge, choice.feature_sets) == (True, 0.02, default.feature_sets)
    assert "M own 0.02" in choice.criteria
    alone = choose(normal_clips([12, 12]), IdPools(np.repeat([0, 1], 12), np.ones(24, bool), n_ids=2),
                   default=default, margin=1e9, draws=3, seed=0)  # fmt: skip
    assert not alone.own_covariance  # too few clips for one


def test_one_draw_has_no_standard_error_and_chooses_nothing():
    unlike = unlike_machines(150)
    pools = IdPools(unlike.ids, unlike.scored(), n_ids=2)
    assert not choose(unlike, pools, default=USUAL, margin=2.0, draws=1, seed=0).own_covariance
    assert choose(unlike, pools, default=USUAL, margin=0.0, draws=1, seed=0).own_covariance
