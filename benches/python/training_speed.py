"""Steps per second of training: the loader alone, the network alone, and both together; and the floor.

    python benches/python/training_speed.py TREE --machine fan [--recipe paper] [--device auto]
        [--precisions float32,bfloat16] [--compile] [--graphs] [--cache FOLDER] [--steps 20] [--out speed.json]

TREE is a DCASE 2020 tree, such as ``offkey synth`` makes. The floor of a step is its operations over the rate at which
the device multiplies two large matrices in the same precision. Medians over rounds, the first one left out. How busy a
GPU was while it trained is what nvidia-smi says.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import offkey
from offkey import _native
from offkey._util.files import write_text
from offkey.datasets import Dataset
from offkey.models.network.batches import BatchLoader, Prefetcher
from offkey.models.network.device import Compute
from offkey.models.network.events import EpochEnded
from offkey.models.network.loop import Trainer
from offkey.models.network.net.multitask import Model
from offkey.models.network.stages import Batch, Stage, plan_stages, stage_losses
from offkey.recipe import Recipe

ROUNDS = 4  # the first warms up


def loader_alone(loader: BatchLoader, stage: Stage, steps: int) -> float:
    """Return steps per second of making batches and throwing them away."""
    rates = []
    with Prefetcher(endless(loader, stage)) as batches:
        ahead = iter(batches)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for _ in itertools.islice(ahead, steps):
                pass
            rates.append(steps / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def trained(
    recipe: Recipe, compute: Compute, loader: BatchLoader, stage: Stage, steps: int, batches
) -> float:
    """Return steps per second of the training loop itself, fed by `batches`."""
    rates = []

    def observe(event: object) -> None:
        if isinstance(event, EpochEnded):
            rates.append(event.steps_per_s)

    rounds = Stage(number=stage.number, epochs=ROUNDS, tasks=stage.tasks)
    Trainer(
        network(recipe, loader).to(compute.device),
        training=recipe.training,
        stages=(rounds,),
        batches=lambda _stage, _epoch: itertools.islice(batches, steps),
        steps=lambda _stage: steps,
        seed=0,
        compute=compute,
        observer=observe,
    ).run()
    return statistics.median(rates[1:])


def network(recipe: Recipe, loader: BatchLoader) -> Model:
    """Return the network with its first weights."""
    return Model(
        recipe.network,
        n_mels=recipe.features.n_mels,
        machine_ids=len(loader.machine_ids),
        type_task=True,
        augmentation_classes=len(loader.augmentations),
    )


def endless(loader: BatchLoader, stage: Stage) -> Iterator[Batch]:
    """Yield batch after batch, epoch after epoch."""
    for epoch in itertools.count():
        yield from loader.batches(epoch, pseudo_anomalies=stage.pseudo_anomalies)


def operations(recipe: Recipe, loader: BatchLoader, stage: Stage, batch: Batch) -> int:
    """Return the floating-point operations of one step, forward and back."""
    model = network(recipe, loader)
    with FlopCounterMode(display=False) as counter:
        losses = stage_losses(model, model(batch.logmels), batch, stage, recipe.training)
        losses["total"].backward()
    return counter.get_total_flops()


def matrix_rate(compute: Compute) -> float:
    """Return the operations per second of a product of two square matrices."""
    # A CPU without bfloat16 takes half a second for a product of 512.
    size = 8192 if compute.device.type == "cuda" else 512
    dtype = torch.bfloat16 if compute.autocast else torch.float32
    a, b = (torch.randn(size, size, device=compute.device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(12):
        wait(compute)
        started = time.perf_counter()
        torch.mm(a, b)
        wait(compute)
        times.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(times[2:])


@contextlib.contextmanager
def utilisation(compute: Compute) -> Iterator[list[float]]:
    """Watch a GPU in the block; the list then has the share of the time that it was busy, ten times a second.

    Empty on a CPU, or without nvidia-smi.
    """
    shares: list[float] = []
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=100"]
    if compute.device.type != "cuda" or shutil.which(command[0]) is None:
        yield shares
        return
    identity = f"--id={compute.device.index or 0}"
    watcher = subprocess.Popen([*command, identity], stdout=subprocess.PIPE, text=True)
    try:
        yield shares
    finally:
        watcher.terminate()
        lines = watcher.communicate()[0].split()
        shares += [float(line) / 100 for line in lines if line.isdigit()]


def affordable(
    epochs: Sequence[int], steps: Sequence[int], rates: Sequence[float], seconds: float
) -> tuple[int, ...]:
    """Return how many epochs of each stage fit into a time, in the proportion asked for, one at least.

    Parameters
    ----------
    epochs
        Of each stage, asked for; no more than these are returned.
    steps
        Of an epoch of each stage.
    rates
        Steps per second of each stage.
    seconds
        How long all may take.
    """
    needed = sum(e * s / r for e, s, r in zip(epochs, steps, rates, strict=True))
    return tuple(max(1, int(e * min(1.0, seconds / needed))) for e in epochs)


def wait(compute: Compute) -> None:
    """Wait until the device has done what it was given."""
    if compute.device.type == "cuda":
        torch.cuda.synchronize()


def rows(
    data: Dataset,
    *,
    recipe: Recipe,
    device: str,
    precision: str,
    compile: bool,  # noqa: A002
    steps: int,
    graphs: bool = False,
    cache: Path | None = None,
) -> Iterator[dict[str, object]]:
    """Yield the figures of each stage of a recipe's training."""
    compute = dataclasses.replace(Compute.of(device, precision, compile=compile), graphs=graphs)
    pinned = compute.device.type == "cuda"
    loader = offkey.batch_loader(data, recipe=recipe, pin_memory=pinned, cache=cache)
    stages = plan_stages(
        recipe.training,
        machine_ids=len(loader.machine_ids),
        others=True,
        augmentation_classes=len(loader.augmentations),
    )
    for stage in stages:
        yield figures(recipe, loader, stage, compute, steps)


def figures(
    recipe: Recipe, loader: BatchLoader, stage: Stage, compute: Compute, steps: int
) -> dict[str, object]:
    """Return the steps per second of a stage, and what bounds them."""
    one = next(endless(loader, stage))
    flops = operations(recipe, loader, stage, one)
    loader_rate = loader_alone(loader, stage, steps)
    network_rate = trained(recipe, compute, loader, stage, steps, itertools.repeat(one))
    with utilisation(compute) as busy:
        together = trained(recipe, compute, loader, stage, steps, endless(loader, stage))
    floor = matrix_rate(compute) / flops
    return {
        "stage": stage.number,
        "computed": f"{compute.precision}{', compiled' * compute.compile}{', CUDA graphs' * compute.graphs}",
        "clips": len(one.ids),
        "loader": loader_rate,
        "network": network_rate,
        "together": together,
        "device busy": statistics.mean(busy) if busy else None,
        "of the slower": together / min(loader_rate, network_rate),
        "floor": floor,
        "of the floor": network_rate / floor,
        "gflop": flops / 1e9,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--machine", required=True)
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--compile", action="store_true", help="also through torch.compile")
    parser.add_argument("--graphs", action="store_true", help="also as CUDA graphs")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--steps", type=int, default=20, help="of a round; 60 on a GPU")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if _native.DEBUG_BUILD:
        raise SystemExit("offkey._native is a debug build; build it with `maturin develop --release`")
    data = offkey.datasets.dcase2020(arguments.tree, machine=arguments.machine)
    table = []
    for precision in arguments.precisions.split(","):
        ways = [(False, False)] + [(True, False)] * arguments.compile + [(True, True)] * arguments.graphs
        for compiled, graphs in ways:
            for row in rows(
                data,
                recipe=Recipe.named(arguments.recipe),
                device=arguments.device,
                precision=precision,
                compile=compiled,
                graphs=graphs,
                steps=arguments.steps,
                cache=arguments.cache,
            ):
                table.append(row)
                shown = (f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
                print(", ".join(shown), flush=True)
    if arguments.out:
        cuda = arguments.device != "cpu" and torch.cuda.is_available()
        about = {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "cores": len(os.sched_getaffinity(0)),
            "device": torch.cuda.get_device_name() if cuda else "cpu",
        }
        write_text(arguments.out, json.dumps({**about, "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
