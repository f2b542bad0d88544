"""`offkey score` on archives: lists of files, parts and shards, recordings without a score."""

import csv
import io
import os
import re

import numpy as np
import pytest
import soundfile as sf

from offkey.scores import ScoreTable


def test_a_list_of_files_is_read_from_a_file_or_standard_input(offkey, detector, tree, tmp_path, monkeypatch):
    import sys

    paths = sorted((tree / "fan" / "test").glob("*.wav"))
    named = offkey("score", detector, *paths).out
    (tmp_path / "list.txt").write_text("\n".join(map(str, paths[1:])) + "\n\n")
    assert offkey("score", detector, paths[0], "--files-from", "list.txt").out == named
    content = io.BytesIO(b"".join(str(path).encode() + b"\0" for path in paths))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert offkey("score", detector, "--files-from", "-", "--null").out == named


def test_bad_lists_of_files(offkey, detector, tmp_path):
    shown = offkey("score", detector)
    assert (shown.code, "RECORDINGS: none named" in shown.err) == (2, True)
    assert "--files-from" in shown.err
    assert offkey("score", detector, "--files-from", "none.txt").code == 2
    (tmp_path / "list.txt").write_text("nowhere.wav\n")
    shown = offkey("score", detector, "--files-from", "list.txt", "--out", "s.csv")
    assert (shown.code, "nowhere.wav: no such file or folder" in shown.err) == (2, True)
    (tmp_path / "list.txt").write_bytes(bytes(100_000))
    shown = offkey("score", detector, "--files-from", "list.txt")
    assert (shown.code, "expected a list of paths" in shown.err) == (2, True)
    (tmp_path / "list.txt").write_text("")
    assert offkey("score", detector, "--files-from", "list.txt").code == 2


def test_a_run_that_was_stopped_goes_on_and_says_so(offkey, detector, tree, monkeypatch):
    from offkey.archive import run

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "complete", stopped)
        assert offkey("score", detector, tree / "fan" / "test", "--out", "s.csv").code == 130
    shown = offkey("score", detector, tree / "fan" / "test", "--out", "s.csv", "--windows", "each")
    assert (shown.code, "--restart" in shown.err) == (2, True)
    shown = offkey("score", detector, tree / "fan" / "test", "--out", "s.csv")
    assert shown.code == 0
    assert "went on after 16 recordings that were scored before" in shown.err
    assert "seen since: 0 recordings" in shown.err
    assert " files in " not in shown.err
    assert len(ScoreTable.read("s.csv")) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--restart"], "--restart: only a run that writes to a file or folder"),
        (["--shard", "1/2", "--out", "s.csv", "--fdr", "0.1"], "--fdr: what is called is known once all"),
        (["--new-only"], "--new-only: only a run that writes to a file or folder"),
        (["--new-only", "--shard", "1/2", "--out", "s"], "--shard 1/2: which recordings are new"),
        (["--shard", "1/2"], "--shard: only a run that writes to a file or folder"),
        (["--shard", "1/2", "--out", "s.csv", "--json"], "--json: a shard is no whole result"),
        (["--merge", "s.csv"], "--merge: makes a result of parts that are there, with --failed"),
        (["--shard", "3/2", "--out", "s.csv"], "--shard 3/2: expected K/N"),
        (["--null"], "--null: says how paths end in a list, but neither --files-from nor --failed names one"),
    ],
)
def test_options_that_would_do_nothing_are_refused(offkey, detector, tree, arguments, message):
    shown = offkey("score", detector, tree, *arguments)
    assert (shown.code, message in shown.err) == (2, True)


def test_standard_input_that_is_closed(offkey, detector, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "stdin", None)
    shown = offkey("score", detector, "--files-from", "-")
    assert (shown.code, "standard input is closed" in shown.err) == (2, True)


def test_a_path_with_nul_in_a_list_is_an_error_of_its_row(offkey, detector, tree, tmp_path):
    path = next((tree / "fan" / "test").glob("*.wav"))
    (tmp_path / "list.txt").write_bytes(b"a\0b.wav\n" + str(path).encode())
    shown = offkey("score", detector, "--files-from", "list.txt")
    assert shown.code == 3
    assert len(list(csv.DictReader(io.StringIO(shown.out)))) == 2


def test_shards_are_merged_without_the_detector(offkey, detector, tree, monkeypatch):
    from offkey.archive import run

    monkeypatch.setattr(run, "PART_RECORDINGS", 4)
    recordings = tree / "fan" / "test"
    assert offkey("score", detector, recordings, "--out", "whole.csv").code == 0
    shown = offkey("score", detector, recordings, "--out", "s.csv", "--shard", "1/6")
    assert shown.code == 0
    assert "shard 1/6 has ended; once all 6 have: offkey score --merge s.csv" in shown.err
    shown = offkey("score", "--merge", "s.csv")
    assert (shown.code, "those of shards 2/6, 3/6, 4/6, which have not" in shown.err) == (2, True)
    for number in range(2, 7):  # the last two have nothing to do
        assert offkey("score", detector, recordings, "--out", "s.csv", "--shard", f"{number}/6").code == 0
    for option in (["--top", "3"], ["--fdr", "0.1"], ["--on-error", "skip"], ["--false-alarm-rate", "0.01"]):
        assert "--merge: makes a result of parts" in offkey("score", "--merge", "s.csv", *option).err
    shown = offkey("score", "--merge", "s.csv")
    assert shown.code == 0
    assert shown.err.startswith("16 scores are in s.csv\n16 recordings scored, ")
    assert ScoreTable.read("s.csv") == ScoreTable.read("whole.csv")
    assert offkey("score", "--merge", "s.csv").code == 2
    assert offkey("score").code == 2


def test_a_result_that_is_complete_is_written_anew_or_appended_to(offkey, detector, tree):
    from shutil import copy

    recordings = tree / "fan" / "test"
    assert offkey("score", detector, recordings, "--out", "s.csv").code == 0
    shown = offkey("score", detector, recordings, "--out", "s.csv")
    assert shown.err.startswith(
        "s.csv is there already: it is written anew once all is scored\n16 scores written"
    )
    shown = offkey("score", detector, recordings, "--out", "s.csv", "--new-only")
    assert (shown.code, "a run with --new-only keeps them: begin anew with --restart" in shown.err) == (
        2,
        True,
    )
    assert offkey("score", detector, recordings, "--out", "n.csv", "--new-only").code == 0
    copy(next(recordings.glob("*.wav")), "new_id_00.wav")
    shown = offkey("score", detector, recordings, "new_id_00.wav", "--out", "n.csv", "--new-only")
    assert shown.code == 0
    assert "went on after 16 recordings that were scored before" in shown.err
    assert len(ScoreTable.read("n.csv")) == 17


@pytest.mark.parametrize(
    "out", [("--out", "s.csv"), ("--json", "--windows", "each"), ("--json", "--fdr", "0.1")]
)
@pytest.mark.parametrize("null", [(), ("--null",)])
def test_recordings_without_a_score_are_a_list_that_can_be_scored_again(
    offkey, detector, tree, tmp_path, out, null
):
    good = sorted((tree / "fan" / "test").glob("*.wav"))[0]
    strange = tmp_path / os.fsdecode(b"L\xfcfter \xe6\xa9\x9f.wav")
    for path in (tmp_path / "bad.wav", strange):
        path.write_bytes(b"a diary")
    shown = offkey("score", detector, good, "bad.wav", strange, *out, "--failed", "failed.txt", *null)
    assert shown.code == 3
    assert "2 recordings without a score listed in failed.txt" in shown.err
    end = b"\0" if null else b"\n"
    assert (tmp_path / "failed.txt").read_bytes() == end.join([b"bad.wav", os.fsencode(strange), b""])
    for path in (tmp_path / "bad.wav", strange):
        path.write_bytes(good.read_bytes())
    shown = offkey("score", detector, "--files-from", "failed.txt", "--failed", "failed.txt", *null, "--json")
    assert shown.code == 0
    assert shown.err.startswith("0 recordings without a score listed in failed.txt\n2 recordings scored, ")
    assert (tmp_path / "failed.txt").read_bytes() == b""


def test_a_path_that_no_line_can_hold_is_told(offkey, detector, tree, tmp_path):
    good = sorted((tree / "fan" / "test").glob("*.wav"))[0]
    for name in ("two\nlines.wav", "end.wav\r", "bad.wav"):
        (tmp_path / name).write_bytes(b"a diary")
    names = ("two\nlines.wav", "end.wav\r", "bad.wav")
    shown = offkey("score", detector, good, *names, "--failed", "f.txt")
    assert "2 paths hold an end of line and are not in f.txt: give --null" in shown.err
    assert (tmp_path / "f.txt").read_bytes() == b"bad.wav\n"
    offkey("score", detector, good, *names, "--failed", "f.txt", "--null")
    assert (tmp_path / "f.txt").read_bytes() == b"two\nlines.wav\0end.wav\r\0bad.wav\0"


def test_a_list_that_cannot_be_written_is_refused_and_a_run_that_fails_leaves_none(
    offkey, detector, tree, tmp_path
):
    shown = offkey("score", "none.offkey", tree / "fan" / "test", "--failed", "no/f.txt")
    assert (shown.code, "no: no such folder" in shown.err) == (2, True)
    (tmp_path / "f.txt").write_text("of before\n")
    assert offkey("score", detector, "none.wav", "--failed", "f.txt").code == 2
    assert (tmp_path / "f.txt").read_text() == "of before\n"


@pytest.mark.parametrize("more", [(), ("--out", "s.jsonl"), ("--windows", "each")])
def test_a_summary_counts_warnings_and_says_how_fast(offkey, detector, tree, tmp_path, more):
    good = sorted((tree / "fan" / "test").glob("normal*"))
    samples, rate = sf.read(good[0])
    for number in range(3):
        path = tmp_path / f"{number}_id_00.wav"
        sf.write(path, np.clip(samples * 50 * (number + 1), -1, 1), rate)
    shown = offkey("score", detector, good[1], ".", *more)
    assert shown.code == 0
    (line,) = (line for line in shown.err.splitlines() if line.startswith("warnings: "))
    assert "clipped throughout (3)" in line
    assert "louder than in training (3)" in line
    last = shown.err.splitlines()[-1]
    assert re.fullmatch(r"4 files in [\d.]+ s: [\d.,]+ files/s, [\d.e-]+ h of audio/s", last)


def test_a_merge_lists_what_has_no_score_in_any_shard(offkey, detector, tree, tmp_path, monkeypatch):
    from offkey.archive import run

    monkeypatch.setattr(run, "PART_RECORDINGS", 2)
    for number in (0, 3):
        (tmp_path / f"{number}.wav").write_bytes(b"a diary")
    for number, path in zip((1, 2, 4), sorted((tree / "fan" / "test").glob("*.wav")), strict=False):
        (tmp_path / f"{number}.wav").write_bytes(path.read_bytes())
    names = [f"{number}.wav" for number in range(5)]
    for shard in ("1/2", "2/2"):
        offkey("score", detector, *names, "--out", "s.csv", "--shard", shard, "--failed", f"{shard[0]}.txt")
    assert (tmp_path / "1.txt").read_text() == "0.wav\n"
    assert (tmp_path / "2.txt").read_text() == "3.wav\n"
    shown = offkey("score", "--merge", "s.csv", "--failed", "all.txt")
    assert shown.code == 3
    assert (tmp_path / "all.txt").read_text() == "0.wav\n3.wav\n"


@pytest.mark.parametrize("out", [(), ("--out", "s.csv")])
def test_recordings_without_a_score_are_recorded_skipped_or_the_end(offkey, detector, tree, tmp_path, out):
    for name in ("a", "b"):
        (tmp_path / f"{name}_id_00.wav").write_bytes(b"")
    good = sorted((tree / "fan" / "test").glob("*.wav"))[:3]
    names = ("a_id_00.wav", *good, "b_id_00.wav")
    shown = offkey("score", detector, *names, "--on-error", "skip", "--failed", "failed.txt", *out)
    assert shown.code == 3
    assert (tmp_path / "failed.txt").read_text() == "a_id_00.wav\nb_id_00.wav\n"
    assert "3 recordings scored, " in shown.err
    assert "sound wrong; 2 could not be scored, and have no row" in shown.err
    assert "error: b_id_00.wav: " in shown.err
    text = (tmp_path / "s.csv").read_text() if out else shown.out
    assert len(list(csv.DictReader(io.StringIO(text)))) == 3
    assert offkey("score", detector, "a_id_00.wav", "--on-error", "skip").code == 2
    shown = offkey("score", detector, *good, "a_id_00.wav", "--on-error", "fail", "--out", "f.csv")
    assert (shown.code, shown.out) == (2, "")
    assert "error: a_id_00.wav: " in shown.err
    assert "--on-error 'fail' ends the scoring here" in shown.err
    assert not (tmp_path / "f.csv").exists()


def test_engines_are_refused_before_any_work(offkey, detector, tree, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    named = ("score", detector, tree / "fan" / "test")
    for arguments, words in (
        (("--engine", "ray"), "--engine ray: only a run that writes to a file or folder by --out"),
        (("--out", "s.csv", "--workers", "2"), "--worker-gpus: of a cluster; give them with --engine ray"),
        (("--out", "s.csv", "--engine", "ray", "--workers", "0"), "--workers 0: "),
        (
            ("--out", "s.csv", "--engine", "ray", "--worker-gpus", "1.5"),
            "--worker-gpus 1.5: expected a whole",
        ),
        (
            ("--out", "s.csv", "--engine", "ray"),
            "Ray needs the extra: pip install 'offkey[cluster]'",
        ),
        (("--out", "s.csv", "--engine", "spark"), "spark"),
    ):
        shown = offkey(*named, *arguments)
        assert (shown.code, words in shown.err) == (2, True), shown.err
    shown = offkey("score", "--merge", "s.csv", "--engine", "ray")
    assert (shown.code, "--merge: makes a result of parts" in shown.err) == (2, True)
