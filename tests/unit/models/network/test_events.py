import json
import sys

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
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match="pip install tensorboard"):
        TensorBoard(tmp_path)


def test_tensorboard_gets_losses_and_speed(tmp_path, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def flush(self):
            written.append("flushed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", type(sys)("tensorboard"))
    sys.modules["torch.utils.tensorboard"].SummaryWriter = Writer
    board = TensorBoard(tmp_path)
    board(Resumed(path=tmp_path, epochs_done=4, spent_s=1.0))
    board(epoch(1))
    assert written == [
        str(tmp_path), ("loss/total", 2.5, 5), ("loss/id", 1.0, 5), ("steps_per_s", 4.0, 5), "flushed"
    ]  # fmt: skip


def test_a_full_disk_names_the_folder_of_tensorboard(tmp_path, monkeypatch):
    class Full:
        def __init__(self, folder): ...

        def add_scalar(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", type(sys)("tensorboard"))
    sys.modules["torch.utils.tensorboard"].SummaryWriter = Full
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}'"):
        TensorBoard(tmp_path)(epoch(1))
