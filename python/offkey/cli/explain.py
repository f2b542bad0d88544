"""`offkey explain`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from offkey._util.files import check_folder, check_new, check_writable
from offkey._util.words import reason
from offkey.cli import console, exit_codes
from offkey.cli.options import Device, RateOptions
from offkey.datasets.recordings import Item, items_of
from offkey.detector import load
from offkey.errors import ArrayError, AudioError, DatasetError, ParameterError
from offkey.explain import Explanation, healthy_file, sound_files, write_sounds
from offkey.signal.audio import MAX_SECONDS

__all__ = ["explain"]

_PICTURES = (".png", ".svg", ".pdf")


def explain(
    detector: Path,
    recordings: list[str],
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    listen: Path | None = None,
    healthy: Path | None = None,
    machine_id: str | None = None,
    rate: RateOptions = RateOptions(),  # noqa: B008  # immutable
    device: Device = "auto",
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    json: bool = False,
) -> int:
    """Say where in recordings their scores come from, and how they differ from healthy ones.

    Prints the odd bands of frequency and times, which statistics spoke, and the healthy training recording most like
    it. Of a long recording the worst window is explained.

    Parameters
    ----------
    detector
        A detector that `offkey train` wrote.
    recordings
        Sound files, folders that are searched for them, or patterns such as `"odd/*.wav"`; on object storage too, such
        as `s3://bucket/odd.wav`.
    out
        Draw a picture of each: into this file (`.png`, `.svg`, `.pdf`), numbered where there are several recordings, or
        into this folder, as PNG under the recordings' names. Needs `pip install 'offkey[report]'`.
    listen
        Write sounds into this folder: each recording, and its odd bands and times alone (`-odd.wav`). No file is
        written over.
    healthy
        The folder of the training recordings; with `--listen` the healthy recording most like each is written too
        (`-healthy.wav`).
    machine_id
        ID of the recorded machine. By default as for `offkey score`.
    device
        `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`; only the network uses it.
    max_seconds
        Longer recordings are not explained; 24 hours by default.
    threads
        Number of threads of the kernels and torch; all cores by default.
    json
        Print the explanations as JSON.
    """
    if out is not None:
        from offkey.report.canvas import new_figure

        new_figure(1, 1)
        check_writable(out) if out.suffix in _PICTURES else check_folder(out)
    if listen is not None:
        check_folder(listen)
    if healthy is not None:
        if listen is None:
            raise ParameterError("--healthy: is for sounds; give it with --listen")
        if not healthy.is_dir():
            raise NotADirectoryError(f"{healthy}: no such folder; expected that of the training recordings")
    options: dict[str, Any] = {
        "false_alarm_rate": rate.rate(),
        "device": device,
        "max_seconds": max_seconds,
        "num_threads": threads,
    }
    trained = load(detector)
    items = list(items_of(recordings, machine_id=machine_id, known_ids=trained.machine_ids))
    names = list(_names(items))
    if listen is not None:
        for path in itertools.chain.from_iterable(sound_files(listen, name) for name in names):
            check_new(path)
    states, failed = [], 0
    for number, (item, name) in enumerate(zip(items, names, strict=True), start=1):
        recording = item.content if isinstance(item.content, Path) else item.name
        try:
            explanation = trained.explain(recording, machine_id=item.machine_id, **options)
        except (ArrayError, AudioError, DatasetError, OSError) as error:
            console.error(reason(error))
            failed += 1
            continue
        states.append(explanation.state())
        if not json:
            console.result(explanation.to_text())
        if out is not None:
            _draw(explanation, _picture(out, name, number if len(items) > 1 else None))
        if listen is not None:
            _write(explanation, listen, name, healthy)
    if json:
        console.print_json({"explanations": states})
    return exit_codes.REFUSED if failed and not states else exit_codes.partly(failed)


def _names(items: list[Item]) -> Iterator[str]:
    """Yield what the files of each recording are called: its name, numbered where a file of another is called so."""
    taken: set[Path] = set()
    for item in items:
        stem = Path(item.name).stem
        numbered = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        name, files = next(
            (name, files) for name in numbered for files in [sound_files("", name)] if taken.isdisjoint(files)
        )
        taken.update(files)
        yield name


def _picture(out: Path, name: str, number: int | None) -> Path:
    if out.suffix in _PICTURES:
        return out if number is None else out.with_stem(f"{out.stem}-{number}")
    out.mkdir(parents=True, exist_ok=True)
    return out / f"{name}.png"


def _draw(explanation: Explanation, path: Path) -> None:
    from offkey.report import explanation_plot

    explanation_plot(explanation, path)
    console.note(f"picture written to {path}")


def _write(explanation: Explanation, folder: Path, name: str, healthy: Path | None) -> None:
    file = None if healthy is None else healthy_file(explanation, healthy)
    if healthy is not None and file is None:
        console.warn(f"{name}: no healthy recording that is like it was found in {healthy}")
    for path in write_sounds(explanation, folder, name=name, healthy=file):
        console.note(f"sound written to {path}")
