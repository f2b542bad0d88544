"""DCASE submission files."""

import numpy as np
import pytest

from offkey.datasets.clips import Clip, Clips
from offkey.errors import DatasetError
from offkey.evaluation import submission
from offkey.evaluation.protocols import evaluate
from offkey.scores import ScoreTable


def clips(folder, ids=("00", "02"), n=4):
    return Clips(
        [
            Clip(
                path=folder / f"{kind}_id_{machine_id}_{at:08d}.wav",
                machine_type="fan",
                machine_id=machine_id,
                split="test",
                label=label,
                group=f"{machine_id}{kind}{at}",
            )
            for machine_id in ids
            for label, kind in enumerate(("normal", "anomaly"))
            for at in range(n)
        ]
    )


def table(test, **columns):
    scores = np.linspace(-1, 1, len(test)) / 3
    given = {"machine_type": ["fan"] * len(test), "machine_id": test.machine_ids, "anomaly_score": scores}
    return ScoreTable(path=test.paths, **given | columns)


def test_the_bytes_of_the_files(tmp_path):
    test = clips(tmp_path, n=1)
    files = submission.write(table(test), tmp_path / "new" / "team")
    assert [f.name for f in files] == ["anomaly_score_fan_id_00.csv", "anomaly_score_fan_id_02.csv"]
    third = repr(float(np.linspace(-1, 1, 4)[1] / 3))
    assert files[0].read_bytes() == (
        f"anomaly_id_00_00000000.wav,{third}\nnormal_id_00_00000000.wav,-0.3333333333333333\n".encode()
    )


def test_reading_gives_back_every_bit(tmp_path):
    test = clips(tmp_path)
    scores = table(test)
    submission.write(scores, tmp_path / "out", test=test)
    (tmp_path / "out" / "readme.txt").write_text("other files are not looked at")
    again = submission.read(tmp_path / "out", test=test)
    assert evaluate(again, test).ids == evaluate(scores, test).ids
    assert evaluate(again).ids == evaluate(scores, test).ids
    bare = submission.read(tmp_path / "out")
    assert {str(p) for p in bare.path} == {p.name for p in test.paths}
    assert sorted(bare.anomaly_score) == sorted(scores.anomaly_score)


def test_types_and_ids_come_from_the_test_clips(tmp_path):
    test = clips(tmp_path, ids=("04",))
    files = submission.write(table(test, machine_type=None, machine_id=None), tmp_path / "out", test=test)
    assert [f.name for f in files] == ["anomaly_score_fan_id_04.csv"]


def test_another_score_can_be_submitted(tmp_path):
    test = clips(tmp_path)
    submission.write(table(test, a_out=np.arange(16.0)), tmp_path / "out", column="a_out")
    assert sorted(submission.read(tmp_path / "out").anomaly_score) == list(range(16))


def test_what_cannot_be_submitted_is_named_and_nothing_is_written(tmp_path):
    test = clips(tmp_path)
    rows = list(table(test).rows())

    def changed(at, **cells):
        return ScoreTable.from_rows([row | cells if i == at else row for i, row in enumerate(rows)])

    cases = [
        (
            changed(3, anomaly_score=None),
            r"1 of 16 clips have no anomaly_score: .*normal_id_00_00000003\.wav",
        ),
        (changed(0, machine_type=None), "machine type None"),
        (changed(0, machine_id="../x"), r"machine ID '\.\./x'"),
        (changed(0, path="/elsewhere/normal_id_00_00000001.wav"), "a second clip of that name"),
        (changed(0, path="a,b.wav"), "comma"),
        (changed(0, path="a\nb.wav"), "control character"),
        *(
            (changed(0, path=f"{sign}1.wav"), "begins like a formula")
            for sign in ("=", "+", "-", "@", "'=", "\uff1d")
        ),
        (ScoreTable(path=[]), "0 of 0 clips"),
    ]
    for scores, message in cases:
        with pytest.raises(DatasetError, match=message):
            submission.write(scores, tmp_path / "out")
    with pytest.raises(DatasetError, match="1 test clips have no row of scores"):
        submission.write(ScoreTable.from_rows(rows[1:]), tmp_path / "out", test=test)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,score\na.wav,1\n", r"line 1: score 'score'.*a header is not allowed"),
        (b"a.wav,1\r\nb.wav,2\r\n", "LF alone"),
        (b"a.wav,1\nb.wav,2", "the last one too"),
        (b"", "the last one too"),
        (b"a.wav,1\n\n", "line 2: ''; expected basename,score"),
        (b"a.wav\n", "line 1: 'a.wav'"),
        (b"a.wav,1,2\n", "score '1,2'"),
        (b"a.wav, 1\n", "score ' 1'"),
        (b"a.wav,nan\n", "score 'nan'"),
        (b"a.wav,inf\n", "score 'inf'"),
        (b"a.wav,1_0\n", "score '1_0'"),
        (b"x/a.wav,1\n", "expected basename,score"),
        (b"a.wav,1\na.wav,2\n", "line 2: a.wav for the second time"),
        (b"a\xff.wav,1\n", "not UTF-8 at byte 1"),
    ],
)
def test_files_that_break_the_format_are_refused(tmp_path, content, message):
    (tmp_path / "anomaly_score_fan_id_00.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        submission.read(tmp_path)
    assert "anomaly_score_fan_id_00.csv" in str(caught.value)


def test_folders_without_submission_are_named(tmp_path):
    with pytest.raises(DatasetError, match="no submission file"):
        submission.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        submission.read(tmp_path / "missing")


def test_lines_and_clips_must_match(tmp_path):
    test = clips(tmp_path)
    submission.write(table(test), tmp_path / "out")
    with pytest.raises(DatasetError, match=r"8 test clips without a line: .*'04'.*0 lines without"):
        submission.read(tmp_path / "out", test=test + clips(tmp_path, ids=("04",)))
    with pytest.raises(DatasetError, match=r"0 test clips without a line.*8 lines without a test clip"):
        submission.read(tmp_path / "out", test=test.where(machine_id="00"))
