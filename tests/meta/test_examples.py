"""The examples of docstrings, README and docs run, and give what they say."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree

import offkey

PACKAGE = Path(offkey.__file__).parent
ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text())


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=module_name)
def test_docstrings(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_name(path))
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert tests
    runner = doctest.DocTestRunner()
    report = []
    for test in tests:
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def python_blocks(name: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), flags=re.M | re.S))


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """The current folder has recordings of two machines, new ones to score, and a DCASE tree."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder, count, faulty in (
        ("recordings/left", 8, False),
        ("recordings/right", 8, False),
        ("incoming", 3, True),
    ):
        Path(folder).mkdir(parents=True)
        for n in range(count):
            hum_hz = 120.0 if folder.endswith("right") else 90.0
            sf.write(f"{folder}/{n}.wav", recording(rng, hum_hz=hum_hz, faulty=faulty), RATE, "PCM_16")
    write_tree(tmp_path / "dev_data")
    return tmp_path


def test_readme(recordings, capsys):
    names = {}
    exec(compile(python_blocks("README.md"), "README.md", "exec"), names)
    assert len(capsys.readouterr().out.splitlines()) == 3  # one for each new recording
    assert (recordings / "scores.parquet").exists()
    assert names["x"].shape[:2] == (16, 128)
    assert names["distances"].shape == (16, 2)


def test_docs_on_training(recordings):
    pytest.importorskip("torch")
    names = {"offkey": offkey, "data": offkey.datasets.dcase2020("dev_data", machine="fan")}
    offkey.Detector().fit(names["data"]).save("fan.offkey")
    block = python_blocks("docs/training.md")
    assert "range(80)" in block
    exec(compile(block.replace("range(80)", "range(1)"), "docs/training.md", "exec"), names)
    assert set(names["ids"].tolist()) == {-1, 0, 1}


def test_docs_on_near_anomalies(capsys):
    names = {}
    exec(compile(python_blocks("docs/near_anomalies.md"), "docs/near_anomalies.md", "exec"), names)
    assert names["changed"].shape == names["logmels"].shape
    assert capsys.readouterr().out.count("'") == 16  # a name for each clip
