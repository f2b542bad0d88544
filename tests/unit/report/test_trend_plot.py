import dataclasses

import numpy as np
import pytest

import offkey
from offkey.errors import ParameterError
from offkey.monitoring import Trends
from offkey.report import trend_plot


@pytest.fixture
def trends() -> Trends:
    """Two machines: one with an alarm that is over, one whose only recording has no score."""
    p_values = [0.5] * 10 + [1 / 61] * 8 + [1.0] * 10
    days = [f"{np.datetime64('2026-05-01') + day}" for day in range(len(p_values))]
    return offkey.trend(
        offkey.ScoreTable(
            path=[*(f"a_{day}.wav" for day in days), "lost_2026-05-01.wav"],
            machine_id=["00"] * len(days) + ["02"],
            anomaly_score=[*(-np.log(p_values)), None],
            p_value=[*p_values, None],
            calibration_clips=[60] * len(days) + [None],
        )
    )


def test_machines_are_drawn_without_thresholds_and_those_without_a_score_left_out(trends, tmp_path):
    assert [machine.state for machine in trends.machines] == ["quiet", "unknown"]
    assert trends.machines[0].alarms[0].until is not None
    trend_plot(trends, tmp_path / "t.svg")
    text = (tmp_path / "t.svg").read_text()
    assert "<!-- 00: quiet now, 1 alarm before -->" in text
    assert "<!-- 02" not in text


def test_more_machines_than_a_picture_holds_are_refused(trends, tmp_path):
    many = dataclasses.replace(trends, machines=trends.machines[:1] * 101)
    with pytest.raises(ParameterError, match="101 machines: expected at most 100 in a picture"):
        trend_plot(many, tmp_path / "t.png")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_written_is_told_first(trends, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        trend_plot(trends, tmp_path / "nowhere" / "t.png")
