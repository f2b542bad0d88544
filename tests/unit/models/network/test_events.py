import json
import sys
import threading
from pathlib import Path

import pytest

from offkey.errors import MissingExtraError, TrainingError
from offkey.models.network.events import (
    EpochEnded,
    MetricsFile,
    Note,
    Resumed,
    TensorBoard,
    read_metrics,
    several,
)


def epoch(number, stage=1):
    return EpochEnded(
        stage=stage,
        epoch=number,
        epochs=3,
        losses={"total": 2.5 / number, "id": 1.0},
        steps_per_s=4.0,
        eta_s=10.0 - number,
    )


def test_a_line_for_each_epoch_as_it_ends(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("of another training\n")
    observe = MetricsFile(path)
    observe(Note(text="nothing to write"))
    observe(epoch(1))
    assert json.loads(path.read_text()) == {
        "epoch": 1, "stage": 1, "losses": {"total": 2.5, "id": 1.0}, "steps_per_s": 4.0, "eta_s": 9.0
    }  # fmt: skip
    observe(epoch(1, stage=2))
    assert [(line.epoch, line.stage) for line in read_metrics(path)] == [(1, 1), (2, 2)]


def test_a_resumed_training_goes_on_in_its_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    before = MetricsFile(path)
    for number in (1, 2, 3):
        before(epoch(number))
    after = MetricsFile(path)
    after(Resumed(path=tmp_path, epochs_done=2, spent_s=1.0))
    assert [line.epoch for line in read_metrics(path)] == [1, 2]
    after(epoch(3))
    assert [line.epoch for line in read_metrics(path)] == [1, 2, 3]


def test_what_an_interruption_has_left_does_not_stay(tmp_path):
    path = tmp_path / "metrics.jsonl"
    before = MetricsFile(path)
    for number in (1, 2, 3):
        before(epoch(number))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "of another training\n" + lines[2] + lines[2] + lines[1][:20])
    after = MetricsFile(path)
    after(Resumed(path=tmp_path, epochs_done=3, spent_s=1.0))
    after(epoch(1, stage=2))
    assert [line.epoch for line in read_metrics(path)] == [1, 3, 4]


def test_a_binary_file_is_no_metrics_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(TrainingError, match="not a metrics file"):
        read_metrics(path)


def test_a_line_that_is_being_written_is_not_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    MetricsFile(path)(epoch(1))
    with path.open("a") as file:
        file.write('{"epoch": 2, "sta')
    assert len(read_metrics(path)) == 1
    with path.open("a") as file:
        file.write("\n")
    with pytest.raises(TrainingError, match=r"metrics.jsonl: not a metrics file"):
        read_metrics(path)


def test_several_observers_hear_each_event_in_order():
    heard = []
    several(lambda e: heard.append((1, e)), lambda e: heard.append((2, e)))(epoch(1))
    assert [number for number, _ in heard] == [1, 2]


def test_tensorboard_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(MissingExtraError, match="pip install tensorboard"):
        TensorBoard(tmp_path)


def test_tensorboard_reads_losses_and_speed(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = TensorBoard(tmp_path / "logs")
    board(Resumed(path=tmp_path, epochs_done=4, spent_s=1.0))
    board(epoch(1))
    board(epoch(2))
    shown = accumulators.EventAccumulator(str(tmp_path / "logs")).Reload()
    for name, values in {"loss/total": (2.5, 1.25), "loss/id": (1, 1), "steps_per_s": (4, 4)}.items():
        scalars = shown.Scalars(name)
        assert [scalar.step for scalar in scalars] == [5, 6]
        assert tuple(scalar.value for scalar in scalars) == values


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_a_full_disk_names_the_file_of_tensorboard_and_is_said_once(tmp_path, capfd):
    pytest.importorskip("tensorboard")
    threads = threading.active_count()
    board = TensorBoard(tmp_path)
    (log,) = tmp_path.iterdir()
    log.unlink()
    log.symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"No space left on device: '{log}'"):
        board(epoch(1))
    assert threading.active_count() == threads  # nothing is left that could fail on its own
    assert capfd.readouterr().err == ""


def test_a_folder_that_takes_no_log_is_named(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"'{tmp_path}/file"):
        TensorBoard(tmp_path / "file" / "logs")
