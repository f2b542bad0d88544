"""What `Detector.explain` says of one fault of each kind, beside where that fault is.

    python benches/python/explain_truth.py --work explain --seeds 5
    python benches/python/explain_sentences.py --work explain --seed 5 --out sentences.md

Reads the recordings and detectors that the first command leaves. Of each kind the fault whose severity is nearest to
`--severity` is taken, whatever is said of it.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import offkey
from offkey.datasets import synthetic
from offkey.errors import OffkeyWarning


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="write the table here")
    parser.add_argument("--recipe", default="spectral")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--severity", type=float, default=0.6)
    options = parser.parse_args()
    warnings.simplefilter("ignore", OffkeyWarning)
    tree = options.work / f"tree-{options.seed}"
    kinds: dict[tuple[str, str], list[dict]] = {}
    for place in csv.DictReader((tree / synthetic.PLACES).open()):
        kinds.setdefault((Path(place["file"]).parts[1], place["fault"]), []).append(place)
    lines = ["| fault, severity | where it is | what is said |", "|---|---|---|"]
    for (machine, _), places in kinds.items():
        place = min(places, key=lambda one: abs(float(one["severity"]) - options.severity))
        detector = offkey.load(tree / f"{machine}-{options.recipe}-None.offkey")
        lines.append(row(machine, place, detector.explain(tree / place["file"])))
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


def row(machine: str, place: dict, explanation: offkey.explain.Explanation) -> str:
    """Return one line of the table; the nearest healthy recording is left out."""
    fault = f"{machine}: {place['fault'].replace('_', ' ')}, {float(place['severity']):.2f}"
    said = " ".join(sentence for sentence in explanation.sentences if "most like it" not in sentence)
    return f"| {fault} | {bands(place['bands_hz'])}; {times(place['times_s'])} | {said} |"


def bands(text: str) -> str:
    return ", ".join("{:.0f}-{:.0f}".format(*map(float, band.split("-"))) for band in text.split()) + " Hz"


def times(text: str) -> str:
    stretches = [tuple(map(float, one.split("-"))) for one in text.split()]
    share = sum(end - start for start, end in stretches) / max(end for _, end in stretches)
    moments = f"{len(stretches)} moments, " if len(stretches) > 1 else ""
    return f"{moments}{share:.0%} of the time"


if __name__ == "__main__":
    main()
