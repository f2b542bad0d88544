"""Training sets that nobody would wish for: each gives a model and a note, or an error that says what to do."""

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording
from spectral_clips import machine_clips, normal_statistics, take
from tiny_recipe import SPECTRAL

import offkey
from offkey.errors import ArrayError, DatasetError
from offkey.models.spectral.model import SpectralModel
from offkey.recipe import Recipe
from offkey.signal.logmel import LogMel
from offkey.signal.statistics import ClipStatistics

RECIPE = Recipe.named("spectral").replace(spectral__check_draws=2)


def fit(statistics, ids, groups, recipe=RECIPE):
    return SpectralModel.of_statistics(statistics, ids, groups, recipe=recipe, seed=0)


def finite(model, n_mels=24):
    clips = normal_statistics(np.random.default_rng(0), 3, n_mels=n_mels)
    return np.isfinite(model.scores(clips)["a_spectral"]).all()


@pytest.mark.parametrize("counts", [[0], [1], [3], [4], [1, 1, 1], [2, 1, 1]])
def test_too_few_clips_are_refused_with_the_number_needed(counts):
    statistics, ids, groups = machine_clips(0, counts)
    with pytest.raises(DatasetError, match=r"expected (at least \d+|some dozens)"):
        fit(statistics, ids, groups)


@pytest.mark.parametrize("counts", [[5], [6, 1], [4, 3], [2, 2, 2, 2, 2], [30, 1, 1, 1], [9, 9, 9]])
def test_few_clips_give_a_model(counts):
    statistics, ids, groups = machine_clips(0, counts, clips_in_group=1)
    model = fit(statistics, ids, groups)
    assert finite(model)
    assert np.isfinite(model.held_out.scores["a_spectral"]).all()
    assert set(model.held_out.machine_ids) <= set(ids)


def test_one_recording_only():
    statistics, ids, _ = machine_clips(0, [12, 12])
    model = fit(statistics, ids, ["the only one"] * 24)
    assert finite(model)
    assert any("00, 01: all clips come from one recording" in note for note in model.notes)


def test_copies_of_one_clip():
    statistics, ids, groups = machine_clips(0, [10])
    with pytest.raises(DatasetError, match="silent, or copies of one clip"):
        fit(take(statistics, np.zeros(10, dtype=int)), ids, groups)
    statistics, ids, groups = machine_clips(0, [10, 10])
    with pytest.raises(DatasetError, match="differ between machine IDs only"):
        fit(take(statistics, np.repeat([0, 10], 10)), ids, groups)


def test_silence_only():
    silent = LogMel(n_mels=32).statistics(np.zeros((10, 16_000), dtype=np.float32))
    with pytest.raises(DatasetError, match=r"no Mel bin varies .* are they all silent"):
        fit(silent, ["00"] * 10, [str(k) for k in range(10)])


def test_a_silent_clip_among_sounding_ones():
    clips = np.random.default_rng(0).standard_normal((20, 16_000)).astype(np.float32) * 0.1
    clips[7] = 0
    statistics = LogMel(n_mels=32).statistics(clips)
    model = fit(statistics, ["00"] * 20, [str(k) for k in range(20)])
    assert finite(model, n_mels=32)
    assert np.argmax(model.held_out.scores["a_spectral"]) == 7


def test_a_band_that_was_not_recorded_is_named():
    statistics, ids, groups = machine_clips(0, [20])
    statistics.mean[:, :3] = statistics.p5[:, :3] = -100
    statistics.lstd[:, :3] = statistics.ldstd[:, :3] = np.log(1e-3)
    model = fit(statistics, ids, groups)
    for name in ("mean", "p5", "ldstd"):
        assert any(f"Mel bins 0-2 of `{name}`" in note for note in model.notes)
    assert finite(model)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_in_training_and_scoring(bad):
    statistics, ids, groups = machine_clips(0, [20])
    model = fit(statistics, ids, groups)
    statistics.p5[3, 9] = bad
    with pytest.raises(ArrayError, match=r"p5: clip 3, Mel bin 9"):
        fit(statistics, ids, groups)
    with pytest.raises(ArrayError, match=r"p5: clip 3, Mel bin 9"):
        model.scores(statistics)


def test_one_mel_bin():
    statistics, ids, groups = machine_clips(0, [20], n_mels=1)
    assert finite(fit(statistics, ids, groups), n_mels=1)


def test_an_outlier_in_training_is_seen_as_one():
    statistics, ids, groups = machine_clips(0, [40])
    statistics.mean[11] += np.linspace(0, 30, 24, dtype=np.float32)
    model = fit(statistics, ids, groups)
    assert np.argmax(model.held_out.scores["a_spectral"]) == 11


def test_values_near_the_end_of_float32():
    statistics, ids, groups = machine_clips(0, [20])
    huge = ClipStatistics(*(np.full((2, 24), 3e38, dtype=np.float32) for _ in range(4)))
    scores = fit(statistics, ids, groups).scores(huge)["a_spectral"]
    assert np.isfinite(scores).all()
    assert (scores > 100).all()


@pytest.mark.parametrize("ids", [["a\n"] * 20, ["é"] * 20, ["02", "10", "9", "00"] * 5])
def test_ids_are_any_strings(ids):
    statistics, _, groups = machine_clips(0, [20])
    model = fit(statistics, ids, groups)
    assert model.machine_ids == tuple(sorted(set(ids)))


def sounds(seconds, count=24):
    """Healthy clips of two machines; each clip of its own recording."""
    rng = np.random.default_rng(0)
    clips = [recording(rng, hum_hz=90.0 + 30 * (k % 2), seconds=seconds) for k in range(count)]
    return clips, [f"0{k % 2}" for k in range(count)]


def fitted_to_sounds(tmp_path, seconds, *, recipe=SPECTRAL, count=24):
    clips, ids = sounds(seconds, count)
    for k, (clip, name) in enumerate(zip(clips, ids, strict=True)):
        folder = tmp_path / f"fan{seconds:g}" / "train"
        folder.mkdir(parents=True, exist_ok=True)
        sf.write(folder / f"normal_id_{name}_{k:08d}.wav", clip, RATE)
    data = offkey.datasets.dcase2020(tmp_path, machine=f"fan{seconds:g}")
    return offkey.Detector(recipe).fit(data)


@pytest.mark.parametrize("seconds", [0.05, 0.9])
def test_training_clips_too_short_for_a_rhythm(tmp_path, seconds):
    detector = fitted_to_sounds(tmp_path, seconds)
    assert "spectral: training clips are too short for a rhythm: the rhythm does not count" in detector.notes
    detector.save(tmp_path / "short.offkey")
    table = offkey.load(tmp_path / "short.offkey").score([sounds(s)[0][0] for s in (0.05, 0.9, 3.0)],
                                                         sample_rate=RATE, machine_id="00")  # fmt: skip
    assert np.isfinite(table.anomaly_score).all()
    assert "T" not in detector.describe()["provenance"]["spectral"]["feature_sets"]


def test_recordings_of_any_length_have_a_score(tmp_path):
    detector = fitted_to_sounds(tmp_path, 2.0)
    assert "T" in detector.describe()["provenance"]["spectral"]["feature_sets"]
    lengths = [2, 700, 15_000, 16_000, 16_500, 50_000]
    rng = np.random.default_rng(1)
    clips = [0.02 * rng.standard_normal(n).astype(np.float32) for n in lengths]
    table = detector.score(clips, sample_rate=RATE, machine_id="00")
    assert np.isfinite(table.anomaly_score).all()
    # One alone has the score that it has beside others.
    for row in (1, 4):
        alone = detector.score(clips[row], sample_rate=RATE, machine_id="00")
        assert alone.anomaly_score[0] == pytest.approx(table.anomaly_score[row], rel=1e-9)


def test_clips_too_short_for_the_rhythm_that_was_learned_are_not_learned(tmp_path):
    detector = fitted_to_sounds(tmp_path, 2.0)
    sf.write(tmp_path / "normal_id_00_x.wav", sounds(0.5)[0][0], RATE)
    with pytest.raises(DatasetError, match="too short for a rhythm"):
        detector.update(tmp_path / "normal_id_00_x.wav", force=True)


def test_a_clip_shorter_than_the_finer_window_is_an_error_of_its_row(tmp_path):
    recipe = SPECTRAL.replace(features__pad_mode="none")
    detector = fitted_to_sounds(tmp_path, 2.0, recipe=recipe)
    clips = [sounds(2.0)[0][0], np.zeros(1500, np.float32) + 0.1, sounds(2.0)[0][1]]
    table = detector.score(clips, sample_rate=RATE, machine_id="00")
    assert [error is None for error in table.error] == [True, False, True]
    assert "4096" in table.error[1]


def test_with_less_than_a_frame_a_second_there_is_no_rhythm(tmp_path):
    recipe = SPECTRAL.replace(features__hop_length=20_000)
    detector = fitted_to_sounds(tmp_path, 8.0, recipe=recipe, count=12)
    assert "spectral: there are no statistics of rhythm: the rhythm does not count" in detector.notes
