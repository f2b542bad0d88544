"""Archives of what is no recording, in places that cannot be read, to results that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from offkey.errors import MissingExtraError, OffkeyWarning
from offkey.scores import ScoreTable

RATE = 16_000


def sound(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # soundfile takes no name that is not UTF-8
        sf.write(file, 0.1 * np.random.default_rng(seed).standard_normal(RATE), RATE, format="WAV")


@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_what_is_in_a_folder_beside_recordings_loses_none_of_them(detector, tmp_path, name):
    folder = tmp_path / "plant"
    names = ["id_00_1.wav", os.fsdecode(b"id_00_2\xff.wav"), "id_01_3.wav"]
    for number, of_file in enumerate(names):
        sound(folder / of_file, number)
    (folder / "id_00_empty.wav").touch()
    (folder / "id_00_gone.wav").symlink_to("nowhere.wav")
    whole = (folder / "id_00_1.wav").read_bytes()
    (folder / "id_00_lies.wav").write_bytes(whole[:40] + (10**6).to_bytes(4, "little") + whole[44:6000])
    os.mkfifo(folder / "id_00_live.wav")
    (folder / "again").symlink_to(folder)
    (folder / "round.wav").symlink_to("round.wav")
    with pytest.warns(OffkeyWarning) as caught:
        totals = detector.score_to(tmp_path / name, folder)
    said = "\n".join(str(warning.message) for warning in caught)
    assert "id_00_live.wav" in said
    assert "again" in said
    rows = {Path(row["path"]).name: row for row in ScoreTable.read(tmp_path / name).rows()}
    assert sorted(rows) == sorted(
        [*names, "id_00_empty.wav", "id_00_gone.wav", "id_00_lies.wav", "round.wav"]
    )
    assert [of_file for of_file in names if rows[of_file]["error"]] == []
    assert "No such file" in rows["id_00_gone.wav"]["error"]
    assert rows["id_00_empty.wav"]["error"]
    assert rows["id_00_lies.wav"]["error"]
    assert (totals.rows, totals.scored) == (7, 3)


def test_files_that_vanish_while_others_are_scored_are_rows_that_say_so(detector, tmp_path):
    for number in range(12):
        sound(tmp_path / "plant" / f"id_00_{number:02}.wav", number)

    def remove_one(table):
        (tmp_path / "plant" / "id_00_10.wav").unlink(missing_ok=True)
        return table

    totals = detector.score_to(tmp_path / "scores.csv", tmp_path / "plant", on_part=remove_one)
    assert (totals.rows, totals.failed) == (12, 1)
    assert "No such file" in ScoreTable.read(tmp_path / "scores.csv").error[10]


FULL = """
import resource, sys, warnings
import offkey
from offkey.archive import run
warnings.simplefilter("ignore")
run.PART_RECORDINGS = 4
detector, result, recordings, most = sys.argv[1:]
loaded = offkey.load(detector)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
try:
    loaded.score_to(result, recordings, num_threads=1)
except OSError as error:
    print(error.filename)
"""


@pytest.mark.parametrize(("most", "parts"), [(1000, 0), (4500, 8)])
def test_on_a_full_disk_what_was_written_stays_and_the_run_goes_on(
    detector, recordings, tmp_path, most, parts
):
    result = tmp_path / "scores.csv"
    detector.save(tmp_path / "press.offkey")
    command = [sys.executable, "-c", FULL, *map(str, [tmp_path / "press.offkey", result, recordings, most])]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert said == str(result if parts else result.with_name("scores.csv.parts") / "part-00000000.jsonl")
    assert not result.exists()
    left = result.with_name("scores.csv.parts")
    assert len(list(left.glob("part-*")) if parts else []) == parts
    assert list(left.glob(".*")) == []
    assert detector.score_to(result, recordings).resumed == (30 if parts else 0)
    detector.score_to(tmp_path / "whole.csv", recordings)
    assert result.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="there is no folder that takes no file, whoever writes"
)
@pytest.mark.parametrize("name", ["scores.csv", "scores"])
def test_a_place_that_takes_no_file_is_refused_before_any_work(detector, tmp_path, name):
    with pytest.raises(OSError, match="cannot write"):
        detector.score_to(f"/proc/{name}", tmp_path / "not looked at")


def test_parquet_without_its_package_is_refused_before_any_work(detector, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("scores", "scores.parquet"):
        with pytest.raises(MissingExtraError, match=r"pip install 'offkey\[parquet\]'"):
            detector.score_to(tmp_path / name, tmp_path / "not looked at")
    assert list(tmp_path.iterdir()) == []
