"""What a user sees before any work is done."""

import json
import subprocess
import sys

import pytest

from offkey import __version__

COMMANDS = (
    "demo",
    "train",
    "score",
    "explain",
    "confirm",
    "update",
    "evaluate",
    "report",
    "trend",
    "bench",
    "info",
    "synth",
)


def test_the_list_of_commands_says_what_each_does(offkey):
    for arguments in ((), ("--help",)):
        shown = offkey(*arguments)
        assert shown.code == 0
        assert shown.err == ""
        lines = shown.out.splitlines()
        rows = [next(line for line in lines if f" {name} " in line) for name in COMMANDS]
        assert [lines.index(row) for row in rows] == sorted(lines.index(row) for row in rows)
        assert all(len(row.split()) > 5 for row in rows)
        assert "130 stopped" in " ".join(shown.out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_explains_every_parameter_and_gives_an_example(offkey, name):
    shown = offkey(name, "--help")
    assert shown.code == 0
    assert shown.err == ""
    assert f"Usage: offkey {name}" in shown.out
    assert f"offkey {name} " in shown.out.partition("Examples:")[2]
    assert "--no-json" not in shown.out
    assert "[default: False]" not in shown.out
    described = [line for line in shown.out.splitlines() if line.lstrip("│* ").startswith("--")]
    assert described
    assert all(len(line.strip("│ *").split()) > 2 for line in described)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_the_same_as_the_command_itself(name):
    import importlib

    from offkey.cli import _COMMANDS

    doc = getattr(importlib.import_module(f"offkey.cli.{name}"), name).__doc__
    assert doc.splitlines()[0] == _COMMANDS[name]


def test_version(offkey):
    assert offkey("--version").out.strip() == __version__


def test_help_and_version_load_no_heavy_library():
    code = """
import json, sys
from offkey.cli import run
run(["--help"]); run(["--version"])
print(json.dumps(sorted(sys.modules)))
"""
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    loaded = set(json.loads(shown.splitlines()[-1]))
    assert not loaded & {"torch", "matplotlib", "soundfile", "scipy", "sklearn", "offkey.detector"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "bogus"),
        (["train"], "DATA"),
        (["train", "data"], "--out"),
        (["train", "data", "--out", "x", "--seed", "one"], "--seed"),
        (["train", "data", "--out", "x", "--device", "tpu"], "--device"),
        (["score", "x.offkey"], "RECORDINGS"),
        (["info", "--colour", "x"], "--colour"),
        (["synth", "x", "--machines", "toaster"], "toaster"),
    ],
)
def test_wrong_usage_is_said_on_stderr(offkey, arguments, message):
    shown = offkey(*arguments)
    assert shown.code == 2
    assert shown.out == ""
    assert message in shown.err
