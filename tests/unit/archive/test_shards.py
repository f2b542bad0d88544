"""Results that several jobs write: shards, and what is made of them."""

import json
import shutil
from functools import partial

import pytest

import offkey
from offkey.archive import Shard, merge, merge_scores
from offkey.errors import DatasetError, ParameterError
from offkey.scores import ScoreTable

NAMES = ["scores.csv", "scores.json", "scores.jsonl", "scores.parquet", "scores"]


class StopError(Exception):
    """Stands for whatever ends a run."""


def stop(*_, **__):
    """End a run."""
    raise StopError


def score(detector, result, recordings, of, numbers=None, **options):
    """Score shards one after the other."""
    return [
        detector.score_to(result, recordings, shard=(number, of), **options)
        for number in numbers or range(1, of + 1)
    ]


def content(result):
    """Return the bytes of a result, or of the files of data in it."""
    files = sorted(result.glob("[!_]*")) if result.is_dir() else [result]
    return {file.name if result.is_dir() else "": file.read_bytes() for file in files}


@pytest.fixture
def whole(detector, recordings, tmp_path):
    """Return the result without shards under a name."""

    def scored(name):
        (tmp_path / "whole").mkdir()
        detector.score_to(tmp_path / "whole" / name, recordings)
        return tmp_path / "whole" / name

    return scored


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("of", [2, 3, 11])
def test_shards_make_the_result_of_a_run_without(detector, recordings, tmp_path, whole, name, of):
    result = tmp_path / name
    shards = score(detector, result, recordings, of)
    assert sum(totals.rows for totals in shards) == 30
    assert result.is_dir() or not result.exists()
    totals = merge_scores(result)
    assert (totals.rows, totals.failed, len(totals.oddest)) == (30, 1, 10)
    assert content(result) == content(whole(name))
    assert not (tmp_path / f"{name}.parts").exists()
    assert ScoreTable.read(result) == detector.score(recordings)


def test_a_merged_folder_is_as_a_run_without_shards_left_it(detector, recordings, tmp_path, whole):
    result = tmp_path / "scores"
    score(detector, result, recordings, 3)
    merge_scores(result)
    names = {path.name for path in whole("scores").iterdir()}
    assert {path.name for path in result.iterdir()} == names
    assert merge_scores(result).rows == 30
    assert detector.score_to(result, recordings).resumed == 30


def test_progress_of_a_shard_counts_its_own_recordings(detector, recordings, tmp_path):
    for number, own in ((1, 12), (2, 10), (3, 8)):  # blocks of 4: 0, 3, 6; 1, 4 and 7 with 2; 2, 5
        states = []
        score(detector, tmp_path / "s", recordings, 3, [number], on_progress=partial(keep, states))
        assert states[-1] == (own, own)


def keep(states, *state):
    """Keep what is told of the progress."""
    states.append(state)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_shard_that_was_stopped_goes_on(detector, recordings, tmp_path, whole, after):
    result = tmp_path / "scores.csv"
    tables = []

    def stop_late(table):
        tables.append(table)
        return table if len(tables) <= after else stop()

    with pytest.raises(StopError):
        score(detector, result, recordings, 2, [2], on_part=stop_late)
    score(detector, result, recordings, 2, [1])
    with pytest.raises(ParameterError, match=r"shard 2/2, which has not come to the end"):
        merge_scores(result)
    (totals,) = score(detector, result, recordings, 2, [2])
    assert totals.resumed == 4 * after
    merge_scores(result)
    assert content(result) == content(whole("scores.csv"))


def test_what_shards_have_written_serves_any_other_number_of_them(detector, recordings, tmp_path, whole):
    result = tmp_path / "scores.csv"
    score(detector, result, recordings, 4, [1, 3])
    assert [totals.resumed for totals in score(detector, result, recordings, 2)] == [16, 0]
    merge_scores(result)
    result.rename(tmp_path / "merged.csv")
    score(detector, result, recordings, 4, [2])
    assert detector.score_to(result, recordings).resumed == 8
    assert content(result) == content(whole("scores.csv")) == content(tmp_path / "merged.csv")


def test_missing_shards_are_named(detector, recordings, tmp_path):
    result = tmp_path / "scores"
    with pytest.raises(ParameterError, match="no such folder"):
        merge_scores(result)
    score(detector, result, recordings, 5, [1, 3])
    with pytest.raises(ParameterError, match=r"4 of 8 parts are missing, those of shards 2/5, 4/5, 5/5"):
        merge_scores(result)
    for path in result.glob("_end*"):
        path.unlink()
    with pytest.raises(ParameterError, match="no shard has come to its end"):
        merge_scores(result)
    assert len(list(result.glob("part-*"))) == 4


def test_shards_of_other_detectors_and_options_are_refused(detector, recordings, tmp_path):
    other = detector.rescored(detector.recipe.replace(scoring__false_alarm_rate=0.2).scoring)
    for name, second, options, words in (
        ("detector.csv", other, {}, "the detector"),
        ("options", detector, {"windows": "each"}, "windows 'worst', now 'each'"),
    ):
        score(detector, tmp_path / name, recordings, 2, [1])
        with pytest.raises(ParameterError, match=f"begun with {words}"):
            score(second, tmp_path / name, recordings, 2, [2], **options)
        score(second, tmp_path / name, recordings, 2, [2], restart=True, **options)
        with pytest.raises(ParameterError, match=r"was begun with .*: shards of one result must agree"):
            merge_scores(tmp_path / name)
        assert not (tmp_path / name).is_file()
        score(second, tmp_path / name, recordings, 2, [1], restart=True, **options)
        assert merge_scores(tmp_path / name).rows == 30


def test_shards_of_other_recordings_are_refused(detector, recordings, tmp_path):
    fewer = shutil.copytree(recordings, tmp_path / "recordings")
    result = tmp_path / "scores.csv"
    score(detector, result, fewer, 2, [1])
    (fewer / "id_01" / "29.wav").unlink()
    score(detector, result, fewer, 2, [2])
    with pytest.raises(ParameterError, match="shard 1/2 saw 30 recordings, and shard 2/2 29"):
        merge_scores(result)
    (fewer / "id_00" / "00.wav").unlink()
    with pytest.raises(ParameterError, match="begun with other recordings: those from number 0 to 3"):
        score(detector, result, fewer, 2, [1])


def test_two_jobs_on_one_shard_and_a_run_of_all_beside_them(detector, recordings, tmp_path):
    result = tmp_path / "scores"

    def others(table):
        with pytest.raises(ParameterError, match=r"process \d+ on .* is writing to it now"):
            score(detector, result, recordings, 2, [1])
        for whole in (lambda: detector.score_to(result, recordings), lambda: merge_scores(result)):
            with pytest.raises(ParameterError, match="a shard of the result is writing to it now"):
                whole()
        return table

    score(detector, result, recordings, 2, [1], on_part=others)

    def shard(table):
        with pytest.raises(ParameterError, match=r"process \d+ on .* is writing to it now"):
            score(detector, result, recordings, 2, [2])
        return table

    detector.score_to(result, recordings, on_part=shard)


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
@pytest.mark.parametrize("step", ["write", "note_merged", "remove", "clear_shards"])
def test_a_merge_that_was_stopped_can_be_repeated(
    detector, recordings, tmp_path, whole, monkeypatch, name, step
):
    result = tmp_path / name
    score(detector, result, recordings, 3)
    with monkeypatch.context() as patch:
        patch.setattr(merge if step == "write" else merge.Parts, step, stop)
        with pytest.raises(StopError):
            merge_scores(result)
    assert merge_scores(result).rows == 30
    assert content(result) == content(whole(name))
    assert not (tmp_path / f"{name}.parts").exists()


def test_damaged_ends_and_parts_are_named(detector, recordings, tmp_path):
    result = tmp_path / "scores.csv"
    score(detector, result, recordings, 2)
    parts = tmp_path / "scores.csv.parts"
    end = parts / "_end-0001-of-0002.json"
    before = end.read_text()
    for text in ("", "{}", "[1]", '{"recordings": 1}'):
        end.write_text(text)
        with pytest.raises(DatasetError, match=r"_end-0001-of-0002\.json: damaged"):
            merge_scores(result)
    end.write_text(before)
    part = parts / "part-00000003.jsonl"
    receipt, *rows = part.read_text().splitlines(keepends=True)
    state = json.loads(receipt)
    state["offkey"]["names"] = "0" * 32
    part.write_text(json.dumps(state) + "\n" + "".join(rows))
    with pytest.raises(ParameterError, match="parts are of other recordings"):
        merge_scores(result)
    assert not result.exists()


def test_what_is_no_shard_is_refused(detector, recordings, tmp_path):
    for shard in ((0, 3), (4, 3), (1, 0), (1.0, 3), (-1, 3)):
        with pytest.raises(ParameterError, match="expected K/N, K from 1 to N"):
            detector.score_to(tmp_path / "scores", recordings, shard=shard)
    for text in ("3", "3/", "a/b", "0/3", "4/3", "1/3/5", "-1/3"):
        with pytest.raises(ParameterError, match="expected K/N, K from 1 to N"):
            Shard.parsed(text)
    assert Shard.parsed(" 3/16 ") == Shard(3, 16)
    assert list(tmp_path.iterdir()) == []


def test_a_source_without_recordings_has_no_shard(detector, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no sound file found"):
        score(detector, tmp_path / "scores", tmp_path / "empty", 3)
    assert offkey.merge_scores is merge_scores
