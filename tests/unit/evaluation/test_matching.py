"""Scores are matched with clips by their files, and where folders differ by their paths below them."""

from pathlib import Path

import pytest

import offkey
from offkey.datasets import Clip, Clips
from offkey.errors import DatasetError
from offkey.evaluation.matching import matched
from offkey.scores import ScoreTable

NAMES = ["normal/1.wav", "normal/2.wav", "abnormal/1.wav", "abnormal/2.wav"]


def clips_in(root, names=NAMES):
    return Clips(
        [
            Clip(
                path=Path(root, name),
                machine_type="fan",
                machine_id="00",
                split="test",
                label=int("abnormal" in name),
                group=name,
            )
            for name in names
        ]
    )


def scored_in(root, names=NAMES, **columns):
    scores = [float("abnormal" in name) for name in names]
    return ScoreTable(path=[Path(root, name) for name in names], anomaly_score=scores, **columns)


def auc(table, clips):
    result = offkey.evaluate(table, clips, resamples=0)
    return result.overall[0].auc, result.notes


@pytest.mark.parametrize("scored", ["", "check", "/old/place/check", "../elsewhere", "deep/er/than/the/data"])
@pytest.mark.parametrize("data", ["/data/check", "data"])
def test_a_folder_that_moved_is_told_by_what_stays_the_same_below_it(scored, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    area, (note,) = auc(scored_in(scored), clips_in(data))
    assert area == 1.0
    assert note.startswith("scored in another folder: 4 of 4 files matched by reading")


def test_files_that_exist_are_not_taken_for_others(tmp_path):
    for name in NAMES:
        (tmp_path / "fan" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fan" / name).touch()
    with pytest.raises(DatasetError, match="4 scored files are not among the test clips"):
        offkey.evaluate(scored_in(tmp_path / "fan"), clips_in(tmp_path / "pump"))


def test_files_that_are_there_are_matched_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "check")
    (tmp_path / "check").mkdir()
    assert auc(scored_in("link"), clips_in(tmp_path / "check")) == (1.0, ())


def test_a_name_alone_does_not_move_a_file_into_another_folder():
    """`normal/1.wav` is no `abnormal/1.wav`: all files move together, and what is left is refused."""
    scored = scored_in("/old", ["normal/1.wav", "normal/3.wav", "normal/2.wav"])
    with pytest.raises(
        DatasetError, match=r"1 scored files are not among the test clips: /old/normal/3\.wav"
    ):
        offkey.evaluate(scored, clips_in("/new", ["normal/1.wav", "normal/2.wav", "abnormal/3.wav"]))


def test_two_ways_to_match_are_refused():
    clips = clips_in("/a", [f"{site}/{name}" for site in ("north", "south") for name in NAMES])
    with pytest.raises(DatasetError, match=r"4 of 4 scored files match either way, reading .* as /a/"):
        offkey.evaluate(scored_in(""), clips)


def test_the_folder_by_which_most_files_match_is_taken():
    names = [*(f"north/{name}" for name in NAMES), "south/normal/1.wav"]
    result = matched([Path(name) for name in NAMES], [Path("/new", name) for name in names])
    assert result.files == [f"/new/north/{name}" for name in NAMES]


def test_files_of_other_names_stay_what_they_are():
    result = matched([Path("/old/x.wav")], [Path("/new/y.wav")])
    assert result == (["/old/x.wav"], None)
    result = matched([Path("old/fan/x.wav")], [Path("/new/pump/x.wav")], root=Path("/new"))
    assert result.note is None  # a folder below the root has another name
    assert matched([Path("/old/x.wav")], []) == (["/old/x.wav"], None)


def test_rows_of_windows_are_refused_by_what_they_are():
    table = ScoreTable(path=["a.wav"] * 2, start_s=[0.0, 10.0], anomaly_score=[0.1, 0.2], label=[0, 0])
    with pytest.raises(DatasetError, match="a row for each window of a recording"):
        offkey.evaluate(table)


def test_scores_of_worst_windows_are_evaluated():
    table = scored_in("/data", start_s=[10.0, None, 30.0, None])
    assert auc(table, clips_in("/data")) == (1.0, ())
