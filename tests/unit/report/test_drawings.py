"""Each drawing, by the data in it: on axes that are given, or on those of a figure of its own."""

import statistics
import sys

import numpy as np
import pytest

import offkey
from offkey import report
from offkey.errors import ArrayError, MissingExtraError, ParameterError
from offkey.metrics import roc_curve
from offkey.report.canvas import BLUE, RED, new_figure
from offkey.report.plotted import calibration
from offkey.signal.cells import Cells

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], [60, 40])
SCORES = RNG.normal(size=100) + 1.5 * LABELS
VECTORS = np.concatenate([RNG.normal(size=(20, 8)), RNG.normal(size=(20, 8)) + 8])
SAMPLES = RNG.standard_normal(16_000).astype(np.float32) * 0.1
FRONTEND = offkey.LogMel()
LOGMEL = FRONTEND(SAMPLES[None])[0]
CELLS = Cells.of(FRONTEND, len(SAMPLES))

EVERY = {
    "roc": lambda ax: report.draw_roc(LABELS, SCORES, ax=ax),
    "det": lambda ax: report.draw_det(LABELS, SCORES, ax=ax),
    "histogram": lambda ax: report.draw_histogram(SCORES, ax=ax),
    "calibration": lambda ax: report.draw_calibration([0.2, 0.7], ax=ax),
    "scores": lambda ax: report.draw_scores(SCORES, ax=ax),
    "logmel": lambda ax: report.draw_logmel(LOGMEL, cells=CELLS, ax=ax),
    "embeddings": lambda ax: report.draw_embeddings(VECTORS, ax=ax),
}


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_axes_are_drawn_on_and_returned(draw, tmp_path):
    figure = new_figure(4, 3)
    axes = figure.subplots()
    assert draw(axes) is axes
    assert figure.axes == [axes]
    own = draw(None)
    own.figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"offkey\[report\]"):
        report.draw_scores(SCORES)


def test_a_roc_curve_and_its_partial_area():
    axes = report.draw_roc(LABELS, SCORES, max_fpr=0.2, name="fan 00")
    report.draw_roc(LABELS, -SCORES, ax=axes, max_fpr=0.2, name="fan 02")
    chance, first, second = axes.lines
    curve = roc_curve(LABELS, SCORES)
    np.testing.assert_array_equal(first.get_xdata(), curve.false_positive_rate)
    np.testing.assert_array_equal(first.get_ydata(), curve.true_positive_rate)
    assert first.get_color() != second.get_color() != chance.get_color()
    (region,) = axes.patches
    assert region.get_window_extent().width == pytest.approx(
        axes.transData.transform([0.2, 0])[0] - axes.bbox.x0
    )
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    area = offkey.metrics.auc(LABELS, SCORES)
    assert shown == [f"fan 00: AUC {area:.3f}", f"fan 02: AUC {1 - area:.3f}"]
    with pytest.raises(ParameterError):
        report.draw_roc(LABELS, SCORES, max_fpr=0)


def test_an_error_trade_off_of_gaussians_is_a_straight_line():
    quantile = np.vectorize(statistics.NormalDist().inv_cdf)
    normals = quantile((np.arange(4000) + 0.5) / 4000)
    labels, scores = np.repeat([0, 1], 4000), np.concatenate([normals, normals + 2])
    axes = report.draw_det(labels, scores, name="fan")
    x, y = (np.array(data) for data in axes.lines[0].get_data())
    inside = (np.abs(x) < 2.2) & (np.abs(y) < 2.2)
    np.testing.assert_allclose((x + y)[inside], -2, atol=0.05)
    assert [text.get_text() for text in axes.get_xticklabels()][:3] == ["1%", "2%", "5%"]
    assert axes.get_xlim() == axes.get_ylim()


def test_histograms_count_every_score():
    far = np.append(SCORES, 1e6)
    axes = report.draw_histogram(far, labels=[*LABELS, 1], threshold=1.0)
    normal, anomalous = (part.get_data().values.sum() for part in axes.patches)
    assert (normal, anomalous) == (60, 41)
    assert axes.get_xlim()[1] < 100
    assert axes.lines[0].get_xdata()[0] == 1.0
    for scores, labels in ((SCORES, np.zeros(100)), ([2.0, 2.0], None)):
        (alone,) = report.draw_histogram(scores, labels=labels).patches
        assert alone.get_data().values.sum() == len(scores)
    with pytest.raises(ArrayError, match="one for each of 100 scores"):
        report.draw_histogram(SCORES, labels=[0, 1])


def test_a_calibration_curve_lies_within_its_reach_where_p_values_are_right():
    p_values = (RNG.permutation(400) + 1) / 401
    asked, raised, reach = calibration(p_values)
    axes = report.draw_calibration(p_values, name="fan")
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), raised)
    assert np.abs(raised - asked).max() < 0.01 < reach
    assert raised[np.argmin(np.abs(asked - 0.25))] == np.mean(p_values <= 0.25)
    assert np.abs(calibration(p_values**3).raised - asked).max() > reach


def test_the_reach_of_a_calibration_curve_holds_in_95_of_100():
    """By the bound it is at least 95%, and for so many it is hardly more."""
    p_values = np.random.default_rng(1).random((1000, 200))
    ranked = np.sort(p_values, axis=1)
    steps = np.arange(201) / 200
    farthest = np.maximum(np.abs(steps[1:] - ranked), np.abs(steps[:-1] - ranked)).max(axis=1)
    held = np.mean(farthest <= calibration(p_values[0]).reach)
    assert 0.94 < held < 0.98


@pytest.mark.parametrize("p_values", [[], [0.0], [1.2], [np.nan]])
def test_p_values_that_are_none(p_values):
    with pytest.raises(ArrayError, match="p_values"):
        report.draw_calibration(p_values)


def test_scores_over_time_with_their_threshold():
    times = np.datetime64("2026-05-01") + np.arange(4)
    axes = report.draw_scores([1.0, 3.0, 0.5, 2.5], times=times, thresholds=[2.0, 2.0, 2.0, np.nan])
    usual, odd, limits = axes.lines
    assert usual.get_ydata().tolist() == [1.0, 0.5, 2.5]
    assert odd.get_ydata().tolist() == [3.0]
    assert odd.get_xdata().tolist() == [times[1]]
    assert (usual.get_color(), odd.get_color()) == (BLUE, RED)
    assert usual.get_marker() != odd.get_marker()  # not by colour alone
    assert len(limits.get_xdata()) == 4
    told = report.draw_scores([1.0, 3.0], called=[True, False])
    assert told.lines[1].get_xdata().tolist() == [1]
    assert len(told.lines) == 2
    for wrong in ({"scores": []}, {"scores": [np.inf]}, {"scores": [1.0], "called": [True, False]}):
        with pytest.raises(ArrayError):
            report.draw_scores(**wrong)


def test_a_log_mel_lies_over_hertz_and_seconds():
    axes = report.draw_logmel(LOGMEL, cells=CELLS, start_s=30.0, range_db=20)
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), LOGMEL)
    assert image.get_extent() == [30.0, 31.0, 0.0, 128.0]
    assert image.get_clim() == (pytest.approx(LOGMEL.max() - 20), LOGMEL.max())
    ticks = dict(zip((text.get_text() for text in axes.get_yticklabels()), axes.get_yticks(), strict=True))
    assert np.interp(ticks["1k"], np.arange(129), CELLS.edges_hz) == pytest.approx(1000)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time in s", "frequency in Hz")
    with pytest.raises(ArrayError, match=r"expected \(128, "):
        report.draw_logmel(LOGMEL[:64], cells=CELLS)


def test_embeddings_of_each_id_and_class_are_told_apart():
    ids = ["00"] * 20 + ["02"] * 20
    axes = report.draw_embeddings(VECTORS, labels=[0, 1] * 20, machine_ids=ids)
    names = [part.get_label() for part in axes.collections]
    assert names == ["00 normal", "00 anomalous", "02 normal", "02 anomalous"]
    places = [part.get_offsets().mean(axis=0) for part in axes.collections]
    apart = np.linalg.norm(places[0] - places[2])
    assert apart > 5 * np.linalg.norm(places[0] - places[1])
    again = report.draw_embeddings(VECTORS)
    assert [len(part.get_offsets()) for part in again.collections] == [40]
    assert again.get_legend() is None
    for wrong in (VECTORS[:1], VECTORS[:, 0], VECTORS * np.nan):
        with pytest.raises(ArrayError, match="vectors"):
            report.draw_embeddings(wrong)
