"""Instructions of each kernel, counted under callgrind: a regression is seen on a noisy machine too.

    python benches/counts.py [--kernels logmel_float32,white_noise] [--levels portable,avx2] [--write]

Compares with benches/counts.json; a change of more than 2% is printed, and more instructions are exit status 1.
--write puts the new counts in place of the old ones. Valgrind knows no AVX-512, so that level is not counted.
Counts depend on the compiler: with another rustc than the baseline's, compare two runs of your own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASELINE = ROOT / "benches" / "counts.json"
PROGRAM = ROOT / "target" / "release" / "offkey-counts"
LEVELS = ("portable", "avx2")
TOLERANCE = 0.02
MEASURED = "offkey_counts::measured*"

Counts = dict[str, dict[str, int]]


def output(*command: str, **variables: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
    return done.stdout + done.stderr


def count(kernel: str, level: str) -> int:
    """Instructions of one call of a kernel, whose plans were made before."""
    callgrind = (
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        f"--toggle-collect={MEASURED}",
    )
    found = re.search(r"Collected : (\d+)", output(*callgrind, str(PROGRAM), kernel, OFFKEY_SIMD=level))
    if found is None or found[1] == "0":
        raise SystemExit(f"callgrind counted nothing of {kernel}: is {MEASURED} still the function's name?")
    return int(found[1])


def change(kernel: str, level: str, new: int, old: int | None) -> str | None:
    """A line on a kernel whose count is not what it was."""
    name = f"{level} {kernel}"
    if old is None:
        return f"{name}: {new:,}, not counted before"
    if abs(new - old) <= TOLERANCE * old:
        return None
    return f"{name}: {old:,} to {new:,}, {new / old - 1:+.1%}"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", default="", help="some of the kernels, by commas; default: all")
    parser.add_argument("--levels", default=",".join(LEVELS), help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="keep the counts as the new baseline")
    return parser.parse_args()


def counted(kernels: list[str], levels: list[str], before: Counts) -> tuple[Counts, bool]:
    """The counts, and whether one is worse than before; changes are printed."""
    counts, worse = {level: dict(before.get(level, {})) for level in {*before, *levels}}, False
    for level in levels:
        for kernel in kernels:
            new, old = count(kernel, level), before.get(level, {}).get(kernel)
            if line := change(kernel, level, new, old):
                print(line, flush=True)
                worse = worse or (old is not None and new > old)
            counts[level][kernel] = new
    return counts, worse


def main() -> None:
    """Count, compare, and keep if asked to."""
    arguments = parsed()
    output("cargo", "build", "--release", "--quiet", "--package", "offkey-benches")
    compiler = output("rustc", "--version").strip()
    kept = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"rustc": compiler, "counts": {}}
    if kept["rustc"] != compiler:
        print(f"The baseline was counted with {kept['rustc']}, this is {compiler}.", file=sys.stderr)
    kernels = arguments.kernels.split(",") if arguments.kernels else output(str(PROGRAM)).split()
    counts, worse = counted(kernels, arguments.levels.split(","), kept["counts"])
    if arguments.write:
        text = json.dumps({"rustc": compiler, "counts": counts}, indent=1, sort_keys=True)
        BASELINE.write_text(text + "\n")
    elif worse:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
