"""A model that has learned further clips, against sums over all clips in the units of its first fit."""

import json

import numpy as np
import pytest
from spectral_clips import machine_clips, normal_statistics, take, with_rhythm

from offkey._util.named_arrays import unpacked
from offkey.datasets import TrainingClips
from offkey.errors import DetectorFileError, ParameterError
from offkey.models import LearnedClips
from offkey.models.spectral.feature_sets import Scale, StatisticsTable
from offkey.models.spectral.leave_one_out import log_scores_left_out
from offkey.models.spectral.likelihood_ratio import LikelihoodRatio, Moments
from offkey.models.spectral.model import SpectralModel
from offkey.recipe import Recipe
from offkey.signal.statistics import ClipStatistics

FINE = (2, 3)  # times the bins of finer spectrograms
RECIPE = Recipe.named("spectral").replace(
    spectral__check_draws=3, spectral__spectra=[{"n_mels": times} for times in FINE]
)
OWN = RECIPE.replace(spectral__check=False, spectral__own_covariance=True)


def clips_of(statistics, ids, groups):
    return TrainingClips(
        inputs="audio",
        clips=[np.zeros(1, np.float32)] * len(ids),
        machine_ids=ids,
        groups=groups,
        measure=lambda: statistics,
    )


def learned(statistics, ids, groups, rows):
    numbers = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return LearnedClips(
        machine_ids=tuple(ids), groups=numbers, indices=np.asarray(rows), statistics=take(statistics, rows)
    )


def joined(*parts):
    return ClipStatistics.joined(parts)


class Case:
    """A fit to A, and what it becomes with B."""

    def __init__(self, recipe, *, rows=None, second=False):
        self.a, self.b = machine_clips(0, [40, 30]), machine_clips(1, [12, 9])
        if second:
            self.a, self.b = (
                (with_rhythm(seed, clips, ids, beat=1.0, fine=FINE), ids, groups)
                for seed, (clips, ids, groups) in enumerate([self.a, self.b])
            )
        # One clip that sounds unlike the rest weighs less than the others.
        self.a[0].mean[5] += np.where(np.arange(24) % 3 == 0, np.float32(4), np.float32(0))
        self.recipe = recipe
        self.fitted = SpectralModel.of_statistics(*self.a, recipe=recipe, seed=0)
        rows = np.arange(70) if rows is None else rows
        self.updated = self.fitted.updated(clips_of(*self.b), recipe=recipe, learned=learned(*self.a, rows))
        self.arrays, metadata = self.updated.state()
        self.sets = metadata["choice"]["feature_sets"]
        self.choice = metadata["choice"]
        self.table = StatisticsTable.checked(
            joined(self.a[0], self.b[0]), fine_mels=[24 * times for times in FINE]
        )
        before = self.fitted.state()[0]
        self.ids = np.concatenate([np.repeat([0, 1], [40, 30]), np.repeat([0, 1], [12, 9])])
        self.weights = np.concatenate([before["clips.weights"], np.ones(21)])
        groups = [*self.a[2], *("new/" + group for group in self.b[2])]
        self.units = np.unique(groups, return_inverse=True)[1]

    def scale(self, name):
        return Scale(name, *(self.arrays[f"{name}.{part}"] for part in ("kept", "center", "unit")))

    def own_covariance(self, name):
        return self.choice["own_covariance"] and name != "T"

    def log_scores(self, name):
        """Of all clips, each without its recording, from the moments in the file."""
        ratio = LikelihoodRatio(
            self.scale(name), *(self.arrays[f"{name}.{part}"] for part in ("means", "factors", "which"))
        )
        moments = Moments.restored(ratio, self.arrays[f"moments.{name}.covariances"])
        whitenings = moments.whitenings(
            own_covariance=self.own_covariance(name),
            ridge=1e-3 if name == "T" else self.choice["ridge"],
            tau=self.recipe.spectral.tau,
        )
        return log_scores_left_out(
            moments,
            whitenings,
            features=self.table.features(name),
            ids=self.ids,
            weights=self.weights,
            units=self.units,
        )


@pytest.fixture(
    scope="module",
    params=[(RECIPE, False), (OWN, False), (OWN, True)],
    ids=["check", "own covariances", "second edition"],
)
def case(request):
    recipe, second = request.param
    return Case(recipe, second=second)


def test_moments_are_those_of_a_fit_to_all_clips_in_the_units_of_the_first(case):
    assert (case.weights < 0.5).sum() == 1
    for name in case.sets:
        scaled = case.scale(name).apply(case.table.features(name))
        means = np.stack(
            [np.average(scaled[case.ids == i], axis=0, weights=case.weights[case.ids == i]) for i in (0, 1)]
        )
        np.testing.assert_allclose(case.arrays[f"{name}.means"], means, rtol=0, atol=1e-9)
        deviations = (scaled - means[case.ids]) * np.sqrt(case.weights)[:, None]
        scatters = [deviations[case.ids == i].T @ deviations[case.ids == i] for i in (0, 1)]
        expected = [sum(scatters) / (case.weights.sum() - 2)]
        if case.own_covariance(name):
            expected += [s / (case.weights[case.ids == i].sum() - 1) for i, s in enumerate(scatters)]
        covariances = unpacked(case.arrays[f"moments.{name}.covariances"], scaled.shape[1])
        assert len(covariances) == len(expected)
        np.testing.assert_allclose(covariances, expected, rtol=0, atol=1e-9)


def test_units_and_choice_stay(case):
    before = case.fitted.state()[0]
    for name in case.sets:
        for part in ("kept", "center", "unit", "which"):
            np.testing.assert_array_equal(case.arrays[f"{name}.{part}"], before[f"{name}.{part}"])
    assert case.updated.choice == case.fitted.choice


def test_calibration_is_of_all_clips_by_the_updated_model(case):
    held_out = case.updated.held_out
    assert held_out.indices.tolist() == list(range(91))
    assert held_out.machine_ids == tuple(f"{i:02d}" for i in case.ids)
    log_scores = np.stack([case.log_scores(name) for name in case.sets])
    own = log_scores[:, np.arange(91), case.ids]
    np.testing.assert_allclose(case.arrays["moments.log_scores"], own, rtol=0, atol=1e-9)
    mean, deviation = (case.arrays[f"standard.{part}"][:, None] for part in ("mean", "deviation"))
    z = np.tensordot(case.choice["set_weights"], (log_scores - mean) / deviation, axes=1)
    np.testing.assert_allclose(held_out.against_all["a_spectral"], z, rtol=0, atol=1e-9)


def test_clips_without_statistics_keep_their_log_scores_and_those_with_some_do_not():
    rows = np.arange(0, 70)[np.arange(70) % 4 < 2]  # every other recording of two clips
    part, whole = Case(RECIPE, rows=rows), Case(RECIPE)
    new = np.concatenate([rows, 70 + np.arange(21)])
    np.testing.assert_allclose(
        part.arrays["moments.log_scores"][:, new], whole.arrays["moments.log_scores"][:, new], atol=1e-9
    )
    others = np.setdiff1d(np.arange(70), rows)
    before = part.fitted.state()[0]["moments.log_scores"]
    np.testing.assert_array_equal(part.arrays["moments.log_scores"][:, others], before[:, others])
    columns = 1 - part.ids[others]  # against other IDs they keep what they had
    np.testing.assert_array_equal(
        part.updated.held_out.against_all["a_spectral"][others, columns],
        part.fitted.held_out.against_all["a_spectral"][others, columns],
    )
    halves = Case(RECIPE, rows=np.arange(0, 70, 2))  # one clip of each recording: it cannot be left out alone
    np.testing.assert_array_equal(halves.arrays["moments.log_scores"][:, :70], before)
    for case, earlier in ((whole, 0), (part, 34), (halves, 70)):
        note = f"spectral: {earlier} of 91 calibration scores are from before the update"
        assert [text.startswith(note) for text in case.updated.notes if "before the update" in text] == [
            True
        ] * (earlier > 0)
    assert Case(RECIPE, rows=np.empty(0, np.int64)).updated.held_out.indices.tolist() == list(range(91))


def test_two_updates_are_one():
    case = Case(RECIPE)
    statistics, ids, groups = case.b
    updated = case.fitted
    so_far = case.a
    for rows in (np.arange(0, 12), np.arange(12, 21)):
        part = take(statistics, rows), [ids[i] for i in rows], [groups[i] for i in rows]
        updated = updated.updated(
            clips_of(*part), recipe=RECIPE, learned=learned(*so_far, np.arange(len(so_far[1])))
        )
        so_far = joined(so_far[0], part[0]), [*so_far[1], *part[1]], [*so_far[2], *part[2]]
    fresh = normal_statistics(np.random.default_rng(9), 20)
    np.testing.assert_allclose(
        updated.scores(fresh)["a_spectral"], case.updated.scores(fresh)["a_spectral"], rtol=0, atol=1e-8
    )


def test_an_updated_model_is_saved_and_updated_again(case):
    arrays, metadata = case.updated.state()
    again = SpectralModel.from_state(case.recipe, dict(arrays), json.loads(json.dumps(metadata)))
    fresh = take(case.b[0], np.arange(5))
    np.testing.assert_array_equal(again.scores(fresh)["a_spectral"], case.updated.scores(fresh)["a_spectral"])
    third = machine_clips(2, [4, 4])
    if case.table.has("T"):
        third = (with_rhythm(2, *third[:2], fine=FINE), *third[1:])
    statistics = joined(case.a[0], case.b[0])
    kept = learned(statistics, [*case.a[1], *case.b[1]], [*case.a[2], *case.b[2]], np.arange(91))
    for model in (again, case.updated):
        assert len(model.updated(clips_of(*third), recipe=case.recipe, learned=kept).held_out.indices) == 99


def test_notes_of_pools_are_those_of_all_clips():
    statistics, ids, groups = machine_clips(0, [30, 1], clips_in_group=1)
    fitted = SpectralModel.of_statistics(statistics, ids, groups, recipe=RECIPE, seed=0)
    assert any("ID 01: one clip only" in note for note in fitted.notes)
    more = machine_clips(1, [0, 12], clips_in_group=1)
    updated = fitted.updated(
        clips_of(*more), recipe=RECIPE, learned=learned(statistics, ids, groups, np.arange(31))
    )
    assert not any("ID 01" in note for note in updated.notes)
    assert updated.held_out.machine_ids.count("01") == 13  # the lone clip has something to be compared with
    assert sum("matched to the right one" in note for note in updated.notes) == 1


def test_files_that_kept_too_little_cannot_be_updated(case):
    arrays, metadata = case.fitted.state()
    older = {name: array for name, array in arrays.items() if not name.startswith("clips.")}
    model = SpectralModel.from_state(case.recipe, older, metadata)
    with pytest.raises(ParameterError, match="kept too little of the training clips: fit again"):
        model.updated(clips_of(*case.b), recipe=case.recipe, learned=learned(*case.a, np.arange(70)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ids", lambda ids: ids * 0),
        ("ids", lambda ids: ids[:-1]),
        ("weights", lambda weights: weights - 1),
        ("weights", lambda weights: weights * np.nan),
        ("units", lambda units: units - 5),
        ("units", lambda units: units.astype(np.float64)),
    ],
)
def test_impossible_training_clips_in_a_file_are_refused(case, name, change):
    arrays, metadata = case.fitted.state()
    broken = arrays | {f"clips.{name}": change(arrays[f"clips.{name}"])}
    with pytest.raises(DetectorFileError, match="training clips of shapes"):
        SpectralModel.from_state(case.recipe, broken, metadata)
