"""Detectors that earlier versions saved load and give the scores that they gave then.

Decisions may differ: thresholds now are ranks as conformal prediction asks for, and were lower.

The files are written once for each version by `make.py`. The tolerance is that of float32 networks on other processors.
"""

import json
from pathlib import Path

import pytest

import offkey

HERE = Path(__file__).parent
CASES = [(path.parent.name, path.stem) for path in sorted(HERE.glob("*/*.offkey"))]
RAW = ("a_out", "a_arc", "a_maha", "a_spectral", "anomaly_score")


def test_every_version_has_a_detector_of_each_recipe():
    versions = {version for version, _ in CASES}
    assert "0.1.0" in versions
    for version in versions:
        assert {name for v, name in CASES if v == version} >= {"spectral", "small", "paper", "both"}


@pytest.mark.parametrize(("version", "name"), CASES)
def test_saved_detectors_keep_their_scores(version, name):
    if name != "spectral":
        pytest.importorskip("torch")
    expected = json.loads((HERE / version / "scores.json").read_text(encoding="utf-8"))[name]
    detector = offkey.load(HERE / version / f"{name}.offkey")
    table = detector.score(HERE / "recordings", device="cpu")
    rows = {Path(row["path"]).name: row for row in table.rows()}
    assert sorted(rows) == sorted(row["file"] for row in expected)
    for row in expected:
        now = rows[row["file"]]
        for score in (score for score in RAW if score in row):
            assert now[score] == pytest.approx(row[score], rel=1e-3, abs=1e-3), (row["file"], score)
        assert now["scored_as"] == row["scored_as"]
        assert now["decision"] == (now["anomaly_score"] > now["threshold"])
