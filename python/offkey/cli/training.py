"""What is shown while a network trains."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from offkey.cli import console

__all__ = ["TrainingDisplay"]


class TrainingDisplay:
    """Draws a bar for each stage on a terminal, with the losses of the last epoch; silent when piped."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console.stderr, disable=not console.stderr.is_terminal)
        self._task: TaskID | None = None
        self._steps_per_epoch = 1

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def __call__(self, event: object) -> None:
        """Show one event of `offkey.training.events`."""
        from offkey.training import events

        match event:
            case events.StageStarted():
                self._steps_per_epoch = event.steps_per_epoch
                tasks = " + ".join(event.tasks)
                total = event.epochs * event.steps_per_epoch
                self._task = self._bars.add_task(f"stage {event.stage}: {tasks}", total=total, state="")
            case events.StepEnded() if self._task is not None:
                done = (event.epoch - 1) * self._steps_per_epoch + event.step
                self._bars.update(self._task, completed=done)
            case events.EpochEnded() if self._task is not None:
                losses = ", ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
                self._bars.update(self._task, state=f"{losses}, {event.steps_per_s:.1f} steps/s")
            case events.Resumed():
                console.note(f"going on from {event.path}, after {event.epochs_done} epochs")
