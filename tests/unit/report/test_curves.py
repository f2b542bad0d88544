from pathlib import Path

import pytest

from offkey.models.network.events import EpochEnded, MetricsFile
from offkey.report import overview, training_curves


def test_losses_are_drawn_while_they_are_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    observe = MetricsFile(path)
    for epoch in range(12):
        stage = 1 + epoch // 8
        losses = {"total": 5 - 0.3 * epoch, "id": 3 - 0.2 * epoch} | ({"type": 0.5} if stage == 2 else {})
        observe(EpochEnded(stage=stage, epoch=1, epochs=8, losses=losses, steps_per_s=2.0, eta_s=1.0))
        if epoch in (0, 11):
            training_curves(path, tmp_path / f"{epoch}.png")
    for epoch in (0, 11):
        assert (tmp_path / f"{epoch}.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_file_is_an_empty_picture(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    training_curves(tmp_path / "metrics.jsonl", tmp_path / "none.svg")
    assert "<svg" in (tmp_path / "none.svg").read_text()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        training_curves(tmp_path / "metrics.jsonl", tmp_path / "none.png")


def test_a_picture_that_cannot_be_written_is_told_before_it_is_drawn(tmp_path, monkeypatch):
    def too_late(*_):
        raise AssertionError("drawing began")

    monkeypatch.setattr("offkey.report.canvas.new_figure", too_late)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        overview([], tmp_path / "nowhere" / "a.png")
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        training_curves(tmp_path / "metrics.jsonl", tmp_path / "nowhere" / "a.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_names_the_metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    observe = MetricsFile(path)
    event = EpochEnded(stage=1, epoch=1, epochs=8, losses={"total": 1.0}, steps_per_s=2.0, eta_s=1.0)
    observe(event)
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*metrics\.jsonl'"):
        observe(event)
