"""Where commands print: any encoding, closed or full outputs; names that would act on a terminal."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from offkey import cli
from offkey.cli import console
from offkey.cli.words import in_options

STRANGE = [
    "機械 ポンプ",
    "\x1b]0;title\x07\x1b[31mred",
    "\u202egnp.exe",
    "two\nlines",
    os.fsdecode(b"L\xfcfter"),
]


def run(*arguments, shell="", **environment):
    line = [sys.executable, "-m", "offkey", *map(str, arguments)]
    if shell:
        line = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *line]
    return subprocess.run(line, capture_output=True, check=False, env=os.environ | environment)


@pytest.fixture(scope="module")
def strange(tmp_path_factory, tree):
    """A folder with recordings of strange names."""
    folder = tmp_path_factory.mktemp("strange")
    content = next((tree / "fan" / "test").glob("*.wav")).read_bytes()
    for name in STRANGE:
        (folder / f"{name}.wav").write_bytes(content)
    return folder


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "latin-1", "utf-16", "shift_jis"])
@pytest.mark.parametrize("command", ["score", "json", "info", "help"])
def test_any_encoding_of_stdout(detector, strange, monkeypatch, capsys, encoding, command):
    lines = {
        "score": ("score", detector, strange),
        "json": ("score", detector, strange, "--json"),
        "info": ("info", strange / f"{STRANGE[0]}.wav"),
        "help": ("score", "--help"),
    }
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    console.prepare_stdout()
    assert cli.run([str(argument) for argument in lines[command]]) == 0
    sys.stdout.flush()
    text = sys.stdout.buffer.getvalue().decode(encoding, "surrogateescape")
    if command == "score":
        assert "path,machine_type" in text
        assert ("\\u6a5f" in text) == (encoding not in ("utf-8", "utf-16", "shift_jis"))
        assert ("lacks letters" in capsys.readouterr().err) == (encoding != "utf-8")
    if command == "json":
        assert {Path(row["path"]).stem for row in json.loads(text)["rows"]} == set(STRANGE)


def test_a_command_prints_in_an_encoding_that_lacks_letters(detector, strange):
    shown = run("score", detector, strange, PYTHONIOENCODING="cp1252:strict", LC_ALL="C")
    assert (shown.returncode, b"\\u6a5f" in shown.stdout) == (0, True), shown.stderr


@pytest.mark.parametrize(
    ("shell", "code", "message"),
    [
        (">&-", 2, b"error: standard output: closed"),
        ("> /dev/full", 2, b"error: standard output: No space left on device"),
        ("| head -c 0", 141, b""),
        ("2>&1 | head -c 0", 141, b""),
        ("2>&-", 0, b""),
    ],
)
def test_a_closed_or_full_output_is_no_traceback(detector, tree, shell, code, message):
    shown = run("score", detector, tree / "fan" / "test", shell=shell)
    assert shown.returncode == code, shown.stderr
    assert b"Traceback" not in shown.stderr
    assert b"Exception ignored" not in shown.stderr
    assert message in shown.stderr


def test_no_name_acts_on_a_terminal(offkey, tmp_path, detector, strange):
    (tmp_path / "bad").mkdir()
    for name in STRANGE:
        (tmp_path / "ids" / name).mkdir(parents=True)
        for at, path in enumerate(strange.iterdir()):
            (tmp_path / "ids" / name / f"{at}.wav").write_bytes(path.read_bytes())
        (tmp_path / "bad" / f"{name}.wav").write_bytes(b"no sound")
    commands = [
        ("info", "ids"),
        ("info", "bad/" + STRANGE[1]),
        ("train", "bad", "--out", "x.offkey"),
        ("score", detector, strange, "--json"),
        ("score", detector, "bad", "--json"),
        ("score", STRANGE[1]),
        (STRANGE[1],),
        ("info", "ids", STRANGE[1]),
        ("train", "ids", "--out", "x.offkey", "--seed", STRANGE[1]),
    ]
    for arguments in commands:
        shown = offkey(*arguments)
        assert not set(shown.out + shown.err) & set("\x1b\x07\u202e"), arguments


def test_a_table_for_a_person_shows_codes_and_does_not_do_them(strange):
    from offkey.scores import ScoreTable

    text = ScoreTable(path=sorted(strange.iterdir()), machine_id=STRANGE).to_text()
    assert text.replace("\n", "").isprintable()
    assert r"\x1b[31mred" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("several machine types; name one with `machine`", "several machine types; name one with --machine"),
        ("num_threads = 0: expected 1 to 1024", "--threads 0: expected 1 to 1024"),
        ("give machine_id=None or test_fraction=0.1", "give machine_id=None or --test-fraction 0.1"),
        ("Training.seed = 5: expected none", "Training.seed = 5: expected none"),
        ("given twice, in `root` and `also`", "given twice, in DATA and --also"),
    ],
)
def test_messages_speak_of_options(text, expected):
    assert in_options(text, cli.app["train"]) == expected


@pytest.mark.parametrize("ending", ["", ".csv", ".json"])
def test_scores_go_through_a_pipe(detector, tree, tmp_path, ending):
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        shown = run("score", detector, tree / "fan" / "test", "--out", pipe)
        text = reader.communicate(timeout=60)[0]
    assert shown.returncode == 0, shown.stderr
    assert text.startswith(b'{"rows"' if ending == ".json" else b"path,")
    assert pipe.is_fifo()


def test_process_substitution_is_written_to(detector, tree, tmp_path):
    out = tmp_path / "scores.gz"
    shown = run("score", detector, tree / "fan" / "test", shell=f"--out >(gzip > {out}) && sleep 1")
    assert shown.returncode == 0, shown.stderr
    assert subprocess.check_output(["gzip", "-dc", out]).startswith(b"path,")
