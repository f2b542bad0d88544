"""What there is in a result."""

import pytest

from offkey.archive import Totals


def row(path, p_value=0.5, *, warning=None, start_s=None, error=None):
    return {
        "path": path,
        "anomaly_score": None if error else -p_value,
        "p_value": None if error else p_value,
        "decision": None if error else 0,
        "warning": warning,
        "error": error,
        "start_s": start_s,
    }


@pytest.mark.parametrize("size", [1, 7, 100])
def test_parts_add_up_to_the_whole(size):
    rows = [row(f"{number}.wav", 1 / (1 + number * 37 % 101)) for number in range(100)]
    totals = Totals()
    for first in range(0, 100, size):
        totals.add(rows[first : first + size])
    assert totals.oddest == sorted(rows, key=lambda row: row["p_value"])[:10]
    assert (totals.rows, totals.recordings, totals.failed) == (100, 100, 0)


@pytest.mark.parametrize("size", [1, 5, 60])
def test_of_the_windows_of_a_recording_the_oddest_counts(size):
    rows = [
        row(f"{name}.wav", 1 / (2 + 10 * number + at), start_s=10.0 * at)
        for number, name in enumerate("abcdef")
        for at in range(10)
    ]
    totals = Totals(each=True)
    for first in range(0, 60, size):
        totals.add(rows[first : first + size])
    assert [(row["path"], row["start_s"]) for row in totals.oddest] == [
        (f"{name}.wav", 90.0) for name in "fedcba"
    ]


def test_kinds_of_warnings_are_counted_without_their_numbers():
    totals = Totals()
    totals.add(
        [
            row("a", warning="clipped (4.5% of the samples); 32 dB louder than in training"),
            row("b", warning="clipped (12.0% of the samples)"),
            row("c", warning="silent in 2 of 5 windows; 8000 Hz, in training 16000 Hz"),
            row("d", warning="silent", error="d: silent"),
            row("e", warning="channel 0 is 21 dB quieter, unlike channel 1"),
        ]
    )
    assert totals.warnings == {
        "clipped": 2,
        "louder than in training": 1,
        "silent": 2,
        "8000 Hz, in training 16000 Hz": 1,
        "channel 0 is quieter, unlike channel 1": 1,
    }


def test_texts_that_are_all_different_fill_no_memory():
    totals = Totals()
    totals.add([row("a", warning=f"text {number}") for number in range(10_000)])
    assert len(totals.warnings) == 100
