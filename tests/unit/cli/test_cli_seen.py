"""What commands say of what they saw and what they passed over, and which exit code that has."""

import json
import re
import shutil
from pathlib import Path

import pytest
from mixed_folder import mixed_folder
from tiny_recipe import SPECTRAL
from trees import refuse_to_list

from offkey.cli import exit_codes


@pytest.fixture
def recordings(tree, tmp_path):
    """A folder of twelve healthy recordings and three faulty ones, and a recipe beside it."""
    for target, pattern, count in (("OK", "train/normal*", 12), ("NG", "test/anomaly*", 3)):
        (tmp_path / "rec" / target).mkdir(parents=True)
        for i, file in enumerate(sorted((tree / "fan").glob(pattern))[:count]):
            shutil.copy(file, tmp_path / "rec" / target / f"{i}.wav")
    (tmp_path / "few.json").write_text(SPECTRAL.to_json())
    return tmp_path / "rec"


def shown_by_all(offkey, folder="rec"):
    """Return the code, and all that is said, of each command that looks into a folder."""
    commands = {
        "info": ("info", folder),
        "train": ("train", folder, "--recipe", "few.json", "--out", "d.offkey"),
        "score": ("score", "d.offkey", folder, "--out", "s.csv"),
        "evaluate": ("evaluate", "s.csv", "--data", folder),
    }
    return {name: offkey(*arguments) for name, arguments in commands.items()}


def test_all_is_well(offkey, recordings):
    shown = shown_by_all(offkey)
    assert {name: outcome.code for name, outcome in shown.items()} == dict.fromkeys(shown, exit_codes.DONE)
    for name, outcome in shown.items():
        assert "passed over" not in outcome.out + outcome.err
        assert ("16000" in outcome.out) == (name == "info")
        assert ("16000" in outcome.err) == (name != "info")
    assert shown["info"].out.startswith("rec, read as layout folder: 15 recordings, ")
    assert "seen: 15 recordings, " in shown["score"].err


@pytest.mark.parametrize("name", ["phone.m4a", "a.opus", "b.w64", "c.wav.part", "d.wav.gz"])
def test_sounds_that_are_not_read_are_said_everywhere(offkey, recordings, name):
    (recordings / "OK" / name).write_bytes(b"\0\0\0\x20ftypM4A ")
    for outcome in shown_by_all(offkey).values():
        assert outcome.code == exit_codes.PARTLY
        assert name in outcome.out + outcome.err


def test_a_folder_that_cannot_be_read_is_said_everywhere(offkey, recordings, tmp_path, monkeypatch):
    shutil.copytree(recordings / "OK", recordings / "locked")
    refuse_to_list("locked", monkeypatch)
    for outcome in shown_by_all(offkey).values():
        assert outcome.code == exit_codes.PARTLY
        assert re.search(r"locked.*Permission denied", outcome.out + outcome.err)
    for arguments in (
        ("info", "rec/locked"),
        ("train", "rec/locked", "--out", "x"),
        ("score", "d.offkey", "rec/locked"),
    ):
        outcome = offkey(*arguments)
        assert outcome.code == exit_codes.REFUSED
        assert "rec/locked: Permission denied" in outcome.err
        assert "locked/train" not in outcome.err


@pytest.mark.parametrize("link", ["press.wav", "press"])
def test_a_link_that_leads_nowhere_is_said_everywhere(offkey, recordings, link):
    (recordings / "OK" / link).symlink_to("nowhere")
    for outcome in shown_by_all(offkey).values():
        assert outcome.code == exit_codes.PARTLY
        assert f"OK/{link}" in outcome.out + outcome.err


@pytest.mark.parametrize("content", [b"", b"junk"])
def test_a_file_that_cannot_be_read_is_said_everywhere(offkey, recordings, content):
    (recordings / "OK" / "x.wav").write_bytes(content)
    for outcome in shown_by_all(offkey).values():
        assert outcome.code == exit_codes.PARTLY
        assert "x.wav" in outcome.out + outcome.err


@pytest.mark.parametrize("name", ["old.zip", "__MACOSX/._1.wav", "._1.wav", ".cache/x.wav"])
def test_leftovers_are_said_and_change_no_exit_code(offkey, recordings, name):
    path = recordings / "OK" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    for outcome in shown_by_all(offkey).values():
        assert outcome.code == exit_codes.DONE
        assert Path(name).parts[0] in outcome.out + outcome.err
        assert (outcome.out + outcome.err).count("passed over") == 1


def test_data_files_beside_recordings_are_said(offkey, recordings):
    (recordings / "OK" / "signal.mat").touch()
    for outcome in shown_by_all(offkey).values():
        assert outcome.code == exit_codes.DONE
        assert "1 data file that may hold signals: " in outcome.out + outcome.err


def test_notes_beside_recordings_need_no_word_but_in_info(offkey, recordings):
    (recordings / "OK" / "notes.txt").touch()
    shown = shown_by_all(offkey)
    assert "other files: 1 (.txt 1)" in shown.pop("info").out
    assert not any("txt" in outcome.out + outcome.err for outcome in shown.values())


def test_a_mixed_folder_as_json(offkey, tmp_path, monkeypatch):
    mixed_folder(tmp_path / "mixed", unreadable=False)
    refuse_to_list("press-c", monkeypatch)
    shown = offkey("info", "mixed", "--json")
    assert shown.code == exit_codes.PARTLY
    facts = json.loads(shown.out)
    assert (facts["kind"], facts["recordings"], facts["refusal"]) == ("folder", 23, None)
    assert {row["machine_id"] for row in facts["rows"]} == {"press-a", "press-b"}
    assert {"path": "mixed/press-c", "kind": "folder", "why": "Permission denied"} in facts["passed_over"]


def test_info_takes_the_options_of_training(offkey, recordings):
    (recordings / "OK").rename(recordings / "before_fault")
    shown = offkey("info", "rec")
    assert shown.code == exit_codes.DONE
    assert (
        "nothing is learned from this as it is: rec: the names of 12 of 15 recordings do not settle"
        in shown.out
    )
    shown = offkey("info", "rec", "--label", "before_fault=healthy")
    assert "nothing is learned" not in shown.out
    refused = offkey("info", "rec/NG/0.wav", "--label", "NG=faulty")
    assert refused.code == exit_codes.REFUSED
    assert "for folders" in refused.err


@pytest.mark.filterwarnings("ignore:drift")  # the detector was trained on these recordings
def test_what_is_passed_over_in_python(train, recordings, monkeypatch):
    import offkey as package

    shutil.copytree(recordings / "OK", recordings / "locked")
    refuse_to_list("locked", monkeypatch)
    assert train("rec", "--out", "d.offkey").code == exit_codes.PARTLY
    with pytest.warns(
        package.errors.OffkeyWarning, match="passed over: 1 folder that cannot be read: .*locked"
    ):
        package.Detector(SPECTRAL).fit(package.datasets.folder("rec"))
    data = package.datasets.folder("rec", test_fraction=1.0)
    (recordings / "x.m4a").touch()
    with pytest.warns(package.errors.OffkeyWarning, match=r"passed over: 1 file of a sound format.*x\.m4a"):
        table = package.load("d.offkey").score("rec")
    assert table.survey.recordings == 15
    assert [passed.path.name for passed in table.survey.passed_over] == ["x.m4a"]
    assert package.evaluate(table, data.test).ids[0].auc is not None


def test_the_table_of_exit_codes_has_each_of_them():
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    known = {getattr(exit_codes, name) for name in exit_codes.__all__ if name.isupper() and name != "SUMMARY"}
    assert codes == {1, *known}
