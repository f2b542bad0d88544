"""The parts of the check: one function each, registered with its limit in seconds.

A part yields rows (a dict each, of figures and short texts); each row is kept as soon as it is yielded, so that a part
that fails or is stopped keeps what it has measured. `check.py` runs every part in a process of its own:

    python benches/gpu/parts.py NAME SETTING_AS_JSON ROWS_FILE

To add a part, write a function below ``@part("What it measures", limit_s=60)``. No part needs another one but for the
recordings of `recordings`, and for the detectors that `training` and `cpu_pair` leave, of which `scoring` and
`archive` take any.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MACHINE = "fan"
Row = dict[str, Any]
# What makes recipe `small` smaller for a quick run.
TINY = {
    "network__blocks": 1,
    "network__dim": 16,
    "network__heads": 2,
    "network__ffn_dim": 32,
    "training__batch_size": 4,
    "training__pseudo_anomalies": 4,
    "training__clip_seconds": 1.0,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """How the parts run."""

    device: str
    """`cuda` or `cpu`."""
    quick: bool
    """Whether to test the logic alone: a small network, a few clips, a few steps; the figures mean nothing."""
    work: Path
    """Recordings and detectors; not a part of the results."""

    @property
    def recordings(self) -> Path:
        return self.work / "recordings"

    def detector(self, name: str) -> Path:
        return self.work / f"{name}.offkey"

    @property
    def steps(self) -> int:
        """Steps of a round of the measurements of speed."""
        return 1 if self.quick else 60

    def recipe(self, stage1_epochs: int, stage2_epochs: int, **changes: object):
        """Recipe `paper` with so many epochs."""
        from offkey import Recipe

        if self.quick:
            stage1_epochs = stage2_epochs = 1
            changes |= TINY
        return Recipe.named("small" if self.quick else "paper").replace(
            name="paper-short",
            training__stage1_epochs=stage1_epochs,
            training__stage2_epochs=stage2_epochs,
            **changes,
        )

    def data(self, machine: str = MACHINE):
        from offkey import datasets

        return datasets.dcase2020(self.recordings / "dev_data", machine=machine)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    title: str
    limit_s: int
    run: Callable[[Setting], Iterator[Row]]
    leaves: str | None
    """What later parts need of it in the work folder: without that it is run again."""
    sitting: int
    """Which call of the check has time for it: the parts of one sitting together keep to the limit of a call."""


PARTS: dict[str, Part] = {}


def part(title: str, *, limit_s: int, leaves: str | None = None, sitting: int = 1):
    """Register a function as a part, under its own name and in the order of this file."""

    def register(run: Callable[[Setting], Iterator[Row]]) -> Callable[[Setting], Iterator[Row]]:
        PARTS[run.__name__] = Part(
            name=run.__name__, title=title, limit_s=limit_s, run=run, leaves=leaves, sitting=sitting
        )
        return run

    return register


@part("Machine", limit_s=20)
def machine(setting: Setting) -> Iterator[Row]:
    import numpy
    import torch

    import offkey

    if setting.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device here; --device cpu tests the logic of the check")
    yield {
        "device": torch.cuda.get_device_name() if setting.device == "cuda" else "CPU",
        "cores": len(os.sched_getaffinity(0)),
        "offkey": offkey.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "Python": platform.python_version(),
    }


@part("CUDA tests", limit_s=60)
def cuda_tests(setting: Setting) -> Iterator[Row]:
    """Run the tests marked `cuda`, from the files that have some: other files may need packages that are not here."""
    files = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if "mark.cuda" in path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", f"--junit-xml={report}"]
        command += ["-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
        status = subprocess.run([*command, "-o", "filterwarnings=ignore", *files], cwd=ROOT, check=False)
        suite = next(ET.parse(report).getroot().iter("testsuite"))
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    yield counts
    if status.returncode or not counts["tests"]:
        raise SystemExit(f"pytest ended with {status.returncode}")
    if setting.device == "cuda" and counts["skipped"]:
        raise SystemExit(f"{counts['skipped']} tests were skipped although the device is {setting.device}")


@part("Recordings (synthetic)", limit_s=40, leaves="recordings")
def recordings(setting: Setting) -> Iterator[Row]:
    from offkey.datasets import synthetic

    started = time.perf_counter()
    summary = synthetic.write(
        setting.recordings,
        machines=("fan", "pump", "valve"),
        clips_train=14 if setting.quick else 150,
        clips_test_normal=5 if setting.quick else 50,
        clips_test_anomaly=5 if setting.quick else 50,
        seconds=2.0 if setting.quick else 10.0,
        seed=0,
        resume=True,
    )
    yield {"recordings": summary.files, "seconds": time.perf_counter() - started}


def training_speed() -> Any:
    """Return the module that measures steps per second."""
    sys.path.insert(0, str(ROOT / "benches" / "python"))
    return importlib.import_module("training_speed")


def speed(
    setting: Setting,
    precision: str,
    *,
    compile: bool = False,  # noqa: A002
    graphs: bool = False,
) -> Iterator[Row]:
    """Measure steps per second: the loader alone, the network alone, both together."""
    yield from training_speed().rows(
        setting.data(),
        recipe=setting.recipe(80, 40),
        device=setting.device,
        precision=precision,
        compile=compile,
        graphs=graphs,
        steps=setting.steps,
    )


@part("Training speed, bfloat16, steps per second", limit_s=50)
def speed_bfloat16(setting: Setting) -> Iterator[Row]:
    yield from speed(setting, "bfloat16")


@part("Training speed, float32, steps per second", limit_s=55)
def speed_float32(setting: Setting) -> Iterator[Row]:
    yield from speed(setting, "float32")


def trained(
    setting: Setting, name: str, recipe: Any, device: str, precision: str, data: Any = None
) -> tuple[Any, Row]:
    """Train, keep the detector, score the test clips, and say how well it does."""
    import offkey
    from offkey.models.network.events import EpochEnded

    data, epochs = data or setting.data(), []
    started = time.perf_counter()
    detector = offkey.Detector(recipe).fit(
        data,
        seed=0,
        device=device,
        precision=precision,
        on_event=lambda event: epochs.append(event) if isinstance(event, EpochEnded) else None,
    )
    fit_s = time.perf_counter() - started
    detector.save(setting.detector(name))
    evaluation = offkey.evaluate(detector.score(data.test, device=device), data.test)
    aucs = {f"AUC {mean.score}": mean.auc for mean in evaluation.types}
    return detector, {
        "device": device,
        "precision": precision,
        **length(recipe),
        "training s": fit_s,
        "first loss": epochs[0].losses["total"],
        "last loss": epochs[-1].losses["total"],
        "steps/s": epochs[-1].steps_per_s,
        **aucs,
    }


def length(recipe: Any) -> Row:
    """Say how long a training is, in the terms of its recipe."""
    if recipe.near is not None:
        return {"networks": recipe.near.networks, "steps of each": recipe.near.steps}
    return {"epochs": f"{recipe.training.stage1_epochs} + {recipe.training.stage2_epochs}"}


def scored_on_both(setting: Setting, detector: Any, test: Any) -> Row:
    """Score the same clips on the device and on the CPU."""
    import numpy as np

    there = detector.score(test, device=setting.device).anomaly_score
    here = detector.score(test, device="cpu").anomaly_score
    return {
        "device": f"the detector of {setting.device}, scored on both",
        "largest difference of a score": float(np.abs(there - here).max()),
        "deviation of the scores": float(here.std()),
    }


@part("A shortened training", limit_s=90)
def training(setting: Setting) -> Iterator[Row]:
    _, row = trained(setting, "long", setting.recipe(60, 30), setting.device, "bfloat16")
    yield row


@part("The same short training on the CPU and on the device", limit_s=70)
def cpu_pair(setting: Setting) -> Iterator[Row]:
    """Train without dropout, which draws other numbers on each device, so that the losses can be compared."""
    recipe = setting.recipe(1, 1, training__clip_seconds=4.0, network__dropout=0.0)
    detector, row = trained(setting, "device", recipe, setting.device, "float32")
    yield row
    _, row = trained(setting, "cpu", recipe, "cpu", "float32")
    yield row
    yield scored_on_both(setting, detector, setting.data().test)


@part("Scoring", limit_s=30)
def scoring(setting: Setting) -> Iterator[Row]:
    """Measure clips per second from files to scores, the second time, when all are in the file cache."""
    import offkey

    data = setting.data()
    detectors = {"spectral": (offkey.Detector().fit(data, seed=0), "cpu")}
    saved = next((path for path in map(setting.detector, ("long", "device", "cpu")) if path.exists()), None)
    if saved:
        detectors["network"] = (offkey.load(saved), setting.device)
    for name, (detector, device) in detectors.items():
        for _ in range(2):
            started = time.perf_counter()
            table = detector.score(data.test, device=device)
            seconds = time.perf_counter() - started
        yield {"detector": name, "device": device, "clips": len(table), "clips/s": len(table) / seconds}
    if not saved:
        raise SystemExit("no training has left a network's detector to score with")


@part("Training speed, compiled, steps per second", limit_s=100)
def speed_compiled(setting: Setting) -> Iterator[Row]:
    yield from speed(setting, "bfloat16", compile=True)


@part("Training speed, compiled, as CUDA graphs, steps per second", limit_s=100, sitting=2)
def speed_graphs(setting: Setting) -> Iterator[Row]:
    yield from speed(setting, "bfloat16", compile=True, graphs=True)


FULL_SIZE = "full-size"


@part(
    "Recordings of full size (synthetic, as many as DCASE 2020 has)", limit_s=100, leaves=FULL_SIZE, sitting=2
)
def full_size_recordings(setting: Setting) -> Iterator[Row]:
    from offkey.datasets import synthetic

    started = time.perf_counter()
    summary = synthetic.write(
        setting.work / FULL_SIZE,
        ids=("00", "02", "04", "06"),
        eval_ids=("01", "03", "05"),
        clips_train=6 if setting.quick else 930,
        clips_test_normal=3 if setting.quick else 30,
        clips_test_anomaly=3 if setting.quick else 60,
        seconds=2.0 if setting.quick else 10.0,
        seed=1,
        resume=True,
    )
    seconds = time.perf_counter() - started
    yield {"recordings": summary.files, "made now": summary.files - summary.kept, "seconds": seconds}


@part("One type of full size, recipe `paper`, as far as four minutes allow", limit_s=315, sitting=2)
def full_size(setting: Setting) -> Iterator[Row]:
    """Train as many of the 80 + 40 epochs as the time allows, in their proportion; say what all of them would take."""
    from offkey.datasets import synthetic

    data, bench = synthetic.load(setting.work / FULL_SIZE, machine=MACHINE), training_speed()
    whole = setting.recipe(80, 40)
    rates = []
    for row in bench.rows(
        data,
        recipe=whole,
        device=setting.device,
        precision="bfloat16",
        compile=False,
        steps=max(1, setting.steps // 3),
    ):
        rates.append(row["together"])
        yield row
    training = whole.training
    asked, steps = (
        (training.stage1_epochs, training.stage2_epochs),
        -(-len(data.train) // training.batch_size),
    )
    epochs = bench.affordable(asked, (steps, steps), rates, seconds=240)
    with bench.utilisation(bench.Compute.of(setting.device)) as busy:
        recipe = setting.recipe(*epochs)
        _, row = trained(setting, "full-size", recipe, setting.device, "bfloat16", data)
    yield row | {
        "device busy": sum(busy) / len(busy) if busy else None,
        "four types of all epochs, min": 4
        * sum(e * steps / r for e, r in zip(asked, rates, strict=True))
        / 60,
    }


@part("Recipe `near`, the same training on the CPU and on the device", limit_s=400, sitting=3)
def near(setting: Setting) -> Iterator[Row]:
    """Train without the conformer path and with it; its dropout draws other numbers on each device, so that of that
    training the AUC alone can be compared."""
    from offkey import Recipe

    recipe = Recipe.named("near")
    if setting.quick:
        recipe = recipe.replace(near__networks=2, near__steps=10)
    for machine, gate in (("fan", "static"), ("valve", "rich")):
        data, gated = setting.data(machine), recipe.replace(near__gate=gate)
        about = {"machine": machine, "gate": gate}
        detector, row = trained(setting, f"near-{machine}", gated, setting.device, "float32", data)
        yield about | row
        _, row = trained(setting, f"near-{machine}-cpu", gated, "cpu", "float32", data)
        yield about | row
        yield about | scored_on_both(setting, detector, data.test)


@part("An archive scored by a network, clips per second", limit_s=110, sitting=3)
def archive(setting: Setting) -> Iterator[Row]:
    """Score many WAV files in float32 and float16, beside the slower half alone: the log-Mels, or the network."""
    import numpy as np

    import offkey
    from offkey.datasets.source import Source

    saved = next((path for path in map(setting.detector, ("long", "device", "cpu")) if path.exists()), None)
    if not saved:
        raise SystemExit("no training has left a network's detector to score with")
    detector, data = offkey.load(saved), setting.data()
    files = [str(path) for path in data.test.paths]
    wanted = 100 if setting.quick else 12_000
    names = (files * (wanted // len(files) + 1))[:wanted]
    kind, model = next((name, model) for name, model in detector._fitted().models.items())
    source = Source.of(names[: wanted // 4], features=detector.recipe.features)
    clips, started = [], time.perf_counter()
    for chunk in source.chunks():
        clips = chunk.logmels
    yield {"what": "log-Mels alone", "clips/s": wanted // 4 / (time.perf_counter() - started)}
    tables = {}
    for precision in ("float32", "float16"):
        model.compute_on(setting.device, precision)
        yield {"what": f"{kind} alone, {precision}", "clips/s": network_rate(model, clips, setting.steps)}
        tables[precision] = detector.score(data.test, device=setting.device, precision=precision)
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            detector.score_to(f"{folder}/scores.csv", names, device=setting.device, precision=precision)
            seconds = time.perf_counter() - started
        yield {"what": f"files to scores, {precision}", "clips/s": wanted / seconds}
    whole, half = tables["float32"], tables["float16"]
    aucs = [offkey.evaluate(table, data.test).types[-1].auc for table in (whole, half)]
    yield {
        "clips": len(whole),
        "AUC float32": aucs[0],
        "AUC float16": aucs[1],
        "largest difference of a score": float(np.abs(whole.anomaly_score - half.anomaly_score).max()),
        "decisions changed": int((whole.decision != half.decision).sum()),
    }


def network_rate(model: Any, clips: Any, rounds: int) -> float:
    """Return how many clips a second go through a network that has them in memory."""
    model.scores(clips)
    started = time.perf_counter()
    for _ in range(rounds):
        model.scores(clips)
    return rounds * len(clips) / (time.perf_counter() - started)


def main() -> None:
    """Run one part, and append each of its rows to a file."""
    name, setting, rows = sys.argv[1:]
    settings = json.loads(setting)
    settings["work"] = Path(settings["work"])
    with Path(rows).open("a") as file:
        for row in PARTS[name].run(Setting(**settings)):
            print(json.dumps(row), file=file, flush=True)


if __name__ == "__main__":
    main()
