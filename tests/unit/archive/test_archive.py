"""Scores of archives: parts, going on after a stop, the result."""

import json
import os
import shutil

import pyarrow.dataset
import pyarrow.parquet
import pytest

import offkey
from offkey.archive import blocks, run
from offkey.errors import DatasetError, ParameterError
from offkey.scores import ScoreTable


class StopError(Exception):
    """Stands for whatever ends a run."""


def stopped(detector, result, recordings, *, after, **options):
    """Begin a run that ends while it writes one of its parts."""
    parts = []

    def count(table):
        parts.append(table)
        if len(parts) > after:
            raise StopError
        return table

    with pytest.raises(StopError):
        detector.score_to(result, recordings, on_part=count, **options)


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".parquet"])
def test_a_file_is_what_the_table_of_all_would_have_written(detector, recordings, tmp_path, ending):
    result = tmp_path / f"scores{ending}"
    totals = detector.score_to(result, recordings)
    table = detector.score(recordings)
    table.write(tmp_path / f"table{ending}")
    assert ScoreTable.read(result) == table
    if ending != ".parquet":
        assert result.read_bytes() == (tmp_path / f"table{ending}").read_bytes()
    assert (totals.rows, totals.failed, totals.resumed) == (30, 1, 0)
    assert "08.wav" in totals.errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"scores{ending}", f"table{ending}"])


def test_a_folder_is_a_table_that_other_programs_read(detector, recordings, tmp_path):
    detector.score_to(tmp_path / "scores", recordings)
    assert len(list((tmp_path / "scores").glob("part-*.parquet"))) == 8
    assert ScoreTable.read(tmp_path / "scores") == detector.score(recordings)
    assert pyarrow.dataset.dataset(tmp_path / "scores").count_rows() == 30


@pytest.mark.parametrize("after", [0, 1, 5, 7])
@pytest.mark.parametrize("name", ["scores.csv", "scores.jsonl", "scores"])
def test_a_run_that_was_stopped_goes_on_to_the_same_result(detector, recordings, tmp_path, name, after):
    whole, broken = tmp_path / "whole" / name, tmp_path / "broken" / name
    whole.parent.mkdir()
    broken.parent.mkdir()
    detector.score_to(whole, recordings)
    stopped(detector, broken, recordings, after=after)
    assert not broken.is_file()
    progress = []
    totals = detector.score_to(broken, recordings, on_progress=lambda *state: progress.append(state))
    assert totals.resumed == 4 * after
    assert totals.rows == 30
    assert progress[0] == (4 * after + 2, 30)
    assert progress[-1] == (30, 30)
    if whole.is_file():
        assert broken.read_bytes() == whole.read_bytes()
    else:
        names = sorted(path.name for path in whole.iterdir())
        assert names == sorted(path.name for path in broken.iterdir())
        assert all((whole / part).read_bytes() == (broken / part).read_bytes() for part in names)


def test_a_run_that_was_stopped_before_its_end_is_made_whole_without_scoring(
    detector, recordings, tmp_path, monkeypatch
):
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    detector.score_to(whole, recordings)
    with monkeypatch.context() as patch:
        patch.setattr(run, "complete", stop)
        with pytest.raises(StopError):
            detector.score_to(broken, recordings)
    monkeypatch.setattr(blocks.BlockScorer, "score", stop)
    assert detector.score_to(broken, recordings).resumed == 30
    assert broken.read_bytes() == whole.read_bytes()


def stop(*_, **__):
    """End a run."""
    raise StopError


def test_a_folder_that_is_done_is_left_as_it_is(detector, recordings, tmp_path, monkeypatch):
    detector.score_to(tmp_path / "scores", recordings)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").glob("part-*")}
    monkeypatch.setattr(blocks.BlockScorer, "score", stop)
    assert detector.score_to(tmp_path / "scores", recordings).resumed == 30
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_run_that_was_stopped_while_its_parts_were_removed_goes_on_from_those_left(
    detector, recordings, tmp_path, monkeypatch
):
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    detector.score_to(whole, recordings)
    unlink, removed = type(broken).unlink, []

    def stop_at_the_third(path, **options):
        if path.name.startswith("part-"):
            removed.append(path.name)
            if len(removed) == 3:
                raise StopError
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(broken), "unlink", stop_at_the_third)
        with pytest.raises(StopError):
            detector.score_to(broken, recordings)
    assert detector.score_to(broken, recordings).resumed == 24
    assert broken.read_bytes() == whole.read_bytes()


def test_what_stands_beside_a_result_is_left_alone(detector, recordings, tmp_path):
    others = [tmp_path / name for name in (".scores.done", ".scores.csv.parts.done", "scores.parts")]
    for folder in others:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    for result in ("scores", "scores.csv"):
        detector.score_to(tmp_path / result, recordings)
    assert all((folder / "notes.txt").read_text() == "mine" for folder in others)


def test_what_a_killed_process_left_is_cleared(detector, recordings, tmp_path):
    stopped(detector, tmp_path / "scores.csv", recordings, after=2)
    parts = tmp_path / "scores.csv.parts"
    (parts / ".part-00000002.1234abcd.jsonl").write_text("half a li")
    detector.score_to(tmp_path / "scores.csv", recordings)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_alarm_rate": 0.01}, "begun with false_alarm_rate None, now 0.01"),
        ({"windows": "each"}, "begun with windows 'worst', now 'each'"),
        ({"machine_id": "00"}, "begun with machine_id None, now '00'"),
        ({"precision": "float16"}, "begun with precision 'float32', now 'float16'"),
    ],
)
def test_other_options_are_refused_and_lose_nothing(detector, recordings, tmp_path, options, message):
    result = tmp_path / "scores.csv"
    stopped(detector, result, recordings, after=3)
    with pytest.raises(ParameterError, match=message):
        detector.score_to(result, recordings, **options)
    assert detector.score_to(result, recordings).resumed == 12


def test_another_detector_is_refused_unless_the_run_begins_anew(detector, recordings, tmp_path):
    result = tmp_path / "scores.csv"
    stopped(detector, result, recordings, after=3)
    other = detector.rescored(detector.recipe.replace(scoring__false_alarm_rate=0.2).scoring)
    with pytest.raises(ParameterError, match="begun with the detector"):
        other.score_to(result, recordings)
    assert other.score_to(result, recordings, restart=True).resumed == 0
    assert ScoreTable.read(result) == other.score(recordings)


def test_other_recordings_are_refused(detector, recordings, tmp_path):
    folder = shutil.copytree(recordings, tmp_path / "recordings")
    result = tmp_path / "scores.csv"
    stopped(detector, result, folder, after=3)
    (folder / "id_00" / "000.wav").write_bytes((folder / "id_00" / "00.wav").read_bytes())
    with pytest.raises(ParameterError, match="other recordings: those from number 0 to 3"):
        detector.score_to(result, folder)
    (folder / "id_00" / "000.wav").unlink()
    shutil.rmtree(folder / "id_01")
    (folder / "id_00" / "10.wav").unlink()
    with pytest.raises(ParameterError, match="other recordings: those from number 4 to 7"):
        detector.score_to(result, folder)


@pytest.mark.parametrize("shard", [(1, 1), (2, 2)])
def test_recordings_that_came_behind_a_result_that_is_complete_are_refused(
    detector, recordings, tmp_path, shard
):
    folder = shutil.copytree(recordings, tmp_path / "recordings")
    result = tmp_path / "scores"
    for _ in range(2):
        detector.score_to(result, folder, shard=shard)
    for name in ("97", "98", "99"):
        (folder / "id_01" / f"{name}.wav").write_bytes((folder / "id_01" / "01.wav").read_bytes())
    words = r"came to its end with 30 recordings, .* the first is \S+97\.wav: new_only=True scores"
    with pytest.raises(ParameterError, match=words):
        detector.score_to(result, folder, shard=shard)


def test_two_runs_on_one_result(detector, recordings, tmp_path):
    result = tmp_path / "scores"

    def second(table):
        with pytest.raises(ParameterError, match=f"process {os.getpid()} on .* is writing to it now"):
            detector.score_to(result, recordings)
        return table

    detector.score_to(result, recordings, on_part=second)


def test_a_folder_with_something_else_is_refused(detector, recordings, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ParameterError, match=r"holds 'notes\.txt', which is no part of scores"):
        detector.score_to(folder, recordings)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_damaged_parts_are_named_and_those_that_are_lost_are_scored_again(detector, recordings, tmp_path):
    result = tmp_path / "scores.csv"
    stopped(detector, result, recordings, after=3)
    part = tmp_path / "scores.csv.parts" / "part-00000001.jsonl"
    whole = part.read_text()
    for content in ("", "half a li", json.dumps({"offkey": {"recordings": "4"}}), whole[:-20]):
        part.write_text(content)
        with pytest.raises(DatasetError, match=r"part-00000001\.jsonl: damaged"):
            detector.score_to(result, recordings)
    part.unlink()
    assert detector.score_to(result, recordings).resumed == 26
    assert ScoreTable.read(result) == detector.score(recordings)


@pytest.mark.parametrize("windows", ["worst", "each"])
def test_parts_that_do_not_count_their_windows_serve_too(detector, recordings, tmp_path, windows):
    """Those of earlier versions do not; whether a file has a column for windows is then seen in their rows."""
    whole, result = tmp_path / "whole.csv", tmp_path / "scores.csv"
    detector.score_to(whole, recordings, windows=windows)
    stopped(detector, result, recordings, after=3, windows=windows)
    for part in (tmp_path / "scores.csv.parts").glob("part-*"):
        receipt, lines = part.read_text().split("\n", 1)
        state = json.loads(receipt)
        assert state["offkey"].pop("by_windows") == 0
        part.write_text(json.dumps(state) + "\n" + lines)
    assert detector.score_to(result, recordings, windows=windows).rows == 30
    assert result.read_bytes() == whole.read_bytes()


def test_names_that_are_not_utf_8_come_back_from_every_format(detector, recordings, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    name = os.fsdecode(b"id_00_\xff.wav")
    (folder / name).write_bytes((recordings / "id_00" / "00.wav").read_bytes())
    (folder / "id_01_broken.wav").write_bytes(b"")
    for result in ("s.csv", "s.json", "s.jsonl", "s.parquet", "s"):
        detector.score_to(tmp_path / result, folder)
        paths = ScoreTable.read(tmp_path / result).path
        assert {path.name for path in paths} == {name, "id_01_broken.wav"}


@pytest.mark.filterwarnings("ignore:.*which says no ID")
def test_an_iterator_is_scored_and_goes_on_when_it_is_given_again(detector, recordings, tmp_path):
    paths = sorted(recordings.rglob("*.wav"))
    result = tmp_path / "scores.csv"
    stopped(detector, result, iter(paths), after=2)
    assert detector.score_to(result, iter(paths)).resumed == 8
    assert ScoreTable.read(result).path == paths


def test_nothing_to_score(detector, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no sound file found"):
        detector.score_to(tmp_path / "scores.csv", tmp_path / "empty")


@pytest.mark.parametrize("windows", ["worst", "each"])
@pytest.mark.parametrize(("ending", "top"), [(".csv", 1), (".json", 5), (".jsonl", 12), (".parquet", 100)])
def test_the_oddest_alone_are_what_the_table_of_all_tells_after_a_stop_too(
    detector, recordings, tmp_path, ending, top, windows
):
    result = tmp_path / f"scores{ending}"
    stopped(detector, result, recordings, after=3, top=top, windows=windows)
    assert not result.exists()
    totals = detector.score_to(result, recordings, top=top, windows=windows)
    table = detector.score(recordings, windows=windows).most_anomalous(top)
    assert ScoreTable.read(result) == table
    assert (totals.rows, totals.failed, totals.resumed, len(totals.oddest)) == (30, 1, 12, min(top, 29))
    if ending != ".parquet":
        table.write(tmp_path / f"table{ending}")
        assert result.read_bytes() == (tmp_path / f"table{ending}").read_bytes()


def test_a_run_for_the_oddest_goes_on_as_one_for_all(detector, recordings, tmp_path):
    stopped(detector, tmp_path / "s.csv", recordings, after=2, top=3)
    totals = detector.score_to(tmp_path / "s.csv", recordings)
    assert (totals.resumed, len(ScoreTable.read(tmp_path / "s.csv"))) == (8, 30)


def test_the_oddest_of_a_shard_or_in_a_folder_are_refused(detector, recordings, tmp_path):
    for name, more in (("scores", {}), ("s.csv", {"shard": (1, 2)})):
        with pytest.raises(ParameterError, match="known once all are scored"):
            detector.score_to(tmp_path / name, recordings, top=3, **more)
    with pytest.raises(ParameterError, match="top = 0: expected at least 1"):
        detector.score_to(tmp_path / "s.csv", recordings, top=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")
@pytest.mark.parametrize("windows", ["worst", "each"])
def test_each_row_has_the_length_and_rate_of_its_recording(detector, tmp_path, windows):
    import numpy as np
    import soundfile as sf

    rng = np.random.default_rng(0)
    for name, seconds, rate in (("a", 1, 8000), ("b", 25, 16_000), ("c", 2, 44_100)):
        sf.write(tmp_path / f"{name}_id_00.wav", 0.1 * rng.standard_normal(seconds * rate), rate)
    (tmp_path / "d_id_00.wav").write_bytes((tmp_path / "a_id_00.wav").read_bytes()[:30])
    result = tmp_path / "scores.parquet"
    detector.score_to(result, tmp_path, windows=windows)
    lengths = {
        row["path"][-11]: (row["duration_s"], row["sample_rate"]) for row in ScoreTable.read(result).rows()
    }
    assert lengths == {"a": (1.0, 8000), "b": (25.0, 16_000), "c": (2.0, 44_100), "d": (None, None)}
    schema = pyarrow.parquet.read_schema(result)
    assert [str(schema.field(name).type) for name in ("duration_s", "sample_rate")] == ["double", "int64"]
    arrays = detector.score(
        [np.full(4000, 0.1) * rng.standard_normal(4000)], sample_rate=8000, machine_id="00"
    )
    assert (arrays.duration_s.tolist(), arrays.sample_rate.tolist()) == ([0.5], [8000.0])


def test_files_of_parquet_say_what_made_them(detector, recordings, tmp_path):
    for name in ("scores.parquet", "scores"):
        detector.score_to(tmp_path / name, recordings, false_alarm_rate=0.2)
        file = tmp_path / name
        file = file / "part-00000000.parquet" if file.is_dir() else file
        about = json.loads(pyarrow.parquet.read_schema(file).metadata[b"offkey"])
        assert about["run"]["detector"] == detector._fitted().fingerprint
        assert about["run"]["offkey"] == offkey.__version__
        assert about["run"]["options"]["false_alarm_rate"] == 0.2
        assert about["recordings"] == (30 if name == "scores.parquet" else 4)
