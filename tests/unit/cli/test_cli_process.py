"""Commands as processes of their own: on a terminal, stopped by Ctrl-C, read by a pipe that closes early."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

# Test runners that run in the background leave Ctrl-C ignored; a shell does not.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from offkey.cli import main
main()
"""


def command(*arguments):
    return [sys.executable, "-c", MAIN, *map(str, arguments)]


def on_a_terminal(*arguments, columns=80):
    """Run a command on a pseudo-terminal; return its exit code and all that it drew."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        command(*arguments), stdout=follower, stderr=follower, env=environment | {"TERM": "xterm-256color"}
    )
    os.close(follower)
    drawn = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        drawn += part
    os.close(leader)
    return process.wait(), drawn.decode()


def plain(drawn):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)


def test_scoring_draws_a_bar_on_a_terminal_and_takes_it_away(detector, tree):
    code, drawn = on_a_terminal("score", detector, tree / "fan" / "test")
    assert code == 0
    assert re.search(r"scoring ━+ ", plain(drawn))
    assert "\x1b[?25h" in drawn  # the cursor is shown again
    after = plain(drawn.rpartition("\x1b[2K")[2]).replace("\r", "")
    assert "━" not in after
    assert after.splitlines()[0].startswith("recording ")


@pytest.mark.long
def test_training_draws_a_bar_for_each_stage_within_the_width_of_the_terminal(tree, tiny, tmp_path):
    arguments = ("train", tree, "--machine", "fan", "--recipe", tiny, "--device", "cpu")
    code, drawn = on_a_terminal(*arguments, "--out", tmp_path / "fan.offkey")
    assert code == 0
    shown = plain(drawn)
    for text in ("reading ━", "stage 1 ━", "stage 2 ━", "stage 2 (id, augmentation, type): 1 epochs, loss "):
        assert text in shown
    bars = [line for line in re.split(r"[\r\n]+", shown) if "━" in line]
    assert max(map(len, bars)) <= 80
    assert (tmp_path / "fan.offkey").is_file()


SLOW = {"training": {"stage1_epochs": 1_000_000, "stage2_epochs": 1, "clip_seconds": 1.0}}


@pytest.fixture
def slow(tiny, tmp_path):
    path = tmp_path / "slow.json"
    path.write_text(json.dumps(json.loads(tiny.read_text()) | SLOW))
    return path


def stop(process, when):
    """Press Ctrl-C as soon as the process is at work."""
    deadline = time.monotonic() + 120
    while not when() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=120)


@pytest.mark.long
def test_ctrl_c_in_a_training_leaves_the_checkpoint_and_no_detector(tree, slow, tmp_path):
    checkpoint = tmp_path / "c" / "fan.checkpoint"
    arguments = (
        "train",
        tree,
        "--machine",
        "fan",
        "--recipe",
        slow,
        "--device",
        "cpu",
        "--precision",
        "float32",
    )
    process = subprocess.Popen(
        command(*arguments, "--out", tmp_path / "fan.offkey", "--checkpoint", checkpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = stop(process, checkpoint.exists)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-3:] == [  # below what was seen
        "training on cpu in float32",
        f"rerun the same command to resume from {checkpoint}",
        "error: stopped",
    ]
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["fan.checkpoint"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "slow.json"]


def test_ctrl_c_while_scoring_leaves_the_old_scores(detector, tree, tmp_path):
    (tmp_path / "s.csv").write_text("old\n")
    started = tmp_path / "started"
    code = f"""
import pathlib, sys, time
from offkey.score_rows import ScoreRows
add = ScoreRows.add
def slow(*given):
    add(*given)
    pathlib.Path({str(started)!r}).touch()
    time.sleep(60)
ScoreRows.add = slow
{MAIN}
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "score", str(detector), str(tree), "--out", str(tmp_path / "s.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = stop(process, started.exists)
    note = f"{tmp_path / 's.csv'} is there already: it is written anew once all is scored\n"
    assert (process.returncode, out, err) == (130, "", f"{note}error: stopped\n")
    assert (tmp_path / "s.csv").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "started"]


def test_a_pipe_that_closes_early_is_no_error(detector, tree):
    code = f"""
from offkey.cli import console
data = console.data
console.data = lambda text: [data(text) for _ in range(5000)]  # more than a pipe holds
{MAIN}
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "score", str(detector), str(tree / "fan" / "test")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.read(5) == b"path,"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_a_file_name_that_is_not_utf_8_keeps_its_bytes(detector, tree, tmp_path):
    folder = os.fsencode(tmp_path)
    with open(folder + b"/caf\xe9_id_00.wav", "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write((tree / "fan" / "test" / "normal_id_00_00000000.wav").read_bytes())
    done = subprocess.run(command("score", detector, tmp_path), capture_output=True, check=False)
    assert done.returncode == 0
    assert b"caf\xe9_id_00.wav," in done.stdout
