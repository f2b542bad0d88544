"""The table of speed: offkey beside its peers and the floor on the same work, each bar met or missed.

    python benches/table.py --out FOLDER [--rounds 7] [--rows decode,logmel] [--again]

Writes FOLDER/table.json and FOLDER/table.md. Groups that are in FOLDER already are not measured again unless --again
is given. Peers that are not installed are left out: benches/peers/requirements.txt has them all, for an environment
of their own, where PYTHONPATH=python lets them see this tree's offkey.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from peers import data, driver, floor, groups, machine, report


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the table and for finished groups"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--slice", type=float, default=0.1, help="seconds that a contender is timed in a round"
    )
    parser.add_argument("--rows", default=",".join(groups.NAMES), help="groups: %(default)s")
    parser.add_argument("--again", action="store_true", help="measure groups that are finished, too")
    arguments = parser.parse_args()
    arguments.rows = arguments.rows.split(",")
    if unknown := set(arguments.rows) - set(groups.NAMES):
        parser.error(f"--rows {', '.join(sorted(unknown))}: expected some of {', '.join(groups.NAMES)}")
    return arguments


def refuse_debug_build() -> None:
    from offkey import _native

    if _native.DEBUG_BUILD:
        raise SystemExit("offkey._native is a debug build; build it with `maturin develop --release`")


def prepare() -> None:
    """Make what all workers need before any of them starts."""
    if len(os.sched_getaffinity(0)) < 2:
        print("One core only: figures of two threads mean nothing here.", file=sys.stderr)
    data.make()
    try:
        floor.build()
    except ImportError as error:
        print(f"No floor: {error}", file=sys.stderr)


def measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The lines of a group, from its file or from a run."""
    kept = arguments.out / "groups" / f"{name}.json"
    if kept.exists() and not arguments.again:
        print(f"{name}: measured before", file=sys.stderr)
        return json.loads(kept.read_text())
    start = time.perf_counter()
    lines = driver.run(groups.load(name), arguments.rounds, arguments.slice)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(lines, indent=1))
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return lines


def main() -> None:
    """Measure, judge, print and write."""
    arguments = parsed()
    refuse_debug_build()
    prepare()
    results = {name: measured(name, arguments) for name in arguments.rows}
    where = machine.describe()
    (arguments.out / "table.json").write_text(json.dumps(report.as_json(results, where), indent=1))
    (arguments.out / "table.md").write_text(report.as_markdown(results, where))
    report.show(results, where)


if __name__ == "__main__":
    main()
