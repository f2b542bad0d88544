"""Scores on a terminal."""

import os
import pty
import re
import subprocess
import sys

import pytest
from rich.cells import cell_len

from offkey.cli.listing import listing, shortened
from offkey.scores import ScoreTable

WIDE = "機械ポンプ"


def row(path, p_value=0.5, **more):
    cells = {
        "path": path,
        "machine_id": "00",
        "scored_as": "00",
        "a_spectral": 3.25,
        "anomaly_score": -p_value,
        "threshold": 1.5,
        "p_value": p_value,
        "calibration": "own",
        "calibration_clips": 400,
        "decision": int(p_value < 0.05),
    }
    return cells | more


def table(*rows):
    return ScoreTable.from_rows(list(rows))


def lines_of(*rows, width=80, **options):
    return listing(table(*rows), width=width, **options).splitlines()


@pytest.mark.parametrize(
    ("path", "width", "expected"),
    [
        ("/data/plant/fan/id_00/x.wav", 30, "/data/plant/fan/id_00/x.wav"),
        ("/data/plant/fan/id_00/x.wav", 20, "…/fan/id_00/x.wav"),
        ("/data/plant/fan/id_00/x.wav", 6, "…x.wav"),
        ("n" * 50 + ".wav", 12, "…nnnnnnn.wav"),
        (f"a/{WIDE}/x.wav", 17, "…/x.wav"),
        (f"aaaa/{WIDE}/x.wav", 18, f"…/{WIDE}/x.wav"),
        (f"{WIDE * 4}.wav", 12, "…ポンプ.wav"),
        ("a" * 9 + "e\u0301bc", 4, "…e\u0301bc"),
        ("a" * 9 + "e\u0301bc", 3, "…bc"),
    ],
)
def test_paths_are_shortened_from_the_left(path, width, expected):
    assert shortened(path, width) == expected
    assert cell_len(expected) <= width


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_lines_fit_the_terminal_and_columns_line_up(width):
    rows = [
        row(f"/data/{WIDE * 5}/x.wav", 1e-9, calibration="tail"),
        row(
            "n" * 300 + ".wav", 0.001, warning="clipped (4.5% of the samples); 32 dB louder than in training"
        ),
        row("\x1b[31mred\n.wav", start_s=4813.0),
        row("a.wav", machine_id=None),
        {"path": "b/" * 100 + "x.wav", "error": "b/" * 100 + "x.wav: " + "no sound " * 20},
        {"path": f"{WIDE}.wav", "error": f"{WIDE * 30}: none"},
    ]
    lines = lines_of(*rows, width=width)
    assert max(map(cell_len, lines)) <= width
    assert "".join(lines).isprintable()
    place = lines[0].index("verdict")
    for line, word in zip(lines[1:5], ["sounds wrong", "sounds wrong", "healthy", "healthy"], strict=True):
        before, found, _ = line.partition(word)
        assert found
        assert cell_len(before) == place
    assert ("warning" in lines[0]) == (width >= 120)
    assert ("00?" in lines[4]) == (width >= 60)


def test_the_oddest_come_first_and_those_without_a_score_last():
    rows = [
        {"path": "bad.wav", "error": "bad.wav: has no samples"},
        row("healthy.wav", 0.9),
        row("odd.wav", 0.004),
        row("odder.wav", 0.004, anomaly_score=7.0),
    ]
    lines = lines_of(*rows)
    assert [line.split()[0] for line in lines[1:4]] == ["odder.wav", "odd.wav", "healthy.wav"]
    assert lines[4:] == ["", "without a score  why", "bad.wav          has no samples"]


def test_a_limit_says_how_many_there_are_beside():
    rows = [row(f"{number}.wav", 0.001 if number < 21 else 0.5) for number in range(30)]
    lines = lines_of(*rows)
    assert len(lines) == 1 + 20 + 2
    assert lines[-1] == "and 10 more, 1 of which sounds wrong: --top 30 shows more, --out FILE has all"
    assert len(lines_of(*rows, most=30)) == 31
    failed = [{"path": f"{number}.wav", "error": "none"} for number in range(1000)]
    lines = lines_of(*failed)
    assert len(lines) == 12
    assert lines[-1] == "and 990 more without a score: --out FILE says why"


def test_scores_are_shown_on_request_and_where_there_is_no_p_value_there_is_no_rarity():
    assert "a_spectral" not in lines_of(row("a.wav"))[0]
    lines = lines_of(row("a.wav"), scores=True)
    assert lines[0].split()[4:] == ["a_spectral", "anomaly_score", "threshold"]
    assert lines[1].split()[-3:] == ["3.25", "-0.5", "1.5"]
    lines = lines_of({"path": "a.wav", "anomaly_score": 1.0}, {"path": "b.wav", "anomaly_score": 2.0})
    assert lines == ["recording  verdict", "b.wav      undecided", "a.wav      undecided"]


def test_nothing_is_said_to_be_nothing():
    assert lines_of() == ["no recording has a score"]


@pytest.mark.parametrize("width", [40, 100])
def test_a_real_terminal(detector, tree, tmp_path, width):
    (tmp_path / "bad.wav").write_bytes(b"a diary")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "offkey", "score", str(detector), str(tree / "fan" / "test"), "bad.wav"]
    process = subprocess.Popen(
        command,
        stdout=follower,
        stderr=follower,
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": str(width), "TERM": "xterm"},
    )
    os.close(follower)
    content = b""
    try:
        while block := os.read(leader, 4096):
            content += block
    except OSError:  # how Linux tells that the other end is closed
        pass
    assert process.wait() == 3
    os.close(leader)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", content.decode())
    lines = text.replace("\r\n", "\n").rpartition("\r")[2].splitlines()
    table = lines[lines.index(next(line for line in lines if "recording" in line and "verdict" in line)) :]
    table = table[: next(at for at, line in enumerate(table) if "scored" in line)]
    assert max(map(cell_len, table)) <= width
    assert "sounds wrong" in table[1]
    assert text.count("not a sound file") == 1
