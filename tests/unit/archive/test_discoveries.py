"""Archives whose recordings are decided on together: as a table in memory decides, however often a run is stopped."""

import warnings

import numpy as np
import pytest
import soundfile as sf

import offkey
from offkey.errors import OffkeyWarning, ParameterError
from offkey.scores import ScoreTable

RATE = 16_000


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


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Recordings of which some are loud at times, and long, and one is no sound."""
    folder = tmp_path_factory.mktemp("plant")
    rng = np.random.default_rng(3)
    for number in range(26):
        path = folder / f"id_0{number % 3}" / f"{number:02}.wav"  # of id_02 the detector knows nothing
        path.parent.mkdir(exist_ok=True)
        samples = 0.1 * rng.standard_normal(RATE * (50 if number % 7 == 0 else 1))
        if number % 4 == 0:
            samples[: RATE // 2] *= np.sin(np.arange(RATE // 2))
        sf.write(path, samples, RATE)
    (folder / "id_00" / "06.wav").write_bytes(b"a diary")
    return folder


def noted(call, *arguments, **options):
    """Return what a call returns, and its notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*arguments, **options)
    assert all(warning.category is OffkeyWarning for warning in caught)
    return result, sorted(str(warning.message) for warning in caught)


@pytest.mark.parametrize("windows", ["worst", "each"])
@pytest.mark.parametrize("rate", [0.5, 0.01])
@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_the_result_is_that_of_a_table_in_memory(detector, archive, tmp_path, windows, rate, name):
    options = {"false_discovery_rate": rate, "windows": windows}
    expected, notes = noted(detector.score, archive, **options)
    with pytest.raises(StopError):
        noted(detector.score_to, tmp_path / name, archive, on_part=stopping(3), **options)
    totals, again = noted(detector.score_to, tmp_path / name, archive, **options)
    assert ScoreTable.read(tmp_path / name) == expected
    assert totals.discoveries.summary() == expected.discoveries.summary()
    assert totals.anomalous == np.count_nonzero(expected.decision == 1)
    found = [note for note in notes if note.startswith("false discovery")]
    assert [note for note in again if note.startswith("false discovery")] == found
    assert bool(found) == (rate == 0.01 and windows == "each")  # worst windows are judged by the tail already


def test_decisions_that_are_not_all_written_are_written_again(detector, archive, tmp_path, monkeypatch):
    from offkey.archive.parts import Parts

    noted(detector.score_to, tmp_path / "whole", archive, false_discovery_rate=0.01)
    rewrite, written = Parts.rewrite, []

    def stopped(self, number, rows):
        written.append(number)
        if len(written) == 3:
            raise StopError
        rewrite(self, number, rows)

    monkeypatch.setattr(Parts, "rewrite", stopped)
    with pytest.raises(StopError):
        noted(detector.score_to, tmp_path / "scores", archive, false_discovery_rate=0.01)
    monkeypatch.undo()
    monkeypatch.setattr("offkey.archive.run.PART_RECORDINGS", 4)
    noted(detector.score_to, tmp_path / "scores", archive, false_discovery_rate=0.01)
    of_both = [sorted(path.iterdir()) for path in (tmp_path / "whole", tmp_path / "scores")]
    for whole, again in zip(*of_both, strict=True):
        assert (whole.name, whole.read_bytes()) == (again.name, again.read_bytes())


def test_the_oddest_and_new_recordings_are_decided_on_with_all(detector, archive, tmp_path):
    options = {"false_discovery_rate": 0.3}
    expected, _ = noted(detector.score, archive, **options)
    noted(detector.score_to, tmp_path / "top.csv", archive, top=4, **options)
    assert ScoreTable.read(tmp_path / "top.csv") == expected.most_anomalous(4)
    noted(detector.score_to, tmp_path / "new.csv", f"{archive}/id_0*/0*.wav", new_only=True, **options)
    noted(detector.score_to, tmp_path / "new.csv", archive, new_only=True, **options)
    by_path = [
        sorted(table.rows(), key=lambda row: row["path"])
        for table in (ScoreTable.read(tmp_path / "new.csv"), expected)
    ]
    assert by_path[0] == by_path[1]


def test_several_detectors_decide_each_on_its_own_rows(detector, healthy, archive, tmp_path):
    other = offkey.Detector(offkey.Recipe.named("spectral").replace(scoring__false_alarm_rate=0.2)).fit(
        healthy
    )
    together = {tmp_path / "a.csv": detector, tmp_path / "b.csv": other}
    noted(offkey.score_to, together, archive, false_discovery_rate=0.3)
    for path, each in together.items():
        assert ScoreTable.read(path) == noted(each.score, archive, false_discovery_rate=0.3)[0]


def test_what_cannot_be_decided_on_is_refused(detector, archive, tmp_path):
    with pytest.raises(ParameterError, match="known once all recordings are scored: leave out shard"):
        detector.score_to(tmp_path / "s", archive, shard=(1, 2), false_discovery_rate=0.1)
    with pytest.raises(StopError):
        noted(detector.score_to, tmp_path / "s", archive, on_part=stopping(1), false_discovery_rate=0.1)
    for options, words in (
        ({}, "false_discovery_rate 0.1, now None"),
        ({"false_discovery_rate": 0.2}, "false_discovery_rate 0.1, now 0.2"),
    ):
        with pytest.raises(ParameterError, match=f"was begun with {words}"):
            detector.score_to(tmp_path / "s", archive, **options)
    with pytest.raises(ParameterError, match="decided on together, for which the detector is needed"):
        offkey.merge_scores(tmp_path / "s")
    with pytest.raises(ParameterError, match="on_part must leave all rows"):
        noted(
            detector.score_to,
            tmp_path / "t",
            archive,
            on_part=lambda table: ScoreTable.from_rows(list(table.rows())[1:]),
            false_discovery_rate=0.1,
        )
