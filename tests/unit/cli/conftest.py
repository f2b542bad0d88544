"""A small tree, detectors of it, and a way to run a command as a shell would."""

import dataclasses
import functools
import shutil

import pytest
from machines import write_tree
from tiny_recipe import SPECTRAL
from tiny_recipe import TINY as SMALLEST

from offkey.cli import run

TINY = SMALLEST.replace(training__stage1_epochs=2, training__clip_seconds=1.0)


@dataclasses.dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def offkey(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; whatever it prints, it must not be a traceback."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert "Warning" not in printed.err
        return Outcome(code, printed.out, printed.err)

    return command


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """Two machine types of two IDs in the layout of DCASE 2020; not to be changed."""
    return write_tree(tmp_path_factory.mktemp("cli") / "dev_data", train=12, test=4)


@pytest.fixture(scope="session")
def detector(tree, tmp_path_factory):
    """A spectral detector of the fans."""
    path = tmp_path_factory.mktemp("cli") / "fan.offkey"
    assert run(["train", str(tree), "--machine", "fan", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A recipe file of a network that is trained in a second."""
    path = tmp_path_factory.mktemp("cli") / "tiny.json"
    path.write_text(TINY.to_json())
    return path


@pytest.fixture(scope="session")
def few_mels(tmp_path_factory):
    """A recipe file of `spectral` with few Mel bands."""
    path = tmp_path_factory.mktemp("cli") / "spectral.json"
    path.write_text(SPECTRAL.to_json())
    return path


@pytest.fixture
def train(offkey, few_mels):
    """Run `offkey train` with few Mel bands."""
    return functools.partial(offkey, "train", "--recipe", few_mels)


@pytest.fixture
def own_tree(tree, tmp_path):
    """A copy of the tree that a test may break."""
    return shutil.copytree(tree, tmp_path / "own")
