"""What an explanation says in plain English: what is true of the statistics at hand, and no guesses at causes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from offkey.explain.explanation import Band, Nearest, Stretch
from offkey.explain.healthy import Measure

__all__ = ["band_sentence", "hertz", "nearest_sentence", "spoken_sentence", "verdict", "when"]

_ALSO = 0.5  # deviations outside all healthy clips that a second measure must lie
_RARE = 0.9  # of healthy clips on one side: worth a word where not all are
_ALIKE = 0.35  # relative deviation of the times between stretches that still follow each other regularly
_FEW = 3  # stretches that are listed one by one
_LEAST_SPOKEN = 0.05
_SPOKEN = {
    "level": "the level",
    "fluctuation": "the jumps of the level from frame to frame",
    "spread": "the variation of the level over time",
    "floor": "the level of the quietest moments",
    "rhythm": "the rhythm",
    "pattern": "the pattern over time and frequency that the network hears",
}
_TOPICS = {"level": "level", "contrast": "level", "floor": "level"}
_WORDS = {  # kind -> the verb for one that is higher, and one that is lower, than in others
    "level": ("is {by}louder", "is {by}quieter"),
    "contrast": ("stands {by}higher above its neighbours", "lies {by}lower among its neighbours"),
    "floor": ("is {by}louder in its quietest moments", "is {by}quieter in its quietest moments"),
    "fluctuation": ("fluctuates {by} from frame to frame", "fluctuates {by} from frame to frame"),
    "spread": ("varies {by} in level over time", "varies {by} in level over time"),
    "rhythm": ("swings {by} in level", "swings {by} in level"),
}
_SPEAKS = 0.25  # what a kind counts that has raised the score by nothing
_THEM = "them"  # what clips are called where they have been named
_DECIBELS = frozenset({"level", "contrast", "floor"})


def verdict(score: float, threshold: float, p_value: float, *, odd: bool) -> str:
    """Say whether the recording sounds wrong."""
    of_score = f"its score is {score:.2f}, the threshold {threshold:.2f}, p = {p_value:.2g}"
    return f"It sounds wrong: {of_score}." if odd else f"Nothing stands out: {of_score}."


def spoken_sentence(spoken: Mapping[str, float]) -> str:
    """Say which statistics raised the score; `spoken` has the share of each, the largest first."""
    named = [f"{_SPOKEN[kind]} ({share:.0%})" for kind, share in spoken.items() if share >= _LEAST_SPOKEN]
    return f"What raised the score is {_listed(named)}."


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
        Kind of statistic -> its share of what raised the score: those that did come first.
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

    def topic(measure: Measure) -> str:
        return _TOPICS.get(measure.kind, measure.kind)

    shares: dict[str, float] = {}
    for kind, share in spoken.items():
        kind = _TOPICS.get(kind, kind)
        shares[kind] = shares.get(kind, 0.0) + share
    striking = [measure for measure in measures if measure.outside > 0]
    striking.sort(key=lambda measure: -measure.outside * (_SPEAKS + shares.get(topic(measure), 0.0)))
    if not striking:
        return [_among(measures, clips)]
    first = striking[0]
    others = [one for one in striking[1:] if topic(one) != topic(first) and one.outside > _ALSO]
    return [_outside(first, clips), *(_outside(one, _THEM) for one in others[:1])]


def _outside(measure: Measure, clips: str) -> str:
    """Say that no healthy clip has a measure so high, or so low."""
    higher = measure.above > 0
    by = max(measure.above, measure.below)
    if measure.kind in _DECIBELS:
        amount, joint = _floored(by), "than"
        words = f"{amount} dB " if amount else ""
    else:
        amount, joint = _floored(math.exp(by)), "as"
        words = f"{amount} times as strongly"
        if not higher or amount in ("", "1.0"):
            words, joint = "more strongly" if higher else "less strongly", "than"
    return f"{_verb(measure, words, higher=higher)} {joint} in any of {clips}{_rates(measure)}"


def _among(measures: Sequence[Measure], clips: str) -> str:
    """Say in how many healthy clips a measure is lower, or higher, where that is nearly all of them."""
    ranked = [
        (int(np.count_nonzero(side)), measure, higher)
        for measure, higher in itertools.product(measures, (True, False))
        for side in [measure.healthy < measure.value if higher else measure.healthy > measure.value]
    ]
    count, measure, higher = max(ranked, key=lambda entry: entry[0])
    if count < _RARE * len(measure.healthy):
        return "is odd in how it goes with the other bands, not by itself"
    words = "" if measure.kind in _DECIBELS else "more strongly" if higher else "less strongly"
    return f"{_verb(measure, words, higher=higher)} than in {count} of {clips}{_rates(measure)}"


def _verb(measure: Measure, by: str, *, higher: bool) -> str:
    return _WORDS[measure.kind][0 if higher else 1].format(by=by)


def _rates(measure: Measure) -> str:
    if measure.rates_hz is None:
        return ""
    low, high = measure.rates_hz
    return f", {low:.1f} to {high:.1f} times a second"


def _floored(value: float) -> str:
    """Return a number of one decimal, or none from 10 on, that is not larger; nothing where it would be zero."""
    if value >= 10:
        return f"{math.floor(value)}"
    tenths = math.floor(value * 10)
    return f"{tenths / 10:.1f}" if tenths else ""


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1])] * (len(parts) > 1) + [parts[-1]])
