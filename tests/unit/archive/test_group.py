"""Several detectors at once: each result is what its detector gives alone."""

import pytest

import offkey
from offkey.datasets.source import Source
from offkey.errors import ParameterError
from offkey.models.spectral import Spectral


class StopError(Exception):
    """Stands for whatever ends a run."""


def stopping(after):
    """What ends a run while it writes one of its parts."""
    parts = []

    def on_part(table):
        parts.append(table)
        if len(parts) > after:
            raise StopError
        return table

    return on_part


def fitted(data, **changes):
    return offkey.Detector(offkey.Recipe.named("spectral").replace(**changes)).fit(data)


@pytest.fixture(scope="module")
def others(healthy):
    """What hears the same, with and without a finer spectrogram; and what does not."""
    return {
        "first": fitted(healthy, spectral=Spectral.first_edition()),
        "coarse": fitted(healthy, features__n_mels=64),
    }


@pytest.fixture
def passes(monkeypatch):
    """How many sources were made."""
    made = []
    init = Source.__init__

    def count(self, *arguments, **options):
        made.append(self)
        init(self, *arguments, **options)

    monkeypatch.setattr(Source, "__init__", count)
    return made


def test_each_result_is_that_of_its_detector_alone(detector, others, recordings, tmp_path, passes):
    detectors = {"new": detector} | others
    alone = {name: tmp_path / f"{name}-alone.csv" for name in detectors}
    for name, path in alone.items():
        detectors[name].score_to(path, recordings)
    passes.clear()
    together = {tmp_path / f"{name}.csv": each for name, each in detectors.items()}
    totals = offkey.score_to(together, str(recordings), num_threads=1)
    assert len(passes) == 2  # of what hears the same, and of what does not
    assert list(totals) == list(together)
    for name, path in zip(detectors, together, strict=True):
        assert path.read_bytes() == alone[name].read_bytes()
        assert (totals[path].rows, totals[path].failed) == (30, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in [*alone.values(), *together]
    )


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_run_that_was_stopped_goes_on(detector, others, recordings, tmp_path, after):
    together = {tmp_path / "new.csv": detector, tmp_path / "first.csv": others["first"]}
    with pytest.raises(StopError):
        offkey.score_to(together, recordings, on_part=stopping(after))
    totals = offkey.score_to(together, recordings)
    assert {of_result.resumed for of_result in totals.values()} == {after // 2 * 4}
    for path, each in together.items():
        each.score_to(tmp_path / "alone.csv", recordings)
        assert path.read_bytes() == (tmp_path / "alone.csv").read_bytes()


def test_what_one_has_from_a_run_of_its_own_is_scored_again_for_the_other(
    detector, others, recordings, tmp_path
):
    together = {tmp_path / "new.csv": detector, tmp_path / "first.csv": others["first"]}
    with pytest.raises(StopError):
        detector.score_to(tmp_path / "new.csv", recordings, on_part=stopping(3))
    totals = offkey.score_to(together, recordings)
    assert [of_result.resumed for of_result in totals.values()] == [0, 0]
    assert [of_result.rows for of_result in totals.values()] == [30, 30]


def test_a_clip_that_one_detector_refuses_is_scored_by_the_other(
    healthy, detector, recordings, tmp_path, monkeypatch
):
    from offkey.errors import ArrayError
    from offkey.fitted import Fitted

    scores, refusing = Fitted.scores, detector._fitted()

    def refuse(self, chunk, num_threads):
        if self is refusing and len(chunk) > 1:
            raise ArrayError("too many")
        if self is refusing and chunk.items[0].name.endswith("03.wav"):
            raise ArrayError("not this one")
        return scores(self, chunk, num_threads)

    monkeypatch.setattr(Fitted, "scores", refuse)
    other = fitted(healthy, scoring__false_alarm_rate=0.2)
    together = {tmp_path / "refuses.csv": detector, tmp_path / "takes.csv": other}
    totals = offkey.score_to(together, recordings)
    assert [of_result.failed for of_result in totals.values()] == [2, 1]


def test_two_passes_need_recordings_that_can_be_read_twice(detector, others, recordings, tmp_path):
    together = {tmp_path / "new.csv": detector, tmp_path / "coarse.csv": others["coarse"]}
    with pytest.raises(ParameterError, match="can be read only once"):
        offkey.score_to(together, iter(sorted(recordings.rglob("*.wav"))))
    assert not list(tmp_path.iterdir())


def test_no_detector_and_one_result_for_two_are_refused(detector, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="given results none"):
        offkey.score_to({}, recordings)
    with pytest.raises(ParameterError, match="each another"):
        offkey.score_to({"a.csv": detector, tmp_path / "a.csv": detector}, recordings)


def test_shards_of_several_results_are_merged_one_by_one(detector, others, recordings, tmp_path):
    together = {tmp_path / "new.csv": detector, tmp_path / "first.csv": others["first"]}
    for number in (1, 2):
        offkey.score_to(together, recordings, shard=(number, 2))
    for path, each in together.items():
        offkey.merge_scores(path)
        each.score_to(tmp_path / "alone.csv", recordings)
        assert path.read_bytes() == (tmp_path / "alone.csv").read_bytes()
