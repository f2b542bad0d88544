"""Checks of parameters: names, channels, integers and paths."""

from pathlib import Path

import numpy as np
import pytest

import offkey
from offkey._util import parameters
from offkey.errors import ParameterError


def test_what_is_given_comes_through() -> None:
    assert parameters.integer("n", np.int64(3), 1, 3) == 3
    assert parameters.unsigned("n", np.uint8(7)) == 7
    assert parameters.index("n", -(2**70)) == -(2**70)
    assert parameters.number("x", np.float32(0.5)) == 0.5
    assert parameters.choice("word", "a", ("a", "b")) == "a"
    assert [parameters.channel(x) for x in ("mean", 0, np.int32(5))] == [None, 0, 5]
    assert parameters.paths([Path("a"), "b"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parameters.integer("n", 4, 1, 3), "n = 4: expected an integer from 1 to 3"),
        (lambda: parameters.integer("n", 2.0, 1, 3), "n = 2.0: expected an integer"),
        (lambda: parameters.unsigned("n", -1), "n = -1: expected an integer from 0 to"),
        (lambda: parameters.unsigned("n", None), "n = None: expected an integer"),
        (lambda: parameters.number("x", "1"), "x = '1': expected a number"),
        (lambda: parameters.number("x", 1j), "x = 1j: expected a number"),
        (lambda: parameters.choice("word", "c", ("a", "b")), "word = 'c': expected 'a' or 'b'"),
        (lambda: parameters.choice("word", None, ("a", "b")), "word = None: expected 'a' or 'b'"),
        (
            lambda: parameters.paths("a.wav"),
            r"paths = 'a.wav': expected a list of paths; for one file give \[path\]",
        ),
    ],
)
def test_what_is_out_of_range_is_named(call, message) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


@pytest.mark.parametrize("channel", [-1, 1024, 0.5, None, "left", [0], np.zeros(2)])
def test_channels_that_are_none(channel) -> None:
    logmel = offkey.LogMel.paper()
    for call in (
        lambda: offkey.read_batch([], channel=channel),
        lambda: logmel.from_files([], channel=channel),
        lambda: logmel.each_from_files([], channel=channel),
        lambda: logmel.statistics_from_files([], channel=channel),
    ):
        with pytest.raises(
            ParameterError, match=r"channel = .*: expected an integer from 0 to 1023, or 'mean'"
        ):
            call()


@pytest.mark.parametrize("rate", [0, 384_001, 16_000.0, "16000"])
def test_rates_that_are_none(rate) -> None:
    for name, call in {
        "sample_rate": lambda: offkey.read_batch([], sample_rate=rate),
        "from_rate": lambda: offkey.resample(np.zeros(3), from_rate=rate, to_rate=1),
        "to_rate": lambda: offkey.resample(np.zeros(3), from_rate=1, to_rate=rate),
    }.items():
        with pytest.raises(ParameterError, match=rf"{name} = .*: expected an integer"):
            call()
