"""The picture of an explanation."""

import dataclasses
import sys

import numpy as np
import pytest
from machines import write_tree

import offkey
from offkey import datasets
from offkey.errors import MissingExtraError
from offkey.report import draw_map, explanation_plot

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def explanation(tmp_path_factory):
    tree = write_tree(
        tmp_path_factory.mktemp("plot") / "dev_data", machines=("fan",), ids=("00",), train=12, test=1
    )
    recipe = offkey.Recipe.named("spectral").replace(spectral__check=False)
    detector = offkey.Detector(recipe).fit(datasets.dcase2020(tree, machine="fan"))
    return detector.explain(tree / "fan" / "test" / "anomaly_id_00_00000000.wav")


def test_what_is_drawn(explanation, tmp_path, monkeypatch):
    """The log-Mel, the map, the level between those of healthy clips, and the sentences."""
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: (figures.append(figure), path.touch()))
    explanation_plot(explanation, tmp_path / "map.png")
    upper, lower = figures[0].subfigs
    log_mel, levels, added, *_ = upper.axes
    np.testing.assert_array_equal(log_mel.images[0].get_array(), explanation.picture.logmel)
    assert added.images[0].get_array().shape == explanation.map.shape
    np.testing.assert_allclose(levels.lines[0].get_xdata(), explanation.picture.logmel.mean(axis=1))
    assert len(log_mel.patches) == sum(len(band.stretches) for band in explanation.bands)
    text = " ".join(lower.texts[0].get_text().split())
    assert all(sentence in text for sentence in explanation.sentences)


def test_the_map_alone(explanation):
    axes = draw_map(explanation)
    np.testing.assert_array_equal(axes.images[0].get_array(), explanation.map)
    assert len(axes.patches) == sum(len(band.stretches) for band in explanation.bands)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_is_written_in_each_format(explanation, tmp_path, ending):
    quiet = dataclasses.replace(
        explanation, bands=(), path="$x$ \\frac.wav", sentences=("$x$ <b>",), healthy_db=None, start_s=30.0
    )
    explanation_plot(quiet, tmp_path / f"map.{ending}")
    assert (tmp_path / f"map.{ending}").stat().st_size > 1000
    assert [path.name for path in tmp_path.iterdir()] == [f"map.{ending}"]


def test_a_picture_that_cannot_be_written_or_drawn(explanation, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        explanation_plot(explanation, tmp_path / "missing" / "map.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"offkey\[report\]"):
        explanation_plot(explanation, tmp_path / "map.png")
