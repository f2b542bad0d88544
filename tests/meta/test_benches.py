"""The table of speed: its bars name groups, cases and contenders that exist, and are judged as they say."""

import subprocess
import sys
from pathlib import Path

import pytest
from peers import groups, report
from peers.bars import ROWS
from peers.judge import AtMost, Figure, Scales, Times

TABLE = Path(__file__).parents[2] / "benches" / "table.py"
KINDS = ("floor", "the fastest peer")


def test_help():
    done = subprocess.run([sys.executable, TABLE, "--help"], capture_output=True, text=True, check=True)
    assert "--rounds" in done.stdout


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.work)
def test_a_row_names_what_there_is(row):
    group = groups.load(row.group)
    assert row.case in group.cases
    for bar in row.bars:
        threads = getattr(bar, "threads", 2 if isinstance(bar, Scales) else 1)
        there = [c for c in group.contenders.values() if group.takes_part(c, row.case, threads)]
        assert any(c.kind == "ours" for c in there)
        other = getattr(bar, "other", None)
        if other in KINDS:
            assert any(c.kind == {"floor": "floor"}.get(other, "peer") for c in there)
        elif other:
            assert any(c.name.startswith(other) for c in there)


def line(name, kind, median, threads=1, **check):
    return {
        "name": name,
        "kind": kind,
        "threads": threads,
        "median": median,
        "least": median,
        "check": check,
    }


def test_bars_are_judged_as_they_say():
    lines = [
        line("offkey", "ours", 2.0, error=1e-6),
        line("offkey", "ours", 1.0, threads=2),
        line("slow", "peer", 8.0),
        line("fast", "peer", 6.0),
        line("floor: C", "floor", 1.6),
        line("floor: C", "floor", 0.8, threads=2),
        {"name": "gone", "kind": "peer", "threads": 1, "error": "not installed", "check": {}},
    ]
    for bar, found, met in (
        (AtMost(1.25, "floor"), 1.25, True),
        (AtMost(1.2, "floor"), 1.25, False),
        (Times(3, "the fastest peer"), 3.0, True),
        (Times(4.1, "slow"), 4.0, False),
        (Times(2, "gone"), None, None),
        (Scales(1.8), 2.0, True),
        (Scales(0.97, of_floor=True), 1.0, True),
        (Figure("error", high=1e-7), 1e-6, False),
        (Figure("other", high=1), None, None),
    ):
        verdict = bar.judge(lines)
        assert (verdict.found, verdict.met) == (found, met), bar


def test_figures_and_bars_stand_in_tables_of_their_own():
    row = ROWS[0]
    lines = [
        line("offkey", "ours", 2.0, error=0.0),
        line("offkey", "ours", 1.0, threads=2),
        line("wave + numpy", "peer", 5.0),
        line("floor: C", "floor", 1.6),
    ]
    assert report.cells(row, lines) == (row.work, "2 ms", "5 ms (wave + numpy)", "1.6 ms", "2.50x")
    assert report.scaling(row, lines) == (row.work, "2.00x", "")
    marks = {bar: (found, mark) for _, bar, found, mark in report.bars(row, lines)}
    assert marks["at most 1.3x of floor"] == ("1.25", "met")
    assert marks["6 times as fast as soundfile"] == ("", "not measured")
