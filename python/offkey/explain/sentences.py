"""What an explanation says in plain English: what is true of the statistics at hand, and no guesses at causes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from offkey.explain.explanation import Band, Nearest, Stretch
from offkey.explain.healthy import Measure
from offkey.scoring.rarity import odds

__all__ = [
    "SPREAD",
    "band_sentence",
    "hertz",
    "moments_sentence",
    "nearest_sentence",
    "spoken_sentence",
    "verdict",
    "warning_sentence",
    "when",
    "whole_sentences",
]

SPREAD = "No band stands out: what raised the score is spread over many, of which the strongest follows."
_ALSO = 0.5  # deviations outside all healthy clips that a second measure must lie
_RARE = 0.9  # of healthy clips on one side: worth a word where not all are
_ALIKE = 0.35  # relative deviation of the times between stretches that still follow each other regularly
_FEW = 3  # stretches that are listed one by one
_LEAST_SPOKEN = 0.05
_SPOKEN = {
    "level": "the level",
    "fluctuation": "the unsteadiness from moment to moment",
    "spread": "the variation over time",
    "floor": "the quietest moments",
    "rhythm": "the rhythm",
    "pattern": "the pattern over time and frequency that the network hears",
}
_TOPICS = {"level": "level", "contrast": "level", "floor": "level"}
_WORDS = {  # kind -> the words for one that is so many times as much, for more and for less of it; decibels: more, less
    "level": ("is {by}louder", "is {by}quieter"),
    "contrast": ("stands {by}higher above its neighbours", "lies {by}lower among its neighbours"),
    "floor": ("is {by}louder in its quietest moments", "is {by}quieter in its quietest moments"),
    "fluctuation": (
        "is {by} times as unsteady from moment to moment",
        "is more unsteady from moment to moment",
        "is steadier from moment to moment",
    ),
    "spread": ("varies {by} times as much over time", "varies more over time", "varies less over time"),
    "rhythm": ("pulses {by} times as strongly{at}", "pulses more strongly{at}", "pulses less strongly{at}"),
}
_DECIBELS = frozenset({"level", "contrast", "floor"})
_MUCH_DB, _MUCH = 1.0, 1.2  # beyond every healthy clip: less is said against their median
_LITTLE = 0.1  # of the median: less is no number
_SPEAKS = 0.1  # what a kind counts that has raised the score by nothing
_THEM = "them"  # what clips are called where they have been named


def verdict(row: Mapping[str, Any]) -> str:
    """Say whether the recording of a row of scores sounds wrong."""
    found = "It sounds wrong" if row["decision"] else "Nothing stands out"
    of_score = f"its score is {row['anomaly_score']:.2f}, the threshold {row['threshold']:.2f}"
    rare = f"of healthy recordings {' '.join(odds(row))} scores so high (p = {row['p_value']:.2g})"
    return f"{found}: {of_score}; {rare}."


def warning_sentence(warning: str) -> str:
    """Say how the recording is unlike the training recordings."""
    return f"It was recorded otherwise than the training recordings: {warning}."


def whole_sentences(level: Measure, clips: str) -> list[str]:
    """Say that the recording as a whole is much louder, or much quieter, than any healthy one; nothing if it is not."""
    by = max(level.above, level.below)
    if by < _MUCH_DB:
        return []
    words = _worded(level, f"{_floored(by)} dB ", higher=level.above > 0)
    return [f"As a whole it {words} than any of {clips}."]


def spoken_sentence(spoken: Mapping[str, float]) -> str:
    """Say which statistics raised the score; `spoken` has the share of each, the largest first."""
    named = [f"{_SPOKEN[kind]} ({share:.0%})" for kind, share in spoken.items() if share >= _LEAST_SPOKEN]
    return f"The score was raised by {_listed(named)}."


def moments_sentence(stretches: Sequence[Stretch], *, end_s: float) -> str:
    """Say when all bands together raise the score; for `when`."""
    return f"All bands together raise the score {when(stretches, end_s=end_s)}."


def nearest_sentence(nearest: Sequence[Nearest]) -> str:
    """Name the healthy recording that is most like it."""
    if not nearest:
        return "The detector keeps no healthy recordings of this machine to compare it with."
    return f"The healthy training recording most like it is {nearest[0].path}."


def band_sentence(
    band: Band, measures: Sequence[Measure], *, spoken: Mapping[str, float], clips: str, end_s: float
) -> str:
    """Say how a band differs from healthy clips, and when it raises the score.

    Parameters
    ----------
    band
        One of an explanation.
    measures
        Of this band; none where there are no healthy clips.
    spoken
        Kind of statistic -> its share of what raises the score in this band: those that do come first.
    clips
        What the healthy ones are called, such as "60 healthy recordings".
    end_s
        Where the clip ends in its recording.
    """
    said = _listed(_claims(measures, spoken, clips)) if measures else "raises the score"
    return (
        f"{hertz(band.low_hz, band.high_hz)} {said}, {when(band.stretches, end_s=end_s)} "
        f"({band.share:.0%} of what raised the score)."
    )


def hertz(low: float, high: float) -> str:
    """Return a band in Hz or kHz, such as "2.9 to 3.4 kHz"."""
    if high < 1000:
        return f"{low:.0f} to {high:.0f} Hz"
    digits = 1 if high - low >= 200 else 2
    return f"{low / 1000:.{digits}f} to {high / 1000:.{digits}f} kHz"


def when(stretches: Sequence[Stretch], *, end_s: float) -> str:
    """Say when in the recording a band raises the score.

    Parameters
    ----------
    stretches
        In the order of time, at least one.
    end_s
        Where the clip ends in its recording.
    """
    if len(stretches) == 1:
        only = stretches[0]
        if only.share >= 1:
            return "throughout"
        if only.end_s >= end_s:
            return f"above all from {only.start_s:.1f} s on"
        return f"above all from {only.start_s:.1f} to {only.end_s:.1f} s"
    if len(stretches) <= _FEW:
        places = _listed([f"from {one.start_s:.1f} to {one.end_s:.1f} s" for one in stretches])
        return f"above all {places}"
    middles = np.array([(one.start_s + one.end_s) / 2 for one in stretches])
    steps = np.diff(middles)
    often = f"above all in {len(stretches)} moments"
    if steps.std() > _ALIKE * steps.mean():
        return f"{often} between {stretches[0].start_s:.1f} and {stretches[-1].end_s:.1f} s"
    if steps.mean() < 1:
        return f"{often}, about {1 / steps.mean():.1f} a second"
    return f"{often}, about every {steps.mean():.1f} s"


def _claims(measures: Sequence[Measure], spoken: Mapping[str, float], clips: str) -> list[str]:
    """Return the most striking statements: one, or two of different things."""
    shares: dict[str, float] = {}
    for kind, share in spoken.items():
        topic = _TOPICS.get(kind, kind)
        shares[topic] = shares.get(topic, 0.0) + share

    def counts(measure: Measure) -> float:
        """Return what a measure counts by what has raised the score."""
        return _SPEAKS + shares.get(_topic(measure), 0.0)

    striking = [measure for measure in measures if measure.outside > 0]
    striking.sort(key=lambda measure: -measure.outside * counts(measure))
    if not striking:
        return [_among(measures, clips, counts)]
    first = striking[0]
    others = [one for one in striking[1:] if _topic(one) != _topic(first) and one.outside > _ALSO]
    return [_outside(first, clips), *(_outside(one, _THEM) for one in others[:1])]


def _topic(measure: Measure) -> str:
    return _TOPICS.get(measure.kind, measure.kind)


def _outside(measure: Measure, clips: str) -> str:
    """Say that no healthy clip has a measure so high, or so low."""
    higher = measure.above > 0
    by = max(measure.above, measure.below)
    usual = measure.value - float(np.median(measure.healthy))
    if measure.kind in _DECIBELS:
        if by >= _MUCH_DB:
            return f"{_worded(measure, f'{_floored(by)} dB ', higher=higher)} than in any of {clips}"
        beyond = f" ({_floored(abs(usual))} dB {'above' if higher else 'below'} their median)"
    else:
        if higher and math.exp(by) >= _MUCH:
            return f"{_many_times(measure, _floored(math.exp(by)))} as in any of {clips}"
        times = f"{math.exp(usual):.1f} times" if math.exp(usual) >= _LITTLE else "less than a tenth of"
        beyond = f" ({times} their median)"
    return f"{_worded(measure, '', higher=higher)} than in any of {clips}{beyond}"


def _among(measures: Sequence[Measure], clips: str, counts: Callable[[Measure], float]) -> str:
    """Say in how many healthy clips a measure is lower, or higher, where that is nearly all of them."""
    ranked = [
        (int(np.count_nonzero(side)), measure, higher)
        for measure, higher in itertools.product(measures, (True, False))
        for side in [measure.healthy < measure.value if higher else measure.healthy > measure.value]
    ]
    rare = [entry for entry in ranked if entry[0] >= _RARE * len(entry[1].healthy)]
    if not rare:
        return "has nothing odd by itself, what is odd is how it goes with other bands"
    count, measure, higher = max(rare, key=lambda entry: entry[0] * counts(entry[1]))
    return f"{_worded(measure, '', higher=higher)} than in {count} of {clips}"


def _worded(measure: Measure, by: str, *, higher: bool) -> str:
    words = _WORDS[measure.kind][-2 if higher else -1]
    return words.format(by=by, at=_rates(measure))


def _many_times(measure: Measure, by: str) -> str:
    return _WORDS[measure.kind][0].format(by=by, at=_rates(measure))


def _rates(measure: Measure) -> str:
    if measure.rates_hz is None:
        return ""
    low, high = measure.rates_hz
    return f" at {low:.1f} to {high:.1f} Hz"


def _floored(value: float) -> str:
    """Return a number of one decimal, or none from 10 on, that is not larger."""
    return f"{math.floor(value)}" if value >= 10 else f"{math.floor(value * 10) / 10:.1f}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1])] * (len(parts) > 1) + [parts[-1]])
