"""The demonstration: synthesise machines, train two detectors, find faults, show the result."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

from offkey import datasets
from offkey._util.files import check_folder
from offkey.detector import Detector, load
from offkey.errors import MissingExtraError
from offkey.evaluation.protocols import Evaluation, evaluate
from offkey.recipe import Recipe
from offkey.report import Panel, html, overview
from offkey.scores import ScoreTable
from offkey.signal.logmel import LogMel

__all__ = ["DemoResult", "demo"]

MACHINE = "fan"
RECIPES = ("spectral", "near")
_NEEDED = ("torch", "matplotlib", "sklearn", "jinja2")
_SHOWN = 12
"""Recordings on the page: so many are quickly made, and need no lossy coding."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Results of the demonstration."""

    evaluations: dict[str, Evaluation]
    """For each recipe."""
    picture: Path
    report: Path
    """The page, of the first recipe's detector."""
    detectors: dict[str, Path]
    """For each recipe the saved detector."""
    seconds: dict[str, float]
    """Seconds that each part took."""


def demo(
    out: str | Path,
    *,
    seed: int = 0,
    on_step: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_event: Callable[[object], None] | None = None,
) -> DemoResult:
    """Synthesise four types of machines, learn one of them with two recipes, and see which faults are found.

    Parameters
    ----------
    out
        A folder for recordings, detectors, scores, the picture and the report, created if it does not exist. Recordings
        of an earlier demonstration with the same seed are reused.
    seed
        Seed of all random choices.
    on_step
        Called with a sentence when a part begins.
    on_progress
        Called with (done, total) recordings while they are synthesised.
    on_event
        Called with the events of the networks' training.

    Raises
    ------
    DatasetError
        If the folder holds recordings of another seed, or something else.
    MissingExtraError
        If torch, matplotlib, scikit-learn or jinja2 is not installed.
    OSError
        If nothing can be written into the folder.
    """
    out = Path(out)
    _check_extras()
    check_folder(out)
    say = on_step or (lambda _text: None)
    clock = _Clock()
    say("1/4  Synthesising fans, pumps, sliders and valves in a noisy factory")
    recordings = out / "recordings"
    datasets.synthetic.write(
        recordings,
        clips_train=60,
        clips_test_normal=20,
        clips_test_anomaly=20,
        seed=seed,
        resume=True,
        progress=on_progress,
    )
    clock.lap("synthesis")
    data = datasets.dcase2020(recordings / "dev_data", machine=MACHINE)
    evaluations, panels, detectors = {}, [], {}
    for number, name in enumerate(RECIPES, 2):
        say(
            f"{number}/4  Training recipe {name!r} on {len(data.train)} normal clips of {MACHINE}s, then scoring"
        )
        detector = Detector(Recipe.named(name)).fit(data, seed=seed, on_event=on_event)
        detectors[name] = out / f"{MACHINE}-{name}.offkey"
        detector.save(detectors[name])
        scores = detector.score(data.test)
        scores.write(out / f"scores-{name}.csv")
        evaluations[name] = evaluate(scores, data.test)
        panels.append(_panel(name, detector, data, scores))
        clock.lap(name)
    say("4/4  Drawing, and writing the report")
    overview(panels, out / "overview.png")
    clock.lap("drawing")
    shown, other = RECIPES
    evaluations[other].write(out / f"evaluation-{other}.json")
    html(
        [out / f"scores-{shown}.csv", out / f"evaluation-{other}.json"],
        out / "report.html",
        detector=load(detectors[shown]),
        recordings=recordings,
        most_shown=_SHOWN,
    )
    clock.lap("report")
    return DemoResult(
        evaluations=evaluations,
        picture=out / "overview.png",
        report=out / "report.html",
        detectors=detectors,
        seconds=clock.laps,
    )


def _check_extras() -> None:
    """Check at the start what would fail only at the end."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the demonstration needs {', '.join(missing)}: pip install 'offkey[train,report]'"
        )


def _panel(name: str, detector: Detector, data: datasets.Dataset, scores: ScoreTable) -> Panel:
    test = data.test
    if detector.recipe.near:
        points, of = detector.embeddings(test), "the networks' embeddings"
    else:
        logmel = LogMel.from_recipe(detector.recipe.features)
        points, of = logmel.statistics_from_files(test.paths).statistics.mean, "the mean log-Mel spectra"
    return Panel(
        title=f"{MACHINE}, recipe {name!r}",
        scores=scores.anomaly_score,
        labels=test.labels,
        machine_ids=tuple(machine_id or "?" for machine_id in test.machine_ids),
        points=points,
        points_of=of,
    )


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
