"""How far a command has come: bars, lines a minute, lines of JSON."""

import dataclasses
import io
import json
import os
import subprocess
import sys
import threading

import pytest

from offkey.advance import Advance
from offkey.cli import console
from offkey.cli.pace import Meter, Pace, ProgressFile, duration

FIELDS = {
    *("time", "state", "elapsed_s", "done", "total", "before", "errors"),
    *("audio_hours", "files_per_s", "audio_hours_per_s", "left_s"),
}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def lines_of(text):
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line.keys() - {"error"} == FIELDS for line in lines)
    return lines


def test_a_rate_is_of_this_run_and_of_its_last_minute():
    clock = Clock()
    meter = Meter(clock)
    start = Advance(done=1000, total=4000, before=1000)
    assert meter.pace(start) == Pace(advance=start)
    for clock.now in range(1, 101):
        pace = meter.pace(dataclasses.replace(start, done=1000 + 10 * int(clock.now), audio_s=clock.now * 36))
    assert pace.files_per_s == pytest.approx(10)
    assert pace.audio_hours_per_s == pytest.approx(0.01)
    assert pace.left_s == pytest.approx(200)
    for clock.now in range(101, 162):  # stands still
        pace = meter.pace(pace.advance)
    assert (pace.files_per_s, pace.left_s, pace.elapsed_s) == (0, None, 161)


def test_a_meter_keeps_no_more_marks_than_seconds():
    clock = Clock()
    meter = Meter(clock)
    for done in range(100_000):
        clock.now = done / 100
        meter.pace(Advance(done=done, total=None))
    assert len(meter._marks) < 65


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (4813, "1:20:13"), (86_400, "1 day 0:00:00"), (273_600, "3 days 4:00:00")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_words_of_a_pace_fit():
    pace = Pace(
        advance=Advance(done=123_800, total=1_000_000, errors=12),
        files_per_s=199.7,
        audio_hours_per_s=0.5555,
        left_s=4381,
    )
    assert pace.words() == (
        "123,800 of 1,000,000 files, 200 files/s, 0.555 h of audio/s, 12 errors, 1:13:01 left"
    )
    for width in range(17, 120):
        assert len(pace.words(width)) <= width
    assert pace.words(60) == "123,800/1,000,000, 200 files/s, 12 errors, 1:13:01 left"
    assert pace.words(30) == "123,800/1,000,000, 12 errors"
    assert Pace(advance=Advance(done=1, total=None, errors=1)).words() == "1 files, 1 error"


def test_without_a_terminal_there_is_a_line_a_minute(capsys):
    clock = Clock()
    with console.bars() as bars:
        counter = console.Counter(bars, "reading", clock)
        for clock.now in range(301):
            counter(int(clock.now), 301)
            if clock.now == 59:
                assert capsys.readouterr().err == ""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0] == "reading: 60 of 301 files, 1 files/s, 4:01 left"
    assert lines[-1] == "reading: 300 of 301 files, 1 files/s, 0:01 left"


def test_a_command_that_is_done_at_once_says_nothing_of_progress(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test", "--out", "s.csv")
    assert "scoring" not in shown.err


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 119, 120, 200])
def test_a_bar_fits_the_terminal(monkeypatch, width):
    terminal = io.StringIO()
    shown = console.Console(file=terminal, force_terminal=True, color_system=None, width=width)
    monkeypatch.setattr(console, "stderr", shown)
    clock = Clock()
    with console.bars() as bars:
        counter = console.Counter(bars, "scoring", clock)
        for clock.now in range(3):
            done = 123_000 + 200 * int(clock.now)
            counter.advance(
                Advance(done=done, total=1_000_000, before=123_000, audio_s=clock.now, errors=done)
            )
        shown.print("")  # draws
    text = terminal.getvalue()
    assert "123,400" in text if width >= 40 else "scoring" in text
    assert ("200 files/s" in text) == (width >= 79)
    assert "…" not in text or width < 40


def test_progress_goes_to_a_file_that_is_appended_to(offkey, detector, tree, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"")
    for _ in range(2):
        shown = offkey(
            *("score", detector, tree / "fan" / "test", "bad.wav", "--out", "s.csv"),
            *("--progress-json", "p.jsonl"),
        )
        assert shown.code == 3
    lines = lines_of((tmp_path / "p.jsonl").read_text())
    assert [line["state"] for line in lines] == ["started", "done"] * 2
    assert (lines[0]["done"], lines[0]["total"], lines[0]["files_per_s"]) == (0, 17, None)
    assert (lines[1]["done"], lines[1]["total"], lines[1]["errors"]) == (17, 17, 1)
    assert lines[1]["audio_hours"] == pytest.approx(16 * 1.0 / 3600, rel=0.5)


def test_a_run_that_goes_on_tells_what_was_before(offkey, detector, tree, tmp_path, monkeypatch):
    from offkey.archive import run
    from offkey.archive.blocks import PartWriter

    paths = sorted((tree / "fan" / "test").glob("*.wav"))
    monkeypatch.setattr(run, "PART_RECORDINGS", 4)
    with monkeypatch.context() as patch:
        write, parts = PartWriter.write, []

        def stopped(self, *part):
            write(self, *part)
            parts.append(part)
            if len(parts) == 2:
                raise KeyboardInterrupt

        patch.setattr(PartWriter, "write", stopped)
        arguments = ("score", detector, *paths, "--out", "s.csv", "--progress-json", "p.jsonl")
        assert offkey(*arguments).code == 130
    assert offkey(*arguments).code == 0
    lines = lines_of((tmp_path / "p.jsonl").read_text())
    assert [line["state"] for line in lines] == ["started", "stopped", "started", "done"]
    assert [(line["done"], line["before"]) for line in lines] == [(0, 0), (8, 0), (8, 8), (16, 8)]
    assert lines[3]["audio_hours"] == pytest.approx(lines[1]["audio_hours"], rel=0.01)


def test_a_run_that_fails_says_why_in_the_words_of_the_command(offkey, detector, tmp_path):
    shown = offkey("score", detector, "none", "--progress-json", "p.jsonl")
    assert shown.code == 2
    (line,) = lines_of((tmp_path / "p.jsonl").read_text())
    assert (line["state"], line["error"]) == ("failed", "none: no such file or folder")
    (tmp_path / "a.wav").write_bytes(b"a diary")
    shown = offkey("score", detector, "a.wav", "--threads", "0", "--progress-json", "p.jsonl")
    assert lines_of((tmp_path / "p.jsonl").read_text())[-1]["error"].startswith("--threads 0: ")


def test_progress_on_standard_error_is_all_lines_of_json_until_the_end(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test", "--progress-json", "-", "--json")
    lines = lines_of("\n".join(line for line in shown.err.splitlines() if line.startswith("{")))
    assert [line["state"] for line in lines] == ["started", "done"]
    assert len(json.loads(shown.out)["rows"]) == 16


def test_a_descriptor_gets_progress(detector, tree):
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "offkey", "score", str(detector), str(tree / "fan" / "test")]
    subprocess.run(
        [*command, "--progress-json", f"/dev/fd/{writer}"],
        pass_fds=[writer],
        capture_output=True,
        check=True,
    )
    os.close(writer)
    with os.fdopen(reader) as file:
        assert [line["state"] for line in lines_of(file.read())] == ["started", "done"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("no/p.jsonl", "no: no such folder"), (".", "is a folder"), ("/dev/fd/99", "/dev/fd/99: Bad file")],
)
def test_a_place_for_progress_that_cannot_be_is_refused(offkey, tree, target, message):
    shown = offkey("score", "none.offkey", tree / "fan" / "test", "--progress-json", target)
    assert (shown.code, message in shown.err) == (2, True)


def test_a_run_goes_on_where_progress_cannot_be_told(offkey, detector, tree):
    shown = offkey("score", detector, tree / "fan" / "test", "--progress-json", "/dev/full")
    assert shown.code == 0
    assert shown.err.count("note: no more progress is told: /dev/full: No space left") == 1


def test_a_pipe_that_is_full_stops_nothing(tmp_path):
    os.mkfifo(tmp_path / "p")
    reader = os.open(tmp_path / "p", os.O_RDONLY | os.O_NONBLOCK)

    def tell():
        file = ProgressFile(tmp_path / "p")
        for second in range(5000):
            file.add(Pace(elapsed_s=100.0 * second))
        file.close(None)

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    telling.join(60)
    assert not telling.is_alive()
    content = os.read(reader, 1 << 20).decode()
    os.close(reader)
    assert lines_of(content)[0]["state"] == "started"
