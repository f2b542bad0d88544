"""What a detector says of a recording: where, when, how it differs, and nothing where nothing stands out."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree
from rank_correlation import rank_correlation

import offkey
from offkey import datasets
from offkey.datasets import synthetic
from offkey.errors import ArrayError, DatasetError, OffkeyWarning, ParameterError
from offkey.explain import Stretch
from offkey.explain.explained import HealthyClips, of_all_bands

GOLDEN = Path(__file__).parents[2] / "golden"
RECIPE = offkey.Recipe.named("spectral").replace(spectral__check=False)
TONE_HZ = 3000.0
LOGMELS = datasets.LogMelArrays(logmels=np.zeros((1, 128, 9), np.float32), machine_ids=("00",))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(
        tmp_path_factory.mktemp("explain") / "dev_data", machines=("fan",), train=20, test=2, seconds=2.0
    )


@pytest.fixture(scope="module")
def detector(tree):
    return offkey.Detector(RECIPE).fit(datasets.dcase2020(tree, machine="fan"))


def healthy(seed=1):
    return recording(np.random.default_rng([7, seed]), hum_hz=90.0, seconds=2.0)


@pytest.fixture(scope="module")
def late_tone():
    """A healthy fan that whistles in its second half."""
    samples = healthy()
    time = np.arange(len(samples)) / RATE
    return samples + np.where(time > 1.0, 0.03 * np.sin(2 * np.pi * TONE_HZ * time), 0).astype(np.float32)


@pytest.fixture(scope="module")
def explanation(detector, late_tone):
    return detector.explain(late_tone, sample_rate=RATE, machine_id="00")


def test_the_band_and_the_time_of_a_fault_are_named(explanation):
    assert explanation.odd
    band = explanation.bands[0]
    assert band.low_hz - 100 < TONE_HZ < band.high_hz + 100
    assert band.share > 0.5
    assert band.high_hz - band.low_hz < 800
    assert band.stretches[0].start_s == pytest.approx(1.0, abs=0.1)
    assert band.stretches[-1].end_s == 2.0
    sentence = explanation.sentences[1]
    assert "kHz" in sentence
    assert "in any of 20 healthy recordings" in sentence
    assert "above all from 1.0 s on" in sentence or "above all from 0.9 s on" in sentence


def test_the_map_is_complete_and_lies_on_the_log_mel(explanation, late_tone):
    assert explanation.map.shape == explanation.picture.logmel.shape == explanation.picture.cells.shape
    np.testing.assert_allclose(
        explanation.picture.logmel, offkey.LogMel()(late_tone[None])[0].astype(np.float64)
    )
    (attribution,) = explanation.attributions.values()
    assert explanation.map.sum() == pytest.approx(attribution.raised)
    assert sum(explanation.spoken.values()) == pytest.approx(1)
    inside = explanation.picture.cells.edges_s[:-1] >= 1.0
    near_tone = np.abs(explanation.picture.cells.centres_hz - TONE_HZ) < 300
    assert (
        np.maximum(explanation.map, 0)[np.ix_(near_tone, inside)].sum() > 0.5 * explanation.map.clip(0).sum()
    )


def test_the_scores_are_those_of_score(detector, late_tone, explanation):
    (row,) = detector.score(late_tone, sample_rate=RATE, machine_id="00").rows()
    names = ("anomaly_score", "threshold", "p_value", "scored_as", "path")
    assert [getattr(explanation, name) for name in names] == [row[name] for name in names]


def test_sentences_are_true_of_the_statistics(detector, explanation):
    """Each measure that is called outside all healthy clips is, and by no less than is said."""
    clips = HealthyClips.of(detector._state.record, "00")
    logmel = offkey.LogMel()
    cells = explanation.picture.cells
    statistics = logmel.statistics(explanation.samples[None])
    for band, sentence in zip(explanation.bands, explanation.sentences[1:], strict=False):
        bins = (cells.edges_hz[:-1] >= band.low_hz) & (cells.edges_hz[1:] <= band.high_hz)
        own, others = statistics.mean[0, bins].mean(), clips.statistics.mean[:, bins].mean(axis=1)
        if " louder than in any" in sentence:
            said = float(sentence.partition(" is ")[2].partition(" dB")[0])
            assert own - others.max() >= said - 1e-4
        if " times as unsteady from moment to moment as in any" in sentence:
            said = float(sentence.partition("is ")[2].partition(" times")[0])
            own, others = (values.ldstd[:, bins].mean(axis=1) for values in (statistics, clips.statistics))
            assert np.exp(own[0] - others.max()) >= said - 1e-4


def test_of_a_healthy_recording_nothing_is_said_to_stand_out(detector):
    table = [detector.explain(healthy(seed), sample_rate=RATE, machine_id="00") for seed in range(6)]
    quiet = [one for one in table if not one.odd]
    assert len(quiet) >= 4
    for one in quiet:
        assert one.bands == ()
        assert len(one.sentences) == 1
        assert one.sentences[0].startswith("Nothing stands out: ")


def test_the_nearest_healthy_recording_of_a_training_recording_is_that_one(detector, tree):
    path = tree / "fan" / "train" / "normal_id_02_00000003.wav"
    nearest = detector.explain(path).nearest
    assert nearest[0].path == path.name
    assert nearest[0].distance == pytest.approx(0, abs=1e-3)
    assert [one.distance for one in nearest] == sorted(one.distance for one in nearest)
    assert all("_id_02_" in one.path for one in nearest)


def test_a_weak_band_is_said_to_be_one_of_many(detector, late_tone, monkeypatch):
    monkeypatch.setattr("offkey.explain.explained.strongest_bands", lambda _: [((10, 11), 0.05)])
    said = detector.explain(late_tone, sample_rate=RATE, machine_id="00").sentences
    assert said[1].startswith("No band stands out: ")
    assert "(5% of what raised the score)" in said[2]


def test_that_a_recording_is_louder_as_a_whole_is_said(detector):
    hiss = 0.03 * np.random.default_rng(1).normal(size=2 * RATE).astype(np.float32)
    said = detector.explain(healthy() + hiss, sample_rate=RATE, machine_id="00").sentences
    assert said[1].startswith("As a whole it is ")
    assert said[1].endswith(" dB louder than any of 20 healthy recordings.")


def test_moments_of_all_bands_together_are_said_where_bands_have_none(explanation):
    added = np.full(explanation.map.shape, 0.01)
    for second in (0.3, 0.7, 1.1, 1.5):
        added[:, int(second * RATE / 512) :][:, :2] = 1.0
    always = Stretch(start_s=0.0, end_s=2.0, share=1.0)
    band = dataclasses.replace(explanation.bands[0], stretches=(always,))
    knocks = dataclasses.replace(explanation, map=added, bands=(band,))
    said = "All bands together raise the score above all in 4 moments, about 2.5 a second."
    assert list(of_all_bands((band,), knocks, 0.0)) == [said]
    in_two = dataclasses.replace(band, stretches=(always, always))
    assert list(of_all_bands((band, in_two), knocks, 0.0)) == []
    assert list(of_all_bands((band,), dataclasses.replace(knocks, map=np.ones(added.shape)), 0.0)) == []


def test_it_goes_through_json_and_a_file(detector, late_tone, explanation, tmp_path):
    state = json.loads(explanation.to_json())
    assert state == json.loads(json.dumps(explanation.state()))
    assert state["sentences"] == list(explanation.sentences)
    assert explanation.to_text().splitlines()[0] == explanation.path
    detector.save(tmp_path / "fan.offkey")
    again = offkey.load(tmp_path / "fan.offkey").explain(late_tone, sample_rate=RATE, machine_id="00")
    assert again.state() == explanation.state()


def test_a_name_cannot_add_lines(explanation):
    named = dataclasses.replace(explanation, path="a\nIt sounds wrong.\x1b[31m.wav")
    assert len(named.to_text().split("\n")) == 1 + len(explanation.sentences)
    assert "\x1b" not in named.to_text()


def test_without_kept_statistics_it_says_so(tree, late_tone):
    bare = offkey.Detector(RECIPE).fit(datasets.dcase2020(tree, machine="fan"), keep_statistics=0)
    explanation = bare.explain(late_tone, sample_rate=RATE, machine_id="00")
    assert explanation.nearest == ()
    assert explanation.compared == 0
    assert explanation.healthy_db is None
    assert "keeps no healthy recordings" in explanation.sentences[-1]
    assert explanation.sentences[1].partition(" kHz ")[2].startswith("raises the score, ")
    assert explanation.map.sum() == pytest.approx(explanation.attributions["spectral"].raised)


def test_detectors_of_earlier_versions_explain():
    detector = offkey.load(GOLDEN / "0.1.0" / "spectral.offkey")
    explanation = detector.explain(GOLDEN / "recordings" / "anomaly_id_00_00000000.flac")
    (row,) = detector.score(GOLDEN / "recordings" / "anomaly_id_00_00000000.flac").rows()
    assert explanation.anomaly_score == row["anomaly_score"]
    assert explanation.map.sum() == pytest.approx(explanation.attributions["spectral"].raised)
    assert explanation.nearest == ()


@pytest.mark.filterwarnings("ignore:false alarms:offkey.errors.OffkeyWarning")
def test_of_a_long_recording_the_worst_window_is_explained(detector, tmp_path):
    samples = np.concatenate([healthy(n) for n in range(22)])
    place = 33 * RATE
    samples[place : place + 3 * RATE] += 0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(3 * RATE) / RATE)
    sf.write(tmp_path / "id_00_long.wav", samples, RATE)
    explanation = detector.explain(tmp_path / "id_00_long.wav")
    (row,) = detector.score(tmp_path / "id_00_long.wav").rows()
    assert explanation.start_s == row["start_s"] == 30.0
    assert len(explanation.samples) == 10 * RATE
    assert explanation.end_s == 40.0
    stretch = explanation.bands[0].stretches[0]
    assert 32.8 < stretch.start_s < 33.2 < 35.8 < stretch.end_s < 36.2


@pytest.mark.filterwarnings("ignore:resampled:offkey.errors.OffkeyWarning")
def test_another_rate_is_resampled_and_an_unknown_id_told(detector, late_tone):
    slower = offkey.resample(late_tone, from_rate=RATE, to_rate=8000)
    with pytest.warns(OffkeyWarning, match="99"):
        explanation = detector.explain(slower, sample_rate=8000, machine_id="99")
    assert explanation.scored_as in detector.machine_ids
    assert explanation.sample_rate == RATE
    assert explanation.odd
    assert explanation.sentences[1] == (
        f"It was recorded otherwise than the training recordings: 8000 Hz, in training {RATE} Hz."
    )


@pytest.mark.parametrize(
    ("samples", "error", "match"),
    [
        (np.zeros(RATE, np.float32), DatasetError, "silent"),
        (np.full(RATE, 0.1, np.float32), DatasetError, "constant"),
        (np.full(RATE, np.nan, np.float32), DatasetError, "NaN"),
        (np.empty(0, np.float32), DatasetError, "no samples"),
        (["a", "b"], FileNotFoundError, "a"),
        ([np.ones(RATE, np.float32)] * 2, ParameterError, "several recordings"),
        (LOGMELS, ArrayError, "finer|no samples"),
    ],
)
def test_what_cannot_be_explained(detector, samples, error, match):
    options = {} if samples is LOGMELS else {"sample_rate": RATE}
    with pytest.raises(error, match=match):
        detector.explain(samples, **options)


def test_files_that_cannot_be_explained(detector, tmp_path):
    with pytest.raises(FileNotFoundError):
        detector.explain(tmp_path / "missing.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DatasetError, match=r"text\.wav"):
        detector.explain(tmp_path / "text.wav")
    with pytest.raises(ParameterError, match="not fitted"):
        offkey.Detector().explain(healthy(), sample_rate=RATE)


def test_a_recording_too_short_for_a_rhythm_is_explained_without_one(detector, late_tone):
    explanation = detector.explain(late_tone[-RATE // 4 :], sample_rate=RATE, machine_id="00")
    assert "T" not in {part.name for part in explanation.attributions["spectral"].parts}
    assert np.isfinite(explanation.map).all()


def test_explanations_are_the_same_every_time(detector, late_tone):
    """The same recording has the same explanation, for any number of threads."""
    states = [
        detector.explain(late_tone, sample_rate=RATE, machine_id="00", num_threads=threads).state()
        for threads in (1, 2)
    ]
    assert states[0] == states[1]


def test_a_model_with_shuffled_weights_has_other_maps(tmp_path):
    """Maps show what was learned, not what is loud: with the rows of factors in another order they lie elsewhere."""
    synthetic.write(
        tmp_path / "tree",
        machines=("slider",),
        ids=("00",),
        clips_train=160,
        clips_test_normal=1,
        clips_test_anomaly=6,
        seconds=4.0,
        seed=3,
    )
    model, other = (
        offkey.Detector(RECIPE).fit(synthetic.load(tmp_path / "tree", machine="slider")) for _ in "ab"
    )
    rng = np.random.default_rng(0)
    ratios = other._state.models["spectral"]._ratios
    for name, ratio in ratios.items():
        order = rng.permutation(ratio.factors.shape[1])
        ratios[name] = dataclasses.replace(ratio, factors=ratio.factors[:, order])
    paths = sorted((tmp_path / "tree").rglob("anomaly_*.wav"))
    maps = [[detector.explain(path).map for detector in (model, other)] for path in paths]
    assert np.median([rank_correlation(*pair) for pair in maps]) < 0.3
