"""What is shown while a network trains."""

from __future__ import annotations

from collections.abc import Mapping

from rich.progress import TaskID

from offkey.cli import console

__all__ = ["TrainingDisplay"]


class TrainingDisplay:
    """Draws a bar for each stage on a terminal, with the losses of the last epoch; a line for each that is done."""

    def __init__(self, bars: console.Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._name = ""
        self._steps_per_epoch = 1

    def __call__(self, event: object) -> None:
        """Show one event of `offkey.training.events`."""
        from offkey.training import events

        match event:
            case events.StageStarted():
                self._steps_per_epoch = event.steps_per_epoch
                self._name = f"stage {event.stage} ({', '.join(event.tasks)})"
                self._task = self._bars.add(f"stage {event.stage}", event.epochs * event.steps_per_epoch)
            case events.StepEnded() if self._task is not None:
                self._bars.update(self._task, (event.epoch - 1) * self._steps_per_epoch + event.step)
            case events.EpochEnded() if self._task is not None:
                state = (
                    f"epoch {event.epoch}/{event.epochs}, loss {event.losses['total']:.2f}, "
                    f"{event.steps_per_s:.3g} steps/s"
                )
                self._bars.update(self._task, event.epoch * self._steps_per_epoch, state=state)
                if event.epoch == event.epochs:
                    self._bars.remove(self._task)
                    self._task = None
                    console.note(f"{self._name}: {event.epochs} epochs, {_shown(event.losses)}")
            case events.TrainingStarted():
                console.note(f"training on {event.device} in {event.precision}")
            case events.Resumed():
                console.note(f"going on from {event.path}, after {event.epochs_done} epochs")


def _shown(losses: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.3f}" for name, value in losses.items() if name != "total")
    return f"loss {losses['total']:.3f} ({parts})"
