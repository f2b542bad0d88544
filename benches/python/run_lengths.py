"""How long `offkey trend` runs to a false alarm, and how soon it sees a fault, for calibrations of some sizes.

    python benches/python/run_lengths.py --run-length 8760

Given its calibration set, a healthy machine's p-values are independent draws from levels whose probabilities are
Dirichlet: those of ``--sets`` sets are drawn, and the lengths of ``--runs`` runs to a false alarm averaged for each.
``short`` is the part of sets whose average is below the promised one (by two standard errors of the runs): at most
delta, 5%, is promised. Bets that are fair in the mean over calibration sets, as if p-values were uniform, stand beside
them. Runs end after ``--most`` run lengths. Delays are recordings from the start of a fault to the alarm, of machines
that were healthy for 200 recordings before; scores are N(0, 1), and a fault moves their mean.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from offkey.monitoring.bets import Bets, bets_on

DELTA = 0.05
HEALTHY_BEFORE = 200
FAULTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jump by 1": lambda t: np.full(len(t), 1.0),
    "jump by 2": lambda t: np.full(len(t), 2.0),
    "jump by 4": lambda t: np.full(len(t), 4.0),
    "grows by 1 in 100": lambda t: t / 100,
    "grows by 1 in 25": lambda t: t / 25,
}


def fair_on_average(bets: Bets) -> Bets:
    """Bets that pay their stake back in the mean over calibration sets, as if p-values were uniform."""
    sizes = np.diff(bets.starts, append=bets.clips + 2)
    means = bets.payoffs @ sizes / (bets.clips + 1)
    return dataclasses.replace(bets, payoffs=bets.payoffs / means[:, None])


def run_lengths(
    bets: Bets, levels: np.ndarray, run_length: float, rng: np.random.Generator, most: int
) -> np.ndarray:
    """Recordings to the first false alarm ``(machines,)`` of machines with these probabilities; at most `most`."""
    edges = np.cumsum(levels, axis=1)[:, bets.starts[1:] - 2]  # up to the end of each block but the last
    wealth = np.zeros((len(bets.payoffs), len(levels)))
    lengths = np.full(len(levels), most)
    running = np.arange(len(levels))
    for count in range(1, most + 1):
        blocks = (rng.random(len(running))[:, None] > edges).sum(axis=1)
        wealth = (1 + wealth) * bets.payoffs[:, blocks]
        over = wealth.mean(axis=0) >= run_length
        if over.any():
            lengths[running[over]] = count
            running, wealth, edges = running[~over], wealth[:, ~over], edges[~over]
            if not len(running):
                break
    return lengths


def summary(lengths: np.ndarray, run_length: float) -> str:
    """Cells of the averages of each calibration set's runs, ``(sets, runs)``."""
    means = lengths.mean(axis=1)
    errors = lengths.std(axis=1, ddof=1) / np.sqrt(lengths.shape[1])
    short = np.mean(means + 2 * errors < run_length)
    few, median = np.quantile(means, [0.05, 0.5])
    return f"{median:.0f} | {few:.0f} | {means.min():.0f} | {short:.1%}"


def delays(
    clips: int,
    fault: Callable[[np.ndarray], np.ndarray],
    run_length: float,
    rng: np.random.Generator,
    sets: int,
) -> np.ndarray:
    """Recordings from a fault's start to the alarm ``(sets,)``, without machines that had a false alarm before."""
    bets, most = bets_on(clips, DELTA), 3000
    calibration = np.sort(rng.standard_normal((sets, clips)), axis=1)
    shift = np.concatenate([np.zeros(HEALTHY_BEFORE), fault(np.arange(1.0, most + 1))])
    wealth = np.zeros((len(bets.payoffs), sets))
    at = np.full(sets, len(shift))
    for count, moved in enumerate(shift.tolist()):
        scores = rng.standard_normal(sets) + moved
        p_values = (1 + (calibration >= scores[:, None]).sum(axis=1)) / (clips + 1)
        wealth = (1 + wealth) * bets.paid(p_values)
        over = (wealth.mean(axis=0) >= run_length) & (at == len(shift))
        at[over] = count
        if (at < len(shift)).all():
            break
    return at[at >= HEALTHY_BEFORE] - HEALTHY_BEFORE + 1


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run-length", type=float, default=8760.0)
    parser.add_argument("--clips", type=int, nargs="+", default=[60, 240])
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--most", type=float, default=20.0, help="runs end after so many run lengths")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    most = int(options.most * options.run_length)
    print(
        f"promised: {options.run_length:g} recordings on average, for {1 - DELTA:.0%} of calibration sets\n"
    )
    print("| clips | bets | median set | 5% of sets below | least | short |\n|---|---|---|---|---|---|")
    for clips in options.clips:
        bets = bets_on(clips, DELTA)
        for name, tried in (("ours", bets), ("fair on average only", fair_on_average(bets))):
            rng = np.random.default_rng(options.seed)
            levels = np.repeat(rng.dirichlet(np.ones(clips + 1), size=options.sets), options.runs, axis=0)
            lengths = run_lengths(tried, levels, options.run_length, rng, most).reshape(options.sets, -1)
            print(f"| {clips} | {name} | {summary(lengths, options.run_length)} |", flush=True)
    print("\nrecordings from the start of the fault to the alarm: median, 95% of machines\n")
    print(f"| fault | {' | '.join(f'{clips} clips' for clips in options.clips)} |")
    print("|---|" + "---|" * len(options.clips))
    for name, fault in FAULTS.items():
        cells = []
        for clips in options.clips:
            rng = np.random.default_rng(options.seed)
            found = delays(clips, fault, options.run_length, rng, 400)
            cells.append("{:.0f}, {:.0f}".format(*np.quantile(found, [0.5, 0.95])))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(f"\nAUC of the jumps: {', '.join(f'{NormalDist().cdf(by / 2**0.5):.2f}' for by in (1, 2, 4))}")


if __name__ == "__main__":
    main()
