"""Archives that grow: what is new is scored, and appended."""

import os
import shutil

import numpy as np
import pytest

from offkey.archive import run
from offkey.archive.known import KnownNames
from offkey.datasets.recordings import Item
from offkey.errors import DatasetError, ParameterError
from offkey.scores import ScoreTable

NAMES = ["scores.csv", "scores.parquet", "scores"]


class StopError(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture
def folder(recordings, tmp_path):
    """Return a copy of the recordings that may be changed."""
    return shutil.copytree(recordings, tmp_path / "recordings")


def grow(folder):
    """Add recordings before, between and behind, one of them not named in UTF-8; return them in their order."""
    names = [
        "id_00/000.wav",
        "id_00/09.wav",
        os.fsdecode(b"id_01/5\xff.wav"),
        "id_01/99.wav",
        "id_01/999.wav",
    ]
    for name in names:
        shutil.copy(folder / "id_01" / "01.wav", folder / name)
    return [folder / name for name in names]


def paths(result):
    """Return the paths of a result."""
    return list(ScoreTable.read(result).path)


@pytest.mark.parametrize("name", NAMES)
def test_new_recordings_are_scored_and_appended(detector, folder, tmp_path, name):
    result = tmp_path / name
    assert detector.score_to(result, folder, new_only=True).resumed == 0
    before = ScoreTable.read(result)
    assert before == detector.score(folder)
    new = grow(folder)
    totals = detector.score_to(result, folder, new_only=True)
    assert (totals.resumed, totals.rows, totals.survey.recordings) == (30, 35, 5)
    assert paths(result) == [*before.path, *new]
    rows = {row["path"]: row for row in detector.score(folder).rows()}
    assert all(row == rows[row["path"]] for row in ScoreTable.read(result).rows())
    content = result.read_bytes() if result.is_file() else None
    assert detector.score_to(result, folder, new_only=True).resumed == 35
    assert content is None or result.read_bytes() == content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("after", [0, 1])
def test_a_run_over_new_recordings_that_was_stopped_goes_on(detector, folder, tmp_path, name, after):
    whole, broken = tmp_path / "whole" / name, tmp_path / "broken" / name
    for result in (whole, broken):
        result.parent.mkdir()
        detector.score_to(result, folder, new_only=True)
    grow(folder)
    tables = []

    def stop_late(table):
        tables.append(table)
        if len(tables) > after:
            raise StopError
        return table

    with pytest.raises(StopError):
        detector.score_to(broken, folder, new_only=True, on_part=stop_late)
    detector.score_to(whole, folder, new_only=True)
    assert detector.score_to(broken, folder, new_only=True).resumed == 30 + 4 * after
    assert ScoreTable.read(broken) == ScoreTable.read(whole)


def test_recordings_that_are_gone_keep_their_rows_and_a_lost_part_is_scored_again(detector, folder, tmp_path):
    result = tmp_path / "scores"
    detector.score_to(result, folder)
    before = paths(result)
    for path in before[:7]:
        path.unlink()
    new = grow(folder)
    detector.score_to(result, folder, new_only=True)
    assert paths(result) == [*before, *new]
    (result / "part-00000004.parquet").unlink()
    assert detector.score_to(result, folder, new_only=True).resumed == 31
    assert sorted(paths(result)) == sorted([*before, *new])


def test_a_name_that_comes_twice_is_scored_once(detector, folder, tmp_path):
    sources = [folder, folder / "id_00", folder / "id_01" / "01.wav"]
    detector.score_to(tmp_path / "scores", sources, new_only=True)
    assert paths(tmp_path / "scores") == list(detector.score(folder).path)


def test_new_only_after_a_run_that_was_stopped_and_after_shards(detector, folder, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(run, "complete", stop)
        with pytest.raises(StopError):
            detector.score_to(tmp_path / "scores.csv", folder)
    grow(folder)
    with pytest.raises(ParameterError, match=r"other recordings: those from number 0 to 3.*new_only=True"):
        detector.score_to(tmp_path / "scores.csv", folder)
    assert detector.score_to(tmp_path / "scores.csv", folder, new_only=True).rows == 35


def test_a_finished_file_without_its_parts_has_nothing_to_go_on_from(detector, folder, tmp_path):
    result = tmp_path / "scores.csv"
    detector.score_to(result, folder)
    before = result.read_bytes()
    with pytest.raises(ParameterError, match=r"the parts are gone .* a run with new_only=True keeps them"):
        detector.score_to(result, folder, new_only=True)
    assert result.read_bytes() == before
    assert [path.name for path in tmp_path.glob("scores*")] == ["scores.csv"]
    assert detector.score_to(result, folder, new_only=True, restart=True).resumed == 0
    assert detector.score_to(result, folder, new_only=True).resumed == 30
    assert detector.score_to(result, folder).resumed == 30
    assert [path.name for path in tmp_path.glob("scores*")] == ["scores.csv"]


def test_what_cannot_be_new(detector, folder, tmp_path):
    with pytest.raises(ParameterError, match="leave out shard or new_only"):
        detector.score_to(tmp_path / "scores", folder, shard=(1, 2), new_only=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no sound file found"):
        detector.score_to(tmp_path / "scores", tmp_path / "empty", new_only=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "recordings"]


def test_known_names_are_known_however_many(monkeypatch):
    monkeypatch.setattr("offkey.archive.known._RECENT", 7)
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 400, 1000).tolist()
    items = [Item(content=b"", name=f"a/{number}.wav") for number in numbers]
    known = KnownNames(f"a/{number}.wav" for number in range(0, 400, 3))
    expected = [number for number in dict.fromkeys(numbers) if number % 3]
    assert [item.name for item in known.new(items)] == [f"a/{number}.wav" for number in expected]
    assert not list(known.new(items))
