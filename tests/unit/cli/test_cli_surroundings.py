"""Where commands print: any encoding, closed or full outputs; names that would act on a terminal."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

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
        ("give max_seconds to read longer recordings", "give --max-seconds to read longer recordings"),
        ("runs/seed=3/machine=fan.wav: no sound", "runs/seed=3/machine=fan.wav: no sound"),
        ("machine=fan/seed.wav: no sound", "machine=fan/seed.wav: no sound"),
        ("out = /data/fan.offkey: no folder", "--out /data/fan.offkey: no folder"),
        (
            "with --id N (the number of the folder; in Python: id_from=N)",
            "with --id N (the number of the folder)",
        ),
        ("with --channel (in Python features.channel of the recipe); channels", "with --channel; channels"),
        ("so with --label '*=healthy' (in Python: labels={'*': 'healthy'})", "so with --label '*=healthy'"),
    ],
)
def test_messages_speak_of_options(text, expected):
    assert in_options(text, cli.app["train"]) == expected


@pytest.mark.parametrize("form", [".csv", ".json", "--json", None])
def test_errors_in_a_table_speak_of_options_and_names_stay(offkey, detector, tree, tmp_path, form):
    folder = tmp_path / "in"
    folder.mkdir()
    content = next((tree / "fan" / "test").glob("*.wav")).read_bytes()
    for name in ("seed = 1 give threads.wav", "`json`.wav"):
        (folder / name).write_bytes(content)
    more = ("--out", f"scores{form}") if form in (".csv", ".json") else [form] if form else []
    shown = offkey("score", detector, "in", "--max-seconds", "0.1", *more)
    text = Path(f"scores{form}").read_text() if form in (".csv", ".json") else shown.out
    for printed in (text, shown.err):
        assert printed.count("give --max-seconds to read") == 2
        assert "in/seed = 1 give threads.wav: longer than" in printed
        assert "in/`json`.wav: longer than" in printed


def test_warnings_of_a_training_speak_of_options(train, own_tree):
    path = next((own_tree / "fan" / "train").glob("*.wav"))
    rate = sf.info(path).samplerate
    sf.write(path, np.zeros(rate), rate)
    shown = train(own_tree, "--machine", "fan", "--out", "fan.offkey")
    assert shown.err.count("--keep-broken keeps them") == 1
    assert "keep_broken" not in shown.err


def test_labels_of_bars_do_nothing_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    shown = console.Console(file=terminal, force_terminal=True, color_system=None, width=200)
    monkeypatch.setattr(console, "stderr", shown)
    with console.bars() as bars:
        task = bars.add("\x1b]0;title\x07\u202ereading [bold]one[/bold]", 10)
        bars.update(task, 1, state="\x07[red]1\x1b[2J\n")
        shown.print("")  # draws
    drawn = terminal.getvalue()
    assert not set(drawn) & set("\x07\u202e")
    assert "\x1b]0" not in drawn
    assert "\x1b[2J" not in drawn
    assert r"\x1b]0;title\x07\u202ereading [bold]one[/bold]" in drawn
    assert r"\x07[red]1\x1b[2J\n" in drawn


def test_what_cannot_be_written_is_told_before_the_work_starts(
    offkey, own_tree, detector, tiny, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("stays")
    assert offkey("score", detector, own_tree / "fan" / "test", "--out", "scores.csv").code == 0

    def too_late(*_, **__):
        raise AssertionError("work began")

    monkeypatch.setattr("offkey.datasets.source.Source.chunks", too_late)
    # Each where it is used: a module that is first imported meanwhile would keep what stands elsewhere.
    monkeypatch.setattr("offkey.evaluate", too_late)
    monkeypatch.setattr("offkey.demo.evaluate", too_late)
    monkeypatch.setattr("offkey.benchmark.schedule.execute", too_late)
    monkeypatch.setattr("offkey.datasets.synthetic.write", too_late)
    train = ("train", own_tree, "--machine", "fan", "--recipe", tiny, "--out")
    commands = [
        (*train, "file/fan.offkey"),
        (*train, "fan.offkey", "--checkpoint", "file/run"),
        (*train, "fan.offkey", "--cache", "file/cache"),
        (*train, "fan.offkey", "--tensorboard", "file"),
        (*train, "fan.offkey", "--metrics", "file/lines"),
        ("bench", "dcase2020", own_tree, "--recipes", "spectral", "--out", "file/bench"),
        ("bench", "dcase2020", own_tree, "--recipes", "spectral", "--out", "file"),
        ("evaluate", "scores.csv", "--data", own_tree, "--machine", "fan", "--submit", "file"),
        ("score", detector, own_tree / "fan" / "test", "--out", "file/scores.csv"),
        ("demo", "--out", "file"),
    ]
    for arguments in commands:
        shown = offkey(*arguments)
        assert shown.code == 2, arguments
        assert re.search(r"error: .*\bfile\b", shown.err), (arguments, shown.err)
    assert (tmp_path / "file").read_text() == "stays"


@pytest.mark.parametrize("ending", ["", ".csv", ".json"])
def test_scores_go_through_a_pipe(offkey, detector, tree, tmp_path, ending):
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        shown = offkey("score", detector, tree / "fan" / "test", "--out", pipe)
        text = reader.communicate(timeout=60)[0]
    assert shown.code == 0, shown.err
    assert text.startswith(b'{"rows"' if ending == ".json" else b"path,")
    assert pipe.is_fifo()


def test_process_substitution_is_written_to(detector, tree, tmp_path):
    out = tmp_path / "scores.gz"
    shown = run("score", detector, tree / "fan" / "test", shell=f"--out >(gzip > {out}) && sleep 1")
    assert shown.returncode == 0, shown.stderr
    assert subprocess.check_output(["gzip", "-dc", out]).startswith(b"path,")
