"""Recordings of an archive without a score: recorded, skipped, or the end."""

import shutil

import pytest

from offkey.archive import merge_scores
from offkey.errors import DatasetError, ParameterError
from offkey.scores import ScoreTable

BAD = "id_00/08.wav"
"""The recording that is none, the fifth: in the second part."""


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet", "scores"])
def test_skipped_recordings_have_no_row_and_are_counted(detector, recordings, tmp_path, name):
    result = tmp_path / name
    totals = detector.score_to(result, recordings, on_error="skip")
    assert (totals.rows, totals.failed, totals.skipped) == (29, 0, 1)
    assert BAD in totals.errors[0]
    table = detector.score(recordings, on_error="skip")
    assert ScoreTable.read(result) == table
    assert [path.name for path in table.path] == [
        path.name for path in detector.score(recordings).path if not str(path).endswith(BAD)
    ]
    ((skipped, why),) = table.skipped
    assert skipped.endswith(BAD)
    assert BAD in why
    if result.is_dir():
        assert detector.score_to(result, recordings, on_error="skip").skipped == 1
        assert detector.score_to(result, recordings, on_error="skip", new_only=True).resumed == 30


@pytest.mark.parametrize("name", ["scores.csv", "scores"])
@pytest.mark.parametrize("then", ["record", "skip"])
def test_a_run_ends_at_the_first_and_goes_on_in_any_way(detector, recordings, tmp_path, name, then):
    whole, result = tmp_path / f"whole_{name}", tmp_path / name
    with pytest.raises(DatasetError, match=rf"{BAD}.*on_error = 'fail' ends the scoring here"):
        detector.score_to(result, recordings, on_error="fail")
    assert len(list(tmp_path.rglob("part-*"))) == 1
    totals = detector.score_to(result, recordings, on_error=then)
    assert totals.resumed == 4
    detector.score_to(whole, recordings, on_error=then)
    assert ScoreTable.read(result) == ScoreTable.read(whole)


def test_a_run_that_failed_goes_on_once_the_recording_is_mended(detector, recordings, tmp_path):
    folder = shutil.copytree(recordings, tmp_path / "recordings")
    with pytest.raises(DatasetError, match=BAD):
        detector.score_to(tmp_path / "scores", folder, on_error="fail")
    shutil.copy(folder / "id_00" / "00.wav", folder / BAD)
    totals = detector.score_to(tmp_path / "scores", folder, on_error="fail")
    assert (totals.resumed, totals.rows, totals.failed) == (4, 30, 0)


@pytest.mark.parametrize(
    ("first", "then"), [("record", "skip"), ("record", "fail"), ("skip", "record"), ("skip", "fail")]
)
def test_what_was_done_with_errors_is_not_changed_within_a_result(
    detector, recordings, tmp_path, first, then
):
    result = tmp_path / "scores"
    detector.score_to(result, recordings, on_error=first)
    with pytest.raises(ParameterError, match=f"part-00000001.*begun with on_error '{first}', now '{then}'"):
        detector.score_to(result, recordings, on_error=then)


def test_shards_that_deal_with_errors_otherwise_are_not_merged(detector, recordings, tmp_path):
    folder = shutil.copytree(recordings, tmp_path / "recordings")
    (folder / "id_00" / "02.wav").write_bytes(b"")
    for number, on_error in ((1, "skip"), (2, "record")):
        detector.score_to(tmp_path / "scores", folder, shard=(number, 2), on_error=on_error)
    with pytest.raises(ParameterError, match="must agree in on_error"):
        merge_scores(tmp_path / "scores")
    detector.score_to(tmp_path / "scores", folder, shard=(2, 2), on_error="skip", restart=True)
    totals = merge_scores(tmp_path / "scores")
    assert (totals.rows, totals.skipped) == (28, 2)


def test_nothing_but_skipped_recordings(detector, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    for name in ("scores.csv", "scores.parquet", "scores"):
        totals = detector.score_to(tmp_path / name, tmp_path / "a.wav", on_error="skip")
        assert (totals.rows, totals.skipped) == (0, 1)
        assert len(ScoreTable.read(tmp_path / name)) == 0
    assert len(detector.score(tmp_path / "a.wav", on_error="skip")) == 0


def test_what_is_no_way_to_deal_with_errors_is_refused(detector, recordings, tmp_path):
    for score in (
        detector.score,
        lambda *args, **options: detector.score_to(tmp_path / "s", *args, **options),
    ):
        with pytest.raises(ParameterError, match="on_error = 'ignore': expected 'record', 'skip' or 'fail'"):
            score(recordings, on_error="ignore")
    with pytest.raises(DatasetError, match="on_error = 'fail' ends the scoring here"):
        detector.score(recordings, on_error="fail")
