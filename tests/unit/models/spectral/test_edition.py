"""Which sets a model is the sum of, and what they count."""

import numpy as np
import pytest
from spectral_clips import machine_clips, with_rhythm

from offkey.errors import ArrayError, DetectorFileError
from offkey.models.spectral import Spectral, Spectrum
from offkey.models.spectral.edition import Edition
from offkey.models.spectral.model import SpectralModel
from offkey.recipe import Recipe

FINE = (2, 3)  # times the bins
SPECTRA = [Spectrum(n_mels=FINE[0]), Spectrum(n_mels=FINE[1], weight=1.5)]
RECIPE = Recipe.named("spectral").replace(spectral__check=False, spectral__spectra=SPECTRA)
FIRST = RECIPE.replace(spectral=Spectral.first_edition()).replace(spectral__check=False)
COUNTS = [30, 30]


def clips(seed=0, *, beat=1.5, counts=COUNTS):
    statistics, ids, groups = machine_clips(seed, counts)
    return with_rhythm(seed, statistics, ids, beat=beat, fine=FINE), ids, groups


def fit(statistics, ids, groups, recipe=RECIPE):
    return SpectralModel.of_statistics(statistics, ids, groups, recipe=recipe, seed=0)


@pytest.fixture(scope="module")
def fitted():
    return fit(*clips())


def test_finer_spectrograms_take_the_place_of_m_and_the_rhythm_joins(fitted):
    edition = fitted.edition
    assert edition.feature_sets == ("F1", "F2", "A", "P", "T")
    assert edition.set_weights[:4] == (1.0, 1.5, 1.0, 1.0)
    assert edition.set_weights[4] == 2 * min(1.0, (edition.rhythm / 0.4) ** 2) > 0
    assert any(f"some rhythm ({edition.rhythm:.2f}): it counts" in note for note in fitted.notes)


def test_the_first_edition_looks_at_nothing_new():
    statistics, ids, groups = clips()
    first = fit(statistics, ids, groups, FIRST)
    bare = fit(statistics._replace(fine_mean=None, rhythm=None), ids, groups, FIRST)
    assert first.edition.feature_sets == ("M", "A", "P")
    assert first.edition.rhythm is None
    np.testing.assert_array_equal(
        first.scores(statistics)["a_spectral"], bare.scores(statistics)["a_spectral"]
    )
    assert first.notes == bare.notes
    assert not any("rhythm" in note or "finer" in note for note in first.notes)


def test_each_set_counts_by_its_weight(fitted):
    """A rhythm counts what it should: of two clips that differ in it alone the scores differ by that."""
    arrays, metadata = fitted.state()
    metadata["choice"] = metadata["choice"] | {"set_weights": [1.0, 1.5, 1.0, 1.0, 0.0]}
    without = SpectralModel.from_state(RECIPE, arrays, metadata)
    fresh, _, _ = clips(7)
    z_t = (fitted._ratios["T"].log_scores(fresh.rhythm.astype(float)) - fitted._mean[4]) / fitted._deviation[
        4
    ]
    difference = fitted.scores(fresh)["a_spectral"] - without.scores(fresh)["a_spectral"]
    np.testing.assert_allclose(difference, fitted.edition.set_weights[4] * z_t, rtol=0, atol=1e-9)


def test_calibration_is_of_the_same_sum_as_scores():
    """Clips that were left out score as new ones do: the same sets, the same weights."""
    means = []
    for seed in range(6):
        model = fit(*clips(seed, beat=0.7, counts=[80]))
        fresh, _, _ = clips(seed + 100, beat=0.7, counts=[200])
        known = model.held_out.scores["a_spectral"]
        new = model.scores(fresh)["a_spectral"][:, 0]
        assert new.std() == pytest.approx(known.std(), rel=0.35)
        means.append(new.mean() - known.mean())
    assert abs(np.mean(means)) < 0.25


def test_t_has_a_shared_covariance_and_a_ridge_of_its_own():
    model = fit(*clips(), RECIPE.replace(spectral__own_covariance=True, spectral__ridge=0.05))
    assert model.edition.gaussian_of("F2") == (True, 0.05)
    assert model.edition.gaussian_of("T") == (False, 1e-3)
    arrays, _ = model.state()
    assert arrays["F2.which"].tolist() == arrays["A.which"].tolist() == [1, 2]
    assert arrays["T.which"].tolist() == [0, 0]


def test_clips_without_finer_spectrograms_keep_m_and_say_so():
    statistics, ids, groups = clips()
    model = fit(statistics._replace(fine_mean=None), ids, groups)
    assert model.edition.feature_sets == ("M", "A", "P", "T")
    assert any("M at their own 24 bins in place of F1 and F2" in note for note in model.notes)


@pytest.mark.parametrize(
    ("rhythm", "words"),
    [
        (None, "there are no statistics of rhythm"),
        ("short", "training clips are too short for a rhythm"),
        ("flat", "the rhythm does not vary over the training clips"),
    ],
)
def test_without_a_rhythm_of_every_clip_it_does_not_count(rhythm, words):
    statistics, ids, groups = clips()
    if rhythm == "short":
        statistics.rhythm[4] = np.nan
    else:
        statistics = statistics._replace(rhythm=np.zeros_like(statistics.rhythm) if rhythm else None)
    model = fit(statistics, ids, groups)
    assert model.edition.feature_sets == ("F1", "F2", "A", "P")
    assert f"spectral: {words}: the rhythm does not count" in model.notes
    assert np.isfinite(model.scores(statistics)["a_spectral"]).all()


def test_a_clip_too_short_for_a_rhythm_scores_as_one_of_average_rhythm(fitted):
    fresh, _, _ = clips(7)
    known = fitted.scores(fresh)["a_spectral"]
    short = fresh._replace(rhythm=fresh.rhythm.copy())
    short.rhythm[[0, 5]] = np.nan
    scores = fitted.scores(short)["a_spectral"]
    others = np.setdiff1d(np.arange(60), [0, 5])
    np.testing.assert_array_equal(scores[others], known[others])
    arrays, metadata = fitted.state()
    metadata["choice"] = metadata["choice"] | {"set_weights": [1.0, 1.5, 1.0, 1.0, 0.0]}
    without = SpectralModel.from_state(RECIPE, arrays, metadata).scores(fresh)["a_spectral"]
    np.testing.assert_array_equal(scores[[0, 5]], without[[0, 5]])


def test_the_edition_survives_the_file(fitted):
    arrays, metadata = fitted.state()
    again = SpectralModel.from_state(RECIPE, arrays, metadata)
    assert again.edition == fitted.edition
    fresh, _, _ = clips(8)
    np.testing.assert_array_equal(fitted.scores(fresh)["a_spectral"], again.scores(fresh)["a_spectral"])


def test_a_file_of_the_first_edition_counts_all_sets_alike():
    choice = {"own_covariance": False, "ridge": 0.01, "feature_sets": ["M", "A", "P"], "criteria": {}}
    edition = Edition.restored(choice)
    assert edition.set_weights == (1.0, 1.0, 1.0)
    assert edition.rhythm is None


@pytest.mark.parametrize(
    "change",
    [
        {"feature_sets": []},
        {"feature_sets": ["M", "M", "A", "P", "T"]},
        {"feature_sets": ["M", "F5", "A", "P", "T"]},
        {"set_weights": [1.0, 1.0, 1.0, 1.0]},
        {"set_weights": [1.0, 1.0, 1.0, 1.0, -0.5]},
        {"set_weights": [1.0, 1.0, 1.0, 1.0, float("nan")]},
        {"set_weights": [1.0, 1.0, 1.0, 1.0, float("inf")]},
        {"set_weights": [1.0, 1.0, 1.0, 1.0, "1"]},
        {"rhythm": -1.0},
        {"rhythm": float("nan")},
        {"rhythm": "strong"},
    ],
)
def test_a_file_with_another_sum_is_refused(fitted, change):
    arrays, metadata = fitted.state()
    metadata["choice"] = metadata["choice"] | change
    with pytest.raises(DetectorFileError, match="feature sets"):
        SpectralModel.from_state(RECIPE, arrays, metadata)


@pytest.mark.parametrize(
    ("name", "bins", "expected"), [("fine_mean", 48, r"48 \+ 72"), ("rhythm", 64, "128")]
)
def test_further_statistics_of_other_widths_are_refused(fitted, name, bins, expected):
    fresh, _, _ = clips(7)
    with pytest.raises(ArrayError, match=f"given {bins} bins, expected {expected}"):
        fitted.scores(fresh._replace(**{name: np.zeros((60, bins), np.float32)}))


def test_each_spectrum_is_a_set_of_its_own():
    """The first of two is what it is alone: the second changes nothing of it."""
    statistics, ids, groups = clips()
    both = fit(statistics, ids, groups)
    alone = fit(
        statistics._replace(fine_mean=statistics.fine_mean[:, :48]),
        ids,
        groups,
        RECIPE.replace(spectral__spectra=SPECTRA[:1]),
    )
    assert alone.edition.feature_sets == ("F1", "A", "P", "T")
    values = statistics.fine_mean[:, :48].astype(float)
    np.testing.assert_array_equal(
        both._ratios["F1"].log_scores(values), alone._ratios["F1"].log_scores(values)
    )
    with pytest.raises(ArrayError, match="given 120 bins, expected 48, those"):
        alone.scores(statistics)


def test_log_mels_are_refused_where_recordings_were_learned(fitted):
    fresh, _, _ = clips(7)
    with pytest.raises(ArrayError, match="given none, but the model was fitted with it"):
        fitted.scores(fresh._replace(fine_mean=None))
